// SPDX-License-Identifier: MIT OR Apache-2.0
//! A repository with histories to bisect, on top of the real source of the default base. It takes no room of its own but for
//! what its commits change, and is always the same in the same place, so that what was built of it once is in the cache.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use vremount_kernel::base::{Base, Level, PreApplied};
use vremount_kernel::series::Series;
use vremount_kernel::source::{self, Tree, git};
use vremount_kernel::workspace::Workspace;

use super::checkout;

/// A developer's repository, with nothing checked out.
pub struct Repository {
    pub path: PathBuf,
    pristine: Tree,
}

/// Writes commits, one on top of the other.
pub struct Author<'a> {
    repository: &'a Repository,
    branch: &'static str,
    from: String,
    count: u32,
    /// Files that differ from where it began.
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
        // As git names it.
        let repository = Repository { path: path.canonicalize().unwrap(), pristine };
        repository.git(&["init", "--quiet", "--initial-branch", "none"]);
        let objects = format!("{}\n", repository.pristine.repository.join("objects").display());
        fs::write(repository.path.join(".git/objects/info/alternates"), objects).unwrap();
        repository
    }

    /// The commit of the pristine source.
    pub fn pristine(&self) -> String {
        let commit = format!("{}^{{commit}}", self.pristine.commit);
        let output = git(&self.pristine.repository, ["rev-parse", &commit]).output().unwrap();
        super::stdout(&output).trim().to_string()
    }

    /// The commit with all of the series on top of that.
    pub fn with_series(&self) -> String {
        let base = Base::find(&checkout(), None).unwrap();
        let series =
            Series::read(&checkout().join("patches").join(base.series), &[], PreApplied::Nothing, None).unwrap();
        let tag = series.commit_at(&self.pristine, Level::FULL).unwrap();
        let output = git(&self.pristine.repository, ["rev-parse", &format!("{tag}^{{commit}}")]).output().unwrap();
        super::stdout(&output).trim().to_string()
    }

    pub fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=toy", "-c", "user.email=toy@localhost"]).args(args).current_dir(&self.path);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", super::stderr(&output));
        super::stdout(&output).trim_end_matches('\n').to_string()
    }

    pub fn author(&self, branch: &'static str, from: &str) -> Author<'_> {
        let (from, files) = (from.to_string(), BTreeMap::new());
        Author { repository: self, branch, from, count: 0, files, stream: Vec::new() }
    }
}

impl Author<'_> {
    /// A commit that puts `to` in the place of `from`, which is there once.
    pub fn replaces(&mut self, path: &str, from: &str, to: &str, subject: &str) {
        let before = self.read(path);
        assert_eq!(before.matches(from).count(), 1, "{from:?} in {path}");
        let after = before.replace(from, to);
        self.commit(subject, &format!("M 100644 inline {path}\ndata {}\n{after}\n", after.len()));
        self.files.insert(path.to_string(), after);
    }

    /// A commit that changes what only people read.
    pub fn remarks(&mut self, path: &str) {
        let number = self.count + 1;
        let after = self.read(path) + &format!("/* Remark {number} */\n");
        let subject = format!("{path}: Remark {number}");
        self.commit(&subject, &format!("M 100644 inline {path}\ndata {}\n{after}\n", after.len()));
        self.files.insert(path.to_string(), after);
    }

    /// A commit that gives a file another name, and says so in the Makefile that knows it.
    pub fn renames(&mut self, path: &str, to: &str, makefile: Option<(&str, &str, &str)>) {
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

    /// How many commits there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn read(&self, path: &str) -> String {
        let there = || self.repository.git(&["show", &format!("{}:{path}", self.from)]) + "\n";
        self.files.get(path).cloned().unwrap_or_else(there)
    }

    /// Each commit has a tag: branch and number, `main-1` and so on.
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

    /// Puts all of it in the repository.
    pub fn done(self) {
        let mut import = Command::new("git");
        import.args(["fast-import", "--quiet"]).current_dir(&self.repository.path).stdin(Stdio::piped());
        let mut import = import.spawn().unwrap();
        import.stdin.take().unwrap().write_all(&self.stream).unwrap();
        assert!(import.wait().unwrap().success());
    }
}
