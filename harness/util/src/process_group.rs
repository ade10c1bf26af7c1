// SPDX-License-Identifier: MIT OR Apache-2.0
//! Child processes that do not outlive this process, together with all their descendants.
//!
//! A child leads a process group of its own. The group is killed when its [`Group`] is dropped. If
//! this process dies in any other way, also by SIGKILL, a guard process kills the group.

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

/// A running program that leads a process group. Dropping this value kills the group.
pub struct Group {
    child: Child,
    _guard: Guard,
}

impl Group {
    /// Starts the command in a new process group. The command must not be started a second time.
    /// The calling thread must live as long as the group, because the kernel kills the program when
    /// that thread ends.
    ///
    /// # Errors
    /// [`io::Error`] if the program or its guard cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        // A group leader cannot call setsid(2), which User Mode Linux does to leave its group.
        command.process_group(0);
        let guard = Guard::start_for(command)?;
        Ok(Group { child: command.spawn()?, _guard: guard })
    }

    /// Waits until the program ends, and returns its exit status.
    ///
    /// # Errors
    /// [`io::Error`] if wait(2) fails.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// The exit status of the program; none while it runs. Does not wait.
    ///
    /// # Errors
    /// [`io::Error`] if wait(2) fails.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Peak resident memory of the program (`VmHWM`), KiB. None after the program has ended.
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Waits up to `time` for the program to end. Returns whether it ended.
    pub fn wait_for_exit(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if matches!(self.try_wait(), Ok(Some(_))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Process ids are at most 2^22, so that the cast is lossless.
        let leader = Pid::from_raw(self.child.id().cast_signed());
        // The kernel kills the youngest process of a group first. User Mode Linux would take the
        // death of a guest process for a crash, so the leader is stopped first. It must not be
        // killed first: the processes that it traces would continue on the host.
        stop(leader);
        let _ = killpg(leader, Signal::SIGKILL);
        // Also kills a leader that has left its group. Otherwise the wait might never end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGSTOP to a child that has not ended, and waits up to two seconds until it is stopped: a
/// process in an uninterruptible sleep does not stop. The child is not reaped, so that its id is
/// not reused.
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

/// Runs the command to its end in a process group that does not outlive this process, and returns
/// its output. Standard input is empty.
///
/// # Errors
/// [`io::Error`] if the program cannot be started.
pub fn run_with_output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    let _guard = Guard::start_for(command)?;
    command.spawn()?.wait_with_output()
}

/// Runs the command to its end on the terminal of this process. It stays in the process group of
/// this process, which is the foreground group of the terminal.
///
/// # Errors
/// [`io::Error`] if the program cannot be started.
pub fn run_in_foreground(command: &mut Command) -> io::Result<ExitStatus> {
    let _guard = Guard::start_for(command)?;
    command.spawn()?.wait()
}

/// A process that kills a program and its group when this process dies, also by SIGKILL: it reads
/// from a pipe whose other end only this process holds. `PR_SET_PDEATHSIG` of the program alone is
/// not enough, because the processes that the program traces or cloned would survive. A guard that
/// is dropped kills nothing.
struct Guard(Child);

/// Reads the id of the process to guard from standard input, then waits for the end of standard
/// input.
const GUARD: &str = "read -r id || exit; read -r _; kill -KILL -$id $id";
/// Lowest descriptor number of the guard's pipe in the child: above those that a command may
/// redirect, so that the pipe is still open when the child writes its id.
const GUARD_FD: i32 = 64;

impl Guard {
    /// Starts the guard before the command. The child writes its own id to the guard before it
    /// executes the program, so that there is no moment in which the program runs unguarded.
    fn start_for(command: &mut Command) -> io::Result<Self> {
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

/// Prepares the child to be killed when the calling thread ends, to write no core dump, and to send
/// its id to the guard.
fn die_with_parent(command: &mut Command, guard: File) {
    let parent = Pid::this();
    let prepare = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        // The parent may have died before prctl(2) took effect.
        if getppid() != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        writeln!(&guard, "{}", Pid::this())
    };
    // SAFETY: the closure only makes system calls between fork and exec. It neither allocates nor
    // takes a lock.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_alive(id: u32) -> bool {
        nix::sys::signal::kill(Pid::from_raw(id.try_into().unwrap()), None).is_ok()
    }

    #[test]
    fn dropped_group_is_killed() {
        let group = Group::start(Command::new("sleep").arg("600")).unwrap();
        let id = group.child.id();
        assert!(is_alive(id));
        drop(group);
        assert!(!is_alive(id));
    }

    #[test]
    fn children_of_the_child_are_killed_with_it() {
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

    /// Without the stop, the leader could react to the deaths of its children. That race is too
    /// rare to test directly.
    #[test]
    fn stopped_program_does_not_run_and_can_be_killed() {
        let group = Group::start(Command::new("sh").args(["-c", "while :; do :; done"])).unwrap();
        let id = group.child.id();
        stop(Pid::from_raw(id.cast_signed()));
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        assert!(stat.contains(") T "), "{stat}");
        drop(group);
        assert!(!is_alive(id));
    }

    #[test]
    fn ended_program_is_not_waited_for() {
        let mut group = Group::start(&mut Command::new("true")).unwrap();
        let id = Pid::from_raw(group.child.id().cast_signed());
        while group.try_wait().unwrap().is_none() {}
        let started = Instant::now();
        stop(id);
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    /// Waits until a process is dead. It is reaped by another process a little later, because its
    /// parent is dead.
    fn await_death(id: u32) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_alive(id) && !is_zombie(id) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_alive(id) || is_zombie(id), "process {id} survived");
    }

    /// Set if this test binary runs as the process that is killed. The value is the file to which
    /// the program writes the id of its child.
    const CHILD_ID_FILE: &str = "VREMOUNT_TEST_GUARD";

    /// The program starts a child and kills the process that started the program, at any point of
    /// that start.
    #[test]
    fn no_process_survives_a_harness_killed_during_the_start() {
        if let Some(file) = std::env::var_os(CHILD_ID_FILE) {
            let mut command = Command::new("sh");
            command.args(["-c", "sleep 600 & echo $! >\"$0\"; kill -KILL $PPID; wait"]).arg(file);
            let _group = Group::start(&mut command);
            std::thread::sleep(Duration::from_secs(600));
        }
        let folder = tempfile::tempdir().unwrap();
        for number in 0..100 {
            let file = folder.path().join(number.to_string());
            let harness = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "process_group::tests::no_process_survives_a_harness_killed_during_the_start"])
                .env(CHILD_ID_FILE, &file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(!harness.success());
            let child = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
            await_death(child);
        }
    }

    fn is_zombie(id: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }
}
