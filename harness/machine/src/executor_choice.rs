// SPDX-License-Identifier: MIT OR Apache-2.0
//! The executor that the user asks for.

/// Value of `--executor` and of `executor` in `ci/matrix.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorChoice {
    /// QEMU with KVM if a probe boot shows that KVM works; otherwise User Mode Linux if it runs on
    /// this host; otherwise QEMU with emulation.
    Auto,
    /// QEMU, with KVM if a probe boot shows that KVM works, otherwise with emulation.
    Qemu,
    /// User Mode Linux with time travel.
    Uml,
}

impl ExecutorChoice {
    /// Name as the command line spells it: `auto`, `qemu` or `uml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ExecutorChoice::Auto => "auto",
            ExecutorChoice::Qemu => "qemu",
            ExecutorChoice::Uml => "uml",
        }
    }
}
