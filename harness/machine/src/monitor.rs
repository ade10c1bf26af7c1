// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watches a machine from its start to its end: reads its streams, applies its timeouts, and finds
//! out why it ended.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use vremount_protocol::{ConsoleIssue, Event, Severity, classify, decode};
use vremount_util::process_group::Group;

use crate::machine_config::MachineConfig;
use crate::output::{ExitReason, MachineOutput};
use crate::streams::{MAX_BYTES, StreamInput, counted_since, receive_within, spawn_readers};
use crate::timeouts::{Timeouts, host_load_factor};

/// Time that a machine has to shut down after its last end record.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Time in which output is still read after a kernel crashed or the process ended.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);
/// Number of bytes of the console that are kept in memory.
const TAIL_BYTES: usize = 64 * 1024;

/// Watches a machine until it ends or a timeout expires. Its processes are killed before this
/// returns.
pub(crate) fn watch(
    mut group: Group,
    console: impl Read + Send + 'static,
    channel: impl Read + Send + 'static,
    config: &MachineConfig<'_>,
) -> MachineOutput {
    let &MachineConfig { console_log, timeouts: limits, power_cut, .. } = config;
    let log = match File::create(console_log) {
        Ok(log) => log,
        Err(cause) => {
            return MachineOutput::not_started(format!("failed to create {}: {cause}", console_log.display()));
        }
    };
    let input = spawn_readers(console, channel);
    let mut monitor = Monitor::new(log, config.kernel_count);
    let end = monitor.run(&input, &mut group, limits);
    let ended = Instant::now();
    let times = &mut monitor.output.timings;
    times.steps = monitor.started.elapsed().saturating_sub(times.ready.unwrap_or_default());
    monitor.output.peak_kib = group.peak_memory_kib();
    if end == ExitReason::Finished && !power_cut {
        group.wait_for_exit(SHUTDOWN_GRACE);
    }
    drop(group);
    monitor.output.timings.stop = ended.elapsed();
    monitor.drain_console(&input);
    let Monitor { tail, crash, mut output, .. } = monitor;
    output.exit_reason = match (end, crash) {
        // The guest may send its end record although the kernel has crashed.
        (_, Some((issue, _))) => ExitReason::from(issue),
        (ExitReason::Finished, None) if power_cut => ExitReason::PowerCut,
        (end, None) => end,
    };
    output.console_tail = String::from_utf8_lossy(&tail).into_owned();
    output
}

struct Monitor {
    started: Instant,
    log: File,
    console_bytes: u64,
    /// Time from exec to the previous event.
    previous_event: Duration,
    /// Console line that is not complete yet.
    line: Vec<u8>,
    tail: Vec<u8>,
    /// First console line that announces a crash, and when it was read.
    crash: Option<(ConsoleIssue, Instant)>,
    /// Number of kernels whose end record is missing.
    kernels_left: usize,
    output: MachineOutput,
}

impl Monitor {
    fn new(log: File, kernels: usize) -> Self {
        Monitor {
            started: Instant::now(),
            log,
            console_bytes: 0,
            previous_event: Duration::ZERO,
            line: Vec::new(),
            tail: Vec::new(),
            crash: None,
            kernels_left: kernels,
            output: MachineOutput::not_started(String::new()),
        }
    }

