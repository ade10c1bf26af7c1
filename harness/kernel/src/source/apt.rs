// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fetches the upstream tarball of a Debian source package with apt, from the mirror of this
//! machine. apt verifies the signatures. It runs with a private configuration, so that the apt of
//! this machine is not changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vremount_util::{command, progress};

use crate::base::{Package, upstream_version, version_numbers};
use crate::source::error::Error;
use crate::source::tarball_cache;
use crate::workspace::Workspace;

/// The path of a pinned tarball in the cache, fetched if needed.
pub fn obtain(workspace: &Workspace, package: &Package) -> Result<PathBuf, Error> {
    let place = tarball_cache::place(workspace, &package.sha256, &package.file);
    if place.exists() {
        return Ok(place);
    }
    let scratch = tarball_cache::scratch_folder(workspace)?;
    let apt = PrivateApt::new(scratch.path(), package)?;
    let fetched = apt.fetch()?;
    tarball_cache::verify(&fetched, &package.sha256)?;
    tarball_cache::keep(workspace, &fetched, &package.file)?;
    Ok(place)
}

/// The newest version of the same upstream series in the same suite whose tarball can be fetched;
/// it is in the cache afterwards. None if the mirror has the pinned version and nothing newer. A
/// version that the mirror lists but does not have is skipped with a note.
///
/// # Errors
/// [`Error::VersionGone`] if the mirror has neither this version nor a newer one; another [`Error`] if apt
/// fails.
pub fn find_newest(workspace: &Workspace, package: &Package) -> Result<Option<Package>, Error> {
    let scratch = tarball_cache::scratch_folder(workspace)?;
    let apt = PrivateApt::new(scratch.path(), package)?;
    apt.update()?;
    let versions = apt.versions()?;
    let replacements = replacements(&versions, &package.version);
    if replacements.is_empty() && !versions.contains(&package.version) {
        return Err(apt.gone(versions, String::new()));
    }
    for version in replacements {
        match apt.download(version) {
            Ok(fetched) => {
                return keep(workspace, &Package { version: version.clone(), ..package.clone() }, &fetched).map(Some);
            }
            Err(Error::VersionGone { .. }) => {
                progress::note(format!("{} lists {version} but does not have its file", package.suite))
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// All versions of a package that the mirror lists in its suite, in the order of apt.
///
/// # Errors
/// [`Error`] if the mirror cannot be reached or apt fails.
pub fn list_versions(workspace: &Workspace, package: &Package) -> Result<Vec<String>, Error> {
    let scratch = tarball_cache::scratch_folder(workspace)?;
    let apt = PrivateApt::new(scratch.path(), package)?;
    apt.update()?;
    apt.versions()
}

/// Pins a version of a package: completes file name and hash from its tarball. A tarball that is in
/// the cache is not fetched again.
///
/// # Errors
/// [`Error`] if the tarball cannot be fetched.
pub fn pin_package(workspace: &Workspace, package: &Package) -> Result<Package, Error> {
    let file = format!("{}_{}.orig.tar.xz", package.package, upstream_version(&package.version));
    if let Some(sha256) = tarball_cache::find_by_name(workspace, &file) {
        return Ok(Package { file, sha256, ..package.clone() });
    }
    let scratch = tarball_cache::scratch_folder(workspace)?;
    let fetched = PrivateApt::new(scratch.path(), package)?.fetch()?;
    keep(workspace, package, &fetched)
}

/// Moves a fetched tarball to the cache and completes file name and hash of the package.
fn keep(workspace: &Workspace, package: &Package, fetched: &Path) -> Result<Package, Error> {
    let file = fetched.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sha256 = tarball_cache::keep(workspace, fetched, &file)?;
    Ok(Package { file, sha256, ..package.clone() })
}

/// Versions of the same upstream stable series (the same first two numbers), newest first. Of
/// several Debian revisions of one upstream version only the first is listed, because they have the
/// same tarball.
fn same_series<'a>(versions: &'a [String], version: &str) -> Vec<&'a String> {
    let series = |version: &str| version_numbers(version).into_iter().take(2).collect::<Vec<_>>();
    let mut same: Vec<_> = versions.iter().filter(|other| series(other) == series(version)).collect();
    same.sort_by_key(|version| std::cmp::Reverse(version_numbers(upstream_version(version))));
    same.dedup_by_key(|version| upstream_version(version));
    same
}

/// Versions of the same series that can replace a pinned one: newer ones and, if the pinned one is
/// not listed, another revision of the same tarball. Newest first.
fn replacements<'a>(versions: &'a [String], version: &str) -> Vec<&'a String> {
    let is_gone = versions.iter().all(|other| other != version);
    let mut replacements = same_series(versions, version);
    let is_newer = |other: &str| version_numbers(upstream_version(other)) > version_numbers(upstream_version(version));
    replacements.retain(|other| is_newer(other) || is_gone && upstream_version(other) == upstream_version(version));
    replacements
}

