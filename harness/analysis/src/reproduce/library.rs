// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shell functions of scripts. A script contains the functions that it uses, in the order of
//! the files.

use std::collections::BTreeSet;
use std::sync::LazyLock;

const FILES: [&str; 7] = [
    include_str!("library/frame.sh"),
    include_str!("library/expect.sh"),
    include_str!("library/disk.sh"),
    include_str!("library/overlay.sh"),
    include_str!("library/file.sh"),
    include_str!("library/marker.sh"),
    include_str!("library/fault.sh"),
];

/// A function of the library.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its text, with the comment before it.
    pub text: &'static str,
}

/// Functions of a test of xfstests, in place of those with the same names.
const XFSTESTS: &str = include_str!("library/xfstests.sh");

/// Splits a file at blank lines. A part without a function is the comment of the file.
fn functions(file: &'static str) -> impl Iterator<Item = Function> {
    file.split("\n\n").filter_map(|text| {
        let name = text.lines().find_map(|line| line.strip_suffix("() {"))?;
        Some(Function { name, text: text.trim_end() })
    })
}

/// All functions of a script.
static SCRIPT: LazyLock<Vec<Function>> = LazyLock::new(|| FILES.into_iter().flat_map(functions).collect());

/// All functions of a test of xfstests.
static IN_XFSTESTS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let own: Vec<Function> = functions(XFSTESTS).collect();
    let others = FILES.into_iter().flat_map(functions).filter(|f| own.iter().all(|own| own.name != f.name));
    let others: Vec<Function> = others.collect();
    own.into_iter().chain(others).collect()
});

/// The functions that these lines of a script call, directly or not.
pub fn used_by(lines: &str) -> Vec<&'static Function> {
    used(&SCRIPT, lines)
}

/// The functions that these lines of a test of xfstests call, directly or not.
pub fn used_in_xfstests(lines: &str) -> Vec<&'static Function> {
    used(&IN_XFSTESTS, lines)
}

/// Names of all functions of a script.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    SCRIPT.iter().map(|function| function.name)
}

fn used<'a>(functions: &'a [Function], lines: &str) -> Vec<&'a Function> {
    let mut used = commands(lines);
    loop {
        let called: BTreeSet<&str> =
            functions.iter().filter(|f| used.contains(f.name)).flat_map(|f| commands(f.text)).collect();
        let before = used.len();
        used.extend(called);
        if used.len() == before {
            return functions.iter().filter(|f| used.contains(f.name)).collect();
        }
    }
}

/// Words that may be commands: functions, tools, and arguments that look like them. A word that is
/// not a command only adds an unused function or tool.
pub fn commands(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(|line| line.split([' ', '(', ')', ';', '|', '`']));
    let is_name = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    words.filter(is_name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn called_functions_are_included() {
        let names: Vec<_> = used_by("wait_for_sync").iter().map(|function| function.name).collect();
        assert_eq!(names, ["wait_for_sync"]);
        let names: Vec<_> = used_by("write_back").iter().map(|function| function.name).collect();
        assert!(
            ["try", "find_errno", "cannot_tell", "write_back"].iter().all(|name| names.contains(name)),
            "{names:?}"
        );
        assert!(!names.contains(&"attach"), "{names:?}");
    }

    #[test]
    fn function_names_are_distinct() {
        let names: BTreeSet<_> = SCRIPT.iter().map(|function| function.name).collect();
        assert_eq!(names.len(), SCRIPT.len());
        assert!(SCRIPT.iter().all(|function| function.text.ends_with("\n}")));
    }
}
