//! A log that nobody waits for: lines go to a buffer, and a thread of its own writes them out.
//!
//! The standard error of a service is mostly a pipe, and a reader that falls behind fills it. Whoever wrote
//! straight into it would then wait, and requests with it.

use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Most bytes of lines that wait; as many again may be under way.
const MOST_BYTES: usize = 1 << 20;
/// How long the end of the process waits for a reader.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lines dropped since the process began: there is one log of it.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines of the log that were dropped since the process began.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The log's end that is written to; every call is one line, and none waits.
#[derive(Clone)]
pub struct Lines(Arc<Queue>);

struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether some are under way to the reader.
    writing: bool,
    dropped: u64,
}

impl Lines {
    /// Starts the thread that writes lines to `out`. What waits when [`Flush`] is dropped is still written.
    ///
    /// # Errors
    /// When there can't be another thread.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<(Self, Flush)> {
        let queue =
            Queue { state: Mutex::default(), filled: Condvar::new(), written: Condvar::new() };
        let queue = Arc::new(queue);
        let emptied = Arc::clone(&queue);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || emptied.write_to(out))?;
        Ok((Self(Arc::clone(&queue)), Flush(queue)))
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.waiting.len() + line.len() > MOST_BYTES {
            state.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
        } else {
            state.waiting.extend_from_slice(line);
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        let mut told = 0;
        loop {
            let dropped = {
                let mut state = self.state.lock();
                state.writing = false;
                self.written.notify_all();
                while state.waiting.is_empty() {
                    self.filled.wait(&mut state);
                }
                state.writing = true;
                std::mem::swap(&mut state.waiting, &mut lines);
                state.dropped
            };
            // A reader that is gone is nobody who could be told of it.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            lines.clear();
            if dropped > told {
                // By the way of every other line; the lock is not held.
                tracing::warn!(
                    lines = dropped - told,
                    "lines of the log were dropped: its reader fell behind"
                );
                told = dropped;
            }
        }
    }
}

/// Has the last lines written when it is dropped, as far as a reader takes them.
#[must_use]
pub struct Flush(Arc<Queue>);

impl Drop for Flush {
    fn drop(&mut self) {
        let until = Instant::now() + PATIENCE;
        let mut state = self.0.state.lock();
        while state.writing || !state.waiting.is_empty() {
            if self.0.written.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader that takes nothing until it is let.
    struct Stuck {
        let_go: mpsc::Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Whoever holds the other end lets go by dropping it.
            let _ = self.let_go.recv();
            self.taken.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_takes_nothing_costs_lines_and_no_time() {
        let (let_go, wait) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let out = Stuck { let_go: wait, taken: Arc::clone(&taken) };
        let (mut lines, flush) = Lines::start(out).unwrap();
        let before = dropped();
        let line = [b'x'; 1024];
        // Three times as many as have room, and this ends all the same.
        for _ in 0..3 * MOST_BYTES / line.len() {
            lines.write_all(&line).unwrap();
        }
        let lost = dropped() - before;
        assert!(lost > 0);
        drop(let_go);
        drop(flush);
        let kept = taken.lock().len() / line.len();
        assert_eq!(kept + usize::try_from(lost).unwrap(), 3 * MOST_BYTES / line.len());
    }

    #[test]
    fn the_last_lines_are_written_before_the_end() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (let_go, wait) = mpsc::channel();
        drop(let_go);
        let (mut lines, flush) =
            Lines::start(Stuck { let_go: wait, taken: Arc::clone(&taken) }).unwrap();
        for n in 0..1000 {
            lines.write_all(format!("{n}\n").as_bytes()).unwrap();
        }
        drop(flush);
        let text = String::from_utf8(taken.lock().clone()).unwrap();
        let numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    }
}
