// SPDX-License-Identifier: MIT OR Apache-2.0
//! Console logs of a run. The boot messages of the first machine, up to the start of the guest, are shown once and left out of
//! all logs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;

/// The last message of a kernel before the guest runs.
const BOOTED: &str = "Run /init as init process";
/// The end of a log that is shown. A machine may print a message many times.
const MAX_BYTES: usize = 256 << 10;

/// The console logs of machines with the same kernel.
pub struct Consoles {
    /// The anchor of the boot messages.
    id: String,
    /// The anchor that closing them leads to.
    back: String,
    boot: Vec<String>,
    /// The same, for lookups.
    known: BTreeSet<String>,
}

/// Boot messages.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Boot {
    id: String,
    back: String,
    text: String,
}

/// The console log of a machine.
#[derive(Serialize)]
pub struct Console {
    /// The number of the machine among those of the case, from 1.
    number: usize,
    lines: usize,
    /// How many of the lines are boot messages.
    left_out: usize,
    /// The anchor of the boot messages.
    boot: String,
    /// The other lines.
    text: String,
}

impl Consoles {
    /// No logs yet. `back` is the anchor that closing the boot messages leads to.
    #[must_use]
    pub fn new(back: &str) -> Self {
        Consoles { id: format!("{back}:boot"), back: back.to_string(), boot: Vec::new(), known: BTreeSet::new() }
    }

    /// Reads the logs of the case with this transcript. A case that shared its machine with other cases has none.
    pub fn read(&mut self, transcript: &Path) -> Vec<Console> {
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

    /// The boot messages. `None` if no machine booted.
    #[must_use]
    pub fn boot(self) -> Option<Boot> {
        let Consoles { id, back, boot, .. } = self;
        (!boot.is_empty()).then(|| Boot { id, back, text: boot.join("\n") })
    }
}

/// The lines of the end of a log, with control characters replaced.
fn lines(log: &[u8]) -> Vec<String> {
    let left_out = log.len().saturating_sub(MAX_BYTES);
    let text = String::from_utf8_lossy(&log[left_out..]);
    let shown = |char: char| if char.is_control() && char != '\t' { char::REPLACEMENT_CHARACTER } else { char };
    let first = (left_out > 0).then(|| format!("... the first {left_out} bytes are left out"));
    let lines = text.lines().map(|line| line.trim_end().chars().map(shown).collect());
    first.into_iter().chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_messages_are_kept_once() {
        let mut consoles = Consoles::new("run");
        let log = |line: &str| format!("Linux version\r\n{BOOTED}\n{line}\n").into_bytes();
        let no_boot = consoles.add(0, b"Linux version\npanic\n");
        assert_eq!((no_boot.left_out, no_boot.text.as_str()), (0, "Linux version\npanic"));
        let first = consoles.add(0, &log("one"));
        assert_eq!((first.number, first.lines, first.left_out, first.text.as_str()), (1, 3, 2, "one"));
        // A machine that was rebooted.
        let second = consoles.add(1, &[log("two\x1b[0m"), log("")].concat());
        assert_eq!((second.number, second.lines, second.left_out), (2, 6, 4));
        assert_eq!(second.text, "two\u{fffd}[0m\n");
        let text = format!("Linux version\n{BOOTED}");
        assert_eq!(consoles.boot(), Some(Boot { id: second.boot, back: "run".to_string(), text }));
    }

    #[test]
    fn end_of_long_log_is_kept() {
        let lines = lines(&[b"a\n".repeat(MAX_BYTES), b"the end\n".to_vec()].concat());
        assert!(lines[0].contains("bytes are left out") && lines.last().unwrap() == "the end");
    }
}
