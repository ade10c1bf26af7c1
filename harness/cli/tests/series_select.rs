// SPDX-License-Identifier: MIT OR Apache-2.0
//! Selection of the series for a source tree, tested with the sources of all bases that are in the
//! cache.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Mutex, PoisonError};

use common::history::Repository;
use common::{checkout, stdout};
use vremount_kernel::base::{Base, PreApplied, Source, Spec};
use vremount_kernel::resolve::SeriesMatch;
use vremount_kernel::source::{Tree, git_command};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{resolve, source};

/// Serializes the tests, because the repository always has the same path.
static REPOSITORY: Mutex<()> = Mutex::new(());

/// The probes of the source find the same features, fixes and series that ci/bases.toml declares.
#[test]
fn source_of_each_base_selects_its_own_series_and_features() {
    let workspace = Workspace::find().unwrap();
    let mut compared = 0;
    for base in Base::all(&checkout()).unwrap() {
        let Source::Package(package) = &base.source else { continue };
        if !workspace.cache.join("tree").join(format!("{}.git", package.sha256)).exists() {
            continue;
        }
        let tree = source::obtain(&workspace, &base.source).unwrap();
        let SeriesMatch { version, base: found, unused_fixes: left_out } =
            resolve::match_series(&workspace, &tree, "it").unwrap();
        assert_eq!(version, base.name);
        assert_eq!((&found.series, found.pre_applied), (&base.series, PreApplied::None), "{version}");
        assert_eq!((&found.features, &found.fixes), (&base.features, &base.fixes), "{version}");
        assert_eq!(left_out, Vec::<String>::new(), "{version}");
        compared += 1;
    }
    assert!(compared > 0, "the cache has no source of a base");
}

/// The source is a work tree with uncommitted changes, a commit with them, or a tarball. The work
/// tree is not modified.
#[test]
fn equal_sources_give_the_same_tree_from_any_origin() {
    let _alone = REPOSITORY.lock().unwrap_or_else(PoisonError::into_inner);
    let repository = Repository::new();
    let series = repository.with_series();
    repository.git(&["update-ref", "HEAD", &series]);
    repository.git(&["read-tree", &series]);
    // Removes three quarters of the files to save time and space.
    repository.git(&["rm", "-r", "--quiet", "--cached", "arch", "drivers", "net", "sound", "tools"]);
    repository.git(&["commit", "--quiet", "--message", "Less"]);
    repository.git(&["reset", "--quiet", "--hard"]);
    let file = repository.path.join("fs/overlayfs/super.c");
    fs::write(&file, fs::read_to_string(&file).unwrap() + "/* Mine */\n").unwrap();
    symlink("super.c", repository.path.join("fs/overlayfs/link.c")).unwrap();
    repository.git(&["add", "fs/overlayfs/link.c"]);
    // Untracked files are not part of the source.
    fs::write(repository.path.join("fs/overlayfs/super.o"), "").unwrap();
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let workspace = Workspace { cache: cache.path().to_path_buf(), ..Workspace::find().unwrap() };
    let tree_of = |spec: Spec| {
        let base = resolve::find_base(&workspace, Some(&spec)).unwrap();
        assert_eq!(base.pre_applied, PreApplied::FirstPatches(4), "{}", base.name);
        let Tree { repository, commit } = source::obtain(&workspace, &base.source).unwrap();
        let tree = git_command(&repository, ["rev-parse", &format!("{commit}^{{tree}}")]).output().unwrap();
        stdout(&tree).trim().to_string()
    };
    let repository_state = || {
        let index = fs::read(repository.path.join(".git/index")).unwrap();
        (index, repository.git(&["status", "--porcelain", "--ignored"]), repository.git(&["for-each-ref"]))
    };
    let before = repository_state();
    let work_tree = tree_of(Spec::Tree(repository.path.clone()));
    assert_eq!(repository_state(), before);
    repository.git(&["commit", "--quiet", "--all", "--message", "Mine"]);
    assert_eq!(repository.git(&["rev-parse", "HEAD^{tree}"]), work_tree);
    let url = repository.path.to_string_lossy().into_owned();
    assert_eq!(tree_of(Spec::Git { url, commit: "HEAD".to_string() }), work_tree);
    let tarball = cache.path().join("linux.tar");
    let archive = ["archive", "--prefix=linux/", "--output", &tarball.to_string_lossy(), "HEAD"];
    repository.git(&archive);
    assert_eq!(tree_of(Spec::Tarball { from: tarball.to_string_lossy().into_owned(), sha256: None }), work_tree);
    // The checked-out files are large.
    fs::remove_dir_all(&repository.path).unwrap();
}

#[test]
fn source_without_a_matching_series_names_the_first_failing_hunk() {
    let _alone = REPOSITORY.lock().unwrap_or_else(PoisonError::into_inner);
    let repository = Repository::new();
    let mut author = repository.author("unfit", &repository.pristine());
    author.commit_replacement(
        "fs/overlayfs/super.c",
        "#define OVL_WORKDIR_NAME \"work\"\n",
        "#define OVL_WORKDIR_NAME \"w\"\n",
        "w",
    );
    author.import();
    let tree = Tree { repository: repository.path.join(".git"), commit: "unfit-1".to_string() };
    let error = resolve::match_series(&Workspace::find().unwrap(), &tree, "it").err().unwrap().to_string();
    let series = Base::find(&checkout(), None).unwrap().series;
    assert!(error.contains(&format!("- {series}: 0003-overlay-")), "{error}");
    assert!(error.contains(" fails at fs/overlayfs/super.c:"), "{error}");
}
