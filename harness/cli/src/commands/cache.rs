// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount cache`

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::{Args, Subcommand};
use vremount_claims::exit::Exit;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ACCEL_FILE;
use vremount_util::io_error;

use crate::error::Error;

/// List the parts of the cache with their sizes, or remove parts
///
/// The cache is $XDG_CACHE_HOME/vremount, by default ~/.cache/vremount.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Remove build trees, object files and logs of make, which are needed only to build again
    Clean {
        /// Remove everything, also sources, kernels and disk images
        #[arg(long)]
        all: bool,
    },
}

/// A directory of the cache.
struct Part {
    name: &'static str,
    content: &'static str,
    /// Whether it is needed only to build again.
    is_scratch: bool,
}

const PARTS: [Part; 7] = [
    Part { name: "source", content: "tarballs", is_scratch: false },
    Part { name: "tree", content: "unmodified kernel sources, as git repositories", is_scratch: false },
    Part { name: "kernel", content: "kernels and modules", is_scratch: false },
    Part { name: "image", content: "disk images of upper filesystems", is_scratch: false },
    Part { name: "tool", content: "tools that were built here", is_scratch: false },
    Part { name: "build", content: "build trees and object files", is_scratch: true },
    Part { name: "log", content: "output of make", is_scratch: true },
];

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    match options.command {
        None => list(&workspace.cache),
        Some(Command::Clean { all }) => {
            let _lock = workspace.lock_cache_exclusive()?;
            clean(&workspace.cache, all)?;
        }
    }
    Ok(Exit::Success)
}

fn list(cache: &Path) {
    println!("{}", cache.display());
    for Part { name, content, .. } in PARTS {
        println!("{:>8} MiB  {name:<8} {content}", disk_usage(&cache.join(name)) >> 20);
    }
}

fn clean(cache: &Path, all: bool) -> Result<(), Error> {
    for Part { name, is_scratch, .. } in PARTS {
        let directory = cache.join(name);
        if (all || is_scratch) && directory.exists() {
            let bytes = disk_usage(&directory);
            fs::remove_dir_all(&directory).map_err(io_error("remove", &directory))?;
            println!("{:>8} MiB  {name} removed", bytes >> 20);
        }
    }
    let accel = cache.join(ACCEL_FILE);
    if all && accel.exists() {
        fs::remove_file(&accel).map_err(io_error("remove", &accel))?;
    }
    Ok(())
}

/// Bytes that a file or a directory with its content occupies on disk. Files that cannot be read
/// count as 0.
fn disk_usage(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    let content = || {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| disk_usage(&entry.path())).sum::<u64>()
    };
    // A block of stat(2) has 512 bytes on every filesystem.
    metadata.blocks() * 512 + if metadata.is_dir() { content() } else { 0 }
}
