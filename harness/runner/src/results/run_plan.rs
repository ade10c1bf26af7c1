// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run tests and how. An interrupted run can be resumed only with an equal plan.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vremount_claims::Case;
use vremount_claims::shard::Shard;
use vremount_machine::Accel;
use vremount_machine::image::Fs;
use vremount_util::{hash, io_error};

use crate::error::Error;
use crate::testbed::TestBed;

/// Version of the format of logs and JSON reports. Fields may be added without changing it.
pub const SCHEMA: u32 = 1;

/// The plan of a run, the first line of its log. The fields have the names of the JSON keys unless
/// renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Version of the format, [`SCHEMA`].
    pub schema: u32,
    /// Name of the base.
    pub base: String,
    /// Name of the series.
    pub series: String,
    /// Number of patches of the series that are applied.
    pub level: u8,
    /// Name of the additional configuration fragment, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Architecture of the kernel.
    pub arch: String,
    /// The executor.
    pub executor: String,
    /// The accelerator of QEMU; none for User Mode Linux.
    pub accel: Option<Accel>,
    /// GNU build id of the kernel, hex.
    pub build_id: String,
    /// SHA-256 of the overlay module, hex.
    pub module_sha256: String,
    /// SHA-256 of this program and the guest binary, hex. Another harness may have other claims or
    /// judge differently.
    pub harness_sha256: String,
    /// Options that may change the results.
    #[serde(rename = "how")]
    pub options: RunOptions,
    /// The shard that the run executes; none for a whole run.
    #[serde(default)]
    pub shard: Option<Shard>,
    /// The cases, in the order of reports.
    pub cases: Vec<PlannedCase>,
}

/// Options that may change the results of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// Whether faults are injected. Default: yes.
    pub faults: bool,
    /// Whether each case runs twice and must leave identical files. Default: no.
    pub twice: bool,
    /// Whether each case gets its own machine, however long a boot takes. Default: no.
    pub fresh: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions { faults: true, twice: false, fresh: false }
    }
}

/// A case of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCase {
    /// Name of the claim.
    pub claim: String,
    /// The upper filesystem.
    pub fs: Fs,
}

impl RunPlan {
    /// The plan to run `cases` on `testbed`.
    ///
    /// # Errors
    /// [`Error::Io`] if this program or the guest binary cannot be read.
    pub fn new(
        testbed: &TestBed,
        options: RunOptions,
        shard: Option<Shard>,
        cases: &[Case<'_>],
    ) -> Result<Self, Error> {
        let kernel = &testbed.kernel;
        let planned = |case: &Case<'_>| PlannedCase { claim: case.claim.name.to_string(), fs: case.fs };
        Ok(RunPlan {
            schema: SCHEMA,
            base: kernel.base.clone(),
            series: kernel.series.clone(),
            level: kernel.level.number(),
            config: kernel.fragment.clone(),
            arch: testbed.executor.arch().name().to_string(),
            executor: testbed.executor.name().to_string(),
            accel: testbed.accel,
            build_id: kernel.build_id.clone(),
            module_sha256: kernel.module.sha256.clone(),
            harness_sha256: sha256(&[Path::new("/proc/self/exe"), &testbed.guest])?,
            options,
            shard,
            cases: cases.iter().map(planned).collect(),
        })
    }

    /// Kernel, configuration, executor and shard, for people.
    #[must_use]
    pub fn title(&self) -> String {
        let RunPlan { base, series, level, executor, .. } = self;
        let accel = self.accel.map_or_else(String::new, |accel| format!(" with {}", accel.name()));
        let config = self.config.as_ref().map_or_else(String::new, |config| format!(", configuration {config}"));
        let shard = self.shard.map_or_else(String::new, |shard| format!(", shard {shard}"));
        format!("Linux {base}, series {series} at level {level}{config}, {executor}{accel}{shard}")
    }
}

/// SHA-256 of the concatenation of files, hex.
fn sha256(files: &[&Path]) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for path in files {
        hash.update(fs::read(path).map_err(io_error("read", *path))?);
    }
    Ok(hash::hex(&hash.finalize()))
}
