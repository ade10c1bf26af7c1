// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source tarball that is not a Debian package: a local file, or a URL that curl fetches.

use std::path::{Path, PathBuf};
use std::process::Command;

use vremount_util::{command, progress};

use crate::base::Tarball;
use crate::source::error::Error;
use crate::source::tarball_cache;
use crate::source::user_path::{self, is_url};
use crate::workspace::Workspace;

/// The path of the tarball, after its hash is verified.
pub fn obtain(workspace: &Workspace, source: &Tarball) -> Result<PathBuf, Error> {
    let Tarball { tarball, sha256 } = source;
    if !is_url(tarball) {
        let path = PathBuf::from(tarball);
        tarball_cache::verify(&path, sha256)?;
        return Ok(path);
    }
    let place = tarball_cache::place(workspace, sha256, file_name(tarball));
    if !place.exists() {
        let scratch = tarball_cache::scratch_folder(workspace)?;
        let fetched = fetch(tarball, scratch.path())?;
        tarball_cache::verify(&fetched, sha256)?;
        tarball_cache::keep(workspace, &fetched, file_name(tarball))?;
    }
    Ok(place)
}

/// Pins a tarball that the user named. Without `sha256` the current hash is used, for which a URL
/// is fetched each time: it may have other content than the last time.
///
/// # Errors
/// [`Error::MalformedHash`] or [`Error::NoTarball`] if the hash is malformed or the path names no
/// file; another [`Error`] if a URL cannot be fetched.
pub fn resolve(workspace: &Workspace, from: &str, sha256: Option<&str>) -> Result<Tarball, Error> {
    let sha256 = sha256.map(user_path::sha256).transpose()?;
    if is_url(from) {
        let sha256 = match sha256 {
            Some(sha256) => sha256,
            None => hash_of_url(workspace, from)?,
        };
        return Ok(Tarball { tarball: from.to_string(), sha256 });
    }
    let no_tarball = |reason: String| Error::NoTarball { name: from.to_string(), reason };
    let tarball = user_path::absolute(Path::new(from), no_tarball)?;
    if !Path::new(&tarball).is_file() {
        return Err(no_tarball("it is not a file".to_string()));
    }
    let sha256 = match sha256 {
        Some(sha256) => sha256,
        None => tarball_cache::sha256(Path::new(&tarball))?,
    };
    Ok(Tarball { tarball, sha256 })
}

/// Fetches a URL, keeps the file and returns its SHA-256.
fn hash_of_url(workspace: &Workspace, url: &str) -> Result<String, Error> {
    let scratch = tarball_cache::scratch_folder(workspace)?;
    let sha256 = tarball_cache::keep(workspace, &fetch(url, scratch.path())?, file_name(url))?;
    progress::note(format!("append #{sha256} to the URL to use the cached file instead of fetching it again"));
    Ok(sha256)
}

fn file_name(url: &str) -> &str {
    url.rsplit('/').find(|part| !part.is_empty()).unwrap_or("tarball")
}

fn fetch(url: &str, folder: &Path) -> Result<PathBuf, Error> {
    let _progress = progress::start(format!("fetching {url}"));
    let fetched = folder.join(file_name(url));
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", "--retry", "2", "--output"]).arg(&fetched);
    match command::run("fetch a kernel source", curl.args(["--url", url])) {
        Ok(_) => Ok(fetched),
        Err(command::Error::Failed { output, status, .. }) => Err(match status.code() {
            // curl(1): name resolution, connection, timeout.
            Some(5 | 6 | 7 | 28) => Error::NoNetwork { from: url.to_string(), output },
            // curl(1): write error.
            Some(23) => Error::DiskFull(folder.to_path_buf()),
            _ => Error::NotFetched { url: url.to_string(), output },
        }),
        Err(error) => Err(error.into()),
    }
}
