// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steps in words: the one printer for tables, lists and transcripts.

use std::fmt;

use vremount_wire::{Fault, Forgery, Layers, Mode, Op, Outcome, Scope, Via};

use super::{HostStep, Step, Want};

/// An operation in words.
#[must_use]
pub fn describe(op: &Op) -> String {
    match op {
        Op::Attach { disk } => format!("attach disk {disk}"),
        Op::MountUpper { disk, options } => match options.as_str() {
            "" => format!("mount upper filesystem {disk}"),
            options => format!("mount upper filesystem {disk} with {options}"),
        },
        Op::UnmountUpper { disk } => format!("unmount upper filesystem {disk}"),
        Op::BindUpper { disk } => format!("bind-mount upper filesystem {disk}"),
        Op::UnmountBind { disk } => format!("unmount the bind mount of {disk}"),
        Op::FreshUpper { disk } => format!("make fresh upper and work directories on {disk}"),
        Op::RemoveMarker { disk } => format!("remove work/incompat/volatile on {disk}"),
        Op::MountOverlay { disk, layers, mode, via, options } => {
            let second = match layers {
                Layers::First => "",
                Layers::Second => "second ",
            };
            let mode = match mode {
                Mode::Volatile => "volatile",
                Mode::Durable => "durable",
            };
            let via = match via {
                Via::Mount => "",
                Via::Bind => " through the bind mount",
            };
            let options = if options.is_empty() { String::new() } else { format!(" with {options}") };
            format!("mount {second}overlay on {disk}{via}, {mode}{options}")
        }
        Op::UnmountOverlay { disk, layers: Layers::First } => format!("unmount overlay on {disk}"),
        Op::UnmountOverlay { disk, layers: Layers::Second } => format!("unmount second overlay on {disk}"),
        Op::Cycle { disk, times } => format!("mount overlay on {disk} volatile and unmount it, {times} times"),
        Op::Write { disk, file, bytes, seed } => {
            format!("write {bytes} bytes of seed {seed} to {file} of overlay on {disk}")
        }
        Op::Compare { disk, file, bytes, seed } => {
            format!("read {file} of overlay on {disk}: {bytes} bytes of seed {seed}")
        }
        Op::WriteBack => "sync(2)".to_string(),
        Op::WriteBackData { disk, file } => format!("write back {file} of upper {disk}, unseen"),
        Op::SyncUpper { disk } => format!("syncfs(2) upper filesystem {disk}"),
        Op::SyncUpperAfresh { disk } => format!("syncfs(2) upper filesystem {disk} on a new file descriptor"),
        Op::Break { disk, fault: Fault::Data { file } } => format!("break the data blocks of {file} on {disk}"),
        Op::FsyncUpperFile { disk, file } => format!("fsync(2) {file} of upper {disk}"),
        Op::Break { disk, fault: Fault::Everything } => format!("break all of disk {disk}"),
        Op::Break { disk, fault: Fault::Flush } => format!("break flushes of disk {disk}"),
        Op::Heal { disk } => format!("heal disk {disk}"),
        Op::UpperWritable { disk } => format!("upper filesystem {disk} takes writes"),
        Op::PauseWriteback => "stop periodic writeback".to_string(),
        Op::CountIo { disk } => format!("count I/O of disk {disk}"),
        Op::CountedIo { disk } => format!("I/O of disk {disk} since"),
        Op::ReloadOverlay => "unload and load overlay".to_string(),
        Op::Forge { disk, forgery: Forgery::Remove } => format!("remove the checkpoint on {disk}"),
        Op::Forge { disk, forgery: Forgery::Length(bytes) } => format!("make the checkpoint on {disk} {bytes} bytes"),
        Op::Forge { disk, forgery: Forgery::Random { seed } } => {
            format!("make the checkpoint on {disk} random bytes of seed {seed}")
        }
        Op::Snapshot { disk, scope: Scope::Tree } => format!("remember all of upper filesystem {disk}"),
        Op::Snapshot { disk, scope: Scope::Marker } => format!("remember the marker on {disk}"),
        Op::SameAsSnapshot { disk, scope: Scope::Tree } => format!("all of upper filesystem {disk} is as remembered"),
        Op::SameAsSnapshot { disk, scope: Scope::Marker } => format!("the marker on {disk} is as remembered"),
        Op::Reset => "take everything down".to_string(),
        Op::Sleep { ms } => format!("sleep {ms} ms"),
    }
}

/// An outcome in words.
#[must_use]
pub fn describe_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_string(),
        Outcome::Mounted { volatile, read_only } => format!(
            "mounted {}{}",
            if *volatile { "volatile" } else { "durable" },
            if *read_only { ", read-only" } else { "" }
        ),
        Outcome::Refused { errno } => format!("refused {}", errno_name(*errno)),
        Outcome::Failed { errno: 0, what } | Outcome::Differs { what } => what.clone(),
        Outcome::Failed { errno, what } => format!("{what}: {}", errno_name(*errno)),
        Outcome::Counted(io) => format!("{} writes, {} flushes", io.writes, io.flushes),
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Want::Done => f.write_str("done"),
            Want::Mounted => f.write_str("mounted"),
            Want::Refused { errno, reason } => write!(f, "refused {} {reason}", errno_name(*errno)),
            Want::Fails(errno) => write!(f, "fails {}", errno_name(*errno)),
            Want::IoErrors => f.write_str("I/O errors logged"),
            Want::NoIo => f.write_str("no writes, no flushes"),
            Want::Flushed => f.write_str("flushed"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Given(op, Want::Done) => f.write_str(&describe(op)),
            Step::Given(op, want) => write!(f, "{} ({want})", describe(op)),
            Step::Then(op, want) => write!(f, "{} => {want}", describe(op)),
            Step::Host(HostStep::Reboot) => f.write_str("reboot the machine"),
            Step::Host(HostStep::PowerCut) => f.write_str("cut the machine's power"),
        }
    }
}

/// `EINVAL` for 22; an unknown number stays a number.
#[must_use]
pub fn errno_name(errno: i32) -> String {
    match nix::errno::Errno::from_raw(errno) {
        nix::errno::Errno::UnknownErrno => errno.to_string(),
        known => format!("{known:?}"),
    }
}
