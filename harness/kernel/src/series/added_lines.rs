// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which lines of a tree with all of a series are of which of its patches.

use std::collections::BTreeMap;

use vremount_util::command;

use crate::base::Level;
use crate::series::{Error, Series};
use crate::source::{Tree, git};

/// A line of the tree at the highest level that the series added or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedLine {
    pub file: String,
    /// From 1.
    pub number: u32,
    pub text: String,
    /// The last patch that had a hand in it.
    pub level: Level,
}

impl Series {
    /// All such lines of files that are compiled, in the order of the tree.
    ///
    /// # Errors
    /// If a patch does not apply, or git fails.
    pub fn added(&self, pristine: &Tree) -> Result<Vec<AddedLine>, Error> {
        let repository = &pristine.repository;
        let mut levels = BTreeMap::new();
        for level in Level::patched() {
            let mut parse = git(repository, ["rev-parse", "--verify"]);
            let commit = parse.arg(format!("{}^{{commit}}", self.commit_at(pristine, level)?));
            levels.insert(command::run("find the commit of a level", commit)?.trim().to_string(), level);
        }
        let range =
            format!("{}..{}", self.commit_at(pristine, Level::PRISTINE)?, self.commit_at(pristine, Level::FULL)?);
        let mut added = Vec::new();
        for file in self.changes(pristine)?.lines().filter(|file| file.ends_with(".c") || file.ends_with(".h")) {
            let mut blame = git(repository, ["blame", "--line-porcelain"]);
            let lines = command::run("ask who added a line", blame.args([range.as_str(), "--", file]))?;
            added.extend(of_file(file, &lines, &levels));
        }
        Ok(added)
    }
}

/// A line of a file in full is a head with its commit and numbers, what there is to say of that commit, and a tab with the
/// text.
fn of_file(file: &str, lines: &str, levels: &BTreeMap<String, Level>) -> Vec<AddedLine> {
    let mut added = Vec::new();
    let mut head = None;
    for line in lines.lines() {
        match (line.strip_prefix('\t'), head) {
            (Some(text), Some((level, number))) => {
                added.push(AddedLine { file: file.to_string(), number, text: text.to_string(), level });
                head = None;
            }
            (Some(_), None) => {}
            (None, _) => head = of_head(line, levels).or(head),
        }
    }
    added
}

/// `COMMIT LINE-THERE LINE-HERE`, and how many follow; none if it is no such line, or of none of the commits.
fn of_head(line: &str, levels: &BTreeMap<String, Level>) -> Option<(Level, u32)> {
    let mut words = line.split(' ');
    let level = levels.get(words.next()?)?;
    Some((*level, words.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Toy;
    use super::*;
    use crate::base::PreApplied;

    #[test]
    fn only_lines_of_the_series_are_added() {
        let levels = BTreeMap::from([("a1".to_string(), Level::FIRST), ("a4".to_string(), Level::FULL)]);
        let lines = "b0 1 1 1\nauthor x\nboundary\nfilename f.c\n\told\n\
                     a4 7 2 2\nauthor x\nsummary a1 2 3\nfilename f.c\n\t\tnew\n\
                     a1 9 3\nauthor x\nfilename f.c\n\t\n";
        let line =
            |number, text: &str, level| AddedLine { file: "f.c".to_string(), number, text: text.to_string(), level };
        assert_eq!(of_file("f.c", lines, &levels), [line(2, "\tnew", Level::FULL), line(3, "", Level::FIRST)]);
    }

    #[test]
    fn lines_of_sources_are_of_the_patch_that_made_them() {
        let toy = Toy::new();
        let series = Series::read(&toy.patches, &[], PreApplied::Nothing, None).unwrap();
        let added = series.added(&toy.pristine).unwrap();
        let of: Vec<_> = added.iter().map(|line| (line.number, line.text.as_str(), line.level.number())).collect();
        assert_eq!(of, [(2, "line 1", 1), (3, "line 3", 3), (4, "line 4", 4)]);
    }
}
