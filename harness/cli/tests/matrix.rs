// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount matrix` over several bases, and runs that are split into shards.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{checkout, stderr, stdout, vremount};
use serde_json::{Value, json};

/// A checkout with its own bases, matrix and results, and everything else linked from this one. Its
/// path is always the same, so cargo does not rebuild the guest, and only one exists at a time.
struct LinkedCheckout {
    root: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

static CHECKOUT: Mutex<()> = Mutex::new(());

const MATRIX: &str = "frozen = [\"bullseye\"]\n[[lane]]\nexecutor = \"uml\"\nfilesystems = [\"ext4\", \"tmpfs\"]\n\
                    claims = [\"reuse\", \"error-unseen\"]\n";

impl LinkedCheckout {
    fn new(more_bases: &str) -> Self {
        let alone = CHECKOUT.lock().unwrap_or_else(PoisonError::into_inner);
        let root = checkout().join("target/linked-checkout");
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        for part in ["patches", "vm-images", "harness", "Cargo.toml", "Cargo.lock"] {
            symlink(checkout().join(part), root.join(part)).unwrap();
        }
        fs::create_dir_all(root.join("target")).unwrap();
        fs::create_dir_all(checkout().join("target/guest")).unwrap();
        symlink(checkout().join("target/guest"), root.join("target/guest")).unwrap();
        fs::create_dir(root.join("ci")).unwrap();
        let text = fs::read_to_string(checkout().join("ci/bases.toml")).unwrap();
        let mut bases: toml::Table = text.parse().unwrap();
        // Keep the default base only, because every base would be built.
        bases["bases"].as_table_mut().unwrap().retain(|name, _| name == "5.10.13");
        let text = toml::to_string(&bases).unwrap() + more_bases;
        fs::write(root.join("ci/bases.toml"), text).unwrap();
        fs::write(root.join("ci/matrix.toml"), MATRIX).unwrap();
        LinkedCheckout { root, _alone: alone }
    }

    fn vremount(&self, args: &[&str]) -> Command {
        let mut command = vremount(args);
        command.current_dir(&self.root);
        command
    }

    fn runs(&self) -> PathBuf {
        self.root.join("target/runs")
    }
}

const BASE_WITHOUT_SOURCE: &str = "[bases.nowhere]\nseries = \"be4df0cea\"\n[bases.nowhere.source]\n\
                       tarball = \"/nowhere.tar\"\nsha256 = \"\
                       0000000000000000000000000000000000000000000000000000000000000000\"\n";

fn assert_exit(output: &Output, expected: i32) {
    println!("{}{}", stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(expected));
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn base_without_source_does_not_hide_other_bases() {
    let linked = LinkedCheckout::new(BASE_WITHOUT_SOURCE);
    let (json, junit) = (linked.root.join("json"), linked.root.join("junit"));
    let earlier = linked.runs().join("5.10.13-level4-uml");
    fs::create_dir_all(&earlier).unwrap();
    let mut matrix = linked.vremount(&["matrix", "--json"]);
    let page = linked.root.join("page");
    let output = matrix.arg(&json).arg("--junit").arg(&junit).arg("-o").arg(&page).output().unwrap();
    assert_exit(&output, 125);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("3 hold, 0 broken, 1 cannot tell, 1 skipped") && page.contains("nowhere.tar"), "{page}");
    assert_eq!(page.matches("<article").count(), 3 + 1, "the three cases that ran, and their boot");
    let text = stdout(&output);
    let has = |row: &[&str]| text.lines().any(|line| line.split_whitespace().eq(row.iter().copied()));
    assert!(has(&["5.10.13", "nowhere"]) && has(&["uml", "uml"]));
    assert!(has(&["reuse", "ok", "?"]) && has(&["error-unseen", "ok", "?"]));
    let report = read_json(&json);
    assert_eq!(report["runs"][0]["base"], "5.10.13");
    assert_eq!(report["runs"][0]["verdicts"].as_array().unwrap().len(), 4);
    assert_eq!(report["not_run"][0]["base"], "nowhere");
    let why = report["not_run"][0]["cannot_tell"].as_str().unwrap();
    assert!(why.contains("failed to read /nowhere.tar"), "{why}");
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("tests=\"5\" skipped=\"1\" failures=\"0\" errors=\"1\""), "{junit}");

