// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount mutants`

use std::path::PathBuf;

use clap::Args;
use vremount_analysis::mutants::{self, Mutant, MutationRun, Report};
use vremount_claims::exit::Exit;
use vremount_kernel::base::Base;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_util::atomic_file::AtomicFile;
use vremount_util::progress;

use crate::args::FilterArgs;
use crate::error::Error;
use crate::{args, display};

#[derive(Args)]
pub struct Options {
    /// Try this mutant only; may be given more than once
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Kernel base, from ci/bases.toml [default: the one named there]
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
    /// Folder with the mutants, a diff on top of the series each [default: mutants/ in the folder of the series]
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    #[command(flatten)]
    filters: FilterArgs,
    /// What machines run on
    #[arg(long, value_parser = args::executor(), default_value = "uml")]
    executor: ExecutorChoice,
    /// A further configuration fragment, from vm-images/config/, such as `debug`
    #[arg(long, value_name = "NAME")]
    config: Option<String>,
    /// What outlives the claims on ext4 is explored with so many sequences
    #[arg(long, value_name = "N", default_value_t = 1000)]
    sequences: u64,
    /// Machines side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// List the mutants with what is wrong with them, and try none
    #[arg(long, conflicts_with = "json")]
    list: bool,
    /// Write all of it to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    let base = Base::find(&workspace.root, options.base.as_deref())?;
    let folder = options.from.clone().unwrap_or_else(|| mutants::folder(&workspace.root, &base.series));
    let mutants = chosen(Mutant::all(&folder)?, &options.names)?;
    if options.list {
        mutants.iter().for_each(|mutant| println!("{:<34} {}", mutant.name, mutant.what));
        return Ok(Exit::Success);
    }
    let json = options.json.as_deref().map(AtomicFile::new).transpose()?;
    let _cache = workspace.lock_cache_shared()?;
    let Options { executor: wanted, config, filters, sequences, jobs, .. } = options;
    let (workspace, base, fragment) = (&workspace, &base, config.as_deref());
    let filters = &filters.filters();
    let trial = MutationRun { workspace, base, fragment, wanted: *wanted, filters, sequences: *sequences, jobs: *jobs };
    println!("Linux {}, series {}: {} mutants\n", base.name, base.series, mutants.len());
    let bar = progress::count("trying mutants", mutants.len());
    bar.rename("the series as it is".to_string());
    let executor = trial.control()?;
    let mut fates = Vec::new();
    let mut stopped = Ok(());
    for mutant in &mutants {
        bar.rename(mutant.name.clone());
        match trial.of(mutant) {
            Ok(fate) => {
                display::line(&mutants::line(&fate));
                bar.advance();
                fates.push(fate);
            }
            Err(error) => {
                stopped = Err(error);
                break;
            }
        }
    }
    drop(bar);
    println!("\n{}", mutants::table(&fates));
    let tally: Vec<_> = mutants::tally(&fates).iter().map(|(word, count)| format!("{count} {word}")).collect();
    println!("{} mutants: {}", fates.len(), tally.join(", "));
    if let Some(json) = json {
        // Strings and numbers in structures always have a JSON form.
        json.write(&serde_json::to_string_pretty(&Report::new(base, &executor, &fates)).unwrap_or_default())?;
    }
    // What was told so far is told; of the others nobody can tell.
    stopped?;
    Ok(mutants::exit(&fates))
}

fn chosen(all: Vec<Mutant>, names: &[String]) -> Result<Vec<Mutant>, Error> {
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|mutant| mutant.name == **name)) {
        return Err(Error::Usage(format!("failed to find mutant {unknown:?}: `vremount mutants --list` lists all")));
    }
    Ok(all.into_iter().filter(|mutant| names.is_empty() || names.contains(&mutant.name)).collect())
}
