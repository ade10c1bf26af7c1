// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result of running one machine.

use std::fmt;
use std::time::Duration;

use vremount_protocol::{ConsoleIssue, Event, Severity};

/// Number of console lines that are quoted in a message.
const QUOTED_LINES: usize = 8;

/// Why a machine ended. A claim can be judged only after [`Finished`](ExitReason::Finished) and
/// [`PowerCut`](ExitReason::PowerCut). The text of a variant is the console line or the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// The guest sent its last end record. After that, the machine shut down or was killed.
    Finished,
    /// The machine was killed as planned right after the last end record.
    PowerCut,
    /// The kernel panicked.
    Panic(String),
    /// The kernel reported an oops, a `BUG:` or a sanitizer error.
    Oops(String),
    /// The guest ran out of memory.
    OutOfMemory(String),
    /// The kernel reported a lockup, a stall or a blocked task.
    Stuck(String),
    /// A timeout expired, or the machine printed too much.
    Hung(String),
    /// The process of the machine ended before the last end record.
    EndedEarly(String),
    /// The guest reported an error of its own.
    GuestFailed(String),
    /// The event channel carried invalid data.
    ChannelCorrupt(String),
    /// The machine could not be started.
    NotStarted(String),
}

/// Durations of the phases of a machine, measured on the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// From exec to the first console output. Part of `ready`.
    pub exec: Duration,
    /// Loading the overlay module. Part of `ready`.
    pub module: Duration,
    /// From exec until the guest is ready for its first operation; none if it never was.
    pub ready: Option<Duration>,
    /// Operations that create devices. Part of `steps`.
    pub devices: Duration,
    /// Operations that mount an upper filesystem. Part of `steps`.
    pub filesystem: Duration,
    /// From `ready` to the last end record.
    pub steps: Duration,
    /// From the last end record to the end of the process.
    pub stop: Duration,
}

/// Everything that is known about a machine after its end.
#[derive(Debug)]
pub struct MachineOutput {
    /// Why it ended.
    pub exit_reason: ExitReason,
    /// Events of the guest in the order of arrival, without coverage data.
    pub events: Vec<Event>,
    /// Durations of the phases. `devices` and `filesystem` are zero until the caller, who knows the
    /// program, sets them.
    pub timings: Timings,
    /// Duration of each operation, measured on the host.
    pub step_durations: Vec<Duration>,
    /// Peak memory of the executor's process, KiB; none if it had ended before it could be read.
    pub peak_kib: Option<u64>,
    /// Kernel warnings on the console after which the kernel continued.
    pub kernel_warnings: Vec<String>,
    /// Coverage data of all kernels of the machine: path of a `.gcda` file and its content.
    pub coverage_data: Vec<(String, Vec<u8>)>,
    /// The last 64 to 128 KiB of the console.
    pub console_tail: String,
}

impl MachineOutput {
    /// Events by kernel, in boot order.
    pub fn per_kernel_events(&self) -> impl Iterator<Item = &[Event]> {
        self.events.split_inclusive(|event| matches!(event, Event::End { .. }))
    }

    /// The last lines of the console, indented for use behind a message. Starts with a newline;
    /// empty without output.
    #[must_use]
    pub fn last_lines(&self) -> String {
        let lines: Vec<_> = self.console_tail.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let start = lines.len().saturating_sub(QUOTED_LINES);
        lines[start..].iter().map(|line| format!("\n             | {line}")).collect()
    }

    /// Output of a machine that could not be started.
    pub fn not_started(reason: String) -> Self {
        MachineOutput {
            exit_reason: ExitReason::NotStarted(reason),
            events: Vec::new(),
            timings: Timings::default(),
            step_durations: Vec::new(),
            peak_kib: None,
            kernel_warnings: Vec::new(),
            coverage_data: Vec::new(),
            console_tail: String::new(),
        }
    }
}

impl From<ConsoleIssue> for ExitReason {
    fn from(issue: ConsoleIssue) -> Self {
        match issue.severity {
            Severity::Panic => ExitReason::Panic(issue.message),
            Severity::OutOfMemory => ExitReason::OutOfMemory(issue.message),
            Severity::Stuck => ExitReason::Stuck(issue.message),
            Severity::Oops | Severity::Warning => ExitReason::Oops(issue.message),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Finished => f.write_str("the machine finished"),
            ExitReason::PowerCut => f.write_str("the power of the machine was cut"),
            ExitReason::Panic(why) | ExitReason::Oops(why) => write!(f, "the guest kernel crashed: {why}"),
            ExitReason::OutOfMemory(why) => write!(f, "the guest ran out of memory: {why}"),
            ExitReason::Stuck(why) => write!(f, "the guest kernel is stuck: {why}"),
            ExitReason::Hung(why) => write!(f, "the machine hung: {why}"),
            ExitReason::EndedEarly(why) => f.write_str(why),
            ExitReason::GuestFailed(why) => write!(f, "the guest failed: {why}"),
            ExitReason::ChannelCorrupt(why) => write!(f, "the event channel carried invalid data: {why}"),
            ExitReason::NotStarted(why) => write!(f, "the machine did not start: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_indented_without_empty_ones() {
        let console =
            |text: &str| MachineOutput { console_tail: text.to_string(), ..MachineOutput::not_started(String::new()) };
        assert_eq!(console("").last_lines(), "");
        assert_eq!(console("one\r\n\ntwo\n").last_lines(), "\n             | one\n             | two");
        let many: String = (0..20).map(|number| format!("line {number}\n")).collect();
        assert!(console(&many).last_lines().starts_with("\n             | line 12\n"));
    }

    #[test]
    fn events_are_split_at_end_records() {
        let end = || Event::End { steps: 0 };
        let events = vec![Event::Booted, end(), Event::Booted, end(), Event::Booted];
        let output = MachineOutput { events, ..MachineOutput::not_started(String::new()) };
        let lengths: Vec<_> = output.per_kernel_events().map(<[Event]>::len).collect();
        assert_eq!(lengths, [2, 2, 1]);
    }
}
