// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options that several commands have. Each is declared here once; a command flattens the structs
//! that it needs.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use vremount_analysis::bisect::BisectOptions;
use vremount_analysis::command_line::{quote, quote_path};
use vremount_claims::filter::Filters;
use vremount_kernel::base::{Base, Level, Spec};
use vremount_kernel::build::{Arch, KernelSpec};
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_util::redact::strip_credentials;

/// Groups of options in `--help`.
pub mod heading {
    /// What kernel is built.
    pub const KERNEL: &str = "Kernel";
    /// What is run on it.
    pub const SELECTION: &str = "Selection";
    /// How it is run.
    pub const EXECUTION: &str = "Execution";
    /// What is printed and written.
    pub const OUTPUT: &str = "Output";
}

/// Options that select one kernel of any source.
#[derive(Args)]
#[command(next_help_heading = heading::KERNEL)]
pub struct KernelArgs {
    /// Kernel base: a name from ci/bases.toml, git:URL#COMMIT, or tarball:PATH-OR-URL[#SHA256]
    /// [default: `default` of ci/bases.toml]
    #[arg(long, value_name = "BASE", conflicts_with = "tree")]
    pub base: Option<Spec>,
    /// Git work tree of a kernel, built as it is, with uncommitted changes; it is only read
    #[arg(long, value_name = "PATH")]
    pub tree: Option<PathBuf>,
    /// Number of patches of the series to apply, 0 (unmodified kernel) to 4 (all)
    #[arg(long, value_name = "N", default_value_t = Level::FULL)]
    pub level: Level,
    #[command(flatten)]
    pub config: ConfigArg,
}

impl KernelArgs {
    /// Source of the kernel; none for the default base.
    pub fn spec(&self) -> Option<Spec> {
        self.tree.clone().map(Spec::Tree).or_else(|| self.base.clone())
    }

    /// The kernel to build from `base`.
    pub fn kernel<'a>(&'a self, base: &'a Base) -> KernelSpec<'a> {
        let fragment = self.config.fragment();
        KernelSpec { base, level: self.level, fragment, shared_build: None, mutant: None }
    }

    /// These options as words of a shell command line, without credentials.
    pub fn to_command_line(&self) -> String {
        let KernelArgs { base, tree, level, config } = self;
        let base = base.as_ref().map(|base| quote(&strip_credentials(&base.to_string())));
        let tree = tree.as_ref().map(|tree| quote_path(tree));
        let config = config.fragment().map(quote);
        let level = Some(level.number().to_string());
        let options = [("--base", base), ("--tree", tree), ("--config", config), ("--level", level)];
        let given = options.into_iter().filter_map(|(option, value)| Some(format!("{option} {}", value?)));
        given.collect::<Vec<_>>().join(" ")
    }
}

/// `--config`.
#[derive(Args)]
#[command(next_help_heading = heading::KERNEL)]
pub struct ConfigArg {
    /// Additional configuration fragment: NAME.config in vm-images/config/, such as `debug`
    #[arg(long, value_name = "NAME")]
    pub config: Option<String>,
}

impl ConfigArg {
    /// Name of the fragment.
    pub fn fragment(&self) -> Option<&str> {
        self.config.as_deref()
    }
}

/// `--base` of commands that take one base of ci/bases.toml.
#[derive(Args)]
#[command(next_help_heading = heading::KERNEL)]
pub struct BaseNameArg {
    /// Kernel base: a name from ci/bases.toml [default: `default` of ci/bases.toml]
    #[arg(long, value_name = "NAME")]
    pub base: Option<String>,
}

/// `--base` of commands that take any number of bases of ci/bases.toml.
#[derive(Args)]
#[command(next_help_heading = heading::KERNEL)]
pub struct BaseNamesArg {
    /// Kernel base: a name from ci/bases.toml; can be repeated [default: all of ci/bases.toml]
    #[arg(long = "base", value_name = "NAME")]
    pub bases: Vec<String>,
}

