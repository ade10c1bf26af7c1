// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of a run, a file of JSON lines: the plan, then an invocation for each time that the run
//! was started or resumed, and a record for each case as soon as it has finished. An interrupted
//! run loses at most the case that was running.

use std::path::{Path, PathBuf};
use std::{fs, io};

use vremount_util::append_log::AppendLog;
use vremount_util::{append_log, io_error};

use crate::error::Error;
use crate::results::invocation::Invocation;
use crate::results::record::Record;
use crate::results::run_error::RunError;
use crate::results::run_plan::RunPlan;
use crate::results::run_results::{LOG_FILE, Results};

/// The open log of a run.
pub struct Log {
    path: PathBuf,
    lines: AppendLog,
    results: Results,
}

impl Log {
    /// Creates the log of a new run in the run directory `folder`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn create(folder: &Path, plan: RunPlan) -> Result<Self, Error> {
        let path = folder.join(LOG_FILE);
        let mut lines = AppendLog::create(&path)?;
        lines.append(&plan)?;
        Ok(Log { path, lines, results: Results::new(plan) })
    }

    /// Opens the log of an interrupted run with the same plan. An incomplete last line is removed.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such run or its plan differs, [`Error::Results`] if the log
    /// is malformed, and [`Error::Io`] if it cannot be read or written.
    pub fn resume(folder: &Path, plan: &RunPlan) -> Result<Self, Error> {
        let path = folder.join(LOG_FILE);
        let refuse = |reason: String| Error::Usage(format!("failed to resume: {reason}; run it without --resume"));
        let (results, complete) = match fs::read(&path) {
            Ok(text) if serde_json::from_slice::<RunError>(&text).is_ok() => {
                return Err(refuse(format!("the run in {} failed to start", folder.display())));
            }
            Ok(text) if text.contains(&b'\n') => parse(&text).map_err(malformed(&path))?,
            Ok(_) => return Err(refuse(format!("the run in {} had not started", folder.display()))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(refuse(format!("there is no run in {}", folder.display())));
            }
            Err(cause) => return Err(io_error("read", &path)(cause).into()),
        };
        if let Some(what) = append_log::first_differing_field(plan, &results.plan) {
            return Err(refuse(format!("the run in {} has another {what:?}", folder.display())));
        }
        let lines = AppendLog::resume(&path, complete)?;
        Ok(Log { path, lines, results })
    }

    /// Appends an invocation, before the first record that it adds.
    ///
    /// # Errors
    /// [`Error::Io`] if the log cannot be written.
    pub fn start(&mut self, invocation: Invocation) -> Result<(), Error> {
        self.lines.append(&invocation)?;
        self.results.invocations.push(invocation);
        Ok(())
    }

    /// Appends the record of a finished case.
    ///
    /// # Errors
    /// [`Error::Io`] if the log cannot be written, [`Error::Results`] if the case is not in the
    /// plan or has a record already.
    pub fn append(&mut self, record: Record) -> Result<(), Error> {
        self.lines.append(&record)?;
        self.results.add(record).map_err(malformed(&self.path))
    }

    /// All that is in the log.
    #[must_use]
    pub fn results(&self) -> &Results {
        &self.results
    }
}

impl Results {
    /// Reads the results of the run in the run directory `folder`, complete or not. The flag says
    /// whether an incomplete last line was ignored. The paths of transcripts are changed to
    /// `folder`, because CI services move run directories.
    ///
    /// # Errors
    /// [`Error::Usage`] if the log cannot be read, [`Error::Results`] if it is malformed.
    pub fn read(folder: &Path) -> Result<(Self, bool), Error> {
        let path = folder.join(LOG_FILE);
        let text = fs::read(&path).map_err(|cause| {
            let hint = "name the folder of a run, which verify prints in its last line";
            Error::Usage(format!("failed to read {}: {cause}; {hint}", path.display()))
        })?;
        let (mut results, complete) = parse(&text).map_err(malformed(&path))?;
        let folder = folder.canonicalize().map_err(io_error("find", folder))?;
        results.records.iter_mut().for_each(|record| record.set_directory(&folder));
        Ok((results, complete < text.len()))
    }
}

/// Parses the complete lines. Returns the results and the length of these lines, bytes.
fn parse(text: &[u8]) -> Result<(Results, usize), String> {
    let complete = append_log::complete_lines_len(text);
    let mut lines = text[..complete].split_inclusive(|byte| *byte == b'\n').enumerate();
    let Some((_, plan)) = lines.next() else { return Err("it is empty: the run had not started".to_string()) };
    let plan = serde_json::from_slice(plan).map_err(|cause| format!("line 1: {cause}"))?;
    let mut results = Results::new(plan);
    for (index, line) in lines {
        if let Ok(invocation) = serde_json::from_slice(line) {
            results.invocations.push(invocation);
            continue;
        }
        let record = serde_json::from_slice(line).map_err(|cause| cause.to_string());
        record.and_then(|record| results.add(record)).map_err(|why| format!("line {}: {why}", index + 1))?;
    }
    Ok((results, complete))
}

