// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads console and event channel of a machine in threads.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// Most bytes that are read from the event channel: about a hundred times the output of a claim.
pub(crate) const MAX_BYTES: u64 = 16 << 20;
/// Number of chunks in the queue at which the readers, and with them the machine, wait.
const QUEUE_LENGTH: usize = 64;
/// Most time that one iteration of a loop adds to a timeout. When the whole host was suspended, so
/// was the machine.
const MAX_ITERATION: Duration = Duration::from_millis(100);

/// Input from a machine.
pub(crate) enum StreamInput {
    /// Bytes of the console.
    Console(Vec<u8>),
    /// A line of the event channel, with its newline.
    Event(String),
    /// The event channel is at its end.
    ChannelClosed,
}

/// Starts the reader threads. They end with their streams and are not joined: a process that
/// escaped from the machine's process group may keep a stream open.
pub(crate) fn spawn_readers(
    console: impl Read + Send + 'static,
    channel: impl Read + Send + 'static,
) -> Receiver<StreamInput> {
    let (sender, receiver) = mpsc::sync_channel(QUEUE_LENGTH);
    let console_sender = sender.clone();
    thread::spawn(move || read_console(console, &console_sender));
    thread::spawn(move || read_channel(channel, &sender));
    receiver
}

fn read_console(mut console: impl Read, sender: &SyncSender<StreamInput>) {
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = console.read(&mut chunk) {
        if sender.send(StreamInput::Console(chunk[..length].to_vec())).is_err() {
            break;
        }
    }
}

fn read_channel(channel: impl Read, sender: &SyncSender<StreamInput>) {
    let mut channel = BufReader::new(channel.take(MAX_BYTES));
    let mut line = Vec::new();
    // A last line without a newline is dropped: the machine ended while it wrote, and the reason is
    // reported instead.
    while let Ok(1..) = channel.read_until(b'\n', &mut line)
        && line.ends_with(b"\n")
    {
        if sender.send(StreamInput::Event(String::from_utf8_lossy(&line).into_owned())).is_err() {
            return;
        }
        line.clear();
    }
    let _ = sender.send(StreamInput::ChannelClosed);
}

/// Time since `iteration` started, as far as it counts for a timeout.
pub(crate) fn counted_since(iteration: Instant) -> Duration {
    iteration.elapsed().min(MAX_ITERATION)
}

/// Receives the next input and subtracts the time from `remaining`. None if no time remains or both
/// streams are closed.
pub(crate) fn receive_within(remaining: &mut Duration, receiver: &Receiver<StreamInput>) -> Option<StreamInput> {
    while !remaining.is_zero() {
        let iteration = Instant::now();
        let input = receiver.recv_timeout(MAX_ITERATION.min(*remaining));
        *remaining = remaining.saturating_sub(counted_since(iteration));
        match input {
            Ok(input) => return Some(input),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}
