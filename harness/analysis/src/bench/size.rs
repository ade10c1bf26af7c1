// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many samples a benchmark takes.

/// The number of samples of a benchmark.
#[derive(Debug, Clone, Copy)]
pub struct BenchSize {
    /// How often each strategy is measured in a workload that compares all of them.
    pub rounds: usize,
    /// Whether fewer samples are taken, so that a run takes less than two minutes.
    pub quick: bool,
}

impl BenchSize {
    /// Samples of strategies that wait for the disk: all rounds, or a tenth of them in a quick run, at least 3.
    pub(super) fn slow_rounds(self) -> usize {
        if self.quick { (self.rounds / 10).max(3) } else { self.rounds }
    }

    /// Samples of the traced mount, each of which reloads the module: all rounds, or a third of them in a quick run, at
    /// least 3.
    pub(super) fn traced_rounds(self) -> usize {
        if self.quick { (self.rounds / 3).max(3) } else { self.rounds }
    }

    /// A multiple of the rounds; the rounds themselves in a quick run.
    pub(super) fn scaled_rounds(self, factor: usize) -> usize {
        if self.quick { self.rounds } else { factor * self.rounds }
    }
}
