// SPDX-License-Identifier: MIT OR Apache-2.0
//! Snapshot of the help of every command. After a change of a help text, update it with
//! `INSTA_UPDATE=always cargo test -p vremount --test help` and review the diff.
#![allow(clippy::unwrap_used)]

mod common;

use assert_cmd::prelude::OutputAssertExt;
use common::{stdout, vremount};

#[test]
fn help_of_every_command_is_as_reviewed() {
    let mut text = String::new();
    append_help(&[], &mut text);
    insta::assert_snapshot!(text);
}

/// Appends the help of a command and of all its subcommands.
fn append_help(command: &[&str], text: &mut String) {
    let args = [command, &["--help"]].concat();
    let help = stdout(vremount(&args).assert().success().get_output());
    let title = [&["vremount"], command].concat().join(" ");
    let rule = "=".repeat(100);
    *text += &format!("{rule}\n{title}\n{rule}\n");
    // clap leaves spaces at the end of some lines.
    help.lines().for_each(|line| *text += &format!("{}\n", line.trim_end()));
    text.push('\n');
    for subcommand in subcommands(&help) {
        append_help(&[command, &[subcommand]].concat(), text);
    }
}

/// Names in the section `Commands:` of a help text, except `help` itself.
fn subcommands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").collect()
}
