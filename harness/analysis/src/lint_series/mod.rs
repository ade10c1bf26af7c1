// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a reviewer's tools say of a series, level by level: of warnings only those count that the level below has not.

mod diagnostics;
mod sparse;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fmt, fs};

use diagnostics::{Messages, added, checkpatch, messages, run_linter, unsaid};
use vremount_kernel::base::{Base, Level};
use vremount_kernel::build::{Arch, BuildDir, KernelSpec, Make};
use vremount_kernel::series::Series;
use vremount_kernel::source::Tree;
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{build, resolve, series, source};
use vremount_util::{command, io_error, progress};

use crate::mutants;

/// What is checked at each level of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// What ci/bases.toml says that the tree has.
    Has,
    /// `git am`, which knows no fuzz.
    Applies,
    /// The second patch to the pristine tree.
    AppliesAlone,
    /// The lines that the cover letter says the series changes.
    CoverLetter,
    /// The wrong versions of the series, each a diff on top of it.
    Mutants,
    /// checkpatch --strict
    Style,
    /// gcc with W=1, and kernel-doc of sources; overlay as a module.
    Module,
    /// The same with overlay built in.
    BuiltIn,
    /// That with sparse.
    Sparse,
    /// A kernel with overlay built in, to the end.
    Links,
    /// kernel-doc of all that the series touches.
    KernelDoc,
    /// The documentation, as reStructuredText.
    Rst,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::Has => "ci/bases.toml",
            Check::Applies => "git am",
            Check::AppliesAlone => "git am, alone",
            Check::CoverLetter => "cover letter",
            Check::Mutants => "mutants",
            Check::Style => "checkpatch",
            Check::Module => "W=1",
            Check::BuiltIn => "W=1, built in",
            Check::Links => "built in",
            Check::Sparse => "sparse",
            Check::KernelDoc => "kernel-doc",
            Check::Rst => "rst",
        })
    }
}

/// What a check found at a level.
pub struct Finding {
    pub level: Level,
    pub check: Check,
    pub outcome: Outcome,
}

impl Finding {
    /// It was not looked at, or by a tool that did not do its work.
    fn untold(level: Level, check: Check, why: &str) -> Self {
        Finding { level, check, outcome: Outcome::CannotTell(why.to_string()) }
    }
}

/// What came of a check.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Clean,
    /// What there is to say against it.
    Found(Vec<String>),
    /// Why a tool did not do its work.
    CannotTell(String),
}

impl From<Vec<String>> for Outcome {
    fn from(lines: Vec<String>) -> Self {
        if lines.is_empty() { Outcome::Clean } else { Outcome::Found(lines) }
    }
}

/// The configuration fragment that has overlay so.
const BUILT_IN: &str = "overlay-built-in";

