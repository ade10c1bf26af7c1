// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commits of a git work tree. `git bisect` runs in a temporary bare repository that borrows
//! the objects of the tree. The refs, the index and the bisections of the tree are not touched.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use vremount_kernel::base::Base;
use vremount_kernel::source::{UserRepo, git_command};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{resolve, source};
use vremount_util::{command, io_error};

use crate::bisect::policy::Mark;
use crate::bisect::range::{BisectRange, NextStep, Revision};
use crate::error::Error;

/// The commits between good ones and a bad one.
pub struct GitRange<'a> {
    workspace: &'a Workspace,
    user_repo: UserRepo,
    /// The temporary repository. It is removed when this is dropped.
    repository: TempDir,
    good: Vec<Revision>,
    bad: Revision,
    /// Output of the last `git bisect`; none before the first.
    output: Option<String>,
}

impl<'a> GitRange<'a> {
    /// The history of the work tree that contains `folder`, between the commits with these names.
    ///
    /// # Errors
    /// If the folder is not in a git work tree, the tree has no such commits, or git fails.
    pub fn new(workspace: &'a Workspace, folder: &Path, good: &[String], bad: &str) -> Result<Self, Error> {
        let user_repo = UserRepo::find(folder)?;
        let repository = tempfile::tempdir().map_err(io_error("create a folder in", std::env::temp_dir()))?;
        let path = repository.path();
        command::run("create a repository", git_command(path, ["init", "--quiet", "--bare"]).arg(path))?;
        let alternates = path.join("objects/info/alternates");
        fs::write(&alternates, format!("{}\n", user_repo.objects.display())).map_err(io_error("write", &alternates))?;
        if user_repo.shallow.exists() {
            fs::copy(&user_repo.shallow, path.join("shallow")).map_err(io_error("copy", &user_repo.shallow))?;
        }
        let revision = |name: &str| {
            let id = source::resolve_commit(&user_repo.top, name)?;
            let mut subject = git_command(path, ["log", "-1", "--format=%s", &id, "--"]);
            let title = command::run("read a commit", &mut subject)?.trim().to_string();
            Ok::<_, Error>(Revision { id, title })
        };
        let good: Vec<Revision> = good.iter().map(|name| revision(name)).collect::<Result<_, _>>()?;
        let bad = revision(bad)?;
        // `git bisect` needs a HEAD.
        command::run("set HEAD", &mut git_command(path, ["update-ref", "HEAD", &bad.id]))?;
        Ok(GitRange { workspace, user_repo, repository, good, bad, output: None })
    }

    /// The top directory of the work tree.
    #[must_use]
    pub fn top_dir(&self) -> &Path {
        &self.user_repo.top
    }

    fn bisect(&mut self, args: &[&str]) -> Result<(), Error> {
        let mut bisect = git_command(self.repository.path(), ["bisect"]);
        let output = match command::run("bisect", bisect.args(args).env("LC_ALL", "C")) {
            Ok(output) => output,
            // git exits with an error if only skipped commits are left.
            Err(command::Error::Failed { output, .. }) if output.contains(ONLY_SKIPPED) => output,
            Err(command::Error::Failed { output, .. }) => {
                let cause = output.trim();
                let next = "name other commits with --good and --bad";
                return Err(Error::Usage(format!("failed to bisect between these commits: {cause}; {next}")));
            }
            Err(error) => return Err(error.into()),
        };
        self.output = Some(output);
        Ok(())
    }

    fn revision(&self, commit: &str) -> Result<Revision, Error> {
        let mut show = git_command(self.repository.path(), ["log", "-1", "--format=%H %s", commit, "--"]);
        let line = command::run("read a commit", &mut show)?;
        let (id, title) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        Ok(Revision { id: id.to_string(), title: title.to_string() })
    }
}

/// Output of `git bisect` when only skipped commits are left.
const ONLY_SKIPPED: &str = "only 'skip'ped commits left";
/// Output of `git bisect` when the search has ended.
const IS_FOUND: &str = " is the first bad commit";

impl BisectRange for GitRange<'_> {
    fn good(&self) -> &[Revision] {
        &self.good
    }

    fn bad(&self) -> &Revision {
        &self.bad
    }

    fn next(&mut self) -> Result<NextStep, Error> {
        let output = match &self.output {
            Some(output) => output,
            None => {
                let ids: Vec<_> =
                    [&self.bad].into_iter().chain(&self.good).map(|revision| revision.id.clone()).collect();
                let start = ["start", "--no-checkout"].into_iter().chain(ids.iter().map(String::as_str));
                self.bisect(&start.collect::<Vec<_>>())?;
                return self.next();
            }
        };
        if output.contains(ONLY_SKIPPED) {
            let left: Result<_, _> = output.lines().filter(|line| is_id(line)).map(|id| self.revision(id)).collect();
            return Ok(NextStep::Undecided(left?));
        }
        if output.contains(IS_FOUND) {
            return Ok(NextStep::Found(self.revision("refs/bisect/bad")?));
        }
        Ok(NextStep::Test(self.revision("BISECT_HEAD")?, steps_left(output)))
    }

    fn mark(&mut self, revision: &Revision, mark: Mark) -> Result<(), Error> {
        self.bisect(&[&mark.to_string(), &revision.id])
    }

    fn parents(&self, revision: &Revision) -> Result<Vec<String>, Error> {
        let mut show = git_command(self.repository.path(), ["log", "-1", "--format=%P", &revision.id, "--"]);
        let parents = command::run("read a commit", &mut show)?;
        Ok(parents.split_whitespace().map(ToString::to_string).collect())
    }

    fn resolve(&self, revision: &Revision) -> Result<(Base, String), Error> {
        Ok(resolve::base_of_commit(self.workspace, &self.user_repo.top, &revision.id)?)
    }
}

fn is_id(line: &str) -> bool {
    line.len() >= 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The number of steps in `Bisecting: 31 revisions left to test after this (roughly 5 steps)`; none
/// in other output.
fn steps_left(output: &str) -> Option<usize> {
    let (_, rest) = output.split_once("(roughly ")?;
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
    fn steps_left_are_read_from_the_output_of_git(#[case] output: &str, #[case] expected: Option<usize>) {
        assert_eq!(steps_left(output), expected);
    }
}
