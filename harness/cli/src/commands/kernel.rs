// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount kernel`

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_kernel::build::{self, Arch};
use vremount_kernel::workspace::Workspace;

use crate::args;
use crate::commands::KernelArgs;
use crate::error::Error;

/// One for QEMU and one for User Mode Linux. Level 0 builds the pristine kernel; any other the patched one, with the modules
/// of levels 1 to 4. Nothing that is in the cache is built again.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: KernelArgs,
    /// Build for this only; may be given more than once [default: both]
    #[arg(long, value_name = "ARCH", value_parser = args::arch())]
    arch: Vec<Arch>,
    /// Build nothing: print what the kernels would be kept under, the key of their content, a line each
    #[arg(long)]
    key: bool,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    let _cache = workspace.lock_cache_shared()?;
    let base = options.which.base(&workspace)?;
    let kernel_spec = options.which.kernel(&base);
    let wanted = |arch: &Arch| options.arch.is_empty() || options.arch.contains(arch);
    for arch in Arch::ALL.into_iter().filter(wanted) {
        if options.key {
            println!("{}", build::key(&workspace, &kernel_spec, arch)?);
            continue;
        }
        let kernel = build::kernel(&workspace, &kernel_spec, arch)?;
        println!("image   {}", kernel.image.display());
        println!("module  {}", kernel.module.path.display());
        println!("build   {}", kernel.build_id);
    }
    Ok(Exit::Success)
}
