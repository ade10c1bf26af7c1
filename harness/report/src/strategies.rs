// SPDX-License-Identifier: MIT OR Apache-2.0
//! Order and names of restart strategies in reports.

use vremount_protocol::RestartStrategy;

/// All strategies in the order of reports; the last two are baselines.
pub const STRATEGIES: [RestartStrategy; 6] = [
    RestartStrategy::Reuse,
    RestartStrategy::Sync,
    RestartStrategy::Rebuild,
    RestartStrategy::Durable,
    RestartStrategy::First,
    RestartStrategy::Plain,
];

/// The name of a strategy in reports.
#[must_use]
pub fn name(strategy: RestartStrategy) -> &'static str {
    match strategy {
        RestartStrategy::Reuse => "reuse",
        RestartStrategy::Sync => "syncfs, remove marker",
        RestartStrategy::Rebuild => "rebuild the upper",
        RestartStrategy::Durable => "durable",
        RestartStrategy::First => "first volatile mount",
        RestartStrategy::Plain => "not volatile, unpatched module",
    }
}
