// SPDX-License-Identifier: MIT OR Apache-2.0
//! A User Mode Linux machine consists of several processes and a file for its memory. The tests
//! check that none of them is left after the machine halts, panics or is killed, or the harness is
//! killed: 50 machines, 4 at a time, with all cores busy.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use common::checkout;
use vremount_kernel::base::Base;
use vremount_kernel::build::{self, Arch, KernelSpec};
use vremount_kernel::workspace::Workspace;
use vremount_machine::image::{Fs, Initramfs, MODULE_PATH, PackedDisk};
use vremount_machine::{Executor, ExitReason, MachineConfig, MachineOutput, Uml, image};
use vremount_protocol::{Filesystem, GuestTask, Program, Shutdown};

const MACHINES: u32 = 50;
const PARALLEL_MACHINES: usize = 4;
/// Environment variable that makes this binary run one machine as a harness; its value is the path
/// of the machine's files.
const RUN_MACHINE: &str = "VREMOUNT_TEST_ORPHANS";

/// How a machine ends.
#[derive(Debug, Clone, Copy)]
enum MachineEnd {
    /// The guest runs its program and powers off.
    PowerOff,
    /// The kernel panics, because the initramfs has no init.
    Panic,
    /// The guest loops forever, and the harness kills the machine.
    Killed,
    /// The guest loops forever, and the harness is killed.
    HarnessKilled,
}

const ENDS: [MachineEnd; 4] = [MachineEnd::PowerOff, MachineEnd::Panic, MachineEnd::Killed, MachineEnd::HarnessKilled];

/// Directory with two initramfs and a copy of the kernel that no other test runs.
struct MachineFiles(PathBuf);

impl MachineFiles {
    fn create(folder: &Path) -> Self {
        let workspace = Workspace::find().unwrap();
        let base = Base::find(&checkout(), None).unwrap();
        let kernel = build::build_kernel(&workspace, &KernelSpec::new(&base), Arch::Um).unwrap();
        fs::copy(&kernel.image, folder.join("linux")).unwrap();
        let upper = PackedDisk::obtain(Fs::Ext4, &workspace.cache).unwrap();
        let guest = image::build_guest(&workspace.root).unwrap();
        let initramfs = Initramfs::new(&guest, &kernel.module.path, upper.as_ref(), Vec::new()).unwrap();
        for (name, shutdown) in [("powers-off", Shutdown::PowerOff), ("loops", Shutdown::Spin)] {
            let program = Program {
                task: GuestTask::Steps(Vec::new()),
                module: MODULE_PATH.to_string(),
                disks: BTreeMap::new(),
                fs: Filesystem::default(),
                channel: "/dev/ttyS0".to_string(),
                shutdown,
            };
            initramfs.write(&program, &folder.join(name)).unwrap();
        }
        MachineFiles(folder.to_path_buf())
    }

    fn run(&self, number: u32, initramfs: &Path, power_cut: bool) -> MachineOutput {
        Uml.run(&MachineConfig {
            kernel_image: &self.0.join("linux"),
            initramfs,
            disk: None,
            memory_mib: 64,
            processors: 1,
            console_log: &self.0.join(format!("{number}.console")),
            timeouts: Uml.timeouts(),
            kernel_count: 1,
            power_cut,
        })
    }

    fn run_to(&self, number: u32, end: MachineEnd) {
        match end {
            MachineEnd::PowerOff => {
                assert_eq!(self.run(number, &self.0.join("powers-off"), false).exit_reason, ExitReason::Finished)
            }
            MachineEnd::Panic => {
                let end = self.run(number, Path::new("/dev/null"), false).exit_reason;
                assert!(matches!(end, ExitReason::Panic(_)), "{end:?}");
            }
            MachineEnd::Killed => {
                assert_eq!(self.run(number, &self.0.join("loops"), true).exit_reason, ExitReason::PowerCut)
            }
            MachineEnd::HarnessKilled => {
                let mut harness = Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "machine_leaves_no_process_and_no_memory_file"])
                    .env(RUN_MACHINE, self.0.join(number.to_string()))
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                // Depending on the number, the harness is killed before the machine starts, while
                // it boots or while it loops.
                sleep(Duration::from_millis(u64::from(number) * 17 % 700));
                harness.kill().unwrap();
                harness.wait().unwrap();
            }
        }
    }

    /// `stat` lines of the processes that run the kernel of this test.
    fn remaining_processes(&self) -> Vec<String> {
        let kernel = self.0.join("linux");
        let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        processes
            .filter(|path| fs::read_link(path.join("exe")).is_ok_and(|exe| exe == kernel))
            .map(|path| fs::read_to_string(path.join("stat")).unwrap_or_default())
            .filter(|stat| !stat.is_empty())
            .collect()
    }
}

/// Keeps all cores busy until it is dropped.
struct Load(Vec<Child>);

impl Load {
    fn new() -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Load(
            (0..cores)
                .map(|_| Command::new("sh").args(["-c", "while kill -0 $PPID; do :; done"]).spawn().unwrap())
                .collect(),
        )
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn machine_leaves_no_process_and_no_memory_file() {
    if let Some(number) = std::env::var_os(RUN_MACHINE) {
        let path = PathBuf::from(number);
        let files = MachineFiles(path.parent().unwrap().to_path_buf());
        let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let run = files.run(number, &files.0.join("loops"), false);
        panic!("the machine ended before the harness was killed: {:?}", run.exit_reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let files = MachineFiles::create(folder.path());
    let load = Load::new();
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..PARALLEL_MACHINES {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= MACHINES {
                        break;
                    }
                    files.run_to(number, ENDS[number as usize % ENDS.len()]);
                }
            });
        }
    });
    drop(load);
    // Killed processes take a moment to disappear.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !files.remaining_processes().is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(10));
    }
    assert_eq!(files.remaining_processes(), Vec::<String>::new());
    for (folder, prefix) in [(Path::new("/dev/shm"), "vm_file"), (folder.path(), "core")] {
        let mut names = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
        assert_eq!(names.find(|name| name.to_string_lossy().starts_with(prefix)), None);
    }
}
