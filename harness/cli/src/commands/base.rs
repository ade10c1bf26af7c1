// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount base`

use clap::{Args, Subcommand};
use vremount_claims::exit::Exit;
use vremount_kernel::base::{Base, Git, Source};
use vremount_kernel::workspace::Project;
use vremount_kernel::{pin, resolve, source};
use vremount_report as report;
use vremount_runner::matrix;
use vremount_runner::matrix::config::Lanes;
use vremount_runner::results::Tally;

use crate::commands::matrix::Shown;
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
    let project = Project::find()?;
    match &options.command {
        Command::List => list(&project),
        Command::Pin { name } => pin(&project, name),
    }
}

fn list(project: &Project) -> Result<Exit, Error> {
    let lanes = Lanes::read(&project.root)?;
    let default = Base::find(&project.root, None)?;
    for base in Base::all(&project.root)? {
        let frozen = if lanes.is_frozen(&base) { "frozen" } else { "" };
        let default = if base.name == default.name { "default" } else { "" };
        let line =
            format!("{:<12} {:<12} {:<40} {frozen:<7} {default}", base.name, base.series, base.source.to_string());
        println!("{}", line.trim_end());
    }
    Ok(Exit::Holds)
}

fn pin(project: &Project, name: &str) -> Result<Exit, Error> {
    let _cache = project.use_cache()?;
    let old = Base::find(&project.root, Some(name))?;
    let Some(pinned) = newest(project, &old)? else {
        println!("{name} is pinned to {}, and no newer one is to be had", old.source);
        return Ok(Exit::Holds);
    };
    if pinned.name != name && Base::all(&project.root)?.iter().any(|base| base.name == pinned.name) {
        let why = format!("that is a base of its own, {}; take one of the two out of ci/bases.toml", pinned.name);
        return Err(Error::Usage(format!("failed to pin {name} to {}: {why}", pinned.source)));
    }
    println!("{name}: {} is proved first\n", pinned.source);
    let lanes = Lanes::read(&project.root)?.lanes;
    let bases = [pinned];
    let jobs = matrix::jobs_of(&bases, &lanes);
    let merged = matrix::run(project, &jobs, None, &mut Shown::new(jobs.len()))?;
    let tally = Tally::of_all(&merged);
    println!("\n{}\n{tally}", report::across(&merged));
    let [pinned] = bases;
    if tally.exit() != Exit::Holds {
        eprintln!("failed to pin {name}: not all holds on {}; ci/bases.toml is as it was", pinned.source);
        return Ok(tally.exit());
    }
    pin::write(&project.root, name, &pinned)?;
    println!("pinned {} to {}", pinned.name, pinned.source);
    Ok(Exit::Holds)
}

/// The base with a newer source; none if there is none.
fn newest(project: &Project, old: &Base) -> Result<Option<Base>, Error> {
    Ok(match &old.source {
        Source::Package(package) => {
            let Some(newest) = source::newest(project, package)? else { return Ok(None) };
            let (name, source) = (pin::renamed(old, &newest), Source::Package(newest));
            // What it has may be more.
            let has = resolve::features(&source::obtain(project, &source)?, old)?;
            Some(Base { name, source, has, ..old.clone() })
        }
        Source::Git(Git { tree: Some(_), .. }) => None,
        Source::Git(git) => {
            let tree = Some(source::id(project, &old.source)?);
            Some(Base { source: Source::Git(Git { tree, ..git.clone() }), ..old.clone() })
        }
        Source::Tarball(tarball) => {
            let why =
                format!("{} is one tarball and no series of them; name another in ci/bases.toml", tarball.tarball);
            return Err(Error::Usage(format!("failed to find a newer version of {}: {why}", old.name)));
        }
    })
}
