// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sparse that a kernel takes: the machine's own, or else the pinned one, built here.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::{Package, Source};
use crate::project::Project;
use crate::{build, progress, series, source, tables, tool};

/// The pinned one.
const FILE: &str = "ci/sparse.toml";

/// By which a kernel tells; older ones take any.
const JUDGE: &str = "scripts/checker-valid.sh";

/// For the kernel in this tree.
///
/// # Errors
/// Why there is none.
pub fn fit(project: &Project, tree: &Path) -> Result<PathBuf, String> {
    let own = PathBuf::from("sparse");
    let judge = tree.join(JUDGE);
    if !judge.exists() || takes(&judge, &own)? {
        return Ok(own);
    }
    let pinned: Package = tables::read(&project.root, FILE).map_err(|error| error.to_string())?;
    let built = built(project, &pinned).map_err(|error| error.to_string())?;
    if takes(&judge, &built)? {
        return Ok(built);
    }
    Err(format!(
        "{JUDGE} turns down this machine's sparse and sparse {} of {FILE}; pin a newer one there",
        pinned.version
    ))
}

/// Whether a kernel's script does: it says 1, and ends with 0 all the same, unless there is no such program.
fn takes(judge: &Path, sparse: &Path) -> Result<bool, String> {
    let (status, said) = tool::hear(Command::new("sh").arg(judge).arg(sparse)).map_err(|error| error.to_string())?;
    status.code().map(|_| said.trim() == "1").ok_or_else(|| format!("{}: {status}", judge.display()))
}

fn built(project: &Project, pinned: &Package) -> Result<PathBuf, build::Error> {
    let place = project.cache.join("tool").join(format!("sparse-{}", pinned.sha256));
    let _lock = project.lock("sparse")?;
    if place.exists() {
        return Ok(place);
    }
    let pristine = source::obtain(project, &Source::Package(pinned.clone()))?;
    let _progress = progress::start(format!("building sparse {}", pinned.version));
    let folder = project.cache.join("tool");
    fs::create_dir_all(&folder).map_err(build::Error::io("create", &folder))?;
    let aside = tempfile::tempdir_in(&folder).map_err(build::Error::io("create a folder in", &folder))?;
    let tree = aside.path().join("sparse");
    series::work_tree(&pristine, &tree)?;
    let mut make = Command::new("make");
    // Nothing of a make that we were started by.
    make.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path))).arg("-C").arg(&tree).arg("sparse");
    tool::run("build sparse", &mut make)?;
    tool::put(&tree.join("sparse"), &place).map_err(build::Error::io("rename to", &place))?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// A tree with such a judge, and a project that has built the pinned one.
    fn fit_for(judge: Option<&str>) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["tree/scripts", "root/ci", "cache/tool"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        let pin = "package = 'sparse'\nversion = '1-1'\nsuite = 's'\nfile = 'f'\nsha256 = 'abc'\n";
        fs::write(path("root/ci/sparse.toml"), pin).unwrap();
        fs::write(path("cache/tool/sparse-abc"), "").unwrap();
        if let Some(judge) = judge {
            fs::write(path("tree").join(JUDGE), judge).unwrap();
        }
        let fit = fit(&Project { root: path("root"), cache: path("cache") }, &path("tree"))?;
        Ok(fit.strip_prefix(folder.path()).unwrap_or(&fit).display().to_string())
    }

    #[rstest]
    #[case::nobody_judges(None, "sparse")]
    #[case::takes_any(Some("echo 1"), "sparse")]
    #[case::takes_newer(Some("[ \"$1\" = sparse ] && echo 0 || echo 1"), "cache/tool/sparse-abc")]
    #[case::finds_none(Some("[ \"$1\" = sparse ] && exit 1; echo 1"), "cache/tool/sparse-abc")]
    fn the_machines_own_is_used_where_it_is_taken(#[case] judge: Option<&str>, #[case] expected: &str) {
        assert_eq!(fit_for(judge).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case::takes_none("echo 0", "turns down this machine's sparse and sparse 1-1 of ci/sparse.toml")]
    #[case::is_killed("kill -KILL $$", "signal: 9")]
    fn none_is_an_error_that_says_why(#[case] judge: &str, #[case] expected: &str) {
        let why = fit_for(Some(judge)).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
}
