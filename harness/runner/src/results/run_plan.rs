// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run proves, on what and how. Two runs of the same plan are one run that was interrupted.

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

/// Of log and reports. Fields are added, never changed.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    pub schema: u32,
    pub base: String,
    pub series: String,
    pub level: u8,
    /// The further configuration fragment, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    pub arch: String,
    pub executor: String,
    /// None where the kernel is a program of the host itself.
    pub accel: Option<Accel>,
    pub build_id: String,
    pub module_sha256: String,
    /// Of this program and its guest: other claims, other judgement, another run.
    pub harness_sha256: String,
    pub how: RunOptions,
    /// None where one run proves all of it.
    #[serde(default)]
    pub shard: Option<Shard>,
    pub cases: Vec<PlannedCase>,
}

/// Options that may change what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    pub faults: bool,
    pub twice: bool,
    pub fresh: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCase {
    pub claim: String,
    pub fs: Fs,
}

impl RunPlan {
    /// # Errors
    /// If this program or its guest cannot be read.
    pub fn new(testbed: &TestBed, how: RunOptions, shard: Option<Shard>, cases: &[Case<'_>]) -> Result<Self, Error> {
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
            how,
            shard,
            cases: cases.iter().map(planned).collect(),
        })
    }

    /// In words.
    #[must_use]
    pub fn title(&self) -> String {
        let RunPlan { base, series, level, executor, .. } = self;
        let accel = self.accel.map_or_else(String::new, |accel| format!(" with {}", accel.name()));
        let config = self.config.as_ref().map_or_else(String::new, |config| format!(", configuration {config}"));
        let shard = self.shard.map_or_else(String::new, |shard| format!(", shard {shard}"));
        format!("Linux {base}, series {series} at level {level}{config}, {executor}{accel}{shard}")
    }
}

fn sha256(files: &[&Path]) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for path in files {
        hash.update(fs::read(path).map_err(io_error("read", *path))?);
    }
    Ok(hash::hex(&hash.finalize()))
}
