// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel bases, from `ci/bases.toml`, and the levels of a series.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

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
    /// Patches of `vm-images/fixes/` without which a kernel for that architecture does not run on today's machines. They
    /// come before the series and are part of every level.
    #[serde(default)]
    pub fixes: BTreeMap<String, Vec<String>>,
    pub source: Source,
}

/// What claims may ask of a base, so that none of them compares versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// A volatile overlay tells writeback errors to those who sync, and is not mounted over one that nobody has seen (5.10.15).
    SyncErrors,
    /// Option `userxattr`, and with it overlays that are mounted in a user namespace (5.11).
    Userxattr,
    /// Layers on idmapped mounts (5.19).
    IdmappedLayers,
    /// Mounts by fsopen(2), with a log of their own (6.5).
    FsContext,
    /// Layers that ignore case (6.17).
    Casefold,
    /// Option `fsync=`, of which `volatile` is an alias (7.1, 6.12.80).
    FsyncOption,
}

impl Feature {
    /// What a base without it lacks, in words.
    #[must_use]
    pub fn missing(self) -> &'static str {
        match self {
            Feature::SyncErrors => "this base tells no writeback errors through a volatile overlay",
            Feature::Userxattr => "this base has neither userxattr nor overlays in user namespaces",
            Feature::IdmappedLayers => "this base takes no idmapped mounts as layers",
            Feature::FsContext => "this base mounts no overlays by fsopen(2)",
            Feature::Casefold => "this base takes no layers that ignore case",
            Feature::FsyncOption => "this base has no option fsync",
        }
    }
}

/// The pristine upstream tarball of a Debian source package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub package: String,
    pub version: String,
    pub suite: String,
    /// Name of the tarball.
    pub file: String,
    /// Of the tarball.
    pub sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    default: String,
    bases: BTreeMap<String, Base>,
}

/// Why there is no such base.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read {path}: {cause}", path = path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("failed to understand {path}: {cause}", path = path.display())]
    Malformed { path: PathBuf, cause: Box<toml::de::Error> },
    #[error("failed to find base {name:?}: ci/bases.toml has {known}")]
    Unknown { name: String, known: String },
}

impl Table {
    fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join("ci/bases.toml");
        let text = fs::read_to_string(&path).map_err(|cause| Error::Unreadable { path: path.clone(), cause })?;
        let mut table: Table =
            toml::from_str(&text).map_err(|cause| Error::Malformed { path, cause: Box::new(cause) })?;
        table.bases.iter_mut().for_each(|(name, base)| base.name.clone_from(name));
        Ok(table)
    }
}

impl Base {
    /// The base of that name, or the default one.
    ///
    /// # Errors
    /// If there is no such base, or the file is not what it should be.
    pub fn find(root: &Path, name: Option<&str>) -> Result<Self, Error> {
        let mut table = Table::read(root)?;
        let name = name.unwrap_or(&table.default).to_string();
        table.bases.remove(&name).ok_or_else(|| {
            let known = table.bases.into_keys().collect::<Vec<_>>().join(", ");
            Error::Unknown { name, known }
        })
    }

    /// Every base.
    ///
    /// # Errors
    /// If the file is not what it should be.
    pub fn all(root: &Path) -> Result<Vec<Self>, Error> {
        Ok(Table::read(root)?.bases.into_values().collect())
    }
}

/// How many patches of a series are applied: 0 is the pristine kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    pub const PRISTINE: Level = Level(0);
    /// The first patch, the only one that changes more than overlayfs and documentation.
    pub const FIRST: Level = Level(1);
    /// The second patch, which is documentation.
    pub const DOCUMENTED: Level = Level(2);
    pub const FULL: Level = Level(4);

    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The levels that run on the patched kernel.
    pub fn patched() -> impl Iterator<Item = Level> {
        (Level::FIRST.0..=Level::FULL.0).map(Level)
    }
}

/// `--level` was something else.
#[derive(Debug, thiserror::Error)]
#[error("failed to understand level {0:?}: it is a number of patches, 0 to 4")]
pub struct NotALevel(String);

impl FromStr for Level {
    type Err = NotALevel;

    fn from_str(text: &str) -> Result<Self, NotALevel> {
        match text.parse() {
            Ok(number @ 0..=4) => Ok(Level(number)),
            _ => Err(NotALevel(text.to_string())),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", Some(0))]
    #[case("4", Some(4))]
    #[case("5", None)]
    #[case("-1", None)]
    #[case("", None)]
    #[case("four", None)]
    fn levels_are_zero_to_four(#[case] text: &str, #[case] expected: Option<u8>) {
        assert_eq!(text.parse::<Level>().ok().map(Level::number), expected);
    }

    #[test]
    fn the_shipped_bases_are_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(Base::find(&root, None).unwrap().name, "5.10.13");
        assert!(matches!(Base::find(&root, Some("2.4.0")), Err(Error::Unknown { .. })));
        for base in Base::all(&root).unwrap() {
            assert!(root.join("patches").join(&base.series).is_dir(), "{}", base.series);
            let files = base.config.iter().map(|name| root.join("vm-images/config").join(name));
            let fixes = base.fixes.values().flatten().map(|name| root.join("vm-images/fixes").join(name));
            files.chain(fixes).for_each(|file| assert!(file.is_file(), "{}", file.display()));
        }
    }
}
