// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever a machine, a file or a user says: what reads it takes it for what it is, or for nothing, and never falls over it.
//! `make fuzz` tries millions of cases, `make test` some hundred.
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
use vremount_protocol::{Event, Outcome as Came, SIGNS, StepReport, classify, decode, encode, extents};
use vremount_runner::results::{FILE, RunOutcome};
use vremount_runner::transcript::{acts, in_words};

/// Something that a text becomes when it is cut, mixed or hit by a cosmic ray.
fn damaged(text: String) -> impl Strategy<Value = String> {
    let chars: Vec<char> = text.chars().collect();
    let length = chars.len();
    (0..=length, 0..4u8, any::<char>()).prop_map(move |(at, how, other)| {
        let mut chars = chars.clone();
        match how {
            0 => chars.truncate(at),
            1 => chars.insert(at, other),
            2 if at < length => chars[at] = other,
            3 if at < length => drop(chars.remove(at)),
            _ => {}
        }
        chars.into_iter().collect()
    })
}

/// One that is meant, damaged or not.
fn argument() -> impl Strategy<Value = String> {
    let meant = ["0", "4", "ext4", "btrfs-subvolume", "1/3", "5.10.13..6.1.176", "git:/src#HEAD", "tarball:a.xz#b"];
    prop::sample::select(meant.to_vec()).prop_flat_map(|text| damaged(text.to_string()))
}

/// What a kernel announces trouble with, or nothing.
fn sign() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(SIGNS.map(|(sign, _)| sign).to_vec()))
}

fn event() -> impl Strategy<Value = Event> {
    let report = (0..9_usize, any::<i32>(), ".*", prop::collection::vec(".*", 0..3), any::<u64>());
    let report = report.prop_map(|(index, errno, what, log, us)| {
        Event::Step(StepReport { index, outcome: Came::Failed { errno, what }, log, us })
    });
    prop_oneof![report, (0..9_usize).prop_map(|steps| Event::End { steps })]
}

/// A log of results with one of them.
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

/// What claims executed of a patch of one line.
const COVERAGE: &str = r#"{"schema":2,"base":"b","series":"s","executor":"uml","tally":{"holds":1,"broken":0,"cannot_tell":0,"skipped":0,"missing":0},"patches":[],"in_vain":[]}"#;

const MUTANT: &str = include_str!("../../../patches/be4df0cea/mutants/id-is-zero-at-first.patch");

/// What is read from the folder of a run that left this log.
fn results(text: &str) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), text).unwrap();
    match RunOutcome::read(folder.path()).ok()? {
        RunOutcome::Ran(results) => Some(results.cases().filter(|(_, record)| record.is_some()).count()),
        RunOutcome::NotRun(_) => None,
    }
}

/// What is read from the folder of a bisection that left this log.
fn bisection(text: &str) -> Option<Bisection> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(bisect::FILE), text).unwrap();
    Bisection::read(folder.path()).ok()
}

fn coverage(text: &str) -> Option<Coverage> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    Coverage::read(file.path()).ok()
}

#[test]
fn what_is_damaged_here_was_whole() {
    let whole = bisection(BISECTION).unwrap();
    assert!(whole.steps.len() == 1 && whole.end.is_some());
    assert!(coverage(COVERAGE).is_some());
    assert_eq!(results(RESULTS), Some(1));
    assert_eq!(acts(TRANSCRIPT).unwrap().1.len(), 2);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.patch"), MUTANT).unwrap();
    assert!(Mutant::all(folder.path()).unwrap()[0].argument.is_some());
}

