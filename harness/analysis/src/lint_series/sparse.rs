// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds a sparse that a kernel accepts: the one of the host, or else the one that `ci/sparse.toml`
//! pins, which is built.

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

/// Pins the source of sparse.
const FILE: &str = "ci/sparse.toml";

/// The script of a kernel that checks a sparse. Older kernels do not have it, and accept any.
const CHECKER_VALID: &str = "scripts/checker-valid.sh";

/// Source files that the series changes and sparse must check.
const CHECKED: [&str; 2] = ["/fs/super.c", "/fs/overlayfs/super.c"];

/// Finds or builds a sparse for the kernel in `tree`.
///
/// # Errors
/// Why there is none, as a sentence.
pub fn find(workspace: &Workspace, tree: &Path) -> Result<PathBuf, String> {
    find_or_build(workspace, tree, Path::new("sparse"))
}

fn find_or_build(workspace: &Workspace, tree: &Path, host: &Path) -> Result<PathBuf, String> {
    if is_accepted(tree, host)? {
        return Ok(host.to_path_buf());
    }
    let pinned: Package = toml_config::read(&workspace.root, FILE).map_err(|error| error.to_string())?;
    let built = build_pinned(workspace, &pinned).map_err(|error| match error {
        build::Error::Source(source::Error::VersionGone { .. }) => format!("{error}; sparse is pinned in {FILE}"),
        other => other.to_string(),
    })?;
    if is_accepted(tree, &built)? {
        return Ok(built);
    }
    let version = pinned.version;
    Err(format!("{CHECKER_VALID} rejects the sparse of the host and sparse {version} of {FILE}; pin a newer one there"))
}

/// Whether a kernel accepts this sparse. The script prints 1 if so, and exits with 0 in either
/// case, unless the program does not exist. It also accepts a program without output, so the
/// program must find an error, too.
fn is_accepted(tree: &Path, sparse: &Path) -> Result<bool, String> {
    let script = tree.join(CHECKER_VALID);
    if !script.exists() {
        return finds_errors(sparse);
    }
    let (status, output) =
        command::run_capture(Command::new("sh").arg(&script).arg(sparse)).map_err(|error| error.to_string())?;
    let output = status.code().map(|_| output).ok_or_else(|| format!("{}: {status}", script.display()))?;
    Ok(output.trim() == "1" && finds_errors(sparse)?)
}

/// Whether the program runs and reports a syntax error.
fn finds_errors(sparse: &Path) -> Result<bool, String> {
    let write = || {
        let mut source = tempfile::Builder::new().suffix(".c").tempfile()?;
        source.write_all(b"int f(void) { return 0 }\n")?;
        io::Result::Ok(source)
    };
    let source = write().map_err(|cause| format!("failed to write a source file to test sparse: {cause}"))?;
    let output = command::run_capture(Command::new(sparse).arg(source.path()));
    Ok(output.is_ok_and(|(_, output)| output.contains(" error: ")))
}

/// Checks in the log of make that sparse was run on the sources: make continues without a sparse
/// that it rejects.
///
/// # Errors
/// If sparse was not run on one of them.
pub fn ensure_used(log: &str) -> Result<(), command::Error> {
    let is_checked = |source: &&str| log.lines().any(|line| line.starts_with("  CHECK ") && line.ends_with(*source));
    match CHECKED.iter().find(|source| !is_checked(source)) {
        None => Ok(()),
        Some(source) => {
            let (program, status) = ("make".to_string(), ExitStatus::default());
            Err(command::Error::Failed {
                what: format!("run sparse on {source}"),
                program,
                status,
                output: log.to_string(),
            })
        }
    }
}

