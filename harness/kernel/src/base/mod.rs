// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bases, read from `ci/bases.toml`, and the levels of a series.

mod feature;
mod level;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

pub use feature::{Feature, SourceProbe};
pub use level::{Level, ParseLevelError};
use serde::Deserialize;
pub use spec::Spec;
use vremount_util::toml_config;

/// The file that lists the bases, below the root of the checkout.
pub const FILE: &str = "ci/bases.toml";

/// A kernel version on which claims are verified.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The name in `ci/bases.toml`, or a generated name for a source that is not listed there.
    #[serde(skip)]
    pub name: String,
    /// Folder below `patches/` with the series that applies to this kernel.
    pub series: String,
    /// Further arguments of make that this kernel needs to build.
    #[serde(rename = "make", default)]
    pub make_args: Vec<String>,
    /// Further configuration fragments of `vm-images/config/`: options that only newer kernels
    /// have.
    #[serde(rename = "config", default)]
    pub config_fragments: Vec<String>,
    /// Features that not all bases have.
    #[serde(rename = "has", default)]
    pub features: BTreeSet<Feature>,
    /// Patches of `vm-images/fixes/`, by architecture or configuration fragment: without them such
    /// a kernel does not build or run on current machines. They are applied before the series, so
    /// that every level has them.
    #[serde(default)]
    pub fixes: BTreeMap<String, Vec<String>>,
    /// Where the kernel source comes from.
    pub source: Source,
    /// Which patches of the series the source already has.
    #[serde(skip)]
    pub pre_applied: PreApplied,
}

/// Where a kernel source comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a source has package, version, suite, file and sha256; or git and commit; or tarball and \
                               sha256"
)]
pub enum Source {
    /// A Debian source package.
    Package(Package),
    /// A commit of a git repository.
    Git(Git),
    /// Any other tarball.
    Tarball(Tarball),
}

/// A Debian source package. Only its upstream tarball is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Name of the source package.
    pub package: String,
    /// Debian version.
    pub version: String,
    /// Debian suite, such as `bookworm`.
    pub suite: String,
    /// File name of the upstream tarball.
    pub file: String,
    /// SHA-256 of the upstream tarball.
    pub sha256: String,
}

/// A commit of a git repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// URL or folder of the repository.
    pub git: String,
    /// Full id of the commit.
    pub commit: String,
    /// Id of the tree of the commit. Without it the commit must be fetched to compute a cache key.
    pub tree: Option<String>,
}

/// A tarball that is not a Debian source package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tarball {
    /// URL or path.
    pub tarball: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Which patches of the series a source already has before any is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PreApplied {
    /// None.
    #[default]
    None,
    /// The first patches, as many as the number says. They are reverted and then applied again up
    /// to the level.
    FirstPatches(u8),
    /// Another implementation of the series. It cannot be reverted, so that there is only level 4:
    /// the tree as it is.
    OtherImplementation,
}

#[derive(Debug, Deserialize)]
struct Table {
    default: String,
    bases: BTreeMap<String, Base>,
}

/// Why a base cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `ci/bases.toml` cannot be read or parsed.
    #[error(transparent)]
    Config(#[from] toml_config::Error),
    /// `ci/bases.toml` has no base of that name. Bad usage.
    #[error("failed to find base {name:?}: ci/bases.toml has {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names of all bases.
        known: String,
    },
    /// A pinned hash in `ci/bases.toml` is malformed. Bad usage.
    #[error(
        "failed to use base {base:?}: {key} = {value:?} in ci/bases.toml must have {digits} hexadecimal digits, \
         in lower case"
    )]
    MalformedHash {
        /// The name of the base.
        base: String,
        /// The key: `sha256`, `commit` or `tree`.
        key: &'static str,
        /// The malformed value.
        value: String,
        /// Number of digits that it must have.
        digits: usize,
    },
}

impl Error {
    /// Whether the command line or `ci/bases.toml` is the cause: it names something that does not
    /// exist or is malformed.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Unknown { .. } | Error::MalformedHash { .. })
    }
}

impl Base {
    /// The base of that name; without a name the default base of `ci/bases.toml` below `root`.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such base, another [`Error`] if the file cannot be used.
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

    /// All bases, sorted by version. Bases that are not named after a version come last.
    ///
    /// # Errors
    /// [`Error`] if the file cannot be used.
    pub fn all(root: &Path) -> Result<Vec<Self>, Error> {
        let bases = Table::read(root)?.bases;
        let mut bases: Vec<_> = bases.into_iter().map(|(name, base)| Base { name, ..base }).collect();
        bases.sort_by_key(|base| {
            (version_numbers(&base.name).is_empty(), version_numbers(&base.name), base.name.clone())
        });
        Ok(bases)
    }
}

impl Source {
    fn check_hashes(&self, base: &str) -> Result<(), Error> {
        let check = |key, value: &str, digits: usize, is_valid: fn(&str) -> bool| match is_valid(value) {
            true => Ok(()),
            false => Err(Error::MalformedHash { base: base.to_string(), key, value: value.to_string(), digits }),
        };
        match self {
            Source::Package(Package { sha256, .. }) | Source::Tarball(Tarball { sha256, .. }) => {
                check("sha256", sha256, 64, is_sha256)
            }
            Source::Git(Git { commit, tree, .. }) => {
                check("commit", commit, 40, is_object_id)?;
                tree.as_ref().map_or(Ok(()), |tree| check("tree", tree, 40, is_object_id))
            }
        }
    }
}

