// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads from the kernel log why overlayfs refused a mount. The errno alone is no evidence: EINVAL
//! has many causes.

use std::fmt;

use serde::{Deserialize, Serialize};
use vremount_protocol::FS_CONTEXT_PREFIX;

/// Reason for a refused mount.
///
/// The first seven are the tokens that the series logs after `volatile reuse refused: `. The others
/// stand for messages that overlayfs logs without the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The upper was used by a volatile mount, and the new mount lacks the option `volatile`
    /// (EINVAL).
    NotVolatile,
    /// Another overlay mount uses the upper or work directory (EINVAL).
    InUse,
    /// The marker has no checkpoint (EINVAL).
    NoCheckpoint,
    /// The marker or its checkpoint is not in the format that the kernel writes (EINVAL).
    BadCheckpoint,
    /// The machine was rebooted or the overlay module reloaded since the checkpoint (EINVAL).
    OtherBoot,
    /// The upper filesystem was unmounted and mounted again since the checkpoint (EINVAL).
    UpperRemounted,
    /// The upper filesystem had a writeback error since the checkpoint (EINVAL).
    WritebackError,
    /// The upper filesystem has a writeback error that was not reported to any file descriptor yet
    /// (EIO).
    UnseenError,
    /// `work/incompat` has an entry for a feature that this kernel does not support (EINVAL).
    Incompat,
    /// The checkpoint could not be read (errno of the failed read).
    CheckpointUnreadable,
    /// A directory of the overlay could not be looked up or read (errno of the failed operation).
    Unreadable,
    /// The upper filesystem is read-only (EINVAL).
    UpperReadOnly,
    /// Another overlay mount uses the upper or work directory, and `index=on` forbids that (EBUSY).
    Busy,
    /// The upper and work directories are on different mounts (EINVAL).
    TwoMounts,
    /// The filesystem cannot be an upper filesystem (EINVAL).
    NotAnUpper,
}

/// Patterns of log lines with the reasons that they state; the first pattern that a line contains
/// counts.
const PATTERNS: [(&str, Reason); 19] = [
    ("volatile reuse refused: not-volatile: ", Reason::NotVolatile),
    ("volatile reuse refused: in-use: ", Reason::InUse),
    ("volatile reuse refused: no-checkpoint: ", Reason::NoCheckpoint),
    ("volatile reuse refused: bad-checkpoint: ", Reason::BadCheckpoint),
    ("volatile reuse refused: other-boot: ", Reason::OtherBoot),
    ("volatile reuse refused: upper-remounted: ", Reason::UpperRemounted),
    ("volatile reuse refused: writeback-error: ", Reason::WritebackError),
    ("Cannot mount volatile when upperdir has an unseen error", Reason::UnseenError),
    ("overlay with incompat feature '", Reason::Incompat),
    ("failed to read volatile checkpoint (errno: ", Reason::CheckpointUnreadable),
    ("failed to read work/incompat (errno: ", Reason::Unreadable),
    ("failed to look up work/incompat (errno: ", Reason::Unreadable),
    ("failed to look up volatile marker (errno: ", Reason::Unreadable),
    ("failed to resolve '", Reason::Unreadable),
    ("upper fs is r/o", Reason::UpperReadOnly),
    // Linux 6.8 and later refuse a read-only upper filesystem while they parse the options.
    (" is read-only", Reason::UpperReadOnly),
    ("workdir and upperdir must reside under the same mount", Reason::TwoMounts),
    (" not supported as upperdir", Reason::NotAnUpper),
    ("of another mount, mount with '-o index=off' to override", Reason::Busy),
];

impl Reason {
    /// All patterns of log lines with the reasons that they state, in order of precedence.
    pub fn log_patterns() -> impl Iterator<Item = (&'static str, Reason)> {
        PATTERNS.into_iter()
    }

    /// Reason of the only line in `log` that states one; none if no line or several lines do. A
    /// kernel that logs the same reason twice for one mount is defective.
    #[must_use]
    pub fn single_in(log: &[String]) -> Option<Reason> {
        match Reason::all_in(log).as_slice() {
            [reason] => Some(*reason),
            _ => None,
        }
    }

    /// Reason of the only error message in the log of an fs context (see fsopen(2)) that states
    /// one; none if no message or several messages do.
    #[must_use]
    pub fn single_in_fs_context(log: &[String]) -> Option<Reason> {
        let errors = log.iter().filter_map(|line| line.strip_prefix(FS_CONTEXT_PREFIX)?.strip_prefix("e "));
        Reason::single_in(&errors.map(ToString::to_string).collect::<Vec<_>>())
    }

    /// Reason that `log` states, in one or in several lines; none if no line states one or the
    /// lines state different ones.
    #[must_use]
    pub fn unique_in(log: &[String]) -> Option<Reason> {
        let all = Reason::all_in(log);
        all.first().copied().filter(|first| all.iter().all(|reason| reason == first))
    }

