// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints a claim as a test of the overlay group of xfstests, with its functions, groups and golden
//! output. The base filesystem is the one of the scratch device.

use std::collections::BTreeSet;

use vremount_claims::{Claim, Step};
use vremount_machine::image::Fs;
use vremount_protocol::{DeviceStack, Disk, Fault, Op};

use crate::reproduce::library::{commands, used_in_xfstests};
use crate::reproduce::script::{Call, find_reason, find_tools, to_calls, unsupported_reason};
use crate::reproduce::shell_call::Unsupported;

/// A test of xfstests.
pub struct Test {
    /// The test.
    pub text: String,
    /// Content of its `.out` file.
    pub golden: String,
}

/// Tools of the library, and the variables of xfstests for them.
const PROGRAMS: [(&str, &str); 9] = [
    ("mount", "$MOUNT_PROG"),
    ("umount", "$UMOUNT_PROG"),
    ("dmsetup", "$DMSETUP_PROG"),
    ("getfattr", "$GETFATTR_PROG"),
    ("setfattr", "$SETFATTR_PROG"),
    ("xfs_io", "$XFS_IO_PROG"),
    ("chattr", "$CHATTR_PROG"),
    ("filefrag", "$FILEFRAG_PROG"),
    ("awk", "$AWK_PROG"),
];

/// Translates a claim. The number of the test is XXX.
///
/// # Errors
/// If a shell cannot perform a step, or a step needs more than a scratch device.
pub fn xfstests_test(claim: &Claim) -> Result<Test, Unsupported> {
    if claim.filesystems.is_some_and(|(on, _)| on.iter().all(|fs| !fs.is_on_disk())) {
        return Err("it is about filesystems in memory, and a scratch device is not in memory");
    }
    if let Some(why) =
        unsupported_reason(&claim.steps).or_else(|| claim.steps.iter().filter_map(Step::op).find_map(needs_more))
    {
        return Err(why);
    }
    let steps = to_calls(&claim.steps, Fs::Ext4)?;
    let calls: Vec<_> = steps.iter().map(Call::text).collect();
    let roots = format!("begin\n_cleanup\nprecondition\nassertion\n{}", calls.join("\n"));
    let find_tools = find_tools(&used_in_xfstests(&roots));
    let (cleanup, functions): (Vec<_>, Vec<_>) =
        used_in_xfstests(&format!("{roots}{find_tools}")).into_iter().partition(|function| function.name == "_cleanup");
    let cleanup: String = cleanup.iter().map(|function| to_xfstests_style(function.text, &PROGRAMS)).collect();
    let functions: Vec<_> = functions.iter().map(|function| to_xfstests_style(function.text, &PROGRAMS)).collect();
    let functions = [functions.join("\n\n"), to_xfstests_style(&find_reason(), &[])].join("\n\n");
    let about = format!("# {}.\n#\n#\t\"{}\"", claim.title, claim.sentence);
    let groups = groups(claim).join(" ");
    let requires = requires(claim, &commands(&format!("{functions}\n{}", calls.join("\n")))).join("\n");
    let text = format!(
        "#! /bin/bash\n# SPDX-License-Identifier: GPL-2.0\n#\n# FS QA Test XXX\n#\n{about}\n#\n. ./common/preamble\n\
         _begin_fstest {groups}\n\n# Override the default cleanup function.\n{cleanup}\n\n# Import common functions.\n\
         . ./common/filter\n. ./common/attr\n\n{requires}\n\nexport LIBMOUNT_FORCE_MOUNT2=always\n\
         top=$tmp.top number=0 frozen='' later='' interval=''\n\n{functions}\n\nbegin{find_tools}\n\n{}\n\n# success, all done\nstatus=0\nexit\n",
        calls.join("\n\n")
    );
    let asserted = steps.iter().filter(|step| step.is_assertion);
    let asserted = asserted.map(|step| format!("{}: {}\n", step.description, step.expected));
    Ok(Test { text, golden: format!("QA output created by XXX\n{}", asserted.collect::<String>()) })
}