/// URL of the mirror from which apt installs the release of this machine.
fn mirror() -> Result<String, Error> {
    let path = Path::new("/etc/os-release");
    let release = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default();
    let format = "$(SITE) $(RELEASE) $(COMPONENT)";
    let targets =
        command::run("list the sources of apt", Command::new("apt-get").args(["indextargets", "--format", format]))?;
    let is_main = |line: &&str| line.split(' ').skip(1).eq([codename, "main"]);
    let site = targets.lines().find(is_main).and_then(|line| line.split(' ').next());
    site.map(ToString::to_string).ok_or_else(|| Error::NoMirror { codename: codename.to_string() })
}

/// apt with sources, lists and cache in a folder of its own.
struct PrivateApt<'a> {
    folder: &'a Path,
    package: &'a Package,
    mirror: String,
    config: PathBuf,
}

impl<'a> PrivateApt<'a> {
    fn new(folder: &'a Path, package: &'a Package) -> Result<Self, Error> {
        let mirror = mirror()?;
        let (list, config) = (folder.join("sources.list"), folder.join("apt.conf"));
        // As root, apt would otherwise switch to a user that cannot write to this folder.
        let text = format!(
            "Dir::Etc::sourcelist \"{list}\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::State::lists \"{folder}/lists\";\nDir::Cache \"{folder}/cache\";\n\
             APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n",
            list = list.display(),
            folder = folder.display(),
        );
        let configure = || {
            fs::create_dir_all(folder.join("lists/partial"))?;
            fs::create_dir_all(folder.join("cache/archives/partial"))?;
            fs::write(&list, format!("deb-src {mirror} {} main\n", package.suite))?;
            fs::write(&config, text)
        };
        configure().map_err(Error::io("configure apt in", folder))?;
        Ok(PrivateApt { folder, package, mirror, config })
    }

    /// Fetches the pinned version and returns the path of the tarball in the folder.
    fn fetch(&self) -> Result<PathBuf, Error> {
        self.update()?;
        match self.download(&self.package.version) {
            // The error names the versions that the mirror has.
            Err(Error::VersionGone { output, .. }) => Err(self.gone(self.versions().unwrap_or_default(), output)),
            fetched => fetched,
        }
    }

    fn update(&self) -> Result<(), Error> {
        let _progress =
            progress::start(format!("fetching the package list of {} from {}", self.package.suite, self.mirror));
        self.run("apt-get", &["update", "--error-on=any"]).map(drop)
    }

