// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims, and what an exploration found, as shell scripts, for those who have nothing of ours: the same steps with the usual tools, and what they must
//! lead to.

mod check;
mod library;
mod script;
mod shell_call;
mod xfstests;

pub use check::{Checker, ScriptRun};
pub use script::{expected, of_claim, script};
use vremount_claims::{HostStep, Step};
use vremount_machine::image::Fs;
pub use xfstests::{Test, test};

/// Why steps have no script: what a shell cannot do.
pub type Unsupported = &'static str;

/// Why steps cannot be a script, wherever they are worked off.
#[must_use]
pub fn no_script(steps: &[Step]) -> Option<Unsupported> {
    steps.iter().find_map(|step| match step {
        Step::Precondition(op, want) | Step::Assertion(op, want) => {
            shell_call::call(op, Fs::Ext4).err().or_else(|| shell_call::expectation(op, *want).err())
        }
        Step::Host(HostStep::Reboot | HostStep::PowerCut | HostStep::Kexec) => {
            Some("the machine starts anew in the middle of it, which no script outlives")
        }
    })
}
