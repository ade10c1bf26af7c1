// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machines that go wrong, each in its own way: a script stands in for QEMU. Whatever it does, the answer is the right
//! one, comes within seconds, and no process is left.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use vremount_machine::{Accel, Executor, ExitReason, MachineConfig, MachineOutput, Qemu, Timeouts};
use vremount_protocol::{Event, encode};

/// A silent machine is hung after this.
const SILENCE: Duration = Duration::from_millis(1500);
/// What sleeps ends by itself after a minute. On a busy host limits are longer, eight times at most.
const BY_ITSELF: Duration = Duration::from_secs(50);

struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// `script` is what runs instead of QEMU; `$READY` and `$END` are files with those events as frames, file descriptor 3
    /// is the channel.
    fn new(script: &str) -> Self {
        let world = World { folder: tempfile::tempdir().unwrap() };
        let ready = Event::Ready {
            release: "5.10.13".to_string(),
            build_id: "ab".to_string(),
            module_sha256: "cd".to_string(),
            uptime_ms: 1,
        };
        fs::write(world.path("ready"), encode(&ready).unwrap()).unwrap();
        fs::write(world.path("end"), encode(&Event::End { steps: 0 }).unwrap()).unwrap();
        let at = world.folder.path().display();
        let text =
            format!("#!/bin/sh\necho $$ >>{at}/pids\nREADY={at}/ready\nEND={at}/end\nPIDS={at}/pids\n{script}\n");
        common::script(&world.path("qemu"), &text);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, power_cut: bool) -> MachineOutput {
        let nothing = Path::new("/dev/null");
        Qemu::new(&self.path("qemu"), Accel::Tcg).run(&MachineConfig {
            image: nothing,
            initramfs: nothing,
            disk: None,
            memory_mib: 1,
            processors: 1,
            console_log: &self.path("console"),
            limits: Timeouts { silence: SILENCE, total: 3 * SILENCE },
            kernels: 1,
            power_cut,
        })
    }

    /// Processes of the machine that still run.
    fn left(&self) -> Vec<i32> {
        let pids = fs::read_to_string(self.path("pids")).unwrap_or_default();
        pids.lines().map(|pid| pid.parse().unwrap()).filter(|pid| runs(*pid)).collect()
    }

    /// The kernel needs a moment to bury what it killed.
    fn assert_nothing_is_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.left().is_empty() && Instant::now() < deadline {
            sleep(Duration::from_millis(10));
        }
        assert_eq!(self.left(), Vec::<i32>::new());
    }
}

/// A zombie does not run: it waits for its parent to ask.
fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}

const PANIC: &str = "echo '[    1.0] Kernel panic - not syncing: Attempted to kill init!'";

#[rstest]
#[case::prints_nothing("sleep 60", "hung: no output for")]
#[case::starts_and_stops_answering("cat $READY >&3; echo booted; sleep 60", "hung: no output for")]
#[case::floods_the_console("yes \"$(seq -s, 300)\"", "hung: it printed more than 16 MiB")]
#[case::runs_out_of_memory(
    "cat $READY >&3; echo 'Out of memory: Killed process 77'; sleep 0.2; cat $END >&3",
    "ran out of memory"
)]
#[case::crashes_after_the_last_word(
    "cat $READY $END >&3; echo 'general protection fault: 0000'",
    "crashed: general protection"
)]
#[case::prints_for_ever("while :; do echo tick; sleep 0.2; done", "hung: it did not finish within")]
#[case::panics_and_exits_with_0(&format!("cat $READY >&3; {PANIC}"), "crashed: Kernel panic - not syncing")]
#[case::panics_and_halts(&format!("cat $READY >&3; {PANIC}; sleep 60"), "crashed: Kernel panic - not syncing")]
#[case::panics_after_an_oops(&format!("echo 'BUG: unable to handle page fault'; {PANIC}"), "crashed: BUG: unable to handle")]
#[case::ends_early("cat $READY >&3; echo booted", "ended (exit status: 0) before the guest's end record")]
#[case::fails_to_start("echo 'no such machine' >&2; exit 1", "ended (exit status: 1) before the guest's end record")]
#[case::is_killed("cat $READY >&3; kill -KILL $$", "ended (signal: 9 (SIGKILL)) before the guest's end record")]
#[case::closes_the_channel("cat $READY >&3; exec 3>&-; sleep 60", "hung: no output for")]
#[case::talks_nonsense("cat $READY >&3; echo 'what is this' >&3; sleep 60", "carried invalid data: ")]
#[case::cuts_a_frame_short("cat $READY >&3; head --bytes=20 $END >&3; sleep 60 3>&- & exec 3>&-; wait", "hung: ")]
#[case::ends_within_a_frame("cat $READY >&3; head --bytes=20 $END >&3", "before the guest's end record")]
#[case::panics_within_a_frame(&format!("head --bytes=20 $END >&3; {PANIC}"), "crashed: Kernel panic - not syncing")]
#[case::loses_a_byte("cat $READY >&3; sed s/steps/step/ $END >&3; sleep 60", "carried invalid data: ")]
fn what_goes_wrong_is_never_an_answer(#[case] script: &str, #[case] expected: &str) {
    let world = World::new(script);
    let started = Instant::now();
    let run = world.run(false);
    assert!(!matches!(run.end, ExitReason::Finished | ExitReason::PowerCut), "{:?}", run.end);
    assert!(run.end.to_string().contains(expected), "{}", run.end);
    assert!(started.elapsed() < BY_ITSELF, "took {:?}", started.elapsed());
    world.assert_nothing_is_left();
}

