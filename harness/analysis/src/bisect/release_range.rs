// SPDX-License-Identifier: MIT OR Apache-2.0
//! Released kernels that can be had as Debian source packages: those that ci/bases.toml pins, and whatever else the mirror has
//! of their suites. The pinned ones come first: they are known to build, and often have been built already; what lies between
//! two of them is fetched when it comes to that.

use std::collections::BTreeMap;
use std::str::FromStr;

use vremount_kernel::base::{Base, Package, Source, numbers};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{resolve, source};
use vremount_util::progress;

use crate::bisect::{BisectRange, Mark, NextStep, Revision};
use crate::error::Error;

/// From a version that is good to one that is bad, as `--releases` takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    pub good: String,
    pub bad: String,
}

impl FromStr for VersionRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("..") {
            Some((good, bad)) if !good.is_empty() && !bad.is_empty() => {
                Ok(VersionRange { good: good.to_string(), bad: bad.to_string() })
            }
            _ => Err("it is GOOD..BAD, two versions such as 5.10.13..6.1.176".to_string()),
        }
    }
}

#[derive(Debug, Clone)]
struct Release {
    /// Upstream's.
    version: String,
    package: Package,
    /// Name of the base that pins it.
    base: Option<String>,
}

pub struct ReleaseRange<'a> {
    workspace: &'a Workspace,
    releases: Vec<Release>,
    good: [Revision; 1],
    bad: Revision,
    marks: Vec<Option<Mark>>,
}

impl<'a> ReleaseRange<'a> {
    /// All between two versions, both included. A suite that cannot be asked now is left out, with a note.
    ///
    /// # Errors
    /// If one of the versions cannot be had.
    pub fn new(workspace: &'a Workspace, versions: &VersionRange) -> Result<Self, Error> {
        let all = in_order(pinned(workspace)?, |package| match source::versions(workspace, package) {
            Ok(versions) => versions,
            Err(error) => {
                progress::note(format!("only what is pinned of {}: {error}", package.suite));
                Vec::new()
            }
        });
        let place = |version: &str| {
            let there_is = || all.iter().map(|release| release.version.as_str()).collect::<Vec<_>>().join(", ");
            let missing = || Error::Usage(format!("failed to find release {version}: there is {}", there_is()));
            all.iter().position(|release| release.version == version).ok_or_else(missing)
        };
        let (first, last) = (place(&versions.good)?, place(&versions.bad)?);
        if first >= last {
            let what = "the version that is good comes first, and is the older one";
            return Err(Error::Usage(format!("failed to bisect {}..{}: {what}", versions.good, versions.bad)));
        }
        let releases = all[first..=last].to_vec();
        let mut marks = vec![None; releases.len()];
        marks[0] = Some(Mark::Good);
        marks[last - first] = Some(Mark::Bad);
        let (good, bad) = (point(&releases[0]), point(&releases[last - first]));
        Ok(ReleaseRange { workspace, releases, good: [good], bad, marks })
    }

    fn place(&self, version: &str) -> Option<usize> {
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
        let points = |places: Vec<usize>| places.into_iter().map(|place| point(&self.releases[place]));
        Ok(match choose(&is_pinned, &self.marks) {
            NextRelease::Examine(place, left) => NextStep::Examine(point(&self.releases[place]), Some(left)),
            NextRelease::Found(place) => NextStep::Found(point(&self.releases[place])),
            NextRelease::Among(places) => NextStep::Among(points(places).collect()),
        })
    }

    fn mark(&mut self, point: &Revision, mark: Mark) -> Result<(), Error> {
        if let Some(place) = self.place(&point.id) {
            self.marks[place] = Some(mark);
        }
        Ok(())
    }

    fn before(&self, point: &Revision) -> Result<Vec<String>, Error> {
        let place = self.place(&point.id).and_then(|place| place.checked_sub(1));
        Ok(place.map(|place| self.releases[place].version.clone()).into_iter().collect())
    }

    fn base(&self, point: &Revision) -> Result<(Base, String), Error> {
        match self.place(&point.id).map(|place| &self.releases[place]) {
            Some(Release { base: Some(name), .. }) => {
                let base = Base::find(&self.workspace.root, Some(name))?;
                let words = format!("base {name} of ci/bases.toml, series {}", base.series);
                Ok((base, words))
            }
            Some(Release { package, .. }) => {
                Ok(resolve::package(self.workspace, source::pin(self.workspace, package)?)?)
            }
            None => Err(Error::Usage(format!("failed to find release {}", point.id))),
        }
    }
}

fn point(release: &Release) -> Revision {
    let Package { package, version, suite, .. } = &release.package;
    Revision { id: release.version.clone(), title: format!("{package} {version} of {suite}") }
}

/// The releases that ci/bases.toml pins.
fn pinned(workspace: &Workspace) -> Result<Vec<Release>, Error> {
    let release = |base: Base| match base.source {
        Source::Package(package) => {
            Some(Release { version: upstream(&package.version).to_string(), package, base: Some(base.name) })
        }
        _ => None,
    };
    Ok(Base::all(&workspace.root)?.into_iter().filter_map(release).collect())
}

