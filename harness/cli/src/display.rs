// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress bars, notes and lines on the terminal.

use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::io::{IsTerminal, stderr, stdout};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use vremount_report::Style;
use vremount_util::progress::{self, Event, Listener, TaskId};

/// The bars that are on the terminal now, on standard error.
fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Shows the progress events of this process on standard error: one bar for each running task on a
/// terminal, one line for each task elsewhere.
pub fn show_progress() {
    progress::set_listener(Display::new(bars().clone(), stderr().is_terminal()));
}

/// Prints a line to standard output, above the bars.
pub fn print_line(line: &str) {
    bars().suspend(|| println!("{line}"));
}

/// Prints a line to standard error, above the bars. Prints nothing if standard error is not a
/// terminal.
pub fn print_status(text: &str) {
    if stderr().is_terminal() {
        bars().suspend(|| eprintln!("{text}"));
    }
}

/// Style of text on standard output: with colours if it is a terminal and `NO_COLOR` is unset or
/// empty (<https://no-color.org>), else plain.
pub fn style() -> Style {
    let no_color = env::var_os("NO_COLOR");
    if is_coloured(stdout().is_terminal(), no_color.as_deref()) { Style::colour() } else { Style::plain() }
}

fn is_coloured(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

/// Shows progress events.
struct Display {
    bars: MultiProgress,
    /// Bars of the tasks that run now; empty if there is no terminal.
    tasks: Mutex<HashMap<TaskId, ProgressBar>>,
    is_terminal: bool,
}

impl Display {
    fn new(bars: MultiProgress, is_terminal: bool) -> Self {
        Display { bars, tasks: Mutex::default(), is_terminal }
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<TaskId, ProgressBar>> {
        // No operation on the map can panic halfway.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, task: TaskId, change: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.tasks().get(&task) {
            change(bar);
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
        let bar = self.bars.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(text);
        bar.enable_steady_tick(Duration::from_millis(100));
        self.tasks().insert(task, bar);
    }

    fn finish(&self, task: TaskId) {
        if let Some(bar) = self.tasks().remove(&task) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}

impl Listener for Display {
    fn receive(&self, event: Event) {
        match event {
            Event::Started { task, text, total } => self.start(task, text, total),
            Event::Advanced { task } => self.update(task, |bar| bar.inc(1)),
            Event::Renamed { task, text } => self.update(task, |bar| bar.set_message(text)),
            Event::Finished { task } => self.finish(task),
            Event::Note(text) => self.bars.suspend(|| eprintln!("note: {text}")),
            Event::Warning(text) => self.bars.suspend(|| eprintln!("warning: {text}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::terminal(true, None, true)]
    #[case::empty_is_unset(true, Some(""), true)]
    #[case::no_color(true, Some("1"), false)]
    #[case::pipe(false, None, false)]
    fn colour_needs_a_terminal_and_no_refusal(
        #[case] is_terminal: bool,
        #[case] no_color: Option<&str>,
        #[case] expected: bool,
    ) {
        assert_eq!(is_coloured(is_terminal, no_color.map(OsStr::new)), expected);
    }

    fn hidden(is_terminal: bool) -> Display {
        Display::new(MultiProgress::with_draw_target(ProgressDrawTarget::hidden()), is_terminal)
    }

    fn started(task: TaskId, total: Option<usize>) -> Event {
        Event::Started { task, text: format!("task {task}"), total }
    }

    #[test]
    fn each_running_task_has_its_own_bar() {
        let display = hidden(true);
        display.receive(started(1, Some(3)));
        display.receive(started(2, None));
        display.receive(Event::Advanced { task: 1 });
        display.receive(Event::Renamed { task: 2, text: "renamed".to_string() });
        assert_eq!(display.tasks()[&1].position(), 1);
        assert_eq!(display.tasks()[&2].message(), "renamed");
        display.receive(Event::Finished { task: 1 });
        assert_eq!(display.tasks().keys().collect::<Vec<_>>(), [&2]);
    }

    #[test]
    fn there_are_no_bars_without_a_terminal() {
        let display = hidden(false);
        display.receive(started(1, Some(3)));
        display.receive(Event::Advanced { task: 1 });
        assert!(display.tasks().is_empty());
    }
}
