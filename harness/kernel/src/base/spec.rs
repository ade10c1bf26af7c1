// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `--base` and `--tree` take: a base that has a name, or a source that has none.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the user wants the kernel from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A base of ci/bases.toml.
    Named(String),
    /// A commit, or a branch or tag, of a git repository: an URL or a folder.
    Git { url: String, commit: String },
    /// A tarball: a file or an URL, and its SHA-256 if it must be that one.
    Tarball { from: String, sha256: Option<String> },
    /// A git work tree as it is now, with what is not committed.
    Tree(PathBuf),
}

impl FromStr for Spec {
    type Err = Infallible;

    /// `git:URL#COMMIT`, `tarball:PATH-OR-URL` with `#SHA256` or without; all else is a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let parts = |rest: &str| match rest.rsplit_once('#') {
            Some((before, after)) => (before.to_string(), Some(after.to_string())),
            None => (rest.to_string(), None),
        };
        Ok(if let Some(rest) = text.strip_prefix("git:") {
            let (url, commit) = parts(rest);
            Spec::Git { url, commit: commit.unwrap_or_else(|| "HEAD".to_string()) }
        } else if let Some(rest) = text.strip_prefix("tarball:") {
            let (from, sha256) = parts(rest);
            Spec::Tarball { from, sha256 }
        } else {
            Spec::Named(text.to_string())
        })
    }
}

/// As it is given to `--base`; a tree is given otherwise.
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
    #[case("5.10.13", Spec::Named("5.10.13".to_string()))]
    #[case("", Spec::Named(String::new()))]
    #[case("git:https://a.example/linux.git#v5.10", git("https://a.example/linux.git", "v5.10"))]
    #[case("git:me@a.example:linux#be4df0cea08a", git("me@a.example:linux", "be4df0cea08a"))]
    #[case("git:/src/linux", git("/src/linux", "HEAD"))]
    #[case("git:/src/#1/linux#HEAD~1", git("/src/#1/linux", "HEAD~1"))]
    #[case("tarball:linux.tar.xz", tarball("linux.tar.xz", None))]
    #[case("tarball:https://a.example/l.tar#50d1", tarball("https://a.example/l.tar", Some("50d1")))]
    fn sources_have_a_prefix(#[case] text: &str, #[case] expected: Spec) {
        assert_eq!(text.parse(), Ok(expected.clone()));
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }
}
