// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the model's errseq with the kernel's: `lib/errseq.c` of the base is compiled for the
//! host and gets the same calls.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{base, checkout};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use vremount_claims::model::errseq::{
    ERRSEQ_CTR_INC, ERRSEQ_SEEN, ErrSeq, MAX_ERRNO, errseq_check, errseq_check_and_advance, errseq_sample, errseq_set,
};
use vremount_kernel::source;
use vremount_kernel::workspace::Workspace;

const CALLS: usize = 1_000_000;

/// A call of an errseq function with its arguments.
#[derive(Debug, Clone, Copy)]
struct Call {
    /// `s`et, sa`m`ple, `c`heck, or check and `a`dvance.
    name: char,
    eseq: u32,
    since: u32,
    err: i32,
}

/// Return value of a call, and `eseq` and `since` after it.
type CallResult = (i64, u32, u32);

impl Call {
    fn run(self) -> CallResult {
        let (mut eseq, mut since) = (ErrSeq(self.eseq), ErrSeq(self.since));
        let ret = match self.name {
            's' => errseq_set(&mut eseq, self.err).0.into(),
            'm' => errseq_sample(&eseq).0.into(),
            'c' => errseq_check(&eseq, since).into(),
            _ => errseq_check_and_advance(&mut eseq, &mut since).into(),
        };
        (ret, eseq.0, since.0)
    }
}

/// Random calls on one errseq and four samples, each with the state that the previous call left. At
/// times the errseq is set to the highest counter, so that it wraps, and an errno is invalid.
fn calls(seed: u8) -> Vec<Call> {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut eseq = 0;
    let mut samples = [0_u32; 4];
    let mut calls = Vec::with_capacity(CALLS);
    while calls.len() < CALLS {
        let word = rng.next_u32();
        let sample = &mut samples[(word >> 24) as usize % 4];
        let err = match word >> 20 & 0xf {
            0 => 0,
            1 => 7,
            2 => -(MAX_ERRNO.cast_signed()) - 1,
            3 => i32::MIN,
            4 => -(MAX_ERRNO.cast_signed()),
            _ => -libc::EIO - (word >> 20 & 1).cast_signed(),
        };
        if word & 0xfff == 0 {
            eseq = !(ERRSEQ_CTR_INC - 1) | ERRSEQ_SEEN | libc::EIO.cast_unsigned();
        }
        let name = ['s', 'm', 'c', 'a'][(word >> 12) as usize % 4];
        let call = Call { name, eseq, since: *sample, err };
        let (ret, after, since) = call.run();
        eseq = after;
        *sample = if name == 'm' { u32::try_from(ret).unwrap() } else { since };
        calls.push(call);
    }
    calls
}

/// Compiles a program that runs the kernel's functions.
fn compile_kernel_errseq(folder: &Path) -> std::path::PathBuf {
    let workspace = Workspace::find().unwrap();
    let _cache = workspace.lock_cache_shared().unwrap();
    let tree = source::obtain(&workspace, &base().source).unwrap();
    let show =
        source::git_command(&tree.repository, ["show", &format!("{}:lib/errseq.c", tree.commit)]).output().unwrap();
    assert!(show.status.success(), "{}", String::from_utf8_lossy(&show.stderr));
    let (source, program) = (folder.join("errseq.c"), folder.join("errseq"));
    fs::write(&source, show.stdout).unwrap();
    let shim = checkout().join("harness/cli/tests/errseq");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O1", "-fwrapv", "-I"]).arg(shim.join("include")).arg("-o").arg(&program);
    assert!(cc.arg(&source).arg(shim.join("main.c")).status().unwrap().success());
    program
}

#[test]
fn model_and_kernel_return_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let seed = 19;
    let calls = calls(seed);
    let wraps = calls.iter().any(|call| call.name == 's' && call.run().1 < call.eseq && call.eseq >> 13 == 0x7_ffff);
    assert!(wraps, "the counter never wraps with seed {seed}");
    let input = folder.path().join("calls");
    let mut writer = BufWriter::new(File::create(&input).unwrap());
    for Call { name, eseq, since, err } in &calls {
        writeln!(writer, "{name} {eseq} {since} {err}").unwrap();
    }
    writer.into_inner().unwrap();
    let mut kernel = Command::new(compile_kernel_errseq(folder.path()))
        .stdin(File::open(&input).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let results = BufReader::new(kernel.stdout.take().unwrap()).lines();
    let mut compared = 0;
    for (call, line) in calls.iter().zip(results) {
        let line = line.unwrap();
        let (ret, eseq, since) = call.run();
        assert_eq!(format!("{ret} {eseq} {since}"), line, "call {compared} of seed {seed}: {call:?}");
        compared += 1;
    }
    assert_eq!(compared, CALLS);
    assert!(kernel.wait().unwrap().success());
}
