// SPDX-License-Identifier: MIT OR Apache-2.0
//! The upstream tarball of a Debian source package, by apt: signed all the way, from the machine's own mirror, with a
//! configuration of our own, so that nothing of the machine's changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vremount_util::{command, progress};

use crate::base::{Package, numbers, upstream};
use crate::source::{Error, tarball_cache};
use crate::workspace::Workspace;

/// The tarball, in the cache.
pub fn obtain(workspace: &Workspace, package: &Package) -> Result<PathBuf, Error> {
    let place = tarball_cache::place(workspace, &package.sha256, &package.file);
    if place.exists() {
        return Ok(place);
    }
    let aside = tarball_cache::aside(workspace)?;
    let apt = PrivateApt::new(aside.path(), package)?;
    let fetched = apt.fetch()?;
    tarball_cache::verify(&fetched, &package.sha256)?;
    tarball_cache::keep(workspace, &fetched, &package.file)?;
    Ok(place)
}

/// The newest version of the same series in the same suite that is to be had, its tarball in the cache; none if this one is there
/// and nothing is newer. A mirror may list what it has not.
pub fn newest(workspace: &Workspace, package: &Package) -> Result<Option<Package>, Error> {
    let aside = tarball_cache::aside(workspace)?;
    let apt = PrivateApt::new(aside.path(), package)?;
    apt.update()?;
    let versions = apt.versions()?;
    let instead = instead(&versions, &package.version);
    if instead.is_empty() && !versions.contains(&package.version) {
        return Err(apt.gone(versions, String::new()));
    }
    for version in instead {
        match apt.download(version) {
            Ok(fetched) => {
                return kept(workspace, &Package { version: version.clone(), ..package.clone() }, &fetched).map(Some);
            }
            Err(Error::Gone { .. }) => {
                progress::note(format!("{} lists {version}, and has no file of it", package.suite))
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// All versions that the mirror has of a package in its suite.
///
/// # Errors
/// If it cannot be asked.
pub fn versions(workspace: &Workspace, package: &Package) -> Result<Vec<String>, Error> {
    let aside = tarball_cache::aside(workspace)?;
    let apt = PrivateApt::new(aside.path(), package)?;
    apt.update()?;
    apt.versions()
}

/// A version that nobody has pinned, as it is now; its tarball is in the cache, and is not fetched again from there.
///
/// # Errors
/// If it cannot be had.
pub fn pin(workspace: &Workspace, package: &Package) -> Result<Package, Error> {
    let file = format!("{}_{}.orig.tar.xz", package.package, upstream(&package.version));
    if let Some(sha256) = tarball_cache::kept(workspace, &file) {
        return Ok(Package { file, sha256, ..package.clone() });
    }
    let aside = tarball_cache::aside(workspace)?;
    let fetched = PrivateApt::new(aside.path(), package)?.fetch()?;
    kept(workspace, package, &fetched)
}

fn kept(workspace: &Workspace, package: &Package, fetched: &Path) -> Result<Package, Error> {
    let file = fetched.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sha256 = tarball_cache::keep(workspace, fetched, &file)?;
    Ok(Package { file, sha256, ..package.clone() })
}

/// Versions of a tarball that begin with the same two numbers, upstream's stable series, one of each: the newest first.
fn of_same_series<'a>(versions: &'a [String], version: &str) -> Vec<&'a String> {
    let series = |version: &str| numbers(version).into_iter().take(2).collect::<Vec<_>>();
    let mut same: Vec<_> = versions.iter().filter(|other| series(other) == series(version)).collect();
    same.sort_by_key(|version| std::cmp::Reverse(numbers(upstream(version))));
    same.dedup_by_key(|version| upstream(version));
    same
}

/// Those of them that are newer than this one; where this one is gone, also another revision of the same tarball.
fn instead<'a>(versions: &'a [String], version: &str) -> Vec<&'a String> {
    let is_gone = versions.iter().all(|other| other != version);
    let mut instead = of_same_series(versions, version);
    let newer = |other: &str| numbers(upstream(other)) > numbers(upstream(version));
    instead.retain(|other| newer(other) || is_gone && upstream(other) == upstream(version));
    instead
}

/// The mirror that the machine itself is installed from.
fn mirror() -> Result<String, Error> {
    let path = Path::new("/etc/os-release");
    let release = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default();
    let format = "$(SITE) $(RELEASE) $(COMPONENT)";
    let targets =
        command::run("list apt's sources", Command::new("apt-get").args(["indextargets", "--format", format]))?;
    let wanted = |line: &&str| line.split(' ').skip(1).eq([codename, "main"]);
    let site = targets.lines().find(wanted).and_then(|line| line.split(' ').next());
    site.map(ToString::to_string).ok_or_else(|| Error::NoMirror { codename: codename.to_string() })
}

