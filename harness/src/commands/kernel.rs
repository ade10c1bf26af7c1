// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount kernel`

use clap::Args;

use super::Which;
use crate::build::{self, Arch};
use crate::error::{Error, Exit};
use crate::project::Project;

/// One for QEMU and one for User Mode Linux. Level 0 builds the pristine kernel; any other the patched one, with the modules
/// of levels 1 to 4. Nothing that is in the cache is built again.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let project = Project::find()?;
    let _cache = project.use_cache()?;
    let base = options.which.base(&project)?;
    for arch in Arch::ALL {
        let kernel = build::kernel(&project, &options.which.kernel(&base), arch)?;
        println!("image   {}", kernel.image.display());
        println!("module  {}", kernel.module.path.display());
        println!("build   {}", kernel.build_id);
    }
    Ok(Exit::Holds)
}
