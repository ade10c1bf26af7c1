// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coverage data of kernels: stores the `.gcda` files that machines send, merges them with
//! `gcov-tool`, and reads the counts of lines and branches with `gcov`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde::Deserialize;
use vremount_kernel::build;
use vremount_util::{command, io_error};

use crate::error::Error;

/// Extension of a directory with the `.gcda` files of one kernel.
const DIR_EXTENSION: &str = "arcs";

/// Counts of a source line, summed over all objects and functions that contain it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LineCount {
    /// The first function, by name, that contains the line.
    pub function: String,
    /// Number of executions.
    pub executions: u64,
    /// Number of times that each branch of the line was taken.
    pub branches: Vec<u64>,
}

/// Counts by file, with the path that was passed to the compiler, and line.
pub type LineCounts = BTreeMap<(String, u32), LineCount>;

/// Stores the coverage data of a machine: path of a `.gcda` file and its content. Each kernel of
/// the machine gets its own directory, whose path starts with `name`.
pub(crate) fn store(data: &[(String, Vec<u8>)], name: &Path) -> io::Result<()> {
    for (index, (object, gcda)) in data.iter().enumerate() {
        // Each kernel sends each object once.
        let kernel = data[..index].iter().filter(|(other, _)| other == object).count();
        let folder = PathBuf::from(format!("{}.{kernel}.{DIR_EXTENSION}", name.display()));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(flat_name(object)), gcda)?;
    }
    Ok(())
}

/// File name for an object: its path below the build directory, with `#` for `/`.
fn flat_name(object: &str) -> String {
    let relative = object.rsplit_once(&format!("/{}/", build::OBJECTS_FOLDER)).map_or(object, |(_, relative)| relative);
    relative.replace('/', "#")
}

/// Merges the coverage data in the directory `logs`, removes it, and reads the counts. `notes` is
/// the directory with the `.gcno` files of the same kernel build.
///
/// # Errors
/// [`Error::NoCoverageData`] if there is no data, [`Error::Kernel`] if gcov-tool or gcov fails,
/// [`Error::Gcov`] if the output of gcov is malformed, and [`Error::Io`] if a file operation fails.
pub fn merge_counts(logs: &Path, notes: &Path) -> Result<LineCounts, Error> {
    let entries = fs::read_dir(logs).map_err(io_error("read", logs))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let dirs: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == DIR_EXTENSION)).collect();
    let (first, others) = dirs.split_first().ok_or(Error::NoCoverageData)?;
    let folder = tempfile::tempdir_in(logs).map_err(io_error("create a directory in", logs))?;
    let (sum, merged) = (folder.path().join("sum"), folder.path().join("merged"));
    fs::rename(first, &sum).map_err(io_error("rename", first))?;
    for next in others {
        let mut merge = Command::new("gcov-tool");
        command::run("merge coverage data", merge.arg("merge").args([&sum, next]).arg("--output").arg(&merged))?;
        for source in [&sum, next] {
            fs::remove_dir_all(source).map_err(io_error("remove", source))?;
        }
        fs::rename(&merged, &sum).map_err(io_error("rename", &merged))?;
    }
    copy_notes(notes, notes, &sum)?;
    run_gcov(&sum)
}

/// Copies the `.gcno` files below `folder` to the directory `to`, where gcov expects them next to
/// the `.gcda` files.
fn copy_notes(notes: &Path, folder: &Path, to: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let path = entry.map_err(io_error("read", folder))?.path();
        if path.is_dir() {
            copy_notes(notes, &path, to)?;
        } else {
            let name = flat_name(&path.strip_prefix(notes).unwrap_or(&path).to_string_lossy());
            fs::copy(&path, to.join(name)).map_err(io_error("copy", &path))?;
        }
    }
    Ok(())
}

/// Runs gcov on all objects in a directory. It prints one line of JSON for each.
fn run_gcov(folder: &Path) -> Result<LineCounts, Error> {
    let mut gcov = Command::new("gcov");
    gcov.args(["--json-format", "--stdout", "--branch-probabilities"]).current_dir(folder);
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let name = entry.map_err(io_error("read", folder))?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "gcno") {
            gcov.arg(name);
        }
    }
    parse(&command::run("read coverage data", &mut gcov)?)
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

/// Executions and branches of a line, by function.
type Functions = BTreeMap<String, (u64, Vec<u64>)>;

/// Parses the output of gcov.
fn parse(text: &str) -> Result<LineCounts, Error> {
    // A function of a header is in several objects: its counts are added. Several functions can
    // share a line, for example when a macro defines them: their branches are concatenated.
    let mut lines_by_function: BTreeMap<(String, u32), Functions> = BTreeMap::new();
    for object in serde_json::Deserializer::from_str(text).into_iter::<Object>() {
        for File { file, lines } in object.map_err(Error::Gcov)?.files {
            for line in lines {
                let functions = lines_by_function.entry((file.clone(), line.line_number)).or_default();
                let (executed, branches) = functions.entry(line.function_name).or_default();
                *executed += line.count;
                branches.resize(branches.len().max(line.branches.len()), 0);
                branches.iter_mut().zip(&line.branches).for_each(|(sum, branch)| *sum += branch.count);
            }
        }
    }
    let total = |functions: Functions| LineCount {
        executions: functions.values().map(|(executed, _)| executed).sum(),
        branches: functions.values().flat_map(|(_, branches)| branches).copied().collect(),
        function: functions.into_keys().next().unwrap_or_default(),
    };
    Ok(lines_by_function.into_iter().map(|(line, functions)| (line, total(functions))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_objects_with_same_line_are_summed() {
        let object = |function: &str, count: u64, branches: [u64; 2]| {
            let branches = branches.map(|count| serde_json::json!({"count": count, "throw": false}));
            let line = serde_json::json!({
                "line_number": 7, "function_name": function, "count": count, "branches": branches
            });
            serde_json::json!({"gcc_version": "12", "files": [{"file": "/s/fs/a.h", "lines": [line]}]}).to_string()
        };
        let text = [object("f", 3, [3, 0]), object("f", 4, [0, 4]), object("g", 5, [5, 0])].join("\n");
        let count = LineCount { function: "f".to_string(), executions: 12, branches: vec![3, 4, 5, 0] };
        assert_eq!(parse(&text).unwrap(), LineCounts::from([(("/s/fs/a.h".to_string(), 7), count)]));
        assert!(parse("gcov: odd").is_err());
    }

    #[test]
    fn each_kernel_of_a_machine_has_its_own_directory() {
        let folder = tempfile::tempdir().unwrap();
        let data = |object: &str| (format!("cache/build/k/objects/{object}"), vec![1]);
        store(&[data("fs/a.gcda"), data("fs/b.gcda"), data("fs/a.gcda")], &folder.path().join("claim.0")).unwrap();
        let is_stored = |path: &str| folder.path().join(path).is_file();
        assert!(is_stored("claim.0.0.arcs/fs#a.gcda") && is_stored("claim.0.0.arcs/fs#b.gcda"));
        assert!(is_stored("claim.0.1.arcs/fs#a.gcda") && !is_stored("claim.0.1.arcs/fs#b.gcda"));
    }
}
