// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel bases, from `ci/bases.toml`, and the levels of a series.

mod feature;
mod level;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

pub use feature::{Feature, SourceProbe};
pub use level::{Level, NotALevel};
use serde::Deserialize;
pub use spec::Spec;
use vremount_util::toml_config;

/// The bases, below the root of the checkout.
pub const FILE: &str = "ci/bases.toml";

/// A kernel to prove claims on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    #[serde(skip)]
    pub name: String,
    /// Folder below `patches/` with the series that fits.
    pub series: String,
    /// What make needs to be told to build it.
    #[serde(default)]
    pub make: Vec<String>,
    /// Fragments of `vm-images/config/` on top of those that every kernel has: options that only newer ones know.
    #[serde(default)]
    pub config: Vec<String>,
    /// What its overlayfs has that not all have.
    #[serde(default)]
    pub has: BTreeSet<Feature>,
    /// Patches of `vm-images/fixes/` without which a kernel for that architecture, or with that configuration fragment, does not
    /// run on today's machines. They come before the series and are part of every level.
    #[serde(default)]
    pub fixes: BTreeMap<String, Vec<String>>,
    pub source: Source,
    #[serde(skip)]
    pub carries: PreApplied,
}

/// Where a kernel comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a source has package, version, suite, file and sha256; or git and commit; or tarball and \
                               sha256"
)]
pub enum Source {
    Package(Package),
    Git(Git),
    Tarball(Tarball),
}

/// The pristine upstream tarball of a Debian source package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub package: String,
    pub version: String,
    pub suite: String,
    /// Name of the tarball.
    pub file: String,
    /// Of the tarball.
    pub sha256: String,
}

/// A commit of a git repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// URL or folder.
    pub git: String,
    /// All 40 digits of it.
    pub commit: String,
    /// The commit's tree, if it is known: else it takes the commit to know what is in the cache.
    pub tree: Option<String>,
}

/// A tarball of any other kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tarball {
    /// URL or file.
    pub tarball: String,
    pub sha256: String,
}

/// What a tree has of the series before anything is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PreApplied {
    #[default]
    Nothing,
    /// Its first patches: they are taken out, and are put in again by level.
    First(u8),
    /// All of it, but not as any series of ours: there is the tree as it is, and that is the highest level.
    ItsOwn,
}

#[derive(Debug, Deserialize)]
struct Table {
    default: String,
    bases: BTreeMap<String, Base>,
}

/// Why there is no such base.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Table(#[from] toml_config::Error),
    #[error("failed to find base {name:?}: ci/bases.toml has {known}")]
    Unknown { name: String, known: String },
}

impl Base {
    /// The base of that name, or the default one.
    ///
    /// # Errors
    /// If there is no such base, or the file is not what it should be.
    pub fn find(root: &Path, name: Option<&str>) -> Result<Self, Error> {
        let mut table = Table::read(root)?;
        let name = name.unwrap_or(&table.default).to_string();
        match table.bases.remove(&name) {
            Some(base) => Ok(Base { name, ..base }),
            None => {
                let known = table.bases.into_keys().collect::<Vec<_>>().join(", ");
                Err(Error::Unknown { name, known })
            }
        }
    }

    /// Every base, the oldest kernel first, those that are named after no version last.
    ///
    /// # Errors
    /// If the file is not what it should be.
    pub fn all(root: &Path) -> Result<Vec<Self>, Error> {
        let bases = Table::read(root)?.bases;
        let mut bases: Vec<_> = bases.into_iter().map(|(name, base)| Base { name, ..base }).collect();
        bases.sort_by_key(|base| (numbers(&base.name).is_empty(), numbers(&base.name), base.name.clone()));
        Ok(bases)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Package(Package { package, version, suite, .. }) => write!(f, "{package} {version} of {suite}"),
            Source::Git(Git { git, commit, .. }) => write!(f, "{} of {git}", commit.get(..12).unwrap_or(commit)),
            Source::Tarball(Tarball { tarball, .. }) => f.write_str(tarball),
        }
    }
}

impl Table {
    fn read(root: &Path) -> Result<Self, Error> {
        Ok(toml_config::read(root, FILE)?)
    }
}

/// Of the version of a Debian package, what upstream calls it.
#[must_use]
pub fn upstream(version: &str) -> &str {
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

/// The numbers of a version, up to the first part that is none: to tell which comes first.
#[must_use]
pub fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '~']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    #[test]
    fn the_shipped_bases_are_read() {
        let root = crate::testing::checkout();
        let base = Base::find(&root, None).unwrap();
        assert_eq!(base.name, "5.10.13");
        assert!(matches!(Base::find(&root, Some("2.4.0")), Err(Error::Unknown { .. })));
        let all = Base::all(&root).unwrap();
        for base in &all {
            assert!(root.join("patches").join(&base.series).is_dir(), "{}", base.series);
            let files = base.config.iter().map(|name| root.join("vm-images/config").join(name));
            let fixes = base.fixes.values().flatten().map(|name| root.join("vm-images/fixes").join(name));
            files.chain(fixes).for_each(|file| assert!(file.is_file(), "{}", file.display()));
        }
        assert!(all.iter().any(|base| base.name == "5.10.13"));
        let had: BTreeSet<_> = all.iter().flat_map(|base| base.has.iter().copied()).collect();
        assert_eq!(had, BTreeSet::from(Feature::ALL), "a feature that no tree is asked about, or that no base has");
    }

    fn read(source: &str) -> Result<Base, Error> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ci")).unwrap();
        let text = format!("default = \"b\"\n[bases.b]\nseries = \"s\"\n[bases.b.source]\n{source}");
        fs::write(folder.path().join(FILE), text).unwrap();
        Base::find(folder.path(), None)
    }

    #[rstest]
    #[case::package("package='p'\nversion='1-1'\nsuite='s'\nfile='f'\nsha256='0'", "Package")]
    #[case::git("git='https://a.example/l.git'\ncommit='be4df0cea08a8b59eb38d73de988b7ba8022df41'", "Git")]
    #[case::git_with_tree("git='/l'\ncommit='c'\ntree='t'", "Git")]
    #[case::tarball("tarball='l.tar'\nsha256='0'", "Tarball")]
    fn there_are_three_kinds_of_source(#[case] source: &str, #[case] expected: &str) {
        let found = format!("{:?}", read(source).unwrap().source);
        assert!(found.starts_with(expected), "{found}");
    }

    #[rstest]
    #[case::nothing("")]
    #[case::no_hash("tarball='l.tar'")]
    #[case::two_kinds("git='g'\ncommit='c'\ntarball='t'\nsha256='0'")]
    #[case::misspelt("git='g'\ncomit='c'")]
    fn a_source_of_no_kind_is_told_what_there_is(#[case] source: &str) {
        let error = read(source).unwrap_err().to_string();
        assert!(error.contains("a source has package, version, suite, file and sha256; or git and commit;"), "{error}");
    }

    #[rstest]
    #[case("5.10.13", &[5, 10, 13])]
    #[case("6.12.107-1~bpo12+1", &[6, 12, 107, 1])]
    #[case("7.3~rc7", &[7, 3])]
    #[case("be4df0cea", &[])]
    fn versions_have_numbers(#[case] version: &str, #[case] expected: &[u64]) {
        assert_eq!(numbers(version), expected);
    }
}
