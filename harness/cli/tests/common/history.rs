// SPDX-License-Identifier: MIT OR Apache-2.0
//! A repository with commits to bisect, on top of the source of the default base. It shares the
//! objects of the source, so it is small. Its path and its commits are always the same, so the
//! cache keeps kernels that were built from it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use vremount_kernel::base::{Base, Level, PreApplied};
use vremount_kernel::series::Series;
use vremount_kernel::source::{self, Tree, git_command};
use vremount_kernel::workspace::Workspace;

use super::checkout;

/// A repository like that of a developer, without a checked-out work tree.
pub struct Repository {
    /// Path of the work tree.
    pub path: PathBuf,
    pristine: Tree,
}

/// Writes a linear history of commits.
pub struct Author<'a> {
    repository: &'a Repository,
    branch: &'static str,
    from: String,
    count: u32,
    /// Content of the files that differ from the first parent.
    files: BTreeMap<String, String>,
    stream: Vec<u8>,
}

impl Repository {
    pub fn new() -> Self {
        let workspace = Workspace::find().unwrap();
        let base = Base::find(&checkout(), None).unwrap();
        let pristine = source::obtain(&workspace, &base.source).unwrap();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bisect/linux");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        // git resolves symbolic links in the path.
        let repository = Repository { path: path.canonicalize().unwrap(), pristine };
        repository.git(&["init", "--quiet", "--initial-branch", "none"]);
        let objects = format!("{}\n", repository.pristine.repository.join("objects").display());
        fs::write(repository.path.join(".git/objects/info/alternates"), objects).unwrap();
        repository
    }

    /// Id of the commit of the pristine source.
    pub fn pristine(&self) -> String {
        let commit = format!("{}^{{commit}}", self.pristine.commit);
        let output = git_command(&self.pristine.repository, ["rev-parse", &commit]).output().unwrap();
        super::stdout(&output).trim().to_string()
    }

    /// Id of the commit with the whole series on top of the pristine source.
    pub fn with_series(&self) -> String {
        let base = Base::find(&checkout(), None).unwrap();
        let series = Series::read(&checkout().join("patches").join(base.series), &[], PreApplied::None, None).unwrap();
        let tag = series.commit_of_level(&self.pristine, Level::FULL).unwrap();
        let output =
            git_command(&self.pristine.repository, ["rev-parse", &format!("{tag}^{{commit}}")]).output().unwrap();
        super::stdout(&output).trim().to_string()
    }

    /// Runs git in the repository and returns its output.
    pub fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=toy", "-c", "user.email=toy@localhost"]).args(args).current_dir(&self.path);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", super::stderr(&output));
        super::stdout(&output).trim_end_matches('\n').to_string()
    }

    /// Starts a branch on top of a commit.
    pub fn author(&self, branch: &'static str, from: &str) -> Author<'_> {
        let (from, files) = (from.to_string(), BTreeMap::new());
        Author { repository: self, branch, from, count: 0, files, stream: Vec::new() }
    }
}

impl Author<'_> {
    /// Commits the replacement of `from`, which occurs once in the file, by `to`.
    pub fn commit_replacement(&mut self, path: &str, from: &str, to: &str, subject: &str) {
        let before = self.read(path);
        assert_eq!(before.matches(from).count(), 1, "{from:?} in {path}");
        let after = before.replace(from, to);
        self.commit(subject, &format!("M 100644 inline {path}\ndata {}\n{after}\n", after.len()));
        self.files.insert(path.to_string(), after);
    }

    /// Commits a comment at the end of a file.
    pub fn commit_comment(&mut self, path: &str) {
        let number = self.count + 1;
        let after = self.read(path) + &format!("/* Remark {number} */\n");
        let subject = format!("{path}: Remark {number}");
        self.commit(&subject, &format!("M 100644 inline {path}\ndata {}\n{after}\n", after.len()));
        self.files.insert(path.to_string(), after);
    }

    /// Commits the rename of a file, with a replacement in the Makefile that names it.
    pub fn commit_rename(&mut self, path: &str, to: &str, makefile: Option<(&str, &str, &str)>) {
        let mut changes = format!("R {path} {to}\n");
        if let Some((makefile, from, to)) = makefile {
            let after = self.read(makefile).replacen(from, to, 1);
            changes += &format!("M 100644 inline {makefile}\ndata {}\n{after}\n", after.len());
            self.files.insert(makefile.to_string(), after);
        }
        let content = self.read(path);
        self.commit(&format!("{path}: Rename to {to}"), &changes);
        self.files.remove(path);
        self.files.insert(to.to_string(), content);
    }

    /// Number of commits.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn read(&self, path: &str) -> String {
        let from_repository = || self.repository.git(&["show", &format!("{}:{path}", self.from)]) + "\n";
        self.files.get(path).cloned().unwrap_or_else(from_repository)
    }

    /// Adds a commit with a tag of the branch and its number: `main-1` and so on.
    fn commit(&mut self, subject: &str, changes: &str) {
        let from = if self.count == 0 { format!("from {}\n", self.from) } else { String::new() };
        self.count += 1;
        let Author { branch, count, .. } = self;
        write!(
            self.stream,
            "commit refs/heads/{branch}\nmark :{count}\ncommitter toy <toy@localhost> {} +0000\ndata {}\n{subject}\n\
             {from}{changes}reset refs/tags/{branch}-{count}\nfrom :{count}\n\n",
            1_606_400_000 + *count,
            subject.len()
        )
        .unwrap();
    }

    /// Imports all commits into the repository.
    pub fn import(self) {
        let mut import = Command::new("git");
        import.args(["fast-import", "--quiet"]).current_dir(&self.repository.path).stdin(Stdio::piped());
        let mut import = import.spawn().unwrap();
        import.stdin.take().unwrap().write_all(&self.stream).unwrap();
        assert!(import.wait().unwrap().success());
    }
}
