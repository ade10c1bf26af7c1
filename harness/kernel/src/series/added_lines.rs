// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines that a series adds to a tree, and the patch that each comes from.

use std::collections::BTreeMap;

use vremount_util::command;

use crate::base::Level;
use crate::series::error::Error;
use crate::series::patch_series::Series;
use crate::source::{Tree, git_command};

/// A line of the tree at the highest level that the series added or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedLine {
    /// Path of the file in the tree.
    pub file: String,
    /// Line number, from 1.
    pub number: u32,
    /// Text of the line, without the newline.
    pub text: String,
    /// The level of the last patch that changed the line.
    pub level: Level,
}

impl Series {
    /// The lines that the series adds to `.c` and `.h` files, sorted by file and number.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if a patch does not apply exactly, [`Error::Command`] if git fails.
    pub fn added_lines(&self, pristine: &Tree) -> Result<Vec<AddedLine>, Error> {
        let repository = &pristine.repository;
        let mut levels = BTreeMap::new();
        for level in Level::patched() {
            let mut parse = git_command(repository, ["rev-parse", "--verify"]);
            let commit = parse.arg(format!("{}^{{commit}}", self.commit_of_level(pristine, level)?));
            levels.insert(command::run("find the commit of a level", commit)?.trim().to_string(), level);
        }
        let range = format!(
            "{}..{}",
            self.commit_of_level(pristine, Level::PRISTINE)?,
            self.commit_of_level(pristine, Level::FULL)?
        );
        let mut added = Vec::new();
        for file in self.changed_paths(pristine)?.lines().filter(|file| file.ends_with(".c") || file.ends_with(".h")) {
            let mut blame = git_command(repository, ["blame", "--line-porcelain"]);
            let lines = command::run("find the patch that added a line", blame.args([range.as_str(), "--", file]))?;
            added.extend(parse_blame(file, &lines, &levels));
        }
        Ok(added)
    }
}

/// Parses `git blame --line-porcelain` of a file. For each line it prints a header with commit and
/// line numbers, details of the commit, and a tab with the text.
fn parse_blame(file: &str, lines: &str, levels: &BTreeMap<String, Level>) -> Vec<AddedLine> {
    let mut added = Vec::new();
    let mut header = None;
    for line in lines.lines() {
        match (line.strip_prefix('\t'), header) {
            (Some(text), Some((level, number))) => {
                added.push(AddedLine { file: file.to_string(), number, text: text.to_string(), level });
                header = None;
            }
            (Some(_), None) => {}
            (None, _) => header = parse_header(line, levels).or(header),
        }
    }
    added
}

/// Parses `COMMIT ORIGINAL-LINE FINAL-LINE`, with or without the number of lines in the group. None
/// if the line is no header, or its commit belongs to no level.
fn parse_header(line: &str, levels: &BTreeMap<String, Level>) -> Option<(Level, u32)> {
    let mut fields = line.split(' ');
    let level = levels.get(fields.next()?)?;
    Some((*level, fields.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Toy;
    use super::*;
    use crate::base::PreApplied;

    #[test]
    fn only_lines_of_the_series_are_parsed() {
        let levels = BTreeMap::from([("a1".to_string(), Level::FIRST), ("a4".to_string(), Level::FULL)]);
        let lines = "b0 1 1 1\nauthor x\nboundary\nfilename f.c\n\told\n\
                     a4 7 2 2\nauthor x\nsummary a1 2 3\nfilename f.c\n\t\tnew\n\
                     a1 9 3\nauthor x\nfilename f.c\n\t\n";
        let line =
            |number, text: &str, level| AddedLine { file: "f.c".to_string(), number, text: text.to_string(), level };
        assert_eq!(parse_blame("f.c", lines, &levels), [line(2, "\tnew", Level::FULL), line(3, "", Level::FIRST)]);
    }

    #[test]
    fn added_lines_have_the_level_of_their_patch() {
        let toy = Toy::new();
        let series = Series::read(&toy.patches, &[], PreApplied::None, None).unwrap();
        let added = series.added_lines(&toy.pristine).unwrap();
        let found: Vec<_> = added.iter().map(|line| (line.number, line.text.as_str(), line.level.number())).collect();
        assert_eq!(found, [(2, "line 1", 1), (3, "line 3", 3), (4, "line 4", 4)]);
    }
}
