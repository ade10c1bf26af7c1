// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is going on, for a person: a spinner or bar on a terminal, a plain line elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Something that takes a while. Gone when it is dropped.
pub struct Progress(ProgressBar);

/// Shows what was started, and for how long it has been going on.
#[must_use]
pub fn start(what: impl Into<String>) -> Progress {
    shown(what.into(), ProgressBar::new_spinner(), "{spinner} {wide_msg} {elapsed}")
}

/// Shows how many of `total` are done, and how long the rest may take.
#[must_use]
pub fn count(what: impl Into<String>, total: usize) -> Progress {
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
    shown(what.into(), bar, "{msg} {bar:30} {pos}/{len}, {eta} left")
}

fn shown(what: String, bar: ProgressBar, template: &str) -> Progress {
    if !std::io::stderr().is_terminal() {
        eprintln!("{what}");
        return Progress(ProgressBar::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    Progress(bar)
}

/// Says something that is of use only to who watches.
pub fn remark(what: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("{what}");
    }
}

impl Progress {
    /// One more is done.
    pub fn advance(&self) {
        self.0.inc(1);
    }

    /// Prints a line without breaking the bar.
    pub fn line(&self, line: &str) {
        self.0.suspend(|| println!("{line}"));
    }

    /// Shows what it has come to.
    pub fn note(&self, what: String) {
        self.0.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
