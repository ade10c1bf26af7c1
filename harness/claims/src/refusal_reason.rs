// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the kernel refused a mount, read from what it logged. An errno alone proves nothing: EINVAL has a hundred causes.

use std::fmt;

use serde::{Deserialize, Serialize};
use vremount_protocol::FS_CONTEXT;

/// A stated reason. The first seven are the tokens of the series, the others what overlayfs says without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The mount does not have the option `volatile`.
    NotVolatile,
    /// Upper or work directory belong to another mount.
    InUse,
    /// The marker has no checkpoint.
    NoCheckpoint,
    /// Marker or checkpoint is not one that the kernel writes.
    BadCheckpoint,
    /// Reboot or module reload.
    OtherBoot,
    /// The upper filesystem was unmounted and mounted again.
    UpperRemounted,
    /// The upper filesystem had a writeback error.
    WritebackError,
    /// The upper filesystem has a writeback error that nobody was told of (EIO).
    UnseenError,
    /// `work/incompat` names something this kernel does not know.
    Incompat,
    /// The checkpoint could not be read (the errno of that).
    CheckpointUnreadable,
    /// A directory of the overlay could not be read (EIO).
    Unreadable,
    /// The upper filesystem is read-only.
    UpperReadOnly,
    /// Upper or work directory belong to another mount, and `index=on` excludes that (EBUSY).
    Busy,
    /// Upper and work directory are reached through different mounts.
    TwoMounts,
    /// The filesystem is none that can be written through another overlay.
    NotAnUpper,
}

/// Lines of the kernel log and what they state. Series tokens first.
const STATED: [(&str, Reason); 19] = [
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
    // The same since 6.8, from the parser of options.
    (" is read-only", Reason::UpperReadOnly),
    ("workdir and upperdir must reside under the same mount", Reason::TwoMounts),
    (" not supported as upperdir", Reason::NotAnUpper),
    ("of another mount, mount with '-o index=off' to override", Reason::Busy),
];

impl Reason {
    /// What lines contain that state a reason, each with that: the first that fits counts.
    pub fn words() -> impl Iterator<Item = (&'static str, Reason)> {
        STATED.into_iter()
    }

    /// The reason that these lines state: none, if there is none or if they state more than one. A reason that is
    /// stated twice is a defect of the kernel, and no answer for its user.
    #[must_use]
    pub fn stated(log: &[String]) -> Option<Reason> {
        match Reason::all(log).as_slice() {
            [reason] => Some(*reason),
            _ => None,
        }
    }

    /// The reason that the log of an fs context states: an error, in the words that the kernel logs.
    #[must_use]
    pub fn stated_to_context(log: &[String]) -> Option<Reason> {
        let errors = log.iter().filter_map(|line| line.strip_prefix(FS_CONTEXT)?.strip_prefix("e "));
        Reason::stated(&errors.map(ToString::to_string).collect::<Vec<_>>())
    }

    /// The one reason that these lines state, however often.
    #[must_use]
    pub fn only(log: &[String]) -> Option<Reason> {
        let all = Reason::all(log);
        all.first().copied().filter(|first| all.iter().all(|reason| reason == first))
    }

    /// Everything that these lines state, in order.
    #[must_use]
    pub fn all(log: &[String]) -> Vec<Reason> {
        log.iter()
            // What the parser of options says is logged under the name of the type.
            .filter_map(|line| line.strip_prefix("overlayfs: ").or_else(|| line.strip_prefix("overlay: ")))
            .filter_map(|text| STATED.iter().find(|(words, _)| text.contains(words)).map(|(_, reason)| *reason))
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

    const TO_CONTEXT: &str = "fs context: e overlayfs: volatile reuse refused: other-boot: so it is";
    const REFUSED: &str = "overlayfs: volatile reuse refused: other-boot: checkpoint is not of this boot";

    #[rstest]
    #[case::token(&[REFUSED], Some(Reason::OtherBoot))]
    #[case::among_others(&["loop0: detected", REFUSED, "EXT4-fs (dm-0): mounted"], Some(Reason::OtherBoot))]
    #[case::pristine(&["overlayfs: overlay with incompat feature 'volatile' cannot be mounted"], Some(Reason::Incompat))]
    #[case::option(&["overlay: filesystem on /mnt/a/upper is read-only"], Some(Reason::UpperReadOnly))]
    #[case::another_upper(&["overlay: filesystem on /mnt/a/upper-other is read-only"], Some(Reason::UpperReadOnly))]
    #[case::nothing(&[], None)]
    #[case::twice(&[REFUSED, REFUSED], None)]
    #[case::unknown_token(&["overlayfs: volatile reuse refused: tuesday: never on a Tuesday"], None)]
    #[case::not_overlayfs(&["volatile reuse refused: other-boot: says who"], None)]
    fn reads_what_is_stated(#[case] log: &[&str], #[case] expected: Option<Reason>) {
        let log: Vec<String> = log.iter().map(ToString::to_string).collect();
        assert_eq!(Reason::stated(&log), expected);
    }

    #[rstest]
    #[case::both(&[REFUSED, TO_CONTEXT], Some(Reason::OtherBoot))]
    #[case::kernel_only(&[REFUSED], None)]
    #[case::twice(&[REFUSED, TO_CONTEXT, TO_CONTEXT], None)]
    #[case::no_error(&["fs context: w overlayfs: volatile reuse refused: other-boot: so it is"], None)]
    fn reads_what_a_context_is_told(#[case] log: &[&str], #[case] expected: Option<Reason>) {
        let log: Vec<String> = log.iter().map(ToString::to_string).collect();
        assert_eq!(Reason::stated_to_context(&log), expected);
    }

    #[test]
    fn the_tokens_of_the_series_are_reasons_by_name() {
        let token = |words: &'static str| words.strip_prefix("volatile reuse refused: ")?.strip_suffix(": ");
        let tokens: Vec<_> = Reason::words().filter_map(|(words, reason)| Some((token(words)?, reason))).collect();
        assert_eq!(tokens.len(), 7);
        tokens.iter().for_each(|(token, reason)| assert_eq!(reason.to_string(), *token));
    }

    #[rstest]
    #[case::often(&[REFUSED, REFUSED], Some(Reason::OtherBoot))]
    #[case::another(&[REFUSED, "overlayfs: upper fs is r/o, try multi-lower layers mount"], None)]
    #[case::none(&[], None)]
    fn one_reason_may_be_stated_often(#[case] log: &[&str], #[case] expected: Option<Reason>) {
        let log: Vec<String> = log.iter().map(ToString::to_string).collect();
        assert_eq!(Reason::only(&log), expected);
    }
}
