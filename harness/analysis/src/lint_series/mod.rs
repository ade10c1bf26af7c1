// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the tools of kernel reviewers on a series, level by level. A warning counts at a level only
//! if the level below does not have it.

mod diagnostics;
mod finding;
mod sparse;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use diagnostics::{Messages, checkpatch, messages, missing_diffstat_lines, new_messages, run_linter};
pub use finding::{Check, Finding, Outcome};
use vremount_kernel::base::{Base, Level};
use vremount_kernel::build::{Arch, BuildDir, KernelSpec, Make};
use vremount_kernel::series::Series;
use vremount_kernel::source::Tree;
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{build, resolve, series, source};
use vremount_util::{command, io_error, progress};

use crate::mutants;

/// Name of the configuration fragment that builds overlayfs into the kernel.
const BUILT_IN: &str = "overlay-built-in";

/// Checks that need a series that applies.
const NEED_APPLIED: [Check; 8] = [
    Check::CoverLetter,
    Check::Mutants,
    Check::Module,
    Check::BuiltIn,
    Check::Sparse,
    Check::Style,
    Check::KernelDoc,
    Check::Rst,
];

/// Checks the series of a base at every level.
///
/// # Errors
/// If the source cannot be obtained, a tool is missing, or the pristine tree does not build.
pub fn check_series(workspace: &Workspace, base: &Base) -> Result<Vec<Finding>, build::Error> {
    let _lock = workspace.lock(&format!("check-{}", base.name))?;
    let scratch = workspace.cache.join("build").join(format!("check-{}", base.name));
    let (tree, objects, log) = (scratch.join("source"), scratch.join("objects"), scratch.join("log"));
    let pristine = source::obtain(workspace, &base.source)?;
    fs::create_dir_all(&scratch).map_err(io_error("create", &scratch))?;
    let made = BuildDir::open(&pristine, &scratch, [&objects, &tree])?;
    made.record_start()?;
    let series = build::read_series(workspace, &KernelSpec::new(base), Arch::Um)?;
    let checker =
        Checker { workspace, base, pristine: &pristine, series: &series, tree: &tree, objects: &objects, log: &log };
    let mut findings = checker.applies()?;
    let is_about_other_files = |check| matches!(check, Check::CoverLetter | Check::Mutants);
    let applies = |finding: &Finding| is_about_other_files(finding.check) || finding.outcome == Outcome::Clean;
    let not_made = |checks: &[Check], why: &str| {
        checks.iter().map(|check| Finding::undecided(Level::FULL, *check, why)).collect::<Vec<_>>()
    };
    if findings.iter().all(applies) {
        findings.extend(checker.compiles()?);
        findings.extend(checker.reads()?);
    } else {
        findings.extend(not_made(&NEED_APPLIED, "not checked: the series does not apply"));
    }
    findings.push(checker.has()?);
    if findings.iter().any(|finding| matches!(finding.outcome, Outcome::Found(_))) {
        findings.extend(not_made(&[Check::Links], "not checked: correct the other findings first"));
    } else {
        findings.push(checker.links());
    }
    made.record_end(None)?;
    Ok(findings)
}

/// The messages of git if a patch does not apply.
fn apply_outcome(applied: Result<(), series::Error>) -> Outcome {
    match applied {
        Ok(()) => Outcome::Clean,
        Err(series::Error::DoesNotApply { output, .. }) => {
            Outcome::Found(output.lines().map(ToString::to_string).collect())
        }
        Err(error) => Outcome::CannotTell(error.to_string()),
    }
}

struct Checker<'a> {
    workspace: &'a Workspace,
    base: &'a Base,
    pristine: &'a Tree,
    series: &'a Series,
    tree: &'a Path,
    objects: &'a Path,
    log: &'a Path,
}

