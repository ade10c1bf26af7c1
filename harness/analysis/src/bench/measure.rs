// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the machines of a benchmark and adds the samples of each to a record.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use vremount_kernel::build::{self, KernelSpec};
use vremount_kernel::workspace::Workspace;
use vremount_machine::image::{CpioEntry, Fs, Initramfs, MODULE_PATH, PackedDisk};
use vremount_machine::{Executor as _, ExitReason, MachineConfig, MachineOutput, Qemu, Timeouts, image};
use vremount_protocol::{Event, GuestTask, Program};
use vremount_runner::host_info;
use vremount_runner::testbed::{QEMU, TestBed};
use vremount_util::{command, io_error, progress};

use crate::bench::answers::Answers;
use crate::bench::plan::Plan;
use crate::bench::record::{self, Disk, Executor, HostLoad, Record};
use crate::bench::results::BenchResults;
use crate::bench::script::{DISK, Script};
use crate::bench::size::BenchSize;
use crate::error::Error;

/// The path of the unpatched module in the initramfs.
const UNPATCHED_PATH: &str = "/vremount/overlay-unpatched.ko";
/// Twice the largest amount of data that is dirty at a time, and room for the guest.
const MEMORY_MIB: u32 = 3072;
const DISK_MIB: u64 = 6144;
/// A rate that emulation can sustain on a slow host.
const DISK_MB_PER_S: u64 = 200;
const MB: u64 = 1_000_000;
/// The line of a kernel configuration with the function graph tracer.
const TRACER: &str = "CONFIG_FUNCTION_GRAPH_TRACER=y";
/// Far above what a loaded host needs: a minute for one operation, an hour for all of them.
const LIMITS: Timeouts = Timeouts { silence: Duration::from_secs(900), total: Duration::from_secs(6 * 3600) };

/// The inputs of a benchmark.
pub struct Bench<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    /// The kernel with the series, and how to boot it. The executor must be QEMU.
    pub testbed: &'a TestBed,
    /// The same kernel at a level that does not change the overlay module.
    pub unpatched: KernelSpec<'a>,
    /// The filesystems. The first one is measured in full, the others with fewer workloads.
    pub filesystems: &'a [Fs],
    /// How many samples are taken.
    pub size: BenchSize,
}

/// Runs the benchmark. Calls `keep` with the results so far after each machine, so that they are stored before the next one
/// starts.
///
/// # Errors
/// - [`Error::Usage`] if there is no filesystem, one of them is not on a disk, the executor is not QEMU, or the unpatched
///   module belongs to another kernel.
/// - [`Error::Bench`] if a machine does not finish, boots another kernel, or an operation has an unexpected outcome.
/// - Errors of builds, images and I/O, and those of `keep`.
pub fn measure(bench: &Bench<'_>, keep: impl Fn(&BenchResults) -> Result<(), Error>) -> Result<BenchResults, Error> {
    let Bench { workspace, testbed, filesystems, .. } = bench;
    let kernel = &testbed.kernel;
    let unpatched = build::build_kernel(workspace, &bench.unpatched, testbed.executor.arch())?;
    if unpatched.build_id != kernel.build_id {
        let why = "failed to measure: the patched and the unpatched module belong to different kernels";
        return Err(Error::Usage(why.to_string()));
    }
    let config = std::fs::read_to_string(&kernel.config).map_err(io_error("read", &kernel.config))?;
    let has_tracer = config.lines().any(|line| line == TRACER);
    let Some(accel) = testbed.accel else {
        let why = "failed to measure: the executor must be qemu; the clock of User Mode Linux is not precise enough";
        return Err(Error::Usage(why.to_string()));
    };
    let path = &unpatched.module.path;
    let module = CpioEntry::from_bytes(UNPATCHED_PATH, std::fs::read(path).map_err(io_error("read", path))?);
    let machines = Machines {
        bench,
        qemu: Qemu::new(Path::new(QEMU), accel).for_benchmark(DISK_MB_PER_S * MB),
        initramfs: Initramfs::new(&testbed.guest, &kernel.module.path, None, vec![module])?,
    };
    let mut record = new_record(bench, &unpatched.module.sha256)?;
    for plan in Plan::all(filesystems, bench.size, has_tracer) {
        machines.measure(&plan, &mut record)?;
        record.host.update_end();
        keep(&record.clone().into())?;
    }
    Ok(record.into())
}