/// A short description for messages, such as `linux 5.10.13-1 of bullseye`.
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
        let table: Table = toml_config::read(root, FILE)?;
        table.bases.iter().try_for_each(|(name, base)| base.source.check_hashes(name))?;
        Ok(table)
    }
}

/// Whether a text is a SHA-256: 64 hexadecimal digits in lower case.
pub(crate) fn is_sha256(text: &str) -> bool {
    is_hex(text, 64)
}

/// Whether a text is the full id of a git object: 40 hexadecimal digits in lower case.
pub(crate) fn is_object_id(text: &str) -> bool {
    is_hex(text, 40)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The upstream version in a Debian version: `5.10.13` of `5.10.13-1`.
#[must_use]
pub fn upstream_version(version: &str) -> &str {
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

/// The numbers of a version up to the first part that is not a number, to compare versions by: `[6,
/// 12, 107, 1]` of `6.12.107-1~bpo12+1`.
#[must_use]
pub fn version_numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '~']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    #[test]
    fn shipped_bases_are_valid() {
        let root = crate::testing::checkout();
        let base = Base::find(&root, None).unwrap();
        assert_eq!(base.name, "5.10.13");
        assert!(matches!(Base::find(&root, Some("2.4.0")), Err(Error::Unknown { .. })));
        let all = Base::all(&root).unwrap();
        for base in &all {
            assert!(root.join("patches").join(&base.series).is_dir(), "{}", base.series);
            let files = base.config_fragments.iter().map(|name| root.join("vm-images/config").join(name));
            let fixes = base.fixes.values().flatten().map(|name| root.join("vm-images/fixes").join(name));
            files.chain(fixes).for_each(|file| assert!(file.is_file(), "{}", file.display()));
        }
        assert!(all.iter().any(|base| base.name == "5.10.13"));
        let used: BTreeSet<_> = all.iter().flat_map(|base| base.features.iter().copied()).collect();
        assert_eq!(used, BTreeSet::from(Feature::ALL), "a feature is missing in Feature::ALL or in all bases");
    }

    const SHA256: &str = "c04de3551864e52485fd100249df430840c995c9263aaa552b1b527d48f867ca";
    const COMMIT: &str = "be4df0cea08a8b59eb38d73de988b7ba8022df41";

    fn read(source: &str) -> Result<Base, Error> {
        let source = source.replace("SHA256", SHA256).replace("COMMIT", COMMIT);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ci")).unwrap();
        let text = format!("default = \"b\"\n[bases.b]\nseries = \"s\"\n[bases.b.source]\n{source}");
        fs::write(folder.path().join(FILE), text).unwrap();
        Base::find(folder.path(), None)
    }

    #[rstest]
    #[case::package("package='p'\nversion='1-1'\nsuite='s'\nfile='f'\nsha256='SHA256'", "Package")]
    #[case::git("git='https://a.example/l.git'\ncommit='COMMIT'", "Git")]
    #[case::git_with_tree("git='/l'\ncommit='COMMIT'\ntree='COMMIT'", "Git")]
    #[case::tarball("tarball='l.tar'\nsha256='SHA256'", "Tarball")]
    fn kind_of_source_follows_from_the_keys(#[case] source: &str, #[case] expected: &str) {
        let found = format!("{:?}", read(source).unwrap().source);
        assert!(found.starts_with(expected), "{found}");
    }

    #[rstest]
    #[case::nothing("")]
    #[case::no_hash("tarball='l.tar'")]
    #[case::two_kinds("git='g'\ncommit='c'\ntarball='t'\nsha256='0'")]
    #[case::misspelled("git='g'\ncomit='c'")]
    fn error_of_an_unknown_kind_of_source_lists_the_kinds(#[case] source: &str) {
        let error = read(source).unwrap_err().to_string();
        assert!(error.contains("a source has package, version, suite, file and sha256; or git and commit;"), "{error}");
    }

    #[rstest]
    #[case::short_hash("tarball='l.tar'\nsha256='50d1'", "sha256 = \"50d1\" in ci/bases.toml must have 64 hex")]
    #[case::branch("git='/l'\ncommit='main'", "commit = \"main\" in ci/bases.toml must have 40 hex")]
    #[case::upper_case_tree("git='/l'\ncommit='COMMIT'\ntree='BE4DF0CEA08A8B59EB38D73DE988B7BA8022DF41'", "tree = ")]
    fn malformed_hash_is_named(#[case] source: &str, #[case] expected: &str) {
        let error = read(source).unwrap_err();
        assert!(error.to_string().contains(expected) && error.is_usage(), "{error}");
    }

    #[rstest]
    #[case::upstream("5.10.13", &[5, 10, 13])]
    #[case::backport("6.12.107-1~bpo12+1", &[6, 12, 107, 1])]
    #[case::candidate("7.3~rc7", &[7, 3])]
    #[case::no_version("be4df0cea", &[])]
    fn numbers_of_a_version_are_parsed(#[case] version: &str, #[case] expected: &[u64]) {
        assert_eq!(version_numbers(version), expected);
    }
}
