// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disk images of upper filesystems. They are made once with mkfs and cached as a list of their
//! non-zero extents.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use vremount_protocol::extents;
use vremount_util::atomic_file::rename_into_place;
use vremount_util::{hash, io_error};

use crate::image::error::Error;
use crate::image::fs::{Fs, Mkfs};

/// A packed disk image in the cache.
pub struct PackedDisk {
    path: PathBuf,
}

impl PackedDisk {
    /// Obtains the image of `fs` from `cache`, or makes it. None for a filesystem in memory.
    ///
    /// # Errors
    /// [`Error::Missing`] if mkfs is not installed, [`Error::Tool`] if it fails, [`Error::Io`] if
    /// the cache cannot be written.
    pub fn obtain(fs: Fs, cache: &Path) -> Result<Option<Self>, Error> {
        PackedDisk::obtain_with(fs.mkfs(), fs, cache)
    }

    /// Like [`obtain`](Self::obtain), with an image of `image_mib` MiB instead of the default size.
    ///
    /// # Errors
    /// As [`obtain`](Self::obtain).
    pub fn obtain_with_size(fs: Fs, image_mib: u64, cache: &Path) -> Result<Option<Self>, Error> {
        PackedDisk::obtain_with(fs.mkfs().map(|mkfs| Mkfs { image_mib, ..mkfs }), fs, cache)
    }

    fn obtain_with(mkfs: Option<Mkfs>, fs: Fs, cache: &Path) -> Result<Option<Self>, Error> {
        let Some(mkfs) = mkfs else { return Ok(None) };
        let mut key = Sha256::new();
        key.update(mkfs.image_mib.to_le_bytes());
        for word in [mkfs.program].iter().chain(&mkfs.args) {
            key.update(word);
            key.update([0]);
        }
        let key = hash::cache_key(key);
        let folder = cache.join("image");
        let path = folder.join(format!("{}-{key}.extents", fs.name()));
        if !path.exists() {
            fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
            make(&mkfs, &folder, &path)?;
        }
        Ok(Some(PackedDisk { path }))
    }

    /// The file with the packed image.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes an image in a temporary directory, packs it, and renames the packed file to `path`, so
/// that it is never incomplete.
fn make(mkfs: &Mkfs, folder: &Path, path: &Path) -> Result<(), Error> {
    let temporary = tempfile::tempdir_in(folder).map_err(io_error("create a directory in", folder))?;
    let image = temporary.path().join("image");
    let image_bytes = mkfs.image_mib << 20;
    File::create(&image).and_then(|file| file.set_len(image_bytes)).map_err(io_error("create", &image))?;
    let output = Command::new(mkfs.program)
        .args(mkfs.args_for(&image.to_string_lossy()))
        // On Debian, mkfs is in /usr/sbin, which is not in the PATH of every user.
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .envs(mkfs.env().iter().copied())
        .output()
        .map_err(|cause| Error::Missing { program: mkfs.program, package: mkfs.package, cause })?;
    if !output.status.success() {
        return Err(Error::Tool {
            what: "make an upper filesystem",
            program: mkfs.program,
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    let packed = temporary.path().join("packed");
    let pack = || {
        let mut writer = BufWriter::new(File::create(&packed)?);
        extents::pack(&mut BufReader::new(File::open(&image)?), &mut writer)?;
        writer.into_inner()?.sync_all()
    };
    pack().map_err(io_error("pack", &packed))?;
    Ok(rename_into_place(&packed, path).map_err(io_error("rename to", path))?)
}

/// Unpacks an image to the sparse file `to` of the host, for a disk whose content outlives its
/// machine.
///
/// # Errors
/// [`Error::Io`] if the image cannot be read or `to` cannot be written.
pub fn unpack_disk(upper: &PackedDisk, to: &Path) -> Result<(), Error> {
    let unpack = || extents::unpack(&mut BufReader::new(File::open(upper.path())?), &mut File::create(to)?);
    Ok(unpack().map_err(io_error("unpack", to))?)
}
