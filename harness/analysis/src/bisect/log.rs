// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of a bisection: a header, one line for each tested kernel, and the result. Each line is
//! synced to disk before the next kernel is tested.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vremount_runner::results::Record;
use vremount_util::append_log::AppendLog;
use vremount_util::{append_log, io_error};

use crate::bisect::kernel_tester::BisectOptions;
use crate::bisect::policy::Mark;
use crate::bisect::range::Revision;
use crate::error::Error;

/// First line of the log: the range and the options. Only a log with an equal header can be
/// resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Top directory of the git work tree, or name of the source package.
    #[serde(rename = "of")]
    pub subject: String,
    /// Ids of the good ends.
    pub good: Vec<String>,
    /// Id of the bad end.
    pub bad: String,
    /// Whether a case is bad if it differs from the first good end, and not only if its claim is
    /// broken.
    pub reason_changed: bool,
    /// How each kernel is tested.
    #[serde(flatten)]
    pub options: BisectOptions,
}

/// A tested kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The commit or release.
    #[serde(flatten)]
    pub revision: Revision,
    /// Its mark.
    pub mark: Mark,
    /// Why it has this mark.
    pub why: String,
    /// Source and series of the kernel; empty if they could not be found.
    pub kernel: String,
    /// Duration of the step, with the build, in milliseconds.
    #[serde(rename = "ms")]
    pub duration_ms: u64,
    /// Results of the last run; empty if the kernel did not run.
    pub records: Vec<Record>,
}

/// Result of a bisection.
#[derive(Debug)]
pub enum BisectResult {
    /// The first bad revision was found.
    Found {
        /// The closest revision before it that is known to be good.
        good: Box<Step>,
        /// The first bad revision.
        bad: Box<Step>,
    },
    /// The first bad revision is one of these. All but the last one were skipped.
    Undecided(Vec<Revision>),
}

/// Last line of the log: a [`BisectResult`] with ids in place of steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoggedResult {
    /// The first bad revision was found.
    Found {
        /// Id of the closest revision before it that is known to be good.
        good: String,
        /// Id of the first bad revision.
        bad: String,
    },
    /// The first bad revision is one of these. All but the last one were skipped.
    #[serde(rename = "among")]
    Undecided(Vec<Revision>),
}

/// Content of a log, complete or interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bisection {
    /// Range and options.
    pub header: Header,
    /// The tested kernels, in the order of the tests.
    pub steps: Vec<Step>,
    /// The result; none if the bisection was interrupted.
    #[serde(rename = "end")]
    pub result: Option<LoggedResult>,
}

/// Name of the log in the run directory of a bisection.
pub const LOG_FILE: &str = "bisect.jsonl";

/// A log that is open for appending.
pub struct Log {
    lines: AppendLog,
    bisection: Bisection,
}

impl Log {
    /// Creates a log with this header.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path, header: &Header) -> Result<Self, Error> {
        let mut lines = AppendLog::create(path)?;
        lines.append(header)?;
        lines.sync()?;
        Ok(Log { lines, bisection: Bisection::new(header.clone()) })
    }

    /// Opens the log of an interrupted bisection. An incomplete last line is cut off.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no log, it is not one, or its header differs; an I/O error if
    /// it cannot be read.
    pub fn resume(path: &Path, header: &Header) -> Result<Self, Error> {
        let refused = |why: String| Error::Usage(format!("failed to resume: {why}; run it without --resume"));
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                return Err(refused(format!("there is no log {}", path.display())));
            }
            Err(cause) => return Err(io_error("read", path)(cause).into()),
        };
        let length = append_log::complete_lines_len(&text);
        let bisection =
            Bisection::parse(&text[..length]).map_err(|why| refused(format!("{}: {why}", path.display())))?;
        if let Some(key) = append_log::first_differing_field(header, &bisection.header) {
            return Err(refused(format!("{} is of another bisection: {key:?} differs", path.display())));
        }
        Ok(Log { lines: AppendLog::resume(path, length)?, bisection })
    }

    /// Appends a step and syncs the log.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, step: Step) -> Result<(), Error> {
        self.lines.append(&step)?;
        self.lines.sync()?;
        self.bisection.steps.push(step);
        Ok(())
    }

    /// Appends the result and syncs the log. Does nothing if the log already ends with this result.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(&mut self, result: &BisectResult) -> Result<(), Error> {
        let end = match result {
            BisectResult::Found { good, bad } => {
                LoggedResult::Found { good: good.revision.id.clone(), bad: bad.revision.id.clone() }
            }
            BisectResult::Undecided(revisions) => LoggedResult::Undecided(revisions.clone()),
        };
        if self.bisection.result.as_ref() != Some(&end) {
            self.lines.append(&end)?;
            self.lines.sync()?;
            self.bisection.result = Some(end);
        }
        Ok(())
    }

    /// The content of the log so far.
    #[must_use]
    pub fn bisection(&self) -> &Bisection {
        &self.bisection
    }
}

impl Bisection {
    fn new(header: Header) -> Self {
        Bisection { header, steps: Vec::new(), result: None }
    }

