// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of one run as an SVG image, in the colours of the HTML page, light or dark as the reader prefers.

use std::fmt::{self, Write as _};

use vremount_claims::verdict::Verdict;
use vremount_runner::results::{Results, Tally};

use crate::fs_table::{filesystems, rows};
use crate::verdict_label::VerdictLabel;

/// The colours of the HTML page, as CSS variables.
const COLOURS: &str = include_str!("page/colours.css");
/// The width of a character and the height of a row, pixels.
const CHARACTER: usize = 8;
const ROW: usize = 20;
const MARGIN: usize = 16;

/// The table of a run as SVG: claims in rows, filesystems in columns, a coloured cell for each case.
#[must_use]
pub fn svg_table(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_svg(&mut text, results);
    text
}

fn write_svg(text: &mut String, results: &Results) -> fmt::Result {
    let filesystems = filesystems(results);
    let rows: Vec<_> = rows(results, &filesystems).collect();
    let title = format!("{}: {}", results.plan.title(), Tally::from_results(results));
    let widths: Vec<usize> =
        filesystems.iter().map(|fs| (fs.name().len().max("missing".len()) + 2) * CHARACTER).collect();
    let claim_width = rows.iter().map(|(claim, _)| claim.len() + 2).max().unwrap_or_default() * CHARACTER;
    let table_width = claim_width + widths.iter().sum::<usize>();
    let width = 2 * MARGIN + table_width.max(title.chars().count() * CHARACTER);
    let height = 2 * MARGIN + (rows.len() + 3) * ROW;
    writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<title>{}</title>\n<style>\n{COLOURS}{STYLE}</style>",
        escape(&title)
    )?;
    writeln!(text, "<rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>")?;
    write_text(text, "title", MARGIN, 0, &title)?;
    let left = |column: usize| MARGIN + claim_width + widths[..column].iter().sum::<usize>();
    for (column, fs) in filesystems.iter().enumerate() {
        write_text(text, "head", left(column) + CHARACTER, 2, fs.name())?;
    }
    for (number, (claim, verdicts)) in rows.iter().enumerate() {
        write_text(text, "claim", MARGIN, number + 3, claim)?;
        for (column, verdict) in verdicts.iter().enumerate() {
            if let Some(verdict) = verdict {
                write_cell(text, left(column), widths[column], number + 3, *verdict)?;
            }
        }
    }
    writeln!(text, "</svg>")
}

fn write_cell(text: &mut String, x: usize, width: usize, row: usize, verdict: Option<Verdict>) -> fmt::Result {
    let VerdictLabel { class, sign, .. } = VerdictLabel::new(verdict);
    let (y, width, height) = (MARGIN + row * ROW + 1, width - 2, ROW - 2);
    writeln!(text, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"3\"/>")?;
    write_text(text, &format!("on-{class}"), x + CHARACTER, row, sign)
}

/// One line of text. The text is as wide as its characters in any monospaced font.
fn write_text(text: &mut String, class: &str, x: usize, row: usize, content: &str) -> fmt::Result {
    let (y, length) = (MARGIN + row * ROW + 14, content.chars().count() * CHARACTER);
    writeln!(
        text,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
        escape(content)
    )
}

fn escape(text: &str) -> String {
    [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")]
        .iter()
        .fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

const STYLE: &str = "\
text { font: 13px ui-monospace, \"DejaVu Sans Mono\", monospace; fill: var(--ink); white-space: pre; }
.title, .on-broken { font-weight: 700; }
.head { fill: var(--faint); }
.ground { fill: var(--ground); }
.holds { fill: var(--holds); }
.on-holds { fill: var(--on-holds); }
.broken { fill: var(--broken); }
.on-broken { fill: var(--on-broken); }
.cannot-tell { fill: var(--cannot-tell); }
.on-cannot-tell { fill: var(--on-cannot-tell); }
.skipped { fill: var(--skipped); }
.on-skipped { fill: var(--on-skipped); }
.missing { fill: var(--missing); }
.on-missing { fill: var(--on-missing); font-style: italic; }
";

#[cfg(test)]
mod tests {
    use vremount_runner::testing::one_of_each;

    use super::*;

    #[test]
    fn image_has_a_cell_for_each_case() {
        let svg = svg_table(&one_of_each());
        for (class, count) in [("holds", 2), ("broken", 1), ("cannot-tell", 1), ("skipped", 1), ("missing", 1)] {
            assert_eq!(svg.matches(&format!("<rect class=\"{class}\"")).count(), count, "{class}: {svg}");
        }
        assert!(
            svg.contains(">first</text>") && svg.contains(">ext4</text>") && svg.contains(">BROKEN</text>"),
            "{svg}"
        );
        assert!(svg.contains("prefers-color-scheme: dark"), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a<b> & c"), "a&lt;b&gt; &amp; c");
    }
}
