// SPDX-License-Identifier: MIT OR Apache-2.0
//! A User Mode Linux machine is several processes that trace and clone each other. None of them is left, nor the file
//! that is its memory, whatever happens to the machine or to the harness: fifty times, four at a time, all cores busy.
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

const TIMES: u32 = 50;
const AT_A_TIME: usize = 4;
/// Tells this binary, started again, to be a harness with one machine.
const INSIDE: &str = "VREMOUNT_TEST_ORPHANS";

/// What happens to a machine.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Works off its program and switches itself off.
    Halts,
    /// Has no init.
    Panics,
    /// Loops for ever, and is killed by the harness.
    IsKilled,
    /// Loops for ever, and its harness is killed.
    LosesItsHarness,
}

const FATES: [Fate; 4] = [Fate::Halts, Fate::Panics, Fate::IsKilled, Fate::LosesItsHarness];

/// Two initramfs and a kernel that no other test runs.
struct World(PathBuf);

impl World {
    fn make(at: &Path) -> Self {
        let workspace = Workspace::find().unwrap();
        let base = Base::find(&checkout(), None).unwrap();
        let kernel = build::kernel(&workspace, &KernelSpec::of(&base), Arch::Um).unwrap();
        fs::copy(&kernel.image, at.join("linux")).unwrap();
        let upper = PackedDisk::obtain(Fs::Ext4, &workspace.cache).unwrap();
        let guest = image::build_guest(&workspace.root).unwrap();
        let initramfs = Initramfs::new(&guest, &kernel.module.path, upper.as_ref(), Vec::new()).unwrap();
        for (name, shutdown) in [("halts", Shutdown::PowerOff), ("spins", Shutdown::Spin)] {
            let program = Program {
                work: GuestTask::Steps(Vec::new()),
                module: MODULE_PATH.to_string(),
                disks: BTreeMap::new(),
                fs: Filesystem::default(),
                channel: "/dev/ttyS0".to_string(),
                shutdown,
            };
            initramfs.write(&program, &at.join(name)).unwrap();
        }
        World(at.to_path_buf())
    }

    fn run(&self, number: u32, initramfs: &Path, power_cut: bool) -> MachineOutput {
        Uml.run(&MachineConfig {
            image: &self.0.join("linux"),
            initramfs,
            disk: None,
            memory_mib: 64,
            processors: 1,
            console_log: &self.0.join(format!("{number}.console")),
            limits: Uml.limits(),
            kernels: 1,
            power_cut,
        })
    }

    fn suffer(&self, number: u32, fate: Fate) {
        match fate {
            Fate::Halts => assert_eq!(self.run(number, &self.0.join("halts"), false).end, ExitReason::Finished),
            Fate::Panics => {
                let end = self.run(number, Path::new("/dev/null"), false).end;
                assert!(matches!(end, ExitReason::Panic(_)), "{end:?}");
            }
            Fate::IsKilled => assert_eq!(self.run(number, &self.0.join("spins"), true).end, ExitReason::PowerCut),
            Fate::LosesItsHarness => {
                let mut harness = Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "no_machine_leaves_anything_behind"])
                    .env(INSIDE, self.0.join(number.to_string()))
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                // Sometimes before the machine has started, sometimes while it boots, mostly when it loops.
                sleep(Duration::from_millis(u64::from(number) * 17 % 700));
                harness.kill().unwrap();
                harness.wait().unwrap();
            }
        }
    }

    /// Processes that run our kernel.
    fn left(&self) -> Vec<String> {
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
fn no_machine_leaves_anything_behind() {
    if let Some(number) = std::env::var_os(INSIDE) {
        let path = PathBuf::from(number);
        let world = World(path.parent().unwrap().to_path_buf());
        let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let run = world.run(number, &world.0.join("spins"), false);
        panic!("the machine was to outlast the harness: {:?}", run.end);
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::make(folder.path());
    let load = Load::new();
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= TIMES {
                        break;
                    }
                    world.suffer(number, FATES[number as usize % FATES.len()]);
                }
            });
        }
    });
    drop(load);
    // The kernel needs a moment to bury what was killed.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !world.left().is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(10));
    }
    assert_eq!(world.left(), Vec::<String>::new());
    for (at, left) in [(Path::new("/dev/shm"), "vm_file"), (folder.path(), "core")] {
        let mut names = fs::read_dir(at).unwrap().flatten().map(|entry| entry.file_name());
        assert_eq!(names.find(|name| name.to_string_lossy().starts_with(left)), None);
    }
}
