// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of a run: a line for what it is of, then one for each time that it started or went on, and one for each case as
//! soon as it is finished. Whatever ends the run, what was proved stays proved.

use std::path::{Path, PathBuf};
use std::{fs, io};

use vremount_util::append_log::AppendLog;
use vremount_util::{append_log, io_error};

use crate::error::Error;
use crate::results::{Invocation, Record, Results, RunError, RunPlan};

/// Its name in the folder of the run.
pub const FILE: &str = "results.jsonl";

/// A log that is written.
pub struct Log {
    path: PathBuf,
    lines: AppendLog,
    results: Results,
}

impl Log {
    /// Starts a log.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(folder: &Path, plan: RunPlan) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let mut lines = AppendLog::create(&path)?;
        lines.append(&plan)?;
        Ok(Log { path, lines, results: Results { plan, starts: Vec::new(), records: Vec::new() } })
    }

    /// Goes on with the log of an interrupted run of the same.
    ///
    /// # Errors
    /// If there is none, or it is of another run.
    pub fn resume(folder: &Path, plan: &RunPlan) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let no = |why: String| Error::Usage(format!("failed to resume: {why}; run it without --resume"));
        let (results, whole) = match fs::read(&path) {
            Ok(text) if serde_json::from_slice::<RunError>(&text).is_ok() => {
                return Err(no(format!("the run in {} could not start", folder.display())));
            }
            Ok(text) if text.contains(&b'\n') => parse(&text).map_err(not_understood(&path))?,
            Ok(_) => return Err(no(format!("the run in {} had not started", folder.display()))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(no(format!("there is no run in {}", folder.display())));
            }
            Err(cause) => return Err(io_error("read", &path)(cause).into()),
        };
        if let Some(what) = append_log::first_difference(plan, &results.plan) {
            return Err(no(format!("the run in {} is another, its {what:?} differs", folder.display())));
        }
        let lines = AppendLog::resume(&path, whole)?;
        Ok(Log { path, lines, results })
    }

    /// Says who proves what comes next.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn start(&mut self, start: Invocation) -> Result<(), Error> {
        self.lines.append(&start)?;
        self.results.starts.push(start);
        Ok(())
    }

    /// Adds a finished case.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, record: Record) -> Result<(), Error> {
        self.lines.append(&record)?;
        self.results.add(record).map_err(not_understood(&self.path))
    }

    #[must_use]
    pub fn results(&self) -> &Results {
        &self.results
    }
}

impl Results {
    /// What a run left behind, whether it is finished or not; and whether its last line was torn, and left out. Since then the
    /// folder may have been moved, as CI services do: transcripts are where they are now.
    ///
    /// # Errors
    /// If there is no run in the folder, or its log is not one.
    pub fn read(folder: &Path) -> Result<(Self, bool), Error> {
        let path = folder.join(FILE);
        let text = fs::read(&path).map_err(|cause| {
            let hint = "name the folder of a run, as verify does in its last line";
            Error::Usage(format!("failed to read {}: {cause}; {hint}", path.display()))
        })?;
        let (mut results, whole) = parse(&text).map_err(not_understood(&path))?;
        let folder = folder.canonicalize().map_err(io_error("find", folder))?;
        results.records.iter_mut().for_each(|record| record.is_now_in(&folder));
        Ok((results, whole < text.len()))
    }
}

/// The lines that are whole, and how many bytes they are.
fn parse(text: &[u8]) -> Result<(Results, usize), String> {
    let whole = append_log::complete_len(text);
    let mut lines = text[..whole].split_inclusive(|byte| *byte == b'\n').enumerate();
    let Some((_, plan)) = lines.next() else { return Err("it is empty: the run had not started".to_string()) };
    let plan = serde_json::from_slice(plan).map_err(|cause| format!("line 1: {cause}"))?;
    let mut results = Results { plan, starts: Vec::new(), records: Vec::new() };
    for (place, line) in lines {
        if let Ok(start) = serde_json::from_slice(line) {
            results.starts.push(start);
            continue;
        }
        let record = serde_json::from_slice(line).map_err(|cause| cause.to_string());
        record.and_then(|record| results.add(record)).map_err(|why| format!("line {}: {why}", place + 1))?;
    }
    Ok((results, whole))
}