/// What only a series that applies can be asked.
const LATER: [Check; 8] = [
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
/// If the source cannot be had, a tool is missing, or the pristine tree does not build.
pub fn check(workspace: &Workspace, base: &Base) -> Result<Vec<Finding>, build::Error> {
    let _lock = workspace.lock(&format!("check-{}", base.name))?;
    let scratch = workspace.cache.join("build").join(format!("check-{}", base.name));
    let (tree, objects, log) = (scratch.join("source"), scratch.join("objects"), scratch.join("log"));
    let pristine = source::obtain(workspace, &base.source)?;
    fs::create_dir_all(&scratch).map_err(io_error("create", &scratch))?;
    let made = BuildDir::open(&pristine, &scratch, [&objects, &tree])?;
    made.begin()?;
    let series = build::series(workspace, &KernelSpec::of(base), Arch::Um)?;
    let checker =
        Checker { workspace, base, pristine: &pristine, series: &series, tree: &tree, objects: &objects, log: &log };
    let mut findings = checker.applies()?;
    let beside = |check| matches!(check, Check::CoverLetter | Check::Mutants);
    let applies = |finding: &Finding| beside(finding.check) || finding.outcome == Outcome::Clean;
    let not_yet = |checks: &[Check], why: &str| {
        checks.iter().map(|check| Finding::untold(Level::FULL, *check, why)).collect::<Vec<_>>()
    };
    if findings.iter().all(applies) {
        findings.extend(checker.compiles()?);
        findings.extend(checker.reads()?);
    } else {
        findings.extend(not_yet(&LATER, "not looked at: the series has to apply first"));
    }
    findings.push(checker.has()?);
    if findings.iter().any(|finding| matches!(finding.outcome, Outcome::Found(_))) {
        findings.extend(not_yet(
            &[Check::Links],
            "not looked at: what has to be mended first need not be built for minutes",
        ));
    } else {
        findings.push(checker.links());
    }
    made.end(None)?;
    Ok(findings)
}

/// What git says of a patch that does not apply.
fn applied(applied: Result<(), series::Error>) -> Outcome {
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
            let outcome = applied(self.series.check_out(self.pristine, self.tree, level));
            findings.push(Finding { level, check: Check::Applies, outcome });
        }
        let outcome = applied(self.series.check_out_alone(self.pristine, self.tree, Level::DOCUMENTED));
        findings.push(Finding { level: Level::DOCUMENTED, check: Check::AppliesAlone, outcome });
        if findings.iter().all(|finding| finding.outcome == Outcome::Clean) {
            let path = self.workspace.root.join("patches").join(&self.base.series).join(series::COVER_LETTER);
            let wrong = match fs::read_to_string(&path) {
                Ok(letter) => unsaid(&letter, &self.series.stat(self.pristine)?),
                Err(error) => vec![format!("{}: {error}", path.display())],
            };
            findings.push(Finding { level: Level::FULL, check: Check::CoverLetter, outcome: wrong.into() });
            let folder = mutants::folder(&self.workspace.root, &self.base.series);
            // Not every series has some.
            if folder.is_dir() {
                let unfit = mutants::unfit(&folder, self.series, self.pristine)?;
                let unfit: Vec<_> = unfit.iter().map(|patch| format!("{} does not apply", patch.display())).collect();
                findings.push(Finding { level: Level::FULL, check: Check::Mutants, outcome: unfit.into() });
            }
        }
        Ok(findings)
    }

    /// What claims rely on: a feature that is not named skips them, and nobody is told.
    fn has(&self) -> Result<Finding, build::Error> {
        let there = resolve::features(self.pristine, self.base)?;
        let differ = there.symmetric_difference(&self.base.has);
        let said = |feature| if there.contains(feature) { "there, and not named" } else { "named, and not there" };
        let lines: Vec<_> = differ.map(|feature| format!("has: {feature} is {}", said(feature))).collect();
        Ok(Finding { level: Level::PRISTINE, check: Check::Has, outcome: lines.into() })
    }

    /// All that the series changes is compiled at each level, as a module and built in.
    fn compiles(&self) -> Result<Vec<Finding>, build::Error> {
        let mut findings = Vec::new();
        for (check, further) in
            [(Check::Module, None), (Check::BuiltIn, Some(BUILT_IN)), (Check::Sparse, Some(BUILT_IN))]
        {
            let make = self.configured(Level::PRISTINE, further)?;
            let sparse = (check == Check::Sparse).then(|| sparse::fit(self.workspace, self.tree)).transpose();
            let sparse = match sparse {
                Ok(sparse) => sparse.map(|path| format!("CHECK={}", path.display())),
                Err(why) => {
                    findings.extend(Level::patched().map(|level| Finding::untold(level, check, &why)));
                    continue;
                }
            };
            let checker = sparse.as_deref().map_or(vec!["C=0"], |check| vec![check, "C=2"]);
            let _progress = progress::start(format!("compiling overlayfs of Linux {}, {check}", self.base.name));
            make.run("what modules need", &["modules_prepare"])?;
            findings.extend(self.new_at_each_level(check, || {
                self.forget()?;
                make.run("overlayfs", &[&checker[..], &["W=1", "fs/overlayfs/", "fs/super.o"]].concat())?;
                let said = fs::read_to_string(self.log).map_err(io_error("read", self.log))?;
                if check == Check::Sparse {
                    sparse::looked_at(&said)?;
                }
                Ok(said)
            })?);
        }
        Ok(findings)
    }

    /// A warning about what make would not compile again is one of this level, too.
    fn forget(&self) -> Result<(), build::Error> {
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

    /// Whether a kernel with all of the series and overlay built in builds, as one without does.
    fn links(&self) -> Finding {
        let _progress = progress::start(format!("building Linux {} with overlay built in", self.base.name));
        let outcome = match self.link(Level::FULL) {
            Ok(()) => Outcome::Clean,
            Err(error) if !error.is_of_the_kernel() => Outcome::CannotTell(error.to_string()),
            Err(error) => match self.link(Level::PRISTINE) {
                Ok(()) => Outcome::Found(vec![error.to_string()]),
                Err(too) => Outcome::CannotTell(too.to_string()),
            },
        };
        Finding { level: Level::FULL, check: Check::Links, outcome }
    }

    fn link(&self, level: Level) -> Result<(), build::Error> {
        command::ensure_free_space("build a kernel", self.objects, build::ROOM_MIB)?;
        let make = self.configured(level, Some(BUILT_IN))?;
        make.run("Linux with overlay built in", &[Arch::Um.image_target()])
    }

    /// The tree at a level, ready to be made.
    fn configured(&self, level: Level, further: Option<&str>) -> Result<Make<'_>, build::Error> {
        let make = Make::new(self.base, Arch::Um, self.tree, self.objects, self.log.to_path_buf());
        let fragments = build::fragments(&self.workspace.root, Arch::Um, &self.base.config, further)?;
        self.series.check_out(self.pristine, self.tree, level)?;
        build::configure(&make, &fragments)?;
        Ok(make)
    }

    /// What only reads the patches and the tree.
    fn reads(&self) -> Result<Vec<Finding>, build::Error> {
        let mut findings = Vec::new();
        for level in Level::patched() {
            let mut command = Command::new(self.tree.join("scripts/checkpatch.pl"));
            command.args(["--strict", "--terse", "--no-summary"]).args(self.series.patch(level));
            let outcome = checkpatch(command.current_dir(self.tree));
            findings.push(Finding { level, check: Check::Style, outcome });
        }
        let touched = self.series.changes(self.pristine)?;
        let (sources, documents): (Vec<_>, Vec<_>) =
            touched.lines().map(PathBuf::from).partition(|path| path.extension().is_none_or(|ending| ending != "rst"));
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

    /// The messages of each level that the level below has not.
    fn new_at_each_level(
        &self,
        check: Check,
        mut say: impl FnMut() -> Result<String, build::Error>,
    ) -> Result<Vec<Finding>, build::Error> {
        let mut below: Option<Messages> = None;
        let mut findings = Vec::new();
        for level in [Level::PRISTINE].into_iter().chain(Level::patched()) {
            self.series.check_out(self.pristine, self.tree, level)?;
            let here = match say() {
                Ok(text) => messages(&text),
                // Of the levels above, too: there is nothing to compare them with.
                Err(build::Error::Tool(error)) => {
                    let from = level.max(Level::FIRST);
                    let rest = Level::patched().filter(|level| *level >= from);
                    let why = format!("level {level}: {error}");
                    findings.extend(rest.map(|level| Finding::untold(level, check, &why)));
                    break;
                }
                // In the pristine tree it is nobody's fault, and nothing can be compared.
                Err(build::Error::Build { first, .. }) if level != Level::PRISTINE => Messages::from([(first, 1)]),
                Err(error) => return Err(error),
            };
            if let Some(below) = &below {
                findings.push(Finding { level, check, outcome: added(below, &here).into() });
            }
            below = Some(here);
        }
        Ok(findings)
    }
}
