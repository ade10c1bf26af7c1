// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns a [`Spec`] into a [`Base`]. A source that `ci/bases.toml` does not list gets the series,
//! the configuration and the fixes of the closest base whose series applies to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use vremount_util::{command, progress};

use crate::base::{Base, Feature, Git, Package, PreApplied, Source, SourceProbe, Spec, version_numbers};
use crate::build::Arch;
use crate::error::Error;
use crate::series::ApplyCheck;
use crate::source::{Snapshot, Tree, git_command};
use crate::workspace::Workspace;
use crate::{series, source};

/// Digits of a commit or hash in the generated name of a base.
const ID_DIGITS: usize = 12;

/// The base that a spec names; without a spec the default base of `ci/bases.toml`.
///
/// # Errors
/// [`Error::Base`] if there is no base of that name, [`Error::Source`] if the source cannot be
/// obtained, [`Error::NoKernel`] or [`Error::NoSeries`] if it is no kernel or no series applies to
/// it.
pub fn find_base(workspace: &Workspace, spec: Option<&Spec>) -> Result<Base, Error> {
    let (source, kind) = match spec {
        None => return Ok(Base::find(&workspace.root, None)?),
        Some(Spec::Named(name)) => return Ok(Base::find(&workspace.root, Some(name))?),
        Some(Spec::Git { url, commit }) => (Source::Git(source::resolve_git(workspace, url, commit)?), Kind::Git),
        Some(Spec::Tarball { from, sha256 }) => {
            (Source::Tarball(source::resolve_tarball(workspace, from, sha256.as_deref())?), Kind::Tarball)
        }
        Some(Spec::Tree(folder)) => {
            let Snapshot { git, changed_files: changed } = source::take_snapshot(workspace, folder)?;
            let uncommitted = match changed {
                0 => String::new(),
                1 => "; the kernel includes the uncommitted changes of 1 file".to_string(),
                _ => format!("; the kernel includes the uncommitted changes of {changed} files"),
            };
            progress::note(format!("{} is only read{uncommitted}", git.git));
            (Source::Git(git), Kind::Tree)
        }
    };
    let (base, description) = base_of(workspace, source, kind)?;
    progress::note(description);
    Ok(base)
}

/// The base of a commit of a local repository, and a description of how it was chosen.
///
/// # Errors
/// [`Error::Source`] if there is no such commit, [`Error::NoKernel`] or [`Error::NoSeries`] if it
/// is no kernel or no series applies to it.
pub fn base_of_commit(workspace: &Workspace, repository: &Path, commit: &str) -> Result<(Base, String), Error> {
    let git = source::resolve_git(workspace, &repository.to_string_lossy(), commit)?;
    base_of(workspace, Source::Git(git), Kind::Git)
}

/// The base of a Debian source package, and a description of how it was chosen.
///
/// # Errors
/// [`Error::Source`] if the package cannot be fetched, [`Error::NoKernel`] or [`Error::NoSeries`]
/// if it is no kernel or no series applies to it.
pub fn base_of_package(workspace: &Workspace, package: Package) -> Result<(Base, String), Error> {
    base_of(workspace, Source::Package(package), Kind::Package)
}

/// The kind of a source, by the letter that the generated name of a base has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Git,
    Tarball,
    Tree,
    Package,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Kind::Git => 'g',
            Kind::Tarball => 's',
            Kind::Tree => 't',
            Kind::Package => 'd',
        }
    }
}

fn base_of(workspace: &Workspace, source: Source, kind: Kind) -> Result<(Base, String), Error> {
    let (id, from) = match &source {
        // Two snapshots with the same content have the same name.
        Source::Git(Git { git, tree: Some(tree), .. }) if kind == Kind::Tree => (tree.clone(), git.clone()),
        Source::Git(git) => (git.commit.clone(), git.git.clone()),
        Source::Tarball(tarball) => (tarball.sha256.clone(), tarball.tarball.clone()),
        Source::Package(package) => (package.sha256.clone(), package.package.clone()),
    };
    let short: String = id.chars().take(ID_DIGITS).collect();
    let tree = source::obtain(workspace, &source)?;
    let SeriesMatch { version, base, unused_fixes: left_out } = match_series(workspace, &tree, &from)?;
    let left_out =
        left_out.iter().map(|name| format!("; fix {name} does not apply and is not used")).collect::<String>();
    let series_state = describe_series(&base);
    let description = format!("{from} is Linux {version}, built like base {}; {series_state}{left_out}", base.name);
    let name = format!("{}-{}{short}", path_component(&version), kind.letter());
    let series =
        if base.pre_applied == PreApplied::OtherImplementation { "in-tree".to_string() } else { base.series.clone() };
    Ok((Base { name, series, source, ..base }, description))
}

