// SPDX-License-Identifier: MIT OR Apache-2.0
//! Released kernels, as Debian source packages: the ones that `ci/bases.toml` pins, and the others
//! that the mirror has in their suites. Pinned releases are tested first: they are known to build,
//! and are often in the cache. Other releases are fetched when they are tested.

use std::collections::BTreeMap;
use std::str::FromStr;

use vremount_kernel::base::{Base, Package, Source, version_numbers};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{resolve, source};
use vremount_util::progress;

use crate::bisect::policy::Mark;
use crate::bisect::range::{BisectRange, NextStep, Revision};
use crate::error::Error;

/// Value of `--releases`: `GOOD..BAD`, two upstream versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    /// The good end, the older version.
    pub good: String,
    /// The bad end, the newer version.
    pub bad: String,
}

impl FromStr for VersionRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("..") {
            Some((good, bad)) if !good.is_empty() && !bad.is_empty() => {
                Ok(VersionRange { good: good.to_string(), bad: bad.to_string() })
            }
            _ => Err("expected GOOD..BAD, two versions such as 5.10.13..6.1.176".to_string()),
        }
    }
}

#[derive(Debug, Clone)]
struct Release {
    /// The upstream version.
    version: String,
    package: Package,
    /// Name of the base that pins it; none if it is only on the mirror.
    base: Option<String>,
}

/// The releases between a good and a bad version.
pub struct ReleaseRange<'a> {
    workspace: &'a Workspace,
    releases: Vec<Release>,
    good: [Revision; 1],
    bad: Revision,
    marks: Vec<Option<Mark>>,
}

impl<'a> ReleaseRange<'a> {
    /// The releases between two versions, both included. If the mirror cannot list a suite, only
    /// its pinned releases are used, with a note.
    ///
    /// # Errors
    /// [`Error::Usage`] if a version is unknown, or the good version is not older than the bad one.
    pub fn new(workspace: &'a Workspace, versions: &VersionRange) -> Result<Self, Error> {
        let all = sorted_releases(pinned(workspace)?, |package| match source::list_versions(workspace, package) {
            Ok(versions) => versions,
            Err(error) => {
                progress::note(format!("failed to list {}, only its pinned releases are used: {error}", package.suite));
                Vec::new()
            }
        });
        let index_of = |version: &str| {
            let known = || all.iter().map(|release| release.version.as_str()).collect::<Vec<_>>().join(", ");
            let unknown = || Error::Usage(format!("failed to find release {version}; name one of {}", known()));
            all.iter().position(|release| release.version == version).ok_or_else(unknown)
        };
        let (first, last) = (index_of(&versions.good)?, index_of(&versions.bad)?);
        if first >= last {
            let next = "give the good version first; it must be the older one";
            return Err(Error::Usage(format!("failed to bisect {}..{}; {next}", versions.good, versions.bad)));
        }
        let releases = all[first..=last].to_vec();
        let mut marks = vec![None; releases.len()];
        marks[0] = Some(Mark::Good);
        marks[last - first] = Some(Mark::Bad);
        let (good, bad) = (revision(&releases[0]), revision(&releases[last - first]));
        Ok(ReleaseRange { workspace, releases, good: [good], bad, marks })
    }

    fn index_of(&self, version: &str) -> Option<usize> {
        self.releases.iter().position(|release| release.version == version)
    }
}

