// SPDX-License-Identifier: MIT OR Apache-2.0
//! PID 1 of a vremount machine. It loads the overlay module, runs its [`Program`], reports events,
//! and stops the machine. It judges no outcome. If the guest itself fails, its last event says why.
//!
//! - `init`: the running kernel: pseudo filesystems, modules, logs, coverage, shutdown.
//! - `ops`: mounts, files and markers.
//! - `faults`: block devices, and device-mapper tables that inject faults.
//! - `stress`: operations that mount many times.
//! - `bench`: operations that measure.
//! - `interpreter`, `shell`, `script`: the three kinds of tasks.
//!
//! Imports point one way: `error`, `channel` <- `init` <- `ops` <- `faults`, `stress` <- `bench` <-
//! tasks.

mod bench;
mod channel;
mod error;
mod faults;
mod init;
mod interpreter;
mod ops;
mod script;
mod shell;
mod stress;

use std::panic;

use channel::Channel;
use error::{Failure, context};
use init::{gcov, init_system, kexec, kmemleak, module};
use interpreter::Interpreter;
use ops::userns;
use vremount_protocol::{Event, GuestTask, PROGRAM_PATH, Program, Shutdown};

fn main() {
    if std::process::id() != 1 {
        let args: Vec<_> = std::env::args().skip(1).collect();
        let result = userns::run_role(&args).inspect_err(|failure| eprintln!("{failure}"));
        std::process::exit(if result.is_ok() { 0 } else { 2 });
    }
    // Until the program is read, the kind of shutdown is unknown. A restart works on most
    // executors.
    let mut shutdown = Shutdown::Restart;
    if let Err(failure) = run(&mut shutdown) {
        eprintln!("vremount-guest: {failure}");
    }
    init_system::stop(shutdown)
}

/// Reads and executes the program. Sets `shutdown` as soon as it is known.
fn run(shutdown: &mut Shutdown) -> Result<(), Failure> {
    init_system::mount_pseudo_filesystems()?;
    let json = context("read", PROGRAM_PATH, std::fs::read(PROGRAM_PATH))?;
    let program: Program = serde_json::from_slice(&json)
        .map_err(|error| Failure::new(format!("failed to parse {PROGRAM_PATH}: {error}")))?;
    *shutdown = program.shutdown;
    let mut channel = Channel::open(&program.channel)?;
    report_panics(program.channel.clone(), program.shutdown);
    let result = execute_program(&program, &mut channel);
    if let Err(failure) = &result {
        channel.send(&Event::GuestFailed { reason: failure.to_string() })?;
    }
    result
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
    match &program.task {
        GuestTask::Steps(ops) => {
            init_system::set_clock()?;
            let mut interpreter = Interpreter::new(program)?;
            for (index, op) in ops.iter().enumerate() {
                channel.send(&Event::Step(interpreter.run_step(index, op)?))?;
            }
            // Time in User Mode Linux does not advance while a thread is always runnable, so a
            // sleep would not end.
            if !interpreter.has_writer_thread() {
                kmemleak::report_leaks()?;
            }
            gcov::report(channel)?;
            if program.shutdown == Shutdown::Kexec {
                kexec::load()?;
            }
            // The shutdown interrupts the writer thread. On User Mode Linux the main thread then spins
            // and no other thread runs, so each run loses the same data.
            channel.send(&Event::End { steps: ops.len() })
        }
        GuestTask::Shell => shell::run(program),
        GuestTask::Script(script_interpreter) => {
            script::run(program, script_interpreter, channel)?;
            channel.send(&Event::End { steps: 0 })
        }
    }
}

/// Reports a panic as an event and stops the machine. Without this, the exit of PID 1 would cause a
/// kernel panic.
fn report_panics(channel: String, shutdown: Shutdown) {
    panic::set_hook(Box::new(move |info| {
        let gave_up = Event::GuestFailed { reason: format!("the guest panicked: {info}") };
        if Channel::open(&channel).and_then(|mut channel| channel.send(&gave_up)).is_err() {
            eprintln!("vremount-guest: {info}");
        }
        init_system::stop(shutdown)
    }));
}
