// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device-mapper devices, by name. There is no udev: a device's node is the kernel's own.

use std::path::PathBuf;

use devicemapper::{DM, DevId, DmError, DmFlags, DmName, DmOptions, errors};

use crate::error::Failure;
use crate::fault::Line;

fn control() -> Result<DM, Failure> {
    DM::new().map_err(|error| Failure::new(format!("failed to open device-mapper: {error}")))
}

fn dm_name(name: &str) -> Result<&DmName, Failure> {
    DmName::new(name).map_err(Failure::new)
}

fn load(dm: &DM, id: &DevId<'_>, table: &[Line]) -> Result<(), Failure> {
    let lines: Vec<_> =
        table.iter().map(|line| (line.start, line.length, line.target.to_string(), line.params.clone())).collect();
    dm.table_load(id, &lines, DmOptions::default())
        .map(drop)
        .map_err(|error| Failure::new(format!("failed to load the table {table:?}: {error}")))
}

fn resume(dm: &DM, id: &DevId<'_>) -> Result<(), Failure> {
    dm.device_suspend(id, DmOptions::default())
        .map(drop)
        .map_err(|error| Failure::new(format!("failed to resume a device: {error}")))
}

/// A new device; its node.
pub fn create(name: &str, table: &[Line]) -> Result<PathBuf, Failure> {
    let dm = control()?;
    let dm_name = dm_name(name)?;
    let created = dm.device_create(dm_name, None, DmOptions::default());
    let info = created.map_err(|error| Failure::new(format!("failed to create device {name}: {error}")))?;
    let id = DevId::Name(dm_name);
    load(&dm, &id, table)?;
    resume(&dm, &id)?;
    Ok(PathBuf::from(format!("/dev/dm-{}", info.device().minor)))
}

/// Replaces the table under a mounted filesystem. Neither is the filesystem frozen, which would sync it, nor is I/O waited
/// for that a broken disk may never finish.
pub fn reload(name: &str, table: &[Line]) -> Result<(), Failure> {
    let dm = control()?;
    let id = DevId::Name(dm_name(name)?);
    load(&dm, &id, table)?;
    let quick = DmFlags::DM_SUSPEND | DmFlags::DM_NOFLUSH | DmFlags::DM_SKIP_LOCKFS;
    let suspended = dm.device_suspend(&id, DmOptions::default().set_flags(quick));
    suspended.map_err(|error| Failure::new(format!("failed to suspend {name}: {error}")))?;
    resume(&dm, &id)
}

/// Tells a target of the device something, as `dmsetup message` does.
pub fn message(name: &str, text: &str) -> Result<(), Failure> {
    let sent = control()?.target_msg(&DevId::Name(dm_name(name)?), None, text);
    sent.map(drop).map_err(|error| Failure::new(format!("failed to send {text:?} to {name}: {error}")))
}

pub fn remove(name: &str) -> Result<(), Failure> {
    let removed = control()?.device_remove(&DevId::Name(dm_name(name)?), DmOptions::default());
    removed.map(drop).map_err(|error| {
        // What still uses it may be something that the kernel should have let go of.
        let errno = match &error {
            DmError::Core(errors::Error::Ioctl(_, _, _, errno)) => **errno as i32,
            _ => 0,
        };
        Failure { errno, what: format!("failed to remove device {name}: {error}") }
    })
}
