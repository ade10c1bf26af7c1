// SPDX-License-Identifier: MIT OR Apache-2.0
//! What differs between architectures, as data.

/// What a kernel is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// For QEMU
    X86_64,
    /// User Mode Linux: a kernel that is a program of the host
    Um,
}

impl Arch {
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::Um];

    /// As make's `ARCH=` and our folders spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Um => "um",
        }
    }

    pub fn image_target(self) -> &'static str {
        match self {
            Arch::X86_64 => "bzImage",
            Arch::Um => "linux",
        }
    }

    /// The image, below the folder of objects.
    pub(super) fn image_path(self) -> &'static str {
        match self {
            Arch::X86_64 => "arch/x86/boot/bzImage",
            Arch::Um => "linux",
        }
    }
}
