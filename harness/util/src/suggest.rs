// SPDX-License-Identifier: MIT OR Apache-2.0
//! Suggestions for mistyped names.

/// Known name that is closest to `name`, if at most a third of its characters differ
/// (Damerau-Levenshtein distance).
#[must_use]
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    let candidates = known.into_iter().map(|known| (distance(known), known));
    let is_close = |(distance, known): &(usize, &str)| distance * 3 <= known.chars().count();
    candidates.filter(is_close).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// `did you mean "NAME"? ` with a trailing space, for the middle of an error message; empty if
/// there is no suggestion.
#[must_use]
pub fn did_you_mean(closest: Option<&str>) -> String {
    closest.map(|name| format!("did you mean {name:?}? ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::transposed_letters("resue", Some("reuse"))]
    #[case::missing_letter("rese", Some("reuse"))]
    #[case::missing_suffix("power-c", Some("power-cut"))]
    #[case::nearest_of_two("power-cup", Some("power-cut"))]
    #[case::exact_name("reuse", Some("reuse"))]
    #[case::unrelated_name("tuesday", None)]
    #[case::empty_name("", None)]
    fn closest_name_is_suggested_if_it_is_close(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(closest(name, ["reuse", "power-off", "power-cut"]), expected);
    }

    #[test]
    fn suggestion_is_a_question_or_empty() {
        assert_eq!(did_you_mean(Some("reuse")), "did you mean \"reuse\"? ");
        assert_eq!(did_you_mean(None), "");
    }
}
