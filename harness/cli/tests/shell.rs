// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount shell` with a script on its standard input, as a user would type it.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::File;
use std::io::Write;

use common::{stderr, stdout, vremount};
use rstest::rstest;

const SCRIPT: &str = "\
options=lowerdir=/lower,upperdir=/mnt/a/upper,workdir=/mnt/a/work
mount -t overlay overlay -o $options,volatile /merged/a && echo first mount works
umount /merged/a
mount -t overlay overlay -o $options,volatile /merged/a && echo reuse works
umount /merged/a
mount -t overlay overlay -o $options /merged/a || echo durable mount refused
getfattr -d -m - -e hex /mnt/a/work/work/incompat/volatile
dmsetup table a
dmesg | tail -1
";

#[rstest]
fn shell_runs_a_script_with_the_usual_tools(#[values("uml", "qemu")] executor: &str) {
    let mut script = tempfile::NamedTempFile::new().unwrap();
    script.write_all(SCRIPT.as_bytes()).unwrap();
    let mut command = vremount(["shell", "--executor", executor]);
    let output = command.stdin(File::open(script.path()).unwrap()).output().unwrap();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    for expected in [
        "first mount works",
        "reuse works",
        "durable mount refused",
        "trusted.overlay.volatile=0x",
        "linear 7:0 0",
        "overlayfs: volatile reuse refused: not-volatile: ",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
    }
}
