// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount mutants`

use std::path::PathBuf;

use clap::Args;
use vremount_analysis::mutants::{self, Mutant, MutationRun, Report};
use vremount_claims::exit::Exit;
use vremount_util::atomic_file::AtomicFile;
use vremount_util::progress;

use crate::args::{BaseNameArg, ConfigArg, ExecutorArg, FilterArgs, JobsArg, JsonArg, heading};
use crate::commands::{CANNOT_TELL, WRONG_COMMAND_LINE, exit_codes};
use crate::display;
use crate::error::{Error, to_json};
use crate::run_setup::RunSetup;

/// Try faulty versions of the series, each of which a claim must detect
///
/// A mutant is a diff on top of the series. Its overlay module is built, and the claims are checked
/// on ext4; a broken claim detects the mutant. If none is broken, sequences of operations are
/// explored, and the claims are checked on all other filesystems. A mutant that no test can
/// distinguish from the correct series states the reason in its file, and must not be detected.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "every mutant is detected, or its file states why it cannot be"),
    (1, "a mutant survived, or was detected against its file"),
    (2, WRONG_COMMAND_LINE),
    (125, CANNOT_TELL),
]))]
pub struct Options {
    /// Mutant to try; can be repeated [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    base: BaseNameArg,
    #[command(flatten)]
    config: ConfigArg,
    /// Directory with the mutants [default: mutants/ in the directory of the series]
    #[arg(long, value_name = "FOLDER", help_heading = heading::SELECTION)]
    from: Option<PathBuf>,
    #[command(flatten)]
    filters: FilterArgs,
    /// List the mutants, with what is wrong in each, and try none
    #[arg(long, conflicts_with = "json", help_heading = heading::SELECTION)]
    list: bool,
    #[command(flatten)]
    executor: ExecutorArg<true>,
    /// Number of sequences that are explored for a mutant that no claim detects on ext4
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = heading::EXECUTION)]
    sequences: u64,
    #[command(flatten)]
    jobs: JobsArg,
    #[command(flatten)]
    json: JsonArg,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let RunSetup { workspace, base } = RunSetup::open_named(options.base.base.as_deref())?;
    let folder = options.from.clone().unwrap_or_else(|| mutants::folder(&workspace.root, &base.series));
    let mutants = select(Mutant::all(&folder)?, &options.names)?;
    if options.list {
        mutants.iter().for_each(|mutant| println!("{:<34} {}", mutant.name, mutant.description));
        return Ok(Exit::Success);
    }
    let json = options.json.json.as_deref().map(AtomicFile::new).transpose()?;
    let run = MutationRun {
        workspace: &workspace,
        base: &base,
        fragment: options.config.fragment(),
        executor: options.executor.executor,
        filters: &options.filters.filters(),
        sequences: options.sequences,
        jobs: options.jobs.jobs,
    };
    println!("Linux {}, series {}: {} mutants\n", base.name, base.series, mutants.len());
    let bar = progress::start_with_total("trying mutants", mutants.len());
    bar.rename("the series without a mutant".to_string());
    let executor = run.check_unmodified_series()?;
    let mut results = Vec::new();
    let mut error = None;
    for mutant in &mutants {
        bar.rename(mutant.name.clone());
        match run.test(mutant) {
            Ok(result) => {
                display::print_line(&mutants::format_result(&result));
                bar.advance();
                results.push(result);
            }
            Err(cause) => {
                error = Some(cause);
                break;
            }
        }
    }
    drop(bar);
    println!("\n{}", mutants::killer_table(&results));
    let tally: Vec<_> = mutants::tally(&results).iter().map(|(word, count)| format!("{count} {word}")).collect();
    println!("{} mutants: {}", results.len(), tally.join(", "));
    if let Some(json) = json {
        json.write(&to_json("the results of mutants", &Report::new(&base, &executor, &results))?)?;
    }
    // Results before the error are printed and written; the remaining mutants are undecided.
    error.map_or_else(|| Ok(mutants::exit(&results)), |cause| Err(cause.into()))
}

/// The mutants of these names; all if there are no names.
fn select(mut mutants: Vec<Mutant>, names: &[String]) -> Result<Vec<Mutant>, Error> {
    if let Some(unknown) = names.iter().find(|name| !mutants.iter().any(|mutant| mutant.name == **name)) {
        return Err(Error::Usage(format!("failed to find mutant {unknown:?}: `vremount mutants --list` lists all")));
    }
    mutants.retain(|mutant| names.is_empty() || names.contains(&mutant.name));
    Ok(mutants)
}
