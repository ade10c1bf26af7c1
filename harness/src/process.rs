// SPDX-License-Identifier: MIT OR Apache-2.0
//! A child that cannot outlive us, and whose own children cannot outlive it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getppid};

/// A program that leads a process group, killed when this is dropped, and by a guard if we end in any other way.
pub struct Group {
    child: Child,
    guard: Guard,
}

impl Group {
    /// Starts the command. The thread that calls this must live as long as the group.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        // A leader cannot leave its group, as User Mode Linux would.
        command.process_group(0);
        die_with_parent(command);
        let mut child = command.spawn()?;
        match Guard::over(&child) {
            Ok(guard) => Ok(Group { child, guard }),
            Err(cause) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(cause)
            }
        }
    }

    /// How the program ends.
    ///
    /// # Errors
    /// If the kernel does not know it any more.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// How the program ended, if it has.
    ///
    /// # Errors
    /// If the kernel does not know it any more.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Most memory that the program had, while it has not ended: KiB.
    pub fn peak_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Whether it ended by itself within the time.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if matches!(self.ended(), Ok(Some(_))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.guard.dismiss();
        let _ = killpg(id(&self.child), Signal::SIGKILL);
        // It cannot have left; but to wait for one that has would be to wait for ever.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command to its end, as a group that does not outlive us. What it says is given back.
///
/// # Errors
/// If the program cannot be started.
pub fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    die_with_parent(command);
    let child = command.spawn()?;
    let mut guard = Guard::over(&child)?;
    let output = child.wait_with_output();
    guard.dismiss();
    output
}

/// Runs the command on our terminal until it ends. It stays in our process group, which is the one that may read there.
///
/// # Errors
/// If the program cannot be started.
pub fn run_in_foreground(command: &mut Command) -> io::Result<ExitStatus> {
    die_with_parent(command);
    let mut child = command.spawn()?;
    let mut guard = Guard::over(&child)?;
    let ended = child.wait();
    guard.dismiss();
    ended
}

/// Kills a program, and the group it leads or comes to lead, when we are gone, also by SIGKILL: it reads from a pipe whose
/// other end is ours. That the program dies with us is not enough: what it traces, and what it cloned, would live on.
struct Guard(Child);

/// Waits for the end of its standard input.
const GUARD: &str = "read -r _; kill -KILL -$0 $0";

impl Guard {
    fn over(child: &Child) -> io::Result<Self> {
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, &child.id().to_string()]).process_group(0);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        guard.spawn().map(Guard)
    }

    /// From here on it kills nobody.
    fn dismiss(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn id(child: &Child) -> Pid {
    // The kernel's own limit is 2^22.
    Pid::from_raw(child.id().cast_signed())
}

/// Asks the kernel to kill the child when our thread ends, even by SIGKILL, and to write no core.
fn die_with_parent(command: &mut Command) {
    let parent = Pid::this();
    let prepare = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        // The parent may have died before the request was made.
        if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec only system calls are made; none allocates or locks.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(id: u32) -> bool {
        nix::sys::signal::kill(Pid::from_raw(id.try_into().unwrap()), None).is_ok()
    }

    #[test]
    fn a_dropped_group_is_gone() {
        let group = Group::start(Command::new("sleep").arg("600")).unwrap();
        let id = group.child.id();
        assert!(alive(id));
        drop(group);
        assert!(!alive(id));
    }

    #[test]
    fn children_of_the_child_go_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]).stdout(Stdio::piped());
        let mut group = Group::start(&mut command).unwrap();
        let mut line = String::new();
        let mut output = io::BufReader::new(group.child.stdout.take().unwrap());
        io::BufRead::read_line(&mut output, &mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        drop(group);
        // Its parent is gone, so it is reaped by someone else, a moment later.
        let deadline = Instant::now() + Duration::from_secs(5);
        while alive(grandchild) && !zombie(grandchild) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!alive(grandchild) || zombie(grandchild));
    }

    fn zombie(id: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }
}
