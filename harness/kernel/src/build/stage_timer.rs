// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the time of a build goes.

use std::time::{Duration, Instant};

/// Stages in the order in which they came first.
pub struct StageTimer {
    since: Instant,
    stages: Vec<(&'static str, Duration)>,
}

impl StageTimer {
    #[must_use]
    pub fn start() -> Self {
        StageTimer { since: Instant::now(), stages: Vec::new() }
    }

    /// All since the last stage was this one.
    pub fn finish_stage(&mut self, stage: &'static str) {
        let time = self.since.elapsed();
        self.since = Instant::now();
        match self.stages.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, sum)) => *sum += time,
            None => self.stages.push((stage, time)),
        }
    }

    #[must_use]
    pub fn stages(&self) -> &[(&'static str, Duration)] {
        &self.stages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_that_come_again_are_one() {
        let mut clock = StageTimer::start();
        ["tree", "make", "tree"].into_iter().for_each(|stage| clock.finish_stage(stage));
        assert_eq!(clock.stages().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["tree", "make"]);
    }
}
