// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads mutants from files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use vremount_kernel::base::Level;
use vremount_kernel::series::Series;
use vremount_kernel::source::Tree;
use vremount_kernel::{build, series};
use vremount_util::{command, io_error};

use crate::error::Error;

/// Begins the paragraph that explains why no test can detect a mutant.
const EQUIVALENT: &str = "Nobody can tell: ";
/// Begins each file of a git diff.
const DIFF: &str = "diff --git ";

/// A faulty version of the series: a diff on top of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// Name of the file, without `.patch`.
    pub name: String,
    /// What is wrong, from the first paragraph of the file.
    pub description: String,
    /// Why no test can detect it, from the paragraph that begins with `Nobody can tell: `; none
    /// without such a paragraph.
    pub equivalence: Option<String>,
    /// The file.
    pub(super) patch: PathBuf,
    /// Whether it changes files outside `fs/overlayfs/`, and so needs a kernel image and not only a
    /// module.
    pub(super) changes_image: bool,
}

impl Mutant {
    /// The mutants of a folder, sorted by name.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such folder, it contains no `.patch`, or a file is not a
    /// mutant; an I/O error if a file cannot be read.
    pub fn all(folder: &Path) -> Result<Vec<Mutant>, Error> {
        const NEXT: &str = "name another folder with --from (see patches/README.md)";
        let not_found = |why: String| Error::Usage(format!("failed to find mutants: {why}; {NEXT}"));
        if !folder.is_dir() {
            return Err(not_found(format!("there is no folder {}", folder.display())));
        }
        let mut mutants = Vec::new();
        for patch in files(folder).map_err(io_error("read", folder))? {
            let bytes = fs::read(&patch).map_err(io_error("read", &patch))?;
            mutants.push(Mutant::parse(&patch, &bytes)?);
        }
        if mutants.is_empty() {
            return Err(not_found(format!("there is no .patch in {}", folder.display())));
        }
        Ok(mutants)
    }

    fn parse(patch: &Path, bytes: &[u8]) -> Result<Mutant, Error> {
        let invalid = |why: &str| {
            let next = "correct it as patches/README.md describes";
            Error::Usage(format!("failed to read {} as a mutant: {why}; {next}", patch.display()))
        };
        let text = str::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text"))?;
        let first = text.lines().position(|line| line.starts_with(DIFF));
        let first = first.ok_or_else(|| invalid("it contains no git diff"))?;
        let header: Vec<_> = text.lines().take(first).collect();
        let header = header.join("\n");
        let mut paragraphs = header.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
        let what = paragraphs.next().filter(|what| !what.is_empty());
        let what = what.ok_or_else(|| invalid("it does not begin with a sentence about what is wrong with it"))?;
        let argument = paragraphs.find_map(|words| words.strip_prefix(EQUIVALENT).map(str::to_string));
        let mut changed = text.lines().filter_map(|line| line.strip_prefix(DIFF));
        let changes_image = changed.any(|paths| !paths.starts_with("a/fs/overlayfs/"));
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Mutant { name, description: what, equivalence: argument, patch: patch.to_path_buf(), changes_image })
    }
}

/// The folder for mutants of a series. It may not exist.
#[must_use]
pub fn folder(root: &Path, series: &str) -> PathBuf {
    root.join("patches").join(series).join("mutants")
}

/// The `.patch` files of a folder, sorted by name.
///
/// # Errors
/// If the folder cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_patch = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "patch");
    Ok(command::sorted_entries(folder)?.into_iter().filter(is_patch).collect())
}

/// The mutants of a folder that do not apply on top of the series.
///
/// # Errors
/// If the folder cannot be read, or the series itself does not apply.
pub fn inapplicable(folder: &Path, series: &Series, pristine: &Tree) -> Result<Vec<PathBuf>, build::Error> {
    let commit = series.commit_of_level(pristine, Level::FULL)?;
    let tree = Tree { repository: pristine.repository.clone(), commit };
    let apply_check = series::ApplyCheck::new(&tree)?;
    let mut failed = Vec::new();
    for patch in files(folder).map_err(io_error("read", folder))? {
        if !apply_check.can_apply(&patch)? {
            failed.push(patch);
        }
    }
    Ok(failed)
}
