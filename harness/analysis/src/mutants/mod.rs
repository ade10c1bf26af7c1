// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests faulty versions of the series. A claim or an explored sequence must detect each of them; a
//! mutant that survives shows that a claim is missing.

mod minimal_killers;
mod mutant;
mod mutation_run;
mod outcome;
mod report;

pub use mutant::{Mutant, files, folder, inapplicable};
pub use mutation_run::MutationRun;
pub use outcome::{Killer, MutantResult, MutantStatus};
pub use report::{Entry, Report, exit, format_result, killer_table, tally};
