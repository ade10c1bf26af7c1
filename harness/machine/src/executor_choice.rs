// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which executor the user asked for.

/// What machines are to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorChoice {
    /// QEMU where a probe boot proves that KVM works, else User Mode Linux where that runs, else QEMU
    Auto,
    /// QEMU: with KVM where a probe boot proves that it works, else emulated
    Qemu,
    /// User Mode Linux with time travel
    Uml,
}

impl ExecutorChoice {
    /// As the command line spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ExecutorChoice::Auto => "auto",
            ExecutorChoice::Qemu => "qemu",
            ExecutorChoice::Uml => "uml",
        }
    }
}
