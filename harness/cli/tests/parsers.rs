// SPDX-License-Identifier: MIT OR Apache-2.0
//! Property tests of the parsers for machine output, files and arguments: valid input is read
//! correctly, and damaged input is read correctly or refused, without a panic. `make test` tries
//! some hundred cases, `make fuzz` millions.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Cursor;

use proptest::prelude::*;
use vremount_analysis::bisect::{self, Bisection, VersionRange};
use vremount_analysis::coverage::Coverage;
use vremount_analysis::mutants::Mutant;
use vremount_claims::refusal_reason::Reason;
use vremount_claims::shard::Shard;
use vremount_kernel::base::{Base, Level, Spec};
use vremount_machine::image::Fs;
use vremount_protocol::{Event, FAILURE_PATTERNS, Outcome, StepReport, classify, decode, encode, extents};
use vremount_runner::results::{LOG_FILE, RunOutcome};
use vremount_runner::transcript::{format_line, read_actions};

/// A text that is truncated or has one character inserted, replaced or removed.
fn damaged(text: String) -> impl Strategy<Value = String> {
    let chars: Vec<char> = text.chars().collect();
    let length = chars.len();
    (0..=length, 0..4u8, any::<char>()).prop_map(move |(at, change, other)| {
        let mut chars = chars.clone();
        match change {
            0 => chars.truncate(at),
            1 => chars.insert(at, other),
            2 if at < length => chars[at] = other,
            3 if at < length => drop(chars.remove(at)),
            _ => {}
        }
        chars.into_iter().collect()
    })
}

/// A valid argument, damaged or not.
fn argument() -> impl Strategy<Value = String> {
    let valid = ["0", "4", "ext4", "btrfs-subvolume", "1/3", "5.10.13..6.1.176", "git:/src#HEAD", "tarball:a.xz#b"];
    prop::sample::select(valid.to_vec()).prop_flat_map(|text| damaged(text.to_string()))
}

/// A console sign of a kernel failure, or none.
fn sign() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(FAILURE_PATTERNS.map(|(sign, _)| sign).to_vec()))
}

fn event() -> impl Strategy<Value = Event> {
    let report = (0..9_usize, any::<i32>(), ".*", prop::collection::vec(".*", 0..3), any::<u64>());
    let report = report.prop_map(|(index, errno, what, log, us)| {
        Event::Step(StepReport { index, outcome: Outcome::Failed { errno, message: what }, log, us })
    });
    prop_oneof![report, (0..9_usize).prop_map(|steps| Event::End { steps })]
}

/// A result log with one result.
const RESULTS: &str = concat!(
    r#"{"schema":1,"base":"5.10.13","series":"be4df0cea","level":4,"arch":"um","executor":"uml","accel":null,"#,
    r#""build_id":"b","module_sha256":"m","harness_sha256":"h","how":{"faults":true,"twice":false,"fresh":false},"#,
    r#""shard":null,"cases":[{"claim":"reuse","fs":"ext4"}]}"#,
    "\n",
    r#"{"claim":"reuse","fs":"ext4","verdict":"holds","expected":{"outcome":"mounted","errno":null,"reason":null},"#,
    r#""observed":{"outcome":"mounted","errno":null,"reason":null},"because":null,"ms":152,"boots_ms":[127],"#,
    r#""phases_us":{"exec":9,"boot":9,"module":4,"devices":5,"filesystem":1,"steps":6,"stop":6},"log":"reuse-ext4.jsonl"}"#,
    "\n"
);

/// A transcript of two steps.
const TRANSCRIPT: &str = concat!(
    r#"{"claim":"reuse","title":"t","sentence":"s","fs":"ext4","base":"5.10.13","level":4}"#,
    "\n",
    r#"{"step":"write back","act":{"guest":"write-back"},"kind":"evidence","expected":"done","outcome":"done","us":1,"log":[]}"#,
    "\n",
    r#"{"step":"reboot","act":{"host":"reboot"},"kind":"host","expected":null,"outcome":null,"us":null,"log":[]}"#,
    "\n",
    r#"{"verdict":"holds","because":null}"#,
    "\n"
);

