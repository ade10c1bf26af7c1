// SPDX-License-Identifier: MIT OR Apache-2.0
//! Splits the steps of a claim at those of the host.

use vremount_claims::{HostStep, Step};
use vremount_protocol::Op;

/// Operations that one boot of a machine executes.
#[derive(Default)]
pub(crate) struct BootSegment {
    pub ops: Vec<Op>,
    /// What the host does after the operations; none for the last segment.
    pub host_step: Option<HostStep>,
}

impl BootSegment {
    /// Splits steps into segments. There is always at least one.
    pub fn split(steps: &[Step]) -> Vec<Self> {
        let mut segments = Vec::new();
        let mut current = BootSegment::default();
        for step in steps {
            match step {
                Step::Precondition(op, _) | Step::Assertion(op, _) => current.ops.push(op.clone()),
                Step::Host(host) => {
                    current.host_step = Some(*host);
                    segments.push(std::mem::take(&mut current));
                }
            }
        }
        segments.push(current);
        segments
    }

    /// What the host does after the last of these segments.
    pub fn last_host_step(segments: &[Self]) -> Option<HostStep> {
        segments.last().and_then(|segment| segment.host_step)
    }
}
