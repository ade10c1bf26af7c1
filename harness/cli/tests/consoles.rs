// SPDX-License-Identifier: MIT OR Apache-2.0
//! Console logs of real machines, one file a case: the first line says what must be made of it, the rest is the log.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;
use vremount_machine::{Accel, Executor, ExitReason, MachineConfig, Qemu, Timeouts};

/// What a machine that prints the log and is gone comes out as.
fn class(log: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("qemu");
    common::script(&program, &format!("#!/bin/sh\ntail --lines=+2 '{}'\n", log.display()));
    let limit = Duration::from_secs(10);
    let run = Qemu::new(&program, Accel::Tcg).run(&MachineConfig {
        image: Path::new("/dev/null"),
        initramfs: Path::new("/dev/null"),
        disk: None,
        memory_mib: 1,
        processors: 1,
        console_log: Path::new("/dev/null"),
        limits: Timeouts { silence: limit, total: limit },
        kernels: 1,
        power_cut: false,
    });
    let class = match run.end {
        ExitReason::Panic(_) => "panic",
        ExitReason::Oops(_) => "oops",
        ExitReason::OutOfMemory(_) => "out of memory",
        ExitReason::Stuck(_) => "stuck",
        // The machine was gone, and its kernel is not to blame.
        ExitReason::Lost(_) if run.splats.is_empty() => "clean",
        ExitReason::Lost(_) => "warning",
        other => return format!("{other:?}"),
    };
    class.to_owned()
}

#[rstest]
fn a_log_is_what_its_first_line_says(#[files("tests/consoles/*.txt")] log: PathBuf) {
    let text = fs::read_to_string(&log).unwrap();
    let expected = text.lines().next().unwrap().strip_prefix("expect: ").unwrap();
    assert_eq!(class(&log), expected);
}
