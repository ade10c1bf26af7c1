// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interpreter: an operation in, a report out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::{sync, syncfs};
use vremount_wire::{Backing, Disk as Id, Layers, Mode, Op, Outcome, Program, Scope, StepReport, Via};

use crate::disk::Disk;
use crate::error::{Failure, context};
use crate::kernel_log::KernelLog;
use crate::snapshot::Snapshot;
use crate::{data, ioctl, marker, module, mounts};

pub struct Runner<'a> {
    program: &'a Program,
    log: KernelLog,
    disks: BTreeMap<Id, Disk>,
    /// Opened when the upper filesystem was mounted: what syncfs(2) on it reports happened since.
    witnesses: BTreeMap<Id, File>,
    snapshots: BTreeMap<(Id, &'static str), Snapshot>,
    mounted_at_start: Vec<PathBuf>,
    writeback_interval: String,
}

const WRITEBACK_INTERVAL: &str = "/proc/sys/vm/dirty_writeback_centisecs";

impl<'a> Runner<'a> {
    pub fn new(program: &'a Program) -> Result<Self, Failure> {
        mounts::make_lower()?;
        Ok(Runner {
            program,
            log: KernelLog::open()?,
            disks: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            mounted_at_start: mounts::all()?,
            writeback_interval: context("read", WRITEBACK_INTERVAL, fs::read_to_string(WRITEBACK_INTERVAL))?,
        })
    }

    /// Works off one operation. Only a kernel log that cannot be read is an error; all else is an outcome.
    pub fn step(&mut self, index: usize, op: &Op) -> Result<StepReport, Failure> {
        // What was logged between two steps is told with the second.
        let started = Instant::now();
        let outcome = self.run(op).unwrap_or_else(Outcome::from);
        let us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(StepReport { index, outcome, log: self.log.read()?, us })
    }

    fn run(&mut self, op: &Op) -> Result<Outcome, Failure> {
        match op {
            Op::MountOverlay { disk, layers, mode, via, options } => {
                return mounts::mount_overlay(*disk, *layers, *mode, *via, options);
            }
            Op::Compare { disk, file, bytes, seed } => {
                return data::compare(&mounts::merged(*disk, Layers::First).join(file), *bytes, *seed);
            }
            Op::CountedIo { disk } => return self.disk(*disk)?.counted().map(Outcome::Counted),
            Op::SameAsSnapshot { disk, scope } => return self.same_as_snapshot(*disk, *scope),
            Op::Attach { .. } | Op::MountUpper { .. } | Op::UnmountUpper { .. } | Op::BindUpper { .. } => {
                self.prepare(op)
            }
            Op::Break { disk, fault } => self.disk(*disk)?.break_with(fault, &mounts::upperdir(*disk)),
            Op::Heal { disk } => self.disk(*disk)?.heal(),
            Op::CountIo { disk } => self.disk(*disk)?.count(),
            Op::Snapshot { disk, scope } => {
                let snapshot = take(*disk, *scope)?;
                self.snapshots.insert((*disk, key(*scope)), snapshot);
                Ok(())
            }
            Op::SyncUpper { disk } => {
                let witness = self.witnesses.get(disk);
                let witness = witness.ok_or_else(|| Failure::new(format!("disk {disk} is not mounted")))?;
                context("syncfs", mounts::upper_filesystem(*disk, Via::Mount), syncfs(witness))
            }
            Op::ReloadOverlay => module::reload(&self.program.module),
            Op::Reset => self.reset(),
            _ => on_filesystem(op),
        }
        .map(|()| Outcome::Done)
    }

