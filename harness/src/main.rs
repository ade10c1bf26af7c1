// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `vremount`.

use std::process::ExitCode;

use clap::Parser;
use vremount::commands::Cli;
use vremount::error::Exit;

fn main() -> ExitCode {
    // Usage errors exit with 2 in here.
    let exit = Cli::parse().run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        Exit::from(&error)
    });
    exit.into()
}
