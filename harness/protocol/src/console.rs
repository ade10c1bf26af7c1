// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a line of the kernel says about the health of the machine.

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
pub const SIGNS: [(&str, Class); 27] = [
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
    ("detected stalls on CPUs", Class::Stuck),
    ("blocked for more than ", Class::Stuck),
    ("Kernel panic - not syncing", Class::Panic),
    ("WARNING: ", Class::Warning),
    ("BUG: ", Class::Warning),
    // SLUB names the cache: "BUG kmalloc-64 (Not tainted): Poison overwritten".
    ("BUG ", Class::Warning),
    ("pagealloc: memory corruption", Class::Warning),
    ("pagealloc: single bit error", Class::Warning),
    ("VFS: Busy inodes after unmount", Class::Warning),
    ("INFO: trying to register non-static key", Class::Warning),
    ("INFO: lockdep is turned off", Class::Warning),
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As the kernel's own format strings make them.
    #[rstest]
    #[case::slub("[    1.5] BUG kmalloc-64 (Not tainted): Poison overwritten", Class::Warning)]
    #[case::pages("pagealloc: memory corruption", Class::Warning)]
    #[case::bit("[    0.1] pagealloc: single bit error", Class::Warning)]
    #[case::inodes(
        "VFS: Busy inodes after unmount of dm-0. Self-destruct in 5 seconds.  Have a nice day...",
        Class::Warning
    )]
    #[case::key("INFO: trying to register non-static key.", Class::Warning)]
    #[case::lockdep("INFO: lockdep is turned off.", Class::Warning)]
    #[case::leak("BUG: memory leak", Class::Warning)]
    #[case::kasan("BUG: KASAN: use-after-free in ovl_lookup+0x10/0x20", Class::Oops)]
    #[case::bug("kernel BUG at lib/list_debug.c:26!", Class::Oops)]
    #[case::stall("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", Class::Stuck)]
    fn knows_what_debug_options_print(#[case] line: &str, #[case] class: Class) {
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