/// Why an operation needs more than a scratch device; none if it does not.
fn needs_more(op: &Op) -> Option<Unsupported> {
    match op {
        Op::Attach { disk: Disk::B, .. } => Some("it needs two disks, and xfstests has one scratch device"),
        Op::Attach { stack: DeviceStack::Thin, .. }
        | Op::InjectFault { fault: Fault::NoSpace | Fault::PoolFull, .. } => {
            Some("it fills the device below the filesystem, and a scratch device is too large for that")
        }
        Op::InjectFault { fault: Fault::Flush, .. } => {
            Some("it needs sectors at the end of the device that the filesystem does not use")
        }
        Op::InjectFault { fault: Fault::Reads, .. } => {
            Some("it needs a message for every block of the device, and a scratch device is too large for that")
        }
        Op::InjectFault { fault: Fault::Checkpoint, .. } => {
            Some("it needs a filesystem with inodes that are too small for xattrs")
        }
        Op::StartIoCount { .. } => Some("it counts flushes, and the kernel counts them only for whole disks"),
        _ => None,
    }
}

/// The groups of the test.
fn groups(claim: &Claim) -> Vec<&'static str> {
    let faults = claim.fault_names();
    let mut groups = vec!["auto"];
    if claim.sleep_time().as_secs() < 30 {
        groups.push("quick");
    }
    groups.push("mount");
    if faults.contains("shutdown") {
        groups.push("shutdown");
    } else if !faults.is_empty() {
        groups.push("eio");
    }
    groups
}

/// The `_require` lines, in the order that other tests have.
fn requires(claim: &Claim, used: &BTreeSet<&str>) -> Vec<String> {
    let mut requires = vec!["_require_scratch_nocheck".to_string(), "_require_attrs trusted".to_string()];
    if let Some((on, _)) = claim.filesystems {
        let names: BTreeSet<_> = on.iter().filter(|fs| fs.is_on_disk()).map(|fs| fs.filesystem().kind).collect();
        let names: Vec<_> = names.into_iter().collect();
        requires.push(format!(
            "case $OVL_BASE_FSTYP in\n{}) ;;\n*) _notrun \"base filesystem $OVL_BASE_FSTYP behaves differently\" ;;\nesac",
            names.join("|")
        ));
    }
    let mut targets = BTreeSet::from(["linear"]);
    for step in &claim.steps {
        let Some(Op::InjectFault { fault, .. }) = step.op() else { continue };
        let names: &[&str] = match fault {
            Fault::Data { .. } | Fault::Everything => &["error"],
            Fault::Writes => &["flakey"],
            Fault::SlowReads { .. } => &["delay"],
            Fault::DataAndSlowReads { .. } => &["error", "delay"],
            _ => &[],
        };
        targets.extend(names);
    }
    requires.extend(targets.iter().map(|target| format!("_require_dm_target {target}")));
    if used.contains("break_blocks") {
        requires.push("_require_command \"$FILEFRAG_PROG\" filefrag".to_string());
    }
    for (function, require) in [
        ("freeze_upper", "_require_freeze"),
        ("shut_down_upper", "_require_xfs_io_command \"shutdown\""),
        ("reload_overlay", "_require_loadable_fs_module \"overlay\""),
        ("mount_overlay_as_user", "_require_unshare -U"),
    ] {
        if used.contains(function) {
            requires.push(require.to_string());
        }
    }
    requires
}

/// Reformats a function in the style of xfstests: tabs, and variables for programs.
fn to_xfstests_style(text: &str, programs: &[(&str, &str)]) -> String {
    let line = |line: &str| {
        let code = line.trim_start_matches(' ');
        let tabs = "\t".repeat((line.len() - code.len()) / 4);
        if code.starts_with('#') {
            return format!("{tabs}{code}");
        }
        if let Some(name) = line.strip_suffix("() {") {
            return format!("{name}()\n{{");
        }
        let mut code = format!(" {code}");
        for (tool, program) in programs {
            for before in [" ", "("] {
                code = code.replace(&format!("{before}{tool} "), &format!("{before}{program} "));
            }
        }
        format!("{tabs}{}", &code[1..])
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
