// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is left of a sequence that does not agree when all is taken away that does not matter.

use std::sync::atomic::Ordering;

use proptest::strategy::ValueTree;

use super::company::{Explorer, alone};
use super::{Found, foretell};
use crate::verdict::Verdict;

/// Machines that are spent on one sequence at most.
const TRIES: u32 = 100;

impl Explorer<'_> {
    /// A smaller sequence that does not agree either. The short ones were tried shortest first and are as small as they get.
    pub fn shrink(&self, found: Found) -> Found {
        let Some(mut tree) = self.plan.random(found.number) else { return found };
        let (_, moves, worked_off) = tree.current();
        if let Some(count) = worked_off {
            count.store(moves.len(), Ordering::SeqCst);
        }
        let mut smallest = found;
        let mut simpler = tree.simplify();
        for _ in 0..TRIES {
            if !simpler {
                break;
            }
            let steps = foretell(self.plan.fs, &self.plan.acts_of(&tree.current())).unwrap_or_default();
            // What was taken back is what is known.
            let differs = steps == smallest.steps || {
                let tried = alone(self.prover, self.plan.fs, smallest.number, steps);
                let differs = tried.judgement.verdict == Verdict::Broken;
                if differs {
                    smallest = tried;
                }
                differs
            };
            simpler = if differs { tree.simplify() } else { tree.complicate() };
        }
        // The last that was tried is not the smallest: its transcript is written again.
        alone(self.prover, self.plan.fs, smallest.number, smallest.steps)
    }
}
