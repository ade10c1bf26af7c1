// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount claims`

use clap::Args;
use vremount_claims as claims;
use vremount_claims::Claim;
use vremount_claims::exit::Exit;

use crate::args::heading;
use crate::error::Error;

/// List the claims
///
/// Prints for each claim its name and title, the sentence of the cover letter that it tests, the
/// level from which it holds, and its steps. The expected outcome of a precondition is in brackets;
/// that of an assertion follows `=>`.
#[derive(Args)]
pub struct Options {
    /// Print names only, one per line
    #[arg(long, help_heading = heading::OUTPUT)]
    names: bool,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    for claim in claims::all() {
        if options.names { println!("{}", claim.name) } else { println!("{}", describe(&claim)) }
    }
    Ok(Exit::Success)
}

fn describe(claim: &Claim) -> String {
    let since = match claim.min_level {
        0 => "at every level".to_string(),
        level => format!("from level {level}"),
    };
    let steps: String = claim.steps.iter().map(|step| format!("\n    {step}")).collect();
    format!("{}: {}\n  \"{}\"\n  holds {since}{steps}\n", claim.name, claim.title, claim.sentence)
}
