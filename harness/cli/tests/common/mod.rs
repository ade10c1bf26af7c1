// SPDX-License-Identifier: MIT OR Apache-2.0
//! Helpers that several test binaries share.
// No test binary uses all of them.
#![allow(dead_code)]

pub mod fake_toolchain;
pub mod fixtures;
pub mod history;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use vremount_kernel::base::Base;

/// Root of this checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Base that the claims are proved on: the value of the environment variable `BASE`, which make
/// sets, or the default base.
pub fn base() -> Base {
    Base::find(&checkout(), std::env::var("BASE").ok().as_deref()).unwrap()
}

/// The command `vremount` with arguments, in this checkout.
pub fn vremount<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vremount"));
    command.args(args).current_dir(checkout());
    command
}

/// Writes an executable script.
// Another process writes the file. Children of other test threads would inherit a descriptor that
// this process has open for writing, and executing the script would fail with ETXTBSY until they
// close it.
pub fn write_script(path: &Path, text: &str) {
    let mut writer = Command::new("tee").arg(path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success(), "writing {}", path.display());
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Content and modification time of every file and directory below a directory.
pub fn snapshot_files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let modified = fs::symlink_metadata(&path).unwrap().modified().unwrap();
        if path.is_dir() {
            files.extend(snapshot_files(&path));
            files.insert(path, (Vec::new(), modified));
        } else {
            files.insert(path.clone(), (fs::read(&path).unwrap(), modified));
        }
    }
    files
}

/// Runs lines in `vremount shell`, on a kernel of a level of the series, and returns the output.
pub fn run_in_shell(level: &str, lines: &str) -> String {
    let mut script = tempfile::NamedTempFile::new().unwrap();
    script.write_all(lines.as_bytes()).unwrap();
    let mut command = vremount(["shell", "--executor", "uml", "--base", &base().name, "--level", level]);
    let output = command.stdin(File::open(script.path()).unwrap()).output().unwrap();
    let text = stdout(&output);
    println!("{text}");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    text
}

/// Shell lines that write a script to a file, run it with an interpreter and print its exit code.
pub fn script_lines(script: &str, interpreter: &str) -> String {
    format!("cat >/script <<'END OF SCRIPT'\n{script}END OF SCRIPT\n{interpreter} /script; echo exit: $?\n")
}