proptest! {
    #[test]
    fn what_was_sent_is_what_is_read(event in event()) {
        prop_assert_eq!(decode(&encode(&event).unwrap()).unwrap(), event);
    }

    #[test]
    fn what_was_damaged_on_the_way_is_noticed(
        (event, line) in event().prop_flat_map(|event| (Just(event.clone()), damaged(encode(&event).unwrap())))
    ) {
        // Only the newline may be another.
        prop_assert!(decode(&line).map_or(true, |read| read == event && encode(&event).unwrap().trim_end() == line.trim_end()));
    }

    #[test]
    fn a_line_of_a_console_is_trouble_where_it_says_so(
        time in r"(\[ {0,4}[0-9]{1,5}\.[0-9]{6}\] |)", before in "[a-z:/]*", sign in sign(), after in "[!-~].*"
    ) {
        let line = format!("{time}{before}{}{after}", sign.unwrap_or_default());
        let seen = classify(&line);
        // What stands around it may be the sign of something worse, or one where there was none.
        prop_assert_eq!(seen.is_some(), SIGNS.iter().any(|(sign, _)| line.contains(sign)));
        prop_assert!(seen.is_some() || sign.is_none());
        prop_assert!(seen.is_none_or(|seen| line.trim_end().ends_with(&seen.title)));
        prop_assert!(decode(&line).is_err());
    }

    #[test]
    fn a_transcript_is_done_again_as_it_is_or_not_at_all(text in damaged(TRANSCRIPT.to_string())) {
        if let Ok((_, acts)) = acts(&text) {
            prop_assert!(acts.len() <= 2);
        }
        for line in text.lines() {
            let _ = in_words(line);
        }
    }

    #[test]
    fn a_reason_is_stated_by_overlayfs_or_not_at_all(
        prefix in "(overlayfs: |overlay: |EXT4-fs: |)", words in prop::sample::select(Reason::words().collect::<Vec<_>>()), tail in ".*"
    ) {
        let (words, reason) = words;
        let by_overlay = prefix.starts_with("overlay");
        let line = format!("{prefix}{words}{tail}");
        let all = Reason::all(&[line]);
        prop_assert_eq!(all.len(), usize::from(by_overlay));
        // A tail may hold the words of another that counts first.
        prop_assert!(!by_overlay || all == [reason] || Reason::words().any(|(other, _)| tail.contains(other)));
    }

    #[test]
    fn arguments_are_what_they_say_or_nothing(text in prop_oneof![".*".prop_map(String::from), argument()]) {
        prop_assert!(text.parse::<Level>().is_err() || text.parse::<Level>().unwrap().to_string() == text);
        prop_assert!(text.parse::<Fs>().is_err() || text.parse::<Fs>().unwrap().name() == text);
        prop_assert!(text.parse::<Shard>().is_err() || text.contains('/'));
        prop_assert!(text.parse::<VersionRange>().is_err() || text.contains(".."));
        let spec: Spec = text.parse().unwrap();
        prop_assert!(matches!(spec, Spec::Named(_)) || text.starts_with("git:") || text.starts_with("tarball:"));
    }

    #[test]
    fn a_packed_image_unpacks_to_itself_or_not_at_all(image in image(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut packed = Vec::new();
        extents::write(&mut image.as_slice(), &mut packed).unwrap();
        let mut unpacked = Cursor::new(Vec::new());
        extents::unpack(&mut packed.as_slice(), &mut unpacked).unwrap();
        unpacked.get_mut().resize(image.len(), 0);
        prop_assert_eq!(unpacked.get_ref(), &image);
        // Another byte in the first words changes what is read, or is an error; neither is a crash.
        let head = at.index(packed.len().min(32));
        packed[head] = byte;
        let _ = extents::unpack(&mut packed.as_slice(), &mut tempfile::tempfile().unwrap());
    }
}

/// Blocks that are zero or not.
fn image() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<bool>(), 1..5000_usize), 0..4)
        .prop_map(|runs| runs.into_iter().flat_map(|(full, length)| vec![u8::from(full); length]).collect())
}

proptest! {
    // Each case writes a file.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(8), ..ProptestConfig::default() })]

    #[test]
    fn no_file_of_results_is_too_much(text in prop_oneof![".*".prop_map(String::from), damaged(RESULTS.to_string())]) {
        prop_assert!(results(&text).is_none_or(|count| count <= 1));
    }

    #[test]
    fn a_bisection_is_read_as_far_as_it_is_whole(text in damaged(BISECTION.to_string())) {
        prop_assert!(bisection(&text).is_none_or(|bisection| bisection.steps.len() <= 1));
    }

    #[test]
    fn what_was_executed_is_read_as_it_is_or_not_at_all(text in damaged(COVERAGE.to_string())) {
        prop_assert!(coverage(&text).is_none_or(|coverage| coverage.patches.is_empty()));
    }

    #[test]
    fn a_mutant_is_read_as_it_is_or_not_at_all(text in damaged(MUTANT.to_string())) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.patch"), &text).unwrap();
        if let Ok(mutants) = Mutant::all(folder.path()) {
            prop_assert_eq!(mutants.len(), 1);
            prop_assert!(!mutants[0].what.is_empty() && text.contains("diff --git "));
        }
    }

    #[test]
    fn no_table_of_bases_is_too_much(text in damaged(include_str!("../../../ci/bases.toml").to_string())) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ci")).unwrap();
        fs::write(folder.path().join("ci/bases.toml"), text).unwrap();
        let _ = Base::all(folder.path());
    }
}