#[test]
fn what_qemu_says_is_in_the_console_log() {
    let world = World::new("echo 'no such machine' >&2; exit 1");
    assert_eq!(world.run(false).console_tail, "no such machine\n");
    assert_eq!(fs::read_to_string(world.path("console")).unwrap(), "no such machine\n");
}

#[rstest]
#[case::switches_off("cat $READY $END >&3; echo bye")]
#[case::exits_with_an_error("cat $READY $END >&3; exit 3")]
#[case::never_switches_off("cat $READY $END >&3; sleep 60")]
#[case::its_child_holds_console_and_channel("cat $READY $END >&3; sleep 60 & echo $! >>$PIDS")]
fn the_last_word_is_an_answer(#[case] script: &str) {
    let world = World::new(script);
    let run = world.run(false);
    assert_eq!(run.end, ExitReason::Finished);
    assert!(run.times.ready.is_some());
    assert_eq!(run.events.len(), 2);
    world.assert_nothing_is_left();
}

#[test]
fn a_power_cut_comes_right_after_the_last_word() {
    let world = World::new("cat $READY $END >&3; sleep 0.5; touch $PIDS.late; sleep 60");
    assert_eq!(world.run(true).end, ExitReason::PowerCut);
    world.assert_nothing_is_left();
    assert!(!world.path("pids.late").exists(), "the machine went on");
}

#[test]
fn a_machine_that_cannot_be_started_says_so() {
    let world = World::new("");
    fs::remove_file(world.path("qemu")).unwrap();
    assert!(matches!(world.run(false).end, ExitReason::NotStarted(_)));
}

/// This same binary runs a machine, and is killed.
#[test]
fn a_machine_does_not_outlive_a_harness_that_was_killed() {
    const INSIDE: &str = "VREMOUNT_TEST_WORLD";
    if let Some(qemu) = std::env::var_os(INSIDE) {
        let nothing = Path::new("/dev/null");
        let limit = Duration::from_secs(60);
        let run = Qemu::new(Path::new(&qemu), Accel::Tcg).run(&MachineConfig {
            image: nothing,
            initramfs: nothing,
            disk: None,
            memory_mib: 1,
            processors: 1,
            console_log: nothing,
            limits: Timeouts { silence: limit, total: limit },
            kernels: 1,
            power_cut: false,
        });
        panic!("the machine was to outlast the harness: {:?}", run.end);
    }
    let world = World::new("exec sleep 60");
    let mut harness = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_machine_does_not_outlive_a_harness_that_was_killed"])
        .env(INSIDE, world.path("qemu"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.left().is_empty() {
        assert!(Instant::now() < deadline, "the machine never started");
        sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(harness.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    harness.wait().unwrap();
    world.assert_nothing_is_left();
}
