// SPDX-License-Identifier: MIT OR Apache-2.0
//! Overlays of a bench: where their directories are, and mounts of them with nothing around the system call.

use std::fs;
use std::path::{Path, PathBuf};

use sys_mount::Mount;
use vremount_protocol::{AccessPath, Disk, Mode};

use crate::error::{Failure, context};
use crate::mounts;
use crate::overlay::{CONTAINER, Overlay, merged};

/// An overlay that can be mounted.
pub struct Spot {
    /// Upper and work are in here; none for the container, whose are where all claims have them.
    folder: Option<PathBuf>,
    pub at: PathBuf,
    pub workdir: PathBuf,
    volatile: String,
    durable: String,
}

impl Spot {
    /// The one that is stopped and started.
    pub fn container(disk: Disk) -> Self {
        let data = |mode| Overlay::of(disk, mode).data("");
        Spot {
            folder: None,
            at: merged(disk, CONTAINER),
            workdir: mounts::workdir(disk),
            volatile: data(Mode::Volatile),
            durable: data(Mode::Durable),
        }
    }

    /// One on directories of its own, to compare with.
    pub fn floor(disk: Disk) -> Self {
        Spot::apart(disk, "floor")
    }

    /// The container next door.
    pub fn neighbour(disk: Disk) -> Self {
        Spot::apart(disk, "neighbour")
    }

    /// One of many that are just there.
    pub fn other(disk: Disk, number: u32) -> Self {
        Spot::apart(disk, &format!("{OTHER}{number}"))
    }

    fn apart(disk: Disk, name: &str) -> Self {
        let folder = filesystem(disk).join(name);
        let durable = format!("lowerdir=/lower,upperdir={0}/upper,workdir={0}/work", folder.display());
        let volatile = format!("{durable},volatile");
        Spot { at: overlays(disk).join(name), workdir: folder.join("work"), folder: Some(folder), volatile, durable }
    }

    /// With nothing in its upper and work directories.
    pub fn anew(self) -> Result<Self, Failure> {
        if let Some(folder) = &self.folder {
            if folder.exists() {
                context("remove", folder, fs::remove_dir_all(folder))?;
            }
            for folder in ["upper", "work"].map(|name| folder.join(name)) {
                context("create", &folder, fs::create_dir_all(&folder))?;
            }
        }
        context("create", &self.at, fs::create_dir_all(&self.at))?;
        Ok(self)
    }

    pub fn mount(&self, mode: Mode) -> Result<(), Failure> {
        let data = match mode {
            Mode::Volatile => &self.volatile,
            Mode::Durable => &self.durable,
        };
        let mounted = Mount::builder().fstype("overlay").data(data).mount("overlay", &self.at);
        context("mount an overlay at", &self.at, mounted).map(drop)
    }

    pub fn unmount(&self) -> Result<(), Failure> {
        mounts::unmount_at(&self.at)
    }
}

const OTHER: &str = "other-";

pub fn filesystem(disk: Disk) -> PathBuf {
    mounts::upper_filesystem(disk, AccessPath::Mount)
}

fn overlays(disk: Disk) -> PathBuf {
    PathBuf::from(format!("/bench/{disk}"))
}

/// Whether one of the many others is mounted there.
pub fn is_other(disk: Disk, at: &Path) -> bool {
    at.parent() == Some(&overlays(disk)) && at.file_name().is_some_and(|name| name.to_string_lossy().starts_with(OTHER))
}
