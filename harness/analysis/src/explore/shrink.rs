// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is left of a sequence that does not agree when all is taken away that does not matter.

use std::sync::atomic::Ordering;

use proptest::strategy::ValueTree;
use vremount_claims::Step;
use vremount_claims::verdict::Verdict;

use crate::explore::batch::{BatchExplorer, alone, confirmed};
use crate::explore::{SequenceResult, foretell};

/// Machines that are spent on one sequence at most.
const TRIES: u32 = 100;

impl BatchExplorer<'_> {
    /// A smaller sequence that does not agree either, or the same once more: what is told was seen at least twice.
    pub fn shrink(&self, found: SequenceResult) -> SequenceResult {
        let smallest = self.smaller(&found);
        // The last that was tried is not the smallest: its transcript is written again.
        let again = alone(self.case_runner, self.plan, found.number, smallest.unwrap_or_else(|| found.steps.clone()));
        if again.judgement.verdict == Verdict::Broken || again.steps == found.steps {
            return confirmed(again, &found);
        }
        confirmed(alone(self.case_runner, self.plan, found.number, found.steps.clone()), &found)
    }

    /// None if nothing can be left out. The short ones were tried shortest first and are as small as they get.
    fn smaller(&self, found: &SequenceResult) -> Option<Vec<Step>> {
        let mut tree = self.plan.random(found.number)?;
        let (_, moves, worked_off) = tree.current();
        if let Some(count) = worked_off {
            count.store(moves.len(), Ordering::SeqCst);
        }
        let mut smallest = None;
        let mut simpler = tree.simplify();
        for _ in 0..TRIES {
            if !simpler {
                break;
            }
            let steps = foretell(self.plan.fs, &self.plan.acts_of(&tree.current())).unwrap_or_default();
            // What was taken back is what is known.
            let differs = steps == *smallest.as_ref().unwrap_or(&found.steps) || {
                let tried = alone(self.case_runner, self.plan, found.number, steps.clone());
                tried.judgement.verdict == Verdict::Broken
            };
            simpler = if differs { tree.simplify() } else { tree.complicate() };
            if differs {
                smallest = Some(steps);
            }
        }
        smallest
    }
}
