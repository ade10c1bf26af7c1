// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coverage counters of kernels with `CONFIG_GCOV_KERNEL`. Documentation/dev-tools/gcov.rst.

use std::fs;
use std::path::Path;

use vremount_protocol::Event;

use crate::channel::Channel;
use crate::error::{Failure, context};

/// Contains a `.gcda` file for each instrumented object, at the path where the object was compiled.
const PATH: &str = "/sys/kernel/debug/gcov";

/// Sends the counters of all instrumented objects, including those of unloaded modules.
pub fn report(channel: &mut Channel) -> Result<(), Failure> {
    if fs::exists(PATH).unwrap_or_default() { report_dir(Path::new(PATH), channel) } else { Ok(()) }
}

fn report_dir(dir: &Path, channel: &mut Channel) -> Result<(), Failure> {
    for entry in context("list", dir, fs::read_dir(dir))? {
        let path = context("list", dir, entry)?.path();
        // A `.gcno` link next to each `.gcda` file points to the build directory, which only the
        // host has.
        if path.is_dir() {
            report_dir(&path, channel)?;
        } else if path.extension().is_some_and(|extension| extension == "gcda") {
            let gcda = context("read", &path, fs::read(&path))?;
            let object = path.strip_prefix(PATH).unwrap_or(&path).display().to_string();
            channel.send(&Event::GcovData { object, gcda })?;
        }
    }
    Ok(())
}