/// A bisection that found the commit.
const BISECTION: &str = concat!(
    r#"{"of":"/linux","good":["a"],"bad":"b","reason_changed":false,"claims":[],"tags":[],"faults":[],"filesystems":[],"executor":"uml","config":null,"repeat":1}"#,
    "\n",
    r#"{"id":"b","title":"t","mark":"bad","why":"w","kernel":"k","ms":7,"records":[]}"#,
    "\n",
    r#"{"found":{"good":"a","bad":"b"}}"#,
    "\n"
);

/// A coverage report without patches.
const COVERAGE: &str = r#"{"schema":2,"base":"b","series":"s","executor":"uml","tally":{"holds":1,"broken":0,"cannot_tell":0,"skipped":0,"missing":0},"patches":[],"in_vain":[]}"#;

const MUTANT: &str = include_str!("../../../patches/be4df0cea/mutants/id-is-zero-at-first.patch");

/// Number of results that are read from a run directory with a result log.
fn count_results(text: &str) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(LOG_FILE), text).unwrap();
    match RunOutcome::read(folder.path()).ok()? {
        RunOutcome::Ran(results) => Some(results.cases().filter(|(_, record)| record.is_some()).count()),
        RunOutcome::NotRun(_) => None,
    }
}

/// Bisection that is read from a directory with a log.
fn read_bisection(text: &str) -> Option<Bisection> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(bisect::LOG_FILE), text).unwrap();
    Bisection::read(folder.path()).ok()
}

/// Coverage that is read from a file.
fn read_coverage(text: &str) -> Option<Coverage> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    Coverage::read(file.path()).ok()
}

#[test]
fn undamaged_samples_are_read() {
    let whole = read_bisection(BISECTION).unwrap();
    assert!(whole.steps.len() == 1 && whole.result.is_some());
    assert!(read_coverage(COVERAGE).is_some());
    assert_eq!(count_results(RESULTS), Some(1));
    assert_eq!(read_actions(TRANSCRIPT).unwrap().1.len(), 2);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.patch"), MUTANT).unwrap();
    assert!(Mutant::all(folder.path()).unwrap()[0].equivalence.is_some());
}

