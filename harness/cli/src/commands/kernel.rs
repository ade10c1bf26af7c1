// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount kernel`

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_kernel::build::{self, Arch};

use crate::args::{self, KernelArgs, heading};
use crate::error::Error;
use crate::run_setup::RunSetup;

/// Obtain, patch and build a kernel
///
/// Builds one kernel for QEMU and one for User Mode Linux. Level 0 builds the unmodified kernel.
/// Every other level builds the kernel with all patches, and one overlay module for each of the
/// levels 1 to 4. Kernels and modules in the cache are not built again. Prints image, module and
/// build id; target/kernel/ has links to them.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    kernel: KernelArgs,
    /// Architecture to build for; can be repeated [default: both]
    #[arg(long, value_name = "ARCH", value_parser = args::arch(), help_heading = heading::KERNEL)]
    arch: Vec<Arch>,
    /// Print the key under which each kernel is cached, one per line, and build nothing
    #[arg(long, help_heading = heading::OUTPUT)]
    key: bool,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let RunSetup { workspace, base } = RunSetup::open(options.kernel.spec().as_ref())?;
    let kernel_spec = options.kernel.kernel(&base);
    let is_selected = |arch: &Arch| options.arch.is_empty() || options.arch.contains(arch);
    for arch in Arch::ALL.into_iter().filter(is_selected) {
        if options.key {
            println!("{}", build::cache_key(&workspace, &kernel_spec, arch)?);
            continue;
        }
        let kernel = build::build_kernel(&workspace, &kernel_spec, arch)?;
        println!("image   {}", kernel.image.display());
        println!("module  {}", kernel.module.path.display());
        println!("build   {}", kernel.build_id);
    }
    Ok(Exit::Success)
}
