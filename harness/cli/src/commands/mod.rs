// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line. Each submodule is one command: its options and the function that runs it.

mod base;
mod bench;
mod bench_build;
mod bench_harness;
mod bisect;
mod cache;
mod check_series;
mod claims;
mod coverage;
mod explore;
mod kernel;
mod matrix;
mod mutants;
mod report;
mod reproduce;
mod shell;
pub mod step;
mod transcript;
mod verify;

use clap::{Parser, Subcommand};
use vremount_claims::exit::Exit;

use crate::error::Error;

/// Test when overlayfs may reuse a volatile upper
///
/// Builds a kernel with the patches that let overlayfs mount a volatile upper again, boots it in
/// virtual machines, makes disks fail under it, and checks claim by claim that reuse is accepted or
/// refused for the right reason.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_long_help = exit_codes(&[
    (0, "every claim holds"),
    (1, "a claim is broken"),
    (2, WRONG_COMMAND_LINE),
    (125, CANNOT_TELL),
]))]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Verify(verify::Options),
    Kernel(kernel::Options),
    Claims(claims::Options),
    Transcript(transcript::Options),
    Report(report::Options),
    Matrix(matrix::Options),
    Base(base::Options),
    Bisect(bisect::Options),
    Step(step::Options),
    Reproduce(reproduce::Options),
    Shell(shell::Options),
    Explore(explore::Options),
    Mutants(mutants::Options),
    Coverage(coverage::Options),
    CheckSeries(check_series::Options),
    Bench(bench::Options),
    BenchHarness(bench_harness::Options),
    Cache(cache::Options),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// If the command fails; the message says what to do next.
    pub fn run(self) -> Result<Exit, Error> {
        match self.command {
            Command::Verify(options) => verify::run(&options),
            Command::Kernel(options) => kernel::run(&options),
            Command::Claims(options) => claims::run(&options),
            Command::Transcript(options) => transcript::run(&options),
            Command::Report(options) => report::run(&options),
            Command::Matrix(options) => matrix::run(&options),
            Command::Base(options) => base::run(&options),
            Command::Bisect(options) => bisect::run(&options),
            Command::Step(options) => step::run(&options),
            Command::Reproduce(options) => reproduce::run(&options),
            Command::Shell(options) => shell::run(&options),
            Command::Explore(options) => explore::run(&options),
            Command::Mutants(options) => mutants::run(&options),
            Command::Coverage(options) => coverage::run(&options),
            Command::CheckSeries(options) => check_series::run(&options),
            Command::Bench(options) => bench::run(&options),
            Command::BenchHarness(options) => bench_harness::run(&options),
            Command::Cache(options) => cache::run(&options),
        }
    }
}

/// Meaning of exit code 2 in almost all commands.
const WRONG_COMMAND_LINE: &str = "the command line is wrong";
/// Meaning of exit code 125 in almost all commands.
const CANNOT_TELL: &str = "cannot tell: something is undecided, missing, or failed";

/// Table of exit codes, for the end of `--help`.
fn exit_codes(codes: &[(u8, &str)]) -> String {
    let rows: String = codes.iter().map(|(code, meaning)| format!("\n  {code:<4} {meaning}")).collect();
    format!("Exit codes:{rows}")
}
