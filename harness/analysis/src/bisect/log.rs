// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of a bisection: what it is of, a line for each kernel that was examined, on the disk before the next is, and in the
//! end what came of it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vremount_runner::results::Record;
use vremount_util::append_log::AppendLog;
use vremount_util::{append_log, io_error};

use crate::bisect::{BisectOptions, BisectResult, Mark, Revision};
use crate::error::Error;

/// What a bisection is of. Two of the same are one that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The work tree with the history, or the package with the releases.
    pub of: String,
    pub good: Vec<String>,
    pub bad: String,
    /// Bad is what differs from the good end, not only what is broken.
    pub reason_changed: bool,
    #[serde(flatten)]
    pub how: BisectOptions,
}

/// A kernel that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    #[serde(flatten)]
    pub point: Revision,
    pub mark: Mark,
    pub why: String,
    /// Which kernel that was, and what was done to it.
    pub kernel: String,
    pub ms: u64,
    /// Of the last run.
    pub records: Vec<Record>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoggedResult {
    Found { good: String, bad: String },
    Among(Vec<Revision>),
}

/// What a bisection left behind, whether it has ended or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bisection {
    pub header: Header,
    pub steps: Vec<Step>,
    pub end: Option<LoggedResult>,
}

/// Its name in the folder of the bisection.
pub const FILE: &str = "bisect.jsonl";

/// A log that is written.
pub struct Log {
    lines: AppendLog,
    bisection: Bisection,
}

impl Log {
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path, header: &Header) -> Result<Self, Error> {
        let mut lines = AppendLog::create(path)?;
        lines.append(header)?;
        lines.sync()?;
        Ok(Log { lines, bisection: Bisection::new(header.clone()) })
    }

    /// Goes on with a bisection that was interrupted.
    ///
    /// # Errors
    /// If there is none, or it is another.
    pub fn resume(path: &Path, header: &Header) -> Result<Self, Error> {
        let no = |why: String| Error::Usage(format!("failed to resume: {why}; run it without --resume"));
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                return Err(no(format!("there is no log {}", path.display())));
            }
            Err(cause) => return Err(io_error("read", path)(cause).into()),
        };
        let whole = append_log::complete_len(&text);
        let bisection = Bisection::parse(&text[..whole]).map_err(|why| no(format!("{}: {why}", path.display())))?;
        if let Some(what) = append_log::first_difference(header, &bisection.header) {
            return Err(no(format!("the bisection in {} is another, its {what:?} differs", path.display())));
        }
        Ok(Log { lines: AppendLog::resume(path, whole)?, bisection })
    }

    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, step: Step) -> Result<(), Error> {
        self.lines.append(&step)?;
        self.lines.sync()?;
        self.bisection.steps.push(step);
        Ok(())
    }

    /// # Errors
    /// If it cannot be written.
    pub fn end(&mut self, ending: &BisectResult) -> Result<(), Error> {
        let end = match ending {
            BisectResult::Found { good, bad } => {
                LoggedResult::Found { good: good.point.id.clone(), bad: bad.point.id.clone() }
            }
            BisectResult::Among(points) => LoggedResult::Among(points.clone()),
        };
        // One that had ended, and was resumed, ends the same way.
        if self.bisection.end.as_ref() != Some(&end) {
            self.lines.append(&end)?;
            self.lines.sync()?;
            self.bisection.end = Some(end);
        }
        Ok(())
    }

    /// All of it so far.
    #[must_use]
    pub fn so_far(&self) -> &Bisection {
        &self.bisection
    }
}

impl Bisection {
    fn new(header: Header) -> Self {
        Bisection { header, steps: Vec::new(), end: None }
    }

