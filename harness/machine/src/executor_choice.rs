// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which executor the user asked for.

/// What machines are to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// QEMU where a probe boot proves that KVM works, else User Mode Linux where that runs, else QEMU
    Auto,
    /// QEMU: with KVM where a probe boot proves that it works, else emulated
    Qemu,
    /// User Mode Linux with time travel
    Uml,
}

impl Wanted {
    /// As the command line spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Wanted::Auto => "auto",
            Wanted::Qemu => "qemu",
            Wanted::Uml => "uml",
        }
    }
}
