// SPDX-License-Identifier: MIT OR Apache-2.0
//! Failures of machines, with a script in place of QEMU: each has the right exit reason within
//! seconds and leaves no process.
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

/// A machine that is silent for this time is hung.
const SILENCE: Duration = Duration::from_millis(1500);
/// Limit for a run, below the 60 s after which the sleeping scripts end. Timeouts are up to eight
/// times longer on a busy host.
const RUN_LIMIT: Duration = Duration::from_secs(50);

/// Directory of a script that replaces QEMU.
struct FakeQemu {
    folder: tempfile::TempDir,
}

impl FakeQemu {
    /// Writes the script that replaces QEMU. In the script, `$READY` and `$END` are files with the
    /// frames of these events, and file descriptor 3 is the channel.
    fn new(script: &str) -> Self {
        let fake = FakeQemu { folder: tempfile::tempdir().unwrap() };
        let ready = Event::Ready {
            release: "5.10.13".to_string(),
            build_id: "ab".to_string(),
            module_sha256: "cd".to_string(),
            uptime_ms: 1,
        };
        fs::write(fake.path("ready"), encode(&ready).unwrap()).unwrap();
        fs::write(fake.path("end"), encode(&Event::End { steps: 0 }).unwrap()).unwrap();
        let folder = fake.folder.path().display();
        let text = format!(
            "#!/bin/sh\necho $$ >>{folder}/pids\nREADY={folder}/ready\nEND={folder}/end\nPIDS={folder}/pids\n{script}\n"
        );
        common::write_script(&fake.path("qemu"), &text);
        fake
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, power_cut: bool) -> MachineOutput {
        let nothing = Path::new("/dev/null");
        Qemu::new(&self.path("qemu"), Accel::Tcg).run(&MachineConfig {
            kernel_image: nothing,
            initramfs: nothing,
            disk: None,
            memory_mib: 1,
            processors: 1,
            console_log: &self.path("console"),
            timeouts: Timeouts { silence: SILENCE, total: 3 * SILENCE },
            kernel_count: 1,
            power_cut,
        })
    }

    /// Processes of the machine that still run.
    fn remaining_processes(&self) -> Vec<i32> {
        let pids = fs::read_to_string(self.path("pids")).unwrap_or_default();
        pids.lines().map(|pid| pid.parse().unwrap()).filter(|pid| is_running(*pid)).collect()
    }

    /// Asserts that no process remains, after a moment for killed processes to disappear.
    fn assert_no_process_remains(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.remaining_processes().is_empty() && Instant::now() < deadline {
            sleep(Duration::from_millis(10));
        }
        assert_eq!(self.remaining_processes(), Vec::<i32>::new());
    }
}

/// Whether a process runs; a zombie does not.
fn is_running(pid: i32) -> bool {
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
#[case::crashes_after_the_end_event(
    "cat $READY $END >&3; echo 'general protection fault: 0000'",
    "crashed: general protection"
)]
#[case::prints_forever("while :; do echo tick; sleep 0.2; done", "hung: it did not finish within")]
#[case::panics_and_exits_with_0(&format!("cat $READY >&3; {PANIC}"), "crashed: Kernel panic - not syncing")]
#[case::panics_and_halts(&format!("cat $READY >&3; {PANIC}; sleep 60"), "crashed: Kernel panic - not syncing")]
#[case::panics_after_an_oops(
    &format!("echo 'BUG: unable to handle page fault'; {PANIC}"),
    "crashed: BUG: unable to handle"
)]
#[case::ends_early("cat $READY >&3; echo booted", "ended (exit status: 0) before the guest's end record")]
#[case::fails_to_start("echo 'no such machine' >&2; exit 1", "ended (exit status: 1) before the guest's end record")]
#[case::is_killed("cat $READY >&3; kill -KILL $$", "ended (signal: 9 (SIGKILL)) before the guest's end record")]
#[case::closes_the_channel("cat $READY >&3; exec 3>&-; sleep 60", "hung: no output for")]
#[case::writes_an_invalid_frame("cat $READY >&3; echo 'what is this' >&3; sleep 60", "carried invalid data: ")]
#[case::truncates_a_frame_and_stops_answering(
    "cat $READY >&3; head --bytes=20 $END >&3; sleep 60 3>&- & exec 3>&-; wait",
    "hung: "
)]
#[case::ends_within_a_frame("cat $READY >&3; head --bytes=20 $END >&3", "before the guest's end record")]
#[case::panics_within_a_frame(&format!("head --bytes=20 $END >&3; {PANIC}"), "crashed: Kernel panic - not syncing")]
#[case::loses_a_byte("cat $READY >&3; sed s/steps/step/ $END >&3; sleep 60", "carried invalid data: ")]
fn failed_machine_never_finishes(#[case] script: &str, #[case] expected: &str) {
    let fake = FakeQemu::new(script);
    let started = Instant::now();
    let run = fake.run(false);
    assert!(!matches!(run.exit_reason, ExitReason::Finished | ExitReason::PowerCut), "{:?}", run.exit_reason);
    assert!(run.exit_reason.to_string().contains(expected), "{}", run.exit_reason);
    assert!(started.elapsed() < RUN_LIMIT, "took {:?}", started.elapsed());
    fake.assert_no_process_remains();
}

