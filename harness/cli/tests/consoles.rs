// SPDX-License-Identifier: MIT OR Apache-2.0
//! Classification of console logs of real machines. The first line of each file is the expected
//! class, the rest is the log.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;
use vremount_machine::{Accel, Executor, ExitReason, MachineConfig, Qemu, Timeouts};

/// Class of a machine that prints the log and ends.
fn classify(log: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("qemu");
    common::write_script(&program, &format!("#!/bin/sh\ntail --lines=+2 '{}'\n", log.display()));
    let limit = Duration::from_secs(10);
    let run = Qemu::new(&program, Accel::Tcg).run(&MachineConfig {
        kernel_image: Path::new("/dev/null"),
        initramfs: Path::new("/dev/null"),
        disk: None,
        memory_mib: 1,
        processors: 1,
        console_log: Path::new("/dev/null"),
        timeouts: Timeouts { silence: limit, total: limit },
        kernel_count: 1,
        power_cut: false,
    });
    let class = match run.exit_reason {
        ExitReason::Panic(_) => "panic",
        ExitReason::Oops(_) => "oops",
        ExitReason::OutOfMemory(_) => "out of memory",
        ExitReason::Stuck(_) => "stuck",
        // The machine ended without a failure of its kernel.
        ExitReason::EndedEarly(_) if run.kernel_warnings.is_empty() => "clean",
        ExitReason::EndedEarly(_) => "warning",
        other => return format!("{other:?}"),
    };
    class.to_owned()
}

#[rstest]
fn console_log_has_the_expected_class(#[files("tests/consoles/*.txt")] log: PathBuf) {
    let text = fs::read_to_string(&log).unwrap();
    let expected = text.lines().next().unwrap().strip_prefix("expect: ").unwrap();
    assert_eq!(classify(&log), expected);
}
