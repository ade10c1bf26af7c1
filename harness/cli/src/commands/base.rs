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
use crate::error::Error;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the bases of ci/bases.toml: name, series, source, and whether the source can always be had
    List,
    /// Pin a base to the newest version of its series that is to be had, once all that the matrix proves on it holds
    ///
    /// Of a Debian source package, that is the newest of the same suite with the same first two numbers; a base that is named
    /// after its version is renamed. A git commit is pinned to its tree, so that nothing need be fetched to know it.
    Pin {
        /// Its name
        name: String,
    },
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    match &options.command {
        Command::List => list(&workspace),
        Command::Pin { name } => pin(&workspace, name),
    }
}

fn list(workspace: &Workspace) -> Result<Exit, Error> {
    let entries = MatrixConfig::read(&workspace.root)?;
    let default = Base::find(&workspace.root, None)?;
    for base in Base::all(&workspace.root)? {
        let frozen = if entries.is_frozen(&base) { "frozen" } else { "" };
        let default = if base.name == default.name { "default" } else { "" };
        let line =
            format!("{:<12} {:<12} {:<40} {frozen:<7} {default}", base.name, base.series, base.source.to_string());
        println!("{}", line.trim_end());
    }
    Ok(Exit::Success)
}

fn pin(workspace: &Workspace, name: &str) -> Result<Exit, Error> {
    let _cache = workspace.lock_cache_shared()?;
    let old = Base::find(&workspace.root, Some(name))?;
    let Some(pinned) = newest(workspace, &old)? else {
        println!("{name} is pinned to {}, and no newer one is to be had", old.source);
        return Ok(Exit::Success);
    };
    if pinned.name != name && Base::all(&workspace.root)?.iter().any(|base| base.name == pinned.name) {
        let why = format!("that is a base of its own, {}; take one of the two out of ci/bases.toml", pinned.name);
        return Err(Error::Usage(format!("failed to pin {name} to {}: {why}", pinned.source)));
    }
    println!("{name}: {} is proved first\n", pinned.source);
    let entries = MatrixConfig::read(&workspace.root)?.entries;
    let bases = [pinned];
    let jobs = matrix::plan_jobs(&bases, &entries);
    let merged = matrix::run(workspace, &jobs, None, &mut MatrixProgress::new(jobs.len()))?;
    let tally = Tally::of_all(&merged);
    println!("\n{}\n{tally}", report::across(&merged, &report::Style::plain()));
    let [pinned] = bases;
    if tally.exit() != Exit::Success {
        eprintln!("failed to pin {name}: not all holds on {}; ci/bases.toml is as it was", pinned.source);
        return Ok(tally.exit());
    }
    pin::write(&workspace.root, name, &pinned)?;
    println!("pinned {} to {}", pinned.name, pinned.source);
    Ok(Exit::Success)
}

/// The base with a newer source; none if there is none.
fn newest(workspace: &Workspace, old: &Base) -> Result<Option<Base>, Error> {
    Ok(match &old.source {
        Source::Package(package) => {
            let Some(newest) = source::newest(workspace, package)? else { return Ok(None) };
            let (name, source) = (pin::renamed(old, &newest), Source::Package(newest));
            // What it has may be more.
            let has = resolve::features(&source::obtain(workspace, &source)?, old)?;
            Some(Base { name, source, has, ..old.clone() })
        }
        Source::Git(Git { tree: Some(_), .. }) => None,
        Source::Git(git) => {
            let tree = Some(source::content_id(workspace, &old.source)?);
            Some(Base { source: Source::Git(Git { tree, ..git.clone() }), ..old.clone() })
        }
        Source::Tarball(tarball) => {
            let why =
                format!("{} is one tarball and no series of them; name another in ci/bases.toml", tarball.tarball);
            return Err(Error::Usage(format!("failed to find a newer version of {}: {why}", old.name)));
        }
    })
}
