// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options that several commands have.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use vremount_analysis::bisect::BisectOptions;
use vremount_claims::filter::Filters;
use vremount_kernel::build::Arch;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;

/// Which claims to run and on which filesystems. Options of different kinds narrow the choice, more of one kind widen it.
#[derive(Args)]
pub struct FilterArgs {
    /// Prove this claim only; may be given more than once, as all that narrow the choice
    #[arg(long = "claim", value_name = "NAME")]
    claims: Vec<String>,
    /// Prove claims of this topic only
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Prove claims only that break something this way
    #[arg(long = "fault", value_name = "NAME")]
    faults: Vec<String>,
    /// Upper filesystem [default: all]
    #[arg(long = "fs", value_name = "NAME")]
    filesystems: Vec<Fs>,
}

impl FilterArgs {
    /// The filters that the options stand for.
    pub fn filters(&self) -> Filters {
        Filters {
            claims: self.claims.clone(),
            tags: self.tags.clone(),
            faults: self.faults.clone(),
            filesystems: self.filesystems.clone(),
        }
    }
}

/// What is proved of each kernel of a bisection.
#[derive(Args)]
pub struct BisectArgs {
    #[command(flatten)]
    filters: FilterArgs,
    /// What machines run on
    #[arg(long, value_parser = executor(), default_value = "uml")]
    executor: ExecutorChoice,
    /// A further configuration fragment, from vm-images/config/, such as `debug`
    #[arg(long, value_name = "NAME")]
    config: Option<String>,
    /// Prove everything that many times; a kernel that does not always do the same is skipped, with a warning
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
}

impl BisectArgs {
    /// The options of the bisection that they stand for.
    pub fn how(&self) -> BisectOptions {
        BisectOptions {
            filters: self.filters.filters(),
            executor: self.executor,
            config: self.config.clone(),
            repeat: self.repeat,
        }
    }
}

/// Parses an executor, and lists all of them in `--help`.
pub fn executor() -> impl TypedValueParser<Value = ExecutorChoice> {
    let values = [
        PossibleValue::new("auto")
            .help("QEMU where a probe boot proves that KVM works, else User Mode Linux where that runs, else QEMU"),
        PossibleValue::new("qemu").help("QEMU: with KVM where a probe boot proves that it works, else emulated"),
        PossibleValue::new("uml").help("User Mode Linux with time travel"),
    ];
    PossibleValuesParser::new(values).map(|name| match name.as_str() {
        "qemu" => ExecutorChoice::Qemu,
        "uml" => ExecutorChoice::Uml,
        _ => ExecutorChoice::Auto,
    })
}

/// Parses an architecture, and lists all of them in `--help`.
pub fn arch() -> impl TypedValueParser<Value = Arch> {
    let values = [
        PossibleValue::new("x86_64").help("For QEMU"),
        PossibleValue::new("um").help("User Mode Linux: a kernel that is a program of the host"),
    ];
    PossibleValuesParser::new(values).map(|name| if name == "um" { Arch::Um } else { Arch::X86_64 })
}
