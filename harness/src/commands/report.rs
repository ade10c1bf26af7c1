// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount report`, and the reports that it has in common with `vremount verify`.

use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Exit};
use crate::report::{self, Tally, Whole};
use crate::results::Results;

/// Reports on a run, also on one that was interrupted. Exits as the run would have.
#[derive(Args)]
pub struct Options {
    /// Its folder, below target/runs/
    run: PathBuf,
    #[command(flatten)]
    files: Files,
}

/// Reports for programs.
#[derive(Args)]
pub struct Files {
    /// Write all of it to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write JUnit XML, for CI services, to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write KTAP, for kernel developers' tools, to this file
    #[arg(long, value_name = "FILE")]
    ktap: Option<PathBuf>,
    /// Write what KernelCI's database takes to this file
    #[arg(long, value_name = "FILE")]
    kcidb: Option<PathBuf>,
}

type Format = fn(&Results) -> String;

/// Files that can be written.
pub struct Open(Vec<(Whole, Format)>);

impl Files {
    /// # Errors
    /// If one of them cannot be written.
    pub fn open(&self) -> Result<Open, Error> {
        let all: [(_, Format); 4] = [
            (&self.json, report::json),
            (&self.junit, report::junit),
            (&self.ktap, report::ktap),
            (&self.kcidb, report::kcidb),
        ];
        let asked = all.into_iter().filter_map(|(path, format)| Some((path.as_ref()?, format)));
        Ok(Open(asked.map(|(path, format)| Ok((Whole::new(path)?, format))).collect::<Result<_, Error>>()?))
    }
}

impl Open {
    /// # Errors
    /// If one of them cannot be written.
    pub fn write(self, results: &Results) -> Result<(), Error> {
        self.0.into_iter().try_for_each(|(file, format)| file.write(&format(results)))
    }
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let files = options.files.open()?;
    let (results, torn) = Results::read(&options.run)?;
    if torn {
        eprintln!("note: the last line of the log is torn, and left out");
    }
    println!("{}\n", results.plan.title());
    for (case, record) in results.cases() {
        println!("{}", record.map_or_else(|| report::missing(case), report::line));
    }
    println!("\n{}", report::matrix(&results));
    let tally = Tally::of(&results);
    println!("{tally}");
    files.write(&results)?;
    Ok(tally.exit())
}
