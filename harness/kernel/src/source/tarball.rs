// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tarball of any kind that tar unpacks: a file of this machine, or fetched with curl.

use std::path::{Path, PathBuf};
use std::process::Command;

use vremount_util::{command, progress};

use crate::base::Tarball;
use crate::source::{Error, tarball_cache};
use crate::workspace::Workspace;

/// The tarball, verified.
pub fn obtain(workspace: &Workspace, source: &Tarball) -> Result<PathBuf, Error> {
    let Tarball { tarball, sha256 } = source;
    if !is_url(tarball) {
        let path = PathBuf::from(tarball);
        tarball_cache::verify(&path, sha256)?;
        return Ok(path);
    }
    let place = tarball_cache::place(workspace, sha256, file_name(tarball));
    if !place.exists() {
        let aside = tarball_cache::aside(workspace)?;
        let fetched = fetch(tarball, aside.path())?;
        tarball_cache::verify(&fetched, sha256)?;
        tarball_cache::keep(workspace, &fetched, file_name(tarball))?;
    }
    Ok(place)
}

/// A tarball that is not pinned: its hash is what it has now. Without a hash an URL is fetched again each time, because
/// nothing else says that it still is the same.
pub fn resolve(workspace: &Workspace, from: &str, sha256: Option<&str>) -> Result<Tarball, Error> {
    let is_url = is_url(from);
    let tarball = match is_url {
        true => from.to_string(),
        false => {
            let path = Path::new(from);
            path.canonicalize().map_err(Error::io("read", path))?.to_string_lossy().into_owned()
        }
    };
    let sha256 = match sha256 {
        Some(sha256) => sha256.to_string(),
        None if is_url => {
            let aside = tarball_cache::aside(workspace)?;
            let sha256 = tarball_cache::keep(workspace, &fetch(from, aside.path())?, file_name(from))?;
            progress::note(format!("append #{sha256} and it is fetched no more"));
            sha256
        }
        None => tarball_cache::sha256(Path::new(&tarball))?,
    };
    Ok(Tarball { tarball, sha256 })
}

fn is_url(from: &str) -> bool {
    from.contains("://")
}

fn file_name(url: &str) -> &str {
    url.rsplit('/').find(|part| !part.is_empty()).unwrap_or("tarball")
}

fn fetch(url: &str, folder: &Path) -> Result<PathBuf, Error> {
    let _progress = progress::start(format!("fetching {url}"));
    let fetched = folder.join(file_name(url));
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", "--retry", "2", "--output"]).arg(&fetched).arg(url);
    match command::run("fetch a kernel source", &mut curl) {
        Ok(_) => Ok(fetched),
        Err(command::Error::Failed { output, status, .. }) => Err(match status.code() {
            // Names, connections, time.
            Some(5 | 6 | 7 | 28) => Error::NoNetwork { from: url.to_string(), output },
            // The disk.
            Some(23) => Error::DiskFull(folder.to_path_buf()),
            _ => Error::NotFetched { url: url.to_string(), output },
        }),
        Err(error) => Err(error.into()),
    }
}