/// Options that select claims and filesystems. Several options of one kind select more, options of
/// different kinds select less.
#[derive(Args)]
#[command(next_help_heading = heading::SELECTION)]
pub struct FilterArgs {
    /// Select this claim; can be repeated [default: all claims]
    #[arg(long = "claim", value_name = "NAME")]
    claims: Vec<String>,
    /// Select the claims of this topic; can be repeated [default: all topics]
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Select the claims that inject this fault; can be repeated [default: all claims, with and
    /// without faults]
    #[arg(long = "fault", value_name = "NAME")]
    faults: Vec<String>,
    #[command(flatten)]
    filesystems: FilesystemsArg,
}

impl FilterArgs {
    /// The filters that the options describe.
    pub fn filters(&self) -> Filters {
        Filters {
            claims: self.claims.clone(),
            tags: self.tags.clone(),
            faults: self.faults.clone(),
            filesystems: self.filesystems.filesystems.clone(),
        }
    }
}

/// `--fs` of commands that take any number of filesystems, all by default.
#[derive(Args)]
#[command(next_help_heading = heading::SELECTION)]
pub struct FilesystemsArg {
    #[arg(long = "fs", value_name = "NAME", help = fs_help("; can be repeated [default: all]"))]
    filesystems: Vec<Fs>,
}

/// `--fs` of commands that take one filesystem.
#[derive(Args)]
#[command(next_help_heading = heading::SELECTION)]
pub struct FsArg {
    #[arg(long, value_name = "NAME", default_value = Fs::Ext4.name(), help = fs_help(""))]
    pub fs: Fs,
}

/// Help of `--fs`, with the names of all filesystems and a command's own rules.
pub fn fs_help(rules: &str) -> String {
    let names: Vec<_> = Fs::ALL.into_iter().map(Fs::name).collect();
    format!("Upper filesystem: {}{rules}", names.join(", "))
}

/// `--executor`. Without the option it is User Mode Linux if `UML_IS_DEFAULT`, else the automatic
/// choice.
#[derive(Args)]
#[command(next_help_heading = heading::EXECUTION)]
pub struct ExecutorArg<const UML_IS_DEFAULT: bool> {
    /// Executor that runs the machines
    #[arg(long, value_parser = executor(), default_value = if UML_IS_DEFAULT { "uml" } else { "auto" })]
    pub executor: ExecutorChoice,
}

/// `--jobs`.
#[derive(Args)]
#[command(next_help_heading = heading::EXECUTION)]
pub struct JobsArg {
    /// Maximum number of machines that run at the same time; fewer run if memory is short [default:
    /// number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// `--json`.
#[derive(Args)]
#[command(next_help_heading = heading::OUTPUT)]
pub struct JsonArg {
    /// Write all results to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `--output`.
#[derive(Args)]
#[command(next_help_heading = heading::OUTPUT)]
pub struct PageArg {
    /// Write an HTML page to FILE; it is one file that loads nothing else
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options that say what is checked on each kernel of a bisection.
#[derive(Args)]
pub struct BisectArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    executor: ExecutorArg<true>,
    /// Check each kernel N times; a kernel with differing results is skipped, with a warning
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..),
        help_heading = heading::EXECUTION)]
    repeat: u16,
}

impl BisectArgs {
    /// The options of the bisection.
    pub fn options(&self) -> BisectOptions {
        BisectOptions {
            filters: self.filters.filters(),
            executor: self.executor.executor,
            config: self.config.config.clone(),
            repeat: self.repeat,
        }
    }
}

/// Parses an executor and lists all of them in `--help`.
pub fn executor() -> impl TypedValueParser<Value = ExecutorChoice> {
    let values = [
        PossibleValue::new("auto")
            .help("QEMU if a probe boot shows that KVM works, else User Mode Linux if it runs here, else QEMU"),
        PossibleValue::new("qemu").help("QEMU, with KVM if a probe boot shows that it works, else with emulation"),
        PossibleValue::new("uml").help("User Mode Linux with time travel"),
    ];
    PossibleValuesParser::new(values).map(|name| match name.as_str() {
        "qemu" => ExecutorChoice::Qemu,
        "uml" => ExecutorChoice::Uml,
        _ => ExecutorChoice::Auto,
    })
}

/// Parses an architecture and lists all of them in `--help`.
pub fn arch() -> impl TypedValueParser<Value = Arch> {
    let values = [
        PossibleValue::new("x86_64").help("Kernel for QEMU"),
        PossibleValue::new("um").help("User Mode Linux, a kernel that is a program of the host"),
    ];
    PossibleValuesParser::new(values).map(|name| if name == "um" { Arch::Um } else { Arch::X86_64 })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Parser)]
    struct OnlyKernel {
        #[command(flatten)]
        kernel: KernelArgs,
    }

    #[rstest]
    #[case::default(&[], "--level 4")]
    #[case::name(&["--base", "5.10.13", "--level", "2"], "--base 5.10.13 --level 2")]
    #[case::credentials_are_removed(&["--base", "git:https://me:secret@a.example/l.git#v6"],
        "--base 'git:https://a.example/l.git#v6' --level 4")]
    #[case::space(&["--tree", "/src/my linux"], "--tree '/src/my linux' --level 4")]
    #[case::apostrophe(&["--tree", "/src/it's"], "--tree \"/src/it's\" --level 4")]
    fn kernel_options_survive_a_shell(#[case] args: &[&str], #[case] expected: &str) {
        let parsed = OnlyKernel::try_parse_from(["vremount"].iter().chain(args)).unwrap();
        let line = parsed.kernel.to_command_line();
        assert_eq!(line, expected);
        let words = shlex::split(&line).unwrap();
        let again = OnlyKernel::try_parse_from(["vremount".to_string()].into_iter().chain(words)).unwrap();
        assert_eq!(again.kernel.to_command_line(), line);
    }
}