    /// Reasons of all lines in `log` that state one, in order.
    #[must_use]
    pub fn all_in(log: &[String]) -> Vec<Reason> {
        log.iter()
            // The option parser logs under the name of the filesystem type, which is `overlay`.
            .filter_map(|line| line.strip_prefix("overlayfs: ").or_else(|| line.strip_prefix("overlay: ")))
            .filter_map(|text| PATTERNS.iter().find(|(pattern, _)| text.contains(pattern)).map(|(_, reason)| *reason))
            .collect()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NotVolatile => "not-volatile",
            Reason::InUse => "in-use",
            Reason::NoCheckpoint => "no-checkpoint",
            Reason::BadCheckpoint => "bad-checkpoint",
            Reason::OtherBoot => "other-boot",
            Reason::UpperRemounted => "upper-remounted",
            Reason::WritebackError => "writeback-error",
            Reason::UnseenError => "unseen-error",
            Reason::Incompat => "incompat",
            Reason::CheckpointUnreadable => "checkpoint-unreadable",
            Reason::Unreadable => "unreadable",
            Reason::UpperReadOnly => "upper-read-only",
            Reason::Busy => "busy",
            Reason::TwoMounts => "two-mounts",
            Reason::NotAnUpper => "not-an-upper",
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TO_CONTEXT: &str = "fs context: e overlayfs: volatile reuse refused: other-boot: text for people";
    const REFUSED: &str = "overlayfs: volatile reuse refused: other-boot: checkpoint is not of this boot";

    #[rstest]
    #[case::token_of_the_series(&[REFUSED], Some(Reason::OtherBoot))]
    #[case::among_other_lines(&["loop0: detected", REFUSED, "EXT4-fs (dm-0): mounted"], Some(Reason::OtherBoot))]
    #[case::message_without_the_series(
        &["overlayfs: overlay with incompat feature 'volatile' cannot be mounted"],
        Some(Reason::Incompat)
    )]
    #[case::read_only_upper(&["overlay: filesystem on /mnt/a/upper is read-only"], Some(Reason::UpperReadOnly))]
    #[case::read_only_upper_with_another_name(
        &["overlay: filesystem on /mnt/a/upper-other is read-only"],
        Some(Reason::UpperReadOnly)
    )]
    #[case::empty_log(&[], None)]
    #[case::same_reason_twice(&[REFUSED, REFUSED], None)]
    #[case::unknown_token(&["overlayfs: volatile reuse refused: tuesday: not on a Tuesday"], None)]
    #[case::line_of_another_subsystem(&["volatile reuse refused: other-boot: text"], None)]
    fn single_reason_is_read_from_the_log(#[case] log: &[&str], #[case] expected: Option<Reason>) {
        let log: Vec<String> = log.iter().map(ToString::to_string).collect();
        assert_eq!(Reason::single_in(&log), expected);
    }

    #[rstest]
    #[case::in_both_logs(&[REFUSED, TO_CONTEXT], Some(Reason::OtherBoot))]
    #[case::in_the_kernel_log_only(&[REFUSED], None)]
    #[case::twice_in_the_context(&[REFUSED, TO_CONTEXT, TO_CONTEXT], None)]
    #[case::warning_in_the_context(
        &["fs context: w overlayfs: volatile reuse refused: other-boot: text for people"],
        None
    )]
    fn reason_is_read_from_the_fs_context(#[case] log: &[&str], #[case] expected: Option<Reason>) {
        let log: Vec<String> = log.iter().map(ToString::to_string).collect();
        assert_eq!(Reason::single_in_fs_context(&log), expected);
    }

    #[test]
    fn tokens_of_the_series_are_the_names_of_reasons() {
        let token = |pattern: &'static str| pattern.strip_prefix("volatile reuse refused: ")?.strip_suffix(": ");
        let tokens: Vec<_> =
            Reason::log_patterns().filter_map(|(pattern, reason)| Some((token(pattern)?, reason))).collect();
        assert_eq!(tokens.first(), Some(&("not-volatile", Reason::NotVolatile)));
        tokens.iter().for_each(|(token, reason)| assert_eq!(reason.to_string(), *token));
    }

    #[rstest]
    #[case::same_reason(&[REFUSED, REFUSED], Some(Reason::OtherBoot))]
    #[case::different_reasons(&[REFUSED, "overlayfs: upper fs is r/o, try multi-lower layers mount"], None)]
    #[case::empty_log(&[], None)]
    fn one_reason_may_be_stated_repeatedly(#[case] log: &[&str], #[case] expected: Option<Reason>) {
        let log: Vec<String> = log.iter().map(ToString::to_string).collect();
        assert_eq!(Reason::unique_in(&log), expected);
    }
}
