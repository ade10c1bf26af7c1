// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commits of somebody's tree. `git bisect` chooses among them, in a repository of its own that has nothing but a view of
//! theirs: no ref, no index, no bisection of theirs is ever touched. It goes with us; the log is what stays.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use vremount_kernel::base::Base;
use vremount_kernel::source::{UserRepo, git};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{resolve, source};
use vremount_util::{command, io_error};

use crate::bisect::{BisectRange, Mark, NextStep, Revision};
use crate::error::Error;

pub struct GitRange<'a> {
    workspace: &'a Workspace,
    theirs: UserRepo,
    repository: TempDir,
    good: Vec<Revision>,
    bad: Revision,
    /// What git said last; none before it was asked.
    said: Option<String>,
}

impl<'a> GitRange<'a> {
    /// The history of the work tree that the folder is in, between commits that it knows by these names.
    ///
    /// # Errors
    /// If there is no such tree, or no such commits.
    pub fn new(workspace: &'a Workspace, folder: &Path, good: &[String], bad: &str) -> Result<Self, Error> {
        let theirs = UserRepo::find(folder)?;
        let repository = tempfile::tempdir().map_err(io_error("create a folder in", std::env::temp_dir()))?;
        let at = repository.path();
        command::run("make a repository", git(at, ["init", "--quiet", "--bare"]).arg(at))?;
        let alternates = at.join("objects/info/alternates");
        fs::write(&alternates, format!("{}\n", theirs.objects.display())).map_err(io_error("write", &alternates))?;
        if theirs.shallow.exists() {
            fs::copy(&theirs.shallow, at.join("shallow")).map_err(io_error("copy", &theirs.shallow))?;
        }
        let point = |name: &String| {
            let id = source::commit_in(&theirs.top, name)?;
            let mut subject = git(at, ["log", "-1", "--format=%s", &id, "--"]);
            let title = command::run("look at a commit", &mut subject)?.trim().to_string();
            Ok::<_, Error>(Revision { id, title })
        };
        let good: Vec<Revision> = good.iter().map(point).collect::<Result<_, _>>()?;
        let bad = point(&bad.to_string())?;
        // git bisects nothing without one.
        command::run("set HEAD", &mut git(at, ["update-ref", "HEAD", &bad.id]))?;
        Ok(GitRange { workspace, theirs, repository, good, bad, said: None })
    }

    /// The top folder of the tree.
    #[must_use]
    pub fn tree(&self) -> &Path {
        &self.theirs.top
    }

    fn bisect(&mut self, args: &[&str]) -> Result<(), Error> {
        let mut bisect = git(self.repository.path(), ["bisect"]);
        let said = match command::run("bisect", bisect.args(args).env("LC_ALL", "C")) {
            Ok(said) => said,
            // Of commits that were skipped none can be told apart.
            Err(command::Error::Failed { output, .. }) if output.contains(ONLY_SKIPPED) => output,
            Err(command::Error::Failed { output, .. }) => {
                return Err(Error::Usage(format!("failed to bisect between these commits: {}", output.trim())));
            }
            Err(error) => return Err(error.into()),
        };
        self.said = Some(said);
        Ok(())
    }

    fn point(&self, commit: &str) -> Result<Revision, Error> {
        let mut show = git(self.repository.path(), ["log", "-1", "--format=%H %s", commit, "--"]);
        let line = command::run("look at a commit", &mut show)?;
        let (id, title) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        Ok(Revision { id: id.to_string(), title: title.to_string() })
    }
}

const ONLY_SKIPPED: &str = "only 'skip'ped commits left";
const IS_FOUND: &str = " is the first bad commit";

impl BisectRange for GitRange<'_> {
    fn good(&self) -> &[Revision] {
        &self.good
    }

    fn bad(&self) -> &Revision {
        &self.bad
    }

    fn next(&mut self) -> Result<NextStep, Error> {
        let said = match &self.said {
            Some(said) => said,
            None => {
                let ids: Vec<_> = [&self.bad].into_iter().chain(&self.good).map(|point| point.id.clone()).collect();
                let start = ["start", "--no-checkout"].into_iter().chain(ids.iter().map(String::as_str));
                self.bisect(&start.collect::<Vec<_>>())?;
                return self.next();
            }
        };
        if said.contains(ONLY_SKIPPED) {
            let left: Result<_, _> = said.lines().filter(|line| is_id(line)).map(|id| self.point(id)).collect();
            return Ok(NextStep::Among(left?));
        }
        if said.contains(IS_FOUND) {
            return Ok(NextStep::Found(self.point("refs/bisect/bad")?));
        }
        Ok(NextStep::Examine(self.point("BISECT_HEAD")?, steps_left(said)))
    }

    fn mark(&mut self, point: &Revision, mark: Mark) -> Result<(), Error> {
        let word = match mark {
            Mark::Good => "good",
            Mark::Bad => "bad",
            Mark::Skip => "skip",
        };
        self.bisect(&[word, &point.id])
    }

    fn before(&self, point: &Revision) -> Result<Vec<String>, Error> {
        let mut show = git(self.repository.path(), ["log", "-1", "--format=%P", &point.id, "--"]);
        let parents = command::run("look at a commit", &mut show)?;
        Ok(parents.split_whitespace().map(ToString::to_string).collect())
    }

    fn base(&self, point: &Revision) -> Result<(Base, String), Error> {
        Ok(resolve::commit(self.workspace, &self.theirs.top, &point.id)?)
    }
}

fn is_id(line: &str) -> bool {
    line.len() >= 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `Bisecting: 31 revisions left to test after this (roughly 5 steps)`
fn steps_left(said: &str) -> Option<usize> {
    let (_, rest) = said.split_once("(roughly ")?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Bisecting: 31 revisions left to test after this (roughly 5 steps)\n[abc] x\n", Some(5))]
    #[case("Bisecting: 0 revisions left to test after this (roughly 1 step)\n", Some(1))]
    #[case("Bisecting: a merge base must be tested\n", None)]
    fn git_says_how_many_steps_remain(#[case] said: &str, #[case] expected: Option<usize>) {
        assert_eq!(steps_left(said), expected);
    }
}
