// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upper filesystems: made once with the usual tools, kept as their non-zero extents.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest, Sha256};
use vremount_wire::extents;

use super::Error;

/// Size of an image.
const IMAGE_BYTES: u64 = 32 << 20;
/// What the filesystem leaves free at the end of the device, where the guest puts what fails flushes.
const SPARE_BYTES: u64 = 4096;

/// A filesystem that claims are proved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fs {
    Ext4,
}

/// `--fs` named something else.
#[derive(Debug, thiserror::Error)]
#[error("failed to find filesystem {0:?}: there is {known}", known = Fs::ALL.map(Fs::name).join(", "))]
pub struct UnknownFs(String);

impl Fs {
    pub const ALL: [Fs; 1] = [Fs::Ext4];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fs::Ext4 => "ext4",
        }
    }

    /// The type as mount(2) spells it.
    #[must_use]
    pub fn mount_type(self) -> &'static str {
        match self {
            Fs::Ext4 => "ext4",
        }
    }

    /// The command that makes it, without the path of the image. Everything that would differ from run to run is
    /// fixed, and nothing is left for the kernel to initialise later.
    fn mkfs(self) -> Mkfs {
        match self {
            Fs::Ext4 => Mkfs {
                program: "mke2fs",
                package: "e2fsprogs",
                args: &[
                    "-q",
                    "-F",
                    "-t",
                    "ext4",
                    "-b",
                    "4096",
                    "-U",
                    "76726d74-0000-4000-8000-000000000004",
                    "-E",
                    "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,\
                     hash_seed=76726d74-0000-4000-8000-000000000004",
                ],
            },
        }
    }
}

impl FromStr for Fs {
    type Err = UnknownFs;

    fn from_str(name: &str) -> Result<Self, UnknownFs> {
        Fs::ALL.into_iter().find(|fs| fs.name() == name).ok_or_else(|| UnknownFs(name.to_string()))
    }
}

struct Mkfs {
    program: &'static str,
    package: &'static str,
    args: &'static [&'static str],
}

/// An image in its packed form.
pub struct Upper {
    path: PathBuf,
}

impl Upper {
    /// The packed image of a filesystem, made when it is not in the cache yet.
    ///
    /// # Errors
    /// If the tool is missing or fails, or the cache cannot be written.
    pub fn obtain(fs: Fs, cache: &Path) -> Result<Self, Error> {
        let mkfs = fs.mkfs();
        let mut key = Sha256::new();
        key.update(IMAGE_BYTES.to_le_bytes());
        for word in [mkfs.program].iter().chain(mkfs.args) {
            key.update(word);
            key.update([0]);
        }
        let key: String = key.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let folder = cache.join("image");
        let path = folder.join(format!("{}-{key}.extents", fs.name()));
        if !path.exists() {
            fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
            make(&mkfs, &folder, &path)?;
        }
        Ok(Upper { path })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the image aside and packs it; the packed file appears whole or not at all.
fn make(mkfs: &Mkfs, folder: &Path, path: &Path) -> Result<(), Error> {
    let aside = tempfile::tempdir_in(folder).map_err(Error::io("create a folder in", folder))?;
    let image = aside.path().join("image");
    File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES)).map_err(Error::io("create", &image))?;
    let output = Command::new(mkfs.program)
        .args(mkfs.args)
        .arg(&image)
        .arg(format!("{}k", (IMAGE_BYTES - SPARE_BYTES) / 1024))
        // Where Debian keeps it, also for users whose PATH does not say so.
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .env("E2FSPROGS_FAKE_TIME", "1")
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
    pack().map_err(Error::io("pack", &packed))?;
    fs::rename(&packed, path).map_err(Error::io("rename to", path))
}

/// Unpacks an image to a sparse file of the host: a disk that outlives its machine.
///
/// # Errors
/// If either file cannot be used.
pub fn unpack(upper: &Upper, to: &Path) -> Result<(), Error> {
    let unpack = || extents::unpack(&mut BufReader::new(File::open(upper.path())?), &mut File::create(to)?);
    unpack().map_err(Error::io("unpack", to))
}
