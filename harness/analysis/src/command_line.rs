// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lines that are printed to be pasted into a shell.

use std::path::Path;

/// Quotes a word for a POSIX shell. A word without special characters stays as it is.
#[must_use]
pub fn quote(word: &str) -> String {
    // Only a NUL byte cannot be quoted, and no argument of a program contains one.
    shlex::try_quote(word).map_or_else(|_| word.to_string(), |quoted| quoted.into_owned())
}

/// Quotes a path for a POSIX shell. Bytes that are not UTF-8 are replaced.
#[must_use]
pub fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("/tmp/a.jsonl", "/tmp/a.jsonl")]
    #[case::space("/tmp/my runs/a", "'/tmp/my runs/a'")]
    #[case::expansion("/tmp/$HOME", "'/tmp/$HOME'")]
    #[case::empty("", "''")]
    fn path_is_one_word_of_a_shell(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(quote_path(Path::new(path)), expected);
        assert_eq!(shlex::split(&quote_path(Path::new(path))), Some(vec![path.to_string()]));
    }

    #[test]
    fn single_quote_survives() {
        assert_eq!(shlex::split(&quote("it's")), Some(vec!["it's".to_string()]));
    }
}