    /// Fetches a version of the package and returns the path of the tarball in the folder.
    fn download(&self, version: &str) -> Result<PathBuf, Error> {
        let name = &self.package.package;
        let _progress = progress::start(format!("fetching {name} {version} from {}", self.mirror));
        self.run("apt-get", &["source", "--download-only", "--tar-only", &format!("{name}={version}")])?;
        let entries = fs::read_dir(self.folder).map_err(Error::io("read", self.folder))?;
        let tarball = format!("_{}.orig.tar", upstream_version(version));
        let is_tarball =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(&tarball));
        let tarball = entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_tarball);
        tarball.ok_or_else(|| self.explain("apt-get did not download the tarball".to_string()))
    }

    /// All versions that the suite lists.
    fn versions(&self) -> Result<Vec<String>, Error> {
        let lines = self.run("apt-cache", &["madison", &self.package.package])?;
        let version = |line: &str| Some(line.split('|').nth(1)?.trim().to_string());
        Ok(lines.lines().filter_map(version).collect())
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String, Error> {
        let mut command = Command::new(program);
        command.args(args).env("APT_CONFIG", &self.config).env("LC_ALL", "C").current_dir(self.folder);
        match command::run("fetch a kernel source", &mut command) {
            Err(command::Error::Failed { output, status, .. }) => {
                Err(self.explain(format!("{}{program}: {status}", output.trim_start())))
            }
            ran => Ok(ran?),
        }
    }

    /// Why apt failed, from its output: it has one exit status for all failures.
    fn explain(&self, output: String) -> Error {
        let contains_any = |texts: &[&str]| texts.iter().any(|text| output.contains(text));
        if contains_any(&["No space left on device", "Write error - write (28"]) {
            Error::DiskFull(self.folder.to_path_buf())
        } else if contains_any(&["Could not resolve", "Could not connect", "Unable to connect", "Temporary failure"]) {
            Error::NoNetwork { from: self.mirror.clone(), output }
        } else if contains_any(&[
            "Unable to find a source package",
            "unavailable version",
            "404 ",
            "no longer has a Release file",
        ]) {
            self.gone(Vec::new(), output)
        } else {
            Error::Apt { package: self.package.package.clone(), output }
        }
    }

    /// The error for a version that the mirror does not have. `versions` are those that it lists,
    /// among them perhaps this one.
    fn gone(&self, mut versions: Vec<String>, output: String) -> Error {
        let Package { package, version, suite, .. } = self.package.clone();
        let replacement = replacements(&versions, &version).first().map(ToString::to_string);
        versions.retain(|other| *other != version);
        versions.sort_by_key(|version| version_numbers(version));
        let hint = match replacement {
            Some(newest) => {
                format!(
                    "the newest of the same series is {newest}: `vremount base pin NAME` runs all claims on it and \
                     pins it"
                )
            }
            None if versions.is_empty() => "pin another version in ci/bases.toml".to_string(),
            None => {
                format!(
                    "it has no newer version of that series; pin one of these in ci/bases.toml: {}",
                    versions.join(", ")
                )
            }
        };
        Error::VersionGone { release: format!("{package} {version}"), suite, hint, output }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::newest("6.12.38-1", Some("6.12.107-1"))]
    #[case::another_series("6.1.4-1", Some("6.1.176-1"))]
    #[case::backport("6.12.9-1~bpo12+1", Some("6.12.107-1"))]
    #[case::none("5.10.13-1", None)]
    fn newest_version_of_the_same_series_is_found(#[case] pinned: &str, #[case] expected: Option<&str>) {
        let versions = ["6.12.94-1", "6.1.176-1", "6.12.107-1", "6.12.8-1", "7.0.4-1"].map(String::from);
        assert_eq!(same_series(&versions, pinned).first().map(|version| version.as_str()), expected);
    }

    #[test]
    fn older_versions_are_no_replacement() {
        let versions = ["6.12.94-1", "6.12.107-1~bpo12+1", "6.12.8-1", "6.12.101-1", "7.0.4-1", "6.12.107-2+deb13u1"];
        let versions = versions.map(String::from);
        assert_eq!(replacements(&versions, "6.12.94-1"), ["6.12.107-1~bpo12+1", "6.12.101-1"]);
        // 6.12.101-2 is not listed, but 6.12.101-1 has the same tarball.
        assert_eq!(replacements(&versions, "6.12.101-2"), ["6.12.107-1~bpo12+1", "6.12.101-1"]);
        assert_eq!(replacements(&versions, "6.12.107-1"), ["6.12.107-1~bpo12+1"]);
        assert!(
            replacements(&versions, "6.12.107-2+deb13u1").is_empty()
                && replacements(&versions, "6.12.113-1").is_empty()
        );
    }
}