#[test]
fn console_log_has_the_errors_of_qemu() {
    let fake = FakeQemu::new("echo 'no such machine' >&2; exit 1");
    assert_eq!(fake.run(false).console_tail, "no such machine\n");
    assert_eq!(fs::read_to_string(fake.path("console")).unwrap(), "no such machine\n");
}

#[rstest]
#[case::powers_off("cat $READY $END >&3; echo bye")]
#[case::exits_with_an_error("cat $READY $END >&3; exit 3")]
#[case::never_powers_off("cat $READY $END >&3; sleep 60")]
#[case::its_child_holds_console_and_channel("cat $READY $END >&3; sleep 60 & echo $! >>$PIDS")]
fn machine_is_finished_after_the_end_event(#[case] script: &str) {
    let fake = FakeQemu::new(script);
    let run = fake.run(false);
    assert_eq!(run.exit_reason, ExitReason::Finished);
    assert!(run.timings.ready.is_some());
    assert_eq!(run.events.len(), 2);
    fake.assert_no_process_remains();
}

#[test]
fn power_is_cut_right_after_the_end_event() {
    let fake = FakeQemu::new("cat $READY $END >&3; sleep 0.5; touch $PIDS.late; sleep 60");
    assert_eq!(fake.run(true).exit_reason, ExitReason::PowerCut);
    fake.assert_no_process_remains();
    assert!(!fake.path("pids.late").exists(), "the machine ran on after the end event");
}

#[test]
fn machine_without_qemu_is_not_started() {
    let fake = FakeQemu::new("");
    fs::remove_file(fake.path("qemu")).unwrap();
    assert!(matches!(fake.run(false).exit_reason, ExitReason::NotStarted(_)));
}

/// The test starts this binary again as a harness that runs a machine, and kills it.
#[test]
fn machine_ends_when_the_harness_is_killed() {
    const FAKE_QEMU_PATH: &str = "VREMOUNT_TEST_FAKE_QEMU";
    if let Some(qemu) = std::env::var_os(FAKE_QEMU_PATH) {
        let nothing = Path::new("/dev/null");
        let limit = Duration::from_secs(60);
        let run = Qemu::new(Path::new(&qemu), Accel::Tcg).run(&MachineConfig {
            kernel_image: nothing,
            initramfs: nothing,
            disk: None,
            memory_mib: 1,
            processors: 1,
            console_log: nothing,
            timeouts: Timeouts { silence: limit, total: limit },
            kernel_count: 1,
            power_cut: false,
        });
        panic!("the machine ended before the harness was killed: {:?}", run.exit_reason);
    }
    let fake = FakeQemu::new("exec sleep 60");
    let mut harness = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "machine_ends_when_the_harness_is_killed"])
        .env(FAKE_QEMU_PATH, fake.path("qemu"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while fake.remaining_processes().is_empty() {
        assert!(Instant::now() < deadline, "the machine never started");
        sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(harness.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    harness.wait().unwrap();
    fake.assert_no_process_remains();
}
