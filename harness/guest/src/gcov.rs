// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often each arc of the kernel's code was taken, on kernels that count (CONFIG_GCOV_KERNEL).

use std::fs;
use std::path::Path;

use vremount_protocol::Event;

use crate::channel::Channel;
use crate::error::{Failure, context};

/// Below it, each object that counts has a file where it was compiled.
const PATH: &str = "/sys/kernel/debug/gcov";

/// Tells of every object that counts, modules that are gone included.
pub fn tell(channel: &mut Channel) -> Result<(), Failure> {
    if fs::exists(PATH).unwrap_or_default() { tell_below(Path::new(PATH), channel) } else { Ok(()) }
}

fn tell_below(folder: &Path, channel: &mut Channel) -> Result<(), Failure> {
    for entry in context("read", folder, fs::read_dir(folder))? {
        let path = context("read", folder, entry)?.path();
        // Beside each there is a link to what gcc noted of the object when it was compiled, on the host.
        if path.is_dir() {
            tell_below(&path, channel)?;
        } else if path.extension().is_some_and(|ending| ending == "gcda") {
            let gcda = context("read", &path, fs::read(&path))?;
            let object = path.strip_prefix(PATH).unwrap_or(&path).display().to_string();
            channel.send(&Event::Arcs { object, gcda })?;
        }
    }
    Ok(())
}
