// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often each arc of the kernel's code was taken: what machines tell, kept, summed up, and read as lines and branches. What
//! arcs and counters mean only gcc and its tools know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde::Deserialize;
use vremount_kernel::build;
use vremount_util::{command, io_error};

use crate::error::Error;

/// The end of a folder with what one kernel told.
const ENDING: &str = "arcs";

/// How often a line was executed, all functions and objects that have it together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Count {
    pub function: String,
    pub executed: u64,
    /// How often each way out of its conditions was taken.
    pub branches: Vec<u64>,
}

/// By file, as the compiler was told its name, and line.
pub type Counts = BTreeMap<(String, u32), Count>;

/// Keeps what the kernels of a machine told, one after the other, in folders that begin with `name`.
pub(crate) fn keep(told: &[(String, Vec<u8>)], name: &Path) -> io::Result<()> {
    for (place, (object, gcda)) in told.iter().enumerate() {
        let before = told[..place].iter().filter(|(other, _)| other == object).count();
        let folder = PathBuf::from(format!("{}.{before}.{ENDING}", name.display()));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(flat(object)), gcda)?;
    }
    Ok(())
}

/// Where it was compiled does not matter, and all of a sum is in one folder.
fn flat(object: &str) -> String {
    let inside = object.rsplit_once(&format!("/{}/", build::OBJECTS)).map_or(object, |(_, inside)| inside);
    inside.replace('/', "#")
}

/// Sums up what was kept in a folder, and takes it away. `notes` is what gcc noted of the same objects.
///
/// # Errors
/// If nothing was kept, or gcov does not understand it.
pub fn sum(kept: &Path, notes: &Path) -> Result<Counts, Error> {
    let entries = fs::read_dir(kept).map_err(io_error("read", kept))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let told: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == ENDING)).collect();
    let (first, others) = told.split_first().ok_or(Error::NotCounted)?;
    let folder = tempfile::tempdir_in(kept).map_err(io_error("create a folder in", kept))?;
    let (sum, more) = (folder.path().join("sum"), folder.path().join("more"));
    fs::rename(first, &sum).map_err(io_error("rename", first))?;
    for next in others {
        let mut merge = Command::new("gcov-tool");
        command::run("add up counters", merge.arg("merge").args([&sum, next]).arg("--output").arg(&more))?;
        for added in [&sum, next] {
            fs::remove_dir_all(added).map_err(io_error("remove", added))?;
        }
        fs::rename(&more, &sum).map_err(io_error("rename", &more))?;
    }
    copy_notes(notes, notes, &sum)?;
    counts(&sum)
}

/// Beside what was counted, under the same names.
fn copy_notes(notes: &Path, folder: &Path, to: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let path = entry.map_err(io_error("read", folder))?.path();
        if path.is_dir() {
            copy_notes(notes, &path, to)?;
        } else {
            let name = flat(&path.strip_prefix(notes).unwrap_or(&path).to_string_lossy());
            fs::copy(&path, to.join(name)).map_err(io_error("copy", &path))?;
        }
    }
    Ok(())
}

/// What gcov makes of it: of each object a line of JSON.
fn counts(folder: &Path) -> Result<Counts, Error> {
    let mut gcov = Command::new("gcov");
    gcov.args(["--json-format", "--stdout", "--branch-probabilities"]).current_dir(folder);
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let name = entry.map_err(io_error("read", folder))?.file_name();
        if Path::new(&name).extension().is_some_and(|ending| ending == "gcno") {
            gcov.arg(name);
        }
    }
    read(&command::run("read counters", &mut gcov)?)
}

#[derive(Deserialize)]
struct Object {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    file: String,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    line_number: u32,
    #[serde(default)]
    function_name: String,
    count: u64,
    branches: Vec<Branch>,
}

#[derive(Deserialize)]
struct Branch {
    count: u64,
}

/// Counts of a line and of its branches, by function.
type Functions = BTreeMap<String, (u64, Vec<u64>)>;

fn read(text: &str) -> Result<Counts, Error> {
    // A function of a header has the same branches wherever it is; others that share a line have theirs beside each other.
    let mut of_functions: BTreeMap<(String, u32), Functions> = BTreeMap::new();
    for object in serde_json::Deserializer::from_str(text).into_iter::<Object>() {
        for File { file, lines } in object.map_err(|cause| Error::Gcov(cause.to_string()))?.files {
            for line in lines {
                let functions = of_functions.entry((file.clone(), line.line_number)).or_default();
                let (executed, branches) = functions.entry(line.function_name).or_default();
                *executed += line.count;
                branches.resize(branches.len().max(line.branches.len()), 0);
                branches.iter_mut().zip(&line.branches).for_each(|(sum, branch)| *sum += branch.count);
            }
        }
    }
    let together = |functions: Functions| Count {
        executed: functions.values().map(|(executed, _)| executed).sum(),
        branches: functions.values().flat_map(|(_, branches)| branches).copied().collect(),
        function: functions.into_keys().next().unwrap_or_default(),
    };
    Ok(of_functions.into_iter().map(|(line, functions)| (line, together(functions))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_that_share_a_line_count_it_together() {
        let object = |function: &str, count: u64, branches: [u64; 2]| {
            let branches = branches.map(|count| serde_json::json!({"count": count, "throw": false}));
            let line = serde_json::json!({
                "line_number": 7, "function_name": function, "count": count, "branches": branches
            });
            serde_json::json!({"gcc_version": "12", "files": [{"file": "/s/fs/a.h", "lines": [line]}]}).to_string()
        };
        let text = [object("f", 3, [3, 0]), object("f", 4, [0, 4]), object("g", 5, [5, 0])].join("\n");
        let count = Count { function: "f".to_string(), executed: 12, branches: vec![3, 4, 5, 0] };
        assert_eq!(read(&text).unwrap(), Counts::from([(("/s/fs/a.h".to_string(), 7), count)]));
        assert!(read("gcov: odd").is_err());
    }

    #[test]
    fn kernels_of_one_machine_are_kept_apart() {
        let folder = tempfile::tempdir().unwrap();
        let told = |object: &str| (format!("cache/build/k/objects/{object}"), vec![1]);
        keep(&[told("fs/a.gcda"), told("fs/b.gcda"), told("fs/a.gcda")], &folder.path().join("claim.0")).unwrap();
        let is_kept = |path: &str| folder.path().join(path).is_file();
        assert!(is_kept("claim.0.0.arcs/fs#a.gcda") && is_kept("claim.0.0.arcs/fs#b.gcda"));
        assert!(is_kept("claim.0.1.arcs/fs#a.gcda") && !is_kept("claim.0.1.arcs/fs#b.gcda"));
    }
}
