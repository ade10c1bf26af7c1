// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount coverage`

use std::path::PathBuf;

use clap::Args;

use super::verify::shown;
use crate::base::Base;
use crate::coverage::{self, Coverage, Report};
use crate::error::{Error, Exit};
use crate::findings::Findings;
use crate::lab::Wanted;
use crate::project::Project;
use crate::report::{self, Whole};
use crate::select::{self, Filters};

#[derive(Args)]
pub struct Options {
    /// Kernel base, from ci/bases.toml [default: the one named there]
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
    #[command(flatten)]
    filters: Filters,
    /// What machines run on
    #[arg(long, value_enum, default_value_t = Wanted::Uml)]
    executor: Wanted,
    /// Machines side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write the lines of the series to this file, as a page for people: how often each was executed, and each of its branches
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write all of it to this file, for programs
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let project = Project::find()?;
    let base = Base::find(&project.root, options.base.as_deref())?;
    let claims = options.filters.claims(&base)?;
    let filesystems = options.filters.filesystems();
    let cases = select::cases(&claims, &filesystems);
    let page = options.output.as_deref().map(Whole::new).transpose()?;
    let json = options.json.as_deref().map(Whole::new).transpose()?;
    let _cache = project.use_cache()?;
    let show = shown(cases.len(), usize::MAX, false);
    let coverage = Coverage::measure(&project, &base, options.executor, &filesystems, &cases, options.jobs, show)?;
    println!("Linux {}, series {}: {}\n", coverage.base, coverage.series, coverage.tally);
    print!("{}", coverage::text(&coverage));
    if let Some(json) = json {
        // Strings and numbers in structures always have a JSON form.
        json.write(&serde_json::to_string_pretty(&Report::new(&coverage)).unwrap_or_default())?;
    }
    let exit = coverage::exit(&coverage);
    if let Some(page) = page {
        page.write(&report::page(&Findings { coverages: vec![coverage], ..Findings::default() })?)?;
    }
    Ok(exit)
}
