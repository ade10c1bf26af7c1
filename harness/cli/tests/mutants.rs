// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount mutants`: defective versions of the series that the claims must detect.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use common::{checkout, stderr, stdout, vremount};
use serde_json::Value;
use vremount_analysis::mutants;
use vremount_claims::filter::Filters;
use vremount_kernel::base::{Base, Feature};
use vremount_kernel::build::{Arch, KernelSpec, read_series};
use vremount_kernel::source::obtain;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;

/// Serializes the tests, because the control run of the unchanged series has one log directory.
static MACHINES: Mutex<()> = Mutex::new(());

/// The default base, whose series has the most mutants, and not the base in `BASE`.
fn base() -> Base {
    Base::find(&checkout(), None).unwrap()
}

fn mutants_folder() -> PathBuf {
    mutants::folder(&checkout(), &base().series)
}

/// Runs the mutants of a directory with two claims. Returns the exit code, name and status of each
/// mutant, and all output.
fn run_mutants(folder: &std::path::Path) -> (Option<i32>, Vec<(String, String)>, String) {
    let json = folder.join("report.json");
    let mut command = vremount(["mutants", "--base", &base().name, "--sequences", "0", "--jobs", "1", "--from"]);
    command.arg(folder).args(["--claim", "reuse", "--claim", "error-unseen", "--json"]).arg(&json);
    let output = command.output().unwrap();
    let report = fs::read(&json).unwrap_or_else(|error| panic!("no report: {error}: {}", stderr(&output)));
    let report: Value = serde_json::from_slice(&report).unwrap();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_string();
    let mutants = report["mutants"].as_array().unwrap().iter();
    let statuses = mutants.map(|entry| (text(entry, "name"), text(entry, "ruling"))).collect();
    (output.status.code(), statuses, stdout(&output) + &stderr(&output))
}

/// Diff of a mutant without an effect.
const EQUIVALENT: &str = "diff --git a/fs/overlayfs/unused.h b/fs/overlayfs/unused.h
new file mode 100644
--- /dev/null
+++ b/fs/overlayfs/unused.h
@@ -0,0 +1 @@
+/* not included */
";

#[test]
fn mutants_get_their_statuses_and_the_exit_code_is_the_worst() {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let real = |name: &str| fs::read_to_string(mutants_folder().join(name)).unwrap();
    let blind = real("errseq-not-at-all.patch");
    let start = blind.find("diff --git").unwrap();
    let (description, diff) = blind.split_at(start);
    let does_not_build = "diff --git a/fs/overlayfs/super.c b/fs/overlayfs/super.c
--- a/fs/overlayfs/super.c
+++ b/fs/overlayfs/super.c
@@ -1,3 +1,4 @@
 // SPDX-License-Identifier: GPL-2.0-only
+#error a mutant that does not build
 /*
  *
";
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(format!("{name}.patch")), text).unwrap();
    write("a-killed", blind.clone());
    write("b-survives", format!("An equivalent mutant.\n\n{EQUIVALENT}"));
    write("c-argued", format!("An equivalent mutant.\n\nNobody can tell: nothing\nincludes it.\n\n{EQUIVALENT}"));
    write("d-argued-in-vain", format!("{description}\n\nNobody can tell: so they say.\n\n{diff}"));
    write("e-does-not-build", format!("It ends in the middle.\n\n{does_not_build}"));
    let (code, statuses, text) = run_mutants(folder.path());
    let statuses: Vec<_> = statuses.iter().map(|(name, status)| (name.as_str(), status.as_str())).collect();
    let expected = [
        ("a-killed", "killed"),
        ("b-survives", "survived"),
        ("c-argued", "argued"),
        ("d-argued-in-vain", "argued-in-vain"),
        ("e-does-not-build", "cannot-tell"),
    ];
    assert_eq!(statuses, expected, "{text}");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("a mutant that does not build"), "{text}");
    for name in ["b-survives", "d-argued-in-vain"] {
        fs::remove_file(folder.path().join(format!("{name}.patch"))).unwrap();
    }
    assert_eq!(run_mutants(folder.path()).0, Some(125));
    fs::remove_file(folder.path().join("e-does-not-build.patch")).unwrap();
    assert_eq!(run_mutants(folder.path()).0, Some(0));
}

#[test]
fn invalid_mutants_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let assert_refused = |expected: &str| {
        let output = vremount(["mutants", "--from"]).arg(folder.path()).output().unwrap();
        assert!(output.status.code() == Some(2) && stderr(&output).contains(expected), "{}", stderr(&output));
    };
    assert_refused("there is no .patch");
    let file = folder.path().join("a.patch");
    fs::write(&file, "A description.\n").unwrap();
    assert_refused("it contains no git diff");
    fs::write(&file, EQUIVALENT).unwrap();
    assert_refused("what is wrong with it");
    let unknown = vremount(["mutants", "no-such-mutant"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
}

/// The base declares a feature that it does not have, so a claim is broken on the unchanged series.
#[test]
fn mutants_are_not_run_if_the_unchanged_series_breaks_claims() {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let workspace = Workspace::find().unwrap();
    let mut base = base();
    let filters = Filters::new(vec!["no-space-below-a-quiet-journal".to_string()], vec![Fs::Ext4]);
    let mutation_run = |base| mutants::MutationRun {
        workspace: &workspace,
        base,
        fragment: None,
        executor: ExecutorChoice::Uml,
        filters: &filters,
        sequences: 0,
        jobs: None,
    };
    base.features.insert(Feature::QuietReadOnly);
    let error = mutation_run(&base).check_unmodified_series().unwrap_err();
    assert!(error.to_string().contains("no-space-below-a-quiet-journal on ext4"), "{error}");
    assert!(!error.is_usage());
}

/// `check-series` checks the mutants of the other series.
#[test]
fn every_mutant_of_the_default_base_applies() {
    let (workspace, base) = (Workspace::find().unwrap(), base());
    let pristine = obtain(&workspace, &base.source).unwrap();
    let series = read_series(&workspace, &KernelSpec::new(&base), Arch::Um).unwrap();
    let files = mutants::files(&mutants_folder()).unwrap();
    assert!(!files.is_empty());
    assert_eq!(mutants::inapplicable(&mutants_folder(), &series, &pristine).unwrap(), Vec::<PathBuf>::new());
}
