// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watches a machine from its start to its end: two streams, two clocks, one answer.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use vremount_protocol::{ConsoleIssue, Event, Severity, classify, decode};
use vremount_util::process_group::Group;

use crate::MachineConfig;
use crate::timeouts::{Timeouts, slower_by_others};

/// How long a machine that said its last word may take to switch itself off.
const GRACE: Duration = Duration::from_secs(5);
/// How long a kernel that is dying may go on printing.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A turn of the watch that takes longer was not its own.
const LONGEST_TURN: Duration = Duration::from_millis(100);
/// How much a machine may say on its console, and on its channel: a hundred times what a claim makes it say.
const MOST_BYTES: u64 = 16 << 20;
/// How many chunks wait to be read before the machine has to.
const BACKLOG: usize = 64;
/// How much of the console a run keeps.
const TAIL_BYTES: usize = 64 * 1024;

/// How a machine ended. Only the first two say anything about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// The guest said its last word; whether it then switched the machine off or had to be killed does not matter.
    Finished,
    /// Killed on purpose, right after the last word.
    PowerCut,
    Panic(String),
    Oops(String),
    OutOfMemory(String),
    Stuck(String),
    /// One of the clocks ran out.
    Hung(String),
    /// The machine was gone before the last word.
    Lost(String),
    /// The guest could not go on.
    GaveUp(String),
    /// The channel carried something that is no event.
    Garbled(String),
    NotStarted(String),
}

/// Where the time of a machine went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// From exec to the first thing on its console, a part of `ready`.
    pub exec: Duration,
    /// What the guest needed to load the overlay module, a part of `ready`.
    pub module: Duration,
    /// From exec to a guest that is ready; none if it never was.
    pub ready: Option<Duration>,
    /// Steps that made devices, a part of `steps`.
    pub devices: Duration,
    /// Steps that mounted an upper filesystem, a part of `steps`.
    pub filesystem: Duration,
    /// From there to its last word.
    pub steps: Duration,
    /// From there to the end of its process.
    pub stop: Duration,
}

/// What a machine left behind.
#[derive(Debug)]
pub struct MachineOutput {
    pub end: ExitReason,
    pub events: Vec<Event>,
    pub times: Timings,
    /// How long each step took, as the host saw it.
    pub step_times: Vec<Duration>,
    /// Most memory that the machine's program had, KiB.
    pub peak_kib: Option<u64>,
    /// Warnings of the kernel that did not end it.
    pub splats: Vec<String>,
    /// How often the arcs of objects were taken, a `.gcda` for each, of each of its kernels.
    pub arcs: Vec<(String, Vec<u8>)>,
    pub console_tail: String,
}

impl MachineOutput {
    /// What the guests of its kernels said, one after the other.
    pub fn per_kernel_events(&self) -> impl Iterator<Item = &[Event]> {
        self.events.split_inclusive(|event| matches!(event, Event::End { .. }))
    }

    /// The end of the console, as the continuation of a message.
    #[must_use]
    pub fn last_lines(&self) -> String {
        const LINES: usize = 8;
        let lines: Vec<_> = self.console_tail.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("\n             | {line}")).collect()
    }

    /// A machine that never was.
    pub fn not_started(why: String) -> Self {
        MachineOutput {
            end: ExitReason::NotStarted(why),
            events: Vec::new(),
            times: Timings::default(),
            step_times: Vec::new(),
            peak_kib: None,
            splats: Vec::new(),
            arcs: Vec::new(),
            console_tail: String::new(),
        }
    }
}

enum StreamInput {
    Console(Vec<u8>),
    Event(String),
    ChannelClosed,
}

/// Watches the machine until it ends, and sees to it that it has ended.
pub fn watch(
    mut group: Group,
    console: impl Read + Send + 'static,
    channel: impl Read + Send + 'static,
    boot: &MachineConfig<'_>,
) -> MachineOutput {
    let started = Instant::now();
    let &MachineConfig { console_log, limits, power_cut, .. } = boot;
    let log = match File::create(console_log) {
        Ok(log) => log,
        Err(cause) => {
            return MachineOutput::not_started(format!("failed to create {}: {cause}", console_log.display()));
        }
    };
    let heard = listen(console, channel);
    let mut watch = Monitor {
        log,
        console_bytes: 0,
        last_told: Duration::ZERO,
        line: Vec::new(),
        tail: Vec::new(),
        fatal: None,
        kernels_left: boot.kernels,
        run: MachineOutput::not_started(String::new()),
    };
    let end = watch.until_the_end(&heard, &mut group, started, limits);
    let ending = Instant::now();
    watch.run.times.steps = started.elapsed().saturating_sub(watch.run.times.ready.unwrap_or_default());
    watch.run.peak_kib = group.peak_kib();
    if end == ExitReason::Finished && !power_cut {
        group.ends_within(GRACE);
    }
    drop(group);
    watch.run.times.stop = ending.elapsed();
    watch.drain(&heard);
    let Monitor { tail, fatal, mut run, .. } = watch;
    run.end = match (end, fatal) {
        // A guest may not notice what became of its kernel.
        (_, Some((sign, _))) => ExitReason::from(sign),
        (ExitReason::Finished, None) if power_cut => ExitReason::PowerCut,
        (end, None) => end,
    };
    run.console_tail = String::from_utf8_lossy(&tail).into_owned();
    run
}

