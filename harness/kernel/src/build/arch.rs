// SPDX-License-Identifier: MIT OR Apache-2.0
//! Architectures that kernels are built for.

/// An architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// x86-64, which QEMU runs.
    X86_64,
    /// User Mode Linux: the kernel is a program of the host.
    Um,
}

impl Arch {
    /// All architectures.
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::Um];

    /// Name of the architecture: the value of `ARCH` for make, and a part of names of files and
    /// folders.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Um => "um",
        }
    }

    /// The target of make that builds the image, which is also its file name in the cache.
    #[must_use]
    pub fn image_target(self) -> &'static str {
        match self {
            Arch::X86_64 => "bzImage",
            Arch::Um => "linux",
        }
    }

    /// Path of the image below the folder of objects.
    pub(super) fn image_path(self) -> &'static str {
        match self {
            Arch::X86_64 => "arch/x86/boot/bzImage",
            Arch::Um => "linux",
        }
    }
}
