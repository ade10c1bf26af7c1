// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source that has no name becomes a base: built like that base of ci/bases.toml whose series applies to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use vremount_util::{command, progress};

use crate::base::{Base, Feature, Package, PreApplied, Source, SourceProbe, Spec, numbers};
use crate::build::Arch;
use crate::error::Error;
use crate::series::ApplyCheck;
use crate::source::{Snapshot, Tree, git};
use crate::workspace::Workspace;
use crate::{series, source};

/// Digits of an id that people see.
const SHORT: usize = 12;

/// The base that is asked for.
///
/// # Errors
/// If there is none of that name, or the source cannot be had, or no series applies to it.
pub fn find(workspace: &Workspace, wanted: Option<&Spec>) -> Result<Base, Error> {
    let (source, letter) = match wanted {
        None => return Ok(Base::find(&workspace.root, None)?),
        Some(Spec::Named(name)) => return Ok(Base::find(&workspace.root, Some(name))?),
        Some(Spec::Git { url, commit }) => (Source::Git(source::resolve_git(workspace, url, commit)?), 'g'),
        Some(Spec::Tarball { from, sha256 }) => {
            (Source::Tarball(source::resolve_tarball(workspace, from, sha256.as_deref())?), 's')
        }
        Some(Spec::Tree(folder)) => {
            let Snapshot { git, changed } = source::snapshot(workspace, folder)?;
            let also = if changed == 0 {
                String::new()
            } else {
                format!("; {changed} files that are not committed are part of the kernel")
            };
            progress::note(format!("{} is only read{also}", git.git));
            (Source::Git(git), 't')
        }
    };
    let (base, words) = fitted(workspace, source, letter)?;
    progress::note(format!("{words}"));
    Ok(base)
}

/// The base of a commit of a repository at hand, and how it came to be that, in words.
///
/// # Errors
/// If there is none, or no series applies to it.
pub fn commit(workspace: &Workspace, repository: &Path, commit: &str) -> Result<(Base, String), Error> {
    let git = source::resolve_git(workspace, &repository.to_string_lossy(), commit)?;
    fitted(workspace, Source::Git(git), 'g')
}

/// The base of a Debian source package, and how it came to be that, in words.
///
/// # Errors
/// If it cannot be had, or no series applies to it.
pub fn package(workspace: &Workspace, package: Package) -> Result<(Base, String), Error> {
    fitted(workspace, Source::Package(package), 'd')
}

fn fitted(workspace: &Workspace, source: Source, letter: char) -> Result<(Base, String), Error> {
    let (id, from) = match &source {
        Source::Git(git) if letter == 't' => (git.tree.clone().unwrap_or_default(), git.git.clone()),
        Source::Git(git) => (git.commit.clone(), git.git.clone()),
        Source::Tarball(tarball) => (tarball.sha256.clone(), tarball.tarball.clone()),
        Source::Package(package) => (package.sha256.clone(), package.package.clone()),
    };
    let short: String = id.chars().take(SHORT).collect();
    let tree = source::obtain(workspace, &source)?;
    let SeriesMatch { version, base, left_out } = of(workspace, &tree, &from)?;
    let left_out = left_out.iter().map(|name| format!("; {name} does not apply and is left out")).collect::<String>();
    let words = format!("{from} is Linux {version}, built like base {}; {}{left_out}", base.name, in_words(&base));
    let name = format!("{version}-{letter}{short}");
    let series = if base.carries == PreApplied::ItsOwn { "in-tree".to_string() } else { base.series.clone() };
    Ok((Base { name, series, source, ..base }, words))
}

/// A tree beside the bases of ci/bases.toml.
pub struct SeriesMatch {
    /// What its Makefile says it is.
    pub version: String,
    /// The base that it is like; what it carries, what it has and which fixes it takes are its own.
    pub base: Base,
    /// Fixes that machines of that base need, and that neither apply to it nor are in it.
    pub left_out: Vec<String>,
}

/// # Errors
/// If it is no kernel, or no series applies to it.
pub fn of(workspace: &Workspace, tree: &Tree, from: &str) -> Result<SeriesMatch, Error> {
    let version = version(tree).ok_or_else(|| Error::NoKernel(from.to_string()))?;
    let trial = ApplyCheck::of(tree)?;
    let SeriesChoice { like, carries } = choose(workspace, &trial, &version, from)?;
    let (has, (fixes, left_out)) = (features(tree, &like)?, fixes_that_apply(workspace, &trial, &like)?);
    Ok(SeriesMatch { version, base: Base { has, fixes, carries, ..like }, left_out })
}

/// What it has of what claims rely on: as its source says, and where that is silent as the base has that it is like.
///
/// # Errors
/// If git fails.
pub fn features(tree: &Tree, like: &Base) -> Result<BTreeSet<Feature>, source::Error> {
    let mut has = BTreeSet::new();
    for feature in Feature::ALL {
        let there = match feature.trace() {
            Some(SourceProbe { path, says, but_not }) => {
                let other = but_not.map_or(Ok(false), |words| source::contains_text(tree, words, path))?;
                !other && source::contains_text(tree, says, path)?
            }
            None => like.has.contains(&feature),
        };
        has.extend(there.then_some(feature));
    }
    Ok(has)
}

