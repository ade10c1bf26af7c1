// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount claims`

use clap::Args;
use vremount_claims as claims;
use vremount_claims::Claim;
use vremount_claims::exit::Exit;

use crate::error::Error;

#[derive(Args)]
pub struct Options {
    /// Names only, a line each
    #[arg(long)]
    names: bool,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    for claim in claims::all() {
        if options.names { println!("{}", claim.name) } else { println!("{}", in_full(&claim)) }
    }
    Ok(Exit::Success)
}

/// Title, source, and the steps: evidence with its outcome in brackets, the claim itself behind `=>`.
fn in_full(claim: &Claim) -> String {
    let since = match claim.min_level {
        0 => "at every level".to_string(),
        level => format!("from level {level}"),
    };
    let steps: String = claim.steps.iter().map(|step| format!("\n    {step}")).collect();
    format!("{}: {}\n  \"{}\"\n  holds {since}{steps}\n", claim.name, claim.title, claim.sentence)
}
