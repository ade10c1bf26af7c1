// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model's errseq against the kernel's: `lib/errseq.c` of the base, compiled for the host, asked the same questions.
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

/// A call, with all it is given.
#[derive(Debug, Clone, Copy)]
struct Call {
    name: char,
    eseq: u32,
    since: u32,
    err: i32,
}

/// What came of it: return value, eseq and since after it.
type Answer = (i64, u32, u32);

impl Call {
    fn answer(self) -> Answer {
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

/// A story of one errseq and a few who watch it: what one call leaves is what the next is given. Now and then it jumps to
/// where the counter wraps, and an errno is one that nobody may set.
fn calls(seed: u8) -> Vec<Call> {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut eseq = 0;
    let mut watchers = [0_u32; 4];
    let mut calls = Vec::with_capacity(CALLS);
    while calls.len() < CALLS {
        let word = rng.next_u32();
        let watcher = &mut watchers[(word >> 24) as usize % 4];
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
        let call = Call { name, eseq, since: *watcher, err };
        let (ret, after, since) = call.answer();
        eseq = after;
        *watcher = if name == 'm' { u32::try_from(ret).unwrap() } else { since };
        calls.push(call);
    }
    calls
}

/// The kernel's functions as a program.
fn program(folder: &Path) -> std::path::PathBuf {
    let workspace = Workspace::find().unwrap();
    let _cache = workspace.lock_cache_shared().unwrap();
    let tree = source::obtain(&workspace, &base().source).unwrap();
    let shown = source::git(&tree.repository, ["show", &format!("{}:lib/errseq.c", tree.commit)]).output().unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let (source, program) = (folder.join("errseq.c"), folder.join("errseq"));
    fs::write(&source, shown.stdout).unwrap();
    let ours = checkout().join("harness/cli/tests/errseq");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O1", "-fwrapv", "-I"]).arg(ours.join("include")).arg("-o").arg(&program);
    assert!(cc.arg(&source).arg(ours.join("main.c")).status().unwrap().success());
    program
}

#[test]
fn the_model_counts_errors_as_the_kernel_does() {
    let folder = tempfile::tempdir().unwrap();
    let seed = 19;
    let calls = calls(seed);
    let wraps = calls.iter().any(|call| call.name == 's' && call.answer().1 < call.eseq && call.eseq >> 13 == 0x7_ffff);
    assert!(wraps, "the counter never wraps with seed {seed}");
    let input = folder.path().join("calls");
    let mut writer = BufWriter::new(File::create(&input).unwrap());
    for Call { name, eseq, since, err } in &calls {
        writeln!(writer, "{name} {eseq} {since} {err}").unwrap();
    }
    writer.into_inner().unwrap();
    let mut kernel =
        Command::new(program(folder.path())).stdin(File::open(&input).unwrap()).stdout(Stdio::piped()).spawn().unwrap();
    let answers = BufReader::new(kernel.stdout.take().unwrap()).lines();
    let mut compared = 0;
    for (call, line) in calls.iter().zip(answers) {
        let line = line.unwrap();
        let (ret, eseq, since) = call.answer();
        assert_eq!(format!("{ret} {eseq} {since}"), line, "call {compared} of seed {seed}: {call:?}");
        compared += 1;
    }
    assert_eq!(compared, CALLS);
    assert!(kernel.wait().unwrap().success());
}
