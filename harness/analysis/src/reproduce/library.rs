// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shell functions that steps are made of. A script gets those that it uses, in the order of the files.

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

/// A function with the comment before it.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    pub text: &'static str,
}

/// What a test of xfstests has in place of functions of the same name.
const XFSTESTS: &str = include_str!("library/xfstests.sh");

/// Blank lines part functions; what has no name at the start of a line is about a whole file.
fn functions(file: &'static str) -> impl Iterator<Item = Function> {
    file.split("\n\n").filter_map(|text| {
        let name = text.lines().find_map(|line| line.strip_suffix("() {"))?;
        Some(Function { name, text: text.trim_end() })
    })
}

static ALONE: LazyLock<Vec<Function>> = LazyLock::new(|| FILES.into_iter().flat_map(functions).collect());

static IN_XFSTESTS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let own: Vec<Function> = functions(XFSTESTS).collect();
    let others = FILES.into_iter().flat_map(functions).filter(|f| own.iter().all(|own| own.name != f.name));
    let others: Vec<Function> = others.collect();
    own.into_iter().chain(others).collect()
});

/// The functions that these lines call, and those that they call in turn.
pub fn used_by(lines: &str) -> Vec<&'static Function> {
    used(&ALONE, lines)
}

/// The same for a test of xfstests.
pub fn used_in_xfstests(lines: &str) -> Vec<&'static Function> {
    used(&IN_XFSTESTS, lines)
}

/// Of all that a script that is alone can have.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    ALONE.iter().map(|function| function.name)
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

/// Words that stand where a command may, functions and tools among them. A shell would know better, but what is taken for
/// one by mistake does no harm.
pub fn commands(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(|line| line.split([' ', '(', ')', ';', '|', '`']));
    let plain = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    words.filter(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_comes_along() {
        let names: Vec<_> = used_by("join").iter().map(|function| function.name).collect();
        assert_eq!(names, ["join"]);
        let names: Vec<_> = used_by("write_back").iter().map(|function| function.name).collect();
        assert!(
            ["try", "find_errno", "cannot_tell", "write_back"].iter().all(|name| names.contains(name)),
            "{names:?}"
        );
        assert!(!names.contains(&"attach"), "{names:?}");
    }

    #[test]
    fn every_function_has_a_name_of_its_own() {
        let names: BTreeSet<_> = ALONE.iter().map(|function| function.name).collect();
        assert_eq!(names.len(), ALONE.len());
        assert!(ALONE.iter().all(|function| function.text.ends_with("\n}")));
    }
}
