// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount check-series`

use std::slice;

use clap::Args;
use vremount_analysis::lint_series::{Finding, Outcome, check_series};
use vremount_claims::exit::Exit;
use vremount_kernel::base::Base;
use vremount_kernel::workspace::Workspace;

use crate::args::BaseNamesArg;
use crate::commands::{WRONG_COMMAND_LINE, exit_codes};
use crate::error::Error;
use crate::run_setup::LockedWorkspace;

/// Check the patches with the tools of kernel reviewers
///
/// For each patch of each base: `git am`, checkpatch.pl --strict, sparse and W=1 with overlayfs as
/// a module and built in, kernel-doc and rst. A warning that the kernel without the patch has too
/// is ignored. For each base: the documentation patch applies alone, the line counts of the cover
/// letter are right, the mutants apply, `has` in ci/bases.toml agrees with the source, and a User
/// Mode Linux kernel with the whole series and overlayfs built in can be built.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "every check is clean"),
    (1, "a check found something"),
    (2, WRONG_COMMAND_LINE),
    (125, "cannot tell: a check could not be made, and none found anything"),
]))]
pub struct Options {
    #[command(flatten)]
    bases: BaseNamesArg,
}

/// Counts for the last line of the output.
#[derive(Default)]
struct Summary {
    bases: usize,
    checks: usize,
    found: usize,
    undecided: usize,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = LockedWorkspace::open()?;
    let bases: Vec<Base> = match options.bases.bases.as_slice() {
        [] => Base::all(&workspace.root)?,
        names => names.iter().map(|name| Base::find(&workspace.root, Some(name))).collect::<Result<_, _>>()?,
    };
    let mut summary = Summary::default();
    bases.iter().for_each(|base| check_base(&workspace, base, &mut summary));
    let Summary { bases: checked, checks, found, undecided } = summary;
    let all = bases.len();
    println!("\n{checks} checks of {checked} of {all} bases: {found} found something, {undecided} cannot tell");
    Ok(match (found, undecided) {
        (0, 0) => Exit::Success,
        (0, _) => Exit::CannotTell,
        _ => Exit::Broken,
    })
}

/// Checks one base and prints the findings. An error counts as undecided, so that the other bases
/// are checked.
fn check_base(workspace: &Workspace, base: &Base, summary: &mut Summary) {
    println!("Linux {}, series {}", base.name, base.series);
    let findings = match check_series(workspace, base) {
        Ok(findings) => findings,
        Err(error) => {
            println!("  cannot tell: {error}");
            summary.undecided += 1;
            return;
        }
    };
    for Finding { level, check, outcome } in &findings {
        let (word, lines) = match outcome {
            Outcome::Clean => ("ok", [].as_slice()),
            Outcome::Found(lines) => ("FOUND", lines.as_slice()),
            Outcome::CannotTell(why) => ("cannot tell", slice::from_ref(why)),
        };
        println!("  {level}  {:<14} {word}", check.to_string());
        lines.iter().for_each(|line| println!("       {line}"));
        summary.found += usize::from(matches!(outcome, Outcome::Found(_)));
        summary.undecided += usize::from(matches!(outcome, Outcome::CannotTell(_)));
    }
    summary.checks += findings.len();
    summary.bases += 1;
}
