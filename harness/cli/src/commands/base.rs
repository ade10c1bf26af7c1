// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount base`

use clap::{Args, Subcommand};
use vremount_claims::exit::Exit;
use vremount_kernel::base::{Base, Git, Source};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{pin, resolve, source};
use vremount_report as report;
use vremount_runner::matrix;
use vremount_runner::matrix::config::MatrixConfig;
use vremount_runner::results::Tally;

use crate::commands::matrix::MatrixProgress;
use crate::commands::{CANNOT_TELL, exit_codes};
use crate::display;
use crate::error::Error;
use crate::run_setup::LockedWorkspace;

/// List kernel bases, or pin one to a newer version
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the bases of ci/bases.toml: name, series, source, and whether the source is frozen
    /// (stays available)
    List,
    /// Pin a base to the newest available version of its source
    ///
    /// For a Debian source package, this is the newest version of the same suite that has the same
    /// first two numbers; a base that is named after its version is renamed. For a git commit, the
    /// id of its tree is recorded, so that a cached kernel needs no download. ci/bases.toml changes
    /// only if every claim that the matrix checks holds on the new version.
    #[command(after_long_help = exit_codes(&[
        (0, "the base is pinned, or there is no newer version"),
        (1, "a claim is broken; ci/bases.toml is unchanged"),
        (2, "the command line is wrong, or the base cannot be pinned"),
        (125, CANNOT_TELL),
    ]))]
    Pin {
        /// Name of the base in ci/bases.toml
        name: String,
    },
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    match &options.command {
        Command::List => list(&Workspace::find()?),
        Command::Pin { name } => {
            let workspace = LockedWorkspace::open()?;
            pin(&workspace, name)
        }
    }
}

fn list(workspace: &Workspace) -> Result<Exit, Error> {
    let config = MatrixConfig::read(&workspace.root)?;
    let default = Base::find(&workspace.root, None)?;
    for base in Base::all(&workspace.root)? {
        let frozen = if config.is_frozen(&base) { "frozen" } else { "" };
        let default = if base.name == default.name { "default" } else { "" };
        let line =
            format!("{:<12} {:<12} {:<40} {frozen:<7} {default}", base.name, base.series, base.source.to_string());
        println!("{}", line.trim_end());
    }
    Ok(Exit::Success)
}

fn pin(workspace: &Workspace, name: &str) -> Result<Exit, Error> {
    let old = Base::find(&workspace.root, Some(name))?;
    let Some(pinned) = find_newer(workspace, &old)? else {
        println!("{name} stays pinned to {}: no newer version is available", old.source);
        return Ok(Exit::Success);
    };
    if pinned.name != name && Base::all(&workspace.root)?.iter().any(|base| base.name == pinned.name) {
        return Err(Error::Usage(format!(
            "failed to pin {name} to {}: ci/bases.toml has another base {}; remove one of the two",
            pinned.source, pinned.name
        )));
    }
    println!("{name}: checking the claims on {}\n", pinned.source);
    let entries = MatrixConfig::read(&workspace.root)?.entries;
    let bases = [pinned];
    let jobs = matrix::plan_jobs(&bases, &entries);
    let merged = matrix::run_jobs(workspace, &jobs, None, &mut MatrixProgress::new(jobs.len()))?;
    let tally = Tally::from_merged(&merged);
    println!("\n{}\n{tally}", report::summary_table(&merged, &display::style()));
    let [pinned] = bases;
    if tally.exit_code() != Exit::Success {
        eprintln!(
            "error: failed to pin {name}: not every claim holds on {}; ci/bases.toml is unchanged; see the table above",
            pinned.source
        );
        return Ok(tally.exit_code());
    }
    pin::write_pin(&workspace.root, name, &pinned)?;
    println!("pinned {} to {}", pinned.name, pinned.source);
    Ok(Exit::Success)
}

/// The base with the newest version of its source; none if it has that version already.
fn find_newer(workspace: &Workspace, old: &Base) -> Result<Option<Base>, Error> {
    Ok(match &old.source {
        Source::Package(package) => {
            let Some(newest) = source::find_newest(workspace, package)? else { return Ok(None) };
            let (name, source) = (pin::renamed_base(old, &newest), Source::Package(newest));
            // A newer version can have more features.
            let has = resolve::detect_features(&source::obtain(workspace, &source)?, old)?;
            Some(Base { name, source, features: has, ..old.clone() })
        }
        Source::Git(Git { tree: Some(_), .. }) => None,
        Source::Git(git) => {
            let tree = Some(source::content_id(workspace, &old.source)?);
            Some(Base { source: Source::Git(Git { tree, ..git.clone() }), ..old.clone() })
        }
        Source::Tarball(tarball) => {
            return Err(Error::Usage(format!(
                "failed to find a newer version of {}: its source is the single tarball {}; name a newer one in \
                 ci/bases.toml",
                old.name, tarball.tarball
            )));
        }
    })
}
