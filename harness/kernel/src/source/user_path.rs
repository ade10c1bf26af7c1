// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks of what the user names as a source before anything is done with it.

use std::path::{Path, PathBuf};

use crate::source::error::Error;

/// The absolute path of a file or folder as text.
///
/// # Errors
/// `missing` of the reason if it does not exist, [`Error::UnsupportedPath`] if the path has a
/// control character or is not UTF-8: git takes paths in line-based files.
pub fn absolute(path: &Path, missing: impl FnOnce(String) -> Error) -> Result<String, Error> {
    let found = path.canonicalize().map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => missing("it does not exist".to_string()),
        _ => Error::io("read", path)(cause),
    })?;
    supported(&found).map(str::to_string)
}

/// The path as text.
///
/// # Errors
/// [`Error::UnsupportedPath`] if it has a control character or is not UTF-8.
pub fn supported(path: &Path) -> Result<&str, Error> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    text.ok_or_else(|| Error::UnsupportedPath { path: path.to_path_buf() })
}

/// Whether git takes this for a remote repository: `https://host/path`, or `user@host:path` as ssh
/// has it.
pub fn is_remote(url: &str) -> bool {
    let host = url.split('/').next().unwrap_or_default();
    host.contains(':')
}

/// Whether this is a URL, and not a path.
pub fn is_url(from: &str) -> bool {
    from.contains("://")
}

/// A SHA-256 that the user gave, in lower case.
///
/// # Errors
/// [`Error::MalformedHash`] if it does not have 64 hexadecimal digits.
pub fn sha256(text: &str) -> Result<String, Error> {
    let lower = text.to_ascii_lowercase();
    match crate::base::is_sha256(&lower) {
        true => Ok(lower),
        false => Err(Error::MalformedHash { text: text.to_string() }),
    }
}

/// Whether a remote repository may have a branch, tag or commit of that name;
/// git-check-ref-format(1) forbids the others, and git fetch would take some of them for a refspec.
pub fn is_ref_name(name: &str) -> bool {
    let is_forbidden = |char: char| char.is_control() || " ~^:?*[\\".contains(char);
    !name.is_empty() && !name.starts_with(['-', '+']) && !name.contains(is_forbidden)
}

/// The path that git printed: all of it but the newline at its end.
pub fn from_output(output: &str) -> PathBuf {
    PathBuf::from(output.strip_suffix('\n').unwrap_or(output))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::https("https://a.example/linux.git", true)]
    #[case::ssh("me@a.example:linux", true)]
    #[case::absolute("/src/linux", false)]
    #[case::relative("linux", false)]
    #[case::colon_in_folder("./a:b/linux", false)]
    #[case::empty("", false)]
    fn remote_repositories_are_recognized(#[case] url: &str, #[case] expected: bool) {
        assert_eq!(is_remote(url), expected);
    }

    #[rstest]
    #[case::branch("linux-6.12.y", true)]
    #[case::tag("v6.12", true)]
    #[case::path("refs/heads/main", true)]
    #[case::parent("v6.12~1", false)]
    #[case::refspec("main:main", false)]
    #[case::option("--upload-pack=x", false)]
    #[case::empty("", false)]
    fn names_that_no_ref_has_are_refused(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_ref_name(name), expected);
    }

    #[test]
    fn hashes_have_64_digits() {
        assert_eq!(sha256(&"A1".repeat(32)).unwrap(), "a1".repeat(32));
        for text in ["", "50d1", &"g".repeat(64)] {
            assert!(matches!(sha256(text), Err(Error::MalformedHash { .. })), "{text}");
        }
    }

    #[test]
    fn paths_with_control_characters_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let absent = |reason| Error::NoTarball { name: "it".to_string(), reason };
        for (name, is_supported) in [("with 'apostrophe' and \"quotes\"", true), ("new\nline", false), ("tab\t", false)]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            assert_eq!(absolute(&path, absent).is_ok(), is_supported, "{name:?}");
        }
        let missing = absolute(&folder.path().join("missing"), absent).unwrap_err();
        assert!(missing.to_string().contains("failed to unpack \"it\": it does not exist"), "{missing}");
    }
}
