// SPDX-License-Identifier: MIT OR Apache-2.0
//! KVM or not. `/dev/kvm` may open, answer and create machines, and yet never run a guest: only a machine that booted
//! proves that others will.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::executor::Error;
use crate::monitor::{ExitReason, MachineOutput};
use crate::qemu::Qemu;
use crate::timeouts::Timeouts;

/// What runs guest code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    Kvm,
    /// Emulation: works everywhere, some ten times slower.
    Tcg,
}

impl Accel {
    /// As QEMU and reports spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg",
        }
    }
}

/// What was chosen, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccelChoice {
    pub accel: Accel,
    pub why: String,
}

/// Where in the cache the answer is remembered.
pub const ACCEL_FILE: &str = "accel.json";

/// With KVM a machine is ready in less than half a second.
const PROBE: Timeouts = Timeouts { silence: Duration::from_secs(3), total: Duration::from_secs(5) };

/// Chooses: KVM if a probe boot proves it, once for each boot of this machine and version of QEMU. `probe` runs a machine
/// with nothing to do within the limits it is given.
///
/// # Errors
/// If QEMU is not installed, or there is nothing to boot.
pub fn choose<E: From<Error>>(
    program: &Path,
    cache: &Path,
    probe: impl FnOnce(&Qemu, Timeouts) -> Result<MachineOutput, E>,
) -> Result<AccelChoice, E> {
    let version = Qemu::version(program)?;
    if let Err(cause) = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Ok(AccelChoice { accel: Accel::Tcg, why: format!("/dev/kvm cannot be used: {cause}") });
    }
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let remembered = ProbeCache { about: format!("{} {version}", boot_id.trim()), choice: None };
    let path = cache.join(ACCEL_FILE);
    if let Some(choice) = remembered.recall(&path) {
        return Ok(choice);
    }
    let run = probe(&Qemu::new(program, Accel::Kvm), PROBE)?;
    // A guest that said something and then failed says nothing about KVM in general.
    let lasting = run.end == ExitReason::Finished || matches!(run.end, ExitReason::Hung(_)) && run.events.is_empty();
    let choice = match run.end {
        ExitReason::Finished => AccelChoice { accel: Accel::Kvm, why: "a probe boot worked".to_string() },
        end => AccelChoice { accel: Accel::Tcg, why: format!("/dev/kvm opens, but in a probe boot {end}") },
    };
    if lasting {
        ProbeCache { choice: Some(choice.clone()), ..remembered }.keep(&path);
    }
    Ok(choice)
}

/// The answer and the machine it is about.
#[derive(Serialize, Deserialize)]
struct ProbeCache {
    about: String,
    choice: Option<AccelChoice>,
}

impl ProbeCache {
    fn recall(&self, path: &Path) -> Option<AccelChoice> {
        let known: ProbeCache = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (known.about == self.about).then_some(known.choice).flatten()
    }

    /// Forgetting costs no more than another probe.
    fn keep(&self, path: &Path) {
        let aside = path.with_extension(format!("json.{}", std::process::id()));
        if let Ok(json) = serde_json::to_vec(self)
            && path.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok())
            && fs::write(&aside, json).is_ok()
        {
            let _ = fs::rename(&aside, path);
        }
    }
}