/// With what else their suites have, each version of upstream's once, the oldest first.
fn in_order(pinned: Vec<Release>, mut versions_of: impl FnMut(&Package) -> Vec<String>) -> Vec<Release> {
    let mut by_version = BTreeMap::new();
    let mut suites = BTreeMap::new();
    for release in pinned {
        suites.insert((release.package.package.clone(), release.package.suite.clone()), release.package.clone());
        by_version.insert(release.version.clone(), release);
    }
    for package in suites.values() {
        for version in versions_of(package) {
            let upstream = upstream(&version).to_string();
            let package = Package { version, file: String::new(), sha256: String::new(), ..package.clone() };
            by_version.entry(upstream.clone()).or_insert(Release { version: upstream, package, base: None });
        }
    }
    let mut releases: Vec<_> = by_version.into_values().collect();
    // Of 7.3~rc7 and 7.3 the candidate comes first.
    releases.sort_by_key(|release| (numbers(&release.version), !release.version.contains('~')));
    releases
}

/// Without Debian's own revision.
fn upstream(version: &str) -> &str {
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

#[derive(Debug, PartialEq, Eq)]
enum NextRelease {
    Examine(usize, usize),
    Found(usize),
    Among(Vec<usize>),
}

/// Coarse to fine: the middle of the pinned ones between the last good and the first bad, and when none is left there, the
/// middle of all.
fn choose(is_pinned: &[bool], marks: &[Option<Mark>]) -> NextRelease {
    let high = marks.iter().position(|mark| *mark == Some(Mark::Bad)).unwrap_or(marks.len());
    let low = marks[..high].iter().rposition(|mark| *mark == Some(Mark::Good)).unwrap_or(0);
    let between: Vec<usize> = (low + 1..high).filter(|place| marks[*place].is_none()).collect();
    let coarse: Vec<usize> = between.iter().copied().filter(|place| is_pinned[*place]).collect();
    let places = if coarse.is_empty() { &between } else { &coarse };
    match places.get(places.len() / 2) {
        Some(place) => NextRelease::Examine(*place, between.len().ilog2() as usize + 1),
        None if high - low == 1 => NextRelease::Found(high),
        None => NextRelease::Among((low + 1..=high).collect()),
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
    #[case::pinned_first("x...x..x", &[GOOD, None, None, None, None, None, None, BAD], NextRelease::Examine(4, 3))]
    #[case::then_all("x...x..x", &[GOOD, None, None, None, BAD, None, None, BAD], NextRelease::Examine(2, 2))]
    #[case::found("x.x", &[GOOD, GOOD, BAD], NextRelease::Found(2))]
    #[case::neighbours("xx", &[GOOD, BAD], NextRelease::Found(1))]
    #[case::round_a_gap("x....x", &[GOOD, None, None, SKIP, None, BAD], NextRelease::Examine(2, 2))]
    #[case::pinned_is_skipped("x.x.x", &[GOOD, None, SKIP, None, BAD], NextRelease::Examine(3, 2))]
    #[case::only_skipped("x..x", &[GOOD, SKIP, SKIP, BAD], NextRelease::Among(vec![1, 2, 3]))]
    #[case::one_skipped("x..x", &[GOOD, SKIP, BAD, BAD], NextRelease::Among(vec![1, 2]))]
    fn coarse_comes_before_fine(#[case] pinned: &str, #[case] marks: &[Option<Mark>], #[case] expected: NextRelease) {
        let is_pinned: Vec<bool> = pinned.chars().map(|char| char == 'x').collect();
        assert_eq!(choose(&is_pinned, marks), expected);
    }

    #[test]
    fn every_first_bad_release_is_found() {
        for count in 2..20 {
            for first_bad in 1..count {
                let is_pinned: Vec<bool> = (0..count).map(|place| place % 5 == 0).collect();
                let mut marks = vec![None; count];
                (marks[0], marks[count - 1]) = (GOOD, BAD);
                let found = loop {
                    match choose(&is_pinned, &marks) {
                        NextRelease::Examine(place, _) => marks[place] = if place < first_bad { GOOD } else { BAD },
                        ending => break ending,
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
    fn suites_are_asked_once_and_versions_are_in_order() {
        let mut asked = Vec::new();
        let pinned =
            vec![release("6.1.176", "bookworm"), release("5.10.13", "bullseye"), release("5.10.223", "bullseye")];
        let releases = in_order(pinned, |package| {
            asked.push(package.suite.clone());
            let versions: &[&str] = match package.suite.as_str() {
                "bullseye" => &["5.10.223-1", "5.10.46-4", "5.10.46-5", "5.10.13-1"],
                _ => &["6.1.176-1", "7.3-1~exp1", "7.3~rc7-1~exp1", "6.1.8-1"],
            };
            versions.iter().map(ToString::to_string).collect()
        });
        assert_eq!(asked, ["bookworm", "bullseye"]);
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
    fn releases_are_a_range(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        let expected = expected.map(|(good, bad)| VersionRange { good: good.to_string(), bad: bad.to_string() });
        assert_eq!(text.parse().ok(), expected);
    }
}