/// Names of fixes, by architecture or configuration fragment.
type Fixes = BTreeMap<String, Vec<String>>;

struct SeriesChoice {
    like: Base,
    carries: PreApplied,
}

/// The series of the base that is closest by version wins, so that of two that apply it is the one made for such a tree.
fn choose(workspace: &Workspace, trial: &ApplyCheck<'_>, version: &str, from: &str) -> Result<SeriesChoice, Error> {
    let mut bases = Base::all(&workspace.root)?;
    bases.sort_by_key(|base| distance(&upstream_version(base), version));
    let mut tried: BTreeMap<String, String> = BTreeMap::new();
    for like in &bases {
        if tried.contains_key(&like.series) {
            continue;
        }
        let patches = series::patches(&workspace.root.join("patches").join(&like.series))?;
        match trial.fits(&patches)? {
            Ok(carries) => return Ok(SeriesChoice { like: like.clone(), carries }),
            Err(failure) => tried.insert(like.series.clone(), failure.to_string()),
        };
    }
    match bases.into_iter().next() {
        Some(like) if trial.carries_its_own()? => Ok(SeriesChoice { like, carries: PreApplied::ItsOwn }),
        _ => Err(Error::NoSeries { from: from.to_string(), version: version.to_string(), tried }),
    }
}

/// Numbers that are compared one after the other: the first that differs decides.
fn distance(base: &str, version: &str) -> [u64; 3] {
    let (base, version) = (numbers(base), numbers(version));
    let at = |numbers: &[u64], place: usize| numbers.get(place).copied().unwrap_or_default();
    [0, 1, 2].map(|place| at(&base, place).abs_diff(at(&version, place)))
}

/// Upstream's version of a base, as far as it can be told without its source.
fn upstream_version(base: &Base) -> String {
    match &base.source {
        Source::Package(package) => package.version.clone(),
        _ => base.name.clone(),
    }
}

/// By what they are for, and which of an architecture do not apply. Such a fix is in the tree already, or is not needed there, or is
/// missed; those of a further configuration fragment make no machine that does not start.
fn fixes_that_apply(workspace: &Workspace, trial: &ApplyCheck<'_>, like: &Base) -> Result<(Fixes, Vec<String>), Error> {
    let (mut fixes, mut left_out) = (like.fixes.clone(), Vec::new());
    for (whose, names) in &mut fixes {
        let is_of_arch = Arch::ALL.iter().any(|arch| arch.name() == whose);
        let mut apply = Vec::new();
        for name in names.drain(..) {
            let path: PathBuf = workspace.root.join("vm-images/fixes").join(&name);
            if trial.applies(&path)? {
                apply.push(name);
            } else if is_of_arch && !trial.carries(&path)? {
                left_out.push(name);
            }
        }
        *names = apply;
    }
    Ok((fixes, left_out))
}

fn in_words(Base { carries, series, .. }: &Base) -> String {
    match carries {
        PreApplied::Nothing => format!("series {series} applies"),
        PreApplied::First(4) => format!("it carries series {series}: levels below 4 take patches out of it"),
        PreApplied::First(count) => {
            let patches = if *count == 1 { "patch 1".to_string() } else { format!("patches 1 to {count}") };
            format!("it carries {patches} of series {series}: levels take out or add the others")
        }
        PreApplied::ItsOwn => "it carries a series that is none of ours: it is proved as it is, as level 4".to_string(),
    }
}

/// What its Makefile says it is; none if it is no kernel with overlayfs.
fn version(tree: &Tree) -> Option<String> {
    let show = |path: &str| {
        let object = format!("{}:{path}", tree.commit);
        command::run("look into a tree", &mut git(&tree.repository, ["show", &object])).ok()
    };
    show("fs/overlayfs/super.c")?;
    let makefile = show("Makefile")?;
    let value = |name: &str| {
        let assigned = |line: &str| Some(line.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim().to_string());
        makefile.lines().find_map(assigned)
    };
    let [version, patchlevel] = [value("VERSION")?, value("PATCHLEVEL")?];
    let sublevel = value("SUBLEVEL").unwrap_or_default();
    let dot = if sublevel.is_empty() { "" } else { "." };
    Some(format!("{version}.{patchlevel}{dot}{sublevel}{}", value("EXTRAVERSION").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::same_series("6.1.9", "6.1.4-1")]
    #[case::newer_within("6.1.180", "6.1.176-1")]
    #[case::older_major("5.15.3", "5.10.13-1")]
    #[case::newer_major("7.5.0-rc1", "7.3.4-1")]
    fn the_closest_version_comes_first(#[case] version: &str, #[case] expected: &str) {
        let mut bases = ["5.10.13-1", "6.1.4-1", "6.1.176-1", "7.3.4-1"];
        bases.sort_by_key(|base| distance(base, version));
        assert_eq!(bases[0], expected);
    }
}
