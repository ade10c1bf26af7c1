// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Applies `work` to each item on up to `jobs` threads. `each` receives the results on the calling thread, in the order in
/// which they finish.
pub fn parallel_map<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut each: impl FnMut(R),
) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // The receiver outlives the workers.
                    let _ = sender.send(work(item));
                }
            });
        }
        drop(sender);
        receiver.into_iter().for_each(&mut each);
    });
}