proptest! {
    #[test]
    fn encoded_event_is_decoded(event in event()) {
        prop_assert_eq!(decode(&encode(&event).unwrap()).unwrap(), event);
    }

    #[test]
    fn damaged_event_is_refused(
        (event, line) in event().prop_flat_map(|event| (Just(event.clone()), damaged(encode(&event).unwrap())))
    ) {
        // Damage to the trailing newline only is accepted.
        prop_assert!(decode(&line).map_or(true, |read| read == event && encode(&event).unwrap().trim_end() == line.trim_end()));
    }

    #[test]
    fn console_line_is_classified_by_its_sign(
        time in r"(\[ {0,4}[0-9]{1,5}\.[0-9]{6}\] |)", before in "[a-z:/]*", sign in sign(), after in "[!-~].*"
    ) {
        let line = format!("{time}{before}{}{after}", sign.unwrap_or_default());
        let seen = classify(&line);
        // What stands around it may be the sign of something worse, or one where there was none.
        prop_assert_eq!(seen.is_some(), FAILURE_PATTERNS.iter().any(|(sign, _)| line.contains(sign)));
        prop_assert!(seen.is_some() || sign.is_none());
        prop_assert!(seen.is_none_or(|seen| line.trim_end().ends_with(&seen.message)));
        prop_assert!(decode(&line).is_err());
    }

    #[test]
    fn damaged_transcript_has_no_additional_actions(text in damaged(TRANSCRIPT.to_string())) {
        if let Ok((_, actions)) = read_actions(&text) {
            prop_assert!(actions.len() <= 2);
        }
        for line in text.lines() {
            let _ = format_line(line);
        }
    }

    #[test]
    fn reason_is_read_from_lines_of_overlayfs_only(
        prefix in "(overlayfs: |overlay: |EXT4-fs: |)", pattern in prop::sample::select(Reason::log_patterns().collect::<Vec<_>>()), tail in ".*"
    ) {
        let (pattern, reason) = pattern;
        let by_overlay = prefix.starts_with("overlay");
        let line = format!("{prefix}{pattern}{tail}");
        let all = Reason::all_in(&[line]);
        prop_assert_eq!(all.len(), usize::from(by_overlay));
        // The tail may contain a pattern that has precedence.
        prop_assert!(!by_overlay || all == [reason] || Reason::log_patterns().any(|(other, _)| tail.contains(other)));
    }

    #[test]
    fn argument_is_parsed_or_refused(text in prop_oneof![".*".prop_map(String::from), argument()]) {
        prop_assert!(text.parse::<Level>().is_err() || text.parse::<Level>().unwrap().to_string() == text);
        prop_assert!(text.parse::<Fs>().is_err() || text.parse::<Fs>().unwrap().name() == text);
        prop_assert!(text.parse::<Shard>().is_err() || text.contains('/'));
        prop_assert!(text.parse::<VersionRange>().is_err() || text.contains(".."));
        let spec: Spec = text.parse().unwrap();
        prop_assert!(matches!(spec, Spec::Named(_)) || text.starts_with("git:") || text.starts_with("tarball:"));
    }

    #[test]
    fn packed_image_unpacks_to_itself_and_a_damaged_one_does_not_panic(image in image(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut packed = Vec::new();
        extents::pack(&mut image.as_slice(), &mut packed).unwrap();
        let mut unpacked = Cursor::new(Vec::new());
        extents::unpack(&mut packed.as_slice(), &mut unpacked).unwrap();
        unpacked.get_mut().resize(image.len(), 0);
        prop_assert_eq!(unpacked.get_ref(), &image);
        // A damaged header changes the result or is an error, and does not panic.
        let head = at.index(packed.len().min(32));
        packed[head] = byte;
        let _ = extents::unpack(&mut packed.as_slice(), &mut tempfile::tempfile().unwrap());
    }
}

/// An image with blocks of zeros and of ones.
fn image() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<bool>(), 1..5000_usize), 0..4)
        .prop_map(|runs| runs.into_iter().flat_map(|(full, length)| vec![u8::from(full); length]).collect())
}

proptest! {
    // Fewer cases, because each writes a file.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(8), ..ProptestConfig::default() })]

    #[test]
    fn damaged_result_log_has_no_additional_results(text in prop_oneof![".*".prop_map(String::from), damaged(RESULTS.to_string())]) {
        prop_assert!(count_results(&text).is_none_or(|count| count <= 1));
    }

    #[test]
    fn damaged_bisection_has_no_additional_steps(text in damaged(BISECTION.to_string())) {
        prop_assert!(read_bisection(&text).is_none_or(|bisection| bisection.steps.len() <= 1));
    }

    #[test]
    fn damaged_coverage_has_no_additional_patches(text in damaged(COVERAGE.to_string())) {
        prop_assert!(read_coverage(&text).is_none_or(|coverage| coverage.patches.is_empty()));
    }

    #[test]
    fn damaged_mutant_is_read_with_its_diff_or_refused(text in damaged(MUTANT.to_string())) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.patch"), &text).unwrap();
        if let Ok(mutants) = Mutant::all(folder.path()) {
            prop_assert_eq!(mutants.len(), 1);
            prop_assert!(!mutants[0].description.is_empty() && text.contains("diff --git "));
        }
    }

    #[test]
    fn damaged_table_of_bases_does_not_panic(text in damaged(include_str!("../../../ci/bases.toml").to_string())) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ci")).unwrap();
        fs::write(folder.path().join("ci/bases.toml"), text).unwrap();
        let _ = Base::all(folder.path());
    }
}
