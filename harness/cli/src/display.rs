// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress bars, notes and lines on the terminal.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use vremount_util::progress::{self, Event, Listener, TaskId};

/// The bars that are on the terminal now.
fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Shows the events of this process on standard error: bars on a terminal, one line for each task elsewhere.
pub fn listen() {
    progress::set_listener(Display { tasks: Mutex::default(), is_terminal: std::io::stderr().is_terminal() });
}

/// Prints a line to standard output without breaking a bar.
pub fn line(line: &str) {
    bars().suspend(|| println!("{line}"));
}

/// Prints a line to standard error, on a terminal only.
pub fn remark(text: &str) {
    if std::io::stderr().is_terminal() {
        bars().suspend(|| eprintln!("{text}"));
    }
}

struct Display {
    tasks: Mutex<HashMap<TaskId, ProgressBar>>,
    is_terminal: bool,
}

impl Display {
    fn with(&self, task: TaskId, act: impl FnOnce(&ProgressBar)) {
        // A thread that panicked leaves the map as it was.
        if let Some(bar) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).get(&task) {
            act(bar);
        }
    }

    fn start(&self, task: TaskId, text: String, total: Option<usize>) {
        if !self.is_terminal {
            eprintln!("{text}");
            return;
        }
        let (bar, template) = match total {
            Some(total) => {
                let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
                (bar, "{msg} {bar:30} {pos}/{len}, {eta} left")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {wide_msg} {elapsed}"),
        };
        let bar = bars().add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(text);
        bar.enable_steady_tick(Duration::from_millis(100));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(task, bar);
    }
}

impl Listener for Display {
    fn receive(&self, event: Event) {
        match event {
            Event::Started { task, text, total } => self.start(task, text, total),
            Event::Advanced { task } => self.with(task, |bar| bar.inc(1)),
            Event::Renamed { task, text } => self.with(task, |bar| bar.set_message(text)),
            Event::Finished { task } => {
                if let Some(bar) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(&task) {
                    bar.finish_and_clear();
                    bars().remove(&bar);
                }
            }
            Event::Note(text) => bars().suspend(|| eprintln!("note: {text}")),
            Event::Warning(text) => bars().suspend(|| eprintln!("warning: {text}")),
        }
    }
}
