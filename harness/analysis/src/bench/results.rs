// SPDX-License-Identifier: MIT OR Apache-2.0
//! A record with the figures that are derived from it. Reports and the JSON file are made from this.

use std::fs;
use std::path::Path;

use serde::{Serialize, Serializer};
use vremount_claims::exit::Exit;
use vremount_machine::image::Fs;
use vremount_util::io_error;
use vremount_util::stats::Summary;

use crate::bench::ratios::{self, Ratios};
use crate::bench::record::{
    BackgroundRuns, CheckCost, Disk, Executor, HostLoad, Kernel, Record, SCHEMA, WorkloadResult,
};
use crate::bench::thresholds::{self, Threshold};
use crate::error::Error;

/// A record and the figures derived from it. Derived figures in a file are ignored when it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchResults {
    /// The samples.
    pub record: Record,
    /// The measured throughput of the disk, MB/s. `None` if it was not measured.
    pub disk_mb_per_s: Option<Summary>,
    /// The ratios.
    pub ratios: Ratios,
    /// The thresholds.
    pub thresholds: Vec<Threshold>,
}

impl From<Record> for BenchResults {
    fn from(record: Record) -> Self {
        let ratios = ratios::derive(&record);
        BenchResults {
            disk_mb_per_s: ratios::disk_throughput(&record),
            thresholds: thresholds::evaluate(&record, &ratios),
            ratios,
            record,
        }
    }
}

impl BenchResults {
    /// Reads the file of a benchmark.
    ///
    /// # Errors
    /// An I/O error if the file cannot be read; a usage error if it is not the record of a benchmark or has another schema.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(io_error("read", path))?;
        let failed = |why: String| Error::Usage(format!("failed to read {} as a benchmark: {why}", path.display()));
        let record: Record = serde_json::from_str(&text).map_err(|cause| failed(cause.to_string()))?;
        match record.schema {
            SCHEMA => Ok(record.into()),
            other => Err(failed(format!("its schema is {other}, this program reads {SCHEMA}"))),
        }
    }

    /// The JSON text of the file.
    ///
    /// # Errors
    /// [`Error::Json`] if a value has no JSON form.
    pub fn json(&self) -> Result<String, Error> {
        let text = serde_json::to_string(self);
        text.map(|text| text + "\n").map_err(|source| Error::Json { what: "the benchmark", source })
    }

    /// The exit code: success if all thresholds are met and the kernel printed no warning, broken otherwise.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let met = self.thresholds.iter().all(|threshold| threshold.met) && self.record.warnings.is_empty();
        if met { Exit::Success } else { Exit::Broken }
    }
}

/// The form of the file. Programs read these keys.
#[derive(Serialize)]
struct File<'a> {
    schema: u32,
    command: &'a [String],
    quick: bool,
    rounds: usize,
    host: &'a HostLoad,
    kernel: &'a Kernel,
    executor: &'a Executor,
    disk: FileDisk<'a>,
    fs: Fs,
    other_filesystems: &'a [Fs],
    scenes: &'a [WorkloadResult],
    neighbour: &'a [BackgroundRuns],
    check: &'a Option<CheckCost>,
    ratios: &'a Ratios,
    goals: &'a [Threshold],
    warnings: &'a [String],
}

#[derive(Serialize)]
struct FileDisk<'a> {
    #[serde(flatten)]
    disk: &'a Disk,
    measured_mb_per_s: Option<Summary>,
}

impl Serialize for BenchResults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let BenchResults { record, disk_mb_per_s, ratios, thresholds } = self;
        let file = File {
            schema: record.schema,
            command: &record.command,
            quick: record.quick,
            rounds: record.rounds,
            host: &record.host,
            kernel: &record.kernel,
            executor: &record.executor,
            disk: FileDisk { disk: &record.disk, measured_mb_per_s: *disk_mb_per_s },
            fs: record.fs,
            other_filesystems: &record.other_filesystems,
            scenes: &record.workloads,
            neighbour: &record.background,
            check: &record.check_cost,
            ratios,
            goals: thresholds,
            warnings: &record.warnings,
        };
        file.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::{record, results};
    use super::*;

    fn read(text: &str) -> Result<BenchResults, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        BenchResults::read(file.path())
    }

    #[test]
    fn written_results_can_be_read() {
        assert_eq!(read(&results().json().unwrap()).unwrap(), results());
        assert!(read("{}").is_err());
        let other = BenchResults::from(Record { schema: SCHEMA + 1, ..record() });
        assert!(read(&other.json().unwrap()).unwrap_err().to_string().contains("its schema is 2"));
    }

    #[test]
    fn derived_figures_in_the_file_are_ignored() {
        let mut file: Value = serde_json::from_str(&results().json().unwrap()).unwrap();
        file["scenes"][0]["ways"][0]["ms"]["median"] = 0.5.into();
        file["ratios"] = Value::Null;
        file["goals"] = Value::Null;
        assert_eq!(read(&file.to_string()).unwrap(), results());
    }

    #[test]
    fn kernel_warning_is_no_success() {
        let mut results = results();
        results.thresholds.retain(|threshold| threshold.met);
        assert_eq!(results.exit(), Exit::Success);
        results.record.warnings.push("WARNING: CPU: 0".to_string());
        assert_eq!(results.exit(), Exit::Broken);
    }

    /// All keys of the file that is kept in docs/ are written again, and no others.
    #[test]
    fn keys_of_the_file_do_not_change() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cost.json");
        let kept: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let written: Value = serde_json::from_str(&BenchResults::read(&path).unwrap().json().unwrap()).unwrap();
        assert_eq!(keys(&written), keys(&kept));
    }

    /// The paths of all keys; the elements of an array have one path.
    fn keys(value: &Value) -> std::collections::BTreeSet<String> {
        match value {
            Value::Object(fields) => fields
                .iter()
                .flat_map(|(key, value)| {
                    let below = keys(value).into_iter().map(move |below| format!("{key}.{below}"));
                    [key.clone()].into_iter().chain(below)
                })
                .collect(),
            Value::Array(values) => values.iter().flat_map(keys).collect(),
            _ => Default::default(),
        }
    }
}
