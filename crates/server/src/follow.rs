//! A file that others write to line by line, followed through rotation and truncation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A file that was moved away is read on for so many looks after its successor came.
const PATIENCE: u32 = 10;
/// Longer lines, in bytes, are passed over.
pub(crate) const MOST_LINE: usize = 1 << 16;
/// So much is read at once.
const PIECE: usize = 1 << 16;

/// What one look at a file found.
#[derive(Debug, Default)]
pub struct Look {
    /// Whole lines, without their ends.
    pub lines: Vec<Vec<u8>>,
    /// Whether the file was read to its end, for now.
    pub at_end: bool,
}

/// Hands out what is written to a file, look by look, until told to stop. While nothing is written
/// there are ten looks a second, so `take` also tells that time passes.
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
        let (back, look) = tokio::task::spawn_blocking(move || {
            let look = follower.look();
            (follower, look)
        })
        .await?;
        follower = back;
        take(&look);
        if look.at_end {
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
    open: Option<(File, u64)>,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    /// Whether the line is longer than any should be and its end is awaited.
    skips: bool,
    /// How often the file was found at its end and another one under its name.
    replaced: u32,
    /// Whether it was told that the file can't be read.
    told: bool,
}

impl Follower {
    /// Follows from the end: lines that stand in the file now are passed over.
    #[must_use]
    pub fn at_end(path: PathBuf) -> Self {
        let mut new = Self::at_start(path);
        new.open = new.reopen().and_then(|mut file| {
            let end = file.seek(SeekFrom::End(0)).ok()?;
            Some((file, end))
        });
        new
    }

    /// Follows from the beginning.
    #[must_use]
    pub const fn at_start(path: PathBuf) -> Self {
        Self { path, open: None, rest: Vec::new(), skips: false, replaced: 0, told: false }
    }

    fn reopen(&mut self) -> Option<File> {
        match File::open(&self.path) {
            Ok(file) => Some(file),
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
    fn look(&mut self) -> Look {
        let mut look = Look { lines: Vec::new(), at_end: true };
        if self.open.is_none() {
            self.open = self.reopen().map(|file| (file, 0));
        }
        let Some((file, at)) = &mut self.open else { return look };
        if file.metadata().is_ok_and(|meta| meta.len() < *at) {
            // Truncated: what is there now is new.
            *at = 0;
            self.rest.clear();
            self.skips = false;
            if file.seek(SeekFrom::Start(0)).is_err() {
                self.open = None;
                return look;
            }
        }
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece) {
            Ok(0) => {
                // Who writes may go on with a file that was moved away, until it is told.
                self.replaced = if replaced(file, &self.path) { self.replaced + 1 } else { 0 };
                if self.replaced > PATIENCE {
                    self.replaced = 0;
                    self.rest.clear();
                    self.skips = false;
                    self.open = self.reopen().map(|file| (file, 0));
                }
            }
            Ok(length) => {
                *at += length as u64;
                self.told = false;
                look.at_end = false;
                self.split(piece.get(..length).unwrap_or_default(), &mut look.lines);
            }
            Err(e) => {
                self.open = None;
                self.complain(&e);
            }
        }
        look
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
mod tests {
    use super::*;
    use std::io::Write as _;

    fn taken(follower: &mut Follower) -> Vec<String> {
        // As often as it takes to give up a file that was moved away.
        let looks = (0..PATIENCE + 4).map(|_| follower.look());
        let lines: Vec<Vec<u8>> = looks.flat_map(|look| look.lines).collect();
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn a_file_is_followed_through_rotation_and_truncation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, "old\n").unwrap();
        let mut follower = Follower::at_end(path.clone());
        assert!(taken(&mut follower).is_empty());
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(taken(&mut follower), ["one"]);
        file.write_all(b"o\n").unwrap();
        assert_eq!(taken(&mut follower), ["two"]);
        // Moved away, written to once more, and replaced.
        std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        assert!(taken(&mut follower).is_empty());
        file.write_all(b"late\n").unwrap();
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(taken(&mut follower), ["late", "new"]);
        std::fs::write(&path, "x\n").unwrap();
        assert_eq!(taken(&mut follower), ["x"]);
        // What is no line is passed over, and what comes after it is not.
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&vec![b'a'; 3 * MOST_LINE]).unwrap();
        file.write_all(b"\nafter\n").unwrap();
        assert_eq!(taken(&mut follower), ["after"]);
    }

    #[test]
    fn a_file_is_read_from_its_beginning_when_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, "old\n").unwrap();
        let mut follower = Follower::at_start(path);
        assert!(!follower.look().at_end);
        assert!(follower.look().at_end);
    }

    #[test]
    fn a_file_that_comes_later_is_read_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut follower = Follower::at_end(path.clone());
        assert!(taken(&mut follower).is_empty());
        std::fs::write(&path, "first\n").unwrap();
        assert_eq!(taken(&mut follower), ["first"]);
    }
}
