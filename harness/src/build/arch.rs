// SPDX-License-Identifier: MIT OR Apache-2.0
//! What differs between architectures, as data.

use std::path::{Path, PathBuf};

/// What a kernel is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    X86_64,
}

impl Arch {
    /// As make's `ARCH=` and our folders spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
        }
    }

    pub(super) fn image_target(self) -> &'static str {
        match self {
            Arch::X86_64 => "bzImage",
        }
    }

    /// The image, below the folder of objects.
    pub(super) fn image_path(self) -> &'static str {
        match self {
            Arch::X86_64 => "arch/x86/boot/bzImage",
        }
    }

    pub(super) fn fragments(self, root: &Path) -> Vec<PathBuf> {
        let folder = root.join("vm-images/config");
        vec![folder.join("base.config"), folder.join(format!("{}.config", self.name()))]
    }
}