    assert!(!earlier.exists(), "the results of an earlier run were not removed");

    // A merge of the result directories gives the same report, and names jobs without results.
    let merged = linked.root.join("merged");
    let expect = linked.root.join("expect");
    let jobs = json!({"include": [{"base": "5.10.13", "executor": "uml"}, {"base": "5.10.13", "executor": "qemu"}]});
    fs::write(&expect, jobs.to_string()).unwrap();
    let [ran, lost] = ["5.10.13-level4-um", "nowhere-level4-uml"].map(|run| linked.runs().join(run));
    let mut merge = linked.vremount(&["report", "merge"]);
    let output = merge.args([&ran, &lost]).arg("--json").arg(&merged).output().unwrap();
    assert_exit(&output, 125);
    assert_eq!(read_json(&merged), report);
    let output = linked.vremount(&["report", "merge"]).arg(&ran).arg("--expect").arg(&expect).output().unwrap();
    assert_exit(&output, 125);
    assert!(stdout(&output).contains("at level 4, qemu: its job left no results"));
    assert_exit(&linked.vremount(&["report", "merge"]).arg(&ran).output().unwrap(), 0);
    let output = linked.vremount(&["report", "merge"]).args([&ran, &ran]).output().unwrap();
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("name only one of them"), "{}", stderr(&output));
}

#[test]
fn merged_shards_equal_the_whole_run() {
    let linked = LinkedCheckout::new("");
    let verify = ["verify", "--executor", "uml", "--tag", "accepted", "--fs", "ext4", "--fs", "tmpfs"];
    assert_exit(&linked.vremount(&verify).output().unwrap(), 0);
    let run_shard = |shard: &str| {
        let output = linked.vremount(&[&verify[..], &["--shard", shard]].concat()).output().unwrap();
        assert_exit(&output, 0);
        linked.runs().join(format!("5.10.13-level4-um-shard-{}", shard.replace('/', "-of-")))
    };
    let shards = ["2/3", "1/3", "3/3"].map(run_shard);
    let [whole, merged] = ["whole", "merged"].map(|name| linked.root.join(name));
    let merge = |runs: &[&Path], json: &Path| {
        linked.vremount(&["report", "merge"]).args(runs).arg("--json").arg(json).output().unwrap()
    };
    assert_exit(&merge(&[&linked.runs().join("5.10.13-level4-um")], &whole), 0);
    assert_exit(&merge(&shards.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &merged), 0);
    let verdicts = |path: &Path| {
        let report = read_json(path);
        let verdicts = report["runs"][0]["verdicts"].as_array().unwrap().clone();
        verdicts.iter().map(|v| ["claim", "fs", "verdict"].map(|key| v[key].clone())).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&merged), verdicts(&whole));
    let output = merge(&[&shards[0], &shards[2]], &merged);
    assert_exit(&output, 125);
    assert!(stdout(&output).contains("shard 1/3 is missing: its job left no results"));
}

#[test]
fn matrix_list_prints_the_jobs_as_json() {
    let linked = LinkedCheckout::new(BASE_WITHOUT_SOURCE);
    let list = |args: &[&str]| {
        let output = linked.vremount(&[&["matrix", "--list"], args].concat()).output().unwrap();
        assert_exit(&output, 0);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let job = |base: &str| json!({"base": base, "executor": "uml", "arch": "um"});
    assert_eq!(list(&[]), json!({"include": [job("5.10.13"), job("nowhere")]}));
    assert_eq!(list(&["--frozen"]), json!({"include": [job("5.10.13")]}));
    assert_eq!(list(&["--base", "nowhere"]), json!({"include": [job("nowhere")]}));
}
