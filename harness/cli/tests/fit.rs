// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which series is chosen for a tree, by the real source of every base that is in the cache; that of the default one is.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Mutex, PoisonError};

use common::history::Repository;
use common::{checkout, stdout};
use vremount_kernel::base::{Base, PreApplied, Source, Spec};
use vremount_kernel::resolve::SeriesMatch;
use vremount_kernel::source::{Tree, git};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{resolve, source};

/// It is always in the same place.
static REPOSITORY: Mutex<()> = Mutex::new(());

/// What is in ci/bases.toml was written by hand; what a tree without a name is taken for is found in its source.
#[test]
fn each_base_is_taken_for_what_it_is() {
    let workspace = Workspace::find().unwrap();
    let mut seen = 0;
    for base in Base::all(&checkout()).unwrap() {
        let Source::Package(package) = &base.source else { continue };
        if !workspace.cache.join("tree").join(format!("{}.git", package.sha256)).exists() {
            continue;
        }
        let tree = source::obtain(&workspace, &base.source).unwrap();
        let SeriesMatch { version, base: found, left_out } = resolve::of(&workspace, &tree, "it").unwrap();
        assert_eq!(version, base.name);
        assert_eq!((&found.series, found.carries), (&base.series, PreApplied::Nothing), "{version}");
        assert_eq!((&found.has, &found.fixes), (&base.has, &base.fixes), "{version}");
        assert_eq!(left_out, Vec::<String>::new(), "{version}");
        seen += 1;
    }
    assert!(seen > 0, "no source is in the cache");
}

/// A work tree with what is not committed, the same as a commit, and as a tarball: each is that tree, and a work tree is only read.
#[test]
fn one_content_is_one_kernel_wherever_it_comes_from() {
    let _alone = REPOSITORY.lock().unwrap_or_else(PoisonError::into_inner);
    let repository = Repository::new();
    let series = repository.with_series();
    repository.git(&["update-ref", "HEAD", &series]);
    repository.git(&["read-tree", &series]);
    // Three quarters of the files, and nothing of the kind that the rest does not have.
    repository.git(&["rm", "-r", "--quiet", "--cached", "arch", "drivers", "net", "sound", "tools"]);
    repository.git(&["commit", "--quiet", "--message", "Less"]);
    repository.git(&["reset", "--quiet", "--hard"]);
    let file = repository.path.join("fs/overlayfs/super.c");
    fs::write(&file, fs::read_to_string(&file).unwrap() + "/* Mine */\n").unwrap();
    symlink("super.c", repository.path.join("fs/overlayfs/link.c")).unwrap();
    repository.git(&["add", "fs/overlayfs/link.c"]);
    // What is not tracked is not part of it.
    fs::write(repository.path.join("fs/overlayfs/super.o"), "").unwrap();
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let workspace = Workspace { cache: cache.path().to_path_buf(), ..Workspace::find().unwrap() };
    let tree_of = |spec: Spec| {
        let base = resolve::find(&workspace, Some(&spec)).unwrap();
        assert_eq!(base.carries, PreApplied::First(4), "{}", base.name);
        let Tree { repository, commit } = source::obtain(&workspace, &base.source).unwrap();
        let tree = git(&repository, ["rev-parse", &format!("{commit}^{{tree}}")]).output().unwrap();
        stdout(&tree).trim().to_string()
    };
    let theirs = || {
        let index = fs::read(repository.path.join(".git/index")).unwrap();
        (index, repository.git(&["status", "--porcelain", "--ignored"]), repository.git(&["for-each-ref"]))
    };
    let before = theirs();
    let work_tree = tree_of(Spec::Tree(repository.path.clone()));
    assert_eq!(theirs(), before);
    repository.git(&["commit", "--quiet", "--all", "--message", "Mine"]);
    assert_eq!(repository.git(&["rev-parse", "HEAD^{tree}"]), work_tree);
    let url = repository.path.to_string_lossy().into_owned();
    assert_eq!(tree_of(Spec::Git { url, commit: "HEAD".to_string() }), work_tree);
    let tarball = cache.path().join("linux.tar");
    let archive = ["archive", "--prefix=linux/", "--output", &tarball.to_string_lossy(), "HEAD"];
    repository.git(&archive);
    assert_eq!(tree_of(Spec::Tarball { from: tarball.to_string_lossy().into_owned(), sha256: None }), work_tree);
    // It takes room.
    fs::remove_dir_all(&repository.path).unwrap();
}

#[test]
fn what_no_series_fits_is_told_by_its_first_hunk() {
    let _alone = REPOSITORY.lock().unwrap_or_else(PoisonError::into_inner);
    let repository = Repository::new();
    let mut author = repository.author("unfit", &repository.pristine());
    author.replaces(
        "fs/overlayfs/super.c",
        "#define OVL_WORKDIR_NAME \"work\"\n",
        "#define OVL_WORKDIR_NAME \"w\"\n",
        "w",
    );
    author.done();
    let tree = Tree { repository: repository.path.join(".git"), commit: "unfit-1".to_string() };
    let error = resolve::of(&Workspace::find().unwrap(), &tree, "it").err().unwrap().to_string();
    let series = Base::find(&checkout(), None).unwrap().series;
    assert!(error.contains(&format!("- {series}: 0003-overlay-")), "{error}");
    assert!(error.contains(" fails at fs/overlayfs/super.c:"), "{error}");
}