/// apt with lists, cache and sources in a folder of its own.
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
        // apt must not give up root for a user that may not write here.
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

    /// The tarball, in the folder.
    fn fetch(&self) -> Result<PathBuf, Error> {
        self.update()?;
        match self.download(&self.package.version) {
            // What there is instead is more help than that it is gone.
            Err(Error::Gone { output, .. }) => Err(self.gone(self.versions().unwrap_or_default(), output)),
            fetched => fetched,
        }
    }

    fn update(&self) -> Result<(), Error> {
        let _progress = progress::start(format!("asking {} for what {} has", self.mirror, self.package.suite));
        self.run("apt-get", &["update", "--error-on=any"]).map(drop)
    }

    /// The tarball of this version, or of another of the same package, in the folder.
    fn download(&self, version: &str) -> Result<PathBuf, Error> {
        let name = &self.package.package;
        let _progress = progress::start(format!("fetching {name} {version} from {}", self.mirror));
        self.run("apt-get", &["source", "--download-only", "--tar-only", &format!("{name}={version}")])?;
        let entries = fs::read_dir(self.folder).map_err(Error::io("read", self.folder))?;
        let tarball = format!("_{}.orig.tar", upstream(version));
        let is_tarball =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(&tarball));
        let tarball = entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_tarball);
        tarball.ok_or_else(|| self.explained("apt-get downloaded no such file".to_string()))
    }

    /// All versions that the suite has.
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
                Err(self.explained(format!("{}{program}: {status}", output.trim_start())))
            }
            ran => Ok(ran?),
        }
    }

    /// apt has one exit code for all that goes wrong; what it says tells them apart.
    fn explained(&self, output: String) -> Error {
        let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
        if says(&["No space left on device", "Write error - write (28"]) {
            Error::DiskFull(self.folder.to_path_buf())
        } else if says(&["Could not resolve", "Could not connect", "Unable to connect", "Temporary failure"]) {
            Error::NoNetwork { from: self.mirror.clone(), output }
        } else if says(&[
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

    /// The version cannot be had; these are listed, itself perhaps among them.
    fn gone(&self, mut versions: Vec<String>, output: String) -> Error {
        let Package { package, version, suite, .. } = self.package.clone();
        let instead = instead(&versions, &version).first().map(ToString::to_string);
        versions.retain(|other| *other != version);
        versions.sort_by_key(|version| numbers(version));
        let hint = match instead {
            Some(newest) => {
                format!(
                    "the newest of the same series is {newest}: `vremount base pin NAME`, with the base's name, proves and pins that"
                )
            }
            None if versions.is_empty() => "pin another in ci/bases.toml".to_string(),
            None => {
                format!(
                    "it has no newer one of that series; pin another in ci/bases.toml, there is {}",
                    versions.join(", ")
                )
            }
        };
        Error::Gone { package, version, suite, hint, output }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::newest("6.12.38-1", Some("6.12.107-1"))]
    #[case::of_another_series("6.1.4-1", Some("6.1.176-1"))]
    #[case::backport("6.12.9-1~bpo12+1", Some("6.12.107-1"))]
    #[case::none("5.10.13-1", None)]
    fn the_newest_of_the_same_series_is_found(#[case] pinned: &str, #[case] expected: Option<&str>) {
        let versions = ["6.12.94-1", "6.1.176-1", "6.12.107-1", "6.12.8-1", "7.0.4-1"].map(String::from);
        assert_eq!(of_same_series(&versions, pinned).first().map(|version| version.as_str()), expected);
    }

    #[test]
    fn what_is_older_is_nothing_instead() {
        let versions = ["6.12.94-1", "6.12.107-1~bpo12+1", "6.12.8-1", "6.12.101-1", "7.0.4-1", "6.12.107-2+deb13u1"];
        let versions = versions.map(String::from);
        assert_eq!(instead(&versions, "6.12.94-1"), ["6.12.107-1~bpo12+1", "6.12.101-1"]);
        // Of one that is gone the tarball may be there.
        assert_eq!(instead(&versions, "6.12.101-2"), ["6.12.107-1~bpo12+1", "6.12.101-1"]);
        assert_eq!(instead(&versions, "6.12.107-1"), ["6.12.107-1~bpo12+1"]);
        assert!(instead(&versions, "6.12.107-2+deb13u1").is_empty() && instead(&versions, "6.12.113-1").is_empty());
    }
}
