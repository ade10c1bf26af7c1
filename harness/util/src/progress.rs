// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress and notes as events: libraries emit them, and one listener shows them. Without a
//! listener events are dropped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a task among those of this process.
pub type TaskId = u64;

/// What a listener receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A task started.
    Started {
        /// The task.
        task: TaskId,
        /// The text to show: `unpacking linux_5.10.13.orig.tar.xz`.
        text: String,
        /// Number of items; none for a task that is not counted.
        total: Option<usize>,
    },
    /// One more item of a task is done.
    Advanced {
        /// The task.
        task: TaskId,
    },
    /// A task has a new text.
    Renamed {
        /// The task.
        task: TaskId,
        /// The new text.
        text: String,
    },
    /// A task ended, with success or not.
    Finished {
        /// The task.
        task: TaskId,
    },
    /// Information that does not change any result.
    Note(String),
    /// A problem that does not change any result.
    Warning(String),
}

/// Receives the events of this process.
pub trait Listener: Send + Sync {
    /// Called on the thread that emits the event.
    fn receive(&self, event: Event);
}

static LISTENER: OnceLock<Box<dyn Listener>> = OnceLock::new();

/// Sets the listener of this process. Only the first call has an effect.
pub fn set_listener(listener: impl Listener + 'static) {
    let _ = LISTENER.set(Box::new(listener));
}

fn emit(event: Event) {
    if let Some(listener) = LISTENER.get() {
        listener.receive(event);
    }
}

/// A running task. It is finished when this value is dropped.
#[derive(Debug)]
pub struct Task(TaskId);

/// Starts a task that is not counted.
#[must_use]
pub fn start(text: impl Into<String>) -> Task {
    Task::new(text.into(), None)
}

/// Starts a task of `total` items; call [`Task::advance`] once for each.
#[must_use]
pub fn start_with_total(text: impl Into<String>, total: usize) -> Task {
    Task::new(text.into(), Some(total))
}

/// Emits a note: information that does not change any result.
pub fn note(text: impl Into<String>) {
    emit(Event::Note(text.into()));
}

/// Emits a warning: a problem that does not change any result.
pub fn warning(text: impl Into<String>) {
    emit(Event::Warning(text.into()));
}

impl Task {
    fn new(text: String, total: Option<usize>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let task = NEXT.fetch_add(1, Ordering::Relaxed);
        emit(Event::Started { task, text, total });
        Task(task)
    }

    /// Counts one more item as done.
    pub fn advance(&self) {
        emit(Event::Advanced { task: self.0 });
    }

    /// Replaces the text of the task.
    pub fn rename(&self, text: impl Into<String>) {
        emit(Event::Renamed { task: self.0, text: text.into() });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        emit(Event::Finished { task: self.0 });
    }
}
