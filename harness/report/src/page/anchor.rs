// SPDX-License-Identifier: MIT OR Apache-2.0
//! Anchors of the page.

/// A name as a part of an anchor. Different names have different anchors, and a browser does not have to escape them.
pub fn anchor(name: &str) -> String {
    let plain = |char: char| match char {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => char.to_string(),
        other => format!("_{:x}_", u32::from(other)),
    };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_unique_and_need_no_escape() {
        let anchors = ["a/b", "a_b", "a:b", "a=b", "a b", "é"].map(anchor);
        assert!(anchors.concat().chars().all(|char| char.is_ascii_alphanumeric() || char == '_'), "{anchors:?}");
        assert_eq!(anchors.iter().collect::<std::collections::BTreeSet<_>>().len(), anchors.len());
        assert_eq!(anchor("5.10.13"), "5.10.13");
    }
}
