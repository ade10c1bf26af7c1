// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount kernel`

use clap::Args;

use super::Which;
use crate::error::{Error, Exit};
use crate::project::Project;

/// Level 0 builds the pristine kernel; any other the patched one, with the modules of levels 1 to 4. Nothing that is in the
/// cache is built again.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let kernel = options.which.obtain(&Project::find()?)?;
    println!("image   {}", kernel.image.display());
    println!("module  {}", kernel.module.path.display());
    println!("build   {}", kernel.build_id);
    Ok(Exit::Holds)
}
