// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a line of the kernel's console says about the health of the machine.

/// What kind of trouble a line announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The kernel gave up.
    Panic,
    /// The kernel stumbled over itself.
    Oops,
    OutOfMemory,
    /// Something does not come back: a lockup, a stall, a task that is stuck.
    Stuck,
    /// The kernel complains and goes on.
    Warning,
}

/// A line that announces trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    pub class: Class,
    /// The line, without its time stamp.
    pub title: String,
}

/// How each kind of trouble is announced, most telling first. Errors of disks and filesystems are none of it: faults are
/// what claims are made of.
const SIGNS: [(&str, Class); 20] = [
    ("BUG: KASAN: ", Class::Oops),
    ("BUG: unable to handle ", Class::Oops),
    ("BUG: kernel NULL pointer dereference", Class::Oops),
    ("kernel BUG at ", Class::Oops),
    ("general protection fault", Class::Oops),
    ("Oops: ", Class::Oops),
    ("invalid opcode: ", Class::Oops),
    ("divide error: ", Class::Oops),
    ("Unable to handle kernel ", Class::Oops),
    ("Out of memory: ", Class::OutOfMemory),
    (" invoked oom-killer", Class::OutOfMemory),
    ("System is deadlocked on memory", Class::OutOfMemory),
    ("BUG: soft lockup", Class::Stuck),
    ("self-detected stall on CPU", Class::Stuck),
    ("blocked for more than ", Class::Stuck),
    ("Kernel panic - not syncing", Class::Panic),
    ("WARNING: ", Class::Warning),
    ("BUG: ", Class::Warning),
    ("INFO: suspicious RCU usage", Class::Warning),
    ("INFO: possible recursive locking", Class::Warning),
];

/// The trouble that a line announces, if it does.
#[must_use]
pub fn classify(line: &str) -> Option<Sign> {
    let title = without_time(line.trim_end());
    SIGNS
        .iter()
        .find(|(sign, _)| title.contains(sign))
        .map(|(_, class)| Sign { class: *class, title: title.to_string() })
}

/// `[    1.234567] text` without what stands in front of the text.
fn without_time(line: &str) -> &str {
    line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, text)| text)
}
