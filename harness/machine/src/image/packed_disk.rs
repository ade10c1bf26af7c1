// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upper filesystems: made once with the usual tools, kept as their non-zero extents.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use vremount_protocol::extents;
use vremount_util::atomic_file::rename_into_place;
use vremount_util::{hash, io_error};

use crate::image::Error;
use crate::image::fs::{Fs, Mkfs};

/// An image in its packed form.
pub struct PackedDisk {
    path: PathBuf,
}

impl PackedDisk {
    /// The packed image of a filesystem, made when it is not in the cache yet; none if it is not on a disk.
    ///
    /// # Errors
    /// If the tool is missing or fails, or the cache cannot be written.
    pub fn obtain(fs: Fs, cache: &Path) -> Result<Option<Self>, Error> {
        PackedDisk::of(fs.mkfs(), fs, cache)
    }

    /// The same on a disk of another size.
    ///
    /// # Errors
    /// As for the same.
    pub fn of_size(fs: Fs, image_mib: u64, cache: &Path) -> Result<Option<Self>, Error> {
        PackedDisk::of(fs.mkfs().map(|mkfs| Mkfs { image_mib, ..mkfs }), fs, cache)
    }

    fn of(mkfs: Option<Mkfs>, fs: Fs, cache: &Path) -> Result<Option<Self>, Error> {
        let Some(mkfs) = mkfs else { return Ok(None) };
        let mut key = Sha256::new();
        key.update(mkfs.image_mib.to_le_bytes());
        for word in [mkfs.program].iter().chain(&mkfs.args) {
            key.update(word);
            key.update([0]);
        }
        let key = hash::short(key);
        let folder = cache.join("image");
        let path = folder.join(format!("{}-{key}.extents", fs.name()));
        if !path.exists() {
            fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
            make(&mkfs, &folder, &path)?;
        }
        Ok(Some(PackedDisk { path }))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the image aside and packs it; the packed file appears whole or not at all.
fn make(mkfs: &Mkfs, folder: &Path, path: &Path) -> Result<(), Error> {
    let aside = tempfile::tempdir_in(folder).map_err(io_error("create a folder in", folder))?;
    let image = aside.path().join("image");
    let image_bytes = mkfs.image_mib << 20;
    File::create(&image).and_then(|file| file.set_len(image_bytes)).map_err(io_error("create", &image))?;
    let output = Command::new(mkfs.program)
        .args(mkfs.args_for(&image.to_string_lossy()))
        // Where Debian keeps it, also for users whose PATH does not say so.
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
    let packed = aside.path().join("packed");
    let pack = || {
        let mut writer = BufWriter::new(File::create(&packed)?);
        extents::write(&mut BufReader::new(File::open(&image)?), &mut writer)?;
        writer.into_inner()?.sync_all()
    };
    pack().map_err(io_error("pack", &packed))?;
    Ok(rename_into_place(&packed, path).map_err(io_error("rename to", path))?)
}

/// Unpacks an image to a sparse file of the host: a disk that outlives its machine.
///
/// # Errors
/// If either file cannot be used.
pub fn unpack(upper: &PackedDisk, to: &Path) -> Result<(), Error> {
    let unpack = || extents::unpack(&mut BufReader::new(File::open(upper.path())?), &mut File::create(to)?);
    Ok(unpack().map_err(io_error("unpack", to))?)
}