impl Checker<'_> {
    fn applies(&self) -> Result<Vec<Finding>, build::Error> {
        let mut findings = Vec::new();
        for level in Level::patched() {
            let outcome = apply_outcome(self.series.check_out(self.pristine, self.tree, level));
            findings.push(Finding { level, check: Check::Applies, outcome });
        }
        let outcome = apply_outcome(self.series.check_out_single_patch(self.pristine, self.tree, Level::DOCUMENTED));
        findings.push(Finding { level: Level::DOCUMENTED, check: Check::AppliesAlone, outcome });
        if findings.iter().all(|finding| finding.outcome == Outcome::Clean) {
            let path = self.workspace.root.join("patches").join(&self.base.series).join(series::COVER_LETTER);
            let wrong = match fs::read_to_string(&path) {
                Ok(letter) => missing_diffstat_lines(&letter, &self.series.diffstat(self.pristine)?),
                Err(error) => vec![format!("{}: {error}", path.display())],
            };
            findings.push(Finding { level: Level::FULL, check: Check::CoverLetter, outcome: wrong.into() });
            let folder = mutants::folder(&self.workspace.root, &self.base.series);
            // Not every series has mutants.
            if folder.is_dir() {
                let failed = mutants::inapplicable(&folder, self.series, self.pristine)?;
                let lines: Vec<_> = failed.iter().map(|patch| format!("{} does not apply", patch.display())).collect();
                findings.push(Finding { level: Level::FULL, check: Check::Mutants, outcome: lines.into() });
            }
        }
        Ok(findings)
    }

    /// Compares the features in `ci/bases.toml` with the source. A missing feature would silently
    /// skip claims.
    fn has(&self) -> Result<Finding, build::Error> {
        let in_source = resolve::detect_features(self.pristine, self.base)?;
        let describe = |feature| {
            if in_source.contains(feature) { "is in the source, add it" } else { "is not in the source, remove it" }
        };
        let differing = in_source.symmetric_difference(&self.base.features);
        let lines: Vec<_> = differing.map(|feature| format!("has: {feature} {}", describe(feature))).collect();
        Ok(Finding { level: Level::PRISTINE, check: Check::Has, outcome: lines.into() })
    }

    /// Compiles the sources that the series changes at each level, as a module, built in, and with
    /// sparse.
    fn compiles(&self) -> Result<Vec<Finding>, build::Error> {
        let mut findings = Vec::new();
        for (check, fragment) in
            [(Check::Module, None), (Check::BuiltIn, Some(BUILT_IN)), (Check::Sparse, Some(BUILT_IN))]
        {
            let make = self.configure(Level::PRISTINE, fragment)?;
            let sparse = (check == Check::Sparse).then(|| sparse::find(self.workspace, self.tree)).transpose();
            let sparse = match sparse {
                Ok(sparse) => sparse.map(|path| format!("CHECK={}", path.display())),
                Err(why) => {
                    findings.extend(Level::patched().map(|level| Finding::undecided(level, check, &why)));
                    continue;
                }
            };
            let checker = sparse.as_deref().map_or(vec!["C=0"], |check| vec![check, "C=2"]);
            let _progress = progress::start(format!("compiling overlayfs of Linux {}, {check}", self.base.name));
            make.run("the preparation for modules", &["modules_prepare"])?;
            findings.extend(self.new_at_each_level(check, || {
                self.remove_objects()?;
                make.run("overlayfs", &[&checker[..], &["W=1", "fs/overlayfs/", "fs/super.o"]].concat())?;
                let output = fs::read_to_string(self.log).map_err(io_error("read", self.log))?;
                if check == Check::Sparse {
                    sparse::ensure_used(&output)?;
                }
                Ok(output)
            })?);
        }
        Ok(findings)
    }

    /// Removes object files, so that make compiles all of them at each level and repeats their
    /// warnings.
    fn remove_objects(&self) -> Result<(), build::Error> {
        let (folder, object) = (self.objects.join("fs/overlayfs"), self.objects.join("fs/super.o"));
        for (path, removed) in [(&folder, fs::remove_dir_all(&folder)), (&object, fs::remove_file(&object))] {
            if let Err(cause) = removed
                && cause.kind() != ErrorKind::NotFound
            {
                return Err(io_error("remove", path)(cause).into());
            }
        }
        Ok(())
    }

    /// Builds a kernel with the whole series and overlayfs built in. If that fails, the pristine
    /// kernel is built to find out whether the series is the cause.
    fn links(&self) -> Finding {
        let _progress = progress::start(format!("building Linux {} with overlay built in", self.base.name));
        let outcome = match self.link(Level::FULL) {
            Ok(()) => Outcome::Clean,
            Err(error) if !error.is_kernel_failure() => Outcome::CannotTell(error.to_string()),
            Err(error) => match self.link(Level::PRISTINE) {
                Ok(()) => Outcome::Found(vec![error.to_string()]),
                Err(pristine_error) => Outcome::CannotTell(pristine_error.to_string()),
            },
        };
        Finding { level: Level::FULL, check: Check::Links, outcome }
    }

    fn link(&self, level: Level) -> Result<(), build::Error> {
        command::ensure_free_space("build a kernel", self.objects, build::BUILD_SPACE_MIB)?;
        let make = self.configure(level, Some(BUILT_IN))?;
        make.run("Linux with overlay built in", &[Arch::Um.image_target()])
    }

    /// Checks out a level and configures it, with a further fragment.
    fn configure(&self, level: Level, fragment: Option<&str>) -> Result<Make<'_>, build::Error> {
        let make = Make::new(self.base, Arch::Um, self.tree, self.objects, self.log.to_path_buf());
        let fragments = build::config_fragments(&self.workspace.root, Arch::Um, &self.base.config_fragments, fragment)?;
        self.series.check_out(self.pristine, self.tree, level)?;
        build::configure(&make, &fragments)?;
        Ok(make)
    }

    /// Runs the checks that only read the patches and the tree.
    fn reads(&self) -> Result<Vec<Finding>, build::Error> {
        let mut findings = Vec::new();
        for level in Level::patched() {
            let mut command = Command::new(self.tree.join("scripts/checkpatch.pl"));
            command.args(["--strict", "--terse", "--no-summary"]).args(self.series.patch_file(level));
            let outcome = checkpatch(command.current_dir(self.tree));
            findings.push(Finding { level, check: Check::Style, outcome });
        }
        let changed = self.series.changed_paths(self.pristine)?;
        let (sources, documents): (Vec<_>, Vec<_>) = changed
            .lines()
            .map(PathBuf::from)
            .partition(|path| path.extension().is_none_or(|extension| extension != "rst"));
        findings.extend(self.new_at_each_level(Check::KernelDoc, || {
            let mut command = Command::new(self.tree.join("scripts/kernel-doc"));
            Ok(run_linter(command.arg("-none").args(&sources).current_dir(self.tree))?)
        })?);
        findings.extend(self.new_at_each_level(Check::Rst, || {
            let mut all = String::new();
            for document in &documents {
                let mut command = Command::new("rst2html");
                command.args(["--report=info", "--halt=none"]).arg(document).arg("/dev/null");
                all += &run_linter(command.current_dir(self.tree))?;
            }
            Ok(all)
        })?);
        Ok(findings)
    }

    /// Runs a tool at each level and reports the messages that the level below does not have.
    fn new_at_each_level(
        &self,
        check: Check,
        mut run_tool: impl FnMut() -> Result<String, build::Error>,
    ) -> Result<Vec<Finding>, build::Error> {
        let mut below: Option<Messages> = None;
        let mut findings = Vec::new();
        for level in [Level::PRISTINE].into_iter().chain(Level::patched()) {
            self.series.check_out(self.pristine, self.tree, level)?;
            let current = match run_tool() {
                Ok(text) => messages(&text),
                // The levels above are undecided too: there are no messages to compare with.
                Err(build::Error::Command(error)) => {
                    let from = level.max(Level::FIRST);
                    let rest = Level::patched().filter(|level| *level >= from);
                    let why = format!("level {level}: {error}");
                    findings.extend(rest.map(|level| Finding::undecided(level, check, &why)));
                    break;
                }
                // A build error of the pristine tree is not a finding, but leaves nothing to
                // compare with.
                Err(build::Error::MakeFailed { first, .. }) if level != Level::PRISTINE => Messages::from([(first, 1)]),
                Err(error) => return Err(error),
            };
            if let Some(below) = &below {
                findings.push(Finding { level, check, outcome: new_messages(below, &current).into() });
            }
            below = Some(current);
        }
        Ok(findings)
    }
}
