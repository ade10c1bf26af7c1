// SPDX-License-Identifier: MIT OR Apache-2.0
//! A child that cannot outlive us, and whose own children cannot outlive it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getppid};

/// A process group of its own, killed when this is dropped, and by the kernel when the thread that started it ends in
/// any other way.
pub struct Group {
    child: Child,
}

impl Group {
    /// Starts the command. The thread that calls this must live as long as the group.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.process_group(0);
        die_with_parent(command);
        Ok(Group { child: command.spawn()? })
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the kernel does not know the child any more.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
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

    /// Kills the whole group and waits until its leader is gone.
    pub fn kill(&mut self) {
        // Ids do not overflow: the kernel's own limit is 2^22. A group that has gone already is as good as killed.
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
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
    use std::process::Stdio;

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
