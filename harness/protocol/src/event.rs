// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events that the guest reports to the harness.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bench::Measurement;
use crate::types::IoCounts;

/// One line of the event channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// First event: the kernel has started the guest.
    Booted,
    /// Second event: identifies the kernel and the module. If they differ from what the harness
    /// built, the machine runs the wrong kernel.
    Ready {
        /// `uname -r`.
        release: String,
        /// GNU build id of the running kernel, hexadecimal.
        build_id: String,
        /// SHA-256 of the overlay module that was loaded, hexadecimal.
        module_sha256: String,
        /// Uptime of the kernel, milliseconds.
        uptime_ms: u64,
    },
    /// Report of one operation. There is one per operation, in the order of the program.
    Step(StepReport),
    /// One line that a script printed.
    #[serde(rename = "said")]
    ScriptOutput(String),
    /// A script has exited.
    Exited {
        /// Exit code; none if a signal terminated the script.
        code: Option<i32>,
        /// Mounts, devices and temporary files that did not exist before the script.
        #[serde(rename = "left")]
        leftovers: Vec<String>,
    },
    /// Coverage counters of one kernel object since boot. Sent before `End`, only by kernels with
    /// `CONFIG_GCOV_KERNEL`.
    #[serde(rename = "arcs")]
    GcovData {
        /// Path of the `.gcda` file below `/sys/kernel/debug/gcov`.
        object: String,
        /// Content of the `.gcda` file.
        gcda: Vec<u8>,
    },
    /// Last event: the guest has attempted all operations. Without it there is no verdict.
    End {
        /// Number of operations in the program.
        steps: usize,
    },
    /// The guest itself failed and stops the machine. This is not an outcome of an operation.
    #[serde(rename = "gave-up")]
    GuestFailed {
        /// What failed, and the cause.
        #[serde(rename = "why")]
        reason: String,
    },
}

/// Prefix of lines in [`StepReport::log`] that are from the log of a filesystem context instead of
/// the kernel log.
pub const FS_CONTEXT_PREFIX: &str = "fs context: ";

/// Line in [`StepReport::log`] that stands for kernel messages which were overwritten before the
/// guest read them.
pub const MESSAGES_LOST: &str = "vremount-guest: messages were lost";

/// Report of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Position in the program, starting at 0.
    pub index: usize,
    /// Result of the operation.
    pub outcome: Outcome,
    /// Kernel messages since the previous operation, without time stamps, followed by the log of a
    /// filesystem context.
    pub log: Vec<String>,
    /// Duration in microseconds of guest time.
    pub us: u64,
}

/// Result of an operation. The guest does not judge whether it is the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The operation succeeded.
    Done,
    /// The overlay was mounted, with the properties that `/proc/self/mountinfo` shows.
    Mounted {
        /// Whether the overlay is volatile.
        volatile: bool,
        /// Whether the superblock of the overlay is read-only.
        read_only: bool,
    },
    /// Mounting the overlay failed.
    Refused {
        /// Error of mount(2), fsconfig(2), fsmount(2) or move_mount(2).
        errno: i32,
    },
    /// Any other operation failed.
    Failed {
        /// Error of the system call; 0 if the failure is not from a system call.
        errno: i32,
        /// What failed, on which object.
        #[serde(rename = "what")]
        message: String,
    },
    /// A comparison found a difference.
    Differs {
        /// The first difference.
        #[serde(rename = "what")]
        difference: String,
    },
    /// Requests to the disk since counting started.
    Counted(IoCounts),
    /// Result of a bench operation.
    Measured(Measurement),
    /// Results of concurrent mounts.
    Raced {
        /// Number of mounts that succeeded.
        mounted: u32,
        /// Number of mounts that failed, by errno.
        refused: BTreeMap<i32, u32>,
    },
    /// Results of mounts with failing allocations.
    Starved {
        /// Number of mounts that succeeded read-write.
        mounted: u32,
        /// Number of mounts that succeeded read-only.
        read_only: u32,
        /// Number of mounts that failed, by errno.
        refused: BTreeMap<i32, u32>,
    },
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::said(Event::ScriptOutput("x".into()), r#"{"said":"x"}"#)]
    #[case::exited(Event::Exited { code: None, leftovers: vec![] }, r#"{"exited":{"code":null,"left":[]}}"#)]
    #[case::arcs(Event::GcovData { object: "o".into(), gcda: vec![1] }, r#"{"arcs":{"object":"o","gcda":[1]}}"#)]
    #[case::gave_up(Event::GuestFailed { reason: "x".into() }, r#"{"gave-up":{"why":"x"}}"#)]
    fn json_names_of_events_do_not_change(#[case] event: Event, #[case] json: &str) {
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
    }

    #[rstest]
    #[case::failed(Outcome::Failed { errno: 5, message: "x".into() }, r#"{"failed":{"errno":5,"what":"x"}}"#)]
    #[case::differs(Outcome::Differs { difference: "x".into() }, r#"{"differs":{"what":"x"}}"#)]
    fn json_names_of_outcomes_do_not_change(#[case] outcome: Outcome, #[case] json: &str) {
        assert_eq!(serde_json::to_string(&outcome).unwrap(), json);
    }
}
