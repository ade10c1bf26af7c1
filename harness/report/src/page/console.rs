// SPDX-License-Identifier: MIT OR Apache-2.0
//! Console logs of a run. Machines of a kernel boot alike: what the first of them says until it comes to the guest is kept once,
//! and left out of all logs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;

/// What a kernel says when it has booted.
const BOOTED: &str = "Run /init as init process";
/// So much of a log is kept, its end: a machine may say a hundred times what claims make it say.
const MOST_BYTES: usize = 256 << 10;

pub struct Consoles {
    id: String,
    /// Where one gets back to from it.
    back: String,
    boot: Vec<String>,
    /// The same, to be looked up.
    known: BTreeSet<String>,
}

/// What is left out of logs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Boot {
    id: String,
    back: String,
    text: String,
}

#[derive(Serialize)]
pub struct Console {
    /// Of the machine, among those of the case.
    number: usize,
    lines: usize,
    /// How many of them are those of the boot.
    left_out: usize,
    /// Where that is.
    boot: String,
    /// The others.
    text: String,
}

impl Consoles {
    /// Of machines with one kernel.
    #[must_use]
    pub fn new(back: &str) -> Self {
        Consoles { id: format!("{back}:boot"), back: back.to_string(), boot: Vec::new(), known: BTreeSet::new() }
    }

    /// Those of the case with that transcript; none where it shared its machine with others.
    pub fn of(&mut self, transcript: &Path) -> Vec<Console> {
        let path = |number: usize| transcript.with_extension(format!("{number}.console"));
        let logs = (0..).map_while(|number| Some((number, fs::read(path(number)).ok()?)));
        logs.map(|(number, log)| self.add(number, &log)).collect()
    }

    fn add(&mut self, number: usize, log: &[u8]) -> Console {
        let lines = lines(log);
        if let Some(end) = lines.iter().position(|line| line == BOOTED).filter(|_| self.boot.is_empty()) {
            self.boot = lines[..=end].to_vec();
            self.known = self.boot.iter().cloned().collect();
        }
        let others: Vec<_> = lines.iter().filter(|line| !self.known.contains(*line)).map(String::as_str).collect();
        Console {
            number: number + 1,
            lines: lines.len(),
            left_out: lines.len() - others.len(),
            boot: self.id.clone(),
            text: others.join("\n"),
        }
    }

    /// None if no machine booted.
    #[must_use]
    pub fn boot(self) -> Option<Boot> {
        let Consoles { id, back, boot, .. } = self;
        (!boot.is_empty()).then(|| Boot { id, back, text: boot.join("\n") })
    }
}

/// As a browser can show them.
fn lines(log: &[u8]) -> Vec<String> {
    let left_out = log.len().saturating_sub(MOST_BYTES);
    let text = String::from_utf8_lossy(&log[left_out..]);
    let shown = |char: char| if char.is_control() && char != '\t' { char::REPLACEMENT_CHARACTER } else { char };
    let first = (left_out > 0).then(|| format!("... {left_out} bytes are left out here"));
    let lines = text.lines().map(|line| line.trim_end().chars().map(shown).collect());
    first.into_iter().chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_is_kept_once() {
        let mut consoles = Consoles::new("run");
        let log = |line: &str| format!("Linux version\r\n{BOOTED}\n{line}\n").into_bytes();
        let died = consoles.add(0, b"Linux version\npanic\n");
        assert_eq!((died.left_out, died.text.as_str()), (0, "Linux version\npanic"));
        let first = consoles.add(0, &log("one"));
        assert_eq!((first.number, first.lines, first.left_out, first.text.as_str()), (1, 3, 2, "one"));
        // Twice, as one that was rebooted.
        let second = consoles.add(1, &[log("two\x1b[0m"), log("")].concat());
        assert_eq!((second.number, second.lines, second.left_out), (2, 6, 4));
        assert_eq!(second.text, "two\u{fffd}[0m\n");
        let text = format!("Linux version\n{BOOTED}");
        assert_eq!(consoles.boot(), Some(Boot { id: second.boot, back: "run".to_string(), text }));
    }

    #[test]
    fn of_a_log_that_is_too_long_the_end_is_kept() {
        let lines = lines(&[b"a\n".repeat(MOST_BYTES), b"the end\n".to_vec()].concat());
        assert!(lines[0].contains("bytes are left out") && lines.last().unwrap() == "the end");
    }
}
