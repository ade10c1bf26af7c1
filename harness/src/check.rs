// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a reviewer's tools say of a series, level by level: of warnings only those count that the level below has not.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::{Base, Level};
use crate::build::{self, Arch, Make, Wish};
use crate::progress;
use crate::project::Project;
use crate::series::{self, Series};
use crate::source::{self, Tree};
use crate::tool;

/// What is checked at each level of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// `git am`, which knows no fuzz.
    Applies,
    /// The second patch to the pristine tree.
    AppliesAlone,
    /// The lines that the cover letter says the series changes.
    CoverLetter,
    /// checkpatch --strict
    Style,
    /// gcc with W=1, and kernel-doc of sources; overlay as a module.
    Module,
    /// The same with overlay built in.
    BuiltIn,
    /// That with sparse, which a distribution may have too old a version of for a kernel.
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
            Check::Applies => "git am",
            Check::AppliesAlone => "git am, alone",
            Check::CoverLetter => "cover letter",
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

/// What the kernel's make says when it goes on without sparse, for it lacks what this kernel uses.
const NO_SPARSE: &str = "is not available or not up to date";

/// How tools in Python tell that they failed.
const CRASHES: [&str; 2] = ["Traceback (most recent call last)", "Exiting due to error"];

/// Messages and how often each came, without the lines they came from: those move.
type Messages = BTreeMap<String, usize>;

/// Checks the series of a base at every level.
///
/// # Errors
/// If the source cannot be had, a tool is missing, or the pristine tree does not build.
pub fn check(project: &Project, base: &Base) -> Result<Vec<Finding>, build::Error> {
    let _lock = project.lock(&format!("check-{}", base.name))?;
    let scratch = project.cache.join("build").join(format!("check-{}", base.name));
    let (tree, objects, log) = (scratch.join("source"), scratch.join("objects"), scratch.join("log"));
    fs::create_dir_all(&objects).map_err(build::Error::io("create", &objects))?;
    let pristine = source::obtain(project, &base.source)?;
    series::work_tree(&pristine, &tree)?;
    let series = build::series(project, &Wish::of(base), Arch::Um)?;
    let checker =
        Checker { project, base, pristine: &pristine, series: &series, tree: &tree, objects: &objects, log: &log };
    let mut findings = checker.applies()?;
    let applies = |finding: &Finding| finding.check == Check::CoverLetter || finding.outcome == Outcome::Clean;
    if findings.iter().all(applies) {
        findings.extend(checker.compiles()?);
        findings.extend(checker.reads()?);
    }
    // What has to be mended first need not be built for minutes.
    if findings.iter().all(|finding| !matches!(finding.outcome, Outcome::Found(_))) {
        findings.push(checker.links());
    }
    Ok(findings)
}

