// SPDX-License-Identifier: MIT OR Apache-2.0
//! PID 1 of a vremount machine: gets ready, works off its program, reports each step, switches the machine off. It
//! decides nothing, and whatever goes wrong is said in a last event before the machine stops.

mod bench;
mod channel;
mod checkpoint_fuzz;
mod disk;
mod dm;
mod dm_thin;
mod error;
mod fault;
mod file_handle;
mod file_io;
mod files;
mod fs_context;
mod gcov;
mod init_system;
mod interpreter;
mod ioctl;
mod kernel_log;
mod kexec;
mod kmemleak;
mod loop_device;
mod marker;
mod module;
mod mounts;
mod overlay;
mod script;
mod shell;
mod simple_ops;
mod snapshot;
mod stress;
mod userns;

use std::panic;

use channel::Channel;
use error::{Failure, context};
use vremount_protocol::{Event, GuestTask, PROGRAM_PATH, Program, Shutdown};

fn main() {
    if std::process::id() != 1 {
        let args: Vec<_> = std::env::args().skip(1).collect();
        let done = userns::act(&args).inspect_err(|failure| eprintln!("{failure}"));
        std::process::exit(if done.is_ok() { 0 } else { 2 });
    }
    // Without a program nobody knows how this machine is switched off; a restart ends most of them.
    let mut shutdown = Shutdown::Restart;
    if let Err(failure) = work(&mut shutdown) {
        eprintln!("vremount-guest: {failure}");
    }
    init_system::stop(shutdown)
}

fn work(shutdown: &mut Shutdown) -> Result<(), Failure> {
    init_system::mount_pseudo_filesystems()?;
    let program: Program =
        serde_json::from_slice(&context("read", PROGRAM_PATH, std::fs::read(PROGRAM_PATH))?).map_err(Failure::new)?;
    *shutdown = program.shutdown;
    let mut channel = Channel::open(&program.channel)?;
    report_panics(program.channel.clone(), program.shutdown);
    let worked = execute_program(&program, &mut channel);
    if let Err(failure) = &worked {
        channel.send(&Event::GaveUp { why: failure.to_string() })?;
    }
    worked
}

fn execute_program(program: &Program, channel: &mut Channel) -> Result<(), Failure> {
    channel.send(&Event::Booted)?;
    let module_sha256 = module::load(&program.module)?;
    channel.send(&Event::Ready {
        release: init_system::release()?,
        build_id: init_system::build_id()?,
        module_sha256,
        uptime_ms: init_system::uptime_ms()?,
    })?;
    match &program.work {
        GuestTask::Steps(ops) => {
            init_system::set_clock()?;
            let mut runner = interpreter::Runner::new(program)?;
            for (index, op) in ops.iter().enumerate() {
                channel.send(&Event::Step(runner.step(index, op)?))?;
            }
            // Beside a thread that never rests the time of User Mode Linux stands still, and so would the wait for leaks.
            if !runner.is_writing() {
                kmemleak::tell()?;
            }
            gcov::tell(channel)?;
            if program.shutdown == Shutdown::Kexec {
                kexec::load()?;
            }
            // What still writes is interrupted where it is now: on User Mode Linux who spins is alone, and the same is lost each
            // time.
            channel.send(&Event::End { steps: ops.len() })
        }
        GuestTask::Shell => shell::run(program),
        GuestTask::Script(shell) => {
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
        init_system::stop(shutdown)
    }));
}
