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

#[cfg(test)]
mod tests {
    use vremount_claims::Expectation;

    use super::*;

    #[test]
    fn steps_are_split_at_host_steps() {
        let precondition = || Step::Precondition(Op::WriteBack, Expectation::Done);
        let assertion = || Step::Assertion(Op::ReloadOverlay, Expectation::Done);
        let steps = [precondition(), assertion(), Step::Host(HostStep::Kexec), Step::Host(HostStep::PowerCut)];
        let segments = BootSegment::split(&steps);
        let lengths: Vec<_> = segments.iter().map(|segment| (segment.ops.len(), segment.host_step)).collect();
        assert_eq!(lengths, [(2, Some(HostStep::Kexec)), (0, Some(HostStep::PowerCut)), (0, None)]);
        assert_eq!(BootSegment::last_host_step(&segments), None);
        assert_eq!(BootSegment::last_host_step(&segments[..2]), Some(HostStep::PowerCut));
    }

    #[test]
    fn there_is_a_segment_without_steps() {
        assert_eq!(BootSegment::split(&[]).len(), 1);
    }
}