struct Checker<'a> {
    project: &'a Project,
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
            let applied = found(self.series.check_out(self.pristine, self.tree, level))?;
            findings.push(Finding { level, check: Check::Applies, outcome: applied.into() });
        }
        let alone = found(self.series.check_out_alone(self.pristine, self.tree, Level::DOCUMENTED))?;
        findings.push(Finding { level: Level::DOCUMENTED, check: Check::AppliesAlone, outcome: alone.into() });
        if findings.iter().all(|finding| finding.outcome == Outcome::Clean) {
            let path = self.project.root.join("patches").join(&self.base.series).join(series::COVER_LETTER);
            let wrong = match fs::read_to_string(&path) {
                Ok(letter) => unsaid(&letter, &self.series.stat(self.pristine)?),
                Err(error) => vec![format!("{}: {error}", path.display())],
            };
            findings.push(Finding { level: Level::FULL, check: Check::CoverLetter, outcome: wrong.into() });
        }
        Ok(findings)
    }

    /// All that the series changes is compiled at each level, as a module and built in.
    fn compiles(&self) -> Result<Vec<Finding>, build::Error> {
        let make = Make::new(self.base, Arch::Um, self.tree, self.objects, self.log.to_path_buf());
        let mut findings = Vec::new();
        for (check, further) in
            [(Check::Module, None), (Check::BuiltIn, Some(BUILT_IN)), (Check::Sparse, Some(BUILT_IN))]
        {
            let _progress = progress::start(format!("compiling overlayfs of Linux {}, {check}", self.base.name));
            let fragments = build::fragments(&self.project.root, Arch::Um, &self.base.config, further)?;
            self.series.check_out(self.pristine, self.tree, Level::PRISTINE)?;
            build::configure(&make, &fragments)?;
            make.run("what modules need", &["modules_prepare"])?;
            findings.extend(self.new_at_each_level(check, || {
                self.forget()?;
                let sparse = if check == Check::Sparse { "C=2" } else { "C=0" };
                make.run("overlayfs", &["W=1", sparse, "fs/overlayfs/", "fs/super.o"])?;
                fs::read_to_string(self.log).map_err(build::Error::io("read", self.log))
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
                return Err(build::Error::io("remove", path)(cause));
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
        tool::need_room("build a kernel", self.objects, build::ROOM_MIB)?;
        let make = Make::new(self.base, Arch::Um, self.tree, self.objects, self.log.to_path_buf());
        let fragments = build::fragments(&self.project.root, Arch::Um, &self.base.config, Some(BUILT_IN))?;
        self.series.check_out(self.pristine, self.tree, level)?;
        build::configure(&make, &fragments)?;
        make.run("Linux with overlay built in", &[Arch::Um.image_target()])
    }

    /// What only reads the patches and the tree.
    fn reads(&self) -> Result<Vec<Finding>, build::Error> {
        let mut findings = Vec::new();
        for level in Level::patched() {
            let mut checkpatch = Command::new(self.tree.join("scripts/checkpatch.pl"));
            checkpatch.args(["--strict", "--terse", "--no-summary"]).args(self.series.patch(level));
            let lines = complaints(checkpatch.current_dir(self.tree))?;
            findings.push(Finding { level, check: Check::Style, outcome: lines.into() });
        }
        let touched = self.series.changes(self.pristine)?;
        let (sources, documents): (Vec<_>, Vec<_>) =
            touched.lines().map(PathBuf::from).partition(|path| path.extension().is_none_or(|ending| ending != "rst"));
        findings.extend(self.new_at_each_level(Check::KernelDoc, || {
            let mut command = Command::new(self.tree.join("scripts/kernel-doc"));
            Ok(heard(command.arg("-none").args(&sources).current_dir(self.tree))?)
        })?);
        findings.extend(self.new_at_each_level(Check::Rst, || {
            let mut all = String::new();
            for document in &documents {
                let mut command = Command::new("rst2html");
                command.args(["--report=info", "--halt=none"]).arg(document).arg("/dev/null");
                all += &heard(command.current_dir(self.tree))?;
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
            let (text, here) = match say() {
                Ok(text) => {
                    let here = messages(&text);
                    (text, here)
                }
                Err(build::Error::Tool(error)) => {
                    findings.push(Finding { level, check, outcome: Outcome::CannotTell(error.to_string()) });
                    break;
                }
                // In the pristine tree it is nobody's fault, and nothing can be compared.
                Err(build::Error::Build { first, .. }) if level != Level::PRISTINE => {
                    (String::new(), Messages::from([(first, 1)]))
                }
                Err(error) => return Err(error),
            };
            if let Some(below) = &below {
                let outcome = match (added(below, &here), text.lines().find(|line| line.ends_with(NO_SPARSE))) {
                    (lines, None) => lines.into(),
                    (lines, Some(_)) if !lines.is_empty() => Outcome::Found(lines),
                    (_, Some(why)) => Outcome::CannotTell(why.to_string()),
                };
                findings.push(Finding { level, check, outcome });
            }
            below = Some(here);
        }
        Ok(findings)
    }
}

/// Lines of a diffstat that a letter has not.
fn unsaid(letter: &str, stat: &str) -> Vec<String> {
    let said: Vec<_> = letter.lines().map(str::trim).collect();
    stat.lines().map(str::trim).filter(|line| !said.contains(line)).map(ToString::to_string).collect()
}

/// What git says of a patch that does not apply.
fn found(applied: Result<(), series::Error>) -> Result<Vec<String>, build::Error> {
    match applied {
        Ok(()) => Ok(Vec::new()),
        Err(series::Error::DoesNotApply { output, .. }) => Ok(output.lines().map(ToString::to_string).collect()),
        Err(error) => Err(error.into()),
    }
}

/// What a tool says that may end badly because it has something to say; one that does and has nothing did not do its work.
fn heard(command: &mut Command) -> Result<String, tool::Error> {
    let (status, output) = tool::hear(command)?;
    let crashed = status.code().is_none() || CRASHES.iter().any(|words| output.contains(words));
    if status.success() || !crashed && !messages(&output).is_empty() {
        return Ok(output);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    Err(tool::Error::Failed { what: "check a tree".to_string(), program, status, output })
}

/// What a tool that fails when it has something to say says.
fn complaints(command: &mut Command) -> Result<Vec<String>, tool::Error> {
    match tool::run("check a patch", command) {
        Ok(_) => Ok(Vec::new()),
        Err(tool::Error::Failed { output, .. }) => Ok(output.lines().map(ToString::to_string).collect()),
        Err(error) => Err(error),
    }
}

/// Warnings and errors of compilers, sparse, kernel-doc and docutils: `path:line[:column]: kind: text`.
fn messages(text: &str) -> Messages {
    let mut messages = Messages::new();
    for line in text.lines() {
        let kinds = [" warning: ", " error: ", "Warning: ", "(INFO/1)", "(WARNING/2)", "(ERROR/3)", "(SEVERE/4)"];
        if kinds.iter().any(|kind| line.contains(kind)) {
            let steady: Vec<_> = line.split(':').filter(|part| part.parse::<u32>().is_err()).collect();
            *messages.entry(steady.join(":")).or_default() += 1;
        }
    }
    messages
}

fn added(below: &Messages, here: &Messages) -> Vec<String> {
    let more = here.iter().filter(|(message, count)| below.get(*message).is_none_or(|before| before < *count));
    more.map(|(message, _)| message.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// To say nothing is to have found nothing only for who does not fail.
    #[rstest]
    #[case::clean("true", true)]
    #[case::warning("echo 'a.c:1: warning: x'; exit 1", true)]
    #[case::failed("exit 3", false)]
    #[case::killed("kill -9 $$", false)]
    #[case::warned_and_killed("echo 'a.c:1: warning: x'; kill -9 $$", false)]
    #[case::crashed("echo 'a.rst:1: (WARNING/2) x'; echo 'Exiting due to error.'; exit 1", false)]
    fn a_tool_that_failed_is_not_content(#[case] script: &str, #[case] expected: bool) {
        assert_eq!(heard(Command::new("sh").args(["-c", script])).is_ok(), expected);
    }

    #[test]
    fn a_letter_counts_every_line() {
        let stat = " fs/a.c | 10 ++++++++--\n 1 file changed, 8 insertions(+), 2 deletions(-)\n";
        assert!(unsaid(&format!("Words.\n\n{stat}\nbase-commit: x\n"), stat).is_empty());
        assert_eq!(unsaid(" fs/a.c |  9 +++++++--\n", stat).len(), 2);
    }

    #[rstest]
    #[case::same("a.c:1:2: warning: x\n", "a.c:1:2: warning: x\n", &[])]
    #[case::moved("a.c:1:2: warning: x\n", "a.c:9:2: warning: x\n", &[])]
    #[case::new("", "a.c:1:2: warning: x\n", &["a.c: warning: x"])]
    #[case::once_more("a.c:1: warning: x\n", "a.c:1: warning: x\na.c:2: warning: x\n", &["a.c: warning: x"])]
    #[case::gone("a.c:1:2: warning: x\n", "", &[])]
    #[case::sparse("", "a.c:3:4: error: undefined identifier 'y'\n", &["a.c: error: undefined identifier 'y'"])]
    #[case::document("", "a.rst:5: (WARNING/2) Title underline too short.\n", &["a.rst: (WARNING/2) Title underline too short."])]
    #[case::kernel_doc("", "a.h:7: Warning: no description\n", &["a.h: Warning: no description"])]
    #[case::progress("", "  CC      a.o\n", &[])]
    fn only_what_is_new_counts(#[case] below: &str, #[case] here: &str, #[case] expected: &[&str]) {
        assert_eq!(added(&messages(below), &messages(here)), expected);
    }
}
