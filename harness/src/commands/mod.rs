// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: each command takes its options and drives the pipeline.

mod bench_harness;
mod cache;
mod check_series;
mod claims;
mod kernel;
mod report;
mod shell;
mod transcript;
mod verify;

use clap::{Args, Parser, Subcommand};

use crate::base::{Base, Level};
use crate::error::{Error, Exit};
use crate::project::Project;

/// Proves, claim by claim, when overlayfs may reuse a volatile upper.
///
/// Exit codes: 0 every claim holds, 1 a claim is broken, 2 bad usage, 125 cannot tell.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Obtain, patch and build a kernel
    Kernel(kernel::Options),
    /// Boot a kernel and prove the claims
    Verify(verify::Options),
    /// Report on a run, also on one that was interrupted
    Report(report::Options),
    /// Show a transcript to people
    Transcript(transcript::Options),
    /// List the claims, with their steps and what must come of them
    Claims(claims::Options),
    /// Boot a kernel and give a shell in it, with an upper filesystem ready
    Shell(shell::Options),
    /// Time the harness itself, on every executor
    BenchHarness(bench_harness::Options),
    /// Check the patches of a series as reviewers' tools do
    CheckSeries(check_series::Options),
    /// Show what the cache holds, or make room
    Cache(cache::Options),
}

impl Cli {
    /// Does what the command line asks for.
    ///
    /// # Errors
    /// If it cannot be done; the error says what to do next.
    pub fn run(self) -> Result<Exit, Error> {
        match self.command {
            Command::Kernel(options) => kernel::run(&options),
            Command::Verify(options) => verify::run(&options),
            Command::Report(options) => report::run(&options),
            Command::Transcript(options) => transcript::run(&options),
            Command::Claims(options) => claims::run(&options),
            Command::Shell(options) => shell::run(&options),
            Command::BenchHarness(options) => bench_harness::run(&options),
            Command::CheckSeries(options) => check_series::run(&options),
            Command::Cache(options) => cache::run(&options),
        }
    }
}

/// Which kernel.
#[derive(Args)]
struct Which {
    /// Kernel base, from ci/bases.toml [default: the one named there]
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
    /// Patches of the series to apply: 0 (pristine) to 4
    #[arg(long, value_name = "N", default_value_t = Level::FULL)]
    level: Level,
}

impl Which {
    fn base(&self, project: &Project) -> Result<Base, Error> {
        Ok(Base::find(&project.root, self.base.as_deref())?)
    }
}
