// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures the stages of a build.

use std::time::{Duration, Instant};

/// The stage that computes the cache key.
pub const STAGE_KEY: &str = "key";
/// The stage that obtains the source.
pub const STAGE_SOURCE: &str = "source";
/// The stage that applies patches and checks out a level.
pub const STAGE_SERIES: &str = "work tree and patches";
/// The stage that configures the kernel.
pub const STAGE_CONFIGURE: &str = "configuration";
/// The stage in which make builds image and modules.
pub const STAGE_MAKE: &str = "image and modules";
/// The stage in which make builds overlay.ko of each level.
pub const STAGE_OVERLAY: &str = "overlay.ko of each level";
/// The stage that copies the result to the cache.
pub const STAGE_CACHE: &str = "keeping it";

/// Measures how long each stage of a build takes.
pub struct StageTimer {
    /// End of the previous stage.
    since: Instant,
    /// Stages and their total times, in the order in which they first finished.
    stages: Vec<(&'static str, Duration)>,
}

impl StageTimer {
    /// Starts the first stage.
    #[must_use]
    pub fn start() -> Self {
        StageTimer { since: Instant::now(), stages: Vec::new() }
    }

    /// Finishes a stage: adds the time since the previous stage finished to its total.
    pub fn finish_stage(&mut self, stage: &'static str) {
        let time = self.since.elapsed();
        self.since = Instant::now();
        match self.stages.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, sum)) => *sum += time,
            None => self.stages.push((stage, time)),
        }
    }

    /// All stages with their total times, in the order in which they first finished.
    #[must_use]
    pub fn stages(&self) -> &[(&'static str, Duration)] {
        &self.stages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_stages_are_added_up() {
        let mut timer = StageTimer::start();
        ["tree", "make", "tree"].into_iter().for_each(|stage| timer.finish_stage(stage));
        assert_eq!(timer.stages().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["tree", "make"]);
    }
}
