// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `vremount`.

mod args;
mod commands;
mod display;
mod error;

use std::process::ExitCode;

use clap::Parser;
use nix::sys::signal::{SigHandler, Signal, signal};
use vremount_claims::exit::Exit;

use crate::commands::{Cli, step};

fn main() -> ExitCode {
    end_with_the_reader();
    display::listen();
    if let Some(exit) = step::supervised() {
        return exit.into();
    }
    // Usage errors exit with 2 in here.
    let exit = Cli::parse().run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        Exit::from(&error)
    });
    exit.into()
}

/// `vremount claims | head` ends quietly, as it does for other programs; Rust starts with SIGPIPE ignored.
fn end_with_the_reader() {
    // SAFETY: no handler is installed, and no thread runs yet.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
}
