// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which series is chosen for a tree, by the real source of every base that is in the cache; that of the default one is.
#![allow(clippy::unwrap_used)]

mod common;

use common::checkout;
use common::history::Repository;
use vremount::base::{Base, Carries, Source};
use vremount::fit::{self, Fit};
use vremount::project::Project;
use vremount::source::{self, Tree};

/// What is in ci/bases.toml was written by hand; what a tree without a name is taken for is found in its source.
#[test]
fn each_base_is_taken_for_what_it_is() {
    let project = Project::find().unwrap();
    let mut seen = 0;
    for base in Base::all(&checkout()).unwrap() {
        let Source::Package(package) = &base.source else { continue };
        if !project.cache.join("tree").join(format!("{}.git", package.sha256)).exists() {
            continue;
        }
        let tree = source::obtain(&project, &base.source).unwrap();
        let Fit { version, base: found } = fit::of(&project, &tree, "it").unwrap();
        assert_eq!(version, base.name);
        assert_eq!((&found.series, found.carries), (&base.series, Carries::Nothing), "{version}");
        assert_eq!((&found.has, &found.fixes), (&base.has, &base.fixes), "{version}");
        seen += 1;
    }
    assert!(seen > 0, "no source is in the cache");
}

#[test]
fn what_no_series_fits_is_told_by_its_first_hunk() {
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
    let error = fit::of(&Project::find().unwrap(), &tree, "it").err().unwrap().to_string();
    let series = Base::find(&checkout(), None).unwrap().series;
    assert!(error.contains(&format!("- {series}: 0003-overlay-")), "{error}");
    assert!(error.contains(" fails at fs/overlayfs/super.c:"), "{error}");
}
