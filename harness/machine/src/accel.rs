// SPDX-License-Identifier: MIT OR Apache-2.0
//! The accelerator that QEMU uses.

use serde::{Deserialize, Serialize};

/// How QEMU executes guest code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    /// Hardware virtualization. Needs a `/dev/kvm` that works.
    Kvm,
    /// Emulation. Works on every host and is about ten times slower.
    Tcg,
}

impl Accel {
    /// Name as QEMU's `-accel` option and the reports spell it: `kvm` or `tcg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg",
        }
    }
}
