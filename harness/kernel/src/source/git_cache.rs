// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commits of other repositories, each without its history, in one repository of the cache. A
//! further commit of the same history only costs the objects that differ.

use std::path::{Path, PathBuf};

use vremount_util::{command, progress};

use crate::base::Git;
use crate::source::error::Error;
use crate::source::git_command::{as_user, git_command, rejection_reason, with_user_config};
use crate::source::tree::Tree;
use crate::source::user_path::{self, is_ref_name, is_remote};
use crate::workspace::Workspace;

/// Name of the lock that a process holds while it adds commits to the repository.
pub const LOCK: &str = "source-git";

/// The tree of a pinned commit. A commit that is in the cache is not fetched again.
///
/// # Errors
/// [`Error::WrongTree`] if its tree is not the pinned one; another [`Error`] if the commit cannot
/// be fetched.
pub fn obtain(workspace: &Workspace, source: &Git) -> Result<Tree, Error> {
    let cache = GitCache::open(workspace)?;
    if !cache.has(&source.commit) {
        let _lock = workspace.lock(LOCK)?;
        cache.fetch(&source.git, &source.commit)?;
    }
    let found = cache.tree_of(&source.commit)?;
    match &source.tree {
        Some(expected) if *expected != found => {
            Err(Error::WrongTree { commit: source.commit.clone(), found, expected: expected.clone() })
        }
        _ => Ok(Tree { repository: cache.0, commit: source.commit.clone() }),
    }
}

/// Pins a commit, branch or tag of a repository that the user named, and fetches the commit. `url`
/// is a URL, a folder in a repository, or a git bundle.
///
/// # Errors
/// [`Error::NoRepository`] or [`Error::NoCommit`] if what the user named does not exist; another
/// [`Error`] if the commit cannot be fetched.
pub fn resolve(workspace: &Workspace, url: &str, name: &str) -> Result<Git, Error> {
    let local = if is_remote(url) { None } else { Some(LocalRepo::find(url)?) };
    let no_commit = || Error::NoCommit { url: url.to_string(), commit: name.to_string() };
    let (url, name) = match local {
        Some(LocalRepo::Folder(top)) => {
            let commit = resolve_commit(Path::new(&top), name)?;
            (top, commit)
        }
        _ if !is_ref_name(name) => return Err(no_commit()),
        Some(LocalRepo::File(path)) => (path, name.to_string()),
        None => (url.to_string(), name.to_string()),
    };
    let cache = GitCache::open(workspace)?;
    let _lock = workspace.lock(LOCK)?;
    let commit = match cache.has(&name) {
        true => name,
        false => cache.fetch(&url, &name).map_err(|error| match error {
            Error::CommitGone { .. } => no_commit(),
            error => error,
        })?,
    };
    let tree = Some(cache.tree_of(&commit)?);
    Ok(Git { git: url, commit, tree })
}

/// A repository on this machine, by its absolute path: the current folder may differ in a later
/// run.
enum LocalRepo {
    /// The top folder of the work tree, or the git folder of a bare repository.
    Folder(String),
    /// A file, which may be a git bundle.
    File(String),
}

impl LocalRepo {
    fn find(path: &str) -> Result<Self, Error> {
        let no_repository = |reason: String| Error::NoRepository { path: path.to_string(), reason };
        let absolute = user_path::absolute(Path::new(path), no_repository)?;
        let folder = Path::new(&absolute);
        if !folder.is_dir() {
            let mut verify = as_user(folder.parent().unwrap_or(folder));
            let verified = command::run("verify a git bundle", verify.args(["bundle", "list-heads"]).arg(folder));
            return match verified {
                Ok(_) => Ok(LocalRepo::File(absolute)),
                Err(command::Error::Failed { .. }) => {
                    Err(no_repository("it is neither a folder nor a git bundle".to_string()))
                }
                Err(error) => Err(error.into()),
            };
        }
        let rev_parse = |arg: &str| command::run("find a git repository", as_user(folder).args(["rev-parse", arg]));
        let found = match rev_parse("--show-toplevel") {
            Err(command::Error::Failed { output, .. }) if output.contains("must be run in a work tree") => {
                rev_parse("--absolute-git-dir")
            }
            found => found,
        };
        match found {
            Ok(output) => Ok(LocalRepo::Folder(user_path::supported(&user_path::from_output(&output))?.to_string())),
            Err(error) => Err(explain_rejection(error, no_repository)),
        }
    }
}

