// SPDX-License-Identifier: MIT OR Apache-2.0
//! git commands that are independent of the configuration and the environment of the user, and
//! those that are not.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Author and committer date of every commit that the harness makes, so that the same input gives
/// the same commit id.
const DATE: &str = "2000-01-01T00:00:00Z";

/// A git command on a repository. The configuration and the `GIT_*` environment of the user have no
/// effect, author and committer are fixed, and messages are in English.
pub fn git_command<S: AsRef<OsStr>>(repository: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("git");
    // In a git hook these name the repository of the hook.
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command.env("GIT_DIR", repository).env("LC_ALL", "C");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "vremount").env(format!("GIT_{who}_EMAIL"), "vremount@localhost");
        command.env(format!("GIT_{who}_DATE"), DATE);
    }
    command.args(["-c", "gc.auto=0", "-c", "advice.detachedHead=false"]).args(args);
    command
}

/// A git command in a folder of the user, with the configuration of the user. It is for reading:
/// git refreshes no index.
pub fn as_user(folder: &Path) -> Command {
    let mut command = with_user_config(git_command(folder, Vec::<&str>::new()));
    command.env_remove("GIT_DIR").env("GIT_OPTIONAL_LOCKS", "0").current_dir(folder);
    command
}

/// The command with the configuration of the user: proxies, credentials and trusted owners of
/// repositories are set there.
pub fn with_user_config(mut command: Command) -> Command {
    command.env_remove("GIT_CONFIG_GLOBAL").env_remove("GIT_CONFIG_NOSYSTEM");
    command
}

/// Why git does not accept a folder of the user as a repository or work tree. None if git failed
/// for a reason for which the folder is not the cause.
pub fn rejection_reason(output: &str) -> Option<&'static str> {
    let reasons = [
        ("not a git repository", "it is not in a git repository"),
        ("must be run in a work tree", "the repository has no work tree"),
        ("does not appear to be a git repository", "it is not a git repository"),
        ("invalid gitfile format", "it is not a git repository"),
        (
            "dubious ownership",
            "it belongs to another user, and git does not trust it (safe.directory in git-config(1))",
        ),
    ];
    reasons.into_iter().find(|(message, _)| output.contains(message)).map(|(_, reason)| reason)
}
