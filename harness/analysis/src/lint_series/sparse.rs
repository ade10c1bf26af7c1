// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sparse that a kernel takes: the machine's own, or else the pinned one, built here.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use vremount_kernel::base::{Package, Source};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{build, series, source};
use vremount_util::atomic_file::copy_into_place;
use vremount_util::{command, io_error, progress, toml_config};

/// The pinned one.
const FILE: &str = "ci/sparse.toml";

/// By which a kernel tells; older ones take any.
const JUDGE: &str = "scripts/checker-valid.sh";

/// Of what the series adds to, some.
const SEEN: [&str; 2] = ["/fs/super.c", "/fs/overlayfs/super.c"];

/// For the kernel in this tree.
///
/// # Errors
/// Why there is none.
pub fn fit(workspace: &Workspace, tree: &Path) -> Result<PathBuf, String> {
    fit_or(workspace, tree, Path::new("sparse"))
}

fn fit_or(workspace: &Workspace, tree: &Path, own: &Path) -> Result<PathBuf, String> {
    if takes(tree, own)? {
        return Ok(own.to_path_buf());
    }
    let pinned: Package = toml_config::read(&workspace.root, FILE).map_err(|error| error.to_string())?;
    let built = built(workspace, &pinned).map_err(|error| match error {
        build::Error::Source(source::Error::Gone { .. }) => format!("{error}; of sparse it is {FILE} that pins it"),
        other => other.to_string(),
    })?;
    if takes(tree, &built)? {
        return Ok(built);
    }
    let version = pinned.version;
    Err(format!("{JUDGE} turns down this machine's sparse and sparse {version} of {FILE}; pin a newer one there"))
}

/// Whether it is of use for a kernel. The script says 1 if so, and ends with 0 all the same, unless there is no such program; but a
/// program that says nothing is good enough for it.
fn takes(tree: &Path, sparse: &Path) -> Result<bool, String> {
    let judge = tree.join(JUDGE);
    if !judge.exists() {
        return finds(sparse);
    }
    let (status, said) =
        command::run_capture(Command::new("sh").arg(&judge).arg(sparse)).map_err(|error| error.to_string())?;
    let said = status.code().map(|_| said).ok_or_else(|| format!("{}: {status}", judge.display()))?;
    Ok(said.trim() == "1" && finds(sparse)?)
}

/// Whether it finds a fault.
fn finds(sparse: &Path) -> Result<bool, String> {
    let write = || {
        let mut fault = tempfile::Builder::new().suffix(".c").tempfile()?;
        fault.write_all(b"int f(void) { return 0 }\n")?;
        io::Result::Ok(fault)
    };
    let fault = write().map_err(|cause| format!("failed to write what sparse is tried on: {cause}"))?;
    // One that does not run finds nothing.
    Ok(command::run_capture(Command::new(sparse).arg(fault.path())).is_ok_and(|(_, said)| said.contains(" error: ")))
}

/// Whether make had sparse look at the sources: it goes on without one that is of no use.
///
/// # Errors
/// If not.
pub fn looked_at(log: &str) -> Result<(), command::Error> {
    let looked = |source: &&str| log.lines().any(|line| line.starts_with("  CHECK ") && line.ends_with(*source));
    match SEEN.iter().find(|source| !looked(source)) {
        None => Ok(()),
        Some(source) => {
            let (program, status) = ("make".to_string(), ExitStatus::default());
            Err(command::Error::Failed {
                what: format!("have sparse look at {source}"),
                program,
                status,
                output: log.to_string(),
            })
        }
    }
}

fn built(workspace: &Workspace, pinned: &Package) -> Result<PathBuf, build::Error> {
    let folder = workspace.cache.join("tool");
    let place = folder.join(format!("sparse-{}", pinned.sha256));
    let _lock = workspace.lock("sparse")?;
    // One of an older system may not run any more.
    if finds(&place) == Ok(true) {
        return Ok(place);
    }
    let pristine = source::obtain(workspace, &Source::Package(pinned.clone()))?;
    let _progress = progress::start(format!("building sparse {}", pinned.version));
    fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    let aside = tempfile::tempdir_in(&folder).map_err(io_error("create a folder in", &folder))?;
    let tree = aside.path().join("sparse");
    series::work_tree(&pristine, &tree)?;
    let mut make = Command::new("make");
    // Nothing of a make that we were started by.
    make.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path))).arg("-C").arg(&tree).arg("sparse");
    command::run("build sparse", &mut make)?;
    let program = tree.join("sparse");
    copy_into_place(&program, &place).map_err(io_error("copy", &program))?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rstest::rstest;

    use super::*;

    /// A tree with such a judge, a machine with that for a sparse, and a project that has built the pinned one: gcc, which finds
    /// faults as well.
    fn fit_for(judge: Option<&str>, own: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["tree/scripts", "root/ci", "cache/tool"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        let pin = "package = 'sparse'\nversion = '1-1'\nsuite = 's'\nfile = 'f'\nsha256 = 'abc'\n";
        fs::write(path("root/ci/sparse.toml"), pin).unwrap();
        symlink("/usr/bin/gcc", path("cache/tool/sparse-abc")).unwrap();
        if let Some(judge) = judge {
            fs::write(path("tree").join(JUDGE), judge).unwrap();
        }
        let fit = fit_or(&Workspace { root: path("root"), cache: path("cache") }, &path("tree"), Path::new(own))?;
        Ok(fit.strip_prefix(folder.path()).unwrap_or(&fit).display().to_string())
    }

    #[rstest]
    #[case::nobody_judges(None, "gcc", "gcc")]
    #[case::is_taken(Some("echo 1"), "gcc", "gcc")]
    #[case::is_too_old(Some("[ \"$1\" = gcc ] && echo 0 || echo 1"), "gcc", "cache/tool/sparse-abc")]
    #[case::is_not_there(Some("[ \"$1\" = nowhere ] && exit 1; echo 1"), "nowhere", "cache/tool/sparse-abc")]
    #[case::finds_nothing(Some("echo 1"), "true", "cache/tool/sparse-abc")]
    #[case::finds_nothing_and_nobody_judges(None, "true", "cache/tool/sparse-abc")]
    fn the_machines_own_is_used_where_it_is_good(
        #[case] judge: Option<&str>,
        #[case] own: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(fit_for(judge, own).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case::takes_none("echo 0", "turns down this machine's sparse and sparse 1-1 of ci/sparse.toml")]
    #[case::is_killed("kill -KILL $$", "signal: 9")]
    fn none_is_an_error_that_says_why(#[case] judge: &str, #[case] expected: &str) {
        let why = fit_for(Some(judge), "gcc").unwrap_err();
        assert!(why.contains(expected), "{why}");
    }

    #[rstest]
    #[case::all("  CHECK   ../source/fs/super.c\n  CHECK   ../source/fs/overlayfs/super.c\n", None)]
    #[case::but_overlayfs(
        "  CHECK   ../fs/super.c\n  CC [M]  ../fs/overlayfs/super.c\n",
        Some("/fs/overlayfs/super.c")
    )]
    #[case::nothing_of_the_series("warning: C=2 specified\n  CHECK   scripts/mod/empty.c\n", Some("/fs/super.c"))]
    fn make_may_not_go_on_without(#[case] log: &str, #[case] missed: Option<&str>) {
        let why = looked_at(log).err().map(|error| error.to_string());
        match missed {
            None => assert_eq!(why, None),
            Some(source) => {
                assert!(why.clone().is_some_and(|why| why.contains(source) && why.contains(log)), "{why:?}")
            }
        }
    }
}
