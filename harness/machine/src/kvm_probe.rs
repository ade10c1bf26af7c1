// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chooses between KVM and emulation by booting a machine.
//!
//! On some hosts `/dev/kvm` can be opened and creates virtual machines, but never runs guest code.
//! Only a boot shows that KVM works.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vremount_util::atomic_file::AtomicFile;

use crate::accel::Accel;
use crate::executor::Error;
use crate::output::{ExitReason, MachineOutput};
use crate::qemu::Qemu;
use crate::timeouts::Timeouts;

/// The chosen accelerator and the reason for the choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccelChoice {
    /// The accelerator to use.
    pub accel: Accel,
    /// Why it was chosen, as a clause for people: `a probe boot worked`.
    #[serde(rename = "why")]
    pub reason: String,
}

/// Name of the file in the cache directory that stores the result of the probe.
pub const ACCEL_FILE: &str = "accel.json";

/// Timeouts of the probe boot. With working KVM, a machine is ready in less than half a second.
const PROBE_TIMEOUTS: Timeouts = Timeouts { silence: Duration::from_secs(3), total: Duration::from_secs(5) };

/// Chooses KVM if a probe boot works with it, and emulation otherwise.
///
/// `probe` boots a machine without any operations within the given timeouts. The result is stored
/// in `cache` and reused until the host reboots or QEMU (`program`) changes its version. A result
/// that may not be due to KVM is not stored.
///
/// # Errors
/// [`Error::NoQemu`] if `program` cannot be run, and any error of `probe`.
pub fn choose_accel<E: From<Error>>(
    program: &Path,
    cache: &Path,
    probe: impl FnOnce(&Qemu, Timeouts) -> Result<MachineOutput, E>,
) -> Result<AccelChoice, E> {
    let version = Qemu::version(program)?;
    if let Err(cause) = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Ok(AccelChoice { accel: Accel::Tcg, reason: format!("/dev/kvm cannot be opened: {cause}") });
    }
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let key = format!("{} {version}", boot_id.trim());
    let path = cache.join(ACCEL_FILE);
    if let Some(choice) = ProbeCache::load(&path, &key) {
        return Ok(choice);
    }
    let output = probe(&Qemu::new(program, Accel::Kvm), PROBE_TIMEOUTS)?;
    // If the guest sent events before it failed, KVM ran it: the failure has another cause and may
    // not occur again.
    let is_conclusive = output.exit_reason == ExitReason::Finished
        || matches!(output.exit_reason, ExitReason::Hung(_)) && output.events.is_empty();
    let choice = match output.exit_reason {
        ExitReason::Finished => AccelChoice { accel: Accel::Kvm, reason: "a probe boot worked".to_string() },
        end => {
            AccelChoice { accel: Accel::Tcg, reason: format!("/dev/kvm can be opened, but a probe boot failed: {end}") }
        }
    };
    if is_conclusive {
        ProbeCache { key, choice: choice.clone() }.store(&path);
    }
    Ok(choice)
}

/// Content of [`ACCEL_FILE`].
#[derive(Serialize, Deserialize)]
struct ProbeCache {
    /// Boot id of the host and version of QEMU.
    #[serde(rename = "about")]
    key: String,
    choice: AccelChoice,
}

impl ProbeCache {
    fn load(path: &Path, key: &str) -> Option<AccelChoice> {
        let stored: ProbeCache = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (stored.key == key).then_some(stored.choice)
    }

    /// Errors are ignored: without the file, the next run probes again.
    fn store(&self, path: &Path) {
        if let Ok(json) = serde_json::to_string(self)
            && path.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok())
            && let Ok(file) = AtomicFile::new(path)
        {
            let _ = file.write(&json);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_choice_is_valid_for_its_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache").join(ACCEL_FILE);
        let choice = AccelChoice { accel: Accel::Kvm, reason: "a probe boot worked".to_string() };
        ProbeCache { key: "boot 1, QEMU 7.2".to_string(), choice: choice.clone() }.store(&path);
        assert_eq!(ProbeCache::load(&path, "boot 1, QEMU 7.2"), Some(choice));
        assert_eq!(ProbeCache::load(&path, "boot 2, QEMU 7.2"), None);
    }

    #[test]
    fn missing_or_malformed_file_is_ignored() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(ProbeCache::load(Path::new("/nowhere"), ""), None);
        assert_eq!(ProbeCache::load(file.path(), ""), None);
    }
}