/// The version as a part of a path that make takes: EXTRAVERSION of a Makefile may be any text.
fn path_component(version: &str) -> String {
    version.replace(|char: char| !char.is_ascii_alphanumeric() && !".-+_~".contains(char), "-")
}

/// A kernel tree and the base that it is built like.
pub struct SeriesMatch {
    /// The version of the tree, from its Makefile.
    pub version: String,
    /// The closest base whose series applies. Features, fixes and the patches that are applied
    /// already are those of the tree.
    pub base: Base,
    /// Fixes for an architecture of that base that neither apply to the tree nor are in it.
    pub unused_fixes: Vec<String>,
}

/// Finds the base that a tree is built like. `from` is the source as the user named it, for errors.
///
/// # Errors
/// [`Error::NoKernel`] if the tree is no kernel with overlayfs, [`Error::NoSeries`] if no series
/// applies to it; another [`Error`] if git fails or `ci/bases.toml` cannot be used.
pub fn match_series(workspace: &Workspace, tree: &Tree, from: &str) -> Result<SeriesMatch, Error> {
    let version = version(tree).ok_or_else(|| Error::NoKernel(from.to_string()))?;
    let check = ApplyCheck::new(tree)?;
    let SeriesChoice { closest, pre_applied } = choose_series(workspace, &check, &version, from)?;
    let (has, (fixes, left_out)) = (detect_features(tree, &closest)?, fixes_that_apply(workspace, &check, &closest)?);
    Ok(SeriesMatch { version, base: Base { features: has, fixes, pre_applied, ..closest }, unused_fixes: left_out })
}

/// The features of a tree, from its source. A feature that no text in the source shows is taken
/// from the base `closest`.
///
/// # Errors
/// [`source::Error`] if git fails.
pub fn detect_features(tree: &Tree, closest: &Base) -> Result<BTreeSet<Feature>, source::Error> {
    let mut has = BTreeSet::new();
    for feature in Feature::ALL {
        let is_present = match feature.source_probe() {
            Some(SourceProbe { path, contains: says, excludes: but_not }) => {
                let is_excluded = but_not.map_or(Ok(false), |text| source::contains_text(tree, text, path))?;
                !is_excluded && source::contains_text(tree, says, path)?
            }
            None => closest.features.contains(&feature),
        };
        has.extend(is_present.then_some(feature));
    }
    Ok(has)
}

/// File names of fixes, by architecture or configuration fragment.
type Fixes = BTreeMap<String, Vec<String>>;

/// The base whose series applies to a tree, and which of its patches the tree already has.
struct SeriesChoice {
    closest: Base,
    pre_applied: PreApplied,
}

/// Chooses the first series that applies, in order of the distance between the version of its base
/// and that of the tree: of two series that apply, the closer one was made for such a tree.
fn choose_series(
    workspace: &Workspace,
    check: &ApplyCheck<'_>,
    version: &str,
    from: &str,
) -> Result<SeriesChoice, Error> {
    let mut bases = Base::all(&workspace.root)?;
    bases.sort_by_key(|base| distance(&upstream_version(base), version));
    let mut tried: BTreeMap<String, String> = BTreeMap::new();
    for closest in &bases {
        if tried.contains_key(&closest.series) {
            continue;
        }
        let patches = series::list_patches(&workspace.root.join("patches").join(&closest.series))?;
        match check.find_pre_applied(&patches)? {
            Ok(pre_applied) => return Ok(SeriesChoice { closest: closest.clone(), pre_applied }),
            Err(failure) => tried.insert(closest.series.clone(), failure.to_string()),
        };
    }
    match bases.into_iter().next() {
        Some(closest) if check.has_other_implementation()? => {
            Ok(SeriesChoice { closest, pre_applied: PreApplied::OtherImplementation })
        }
        _ => Err(Error::NoSeries { from: from.to_string(), version: version.to_string(), tried }),
    }
}

