// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount check-series`

use clap::Args;
use vremount_analysis::lint_series::{Finding, Outcome, check};
use vremount_claims::exit::Exit;
use vremount_kernel::base::Base;
use vremount_kernel::workspace::Workspace;

use crate::error::Error;

/// At every level: applies by `git am`; checkpatch --strict; sparse and W=1, with overlay as a module and built in, kernel-doc and
/// rst, without a warning that the level below has not. The documentation patch applies alone, too, the cover letter counts the lines
/// right, the mutants apply, and a User Mode Linux with all of the series and overlay built in is built to its end. `has` of
/// ci/bases.toml is what the source has.
#[derive(Args)]
pub struct Options {
    /// Kernel base, from ci/bases.toml; may be given more than once [default: all]
    #[arg(long = "base", value_name = "NAME")]
    bases: Vec<String>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    let _cache = workspace.lock_cache_shared()?;
    let bases: Vec<Base> = match options.bases.as_slice() {
        [] => Base::all(&workspace.root)?,
        names => names.iter().map(|name| Base::find(&workspace.root, Some(name))).collect::<Result<_, _>>()?,
    };
    let (mut checks, mut checked, mut found, mut undecided) = (0, 0, 0, 0);
    for base in &bases {
        println!("Linux {}, series {}", base.name, base.series);
        let findings = match check(&workspace, base) {
            Ok(findings) => findings,
            // It hides nothing of the others.
            Err(error) => {
                println!("  cannot tell: {error}");
                undecided += 1;
                continue;
            }
        };
        for Finding { level, check, outcome } in &findings {
            let (word, lines) = match outcome {
                Outcome::Clean => ("ok", [].as_slice()),
                Outcome::Found(lines) => ("FOUND", lines.as_slice()),
                Outcome::CannotTell(why) => ("cannot tell", std::slice::from_ref(why)),
            };
            println!("  {level}  {:<14} {word}", check.to_string());
            lines.iter().for_each(|line| println!("       {line}"));
            found += usize::from(matches!(outcome, Outcome::Found(_)));
            undecided += usize::from(matches!(outcome, Outcome::CannotTell(_)));
        }
        checks += findings.len();
        checked += 1;
    }
    let all = bases.len();
    println!("\n{checks} checks of {checked} of {all} bases: {found} found something, {undecided} cannot tell");
    Ok(match (found, undecided) {
        (0, 0) => Exit::Success,
        (0, _) => Exit::CannotTell,
        _ => Exit::Broken,
    })
}
