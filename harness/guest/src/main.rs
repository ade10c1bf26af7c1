// SPDX-License-Identifier: MIT OR Apache-2.0
//! PID 1 of a vremount machine: gets ready, works off its program, reports each step, switches the machine off. It
//! decides nothing, and whatever goes wrong is said in a last event before the machine stops.

mod arcs;
mod bench;
mod channel;
mod data;
mod disk;
mod dm;
mod error;
mod fault;
mod files;
mod forgeries;
mod fs_context;
mod handle;
mod ioctl;
mod kernel_log;
mod kexec;
mod leaks;
mod loops;
mod marker;
mod module;
mod mounts;
mod namespace;
mod overlay;
mod paths;
mod run;
mod script;
mod shell;
mod siege;
mod snapshot;
mod system;
mod thin;

use std::panic;

use channel::Channel;
use error::{Failure, context};
use vremount_protocol::{Event, PROGRAM_PATH, Program, Shutdown, Work};

fn main() {
    if std::process::id() != 1 {
        let args: Vec<_> = std::env::args().skip(1).collect();
        let done = namespace::act(&args).inspect_err(|failure| eprintln!("{failure}"));
        std::process::exit(if done.is_ok() { 0 } else { 2 });
    }
    // Without a program nobody knows how this machine is switched off; a restart ends most of them.
    let mut shutdown = Shutdown::Restart;
    if let Err(failure) = work(&mut shutdown) {
        eprintln!("vremount-guest: {failure}");
    }
    system::stop(shutdown)
}

fn work(shutdown: &mut Shutdown) -> Result<(), Failure> {
    system::mount_pseudo_filesystems()?;
    let program: Program =
        serde_json::from_slice(&context("read", PROGRAM_PATH, std::fs::read(PROGRAM_PATH))?).map_err(Failure::new)?;
    *shutdown = program.shutdown;
    let mut channel = Channel::open(&program.channel)?;
    report_panics(program.channel.clone(), program.shutdown);
    let worked = obey(&program, &mut channel);
    if let Err(failure) = &worked {
        channel.send(&Event::GaveUp { why: failure.to_string() })?;
    }
    worked
}

fn obey(program: &Program, channel: &mut Channel) -> Result<(), Failure> {
    channel.send(&Event::Booted)?;
    let module_sha256 = module::load(&program.module)?;
    channel.send(&Event::Ready {
        release: system::release()?,
        build_id: system::build_id()?,
        module_sha256,
        uptime_ms: system::uptime_ms()?,
    })?;
    match &program.work {
        Work::Steps(ops) => {
            system::set_clock()?;
            let mut runner = run::Runner::new(program)?;
            for (index, op) in ops.iter().enumerate() {
                channel.send(&Event::Step(runner.step(index, op)?))?;
            }
            // Beside a thread that never rests the time of User Mode Linux stands still, and so would the wait for leaks.
            if !runner.is_writing() {
                leaks::tell()?;
            }
            arcs::tell(channel)?;
            if program.shutdown == Shutdown::Kexec {
                kexec::load()?;
            }
            // What still writes is interrupted where it is now: on User Mode Linux who spins is alone, and the same is lost each
            // time.
            channel.send(&Event::End { steps: ops.len() })
        }
        Work::Shell => shell::run(program),
        Work::Script(shell) => {
            script::run(program, shell, channel)?;
            channel.send(&Event::End { steps: 0 })
        }
    }
}

/// A panic of PID 1 would be a panic of the kernel, and look like one.
fn report_panics(channel: String, shutdown: Shutdown) {
    panic::set_hook(Box::new(move |info| {
        let gave_up = Event::GaveUp { why: format!("the guest panicked: {info}") };
        if Channel::open(&channel).and_then(|mut channel| channel.send(&gave_up)).is_err() {
            eprintln!("vremount-guest: {info}");
        }
        system::stop(shutdown)
    }));
}
