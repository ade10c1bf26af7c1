// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many bases, and one run in parts.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{checkout, stderr, stdout, vremount};
use serde_json::{Value, json};

/// A checkout like this one, with bases, a matrix and results of its own. It is always at the same place, one at a time:
/// elsewhere cargo would build the guest again.
struct World {
    at: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

static WORLD: Mutex<()> = Mutex::new(());

const LANE: &str = "frozen = [\"bullseye\"]\n[[lane]]\nexecutor = \"uml\"\nfilesystems = [\"ext4\", \"tmpfs\"]\n\
                    claims = [\"reuse\", \"error-unseen\"]\n";

impl World {
    fn new(more_bases: &str) -> Self {
        let alone = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
        let at = checkout().join("target/world");
        let _ = fs::remove_dir_all(&at);
        fs::create_dir_all(&at).unwrap();
        for part in ["patches", "vm-images", "harness", "Cargo.toml", "Cargo.lock"] {
            symlink(checkout().join(part), at.join(part)).unwrap();
        }
        fs::create_dir_all(at.join("target")).unwrap();
        fs::create_dir_all(checkout().join("target/guest")).unwrap();
        symlink(checkout().join("target/guest"), at.join("target/guest")).unwrap();
        fs::create_dir(at.join("ci")).unwrap();
        let text = fs::read_to_string(checkout().join("ci/bases.toml")).unwrap();
        let mut bases: toml::Table = text.parse().unwrap();
        // The default base and what the test adds: all others would be built.
        bases["bases"].as_table_mut().unwrap().retain(|name, _| name == "5.10.13");
        let text = toml::to_string(&bases).unwrap() + more_bases;
        fs::write(at.join("ci/bases.toml"), text).unwrap();
        fs::write(at.join("ci/matrix.toml"), LANE).unwrap();
        World { at, _alone: alone }
    }

    fn vremount(&self, args: &[&str]) -> Command {
        let mut command = vremount(args);
        command.current_dir(&self.at);
        command
    }

    fn runs(&self) -> PathBuf {
        self.at.join("target/runs")
    }
}

const NOWHERE: &str = "[bases.nowhere]\nseries = \"be4df0cea\"\n[bases.nowhere.source]\n\
                       tarball = \"/nowhere.tar\"\nsha256 = \"\
                       0000000000000000000000000000000000000000000000000000000000000000\"\n";

fn told(output: &Output, expected: i32) {
    println!("{}{}", stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(expected));
}

fn parsed(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_base_that_cannot_be_had_hides_no_other() {
    let world = World::new(NOWHERE);
    let (json, junit) = (world.at.join("json"), world.at.join("junit"));
    let earlier = world.runs().join("5.10.13-level4-uml");
    fs::create_dir_all(&earlier).unwrap();
    let mut matrix = world.vremount(&["matrix", "--json"]);
    let page = world.at.join("page");
    let output = matrix.arg(&json).arg("--junit").arg(&junit).arg("-o").arg(&page).output().unwrap();
    told(&output, 125);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("3 hold, 0 broken, 1 cannot tell, 1 skipped") && page.contains("nowhere.tar"), "{page}");
    assert_eq!(page.matches("<article").count(), 3 + 1, "three that ran, and the boot");
    let text = stdout(&output);
    let has = |row: &[&str]| text.lines().any(|line| line.split_whitespace().eq(row.iter().copied()));
    assert!(has(&["5.10.13", "nowhere"]) && has(&["uml", "uml"]));
    assert!(has(&["reuse", "ok", "?"]) && has(&["error-unseen", "ok", "?"]));
    let report = parsed(&json);
    assert_eq!(report["runs"][0]["base"], "5.10.13");
    assert_eq!(report["runs"][0]["verdicts"].as_array().unwrap().len(), 4);
    assert_eq!(report["not_run"][0]["base"], "nowhere");
    let why = report["not_run"][0]["cannot_tell"].as_str().unwrap();
    assert!(why.contains("failed to read /nowhere.tar"), "{why}");
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("tests=\"5\" skipped=\"1\" failures=\"0\" errors=\"1\""), "{junit}");

    assert!(!earlier.exists(), "an earlier run that could not start is still told");

    // What jobs leave behind says the same, and what a job did not leave is told.
    let again = world.at.join("again");
    let expect = world.at.join("expect");
    let jobs = json!({"include": [{"base": "5.10.13", "executor": "uml"}, {"base": "5.10.13", "executor": "qemu"}]});
    fs::write(&expect, jobs.to_string()).unwrap();
    let [ran, lost] = ["5.10.13-level4-um", "nowhere-level4-uml"].map(|run| world.runs().join(run));
    let mut merge = world.vremount(&["report", "merge"]);
    let output = merge.args([&ran, &lost]).arg("--json").arg(&again).output().unwrap();
    told(&output, 125);
    assert_eq!(parsed(&again), report);
    let output = world.vremount(&["report", "merge"]).arg(&ran).arg("--expect").arg(&expect).output().unwrap();
    told(&output, 125);
    assert!(stdout(&output).contains("at level 4, qemu: its job left no results"));
    told(&world.vremount(&["report", "merge"]).arg(&ran).output().unwrap(), 0);
    let output = world.vremount(&["report", "merge"]).args([&ran, &ran]).output().unwrap();
    told(&output, 2);
    assert!(stderr(&output).contains("name only one of them"), "{}", stderr(&output));
}

#[test]
fn parts_of_a_run_are_that_run() {
    let world = World::new("");
    let verify = ["verify", "--executor", "uml", "--tag", "accepted", "--fs", "ext4", "--fs", "tmpfs"];
    told(&world.vremount(&verify).output().unwrap(), 0);
    let part = |shard: &str| {
        let output = world.vremount(&[&verify[..], &["--shard", shard]].concat()).output().unwrap();
        told(&output, 0);
        world.runs().join(format!("5.10.13-level4-um-shard-{}", shard.replace('/', "-of-")))
    };
    let parts = ["2/3", "1/3", "3/3"].map(part);
    let [whole, merged] = ["whole", "merged"].map(|name| world.at.join(name));
    let merge = |runs: &[&Path], json: &Path| {
        world.vremount(&["report", "merge"]).args(runs).arg("--json").arg(json).output().unwrap()
    };
    told(&merge(&[&world.runs().join("5.10.13-level4-um")], &whole), 0);
    told(&merge(&parts.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &merged), 0);
    let verdicts = |path: &Path| {
        let report = parsed(path);
        let verdicts = report["runs"][0]["verdicts"].as_array().unwrap().clone();
        verdicts.iter().map(|v| ["claim", "fs", "verdict"].map(|key| v[key].clone())).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&merged), verdicts(&whole));
    let output = merge(&[&parts[0], &parts[2]], &merged);
    told(&output, 125);
    assert!(stdout(&output).contains("shard 1/3 is missing: its job left no results"));
}

#[test]
fn jobs_are_listed_for_services() {
    let world = World::new(NOWHERE);
    let list = |args: &[&str]| {
        let output = world.vremount(&[&["matrix", "--list"], args].concat()).output().unwrap();
        told(&output, 0);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let job = |base: &str| json!({"base": base, "executor": "uml", "arch": "um"});
    assert_eq!(list(&[]), json!({"include": [job("5.10.13"), job("nowhere")]}));
    assert_eq!(list(&["--frozen"]), json!({"include": [job("5.10.13")]}));
    assert_eq!(list(&["--base", "nowhere"]), json!({"include": [job("nowhere")]}));
}
