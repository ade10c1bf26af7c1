// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount bench`

use std::path::PathBuf;

use clap::Args;
use vremount_analysis::bench::{self, Bench, BenchResults, BenchSize, measure};
use vremount_claims::exit::Exit;
use vremount_kernel::base::Level;
use vremount_kernel::build::KernelSpec;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_report::{bench_table, cost_page};
use vremount_runner::testbed::RunSpec;
use vremount_util::atomic_file::AtomicFile;

use crate::args::{JsonArg, KernelArgs, fs_help, heading};
use crate::commands::{WRONG_COMMAND_LINE, exit_codes};
use crate::display;
use crate::error::Error;
use crate::run_setup::RunSetup;

/// Measure what a stop and start of a container costs, with and without reuse
///
/// Compares reuse; syncfs(2) and removal of the marker; rebuilding the upper; a durable mount; and
/// mounts that check nothing. All run in turn, in one guest and one run under QEMU. Also measures
/// how each grows, how much another container on the same filesystem is slowed down, and how long
/// the check takes in the kernel. The kernel has the configuration fragment `bench` unless --config
/// names another. The disk of the machine is limited to 200 MB/s, except for the first 20 MB of a
/// burst.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "every goal is met"),
    (1, "a goal is missed, or the kernel printed a warning"),
    (2, WRONG_COMMAND_LINE),
    (125, "cannot tell: nothing was measured"),
]))]
pub struct Options {
    #[command(flatten)]
    kernel: KernelArgs,
    #[arg(long, value_name = "NAME", help_heading = heading::SELECTION, help = fs_help(
        " (only those on a disk); the first is measured in full, the others are compared with it; can be \
         repeated [default: all on a disk; with --quick ext4]"
    ))]
    fs: Vec<Fs>,
    /// Measure nothing and read FILE, which an earlier run wrote with --json
    #[arg(long, value_name = "FILE", help_heading = heading::SELECTION,
        conflicts_with_all = ["base", "tree", "level", "config", "rounds", "quick", "fs", "json"])]
    from: Option<PathBuf>,
    /// Number of measurements of each alternative; ten times as many of reuse where its time must
    /// not grow. With --quick no more than this number, and a tenth, but at least 3, of what waits
    /// for the disk
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..),
        help_heading = heading::EXECUTION)]
    rounds: u16,
    /// Take fewer samples, in less than two minutes; the results are indicative only
    #[arg(long, help_heading = heading::EXECUTION)]
    quick: bool,
    #[command(flatten)]
    json: JsonArg,
    /// Write cost.md, with plots, to this directory
    #[arg(long, value_name = "FOLDER", conflicts_with = "quick", help_heading = heading::OUTPUT)]
    docs: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    if let Some(directory) = &options.docs {
        // A directory that cannot be written is reported before the measurements, which take an
        // hour.
        AtomicFile::new(&directory.join(cost_page::PAGE)).map(drop)?;
    }
    let results = match &options.from {
        Some(path) => BenchResults::read(path)?,
        None => run_benchmark(options)?,
    };
    print!("{}", bench_table::table(&results, &display::style()));
    if let Some(directory) = &options.docs {
        cost_page::write(&results, directory)?;
    }
    Ok(results.exit())
}

fn run_benchmark(options: &Options) -> Result<BenchResults, Error> {
    let file = options.json.json.as_deref().map(AtomicFile::new).transpose()?;
    let filesystems = options.filesystems()?;
    let setup = RunSetup::open(options.kernel.spec().as_ref())?;
    let kernel = KernelSpec {
        fragment: options.kernel.config.fragment().or(Some(bench::FRAGMENT)),
        ..options.kernel.kernel(&setup.base)
    };
    // A quick run must not replace the results of a complete one.
    let aside = options.quick.then_some("quick");
    let testbed = setup.testbed(&RunSpec { subdirectory: aside, ..RunSpec::new(kernel, &[], ExecutorChoice::Qemu) })?;
    let bench = Bench {
        workspace: &setup.workspace,
        testbed: &testbed,
        unpatched: KernelSpec { level: Level::DOCUMENTED, ..kernel },
        filesystems: &filesystems,
        size: BenchSize { rounds: usize::from(options.rounds), quick: options.quick },
    };
    let path = testbed.run_dir.join(bench::FILE);
    let results = measure(&bench, |results| Ok(AtomicFile::new(&path)?.write(&results.json()?)?))?;
    if let Some(file) = file {
        file.write(&results.json()?)?;
    }
    Ok(results)
}

impl Options {
    /// The filesystems to measure, each once, in the order of the command line.
    ///
    /// # Errors
    /// If one is not on a disk.
    fn filesystems(&self) -> Result<Vec<Fs>, Error> {
        if let Some(fs) = self.fs.iter().find(|fs| !fs.is_on_disk()) {
            return Err(Error::Usage(format!(
                "failed to measure on {}: it is not on a disk; name another filesystem with --fs",
                fs.name()
            )));
        }
        if self.fs.is_empty() {
            let is_selected = |fs: &Fs| if self.quick { *fs == Fs::Ext4 } else { fs.is_on_disk() };
            return Ok(Fs::ALL.into_iter().filter(is_selected).collect());
        }
        let mut filesystems = Vec::new();
        for fs in &self.fs {
            if !filesystems.contains(fs) {
                filesystems.push(*fs);
            }
        }
        Ok(filesystems)
    }
}
