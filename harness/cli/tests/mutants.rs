// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wrong versions of the series: that they are found, and that it shows when one is not.
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
use vremount_kernel::build::{Arch, KernelSpec, series};
use vremount_kernel::source::obtain;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;

/// One at a time: the series as it is has one place for its logs.
static MACHINES: Mutex<()> = Mutex::new(());

/// That whose series has the most of them, whatever base the other tests are about.
fn base() -> Base {
    Base::find(&checkout(), None).unwrap()
}

fn folder() -> PathBuf {
    mutants::folder(&checkout(), &base().series)
}

/// Tries the mutants of a folder with two claims; gives all that was said, too.
fn tried(folder: &std::path::Path) -> (Option<i32>, Vec<(String, String)>, String) {
    let json = folder.join("report.json");
    let mut command = vremount(["mutants", "--base", &base().name, "--sequences", "0", "--jobs", "1", "--from"]);
    command.arg(folder).args(["--claim", "reuse", "--claim", "error-unseen", "--json"]).arg(&json);
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap_or_default())
        .unwrap_or_else(|_| panic!("no report: {}", stderr(&output)));
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_string();
    let rulings = report["mutants"].as_array().unwrap().iter();
    let rulings = rulings.map(|entry| (text(entry, "name"), text(entry, "ruling"))).collect();
    (output.status.code(), rulings, stdout(&output) + &stderr(&output))
}

/// Something that changes nothing.
const HARMLESS: &str = "diff --git a/fs/overlayfs/harmless.h b/fs/overlayfs/harmless.h
new file mode 100644
--- /dev/null
+++ b/fs/overlayfs/harmless.h
@@ -0,0 +1 @@
+/* nobody includes it */
";

#[test]
fn each_comes_to_the_end_that_is_its_own() {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let real = |name: &str| fs::read_to_string(folder().join(name)).unwrap();
    let blind = real("errseq-not-at-all.patch");
    let start = blind.find("diff --git").unwrap();
    let (words, diff) = blind.split_at(start);
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
    write("b-survives", format!("Wrong in no way.\n\n{HARMLESS}"));
    write("c-argued", format!("Wrong in no way.\n\nNobody can tell: nothing\nincludes it.\n\n{HARMLESS}"));
    write("d-argued-in-vain", format!("{words}\n\nNobody can tell: so they say.\n\n{diff}"));
    write("e-does-not-build", format!("It ends in the middle.\n\n{does_not_build}"));
    let (code, rulings, text) = tried(folder.path());
    let rulings: Vec<_> = rulings.iter().map(|(name, ruling)| (name.as_str(), ruling.as_str())).collect();
    let expected = [
        ("a-killed", "killed"),
        ("b-survives", "survived"),
        ("c-argued", "argued"),
        ("d-argued-in-vain", "argued-in-vain"),
        ("e-does-not-build", "cannot-tell"),
    ];
    assert_eq!(rulings, expected, "{text}");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("a mutant that does not build"), "{text}");
    for name in ["b-survives", "d-argued-in-vain"] {
        fs::remove_file(folder.path().join(format!("{name}.patch"))).unwrap();
    }
    assert_eq!(tried(folder.path()).0, Some(125));
    fs::remove_file(folder.path().join("e-does-not-build.patch")).unwrap();
    assert_eq!(tried(folder.path()).0, Some(0));
}

#[test]
fn what_is_no_mutant_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let fails_with = |word: &str| {
        let output = vremount(["mutants", "--from"]).arg(folder.path()).output().unwrap();
        assert!(output.status.code() == Some(2) && stderr(&output).contains(word), "{}", stderr(&output));
    };
    fails_with("there is no .patch");
    let file = folder.path().join("a.patch");
    fs::write(&file, "Words.\n").unwrap();
    fails_with("it contains no git diff");
    fs::write(&file, HARMLESS).unwrap();
    fails_with("what is wrong with it");
    let unknown = vremount(["mutants", "no-such-mutant"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
}

/// A base that is said to have what it has not breaks claims with the series as it is.
#[test]
fn who_breaks_claims_as_it_is_judges_no_mutant() {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let workspace = Workspace::find().unwrap();
    let mut base = base();
    let filters = Filters::new(vec!["no-space-below-a-quiet-journal".to_string()], vec![Fs::Ext4]);
    let trial = |base| mutants::MutationRun {
        workspace: &workspace,
        base,
        fragment: None,
        wanted: ExecutorChoice::Uml,
        filters: &filters,
        sequences: 0,
        jobs: None,
    };
    base.has.insert(Feature::QuietReadOnly);
    let error = trial(&base).control().unwrap_err();
    assert!(error.to_string().contains("no-space-below-a-quiet-journal on ext4"), "{error}");
    assert!(!error.is_usage());
}

/// That those of other series do, check-series says.
#[test]
fn all_of_them_apply_to_the_series() {
    let (workspace, base) = (Workspace::find().unwrap(), base());
    let pristine = obtain(&workspace, &base.source).unwrap();
    let series = series(&workspace, &KernelSpec::of(&base), Arch::Um).unwrap();
    let files = mutants::files(&folder()).unwrap();
    assert!(files.len() >= 40, "{}", files.len());
    assert_eq!(mutants::unfit(&folder(), &series, &pristine).unwrap(), Vec::<PathBuf>::new());
}
