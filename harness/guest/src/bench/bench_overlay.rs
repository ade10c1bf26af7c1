// SPDX-License-Identifier: MIT OR Apache-2.0
//! Overlays of benchmarks: their directories, and mounts with no work besides the system call.

use std::fs;
use std::path::{Path, PathBuf};

use sys_mount::Mount;
use vremount_protocol::{AccessPath, Disk, LayerSet, Mode};

use crate::error::{Failure, context};
use crate::ops::overlay::Overlay;
use crate::ops::{mount_table, paths};

/// The layers of the container that is restarted.
pub const CONTAINER: LayerSet = LayerSet::First;

/// Name prefix of the overlays of `MountOthers`.
const OTHER_PREFIX: &str = "other-";

/// An overlay and its mount data.
pub struct BenchOverlay {
    /// Directory that contains upper and work. None for the container, which uses those of the
    /// claims.
    dir: Option<PathBuf>,
    /// Mount point.
    pub mount_point: PathBuf,
    /// Work directory.
    pub workdir: PathBuf,
    volatile_data: String,
    durable_data: String,
}

impl BenchOverlay {
    /// The overlay of the container that is restarted.
    pub fn container(disk: Disk) -> Self {
        let data = |mode| Overlay::new(disk, mode).mount_data("");
        BenchOverlay {
            dir: None,
            mount_point: paths::merged(disk, CONTAINER),
            workdir: paths::workdir(disk),
            volatile_data: data(Mode::Volatile),
            durable_data: data(Mode::Durable),
        }
    }

    /// The overlay of the baselines, whose layers are empty.
    pub fn baseline(disk: Disk) -> Self {
        BenchOverlay::with_own_dir(disk, "floor")
    }

    /// The overlay of the background container.
    pub fn background(disk: Disk) -> Self {
        BenchOverlay::with_own_dir(disk, "neighbour")
    }

    /// One of the overlays of `MountOthers`.
    pub fn other(disk: Disk, number: u32) -> Self {
        BenchOverlay::with_own_dir(disk, &format!("{OTHER_PREFIX}{number}"))
    }

    fn with_own_dir(disk: Disk, name: &str) -> Self {
        let dir = upper_filesystem(disk).join(name);
        let durable_data = format!("lowerdir={1},upperdir={0}/upper,workdir={0}/work", dir.display(), paths::LOWER);
        let volatile_data = format!("{durable_data},volatile");
        let (mount_point, workdir) = (mount_points(disk).join(name), dir.join("work"));
        BenchOverlay { dir: Some(dir), mount_point, workdir, volatile_data, durable_data }
    }

    /// Creates the mount point, and empty upper and work directories if they are not those of the
    /// claims.
    pub fn recreate(self) -> Result<Self, Failure> {
        if let Some(dir) = &self.dir {
            if dir.exists() {
                context("remove", dir, fs::remove_dir_all(dir))?;
            }
            for dir in ["upper", "work"].map(|name| dir.join(name)) {
                context("create", &dir, fs::create_dir_all(&dir))?;
            }
        }
        context("create", &self.mount_point, fs::create_dir_all(&self.mount_point))?;
        Ok(self)
    }

    /// mount(2).
    pub fn mount(&self, mode: Mode) -> Result<(), Failure> {
        let data = match mode {
            Mode::Volatile => &self.volatile_data,
            Mode::Durable => &self.durable_data,
        };
        let mounted = Mount::builder().fstype("overlay").data(data).mount("overlay", &self.mount_point);
        context("mount an overlay at", &self.mount_point, mounted).map(drop)
    }

    /// umount(2).
    pub fn unmount(&self) -> Result<(), Failure> {
        mount_table::unmount_at(&self.mount_point)
    }
}

/// Mount point of the upper filesystem.
pub fn upper_filesystem(disk: Disk) -> PathBuf {
    paths::upper_filesystem(disk, AccessPath::Mount)
}

/// Directory that contains the mount points of all overlays except the container.
fn mount_points(disk: Disk) -> PathBuf {
    PathBuf::from(format!("/bench/{disk}"))
}

/// Whether a mount point is that of an overlay of `MountOthers`.
pub fn is_other(disk: Disk, mount_point: &Path) -> bool {
    mount_point.parent() == Some(&mount_points(disk))
        && mount_point.file_name().is_some_and(|name| name.to_string_lossy().starts_with(OTHER_PREFIX))
}