    /// Reads the log of a run directory. The paths of transcripts are adapted if the directory was
    /// moved.
    ///
    /// # Errors
    /// [`Error::InvalidLog`] if the file is not the log of a bisection; an I/O error if it cannot
    /// be read.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(LOG_FILE);
        let text = fs::read(&path).map_err(io_error("read", &path))?;
        let invalid = |why: String| Error::InvalidLog { path: path.clone(), why };
        let mut bisection = Bisection::parse(&text[..append_log::complete_lines_len(&text)]).map_err(invalid)?;
        let folder = folder.canonicalize().map_err(io_error("find", folder))?;
        bisection.steps.iter_mut().flat_map(|step| &mut step.records).for_each(|record| {
            let run = record.log.parent().and_then(Path::file_name).unwrap_or_default();
            record.set_directory(&folder.join(run));
        });
        Ok(bisection)
    }

    /// The step of the revision with this id; none if it was not tested.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.revision.id == id)
    }

    /// Parses complete lines.
    fn parse(text: &[u8]) -> Result<Self, String> {
        let mut lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
        let Some((_, first)) = lines.next() else { return Err("it is empty".to_string()) };
        let invalid = |index: usize, why| format!("line {} is not from the log of a bisection: {why}", index + 1);
        let header = serde_json::from_slice(first).map_err(|why| invalid(0, why))?;
        let mut bisection = Bisection::new(header);
        for (index, line) in lines {
            match serde_json::from_slice(line) {
                Ok(end) => bisection.result = Some(end),
                Err(_) => bisection.steps.push(serde_json::from_slice(line).map_err(|why| invalid(index, why))?),
            }
        }
        Ok(bisection)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use vremount_claims::filter::Filters;
    use vremount_machine::ExecutorChoice;

    use super::*;

    pub fn header() -> Header {
        let how = BisectOptions { filters: Filters::default(), executor: ExecutorChoice::Uml, config: None, repeat: 1 };
        Header {
            subject: "/linux".into(),
            good: vec!["a".into()],
            bad: "z".into(),
            reason_changed: false,
            options: how,
        }
    }

    pub fn step(id: &str, mark: Mark) -> Step {
        let point = Revision { id: id.to_string(), title: format!("title of {id}") };
        Step { revision: point, mark, why: "é".into(), kernel: String::new(), duration_ms: 7, records: Vec::new() }
    }

    #[test]
    fn incomplete_last_line_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path, &header()).unwrap();
        log.add(step("b", Mark::Good)).unwrap();
        let before = fs::read(&path).unwrap();
        let line = serde_json::to_vec(&step("c", Mark::Bad)).unwrap();
        for bytes in 0..=line.len() {
            fs::write(&path, [&before, &line[..bytes]].concat()).unwrap();
            let mut log = Log::resume(&path, &header()).unwrap();
            assert_eq!(log.bisection().steps, [step("b", Mark::Good)]);
            log.add(step("d", Mark::Skip)).unwrap();
            assert_eq!(Log::resume(&path, &header()).unwrap().bisection().step("d"), Some(&step("d", Mark::Skip)));
        }
    }

    #[test]
    fn log_of_another_bisection_is_not_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let why = |header: &Header| match Log::resume(&path, header) {
            Err(Error::Usage(why)) => why,
            _ => panic!("the log was resumed"),
        };
        assert!(why(&header()).contains("there is no log"));
        Log::create(&path, &header()).unwrap();
        assert!(why(&Header { bad: "y".into(), ..header() }).contains("\"bad\" differs"));
        let options = BisectOptions { repeat: 2, ..header().options };
        assert!(why(&Header { options, ..header() }).contains("\"repeat\" differs"));
        fs::write(&path, "{").unwrap();
        assert!(why(&header()).contains("it is empty"));
        fs::write(&path, "{}\n").unwrap();
        assert!(why(&header()).contains("line 1 is not from the log of a bisection"));
    }

    #[test]
    fn result_is_logged_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOG_FILE);
        let mut log = Log::create(&path, &header()).unwrap();
        log.add(step("a", Mark::Good)).unwrap();
        assert_eq!(Bisection::read(folder.path()).unwrap().result, None);
        let result = BisectResult::Found { good: Box::new(step("a", Mark::Good)), bad: Box::new(step("b", Mark::Bad)) };
        log.add(step("b", Mark::Bad)).unwrap();
        log.finish(&result).unwrap();
        Log::resume(&path, &header()).unwrap().finish(&result).unwrap();
        let bisection = Bisection::read(folder.path()).unwrap();
        assert_eq!(bisection.result, Some(LoggedResult::Found { good: "a".into(), bad: "b".into() }));
        assert_eq!((bisection.header, bisection.steps.len()), (header(), 2));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn json_keys_are_stable() {
        let header = serde_json::to_value(header()).unwrap();
        assert!(
            ["of", "good", "bad", "reason_changed", "claims", "executor", "repeat"]
                .iter()
                .all(|key| header.get(key).is_some())
        );
        let step = serde_json::to_value(step("b", Mark::Good)).unwrap();
        assert!(["id", "title", "mark", "why", "kernel", "ms", "records"].iter().all(|key| step.get(key).is_some()));
        let result = serde_json::to_value(LoggedResult::Undecided(Vec::new())).unwrap();
        assert_eq!(result, serde_json::json!({"among": []}));
    }
}