fn malformed(path: &Path) -> impl FnOnce(String) -> Error {
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

    /// Writes the log of a run that was interrupted after the first of two cases.
    fn write_interrupted(folder: &Path) -> RunPlan {
        let plan = planned(&[("c", Fs::Ext4), ("c", Fs::Ext2)]).plan;
        let mut log = Log::create(folder, plan.clone()).unwrap();
        log.append(record("c", Fs::Ext2, VerdictDetail::skipped("é"))).unwrap();
        plan
    }

    fn cases_left(results: &Results) -> Vec<Fs> {
        results.cases().filter(|(_, record)| record.is_none()).map(|(case, _)| case.fs).collect()
    }

    /// Tries each length of the incomplete line.
    #[test]
    fn incomplete_last_line_is_ignored_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOG_FILE);
        let plan = write_interrupted(folder.path());
        let before = fs::read(&path).unwrap();
        let last = record("c", Fs::Ext4, VerdictDetail::skipped("é"));
        let line = serde_json::to_vec(&last).unwrap();
        for bytes in 0..=line.len() {
            fs::write(&path, [&before, &line[..bytes]].concat()).unwrap();
            let (results, is_incomplete) = Results::read(folder.path()).unwrap();
            assert_eq!((cases_left(&results), is_incomplete), (vec![Fs::Ext4], bytes > 0));
            let mut log = Log::resume(folder.path(), &plan).unwrap();
            assert_eq!(cases_left(log.results()), [Fs::Ext4]);
            log.append(last.clone()).unwrap();
            let (results, is_incomplete) = Results::read(folder.path()).unwrap();
            assert_eq!((cases_left(&results), is_incomplete), (vec![], false));
            let transcript = folder.path().canonicalize().unwrap().join("c-ext4.jsonl");
            assert_eq!(results.find_record("c", Fs::Ext4), Some(&Record { log: transcript, ..last.clone() }));
        }
    }

    #[test]
    fn every_invocation_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let plan = write_interrupted(folder.path());
        let invocation = Invocation {
            command: vec!["vremount".into()],
            host: crate::testing::host(),
            executor_reason: "as requested".into(),
        };
        Log::resume(folder.path(), &plan).unwrap().start(invocation.clone()).unwrap();
        let mut log = Log::resume(folder.path(), &plan).unwrap();
        assert_eq!(log.results().invocations, std::slice::from_ref(&invocation));
        log.append(record("c", Fs::Ext4, VerdictDetail::skipped("é"))).unwrap();
        let (results, _) = Results::read(folder.path()).unwrap();
        assert_eq!((results.invocations.as_slice(), cases_left(&results)), (std::slice::from_ref(&invocation), vec![]));
    }

    #[rstest]
    #[case::kernel(|plan: &mut RunPlan| plan.build_id += "0", "build_id")]
    #[case::module(|plan: &mut RunPlan| plan.module_sha256 += "0", "module_sha256")]
    #[case::harness(|plan: &mut RunPlan| plan.harness_sha256 += "0", "harness_sha256")]
    #[case::options(|plan: &mut RunPlan| plan.options.faults = false, "how")]
    #[case::accel(|plan: &mut RunPlan| plan.accel = None, "accel")]
    #[case::cases(|plan: &mut RunPlan| drop(plan.cases.pop()), "cases")]
    fn run_with_other_plan_is_not_resumed(#[case] change: fn(&mut RunPlan), #[case] what: &str) {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = write_interrupted(folder.path());
        let before = fs::read(folder.path().join(LOG_FILE)).unwrap();
        change(&mut plan);
        let Err(Error::Usage(message)) = Log::resume(folder.path(), &plan) else { panic!("it was resumed") };
        assert!(message.contains(&format!("has another {what:?}; run it without --resume")), "{message}");
        assert_eq!(fs::read(folder.path().join(LOG_FILE)).unwrap(), before);
    }

    #[rstest]
    #[case::no_log(None, "there is no run in ")]
    #[case::empty(Some(""), " had not started")]
    #[case::incomplete_plan(Some("{\"schema\":1,"), " had not started")]
    #[case::run_error(
        Some("{\"base\":\"b\",\"series\":\"s\",\"level\":4,\"executor\":\"uml\",\"cannot_tell\":\"why\"}\n"),
        " failed to start"
    )]
    fn run_that_never_started_is_not_resumed(#[case] text: Option<&str>, #[case] expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            fs::write(folder.path().join(LOG_FILE), text).unwrap();
        }
        let Err(Error::Usage(message)) = Log::resume(folder.path(), &planned(&[]).plan) else {
            panic!("it was resumed")
        };
        assert!(message.contains(expected), "{message}");
        assert!(Results::read(folder.path()).is_err());
    }

    #[rstest]
    #[case::not_json("{]\n", "line 3: ")]
    #[case::not_planned("btrfs", "line 3: c on btrfs is not in the plan")]
    #[case::twice("ext2", "line 3: c on ext2 has two records")]
    fn malformed_log_is_an_error(#[case] line: &str, #[case] expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        write_interrupted(folder.path());
        let path = folder.path().join(LOG_FILE);
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