    /// What is in the folder of a bisection; transcripts are where they are now.
    ///
    /// # Errors
    /// If there is none, or its log is not one.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let text = fs::read(&path).map_err(io_error("read", &path))?;
        let not_understood = |why: String| Error::Bisection { path: path.clone(), why };
        let mut bisection = Bisection::parse(&text[..append_log::complete_len(&text)]).map_err(not_understood)?;
        let folder = folder.canonicalize().map_err(io_error("find", folder))?;
        bisection.steps.iter_mut().flat_map(|step| &mut step.records).for_each(|record| {
            let run = record.log.parent().and_then(Path::file_name).unwrap_or_default();
            record.is_now_in(&folder.join(run));
        });
        Ok(bisection)
    }

    /// A step that was examined.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.point.id == id)
    }

    /// AppendLog that are whole.
    fn parse(text: &[u8]) -> Result<Self, String> {
        let mut lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
        let Some((_, first)) = lines.next() else { return Err("it had not started".to_string()) };
        let not_understood = |line: usize, why| format!("line {} is none that a bisection writes: {why}", line + 1);
        let header = serde_json::from_slice(first).map_err(|why| not_understood(0, why))?;
        let mut bisection = Bisection::new(header);
        for (place, line) in lines {
            match serde_json::from_slice(line) {
                Ok(end) => bisection.end = Some(end),
                Err(_) => bisection.steps.push(serde_json::from_slice(line).map_err(|why| not_understood(place, why))?),
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
        Header { of: "/linux".into(), good: vec!["a".into()], bad: "z".into(), reason_changed: false, how }
    }

    pub fn step(id: &str, mark: Mark) -> Step {
        let point = Revision { id: id.to_string(), title: format!("title of {id}") };
        Step { point, mark, why: "é".into(), kernel: String::new(), ms: 7, records: Vec::new() }
    }

    #[test]
    fn a_torn_line_is_as_if_it_were_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path, &header()).unwrap();
        log.add(step("b", Mark::Good)).unwrap();
        let before = fs::read(&path).unwrap();
        let line = serde_json::to_vec(&step("c", Mark::Bad)).unwrap();
        for bytes in 0..=line.len() {
            fs::write(&path, [&before, &line[..bytes]].concat()).unwrap();
            let mut log = Log::resume(&path, &header()).unwrap();
            assert_eq!(log.so_far().steps, [step("b", Mark::Good)]);
            log.add(step("d", Mark::Skip)).unwrap();
            assert_eq!(Log::resume(&path, &header()).unwrap().so_far().step("d"), Some(&step("d", Mark::Skip)));
        }
    }

    #[test]
    fn another_bisection_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let why = |header: &Header| match Log::resume(&path, header) {
            Err(Error::Usage(why)) => why,
            _ => panic!("it went on"),
        };
        assert!(why(&header()).contains("there is no log"));
        Log::create(&path, &header()).unwrap();
        assert!(why(&Header { bad: "y".into(), ..header() }).contains("its \"bad\" differs"));
        let how = BisectOptions { repeat: 2, ..header().how };
        assert!(why(&Header { how, ..header() }).contains("its \"repeat\" differs"));
        fs::write(&path, "{").unwrap();
        assert!(why(&header()).contains("it had not started"));
        fs::write(&path, "{}\n").unwrap();
        assert!(why(&header()).contains("line 1 is none that a bisection writes"));
    }

    #[test]
    fn what_came_of_it_is_told_later_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut log = Log::create(&path, &header()).unwrap();
        log.add(step("a", Mark::Good)).unwrap();
        assert_eq!(Bisection::read(folder.path()).unwrap().end, None);
        let ending = BisectResult::Found { good: Box::new(step("a", Mark::Good)), bad: Box::new(step("b", Mark::Bad)) };
        log.add(step("b", Mark::Bad)).unwrap();
        log.end(&ending).unwrap();
        Log::resume(&path, &header()).unwrap().end(&ending).unwrap();
        let bisection = Bisection::read(folder.path()).unwrap();
        assert_eq!(bisection.end, Some(LoggedResult::Found { good: "a".into(), bad: "b".into() }));
        assert_eq!((bisection.header, bisection.steps.len()), (header(), 2));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
    }
}
