//! Independent pieces of work on all cores, taken in as if they were done one after the other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Does `work(0)` to `work(count - 1)` on all cores and hands each result to `take` in the order of
/// the numbers, so that what comes of it does not depend on the cores. `progress` is told how many
/// are done, of how many.
pub(crate) fn in_order<R: Send>(
    count: usize,
    work: impl Fn(usize) -> R + Sync,
    mut progress: impl FnMut(usize, usize),
    mut take: impl FnMut(usize, R),
) {
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (next, done, work) = (&next, done.clone(), &work);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || done.send((n, work(n))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let mut early = BTreeMap::new();
        let mut taken = 0;
        for (finished, (n, result)) in (1..).zip(results) {
            early.insert(n, result);
            while let Some(result) = early.remove(&taken) {
                take(taken, result);
                taken += 1;
            }
            progress(finished, count);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_come_in_order_whatever_takes_longest() {
        let (mut taken, mut told) = (Vec::new(), Vec::new());
        let work = |n: usize| {
            std::thread::sleep(Duration::from_millis([5, 0, 3, 1][n % 4]));
            n * n
        };
        in_order(20, work, |done, of| told.push((done, of)), |n, square| taken.push((n, square)));
        assert_eq!(taken, (0..20).map(|n| (n, n * n)).collect::<Vec<_>>());
        assert_eq!(told, (1..=20).map(|n| (n, 20)).collect::<Vec<_>>());
        in_order(0, |n| n, |_, _| {}, |_, _| unreachable!());
    }
}
