// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a line of the kernel says about the health of the machine.

/// What kind of trouble a line announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
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
pub struct ConsoleIssue {
    pub class: Severity,
    /// The line, without its time stamp.
    pub title: String,
}

/// How each kind of trouble is announced, most telling first. Errors of disks and filesystems are none of it: faults are
/// what claims are made of.
pub const SIGNS: [(&str, Severity); 27] = [
    ("BUG: KASAN: ", Severity::Oops),
    ("BUG: unable to handle ", Severity::Oops),
    ("BUG: kernel NULL pointer dereference", Severity::Oops),
    ("kernel BUG at ", Severity::Oops),
    ("general protection fault", Severity::Oops),
    ("Oops: ", Severity::Oops),
    ("invalid opcode: ", Severity::Oops),
    ("divide error: ", Severity::Oops),
    ("Unable to handle kernel ", Severity::Oops),
    ("Out of memory: ", Severity::OutOfMemory),
    (" invoked oom-killer", Severity::OutOfMemory),
    ("System is deadlocked on memory", Severity::OutOfMemory),
    ("BUG: soft lockup", Severity::Stuck),
    ("self-detected stall on CPU", Severity::Stuck),
    ("detected stalls on CPUs", Severity::Stuck),
    ("blocked for more than ", Severity::Stuck),
    ("Kernel panic - not syncing", Severity::Panic),
    ("WARNING: ", Severity::Warning),
    ("BUG: ", Severity::Warning),
    // SLUB names the cache: "BUG kmalloc-64 (Not tainted): Poison overwritten".
    ("BUG ", Severity::Warning),
    ("pagealloc: memory corruption", Severity::Warning),
    ("pagealloc: single bit error", Severity::Warning),
    ("VFS: Busy inodes after unmount", Severity::Warning),
    ("INFO: trying to register non-static key", Severity::Warning),
    ("INFO: lockdep is turned off", Severity::Warning),
    ("INFO: suspicious RCU usage", Severity::Warning),
    ("INFO: possible recursive locking", Severity::Warning),
];

/// The trouble that a line announces, if it does.
#[must_use]
pub fn classify(line: &str) -> Option<ConsoleIssue> {
    let title = without_time(line.trim_end());
    SIGNS
        .iter()
        .find(|(sign, _)| title.contains(sign))
        .map(|(_, class)| ConsoleIssue { class: *class, title: title.to_string() })
}

/// `[    1.234567] text` without what stands in front of the text.
fn without_time(line: &str) -> &str {
    line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As the kernel's own format strings make them.
    #[rstest]
    #[case::slub("[    1.5] BUG kmalloc-64 (Not tainted): Poison overwritten", Severity::Warning)]
    #[case::pages("pagealloc: memory corruption", Severity::Warning)]
    #[case::bit("[    0.1] pagealloc: single bit error", Severity::Warning)]
    #[case::inodes(
        "VFS: Busy inodes after unmount of dm-0. Self-destruct in 5 seconds.  Have a nice day...",
        Severity::Warning
    )]
    #[case::key("INFO: trying to register non-static key.", Severity::Warning)]
    #[case::lockdep("INFO: lockdep is turned off.", Severity::Warning)]
    #[case::leak("BUG: memory leak", Severity::Warning)]
    #[case::kasan("BUG: KASAN: use-after-free in ovl_lookup+0x10/0x20", Severity::Oops)]
    #[case::bug("kernel BUG at lib/list_debug.c:26!", Severity::Oops)]
    #[case::stall("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", Severity::Stuck)]
    fn knows_what_debug_options_print(#[case] line: &str, #[case] class: Severity) {
        assert_eq!(classify(line).map(|sign| sign.class), Some(class));
    }

    #[rstest]
    #[case::fault("Buffer I/O error on dev dm-0, logical block 8064, lost async page write")]
    #[case::refusal("overlayfs: volatile reuse refused: writeback-error: data of the upper was lost")]
    #[case::banner("Debug: DEBUG_LIST is on")]
    fn faults_and_refusals_are_no_trouble(#[case] line: &str) {
        assert_eq!(classify(line), None);
    }
}
