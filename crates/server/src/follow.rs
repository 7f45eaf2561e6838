//! A file that others write to line by line, followed through rotation and truncation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A file that was moved away is read beside its successor until nothing came of it for so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most files that were moved away and are still read.
const MOST_OLD: usize = 4;
/// Longer lines, in bytes, are passed over.
pub(crate) const MOST_LINE: usize = 1 << 16;
/// So much is read at once.
const PIECE: usize = 1 << 16;

/// What one look at a file found.
#[derive(Debug, Default)]
pub struct Look {
    /// Whole lines, without their ends.
    pub lines: Vec<Vec<u8>>,
    /// Whether everything that there was has been read. Of a pipe that is so after each look, for it
    /// holds nothing of the past.
    pub at_end: bool,
}

/// Does what may wait for a disk or a pipe for ever; `None` when told to stop first. The thread that
/// waits is then left behind: end the runtime without waiting for it.
///
/// # Errors
/// When the work ends by a panic.
pub async fn unless_stopped<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, JoinError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        done = tokio::task::spawn_blocking(work) => done.map(Some),
    }
}

/// Hands out what is written to a file, look by look, until told to stop. While nothing is written,
/// or the file does not answer, there are ten looks a second, so `take` also tells that time passes.
/// Like [`unless_stopped`], it may leave a thread behind.
///
/// # Errors
/// When the thread that reads ends by a panic.
pub async fn follow(
    mut follower: Follower,
    stop: &CancellationToken,
    mut take: impl FnMut(&Look),
) -> Result<(), JoinError> {
    // Also while lines come without end.
    while !stop.is_cancelled() {
        let mut reading = tokio::task::spawn_blocking(move || {
            let look = follower.look(Instant::now());
            (follower, look)
        });
        let (back, look) = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                read = &mut reading => break read?,
                // A pipe that nobody writes to, or a disk that is gone.
                () = tokio::time::sleep(LOOK) => take(&Look::default()),
            }
        };
        follower = back;
        take(&look);
        if look.at_end && look.lines.is_empty() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
    Ok(())
}

/// A file that grows, is truncated, and is moved away for another of its name.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    open: Option<Tail>,
    /// Files that were moved away, the oldest first, and when a line came of each last: who writes may
    /// go on with one until it is told.
    old: Vec<(Tail, Instant)>,
    /// Whether it was told that the file can't be read.
    told: bool,
}

impl Follower {
    /// Follows from the end: lines that stand in the file now are passed over, and so is the rest of
    /// one whose end is not written yet.
    #[must_use]
    pub fn at_end(path: PathBuf) -> Self {
        let mut new = Self::at_start(path);
        // A pipe has no end to begin at, and to open it may take for ever.
        if std::fs::metadata(&new.path).is_ok_and(|meta| meta.is_file()) {
            new.open = new.reopen().and_then(|mut tail| tail.skip_all().ok().map(|()| tail));
        }
        new
    }

    /// Follows from the beginning.
    #[must_use]
    pub const fn at_start(path: PathBuf) -> Self {
        Self { path, open: None, old: Vec::new(), told: false }
    }

    fn reopen(&mut self) -> Option<Tail> {
        match Tail::open(&self.path) {
            Ok(tail) => Some(tail),
            Err(e) => {
                if e.kind() != io::ErrorKind::NotFound {
                    self.complain(&e);
                }
                None
            }
        }
    }

    /// Tells what is wrong, once until the file can be read again: there are ten looks a second.
    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(path = %self.path.display(), %error, "can't read a log; it is tried again");
        }
    }

    /// Takes whole lines that were written since, a piece at a time.
    fn look(&mut self, now: Instant) -> Look {
        let mut look = Look { lines: Vec::new(), at_end: true };
        self.old.retain_mut(|(tail, latest)| {
            let before = look.lines.len();
            let Ok(length) = tail.read(&mut look.lines) else { return false };
            look.at_end &= length == 0;
            if look.lines.len() > before {
                *latest = now;
            }
            now.saturating_duration_since(*latest) < PATIENCE
        });
        if self.open.is_none() {
            self.open = self.reopen();
        }
        let Some(tail) = &mut self.open else { return look };
        match tail.read(&mut look.lines) {
            // Read to its end, and another one has its name.
            Ok(length) if tail.ends(length) && replaced(&tail.file, &self.path) => {
                let left = self.open.take().filter(|tail| tail.regular);
                self.old.extend(left.map(|tail| (tail, now)));
                if self.old.len() > MOST_OLD {
                    self.old.remove(0);
                }
                // The next look reads what took the name.
                look.at_end = false;
            }
            Ok(length) => {
                look.at_end &= length == 0 || !tail.regular;
                self.told &= length == 0;
            }
            Err(e) => {
                self.open = None;
                self.complain(&e);
            }
        }
        look
    }
}

/// One file, and how far it was read.
#[derive(Debug)]
struct Tail {
    file: File,
    at: u64,
    /// Whether it is a file proper, which has a length, and no pipe.
    regular: bool,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    /// Whether the line is longer than any should be, or its beginning is not known, and its end is
    /// awaited.
    skips: bool,
}

impl Tail {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let regular = file.metadata()?.is_file();
        Ok(Self { file, at: 0, regular, rest: Vec::new(), skips: false })
    }

    /// Passes over what there is.
    fn skip_all(&mut self) -> io::Result<()> {
        let length = self.file.seek(SeekFrom::End(0))?;
        self.at = length;
        if length > 0 {
            let mut last = [0];
            self.file.seek(SeekFrom::Start(length - 1))?;
            self.file.read_exact(&mut last)?;
            self.skips = last != *b"\n";
        }
        Ok(())
    }

    /// Reads a piece; returns its length.
    fn read(&mut self, lines: &mut Vec<Vec<u8>>) -> io::Result<usize> {
        if self.regular && self.file.metadata().is_ok_and(|meta| meta.len() < self.at) {
            // Truncated: what is there now is new.
            self.file.seek(SeekFrom::Start(0))?;
            (self.at, self.skips) = (0, false);
            self.rest.clear();
        }
        let mut piece = vec![0; PIECE];
        let length = self.file.read(&mut piece)?;
        self.at += length as u64;
        self.split(piece.get(..length).unwrap_or_default(), lines);
        Ok(length)
    }

    /// Whether a piece of this length was the last one, for now. What a pipe has comes in any pieces.
    const fn ends(&self, length: usize) -> bool {
        length == 0 || (self.regular && length < PIECE)
    }

    fn split(&mut self, piece: &[u8], lines: &mut Vec<Vec<u8>>) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let Some(end) = part.strip_suffix(b"\n") else {
                self.rest.extend_from_slice(part);
                if self.rest.len() > MOST_LINE {
                    self.rest.clear();
                    self.skips = true;
                }
                return;
            };
            self.rest.extend_from_slice(end);
            let line = std::mem::take(&mut self.rest);
            if !std::mem::take(&mut self.skips) {
                lines.push(line);
            }
        }
    }
}

/// Whether another file has this name now.
fn replaced(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        open.ino() != named.ino() || open.dev() != named.dev()
    }
    #[cfg(not(unix))]
    {
        open.created().ok() != named.created().ok()
    }
}

#[cfg(test)]
mod tests;
