// SPDX-License-Identifier: MIT OR Apache-2.0
//! A part of a script that one boot of a machine executes.

use vremount_claims::HostStep;
use vremount_protocol::Op;

/// What the guest does between two things that happen to its machine.
pub(crate) struct BootSegment {
    pub ops: Vec<Op>,
    pub ends_in: Option<HostStep>,
}
