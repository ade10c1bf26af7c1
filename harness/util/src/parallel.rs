// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Applies `work` to each item on up to `jobs` threads (at least one). `each` receives the results
/// on the calling thread, in the order in which they finish.
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
                    // Sending cannot fail: the receiver outlives the workers.
                    let _ = sender.send(work(item));
                }
            });
        }
        drop(sender);
        receiver.into_iter().for_each(&mut each);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_processed_once() {
        for jobs in [0, 1, 3, 100] {
            let mut results = Vec::new();
            parallel_map(jobs, &[1, 2, 3, 4], |number| number * 10, |result| results.push(result));
            results.sort_unstable();
            assert_eq!(results, [10, 20, 30, 40], "{jobs} jobs");
        }
    }
}
