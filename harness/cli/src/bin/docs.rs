// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes man pages and shell completions of `vremount`, as `make install` needs them.
//!
//! `vremount-docs SHARE` writes below the directory SHARE what belongs below `/usr/local/share`:
//!
//! - `man/man1/vremount.1` and one page for each subcommand
//! - `bash-completion/completions/vremount`
//! - `zsh/site-functions/_vremount`
//! - `fish/vendor_completions.d/vremount.fish`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use clap_complete::Shell;

/// Each shell, and the file in which it looks for the completions of `vremount`, below SHARE.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/vremount"),
    (Shell::Zsh, "zsh/site-functions/_vremount"),
    (Shell::Fish, "fish/vendor_completions.d/vremount.fish"),
];

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let (Some(share), None) = (args.next(), args.next()) else {
        eprintln!("error: failed to write man pages: name one directory, as in `vremount-docs target/share`");
        return ExitCode::from(2);
    };
    let share = PathBuf::from(share);
    match write(&share) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("error: failed to write man pages and completions to {}: {cause}", share.display());
            ExitCode::from(125)
        }
    }
}

fn write(share: &Path) -> io::Result<()> {
    let pages = share.join("man/man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(vremount::command(), &pages)?;
    for (shell, file) in COMPLETIONS {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut vremount::command(), "vremount", &mut script);
        let path = share.join(file);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, script)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_man_page() {
        let share = tempfile::tempdir().unwrap();
        write(share.path()).unwrap();
        let page = |name: &str| fs::read_to_string(share.path().join("man/man1").join(format!("{name}.1"))).unwrap();
        assert!(page("vremount").contains("vremount"));
        for command in vremount::command().get_subcommands() {
            assert!(page(&format!("vremount-{}", command.get_name())).contains(command.get_name()));
        }
        assert!(page("vremount-report-merge").contains("expect"));
        for (shell, file) in COMPLETIONS {
            let script = fs::read_to_string(share.path().join(file)).unwrap();
            assert!(script.contains("check-series"), "{shell}");
        }
    }
}
