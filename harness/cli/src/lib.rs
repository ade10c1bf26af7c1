// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `vremount`: arguments, progress display, messages and exit codes. The other crates
//! do the work.
//!
//! In: the command line ([`command`] defines it). Out: text on standard output, progress and
//! messages on standard error, reports in files, an exit code ([`run`]).
//!
//! Invariants: only this crate parses arguments and prints; the libraries report progress as events
//! ([`vremount_util::progress`]) that `display` shows. Every error ends in [`Exit`], which knows
//! all exit codes.

#![warn(missing_docs)]

mod args;
mod commands;
mod display;
mod error;
mod run_setup;

use clap::{CommandFactory, Parser};
use nix::sys::signal::{SigHandler, Signal, signal};
use vremount_claims::exit::Exit;

use crate::commands::{Cli, step};

/// The definition of the command line, from which help texts, man pages and shell completions are
/// made.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command of this process and returns how it ended. Errors are printed. A wrong command
/// line ends the process with exit code 2.
#[must_use]
pub fn run() -> Exit {
    restore_sigpipe();
    display::show_progress();
    if let Some(exit) = step::run_supervised() {
        return exit;
    }
    Cli::parse().run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        Exit::from(&error)
    })
}

/// Lets SIGPIPE end the process, as it does other programs: `vremount claims | head` then prints no
/// error. Rust ignores the signal by default.
fn restore_sigpipe() {
    // SAFETY: the default action replaces no handler that other code relies on, and no other thread
    // runs yet.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        command().debug_assert();
    }

    /// Every subcommand states what it does, and every option and argument has a help text.
    #[test]
    fn every_option_has_a_help_text() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&command());
    }
}
