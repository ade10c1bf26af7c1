// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: each command takes its options and drives the pipeline.

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

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use vremount_claims::exit::Exit;
use vremount_kernel::base::{Base, Level, Spec};
use vremount_kernel::build::KernelSpec;
use vremount_kernel::resolve;
use vremount_kernel::workspace::Workspace;
use vremount_util::redact::strip_credentials;

use crate::error::Error;

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
    /// Prove the claims on many bases
    Matrix(matrix::Options),
    /// Boot a kernel and compare it with the model, over sequences of operations that nobody thought of
    ///
    /// Every sequence of up to three steps over a small alphabet first, then random ones over a large one: uppers and overlays
    /// side by side, faults, forgeries, unmounts, reloads and reboots. The model foretells what each step leads to (docs/model.md);
    /// where the kernel does something else, the sequence is made smaller, printed, and kept to be replayed.
    ///
    /// Exit codes: 0 all agree, 1 kernel and model differ, 2 bad usage, 125 cannot tell.
    Explore(explore::Options),
    /// Try wrong versions of the series, each of which a claim must tell from the right one
    ///
    /// A mutant is a diff on top of the series. Its module is built and the claims are proved with it: one that is broken kills it.
    /// First those on ext4; what outlives them is explored, and proved on all other filesystems. A mutant that nobody can tell
    /// from the right series says why, and must not be killed.
    ///
    /// Exit codes: 0 all are killed or argued, 1 one survived, 2 bad usage, 125 cannot tell.
    Mutants(mutants::Options),
    /// See which lines and branches that the series adds the claims execute
    ///
    /// The claims are proved on a kernel that counts, by gcov, how often each arc of overlayfs is taken. A line or branch of the series
    /// that none of them executes is named, unless patches/unexecuted.toml says why it cannot be; what is said there must not be
    /// executed.
    ///
    /// Exit codes: 0 all is executed or argued, 1 something is not, or a claim is broken, 2 bad usage, 125 cannot tell.
    Coverage(coverage::Options),
    /// Find the commit, or the release, from which on a claim is broken
    ///
    /// `git bisect` in a repository of its own: checkout, index, refs and bisections of the tree are never touched. The series that
    /// fits is applied to each kernel and taken away again; a tree that carries it is proved as it is. First both ends are proved
    /// to be what they were said to be. What does not build or boot, hangs, or crashes before it comes to what is claimed, is
    /// skipped. Every step is in a log at once, and `--resume` goes on with that.
    ///
    /// Exit codes: 0 it is found, 2 bad usage or an end that is not what it was said to be, 125 cannot tell.
    Bisect(bisect::Options),
    /// One step of a bisection, for `git bisect run vremount step --tree . --claim NAME --fs NAME`
    ///
    /// Builds the work tree as it is, with the series that fits, and proves the claims. Kernels of one tree are built in one place:
    /// what two of them have in common is built once.
    ///
    /// Exit codes: 0 good, every claim holds; 1 bad, one is broken; 125 skip, it cannot be told, for whatever reason. Never
    /// anything else, bad usage and crashes of vremount included.
    Step(step::Options),
    /// Report on a run, a coverage, a bisection or a bench, also on one that was interrupted; `-o` makes a page of it
    Report(report::Options),
    /// Show a transcript to people
    Transcript(transcript::Options),
    /// List the claims, with their steps and what must come of them
    Claims(claims::Options),
    /// Print a claim as a shell script that needs nothing of vremount
    ///
    /// The steps of the claim with mount, losetup, dmsetup, mkfs and tools for xattrs: to send, and to be run as root on any
    /// machine, or in `vremount shell`. The script says what it expects and what it gets, takes down what it made, and exits with
    /// 0 if all is as claimed, 1 if the claim is broken, 125 if it cannot tell.
    ///
    /// Exit codes: 0 done, with --check all scripts agree; 1 a script and its claim differ; 2 bad usage, or a claim that no
    /// script can make; 125 cannot tell.
    Reproduce(reproduce::Options),
    /// Boot a kernel and give a shell in it, with an upper filesystem ready
    Shell(shell::Options),
    /// List kernel bases, or pin one to a newer version
    Base(base::Options),
    /// Measure what a stop-start cycle of a container costs, each way
    ///
    /// In one guest and one run, in turn: reuse of the volatile upper; syncfs and removing the marker; rebuilding the upper; a
    /// durable mount; and mounts that check nothing. Then how each grows, what a neighbour feels, and what the check
    /// itself takes. The kernel is of `--config bench` unless another is asked for. The disk does 200 MB/s on every machine, but for
    /// the first 20 MB of a burst.
    ///
    /// Exit codes: 0 every goal is met, 1 one is missed or the kernel complained, 2 bad usage, 125 nothing was measured.
    Bench(bench::Options),
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
            Command::Matrix(options) => matrix::run(&options),
            Command::Explore(options) => explore::run(&options),
            Command::Mutants(options) => mutants::run(&options),
            Command::Coverage(options) => coverage::run(&options),
            Command::Bisect(options) => bisect::run(&options),
            Command::Step(options) => step::run(&options),
            Command::Report(options) => report::run(&options),
            Command::Transcript(options) => transcript::run(&options),
            Command::Claims(options) => claims::run(&options),
            Command::Reproduce(options) => reproduce::run(&options),
            Command::Shell(options) => shell::run(&options),
            Command::Base(options) => base::run(&options),
            Command::Bench(options) => bench::run(&options),
            Command::BenchHarness(options) => bench_harness::run(&options),
            Command::CheckSeries(options) => check_series::run(&options),
            Command::Cache(options) => cache::run(&options),
        }
    }
}

/// Which kernel.
#[derive(Args)]
struct KernelArgs {
    /// Kernel base: a name of ci/bases.toml, `git:URL#COMMIT`, or `tarball:PATH-OR-URL`, which may end in `#SHA256`
    /// [default: the one named there]
    #[arg(long, value_name = "BASE", conflicts_with = "tree")]
    base: Option<Spec>,
    /// A kernel's git work tree as it is, with what is not committed; it is only read
    #[arg(long, value_name = "PATH")]
    tree: Option<PathBuf>,
    /// Patches of the series to apply: 0 (pristine) to 4
    #[arg(long, value_name = "N", default_value_t = Level::FULL)]
    level: Level,
    /// A further configuration fragment, from vm-images/config/, such as `debug`
    #[arg(long, value_name = "NAME")]
    config: Option<String>,
}

impl KernelArgs {
    fn base(&self, workspace: &Workspace) -> Result<Base, Error> {
        let tree = self.tree.clone().map(Spec::Tree);
        Ok(resolve::find(workspace, tree.as_ref().or(self.base.as_ref()))?)
    }

    fn kernel<'a>(&'a self, base: &'a Base) -> KernelSpec<'a> {
        KernelSpec { base, level: self.level, fragment: self.config.as_deref(), shared_build: None, mutant: None }
    }
}

/// As it is asked for on a command line.
impl fmt::Display for KernelArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KernelArgs { base, tree, level, config } = self;
        base.iter().try_for_each(|base| write!(f, "--base '{}' ", strip_credentials(&base.to_string())))?;
        tree.iter().try_for_each(|tree| write!(f, "--tree '{}' ", tree.display()))?;
        config.iter().try_for_each(|config| write!(f, "--config {config} "))?;
        write!(f, "--level {}", level.number())
    }
}
