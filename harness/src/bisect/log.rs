// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of a bisection: what it is of, then a line for each kernel that was examined, on the disk before the next is.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{How, Mark, Point};
use crate::error::Error;
use crate::jsonl::{self, Lines};
use crate::results::Record;

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
    pub how: How,
}

/// A kernel that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    #[serde(flatten)]
    pub point: Point,
    pub mark: Mark,
    pub why: String,
    /// Which kernel that was, and what was done to it.
    pub kernel: String,
    pub ms: u64,
    /// Of the last run.
    pub records: Vec<Record>,
}

pub struct Log {
    lines: Lines,
    steps: Vec<Step>,
}

impl Log {
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path, header: &Header) -> Result<Self, Error> {
        let mut lines = Lines::create(path)?;
        lines.add(header)?;
        lines.sync()?;
        Ok(Log { lines, steps: Vec::new() })
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
            Err(cause) => return Err(Error::io("read", path)(cause)),
        };
        let whole = jsonl::whole(&text);
        let mut lines = text[..whole].split_inclusive(|byte| *byte == b'\n').enumerate();
        let Some((_, first)) = lines.next() else { return Err(no("it had not started".to_string())) };
        let not_understood = |line: usize, why: serde_json::Error| {
            no(format!("line {} of {} is none that a bisection writes: {why}", line + 1, path.display()))
        };
        let found: Header = serde_json::from_slice(first).map_err(|why| not_understood(0, why))?;
        if let Some(what) = jsonl::first_difference(header, &found) {
            return Err(no(format!("the bisection in {} is another, its {what:?} differs", path.display())));
        }
        let steps = lines.map(|(place, line)| serde_json::from_slice(line).map_err(|why| not_understood(place, why)));
        Ok(Log { steps: steps.collect::<Result<_, _>>()?, lines: Lines::go_on(path, whole)? })
    }

    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, step: Step) -> Result<(), Error> {
        self.lines.add(&step)?;
        self.lines.sync()?;
        self.steps.push(step);
        Ok(())
    }

    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.point.id == id)
    }

    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lab::Wanted;
    use crate::select::Filters;

    pub fn header() -> Header {
        let how = How { filters: Filters::default(), executor: Wanted::Uml, config: None, repeat: 1 };
        Header { of: "/linux".into(), good: vec!["a".into()], bad: "z".into(), reason_changed: false, how }
    }

    pub fn step(id: &str, mark: Mark) -> Step {
        let point = Point { id: id.to_string(), title: format!("title of {id}") };
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
            assert_eq!(log.steps(), [step("b", Mark::Good)]);
            log.add(step("d", Mark::Skip)).unwrap();
            assert_eq!(Log::resume(&path, &header()).unwrap().step("d"), Some(&step("d", Mark::Skip)));
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
        let how = How { repeat: 2, ..header().how };
        assert!(why(&Header { how, ..header() }).contains("its \"repeat\" differs"));
        fs::write(&path, "{").unwrap();
        assert!(why(&header()).contains("it had not started"));
        fs::write(&path, "{}\n").unwrap();
        assert!(why(&header()).contains("line 1 of "));
    }
}