fn not_understood(path: &Path) -> impl FnOnce(String) -> Error {
    let path = path.to_path_buf();
    move |why| Error::Results { path, why }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_claims::verdict::VerdictDetail;
    use vremount_machine::image::Fs;

    use super::super::testing::{planned, record};
    use super::*;

    /// The log of a run that was interrupted after the first of two cases.
    fn interrupted(folder: &Path) -> RunPlan {
        let plan = planned(&[("c", Fs::Ext4), ("c", Fs::Ext2)]).plan;
        let mut log = Log::create(folder, plan.clone()).unwrap();
        log.append(record("c", Fs::Ext2, VerdictDetail::skipped("é"))).unwrap();
        plan
    }

    fn left(results: &Results) -> Vec<Fs> {
        results.cases().filter(|(_, record)| record.is_none()).map(|(case, _)| case.fs).collect()
    }

    /// However far the writer of a line got: the lines before it count, and the next one is a line of its own.
    #[test]
    fn a_torn_line_is_as_if_it_were_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let plan = interrupted(folder.path());
        let before = fs::read(&path).unwrap();
        let torn = record("c", Fs::Ext4, VerdictDetail::skipped("é"));
        let line = serde_json::to_vec(&torn).unwrap();
        for bytes in 0..=line.len() {
            fs::write(&path, [&before, &line[..bytes]].concat()).unwrap();
            let (results, is_torn) = Results::read(folder.path()).unwrap();
            assert_eq!((left(&results), is_torn), (vec![Fs::Ext4], bytes > 0));
            let mut log = Log::resume(folder.path(), &plan).unwrap();
            assert_eq!(left(log.results()), [Fs::Ext4]);
            log.append(torn.clone()).unwrap();
            let (results, is_torn) = Results::read(folder.path()).unwrap();
            assert_eq!((left(&results), is_torn), (vec![], false));
            let now = folder.path().canonicalize().unwrap().join("c-ext4.jsonl");
            assert_eq!(results.of("c", Fs::Ext4), Some(&Record { log: now, ..torn.clone() }));
        }
    }

    /// A line that says who went on is no case, and where it was interrupted behind it there is nothing to mend.
    #[test]
    fn every_start_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let plan = interrupted(folder.path());
        let start = Invocation { command: vec!["vremount".into()], host: crate::testing::host(), why: "so".into() };
        Log::resume(folder.path(), &plan).unwrap().start(start.clone()).unwrap();
        let mut log = Log::resume(folder.path(), &plan).unwrap();
        assert_eq!(log.results().starts, std::slice::from_ref(&start));
        log.append(record("c", Fs::Ext4, VerdictDetail::skipped("é"))).unwrap();
        let (results, _) = Results::read(folder.path()).unwrap();
        assert_eq!((results.starts.as_slice(), left(&results)), (std::slice::from_ref(&start), vec![]));
    }

    #[rstest]
    #[case::kernel(|plan: &mut RunPlan| plan.build_id += "0", "build_id")]
    #[case::module(|plan: &mut RunPlan| plan.module_sha256 += "0", "module_sha256")]
    #[case::harness(|plan: &mut RunPlan| plan.harness_sha256 += "0", "harness_sha256")]
    #[case::options(|plan: &mut RunPlan| plan.how.faults = false, "how")]
    #[case::accel(|plan: &mut RunPlan| plan.accel = None, "accel")]
    #[case::choice(|plan: &mut RunPlan| drop(plan.cases.pop()), "cases")]
    fn another_run_is_not_gone_on_with(#[case] change: fn(&mut RunPlan), #[case] what: &str) {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = interrupted(folder.path());
        let before = fs::read(folder.path().join(FILE)).unwrap();
        change(&mut plan);
        let Err(Error::Usage(why)) = Log::resume(folder.path(), &plan) else { panic!("it went on") };
        assert!(why.contains(&format!("its {what:?} differs; run it without --resume")), "{why}");
        assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
    }

    #[rstest]
    #[case::nothing(None, "there is no run in ")]
    #[case::empty(Some(""), " had not started")]
    #[case::torn(Some("{\"schema\":1,"), " had not started")]
    #[case::not_run(
        Some("{\"base\":\"b\",\"series\":\"s\",\"level\":4,\"executor\":\"uml\",\"cannot_tell\":\"why\"}\n"),
        " could not start"
    )]
    fn a_run_that_was_not_is_not_gone_on_with(#[case] text: Option<&str>, #[case] expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            fs::write(folder.path().join(FILE), text).unwrap();
        }
        let Err(Error::Usage(why)) = Log::resume(folder.path(), &planned(&[]).plan) else { panic!("it went on") };
        assert!(why.contains(expected), "{why}");
        assert!(Results::read(folder.path()).is_err());
    }

    #[rstest]
    #[case::not_json("{]\n", "line 3: ")]
    #[case::not_planned("btrfs", "line 3: c on btrfs was not planned")]
    #[case::twice("ext2", "line 3: c on ext2 is there twice")]
    fn what_no_run_writes_is_an_error(#[case] line: &str, #[case] expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        interrupted(folder.path());
        let path = folder.path().join(FILE);
        let before = fs::read_to_string(&path).unwrap();
        let line = line.parse().map_or(line.to_string(), |fs| {
            serde_json::to_string(&record("c", fs, VerdictDetail::skipped(""))).unwrap() + "\n"
        });
        fs::write(&path, before + &line).unwrap();
        let error = Results::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(error, Error::Results { .. }));
    }
}