    /// What makes and unmakes disks and upper filesystems.
    fn prepare(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::Attach { disk } => {
                let backing = self.backing(*disk)?;
                if *backing != Backing::Memory {
                    self.disks.insert(*disk, Disk::attach(*disk, backing)?);
                }
            }
            Op::MountUpper { disk, options } => {
                let at = mounts::upper_filesystem(*disk, Via::Mount);
                mounts::mount_upper(&self.device(*disk)?, &at, &self.program.fs, options)?;
                mounts::make_layers(*disk)?;
                self.witnesses.insert(*disk, context("open", &at, File::open(&at))?);
            }
            Op::UnmountUpper { disk } => {
                self.witnesses.remove(disk);
                mounts::unmount_at(&mounts::upper_filesystem(*disk, Via::Mount))?;
                if let Some(disk) = self.disks.get(disk) {
                    disk.settle()?;
                }
            }
            Op::BindUpper { disk } => mounts::bind_upper(*disk)?,
            _ => return Err(Failure::new(format!("failed to prepare with {op:?}"))),
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Failure> {
        self.witnesses.clear();
        self.snapshots.clear();
        mounts::unmount_all(&self.mounted_at_start)?;
        for disk in std::mem::take(&mut self.disks).into_values() {
            disk.detach()?;
        }
        write_setting(WRITEBACK_INTERVAL, &self.writeback_interval)?;
        // Overlay does not go while anything still uses it.
        module::reload(&self.program.module)
    }

    fn backing(&self, id: Id) -> Result<&Backing, Failure> {
        self.program.disks.get(&id).ok_or_else(|| unknown(id))
    }

    /// What is mounted; a filesystem in memory has a name instead.
    fn device(&mut self, id: Id) -> Result<PathBuf, Failure> {
        match self.backing(id)? {
            Backing::Memory => Ok(PathBuf::from("none")),
            _ => Ok(self.disk(id)?.device.clone()),
        }
    }

    fn disk(&mut self, id: Id) -> Result<&mut Disk, Failure> {
        self.disks.get_mut(&id).ok_or_else(|| unknown(id))
    }

    fn same_as_snapshot(&self, disk: Id, scope: Scope) -> Result<Outcome, Failure> {
        let before = self.snapshots.get(&(disk, key(scope)));
        let before = before.ok_or_else(|| Failure::new(format!("disk {disk} was not remembered")))?;
        Ok(before.difference(&take(disk, scope)?).map_or(Outcome::Done, |what| Outcome::Differs { what }))
    }
}

/// What needs no more than paths.
fn on_filesystem(op: &Op) -> Result<(), Failure> {
    match op {
        Op::UnmountOverlay { disk, layers } => mounts::unmount_at(&mounts::merged(*disk, *layers)),
        Op::UnmountBind { disk } => mounts::unmount_at(&mounts::upper_filesystem(*disk, Via::Bind)),
        Op::FreshUpper { disk } => {
            for folder in [mounts::upperdir(*disk), mounts::workdir(*disk)] {
                context("remove", &folder, fs::remove_dir_all(&folder))?;
            }
            mounts::make_layers(*disk)
        }
        Op::RemoveMarker { disk } => marker::remove(&mounts::workdir(*disk)),
        Op::Forge { disk, forgery } => marker::forge(&mounts::workdir(*disk), *forgery),
        Op::Cycle { disk, times } => cycle(*disk, *times),
        Op::Write { disk, file, bytes, seed } => {
            data::write(&mounts::merged(*disk, Layers::First).join(file), *bytes, *seed)
        }
        Op::WriteBack => {
            sync();
            Ok(())
        }
        Op::WriteBackData { disk, file } => {
            let path = mounts::upperdir(*disk).join(file);
            let file = context("open", &path, File::open(&path))?;
            context("write back", &path, ioctl::write_back(&file))
        }
        Op::FsyncUpperFile { disk, file } => {
            let path = mounts::upperdir(*disk).join(file);
            let file = context("open", &path, File::open(&path))?;
            context("fsync", &path, file.sync_all())
        }
        Op::SyncUpperAfresh { disk } => {
            let at = mounts::upper_filesystem(*disk, Via::Mount);
            let file = context("open", &at, File::open(&at))?;
            context("syncfs", &at, syncfs(&file))
        }
        Op::UpperWritable { disk } => {
            let at = mounts::upper_filesystem(*disk, Via::Mount);
            match mounts::is_read_only(&at)? {
                true => Err(Failure { errno: libc::EROFS, what: format!("{} is read-only", at.display()) }),
                false => Ok(()),
            }
        }
        Op::PauseWriteback => write_setting(WRITEBACK_INTERVAL, "0"),
        Op::Sleep { ms } => {
            sleep(Duration::from_millis(*ms));
            Ok(())
        }
        _ => Err(Failure::new(format!("this guest does not know {op:?}"))),
    }
}

fn write_setting(path: &str, value: &str) -> Result<(), Failure> {
    context("write", path, fs::write(path, value))
}

fn cycle(disk: Id, times: u32) -> Result<(), Failure> {
    for time in 1..=times {
        let outcome = mounts::mount_overlay(disk, Layers::First, Mode::Volatile, Via::Mount, "")?;
        if outcome != (Outcome::Mounted { volatile: true, read_only: false }) {
            return Err(Failure::new(format!("mount {time} of {times} came out as {outcome:?}")));
        }
        mounts::unmount_at(&mounts::merged(disk, Layers::First))?;
    }
    Ok(())
}

fn take(disk: Id, scope: Scope) -> Result<Snapshot, Failure> {
    match scope {
        Scope::Tree => Snapshot::of_tree(&mounts::upper_filesystem(disk, Via::Mount)),
        Scope::Marker => {
            let marker = marker::path(&mounts::workdir(disk));
            Snapshot::of_files(&[marker.join("dirty"), marker])
        }
    }
}

fn key(scope: Scope) -> &'static str {
    match scope {
        Scope::Tree => "tree",
        Scope::Marker => "marker",
    }
}

fn unknown(disk: Id) -> Failure {
    Failure::new(format!("disk {disk} is not attached"))
}
