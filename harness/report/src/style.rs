// SPDX-License-Identifier: MIT OR Apache-2.0
//! Colours of console text.

use vremount_claims::verdict::Verdict;

/// Whether console text has colours, as ANSI escape sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Text without escape sequences, for files and pipes.
    #[must_use]
    pub const fn plain() -> Self {
        Style { colour: false }
    }

    /// Text with colours, for terminals: holds and met thresholds green, broken and missed thresholds red, cannot tell and
    /// missing yellow, skipped dim.
    #[must_use]
    pub const fn colour() -> Self {
        Style { colour: true }
    }

    /// The text in the colour of a verdict; `None` is a case without a verdict.
    pub(crate) fn verdict(&self, verdict: Option<Verdict>, text: &str) -> String {
        self.paint(
            text,
            match verdict {
                Some(Verdict::Holds) => "32",
                Some(Verdict::Broken) => "1;31",
                Some(Verdict::CannotTell) | None => "33",
                Some(Verdict::Skipped) => "2",
            },
        )
    }

    /// The status of a threshold in the colour of `holds` or of `broken`.
    pub(crate) fn threshold(&self, met: bool, text: &str) -> String {
        self.verdict(Some(if met { Verdict::Holds } else { Verdict::Broken }), text)
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// Appends spaces to a text that may have escape sequences. `plain` is the text without them.
pub(crate) fn pad(text: String, plain: &str, width: usize) -> String {
    text + &" ".repeat(width.saturating_sub(plain.chars().count()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::holds(Some(Verdict::Holds), "\x1b[32mtext\x1b[0m")]
    #[case::broken(Some(Verdict::Broken), "\x1b[1;31mtext\x1b[0m")]
    #[case::cannot_tell(Some(Verdict::CannotTell), "\x1b[33mtext\x1b[0m")]
    #[case::skipped(Some(Verdict::Skipped), "\x1b[2mtext\x1b[0m")]
    #[case::missing(None, "\x1b[33mtext\x1b[0m")]
    fn each_verdict_has_its_colour(#[case] verdict: Option<Verdict>, #[case] expected: &str) {
        assert_eq!(Style::colour().verdict(verdict, "text"), expected);
        assert_eq!(Style::plain().verdict(verdict, "text"), "text");
    }
}
