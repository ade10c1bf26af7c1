// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount bench`

use std::path::PathBuf;

use clap::Args;
use vremount_analysis::bench::{self, Bench, BenchResults, BenchSize, measure};
use vremount_claims::exit::Exit;
use vremount_kernel::base::Level;
use vremount_kernel::build::KernelSpec;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_report::{Style, bench_table, cost_page};
use vremount_runner::testbed::{RunSpec, TestBed};
use vremount_util::atomic_file::AtomicFile;

use crate::commands::KernelArgs;
use crate::error::Error;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: KernelArgs,
    /// How often each way is measured side by side; where reuse is to be flat, ten times as often. With --quick a tenth of it, but
    /// three, where the disk is waited for
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Less of everything, in less than two minutes: a look, not a proof
    #[arg(long)]
    quick: bool,
    /// Upper filesystem; the first is measured in full, the others are compared; may be given more than once [default: all that
    /// are on a disk; with --quick ext4]
    #[arg(long, value_name = "NAME")]
    fs: Vec<Fs>,
    /// Write every sample to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write what was found, with plots, to this folder: cost.md
    #[arg(long, value_name = "FOLDER", conflicts_with = "quick")]
    docs: Option<PathBuf>,
    /// Measure nothing: take what an earlier run wrote with --json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["base", "tree", "level", "config", "rounds", "quick", "fs", "json"])]
    from: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    if let Some(folder) = &options.docs {
        // Nobody is to wait for an hour to be told that there is no such folder.
        AtomicFile::new(&folder.join(cost_page::PAGE)).map(drop)?;
    }
    let results = match &options.from {
        Some(path) => BenchResults::read(path)?,
        None => measured(options)?,
    };
    print!("{}", bench_table::table(&results, &Style::plain()));
    if let Some(folder) = &options.docs {
        cost_page::write(&results, folder)?;
    }
    Ok(results.exit())
}

fn measured(options: &Options) -> Result<BenchResults, Error> {
    let Options { which, rounds, quick, fs, json, .. } = options;
    let file = json.as_deref().map(AtomicFile::new).transpose()?;
    let filesystems: Vec<_> = match fs.as_slice() {
        [] if *quick => vec![Fs::Ext4],
        [] => Fs::ALL.into_iter().filter(|fs| fs.on_disk()).collect(),
        // In the order in which they were asked for, each once.
        asked => (0..asked.len()).filter(|at| !asked[..*at].contains(&asked[*at])).map(|at| asked[at]).collect(),
    };
    if let Some(fs) = filesystems.iter().find(|fs| !fs.on_disk()) {
        return Err(Error::Usage(format!("failed to measure on {}: it has no disk to wait for", fs.name())));
    }
    let workspace = Workspace::find()?;
    let _cache = workspace.lock_cache_shared()?;
    let base = which.base(&workspace)?;
    let kernel = KernelSpec { fragment: which.config.as_deref().or(Some(bench::FRAGMENT)), ..which.kernel(&base) };
    // A look leaves what a whole run measured.
    let aside = quick.then_some("quick");
    let testbed = TestBed::new(&workspace, &RunSpec { aside, ..RunSpec::new(kernel, &[], ExecutorChoice::Qemu) })?;
    let unpatched = KernelSpec { level: Level::DOCUMENTED, ..kernel };
    let effort = BenchSize { rounds: usize::from(*rounds), quick: *quick };
    let bench = Bench { workspace: &workspace, testbed: &testbed, unpatched, filesystems: &filesystems, effort };
    let results =
        measure(&bench, |results| Ok(AtomicFile::new(&testbed.logs.join(bench::FILE))?.write(&results.json()?)?))?;
    if let Some(file) = file {
        file.write(&results.json()?)?;
    }
    Ok(results)
}
