// SPDX-License-Identifier: MIT OR Apache-2.0
//! A child that cannot outlive us, and whose own children cannot outlive it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getppid};
use rustix::io::fcntl_dupfd_cloexec;

/// A program that leads a process group, killed when this is dropped, and by a guard if we end in any other way.
pub struct Group {
    child: Child,
    _guard: Guard,
}

impl Group {
    /// Starts the command, which is not to be started again. The thread that calls this must live as long as the group.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        // A leader cannot leave its group, as User Mode Linux would.
        command.process_group(0);
        let guard = Guard::over(command)?;
        Ok(Group { child: command.spawn()?, _guard: guard })
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
        // The kernel's own limit is 2^22.
        let leader = Pid::from_raw(self.child.id().cast_signed());
        // The kernel kills the youngest of a group first, and User Mode Linux would take the death of a process of its guest
        // for a crash. Nor may the leader die first: what it traces would go on, on the host.
        stop(leader);
        let _ = killpg(leader, Signal::SIGKILL);
        // It cannot have left; but to wait for one that has would be to wait for ever.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stops a child of ours that has not ended, and waits until it stands still; for a moment only, as some stops are not taken.
/// It stays waited for: till then its id is nobody else's.
fn stop(child: Pid) {
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    let runs = || waitid(Id::Pid(child), flags) == Ok(WaitStatus::StillAlive);
    if !runs() {
        return;
    }
    let _ = kill(child, Signal::SIGSTOP);
    let deadline = Instant::now() + Duration::from_secs(2);
    while runs() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Runs the command to its end, as a group that does not outlive us. What it says is given back.
///
/// # Errors
/// If the program cannot be started.
pub fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    let _guard = Guard::over(command)?;
    command.spawn()?.wait_with_output()
}

/// Runs the command on our terminal until it ends. It stays in our process group, which is the one that may read there.
///
/// # Errors
/// If the program cannot be started.
pub fn run_in_foreground(command: &mut Command) -> io::Result<ExitStatus> {
    let _guard = Guard::over(command)?;
    command.spawn()?.wait()
}

/// Kills a program, and the group it leads or comes to lead, when we are gone, also by SIGKILL: it reads from a pipe whose
/// other end is ours. That the program dies with us is not enough: what it traces, and what it cloned, would live on.
/// Dropped, it kills nobody.
struct Guard(Child);

/// Is told who it guards, then waits for the end of its standard input.
const GUARD: &str = "read -r id || exit; read -r _; kill -KILL -$id $id";
/// Above those that a command may map, so that it is still the guard's when the command is about to run.
const GUARD_FD: i32 = 64;

impl Guard {
    /// Starts it ahead of the command, which tells it of itself and is for once: nobody can be killed between two and leave the third.
    fn over(command: &mut Command) -> io::Result<Self> {
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD]).process_group(0);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = Guard(guard.spawn()?);
        let pipe = guard.0.stdin.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        die_with_parent(command, fcntl_dupfd_cloexec(pipe, GUARD_FD)?.into());
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks the kernel to kill the child when our thread ends, even by SIGKILL, and to write no core. Tells the guard.
fn die_with_parent(command: &mut Command, guard: File) {
    let parent = Pid::this();
    let prepare = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        // The parent may have died before the request was made.
        if getppid() != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        writeln!(&guard, "{}", Pid::this())
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
        await_death(grandchild);
    }

    /// What it would do between its children's deaths and its own takes luck to see.
    #[test]
    fn what_is_stopped_stands_still_and_can_be_killed() {
        let group = Group::start(Command::new("sh").args(["-c", "while :; do :; done"])).unwrap();
        let id = group.child.id();
        stop(Pid::from_raw(id.cast_signed()));
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        assert!(stat.contains(") T "), "{stat}");
        drop(group);
        assert!(!alive(id));
    }

    #[test]
    fn what_has_ended_is_not_waited_for() {
        let mut group = Group::start(&mut Command::new("true")).unwrap();
        let id = Pid::from_raw(group.child.id().cast_signed());
        while group.ended().unwrap().is_none() {}
        let started = Instant::now();
        stop(id);
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    /// Its parent is gone, so it is reaped by someone else, a moment later.
    fn await_death(id: u32) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while alive(id) && !zombie(id) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!alive(id) || zombie(id), "{id} is left");
    }

    /// Tells this binary, started again, to be a harness, and where its program writes down the child it made.
    const INSIDE: &str = "VREMOUNT_TEST_GUARD";

    /// The program makes a child and kills its harness: before or after it is known there that it runs.
    #[test]
    fn nothing_outlives_a_harness_that_has_only_just_started_it() {
        if let Some(file) = std::env::var_os(INSIDE) {
            let mut command = Command::new("sh");
            command.args(["-c", "sleep 600 & echo $! >\"$0\"; kill -KILL $PPID; wait"]).arg(file);
            let _group = Group::start(&mut command);
            std::thread::sleep(Duration::from_secs(600));
        }
        let folder = tempfile::tempdir().unwrap();
        for number in 0..100 {
            let file = folder.path().join(number.to_string());
            let harness = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "process_group::tests::nothing_outlives_a_harness_that_has_only_just_started_it"])
                .env(INSIDE, &file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(!harness.success());
            let child = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
            await_death(child);
        }
    }

    fn zombie(id: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }
}