impl BisectRange for ReleaseRange<'_> {
    fn good(&self) -> &[Revision] {
        &self.good
    }

    fn bad(&self) -> &Revision {
        &self.bad
    }

    fn next(&mut self) -> Result<NextStep, Error> {
        let is_pinned: Vec<bool> = self.releases.iter().map(|release| release.base.is_some()).collect();
        let at = |index: usize| revision(&self.releases[index]);
        Ok(match choose(&is_pinned, &self.marks) {
            NextRelease::Test(index, left) => NextStep::Test(at(index), Some(left)),
            NextRelease::Found(index) => NextStep::Found(at(index)),
            NextRelease::Undecided(indexes) => NextStep::Undecided(indexes.into_iter().map(at).collect()),
        })
    }

    fn mark(&mut self, revision: &Revision, mark: Mark) -> Result<(), Error> {
        if let Some(index) = self.index_of(&revision.id) {
            self.marks[index] = Some(mark);
        }
        Ok(())
    }

    fn parents(&self, revision: &Revision) -> Result<Vec<String>, Error> {
        let index = self.index_of(&revision.id).and_then(|index| index.checked_sub(1));
        Ok(index.map(|index| self.releases[index].version.clone()).into_iter().collect())
    }

    fn resolve(&self, revision: &Revision) -> Result<(Base, String), Error> {
        match self.index_of(&revision.id).map(|index| &self.releases[index]) {
            Some(Release { base: Some(name), .. }) => {
                let base = Base::find(&self.workspace.root, Some(name))?;
                let description = format!("base {name} of ci/bases.toml, series {}", base.series);
                Ok((base, description))
            }
            Some(Release { package, .. }) => {
                Ok(resolve::base_of_package(self.workspace, source::pin_package(self.workspace, package)?)?)
            }
            None => Err(Error::Usage(format!("failed to find release {}", revision.id))),
        }
    }
}

fn revision(release: &Release) -> Revision {
    let Package { package, version, suite, .. } = &release.package;
    Revision { id: release.version.clone(), title: format!("{package} {version} of {suite}") }
}

/// The releases that `ci/bases.toml` pins.
fn pinned(workspace: &Workspace) -> Result<Vec<Release>, Error> {
    let release = |base: Base| match base.source {
        Source::Package(package) => {
            Some(Release { version: upstream_version(&package.version).to_string(), package, base: Some(base.name) })
        }
        _ => None,
    };
    Ok(Base::all(&workspace.root)?.into_iter().filter_map(release).collect())
}

/// The pinned releases and the others of their suites, each upstream version once, the oldest
/// first.
fn sorted_releases(pinned: Vec<Release>, mut versions_of: impl FnMut(&Package) -> Vec<String>) -> Vec<Release> {
    let mut by_version = BTreeMap::new();
    let mut suites = BTreeMap::new();
    for release in pinned {
        suites.insert((release.package.package.clone(), release.package.suite.clone()), release.package.clone());
        by_version.insert(release.version.clone(), release);
    }
    for package in suites.values() {
        for version in versions_of(package) {
            let upstream = upstream_version(&version).to_string();
            let package = Package { version, file: String::new(), sha256: String::new(), ..package.clone() };
            by_version.entry(upstream.clone()).or_insert(Release { version: upstream, package, base: None });
        }
    }
    let mut releases: Vec<_> = by_version.into_values().collect();
    // The release candidate 7.3~rc7 comes before 7.3.
    releases.sort_by_key(|release| (version_numbers(&release.version), !release.version.contains('~')));
    releases
}