/// Readers of their own, which end with the streams; nobody waits for them, since a stream may be held open by a
/// process that is none of ours.
fn listen(mut console: impl Read + Send + 'static, channel: impl Read + Send + 'static) -> Receiver<StreamInput> {
    let (sender, heard) = mpsc::sync_channel(BACKLOG);
    let to_console = sender.clone();
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = console.read(&mut chunk) {
            if to_console.send(StreamInput::Console(chunk[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        let mut channel = BufReader::new(channel.take(MOST_BYTES));
        let mut line = Vec::new();
        // A last line without its end was cut off with the machine, and why that ended tells more.
        while let Ok(1..) = channel.read_until(b'\n', &mut line)
            && line.ends_with(b"\n")
        {
            if sender.send(StreamInput::Event(String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
            line.clear();
        }
        let _ = sender.send(StreamInput::ChannelClosed);
    });
    heard
}

struct Monitor {
    log: File,
    console_bytes: u64,
    /// When the last event came, from exec on.
    last_told: Duration,
    /// The console line that is not complete yet.
    line: Vec<u8>,
    tail: Vec<u8>,
    /// The first sign of a kernel that is dying, and when it was seen.
    fatal: Option<(ConsoleIssue, Instant)>,
    kernels_left: usize,
    run: MachineOutput,
}

impl Monitor {
    fn until_the_end(
        &mut self,
        heard: &Receiver<StreamInput>,
        group: &mut Group,
        started: Instant,
        limits: Timeouts,
    ) -> ExitReason {
        let (mut silent, mut whole) = (Duration::ZERO, Duration::ZERO);
        let mut turn = Instant::now();
        let mut channel_open = true;
        loop {
            match heard.recv_timeout(Duration::from_millis(20)) {
                Ok(StreamInput::Console(bytes)) => {
                    silent = Duration::ZERO;
                    if self.console_bytes == 0 {
                        self.run.times.exec = started.elapsed();
                    }
                    self.console(&bytes);
                }
                Ok(StreamInput::Event(line)) => {
                    silent = Duration::ZERO;
                    if let Some(end) = self.event(&line, started) {
                        return end;
                    }
                }
                Ok(StreamInput::ChannelClosed) => channel_open = false,
                // Both streams are at their end; the machine itself shows below whether it is.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(5)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some((sign, seen)) = &self.fatal
                && (seen.elapsed() > LAST_WORDS || !channel_open)
            {
                return ExitReason::from(sign.clone());
            }
            if let Ok(Some(status)) = group.ended() {
                return self.gone(heard, started, &status.to_string());
            }
            if self.console_bytes > MOST_BYTES {
                return ExitReason::Hung(format!("its console said more than {} MiB", MOST_BYTES >> 20));
            }
            // Where all of the host stood still, so did the machine.
            let passed = passed(turn);
            (silent, whole, turn) = (silent + passed, whole + passed, Instant::now());
            if silent > limits.silence && silent > limits.silence.mul_f64(slower_by_others()) {
                return ExitReason::Hung(format!("nothing was heard for {} s", silent.as_secs()));
            }
            if whole > limits.total && whole > limits.total.mul_f64(slower_by_others()) {
                return ExitReason::Hung(format!("no end after {} s", whole.as_secs()));
            }
        }
    }

    /// The process has ended: what it said last may still be on its way.
    fn gone(&mut self, heard: &Receiver<StreamInput>, started: Instant, status: &str) -> ExitReason {
        let mut left = LAST_WORDS;
        while let Some(word) = next_within(&mut left, heard) {
            match word {
                StreamInput::Console(bytes) => self.console(&bytes),
                StreamInput::Event(line) => {
                    if let Some(end) = self.event(&line, started) {
                        return end;
                    }
                }
                StreamInput::ChannelClosed => {}
            }
        }
        match &self.fatal {
            Some((sign, _)) => ExitReason::from(sign.clone()),
            None => ExitReason::Lost(format!("the machine ended ({status}) before the guest's last word")),
        }
    }

    fn event(&mut self, line: &str, started: Instant) -> Option<ExitReason> {
        let event = match decode(line) {
            Ok(Event::Arcs { object, gcda }) => {
                self.told_after(started);
                self.run.arcs.push((object, gcda));
                return None;
            }
            Ok(event) => event,
            Err(error) => return Some(ExitReason::Garbled(error.to_string())),
        };
        let end = match &event {
            Event::Ready { .. } => {
                self.run.times.module = self.told_after(started);
                self.run.times.ready = Some(started.elapsed());
                None
            }
            Event::Booted | Event::Arcs { .. } | Event::Said(_) | Event::Exited { .. } => {
                self.told_after(started);
                None
            }
            Event::Step(_) => {
                let took = self.told_after(started);
                self.run.step_times.push(took);
                None
            }
            Event::End { .. } => {
                self.kernels_left = self.kernels_left.saturating_sub(1);
                (self.kernels_left == 0).then_some(ExitReason::Finished)
            }
            Event::GaveUp { why } => Some(ExitReason::GaveUp(why.clone())),
        };
        self.run.events.push(event);
        end
    }

    /// Time since the last event.
    fn told_after(&mut self, started: Instant) -> Duration {
        let now = started.elapsed();
        now.saturating_sub(std::mem::replace(&mut self.last_told, now))
    }

    fn console(&mut self, bytes: &[u8]) {
        self.console_bytes += bytes.len() as u64;
        // A log that cannot be written is no reason to stop; the tail is kept in any case.
        let _ = self.log.write_all(bytes);
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() - TAIL_BYTES);
        }
        for byte in bytes {
            if *byte == b'\n' || self.line.len() > TAIL_BYTES {
                let line = std::mem::take(&mut self.line);
                self.line_ended(&String::from_utf8_lossy(&line));
            } else {
                self.line.push(*byte);
            }
        }
    }

    fn line_ended(&mut self, line: &str) {
        match classify(line) {
            Some(sign) if sign.class == Severity::Warning => self.run.splats.push(sign.title),
            Some(sign) if self.fatal.is_none() => self.fatal = Some((sign, Instant::now())),
            _ => {}
        }
    }

    /// Takes what is still on its way: the machine is gone, so both streams end, unless a process that is none of ours
    /// holds them.
    fn drain(&mut self, heard: &Receiver<StreamInput>) {
        let mut left = LAST_WORDS;
        while let Some(word) = next_within(&mut left, heard) {
            if let StreamInput::Console(bytes) = word {
                self.console(&bytes);
            }
        }
    }
}

/// How much of a turn of the watch counts.
fn passed(turn: Instant) -> Duration {
    turn.elapsed().min(LONGEST_TURN)
}

/// What is heard next, in what is left of some time.
fn next_within(left: &mut Duration, heard: &Receiver<StreamInput>) -> Option<StreamInput> {
    while !left.is_zero() {
        let turn = Instant::now();
        let next = heard.recv_timeout(LONGEST_TURN.min(*left));
        *left = left.saturating_sub(passed(turn));
        match next {
            Ok(word) => return Some(word),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

impl From<ConsoleIssue> for ExitReason {
    fn from(sign: ConsoleIssue) -> Self {
        match sign.class {
            Severity::Panic => ExitReason::Panic(sign.title),
            Severity::OutOfMemory => ExitReason::OutOfMemory(sign.title),
            Severity::Stuck => ExitReason::Stuck(sign.title),
            Severity::Oops | Severity::Warning => ExitReason::Oops(sign.title),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Finished => f.write_str("the machine ended"),
            ExitReason::PowerCut => f.write_str("the machine's power was cut"),
            ExitReason::Panic(why) | ExitReason::Oops(why) => write!(f, "the guest kernel crashed: {why}"),
            ExitReason::OutOfMemory(why) => write!(f, "the guest ran out of memory: {why}"),
            ExitReason::Stuck(why) => write!(f, "the guest kernel is stuck: {why}"),
            ExitReason::Hung(why) => write!(f, "the machine hung: {why}"),
            ExitReason::Lost(why) => f.write_str(why),
            ExitReason::GaveUp(why) => write!(f, "the guest gave up: {why}"),
            ExitReason::Garbled(why) => write!(f, "the channel was garbled: {why}"),
            ExitReason::NotStarted(why) => write!(f, "the machine did not start: {why}"),
        }
    }
}