/// The distance between two versions: the differences of their first three numbers, which are
/// compared in order.
fn distance(base: &str, version: &str) -> [u64; 3] {
    let (base, version) = (version_numbers(base), version_numbers(version));
    let number = |numbers: &[u64], index: usize| numbers.get(index).copied().unwrap_or(0);
    [0, 1, 2].map(|index| number(&base, index).abs_diff(number(&version, index)))
}

/// The version of a base, without its source: that of its package, else its name.
fn upstream_version(base: &Base) -> String {
    match &base.source {
        Source::Package(package) => package.version.clone(),
        _ => base.name.clone(),
    }
}

/// The fixes of a base that apply to a tree, and those for an architecture that neither apply nor
/// are in the tree. Without one of the latter a machine may not boot. A missing fix for a
/// configuration fragment does not prevent that.
fn fixes_that_apply(
    workspace: &Workspace,
    check: &ApplyCheck<'_>,
    closest: &Base,
) -> Result<(Fixes, Vec<String>), Error> {
    let (mut fixes, mut left_out) = (closest.fixes.clone(), Vec::new());
    for (purpose, names) in &mut fixes {
        let is_for_arch = Arch::ALL.iter().any(|arch| arch.name() == purpose);
        let mut apply = Vec::new();
        for name in names.drain(..) {
            let path: PathBuf = workspace.root.join("vm-images/fixes").join(&name);
            if check.can_apply(&path)? {
                apply.push(name);
            } else if is_for_arch && !check.has_patch(&path)? {
                left_out.push(name);
            }
        }
        *names = apply;
    }
    Ok((fixes, left_out))
}

/// How the series relates to the tree, for a note to the user.
fn describe_series(Base { pre_applied: carries, series, .. }: &Base) -> String {
    match carries {
        PreApplied::None => format!("series {series} applies"),
        PreApplied::FirstPatches(4) => {
            format!("it already has series {series}; for levels below 4 patches are reverted")
        }
        PreApplied::FirstPatches(count) => {
            let patches = if *count == 1 { "patch 1".to_string() } else { format!("patches 1 to {count}") };
            format!(
                "it already has {patches} of series {series}; the others are applied, or some are reverted, by level"
            )
        }
        PreApplied::OtherImplementation => {
            "it has another implementation of the series, and is verified as it is, as level 4".to_string()
        }
    }
}

/// The version of a tree, from its Makefile; none if it is no kernel with overlayfs.
fn version(tree: &Tree) -> Option<String> {
    let show = |path: &str| {
        let object = format!("{}:{path}", tree.commit);
        command::run("read a file of a tree", &mut git_command(&tree.repository, ["show", &object])).ok()
    };
    show("fs/overlayfs/super.c")?;
    let makefile = show("Makefile")?;
    let variable = |name: &str| {
        let assigned = |line: &str| Some(line.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim().to_string());
        makefile.lines().find_map(assigned)
    };
    let [version, patchlevel] = [variable("VERSION")?, variable("PATCHLEVEL")?];
    let sublevel = variable("SUBLEVEL").unwrap_or_default();
    let dot = if sublevel.is_empty() { "" } else { "." };
    Some(format!("{version}.{patchlevel}{dot}{sublevel}{}", variable("EXTRAVERSION").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::same_series("6.1.9", "6.1.4-1")]
    #[case::newer_patch_level("6.1.180", "6.1.176-1")]
    #[case::older_major("5.15.3", "5.10.13-1")]
    #[case::newer_major("7.5.0-rc1", "7.3.4-1")]
    fn closest_version_comes_first(#[case] version: &str, #[case] expected: &str) {
        let mut bases = ["5.10.13-1", "6.1.4-1", "6.1.176-1", "7.3.4-1"];
        bases.sort_by_key(|base| distance(base, version));
        assert_eq!(bases[0], expected);
    }

    #[rstest]
    #[case("6.12.0-rc3+", "6.12.0-rc3+")]
    #[case("6.12.0 it's/mine", "6.12.0-it-s-mine")]
    fn version_is_usable_in_a_path(#[case] version: &str, #[case] expected: &str) {
        assert_eq!(path_component(version), expected);
    }
}
