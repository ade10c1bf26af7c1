// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount bench-harness --build`: the time of each stage of a kernel build, compared with make
//! alone.

use std::fmt;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde::Serialize;
use vremount_kernel::base::Source;
use vremount_kernel::build::{Arch, KernelSpec, StageTimer};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{build, source};
use vremount_machine::image::{self, DiskSetup, Fs};
use vremount_util::io_error;

use crate::error::Error;

/// The stages from a configured tree to a kernel in the cache: make, and what the harness does
/// before and after it.
const STAGES_AROUND_MAKE: [&str; 3] = [build::STAGE_KEY, build::STAGE_MAKE, build::STAGE_CACHE];

/// Limit of [`BuildTimes::overhead_percent`].
const MAX_OVERHEAD_PERCENT: f64 = 5.0;

/// Times of a build.
#[derive(Serialize)]
pub struct BuildTimes {
    arch: &'static str,
    stages: Vec<StageTimes>,
    /// Time of make alone, for image and modules of the same tree and configuration, in seconds.
    bare_make_s: f64,
    /// Time of the harness before and after make, relative to make in the same build. Other load on
    /// the host affects it least.
    own_percent: f64,
    /// Additional time of the harness from a configured tree to a kernel in the cache, relative to
    /// make alone.
    overhead_percent: f64,
    /// The same with the overlay modules of all levels. make alone builds one of them.
    with_levels_percent: f64,
}

#[derive(Serialize)]
struct StageTimes {
    name: &'static str,
    cold_s: f64,
    /// None if the cache makes the stage unnecessary.
    warm_s: Option<f64>,
}

