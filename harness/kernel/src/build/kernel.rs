// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is built, and what the result of a build is.

use std::path::{Path, PathBuf};

use crate::base::{Base, Level};

/// Memory of a machine whose kernel has debugging enabled, MiB.
pub const MAX_MEMORY_MIB: u32 = 512;

/// Memory of any other machine, MiB: enough for a page cache of a hundred MiB.
const MEMORY_MIB: u32 = 256;

/// A kernel that was built. All paths are in the cache.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Name of the base.
    pub base: String,
    /// Name of the series, with the name of the mutant if there is one.
    pub series: String,
    /// The level of the overlay module.
    pub level: Level,
    /// The further configuration fragment, if there is one.
    pub fragment: Option<String>,
    /// The image that a machine boots.
    pub image: PathBuf,
    /// The ELF file with symbols.
    pub vmlinux: PathBuf,
    /// The complete configuration.
    pub config: PathBuf,
    /// GNU build id, hexadecimal. The running kernel reports the same.
    pub build_id: String,
    /// The overlay module of the level.
    pub module: Module,
}

impl Kernel {
    /// Factor for timeouts: a kernel with a further configuration fragment has debugging enabled
    /// and may be that much slower.
    #[must_use]
    pub fn slowdown(&self) -> u32 {
        if self.fragment.is_some() { 10 } else { 1 }
    }

    /// Memory that a machine with this kernel needs, MiB. Debugging needs about as much memory
    /// again.
    #[must_use]
    pub fn memory_mib(&self) -> u32 {
        if self.fragment.is_some() { MAX_MEMORY_MIB } else { MEMORY_MIB }
    }
}

/// The overlay module of a level.
#[derive(Debug, Clone)]
pub struct Module {
    /// The file overlay.ko.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Folder with the `.gcno` files of image and module. It only exists if the kernel was built
    /// with coverage.
    pub notes: PathBuf,
}

/// Which kernel to build, independent of the architecture.
#[derive(Clone, Copy)]
pub struct KernelSpec<'a> {
    /// The base.
    pub base: &'a Base,
    /// The level of the overlay module.
    pub level: Level,
    /// A further configuration fragment: `NAME` of `vm-images/config/NAME.config`.
    pub fragment: Option<&'a str>,
    /// Name of a build folder that several kernels of one history share, such as the commits of a
    /// bisection. They are built one after the other, each at one level only, and make builds what
    /// differs.
    pub shared_build: Option<&'a str>,
    /// A diff on top of the series that adds a defect. It is part of level 4.
    pub mutant: Option<&'a Path>,
}

impl<'a> KernelSpec<'a> {
    /// Level 4 of a base, without a further fragment and without a mutant.
    #[must_use]
    pub fn new(base: &'a Base) -> Self {
        KernelSpec { base, level: Level::FULL, fragment: None, shared_build: None, mutant: None }
    }

    /// Name of the series, with the name of the mutant if there is one.
    #[must_use]
    pub fn series_name(&self) -> String {
        let series = self.base.series.clone();
        self.mutant_name().map_or(series.clone(), |name| format!("{series} with {name}"))
    }

    /// Name of the mutant: its file name without the extension.
    pub(super) fn mutant_name(&self) -> Option<String> {
        Some(self.mutant?.file_stem()?.to_string_lossy().into_owned())
    }
}
