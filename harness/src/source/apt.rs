// SPDX-License-Identifier: MIT OR Apache-2.0
//! The upstream tarball of a Debian source package, by apt: signed all the way, from the machine's own mirror, with a
//! configuration of our own, so that nothing of the machine's changes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::Error;
use crate::base::Source;
use crate::progress;
use crate::project::Project;
use crate::tool;

/// Tarball, lists, and the tree that is unpacked from it, MiB.
const ROOM_MIB: u64 = 2500;

/// The tarball, in the cache.
pub fn obtain(project: &Project, source: &Source) -> Result<PathBuf, Error> {
    let place = project.cache.join("source").join(&source.sha256).join(&source.file);
    if place.exists() {
        return Ok(place);
    }
    tool::need_room("fetch a kernel source", &project.cache, ROOM_MIB)?;
    let folder = project.cache.join("source");
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let aside = tempfile::tempdir_in(&folder).map_err(Error::io("create a folder in", &folder))?;
    let mirror = mirror()?;
    let _progress = progress::start(format!("fetching {} {} from {mirror}", source.package, source.version));
    let fetched = fetch(source, &mirror, aside.path())?;
    let found = sha256(&fetched).map_err(Error::io("read", &fetched))?;
    if found != source.sha256 {
        return Err(Error::WrongHash { file: source.file.clone(), found, expected: source.sha256.clone() });
    }
    let finished = aside.path().join("finished");
    fs::create_dir(&finished).map_err(Error::io("create", &finished))?;
    fs::rename(&fetched, finished.join(&source.file)).map_err(Error::io("rename", &fetched))?;
    tool::put(&finished, &folder.join(&source.sha256)).map_err(Error::io("rename", &finished))?;
    Ok(place)
}

/// The mirror that the machine itself is installed from.
fn mirror() -> Result<String, Error> {
    let path = Path::new("/etc/os-release");
    let release = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default();
    let format = "$(SITE) $(RELEASE) $(COMPONENT)";
    let targets = tool::run("list apt's sources", Command::new("apt-get").args(["indextargets", "--format", format]))?;
    let wanted = |line: &&str| line.split(' ').skip(1).eq([codename, "main"]);
    let site = targets.lines().find(wanted).and_then(|line| line.split(' ').next());
    site.map(ToString::to_string).ok_or_else(|| Error::NoMirror { codename: codename.to_string() })
}

fn fetch(source: &Source, mirror: &str, folder: &Path) -> Result<PathBuf, Error> {
    let apt = PrivateApt::new(folder, &format!("deb-src {mirror} {} main\n", source.suite))
        .map_err(Error::io("configure apt in", folder))?;
    apt.run(&["update", "--error-on=any"]).map_err(|failed| failed.explained(source, mirror, folder))?;
    let package = format!("{}={}", source.package, source.version);
    apt.run(&["source", "--download-only", "--tar-only", &package])
        .map_err(|failed| failed.explained(source, mirror, folder))?;
    let fetched = folder.join(&source.file);
    match fetched.exists() {
        true => Ok(fetched),
        false => Err(Failed::new("apt-get downloaded no such file").explained(source, mirror, folder)),
    }
}

/// apt-get with lists, cache and sources in a folder of its own.
struct PrivateApt<'a> {
    folder: &'a Path,
    config: PathBuf,
}

impl<'a> PrivateApt<'a> {
    fn new(folder: &'a Path, sources: &str) -> io::Result<Self> {
        let (list, config) = (folder.join("sources.list"), folder.join("apt.conf"));
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("cache/archives/partial"))?;
        fs::write(&list, sources)?;
        // apt must not give up root for a user that may not write here.
        let text = format!(
            "Dir::Etc::sourcelist \"{list}\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::State::lists \"{folder}/lists\";\nDir::Cache \"{folder}/cache\";\n\
             APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n",
            list = list.display(),
            folder = folder.display(),
        );
        fs::write(&config, text)?;
        Ok(PrivateApt { folder, config })
    }

    fn run(&self, args: &[&str]) -> Result<(), Failed> {
        let mut command = Command::new("apt-get");
        command.args(args).env("APT_CONFIG", &self.config).env("LC_ALL", "C").current_dir(self.folder);
        match tool::run("fetch a kernel source", &mut command) {
            Ok(_) => Ok(()),
            Err(tool::Error::Failed { output, status, .. }) => Err(Failed::new(&format!("{output}apt-get: {status}"))),
            Err(error) => Err(Failed::Tool(error)),
        }
    }
}

/// An apt-get that failed.
enum Failed {
    Saying(String),
    Tool(tool::Error),
}

impl Failed {
    fn new(output: &str) -> Self {
        Failed::Saying(output.trim().to_string())
    }

    /// apt has one exit code for all that goes wrong; what it says tells them apart.
    fn explained(self, source: &Source, mirror: &str, folder: &Path) -> Error {
        let output = match self {
            Failed::Tool(error) => return error.into(),
            Failed::Saying(output) => output,
        };
        let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
        if says(&["No space left on device", "Write error - write (28"]) {
            Error::DiskFull(folder.to_path_buf())
        } else if says(&["Could not resolve", "Could not connect", "Unable to connect", "Temporary failure"]) {
            Error::NoNetwork { mirror: mirror.to_string(), output }
        } else if says(&[
            "Unable to find a source package",
            "unavailable version",
            "404 ",
            "no longer has a Release file",
        ]) {
            let Source { package, version, suite, .. } = source.clone();
            Error::Gone { package, version, suite, output }
        } else {
            Error::Apt { package: source.package.clone(), output }
        }
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 1 << 20];
    while let length @ 1.. = file.read(&mut chunk)? {
        hash.update(&chunk[..length]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