/// A Debian version without the Debian revision.
fn upstream_version(version: &str) -> &str {
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

#[derive(Debug, PartialEq, Eq)]
enum NextRelease {
    /// Index of the release to test, and the estimated number of tests left.
    Test(usize, usize),
    /// Index of the first bad release.
    Found(usize),
    /// Indexes of the releases of which one is the first bad one.
    Undecided(Vec<usize>),
}

/// Chooses the middle of the untested pinned releases between the last good and the first bad
/// release; if there are none, the middle of all untested ones.
fn choose(is_pinned: &[bool], marks: &[Option<Mark>]) -> NextRelease {
    let high = marks.iter().position(|mark| *mark == Some(Mark::Bad)).unwrap_or(marks.len());
    let low = marks[..high].iter().rposition(|mark| *mark == Some(Mark::Good)).unwrap_or(0);
    let between: Vec<usize> = (low + 1..high).filter(|index| marks[*index].is_none()).collect();
    let pinned: Vec<usize> = between.iter().copied().filter(|index| is_pinned[*index]).collect();
    let candidates = if pinned.is_empty() { &between } else { &pinned };
    match candidates.get(candidates.len() / 2) {
        Some(index) => NextRelease::Test(*index, between.len().ilog2() as usize + 1),
        None if high - low == 1 => NextRelease::Found(high),
        None => NextRelease::Undecided((low + 1..=high).collect()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: Option<Mark> = Some(Mark::Good);
    const BAD: Option<Mark> = Some(Mark::Bad);
    const SKIP: Option<Mark> = Some(Mark::Skip);

    #[rstest]
    #[case::pinned_first("x...x..x", &[GOOD, None, None, None, None, None, None, BAD], NextRelease::Test(4, 3))]
    #[case::others_when_no_pinned_is_left("x...x..x", &[GOOD, None, None, None, BAD, None, None, BAD], NextRelease::Test(2, 2))]
    #[case::found("x.x", &[GOOD, GOOD, BAD], NextRelease::Found(2))]
    #[case::adjacent_ends("xx", &[GOOD, BAD], NextRelease::Found(1))]
    #[case::around_a_skipped_one("x....x", &[GOOD, None, None, SKIP, None, BAD], NextRelease::Test(2, 2))]
    #[case::skipped_pinned_one("x.x.x", &[GOOD, None, SKIP, None, BAD], NextRelease::Test(3, 2))]
    #[case::only_skipped("x..x", &[GOOD, SKIP, SKIP, BAD], NextRelease::Undecided(vec![1, 2, 3]))]
    #[case::one_skipped("x..x", &[GOOD, SKIP, BAD, BAD], NextRelease::Undecided(vec![1, 2]))]
    fn pinned_releases_are_tested_first(
        #[case] pinned: &str,
        #[case] marks: &[Option<Mark>],
        #[case] expected: NextRelease,
    ) {
        let is_pinned: Vec<bool> = pinned.chars().map(|char| char == 'x').collect();
        assert_eq!(choose(&is_pinned, marks), expected);
    }

    #[test]
    fn every_first_bad_release_is_found() {
        for count in 2..20 {
            for first_bad in 1..count {
                let is_pinned: Vec<bool> = (0..count).map(|index| index % 5 == 0).collect();
                let mut marks = vec![None; count];
                (marks[0], marks[count - 1]) = (GOOD, BAD);
                let found = loop {
                    match choose(&is_pinned, &marks) {
                        NextRelease::Test(index, _) => marks[index] = if index < first_bad { GOOD } else { BAD },
                        result => break result,
                    }
                };
                assert_eq!(found, NextRelease::Found(first_bad));
            }
        }
    }

    fn release(version: &str, suite: &str) -> Release {
        let (package, file, sha256) = ("linux".to_string(), "f".to_string(), "s".to_string());
        let package = Package { package, version: format!("{version}-1"), suite: suite.to_string(), file, sha256 };
        Release { version: version.to_string(), package, base: Some(version.to_string()) }
    }

    #[test]
    fn each_suite_is_listed_once_and_versions_are_sorted() {
        let mut listed = Vec::new();
        let pinned =
            vec![release("6.1.176", "bookworm"), release("5.10.13", "bullseye"), release("5.10.223", "bullseye")];
        let releases = sorted_releases(pinned, |package| {
            listed.push(package.suite.clone());
            let versions: &[&str] = match package.suite.as_str() {
                "bullseye" => &["5.10.223-1", "5.10.46-4", "5.10.46-5", "5.10.13-1"],
                _ => &["6.1.176-1", "7.3-1~exp1", "7.3~rc7-1~exp1", "6.1.8-1"],
            };
            versions.iter().map(ToString::to_string).collect()
        });
        assert_eq!(listed, ["bookworm", "bullseye"]);
        let versions: Vec<_> = releases.iter().map(|release| release.version.as_str()).collect();
        assert_eq!(versions, ["5.10.13", "5.10.46", "5.10.223", "6.1.8", "6.1.176", "7.3~rc7", "7.3"]);
        let pinned: Vec<_> = releases.iter().filter_map(|release| release.base.as_deref()).collect();
        assert_eq!(pinned, ["5.10.13", "5.10.223", "6.1.176"]);
        assert_eq!(releases[1].package.version, "5.10.46-4");
    }

    #[rstest]
    #[case("5.10.13..7.3.4", Some(("5.10.13", "7.3.4")))]
    #[case("5.10.13", None)]
    #[case("..7.3.4", None)]
    #[case("5.10.13..", None)]
    fn version_range_is_parsed(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        let expected = expected.map(|(good, bad)| VersionRange { good: good.to_string(), bad: bad.to_string() });
        assert_eq!(text.parse().ok(), expected);
    }
}