    /// Processes input until the machine ends, crashes, or exceeds a limit.
    fn run(&mut self, input: &Receiver<StreamInput>, group: &mut Group, limits: Timeouts) -> ExitReason {
        let (mut silence, mut total) = (Duration::ZERO, Duration::ZERO);
        let mut iteration = Instant::now();
        let mut channel_open = true;
        loop {
            match input.recv_timeout(Duration::from_millis(20)) {
                Ok(StreamInput::Console(bytes)) => {
                    silence = Duration::ZERO;
                    self.add_console(&bytes);
                }
                Ok(StreamInput::Event(line)) => {
                    silence = Duration::ZERO;
                    if let Some(end) = self.add_event(&line) {
                        return end;
                    }
                }
                Ok(StreamInput::ChannelClosed) => channel_open = false,
                // Both streams are closed; the check of the process below ends the loop.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(5)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some((issue, seen)) = &self.crash
                && (seen.elapsed() > OUTPUT_GRACE || !channel_open)
            {
                return ExitReason::from(issue.clone());
            }
            if let Ok(Some(status)) = group.try_wait() {
                return self.read_rest(input, &status.to_string());
            }
            if self.console_bytes > MAX_BYTES {
                return ExitReason::Hung(format!("it printed more than {} MiB", MAX_BYTES >> 20));
            }
            let counted = counted_since(iteration);
            (silence, total, iteration) = (silence + counted, total + counted, Instant::now());
            if is_expired(silence, limits.silence) {
                return ExitReason::Hung(format!("no output for {} s", silence.as_secs()));
            }
            if is_expired(total, limits.total) {
                return ExitReason::Hung(format!("it did not finish within {} s", total.as_secs()));
            }
        }
    }

    /// Processes what is left in the streams after the process ended.
    fn read_rest(&mut self, input: &Receiver<StreamInput>, status: &str) -> ExitReason {
        let mut remaining = OUTPUT_GRACE;
        while let Some(next) = receive_within(&mut remaining, input) {
            match next {
                StreamInput::Console(bytes) => self.add_console(&bytes),
                StreamInput::Event(line) => {
                    if let Some(end) = self.add_event(&line) {
                        return end;
                    }
                }
                StreamInput::ChannelClosed => {}
            }
        }
        match &self.crash {
            Some((issue, _)) => ExitReason::from(issue.clone()),
            None => ExitReason::EndedEarly(format!("the machine ended ({status}) before the guest's end record")),
        }
    }

    /// Records an event. Returns the exit reason if it is the last one.
    fn add_event(&mut self, line: &str) -> Option<ExitReason> {
        let event = match decode(line) {
            Ok(Event::GcovData { object, gcda }) => {
                self.time_since_previous_event();
                self.output.coverage_data.push((object, gcda));
                return None;
            }
            Ok(event) => event,
            Err(error) => return Some(ExitReason::ChannelCorrupt(error.to_string())),
        };
        let end = match &event {
            Event::Ready { .. } => {
                self.output.timings.module = self.time_since_previous_event();
                self.output.timings.ready = Some(self.started.elapsed());
                None
            }
            Event::Booted | Event::GcovData { .. } | Event::ScriptOutput(_) | Event::Exited { .. } => {
                self.time_since_previous_event();
                None
            }
            Event::Step(_) => {
                let duration = self.time_since_previous_event();
                self.output.step_durations.push(duration);
                None
            }
            Event::End { .. } => {
                self.kernels_left = self.kernels_left.saturating_sub(1);
                (self.kernels_left == 0).then_some(ExitReason::Finished)
            }
            Event::GuestFailed { reason: why } => Some(ExitReason::GuestFailed(why.clone())),
        };
        self.output.events.push(event);
        end
    }

    fn time_since_previous_event(&mut self) -> Duration {
        let now = self.started.elapsed();
        now.saturating_sub(std::mem::replace(&mut self.previous_event, now))
    }

    fn add_console(&mut self, bytes: &[u8]) {
        if self.console_bytes == 0 {
            self.output.timings.exec = self.started.elapsed();
        }
        self.console_bytes += bytes.len() as u64;
        // An error of the log file does not stop the machine: the tail is kept in memory.
        let _ = self.log.write_all(bytes);
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() - TAIL_BYTES);
        }
        for byte in bytes {
            if *byte == b'\n' || self.line.len() > TAIL_BYTES {
                let line = std::mem::take(&mut self.line);
                self.classify_line(&String::from_utf8_lossy(&line));
            } else {
                self.line.push(*byte);
            }
        }
    }

    fn classify_line(&mut self, line: &str) {
        match classify(line) {
            Some(issue) if issue.severity == Severity::Warning => self.output.kernel_warnings.push(issue.message),
            Some(issue) if self.crash.is_none() => self.crash = Some((issue, Instant::now())),
            _ => {}
        }
    }

    /// Reads the rest of the console after the machine was killed. Waits a limited time, because a
    /// process that escaped from the process group may keep the stream open.
    fn drain_console(&mut self, input: &Receiver<StreamInput>) {
        let mut remaining = OUTPUT_GRACE;
        while let Some(next) = receive_within(&mut remaining, input) {
            if let StreamInput::Console(bytes) = next {
                self.add_console(&bytes);
            }
        }
    }
}

fn is_expired(elapsed: Duration, limit: Duration) -> bool {
    elapsed > limit && elapsed > limit.mul_f64(host_load_factor())
}
