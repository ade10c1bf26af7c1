// SPDX-License-Identifier: MIT OR Apache-2.0
//! The values of `--base` and `--tree`: the name of a base, or a source that ci/bases.toml does not
//! list.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The kernel that the user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A base of ci/bases.toml, by its name.
    Named(String),
    /// A commit of a git repository.
    Git {
        /// URL, folder, or file with a git bundle.
        url: String,
        /// Commit, branch or tag; default `HEAD`.
        commit: String,
    },
    /// A tarball.
    Tarball {
        /// Path or URL.
        from: String,
        /// SHA-256 that the file must have; none if any file is accepted.
        sha256: Option<String>,
    },
    /// The git work tree that a folder is in, with uncommitted changes to tracked files.
    Tree(PathBuf),
}

impl FromStr for Spec {
    type Err = Infallible;

    /// Parses `git:URL#COMMIT` and `tarball:PATH-OR-URL#SHA256`; `#COMMIT` and `#SHA256` are
    /// optional. Any other text is the name of a base.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let split_fragment = |rest: &str| match rest.rsplit_once('#') {
            Some((before, after)) => (before.to_string(), Some(after.to_string())),
            None => (rest.to_string(), None),
        };
        Ok(if let Some(rest) = text.strip_prefix("git:") {
            let (url, commit) = split_fragment(rest);
            Spec::Git { url, commit: commit.unwrap_or_else(|| "HEAD".to_string()) }
        } else if let Some(rest) = text.strip_prefix("tarball:") {
            // A hash has no slash: `#` is then part of the path.
            match split_fragment(rest) {
                (_, Some(after)) if after.contains('/') => Spec::Tarball { from: rest.to_string(), sha256: None },
                (from, sha256) => Spec::Tarball { from, sha256 },
            }
        } else {
            Spec::Named(text.to_string())
        })
    }
}

/// The value of `--base`; of a work tree the value of `--tree`.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spec::Named(name) => f.write_str(name),
            Spec::Git { url, commit } => write!(f, "git:{url}#{commit}"),
            Spec::Tarball { from, sha256: None } => write!(f, "tarball:{from}"),
            Spec::Tarball { from, sha256: Some(sha256) } => write!(f, "tarball:{from}#{sha256}"),
            Spec::Tree(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn git(url: &str, commit: &str) -> Spec {
        Spec::Git { url: url.to_string(), commit: commit.to_string() }
    }

    fn tarball(from: &str, sha256: Option<&str>) -> Spec {
        Spec::Tarball { from: from.to_string(), sha256: sha256.map(ToString::to_string) }
    }

    #[rstest]
    #[case::base("5.10.13", Spec::Named("5.10.13".to_string()))]
    #[case::empty("", Spec::Named(String::new()))]
    #[case::git_url("git:https://a.example/linux.git#v5.10", git("https://a.example/linux.git", "v5.10"))]
    #[case::git_over_ssh("git:me@a.example:linux#be4df0cea08a", git("me@a.example:linux", "be4df0cea08a"))]
    #[case::git_folder("git:/src/linux", git("/src/linux", "HEAD"))]
    #[case::hash_in_path("git:/src/#1/linux#HEAD~1", git("/src/#1/linux", "HEAD~1"))]
    #[case::tarball("tarball:linux.tar.xz", tarball("linux.tar.xz", None))]
    #[case::hash_in_path_of_tarball("tarball:/src/#1/l.tar", tarball("/src/#1/l.tar", None))]
    #[case::tarball_with_hash("tarball:https://a.example/l.tar#50d1", tarball("https://a.example/l.tar", Some("50d1")))]
    fn spec_is_parsed_and_shown(#[case] text: &str, #[case] expected: Spec) {
        assert_eq!(text.parse(), Ok(expected.clone()));
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }
}