impl BuildTimes {
    /// Builds the kernel twice in a temporary cache, and once by make alone. Downloads are shared
    /// with the cache of `workspace`, and the kernel is added to it.
    ///
    /// # Errors
    /// If the kernel cannot be built.
    pub fn measure(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<Self, Error> {
        let cache =
            tempfile::tempdir_in(&workspace.cache).map_err(io_error("create a directory in", &workspace.cache))?;
        let shared = if matches!(kernel_spec.base.source, Source::Git(_)) { "tree" } else { "source" };
        source::obtain(workspace, &kernel_spec.base.source)?;
        let link = cache.path().join(shared);
        symlink(workspace.cache.join(shared), &link).map_err(io_error("link", &link))?;
        let temporary = Workspace { cache: cache.path().to_path_buf(), ..workspace.clone() };
        let cold = time_stages(&temporary, kernel_spec, arch)?;
        let warm = time_stages(&temporary, kernel_spec, arch)?;
        let kernel = build::build_kernel(&temporary, kernel_spec, arch)?;
        let bare_make = build::rebuild_with_make(&temporary, kernel_spec, arch, &kernel)?;
        build::KernelCache::adopt_from(&workspace.cache, &temporary.cache)?;
        // Replaces the links in target/kernel/ that point into the temporary cache.
        build::build_kernel(workspace, kernel_spec, arch)?;
        Ok(BuildTimes::new(arch, &cold, &warm, bare_make))
    }

    /// Whether the overhead of the harness is within its limit.
    pub fn is_within_limit(&self) -> bool {
        self.overhead_percent <= MAX_OVERHEAD_PERCENT
    }

    fn new(arch: Arch, cold: &Stages, warm: &Stages, bare_make: Duration) -> Self {
        let sum = |names: &[&str]| -> Duration {
            cold.iter().filter(|(name, _)| names.contains(name)).map(|(_, time)| *time).sum()
        };
        let seconds = |stages: &Stages, name: &str| {
            stages.iter().find(|(other, _)| *other == name).map(|(_, time)| time.as_secs_f64())
        };
        let excess_percent = |time: Duration, reference: f64| (time.as_secs_f64() / reference - 1.0) * 100.0;
        let (around_make, bare_make_s) = (sum(&STAGES_AROUND_MAKE), bare_make.as_secs_f64());
        let stage_times = |(name, time): &(&'static str, Duration)| StageTimes {
            name,
            cold_s: time.as_secs_f64(),
            warm_s: seconds(warm, name),
        };
        BuildTimes {
            arch: arch.name(),
            stages: cold.iter().map(stage_times).collect(),
            bare_make_s,
            own_percent: excess_percent(around_make, seconds(cold, build::STAGE_MAKE).unwrap_or_default()),
            overhead_percent: excess_percent(around_make, bare_make_s),
            with_levels_percent: excess_percent(around_make + sum(&[build::STAGE_OVERLAY]), bare_make_s),
        }
    }
}

/// Names and times of stages, in order.
type Stages = Vec<(&'static str, Duration)>;

/// Builds everything that a machine consists of, and times each stage.
fn time_stages(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<Stages, Error> {
    let mut timer = StageTimer::start();
    let kernel = build::build_kernel_timed(workspace, kernel_spec, arch, &mut timer)?;
    let guest = image::build_guest(&workspace.root)?;
    timer.finish_stage("guest");
    DiskSetup::obtain(Fs::Ext4, &workspace.cache, &guest, &kernel.module.path, Vec::new())?;
    timer.finish_stage("initramfs and upper");
    Ok(timer.stages().to_vec())
}

impl fmt::Display for BuildTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel for {}           {:>9}  {:>9}", self.arch, "cold", "warm")?;
        for StageTimes { name, cold_s, warm_s } in &self.stages {
            let warm = warm_s.map_or_else(|| "-".to_string(), |warm| format!("{warm:.2} s"));
            writeln!(f, "  {name:<26} {cold_s:>7.2} s  {warm:>9}")?;
        }
        writeln!(f, "  {:<26} {:>7.2} s", "make alone", self.bare_make_s)?;
        writeln!(
            f,
            "  harness compared with make alone, from a configured tree to a kernel in the cache: {:+.1} %, at most \
             {MAX_OVERHEAD_PERCENT} %: {}",
            self.overhead_percent,
            if self.is_within_limit() { "met" } else { "MISSED" }
        )?;
        writeln!(
            f,
            "  the same with overlay.ko of all levels, of which make alone builds one: {:+.1} %",
            self.with_levels_percent
        )?;
        writeln!(f, "  time of the harness outside make: {:.2} % of make", self.own_percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(seconds: &[(&'static str, u64)]) -> Stages {
        seconds.iter().map(|(name, time)| (*name, Duration::from_secs(*time))).collect()
    }

    #[test]
    fn overhead_is_the_time_that_the_harness_adds_to_make() {
        let cold = stages(&[
            (build::STAGE_KEY, 1),
            (build::STAGE_SOURCE, 50),
            (build::STAGE_SERIES, 20),
            (build::STAGE_CONFIGURE, 9),
            (build::STAGE_MAKE, 200),
            (build::STAGE_CACHE, 3),
            (build::STAGE_OVERLAY, 40),
        ]);
        let times = BuildTimes::new(Arch::Um, &cold, &stages(&[(build::STAGE_KEY, 1)]), Duration::from_secs(204));
        // 204 s of key, make and keep, compared with 200 s of make in this build and with 204 s of
        // make alone.
        assert!((times.own_percent - 2.0).abs() < 1e-9, "{}", times.own_percent);
        assert!(times.overhead_percent.abs() < 1e-9, "{}", times.overhead_percent);
        // The overlay modules add 40 s.
        assert!((times.with_levels_percent - 40.0 / 2.04).abs() < 1e-9, "{}", times.with_levels_percent);
        assert_eq!(times.stages.iter().filter(|stage| stage.warm_s.is_some()).count(), 1);
        assert!(times.is_within_limit() && times.to_string().contains("at most 5 %: met"), "{times}");
    }

    #[test]
    fn overhead_above_the_limit_is_reported() {
        let times =
            BuildTimes::new(Arch::Um, &stages(&[(build::STAGE_MAKE, 106)]), &Vec::new(), Duration::from_secs(100));
        assert!(!times.is_within_limit() && times.to_string().contains("at most 5 %: MISSED"), "{times}");
    }
}