/// A record without samples.
fn new_record(bench: &Bench<'_>, unpatched_module_sha256: &str) -> Result<Record, Error> {
    let Bench { testbed, filesystems, size: effort, .. } = bench;
    let kernel = &testbed.kernel;
    let Some((&fs, others)) = filesystems.split_first() else {
        return Err(Error::Usage("failed to measure: no filesystem is selected".to_string()));
    };
    Ok(Record {
        schema: record::SCHEMA,
        command: host_info::command_line(),
        quick: effort.quick,
        rounds: effort.rounds,
        host: HostLoad::current()?,
        kernel: record::Kernel {
            base: kernel.base.clone(),
            series: kernel.series.clone(),
            level: kernel.level.number(),
            config: kernel.fragment.clone(),
            release: String::new(),
            build_id: kernel.build_id.clone(),
            patched_module_sha256: kernel.module.sha256.clone(),
            unpatched_module_sha256: unpatched_module_sha256.to_string(),
        },
        executor: Executor {
            name: testbed.title(),
            version: Qemu::version(Path::new(QEMU))?,
            why: testbed.executor_reason.clone(),
            memory_mib: MEMORY_MIB,
            clock: String::new(),
        },
        disk: Disk {
            mb_per_s: DISK_MB_PER_S,
            mib: DISK_MIB,
            options: filesystems.iter().filter_map(|fs| mount_options(*fs)).collect(),
        },
        fs,
        other_filesystems: others.to_vec(),
        workloads: Vec::new(),
        background: Vec::new(),
        check_cost: None,
        warnings: Vec::new(),
    })
}

/// The mount options of a filesystem, if it has any.
fn mount_options(fs: Fs) -> Option<String> {
    let options = fs.filesystem().options;
    (!options.is_empty()).then(|| format!("{}: {options}", fs.name()))
}

struct Machines<'a> {
    bench: &'a Bench<'a>,
    qemu: Qemu,
    initramfs: Initramfs,
}

impl Machines<'_> {
    /// Runs the machine of a plan and adds its samples to the record.
    fn measure(&self, plan: &Plan, record: &mut Record) -> Result<(), Error> {
        let script = plan.script([MODULE_PATH, UNPATCHED_PATH]);
        let part = if plan.measures_neighbour { ", neighbour" } else { "" };
        let what = format!("measuring on {}{part}: {} steps", plan.fs.name(), script.0.len());
        let run = {
            let _progress = progress::start(what);
            self.run(plan, &script)?
        };
        let failed = |why: String| Error::Bench { fs: plan.fs.name(), why };
        if run.exit_reason != ExitReason::Finished {
            return Err(failed(format!("{}{}", run.exit_reason, run.last_lines())));
        }
        for event in &run.events {
            if let Event::Ready { release, build_id, .. } = event {
                if *build_id != record.kernel.build_id {
                    return Err(failed(
                        "the booted kernel is not the one that was built: its build id differs".to_string(),
                    ));
                }
                record.kernel.release.clone_from(release);
            }
        }
        record.warnings.extend(run.kernel_warnings.iter().cloned());
        let reports = run.events.iter().filter_map(|event| match event {
            Event::Step(report) => Some(report),
            _ => None,
        });
        Answers::from_reports(&script, reports).map_err(failed)?.add_to(plan, record);
        Ok(())
    }

    fn run(&self, plan: &Plan, script: &Script) -> Result<MachineOutput, Error> {
        let Bench { workspace, testbed, .. } = self.bench;
        let name = format!("{}{}", plan.fs.name(), if plan.measures_neighbour { "-neighbour" } else { "" });
        let file = |extension: &str| testbed.run_dir.join(format!("bench-{name}.{extension}"));
        command::ensure_free_space("create the disk of the benchmark", &testbed.run_dir, DISK_MIB)?;
        let no_disk = || Error::Usage(format!("failed to measure on {}: it is not on a disk", plan.fs.name()));
        let upper = PackedDisk::obtain_with_size(plan.fs, DISK_MIB, &workspace.cache)?.ok_or_else(no_disk)?;
        let (disk, initramfs) = (file("disk"), file("initramfs"));
        image::unpack_disk(&upper, &disk)?;
        let program = Program {
            task: GuestTask::Steps(script.0.iter().map(|(op, _)| op.clone()).collect()),
            module: MODULE_PATH.to_string(),
            disks: BTreeMap::from([(DISK, self.qemu.backing(&disk))]),
            fs: plan.fs.filesystem(),
            channel: self.qemu.channel_device().to_string(),
            shutdown: self.qemu.shutdown(),
        };
        self.initramfs.write(&program, &initramfs)?;
        let run = self.qemu.run(&MachineConfig {
            disk: Some(&disk),
            memory_mib: MEMORY_MIB,
            processors: plan.processors(),
            ..MachineConfig::new(&testbed.kernel, &initramfs, &file("console"), LIMITS)
        });
        for path in [&disk, &initramfs] {
            std::fs::remove_file(path).map_err(io_error("remove", path))?;
        }
        Ok(run)
    }
}
