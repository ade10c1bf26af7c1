// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several test binaries share.
// Each of them uses a part of it.
#![allow(dead_code)]

pub mod fabricated;
pub mod history;
pub mod toy;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use vremount_kernel::base::Base;

/// The root of this checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The base that proofs are about: `BASE`, as make passes it on, or the default one.
pub fn base() -> Base {
    Base::find(&checkout(), std::env::var("BASE").ok().as_deref()).unwrap()
}

/// The command itself.
pub fn vremount<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vremount"));
    command.args(args).current_dir(checkout());
    command
}

/// A script that may be run.
// Another process writes it: a descriptor of ours, open for writing, would be inherited by what other tests start
// meanwhile, and running the script fails with ETXTBSY until they let go of it.
pub fn script(path: &Path, text: &str) {
    let mut writer = Command::new("tee").arg(path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success(), "writing {}", path.display());
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every file below, with its size, content and time.
pub fn everything(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let modified = fs::symlink_metadata(&path).unwrap().modified().unwrap();
        if path.is_dir() {
            files.extend(everything(&path));
            files.insert(path, (Vec::new(), modified));
        } else {
            files.insert(path.clone(), (fs::read(&path).unwrap(), modified));
        }
    }
    files
}

/// What is run in `vremount shell`, on a kernel with so much of the series.
pub fn shell(level: &str, lines: &str) -> String {
    let mut script = tempfile::NamedTempFile::new().unwrap();
    script.write_all(lines.as_bytes()).unwrap();
    let mut command = vremount(["shell", "--executor", "uml", "--base", &base().name, "--level", level]);
    let output = command.stdin(File::open(script.path()).unwrap()).output().unwrap();
    let said = stdout(&output);
    println!("{said}");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    said
}

/// Shell lines that put a script in a file and run it.
pub fn run(script: &str, with: &str) -> String {
    format!("cat >/script <<'END OF SCRIPT'\n{script}END OF SCRIPT\n{with} /script; echo exit: $?\n")
}
