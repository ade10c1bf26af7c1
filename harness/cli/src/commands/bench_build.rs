// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of `vremount bench-harness` that builds: each stage from nothing, each stage with all in the cache, and the
//! same kernel by make alone.

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

/// From a configured tree to a kernel that is kept: what a bare make does, and what the harness does around it.
const AROUND_MAKE: [&str; 3] = [build::KEY, build::MAKE, build::KEEP];

/// How much longer that may take, percent.
const MOST_OVERHEAD: f64 = 5.0;

#[derive(Serialize)]
pub struct Stages {
    arch: &'static str,
    stages: Vec<Stage>,
    /// Image and modules with the same tree and configuration, by nothing but make.
    bare_make_s: f64,
    /// What of that it does itself, make aside, percent of make: no other load of the machine blurs it.
    own_percent: f64,
    /// By how much the harness takes longer from a configured tree to a kernel that is kept, percent.
    overhead_percent: f64,
    /// The same with overlay.ko of each level, of which make alone has built one, percent.
    with_levels_percent: f64,
}

#[derive(Serialize)]
struct Stage {
    name: &'static str,
    cold_s: f64,
    /// None where nothing is done that was done before.
    warm_s: Option<f64>,
}

impl Stages {
    /// In a cache of its own, which is gone afterwards; what was downloaded is shared, and the kernel is kept for all.
    pub fn time(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<Self, Error> {
        let cache = tempfile::tempdir_in(&workspace.cache).map_err(io_error("create a folder in", &workspace.cache))?;
        let shared = if matches!(kernel_spec.base.source, Source::Git(_)) { "tree" } else { "source" };
        source::obtain(workspace, &kernel_spec.base.source)?;
        let link = cache.path().join(shared);
        symlink(workspace.cache.join(shared), &link).map_err(io_error("link", &link))?;
        let apart = Workspace { cache: cache.path().to_path_buf(), ..workspace.clone() };
        let cold = pass(&apart, kernel_spec, arch)?;
        let warm = pass(&apart, kernel_spec, arch)?;
        let kernel = build::kernel(&apart, kernel_spec, arch)?;
        let bare = build::make_alone(&apart, kernel_spec, arch, &kernel)?;
        build::KernelCache::adopt_from(&workspace.cache, &apart.cache)?;
        // Its links are into the cache that goes now.
        build::kernel(workspace, kernel_spec, arch)?;
        Ok(Stages::of(arch, &cold, &warm, bare))
    }

    /// Whether the harness adds no more than it may.
    pub fn are_as_they_should(&self) -> bool {
        self.overhead_percent <= MOST_OVERHEAD
    }

    fn of(arch: Arch, cold: &Times, warm: &Times, bare: Duration) -> Self {
        let sum = |names: &[&str]| -> Duration {
            cold.iter().filter(|(name, _)| names.contains(name)).map(|(_, time)| *time).sum()
        };
        let around = sum(&AROUND_MAKE);
        let over_bare = |time: Duration| (time.as_secs_f64() / bare.as_secs_f64() - 1.0) * 100.0;
        let seconds = |times: &Times, name: &str| {
            times.iter().find(|(other, _)| *other == name).map(|(_, time)| time.as_secs_f64())
        };
        let stage = |name| Stage { name, cold_s: seconds(cold, name).unwrap_or_default(), warm_s: seconds(warm, name) };
        let make = seconds(cold, build::MAKE).unwrap_or_default();
        Stages {
            own_percent: (around.as_secs_f64() / make - 1.0) * 100.0,
            arch: arch.name(),
            stages: cold.iter().map(|(name, _)| stage(*name)).collect(),
            bare_make_s: bare.as_secs_f64(),
            overhead_percent: over_bare(around),
            with_levels_percent: over_bare(around + sum(&[build::OVERLAY])),
        }
    }
}

type Times = Vec<(&'static str, Duration)>;

/// From a base to all that a machine is made of.
fn pass(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<Times, Error> {
    let mut clock = StageTimer::start();
    let kernel = build::kernel_timed(workspace, kernel_spec, arch, &mut clock)?;
    let guest = image::build_guest(&workspace.root)?;
    clock.finish_stage("guest");
    DiskSetup::obtain(Fs::Ext4, &workspace.cache, &guest, &kernel.module.path, Vec::new())?;
    clock.finish_stage("initramfs and upper");
    Ok(clock.stages().to_vec())
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel for {}           {:>9}  {:>9}", self.arch, "cold", "warm")?;
        for Stage { name, cold_s, warm_s } in &self.stages {
            let warm = warm_s.map_or_else(|| "-".to_string(), |warm| format!("{warm:.2} s"));
            writeln!(f, "  {name:<26} {cold_s:>7.2} s  {warm:>9}")?;
        }
        writeln!(f, "  {:<26} {:>7.2} s", "make alone", self.bare_make_s)?;
        writeln!(
            f,
            "  from a configured tree to a kernel that is kept: {:+.1} % on make alone, at most {MOST_OVERHEAD} %: {}",
            self.overhead_percent,
            if self.are_as_they_should() { "met" } else { "MISSED" }
        )?;
        writeln!(
            f,
            "  with overlay.ko of each level, which make alone builds one of: {:+.1} %",
            self.with_levels_percent
        )?;
        writeln!(f, "  what of it is no make: {:.2} %", self.own_percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overhead_is_what_the_harness_adds_to_make() {
        let seconds = |times: &[(&'static str, u64)]| -> Times {
            times.iter().map(|(name, time)| (*name, Duration::from_secs(*time))).collect()
        };
        let cold = seconds(&[
            (build::KEY, 1),
            (build::SOURCE, 50),
            (build::SERIES, 20),
            (build::CONFIGURE, 9),
            (build::MAKE, 200),
            (build::KEEP, 3),
            (build::OVERLAY, 40),
        ]);
        let stages = Stages::of(Arch::Um, &cold, &seconds(&[(build::KEY, 1)]), Duration::from_secs(204));
        assert!((stages.own_percent - 2.0).abs() < 1e-9, "{}", stages.own_percent);
        assert!(stages.overhead_percent.abs() < 1e-9, "{}", stages.overhead_percent);
        // 40 s more.
        assert!((stages.with_levels_percent - 40.0 / 2.04).abs() < 1e-9, "{}", stages.with_levels_percent);
        assert!(stages.are_as_they_should() && stages.to_string().contains("at most 5 %: met"), "{stages}");
        let slow = Stages { overhead_percent: 5.1, ..stages };
        assert!(!slow.are_as_they_should() && slow.to_string().contains("MISSED"), "{slow}");
        assert_eq!(slow.stages.iter().filter(|stage| stage.warm_s.is_some()).count(), 1);
    }
}