/// Builds the pinned sparse, unless the cache has it.
fn build_pinned(workspace: &Workspace, pinned: &Package) -> Result<PathBuf, build::Error> {
    let folder = workspace.cache.join("tool");
    let path = folder.join(format!("sparse-{}", pinned.sha256));
    let _lock = workspace.lock("sparse")?;
    // A sparse that was built on an older system may not run any more.
    if finds_errors(&path) == Ok(true) {
        return Ok(path);
    }
    let pristine = source::obtain(workspace, &Source::Package(pinned.clone()))?;
    let _progress = progress::start(format!("building sparse {}", pinned.version));
    fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    let build_dir = tempfile::tempdir_in(&folder).map_err(io_error("create a folder in", &folder))?;
    let tree = build_dir.path().join("sparse");
    series::prepare_work_tree(&pristine, &tree)?;
    let mut make = Command::new("make");
    // Without the variables of a make that started this program.
    make.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path))).arg("-C").arg(&tree).arg("sparse");
    command::run("build sparse", &mut make)?;
    let program = tree.join("sparse");
    copy_into_place(&program, &path).map_err(io_error("copy", &program))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rstest::rstest;

    use super::*;

    /// Finds a sparse for a tree with this `checker-valid.sh`, on a host with this sparse, and with
    /// gcc in the cache in place of the pinned sparse: it reports syntax errors as well.
    fn find_for(script: Option<&str>, host: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["tree/scripts", "root/ci", "cache/tool"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        let pin = "package = 'sparse'\nversion = '1-1'\nsuite = 's'\nfile = 'f'\nsha256 = 'abc'\n";
        fs::write(path("root/ci/sparse.toml"), pin).unwrap();
        symlink("/usr/bin/gcc", path("cache/tool/sparse-abc")).unwrap();
        if let Some(script) = script {
            fs::write(path("tree").join(CHECKER_VALID), script).unwrap();
        }
        let workspace = Workspace { root: path("root"), cache: path("cache") };
        let found = find_or_build(&workspace, &path("tree"), Path::new(host))?;
        Ok(found.strip_prefix(folder.path()).unwrap_or(&found).display().to_string())
    }

    #[rstest]
    #[case::kernel_without_script(None, "gcc", "gcc")]
    #[case::accepted(Some("echo 1"), "gcc", "gcc")]
    #[case::too_old(Some("[ \"$1\" = gcc ] && echo 0 || echo 1"), "gcc", "cache/tool/sparse-abc")]
    #[case::not_installed(Some("[ \"$1\" = nowhere ] && exit 1; echo 1"), "nowhere", "cache/tool/sparse-abc")]
    #[case::without_output(Some("echo 1"), "true", "cache/tool/sparse-abc")]
    #[case::without_output_and_script(None, "true", "cache/tool/sparse-abc")]
    fn sparse_of_the_host_is_preferred(#[case] script: Option<&str>, #[case] host: &str, #[case] expected: &str) {
        assert_eq!(find_for(script, host).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case::rejects_all("echo 0", "rejects the sparse of the host and sparse 1-1 of ci/sparse.toml")]
    #[case::killed("kill -KILL $$", "signal: 9")]
    fn missing_sparse_is_an_error_with_a_reason(#[case] script: &str, #[case] expected: &str) {
        let why = find_for(Some(script), "gcc").unwrap_err();
        assert!(why.contains(expected), "{why}");
    }

    #[rstest]
    #[case::all("  CHECK   ../source/fs/super.c\n  CHECK   ../source/fs/overlayfs/super.c\n", None)]
    #[case::not_on_overlayfs(
        "  CHECK   ../fs/super.c\n  CC [M]  ../fs/overlayfs/super.c\n",
        Some("/fs/overlayfs/super.c")
    )]
    #[case::on_no_changed_source("warning: C=2 specified\n  CHECK   scripts/mod/empty.c\n", Some("/fs/super.c"))]
    fn make_must_run_sparse(#[case] log: &str, #[case] missed: Option<&str>) {
        let why = ensure_used(log).err().map(|error| error.to_string());
        match missed {
            None => assert_eq!(why, None),
            Some(source) => {
                assert!(why.clone().is_some_and(|why| why.contains(source) && why.contains(log)), "{why:?}")
            }
        }
    }
}
