// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount cache`

use std::fs;
use std::path::Path;

use clap::{Args, Subcommand};
use vremount_claims::exit::Exit;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ACCEL_FILE;
use vremount_util::io_error;

use crate::error::Error;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Remove what is only needed to build again: work trees, object files and logs
    Clean {
        /// Remove everything, sources and kernels too
        #[arg(long)]
        all: bool,
    },
}

/// What the cache holds, and whether it is needed only to build.
const PARTS: [(&str, &str, bool); 7] = [
    ("source", "tarballs", false),
    ("tree", "pristine trees, as git repositories", false),
    ("kernel", "kernels and modules", false),
    ("image", "upper filesystems", false),
    ("tool", "programs that were built here", false),
    ("build", "work trees and object files", true),
    ("log", "output of make", true),
];

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    match options.command {
        None => list(&workspace.cache),
        Some(Command::Clean { all }) => {
            let _alone = workspace.lock_cache_exclusive()?;
            clean(&workspace.cache, all)?;
        }
    }
    Ok(Exit::Success)
}

fn list(cache: &Path) {
    println!("{}", cache.display());
    for (part, what, _) in PARTS {
        println!("{:>8} MiB  {part:<8} {what}", size(&cache.join(part)) >> 20);
    }
}

fn clean(cache: &Path, all: bool) -> Result<(), Error> {
    for (part, _, scratch) in PARTS {
        let folder = cache.join(part);
        if (all || scratch) && folder.exists() {
            let bytes = size(&folder);
            fs::remove_dir_all(&folder).map_err(io_error("remove", &folder))?;
            println!("{:>8} MiB  {part} removed", bytes >> 20);
        }
    }
    let known = cache.join(ACCEL_FILE);
    if all && known.exists() {
        fs::remove_file(&known).map_err(io_error("remove", &known))?;
    }
    Ok(())
}

/// Bytes on the disk; what cannot be read counts as nothing.
fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    let below = || fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum::<u64>();
    metadata.blocks() * 512 + if metadata.is_dir() { below() } else { 0 }
}