/// Converts a failure of git. If what the user named is the cause, the result is that of `rejected`,
/// which receives the reason; otherwise it is [`Error::Command`].
pub fn explain_rejection(error: command::Error, rejected: impl FnOnce(String) -> Error) -> Error {
    match &error {
        command::Error::Failed { output, .. } => match rejection_reason(output) {
            Some(reason) => rejected(reason.to_string()),
            None => error.into(),
        },
        _ => error.into(),
    }
}

/// The id of a commit of a local repository. `name` is anything that gitrevisions(7) allows: a
/// branch, a tag, an abbreviated id, `HEAD~3`.
///
/// # Errors
/// [`Error::NoCommit`] if the repository has no such commit, [`Error::NoRepository`] if it is no
/// repository.
pub fn resolve_commit(repository: &Path, name: &str) -> Result<String, Error> {
    let mut parse = as_user(repository);
    parse.args(["rev-parse", "--quiet", "--verify", "--end-of-options", &format!("{name}^{{commit}}")]);
    let path = || repository.display().to_string();
    match command::run("look for a commit", &mut parse) {
        Ok(commit) => Ok(commit.trim().to_string()),
        Err(command::Error::Failed { output, status, .. })
            if status.code() == Some(1) || output.contains("ambiguous") || output.contains("bad revision") =>
        {
            Err(Error::NoCommit { url: path(), commit: name.to_string() })
        }
        Err(error) => Err(explain_rejection(error, |reason| Error::NoRepository { path: path(), reason })),
    }
}

/// The repository of the cache. Each commit that was fetched completely has a tag.
pub struct GitCache(PathBuf);

impl GitCache {
    /// Opens the repository, and creates it if needed.
    pub fn open(workspace: &Workspace) -> Result<Self, Error> {
        let repository = workspace.cache.join("tree/git.git");
        if !repository.join("HEAD").exists() {
            let _lock = workspace.lock(LOCK)?;
            command::run(
                "create a repository",
                git_command(&repository, ["init", "--quiet", "--bare"]).arg(&repository),
            )?;
        }
        Ok(GitCache(repository))
    }

    fn has(&self, commit: &str) -> bool {
        let tag = format!("refs/tags/{}", tag(commit));
        let mut parse = git_command(&self.0, ["rev-parse", "--quiet", "--verify", &tag]);
        crate::base::is_object_id(commit) && command::run("look for a commit", &mut parse).is_ok()
    }

    /// Fetches a commit without its history and returns its id. The caller holds the lock.
    pub fn fetch(&self, from: &str, name: &str) -> Result<String, Error> {
        let _progress = progress::start(format!("fetching {name} of {from}"));
        let args = ["-c", "maintenance.auto=false", "fetch", "--quiet", "--depth=1", "--no-tags", "--update-shallow"];
        let mut fetch = with_user_config(git_command(&self.0, args));
        // There is no terminal on which git could ask for a password.
        fetch.args(["--end-of-options", from, name]).env("GIT_TERMINAL_PROMPT", "0");
        match command::run("fetch a kernel source", &mut fetch) {
            Ok(_) => {}
            Err(command::Error::Failed { output, .. }) => return Err(explain_fetch(from, name, output, &self.0)),
            Err(error) => return Err(error.into()),
        }
        let mut parse = git_command(&self.0, ["rev-parse", "--verify", "FETCH_HEAD^{commit}"]);
        let commit = command::run("read the id of a commit", &mut parse)?.trim().to_string();
        command::run("tag a commit", &mut git_command(&self.0, ["tag", "--force", &tag(&commit), &commit]))?;
        Ok(commit)
    }

    /// The id of the tree of a commit.
    pub fn tree_of(&self, commit: &str) -> Result<String, Error> {
        let mut log = git_command(&self.0, ["log", "-1", "--format=%T", commit, "--"]);
        Ok(command::run("read the tree of a commit", &mut log)?.trim().to_string())
    }
}

