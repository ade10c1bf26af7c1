// SPDX-License-Identifier: MIT OR Apache-2.0
//! Classification of kernel messages: which of them report that the kernel itself has failed.

/// Kind of a kernel failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A panic: the kernel has stopped.
    Panic,
    /// An oops, `BUG()` or KASAN report.
    Oops,
    /// The OOM killer.
    OutOfMemory,
    /// A lockup, an RCU stall or a hung task.
    Stuck,
    /// `WARN()`, or a report of a debug option. The kernel continues.
    Warning,
}

/// A kernel message that reports a failure of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleIssue {
    /// Kind of the failure.
    pub severity: Severity,
    /// The message, without its time stamp.
    pub message: String,
}

/// Texts that identify a message as a kernel failure, and its kind. The first text that a message
/// contains decides, so specific texts precede general ones. I/O errors and filesystem errors are
/// not included: claims cause them on purpose.
pub const FAILURE_PATTERNS: [(&str, Severity); 27] = [
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

/// Classifies one line of the kernel log. None if it does not report a kernel failure.
#[must_use]
pub fn classify(line: &str) -> Option<ConsoleIssue> {
    let title = strip_timestamp(line.trim_end());
    FAILURE_PATTERNS
        .iter()
        .find(|(pattern, _)| title.contains(pattern))
        .map(|(_, class)| ConsoleIssue { severity: *class, message: title.to_string() })
}

/// Removes the time stamp of `[    1.234567] text`.
fn strip_timestamp(line: &str) -> &str {
    line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Messages that follow the format strings of the kernel.
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
    fn kernel_failure_is_classified(#[case] line: &str, #[case] class: Severity) {
        assert_eq!(classify(line).map(|issue| issue.severity), Some(class));
    }

    #[rstest]
    #[case::fault("Buffer I/O error on dev dm-0, logical block 8064, lost async page write")]
    #[case::refusal("overlayfs: volatile reuse refused: writeback-error: data of the upper was lost")]
    #[case::banner("Debug: DEBUG_LIST is on")]
    fn injected_fault_and_refusal_are_not_kernel_failures(#[case] line: &str) {
        assert_eq!(classify(line), None);
    }
}
