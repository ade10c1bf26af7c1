// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commits of other repositories, each without its history, in one repository of the cache: the next commit of the same
//! history costs only what differs.

use std::path::{Path, PathBuf};
use std::process::Command;

use vremount_util::{command, progress};

use crate::base::Git;
use crate::source::import::git;
use crate::source::{Error, Tree};
use crate::workspace::Workspace;

/// Whoever adds to the repository has it for itself.
pub const LOCK: &str = "source-git";

/// The commit of a pinned source, in the cache.
pub fn obtain(workspace: &Workspace, source: &Git) -> Result<Tree, Error> {
    let commits = GitCache::open(workspace)?;
    if !commits.has(&source.commit) {
        let _lock = workspace.lock(LOCK)?;
        commits.fetch(&source.git, &source.commit)?;
    }
    let found = commits.tree_of(&source.commit)?;
    match &source.tree {
        Some(expected) if *expected != found => {
            Err(Error::WrongTree { commit: source.commit.clone(), found, expected: expected.clone() })
        }
        _ => Ok(Tree { repository: commits.0, commit: source.commit.clone() }),
    }
}

/// A commit, branch or tag becomes the commit that it is now, in the cache.
pub fn resolve(workspace: &Workspace, url: &str, name: &str) -> Result<Git, Error> {
    let url = local(url).unwrap_or_else(|| url.to_string());
    let commits = GitCache::open(workspace)?;
    let _lock = workspace.lock(LOCK)?;
    let commit = match Path::new(&url).is_dir() {
        true => commit_in(Path::new(&url), name)?,
        false => name.to_string(),
    };
    let commit = if commits.has(&commit) { commit } else { commits.fetch(&url, &commit)? };
    let tree = Some(commits.tree_of(&commit)?);
    Ok(Git { git: url, commit, tree })
}

/// A folder in full: the current folder is not always the same.
fn local(url: &str) -> Option<String> {
    Some(Path::new(url).canonicalize().ok()?.to_string_lossy().into_owned())
}

/// The commit that a repository at hand knows by a name; only such a one can tell short ids and `HEAD~3`.
///
/// # Errors
/// If it knows none.
pub fn commit_in(repository: &Path, name: &str) -> Result<String, Error> {
    let mut parse = as_user(repository);
    parse.args(["rev-parse", "--quiet", "--verify", "--end-of-options", &format!("{name}^{{commit}}")]);
    match command::run("look for a commit", &mut parse) {
        Ok(commit) => Ok(commit.trim().to_string()),
        Err(command::Error::Failed { output, .. }) => {
            let (url, commit) = (repository.to_string_lossy().into_owned(), name.to_string());
            Err(Error::NoCommit { url, commit, output })
        }
        Err(error) => Err(error.into()),
    }
}

/// git in a folder of the user's, with the user's configuration, to read: nothing is refreshed on the way.
pub fn as_user(folder: &Path) -> Command {
    let mut command = configured_by_user(git(folder, Vec::<&str>::new()));
    command.env_remove("GIT_DIR").env("GIT_OPTIONAL_LOCKS", "0").current_dir(folder);
    command
}

/// Proxies, credentials and owners that are trusted are the user's.
fn configured_by_user(mut command: Command) -> Command {
    command.env_remove("GIT_CONFIG_GLOBAL").env_remove("GIT_CONFIG_NOSYSTEM");
    command
}

/// The repository of the cache; a commit that is whole has a tag.
pub struct GitCache(PathBuf);

impl GitCache {
    pub fn open(workspace: &Workspace) -> Result<Self, Error> {
        let repository = workspace.cache.join("tree/git.git");
        if !repository.join("HEAD").exists() {
            let _lock = workspace.lock(LOCK)?;
            command::run("make a repository", git(&repository, ["init", "--quiet", "--bare"]).arg(&repository))?;
        }
        Ok(GitCache(repository))
    }

    fn has(&self, commit: &str) -> bool {
        let tag = format!("refs/tags/{}", tag(commit));
        let is_id = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id
            && command::run("look for a commit", &mut git(&self.0, ["rev-parse", "--quiet", "--verify", &tag])).is_ok()
    }

    /// Fetches a commit, without its history. Gives its id.
    pub fn fetch(&self, from: &str, name: &str) -> Result<String, Error> {
        let _progress = progress::start(format!("fetching {name} of {from}"));
        let args = ["-c", "maintenance.auto=false", "fetch", "--quiet", "--depth=1", "--no-tags", "--update-shallow"];
        let mut fetch = configured_by_user(git(&self.0, args));
        // Whom it asks for a password is nobody.
        fetch.args(["--end-of-options", from, name]).env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        match command::run("fetch a kernel source", &mut fetch) {
            Ok(_) => {}
            Err(command::Error::Failed { output, .. }) => return Err(explained(from, name, output, &self.0)),
            Err(error) => return Err(error.into()),
        }
        let commit =
            command::run("look at a commit", &mut git(&self.0, ["rev-parse", "--verify", "FETCH_HEAD^{commit}"]))?;
        let commit = commit.trim().to_string();
        command::run("tag a commit", &mut git(&self.0, ["tag", "--force", &tag(&commit), &commit]))?;
        Ok(commit)
    }

    pub fn tree_of(&self, commit: &str) -> Result<String, Error> {
        let tree = command::run("look at a commit", &mut git(&self.0, ["log", "-1", "--format=%T", commit, "--"]))?;
        Ok(tree.trim().to_string())
    }
}

fn tag(commit: &str) -> String {
    format!("commit-{commit}")
}

fn explained(url: &str, commit: &str, output: String, repository: &Path) -> Error {
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    let url = url.to_string();
    if says(&["No space left on device"]) {
        Error::DiskFull(repository.to_path_buf())
    } else if says(&["Could not resolve", "Failed to connect", "Connection refused", "timed out"]) {
        Error::NoNetwork { from: url, output }
    } else if says(&["couldn't find remote ref", "not our ref", "does not allow request for unadvertised object"]) {
        Error::NoCommit { url, commit: commit.to_string(), output }
    } else {
        Error::NotFetched { url, output }
    }
}