fn tag(commit: &str) -> String {
    format!("commit-{commit}")
}

/// Why git fetch failed, from its output: it has one exit status for all failures.
fn explain_fetch(url: &str, commit: &str, output: String, repository: &Path) -> Error {
    let contains_any = |texts: &[&str]| texts.iter().any(|text| output.contains(text));
    let url = url.to_string();
    if contains_any(&["No space left on device"]) {
        Error::DiskFull(repository.to_path_buf())
    } else if contains_any(&["Could not resolve", "Failed to connect", "Connection refused", "timed out"]) {
        Error::NoNetwork { from: url, output }
    } else if contains_any(&[
        "couldn't find remote ref",
        "not our ref",
        "does not allow request for unadvertised object",
    ]) {
        Error::CommitGone { url, commit: commit.to_string(), output }
    } else {
        Error::NotFetched { url, output }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    struct Fixture {
        folder: tempfile::TempDir,
        workspace: Workspace,
    }

    impl Fixture {
        /// A repository `linux's tree` with one commit, the tag `v1` and the bundle `linux.bundle`.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let workspace = Workspace { root: PathBuf::new(), cache: folder.path().join("cache") };
            let top = folder.path().join("linux's tree");
            fs::create_dir_all(top.join("fs")).unwrap();
            fs::write(top.join("fs/file"), "content").unwrap();
            let run = |args: &[&str]| {
                let mut git = git_command(&top.join(".git"), ["--work-tree"]);
                command::run("prepare", git.arg(&top).args(args).current_dir(&top)).unwrap();
            };
            run(&["init", "--quiet"]);
            run(&["add", "--all"]);
            run(&["commit", "--quiet", "--message", "first"]);
            run(&["tag", "v1"]);
            run(&["bundle", "create", "--quiet", "../linux.bundle", "v1"]);
            fs::create_dir(folder.path().join("empty")).unwrap();
            fs::write(folder.path().join("file"), "text").unwrap();
            Fixture { folder, workspace }
        }

        fn resolve(&self, path: &str, name: &str) -> Result<Git, Error> {
            resolve(&self.workspace, self.folder.path().join(path).to_str().unwrap(), name)
        }
    }

    #[rstest]
    #[case::top("linux's tree", "v1")]
    #[case::folder_inside("linux's tree/fs", "HEAD")]
    #[case::git_folder("linux's tree/.git", "HEAD")]
    #[case::bundle("linux.bundle", "v1")]
    fn commit_of_a_local_repository_is_fetched(#[case] path: &str, #[case] name: &str) {
        let fixture = Fixture::new();
        let source = fixture.resolve(path, name).unwrap();
        assert!(source.commit.len() == 40 && source.git.starts_with('/'), "{source:?}");
        obtain(&fixture.workspace, &source).unwrap();
        let other_tree = Git { tree: Some("0".repeat(40)), ..source };
        assert!(matches!(obtain(&fixture.workspace, &other_tree), Err(Error::WrongTree { .. })));
    }

    #[rstest]
    #[case::missing("nowhere", "HEAD", "it does not exist")]
    #[case::below_a_file("file/below", "HEAD", "it does not exist")]
    #[case::no_repository("empty", "HEAD", "it is not in a git repository")]
    #[case::file("file", "HEAD", "it is neither a folder nor a git bundle")]
    #[case::no_branch("linux's tree", "v2", "failed to find commit v2")]
    #[case::no_commit_id("linux's tree", "be4df0cea08a8b59eb38d73de988b7ba8022df41", "failed to find commit be4df0cea")]
    #[case::file_in_the_tree("linux's tree", "HEAD:fs/file", "failed to find commit HEAD:fs/file")]
    #[case::option("linux's tree", "--all", "failed to find commit --all")]
    #[case::refspec_of_a_bundle("linux.bundle", "v1:v2", "failed to find commit v1:v2")]
    #[case::no_branch_of_a_bundle("linux.bundle", "v2", "failed to find commit v2")]
    fn source_that_does_not_exist_is_bad_usage(#[case] path: &str, #[case] name: &str, #[case] expected: &str) {
        let error = Fixture::new().resolve(path, name).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.is_usage(), "{error:?}");
    }
}
