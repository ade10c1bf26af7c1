// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device-mapper devices, identified by name. The guest has no udev, so it uses the device nodes of
//! devtmpfs.

use std::path::PathBuf;

use devicemapper::{DM, DevId, DmError, DmFlags, DmName, DmOptions, errors};

use super::dm_table::Target;
use crate::error::Failure;

fn control() -> Result<DM, Failure> {
    DM::new().map_err(|error| Failure::new(format!("failed to open device-mapper: {error}")))
}

fn dm_name(name: &str) -> Result<&DmName, Failure> {
    DmName::new(name).map_err(Failure::new)
}

fn load_table(dm: &DM, id: &DevId<'_>, table: &[Target]) -> Result<(), Failure> {
    let targets: Vec<_> = table
        .iter()
        .map(|target| (target.start, target.length, target.kind.to_string(), target.params.clone()))
        .collect();
    dm.table_load(id, &targets, DmOptions::default())
        .map(drop)
        .map_err(|error| Failure::new(format!("failed to load the table {table:?}: {error}")))
}

fn resume(dm: &DM, id: &DevId<'_>) -> Result<(), Failure> {
    dm.device_suspend(id, DmOptions::default())
        .map(drop)
        .map_err(|error| Failure::new(format!("failed to resume a device: {error}")))
}

/// Creates a device with a table. Returns the path of its node.
pub fn create(name: &str, table: &[Target]) -> Result<PathBuf, Failure> {
    let dm = control()?;
    let dm_name = dm_name(name)?;
    let created = dm.device_create(dm_name, None, DmOptions::default());
    let info = created.map_err(|error| Failure::new(format!("failed to create device {name}: {error}")))?;
    let id = DevId::Name(dm_name);
    load_table(&dm, &id, table)?;
    resume(&dm, &id)?;
    Ok(PathBuf::from(format!("/dev/dm-{}", info.device().minor)))
}

/// Replaces the table while the filesystem on the device stays mounted. It does not freeze the
/// filesystem, which would sync it, and does not wait for I/O in flight, which may never complete
/// on a device with a fault.
pub fn replace_table(name: &str, table: &[Target]) -> Result<(), Failure> {
    let dm = control()?;
    let id = DevId::Name(dm_name(name)?);
    load_table(&dm, &id, table)?;
    let flags = DmFlags::DM_SUSPEND | DmFlags::DM_NOFLUSH | DmFlags::DM_SKIP_LOCKFS;
    let suspended = dm.device_suspend(&id, DmOptions::default().set_flags(flags));
    suspended.map_err(|error| Failure::new(format!("failed to suspend {name}: {error}")))?;
    resume(&dm, &id)
}

/// Sends a message to the target of the device, as `dmsetup message` does.
pub fn send_message(name: &str, message: &str) -> Result<(), Failure> {
    let sent = control()?.target_msg(&DevId::Name(dm_name(name)?), None, message);
    sent.map(drop).map_err(|error| Failure::new(format!("failed to send {message:?} to {name}: {error}")))
}

/// Removes a device.
pub fn remove(name: &str) -> Result<(), Failure> {
    let removed = control()?.device_remove(&DevId::Name(dm_name(name)?), DmOptions::default());
    removed.map(drop).map_err(|error| {
        // EBUSY can be the result of a reference that the kernel has leaked, so the errno is part
        // of the outcome.
        let errno = match &error {
            DmError::Core(errors::Error::Ioctl(_, _, _, errno)) => **errno as i32,
            _ => 0,
        };
        Failure::from_errno(errno, format!("failed to remove device {name}: {error}"))
    })
}
