//! Lines of plain, gzip and zstd files and of standard input, one after the other.

use flate2::read::MultiGzDecoder;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest line that is kept, in bytes; what goes beyond is cut, so that a file without line
/// breaks can't fill the memory.
pub const MAX_LINE: usize = 1 << 20;

const BUFFER: usize = 256 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// One line of one file, without its line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Which of the paths, from 0.
    pub file: usize,
    /// The line's number in its file, from 1; blank lines count but are not handed out.
    pub number: u64,
    /// The line, at most [`MAX_LINE`] bytes of it.
    pub bytes: &'a [u8],
    /// Whether the line was longer than [`MAX_LINE`]. Count such a line as unparsable.
    pub cut: bool,
}

#[derive(Clone, Copy)]
struct Meta {
    file: usize,
    number: u64,
    cut: bool,
}

/// Streams the lines of several files. Compression is told by the first bytes of a file.
pub struct Lines {
    paths: Vec<PathBuf>,
    next_file: usize,
    source: Option<Box<dyn BufRead + Send>>,
    number: u64,
    buffer: Vec<u8>,
    /// Lines that were read ahead for a sample.
    ahead: VecDeque<(Meta, Vec<u8>)>,
    done: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Lines {
    /// Opens nothing yet, but checks that every file is there. The path `-` is standard input.
    ///
    /// # Errors
    /// A file that can't be found or read; the message names it.
    pub fn open<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> io::Result<Self> {
        let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        let mut total = Some(0);
        for path in &paths {
            let size = if is_stdin(path) {
                None
            } else {
                let meta = std::fs::metadata(path).map_err(|error| named(path, &error))?;
                if meta.is_dir() {
                    let error = io::Error::from(io::ErrorKind::IsADirectory);
                    return Err(named(path, &error));
                }
                meta.is_file().then_some(meta.len())
            };
            total = total.zip(size).map(|(total, size)| total + size);
        }
        Ok(Self {
            paths,
            next_file: 0,
            source: None,
            number: 0,
            buffer: Vec::new(),
            ahead: VecDeque::new(),
            done: Arc::default(),
            total,
        })
    }

    /// Reads a log that is open already, under this name. It counts as one file.
    ///
    /// # Errors
    /// A file whose size can't be told, or that can't be read; the message has the name.
    pub fn of(name: impl Into<PathBuf>, file: File) -> io::Result<Self> {
        let (name, done) = (name.into(), Arc::default());
        let total = file.metadata().map_err(|error| named(&name, &error))?.len();
        let source = tell_apart(file, &done).map_err(|error| named(&name, &error))?;
        Ok(Self {
            paths: vec![name],
            next_file: 1,
            source: Some(source),
            number: 0,
            buffer: Vec::new(),
            ahead: VecDeque::new(),
            done,
            total: Some(total),
        })
    }

    /// The paths, as [`Line::file`] counts them.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Bytes read from the files as they lie on disk, and the bytes of all of them; the latter is
    /// unknown with standard input and pipes.
    #[must_use]
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.done.load(Ordering::Relaxed), self.total)
    }

    /// Reads up to `count` lines ahead, for [`super::detect`]; [`Lines::next_line`] still hands
    /// them out.
    ///
    /// # Errors
    /// Those of [`Lines::next_line`].
    pub fn sample(&mut self, count: usize) -> io::Result<Vec<&[u8]>> {
        while self.ahead.len() < count
            && let Some(meta) = self.read()?
        {
            let bytes = std::mem::take(&mut self.buffer);
            self.ahead.push_back((meta, bytes));
        }
        Ok(self.ahead.iter().take(count).map(|(_, bytes)| bytes.as_slice()).collect())
    }

    /// The next line that is not blank; `None` after the last of the last file.
    ///
    /// # Errors
    /// A file that can't be read or decompressed; the message names it. Calling again goes on with
    /// the next file.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let meta = if let Some((meta, bytes)) = self.ahead.pop_front() {
            self.buffer = bytes;
            Some(meta)
        } else {
            self.read()?
        };
        Ok(meta.map(|Meta { file, number, cut }| Line { file, number, bytes: &self.buffer, cut }))
    }

    /// Reads the next line that is not blank into the buffer.
    fn read(&mut self) -> io::Result<Option<Meta>> {
        loop {
            let source = match &mut self.source {
                Some(source) => source,
                closed => {
                    let Some(path) = self.paths.get(self.next_file) else { return Ok(None) };
                    self.next_file += 1;
                    self.number = 0;
                    let source = open(path, &self.done).map_err(|error| named(path, &error))?;
                    closed.insert(source)
                }
            };
            let file = self.next_file - 1;
            let cut = match read_line(source, &mut self.buffer) {
                Ok(Some(cut)) => cut,
                Ok(None) => {
                    self.source = None;
                    continue;
                }
                Err(error) => {
                    self.source = None;
                    let path = self.paths.get(file).map_or(Path::new("-"), PathBuf::as_path);
                    return Err(named(path, &error));
                }
            };
            self.number += 1;
            if self.number == 1 && self.buffer.starts_with(&BYTE_ORDER_MARK) {
                self.buffer.drain(..BYTE_ORDER_MARK.len());
            }
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
            if !self.buffer.is_empty() {
                return Ok(Some(Meta { file, number: self.number, cut }));
            }
        }
    }
}

/// Reads up to a line break, which is dropped. Says whether the line was cut; `None` at the end.
fn read_line(source: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut cut, mut any) = (false, false);
    loop {
        let chunk = match source.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() {
            return Ok(any.then_some(cut));
        }
        any = true;
        let end = memchr::memchr(b'\n', chunk);
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = MAX_LINE - line.len();
        cut |= part.len() > room;
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        source.consume(used);
        if end.is_some() {
            return Ok(Some(cut));
        }
    }
}

fn open(path: &Path, done: &Arc<AtomicU64>) -> io::Result<Box<dyn BufRead + Send>> {
    if is_stdin(path) { tell_apart(io::stdin(), done) } else { tell_apart(File::open(path)?, done) }
}

/// Unpacks what is compressed.
fn tell_apart(
    raw: impl Read + Send + 'static,
    done: &Arc<AtomicU64>,
) -> io::Result<Box<dyn BufRead + Send>> {
    let mut raw = Counted { inner: Box::new(raw), done: Arc::clone(done) };
    let mut head = Vec::with_capacity(ZSTD.len());
    raw.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head)?;
    let (gzip, zstd) = (head.starts_with(&GZIP), head.starts_with(&ZSTD));
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(raw));
    Ok(if gzip {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole)))
    } else if zstd {
        Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(whole)?))
    } else {
        Box::new(whole)
    })
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Counts the bytes that pass.
struct Counted {
    inner: Box<dyn Read + Send>,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn all(lines: &mut Lines) -> Vec<(usize, u64, Vec<u8>, bool)> {
        let mut out = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            out.push((line.file, line.number, line.bytes.to_vec(), line.cut));
        }
        out
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_gzip_and_zstd_by_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("a.gz", b"\xef\xbb\xbfone\r\n\n\r\ntwo".to_vec()),
            ("b.log", [gzip(b"three\nfo"), gzip(b"ur\n")].concat()),
            (
                "c",
                [
                    zstd::encode_all(&b"five\n"[..], 1).unwrap(),
                    zstd::encode_all(&b"six\n"[..], 1).unwrap(),
                ]
                .concat(),
            ),
            ("d", Vec::new()),
            ("e", b"7".to_vec()),
        ];
        let paths = files.map(|(name, bytes)| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        });
        let mut lines = Lines::open(paths).unwrap();
        assert_eq!(lines.progress().0, 0);
        assert_eq!(lines.sample(3).unwrap(), [&b"one"[..], b"two", b"three"]);
        assert_eq!(lines.sample(2).unwrap().len(), 2);
        let expected: [(usize, u64, &[u8]); 7] = [
            (0, 1, b"one"),
            (0, 4, b"two"),
            (1, 1, b"three"),
            (1, 2, b"four"),
            (2, 1, b"five"),
            (2, 2, b"six"),
            (4, 1, b"7"),
        ];
        let expected = expected.map(|(file, number, bytes)| (file, number, bytes.to_vec(), false));
        assert_eq!(all(&mut lines), expected);
        let (done, total) = lines.progress();
        assert_eq!(Some(done), total);
        assert!(done > 40);
    }

    #[test]
    fn a_file_that_is_open_is_read_under_the_name_it_is_given() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&gzip(b"one\n\ntwo")).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut lines = Lines::of("access.log.gz", file).unwrap();
        assert_eq!(lines.paths(), [Path::new("access.log.gz")]);
        let expected = [(0, 1, b"one".to_vec(), false), (0, 3, b"two".to_vec(), false)];
        assert_eq!(all(&mut lines), expected);
        assert_eq!(Some(lines.progress().0), lines.progress().1);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&gzip(b"half of it")[..15]).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let error = Lines::of("half.gz", file).unwrap().next_line().unwrap_err();
        assert!(error.to_string().starts_with("half.gz: "), "{error}");
    }

    #[test]
    fn long_lines_are_cut_and_the_next_is_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for len in [MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE] {
            file.write_all(&vec![b'x'; len]).unwrap();
            file.write_all(b"\n").unwrap();
        }
        file.write_all(b"end").unwrap();
        let mut lines = Lines::open([file.path()]).unwrap();
        let seen: Vec<_> =
            all(&mut lines).into_iter().map(|(_, n, bytes, cut)| (n, bytes.len(), cut)).collect();
        assert_eq!(
            seen,
            [(1, MAX_LINE, false), (2, MAX_LINE, true), (3, MAX_LINE, true), (4, 3, false)]
        );
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.log");
        let error = Lines::open([&missing]).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("missing.log"), "{error}");
        assert!(Lines::open([dir.path()]).is_err());

        let (broken, good) = (dir.path().join("broken.gz"), dir.path().join("good"));
        let mut bytes = gzip(b"some lines\n");
        bytes.truncate(bytes.len() - 6);
        std::fs::write(&broken, bytes).unwrap();
        std::fs::write(&good, "good\n").unwrap();
        let mut lines = Lines::open([&broken, &good]).unwrap();
        let mut errors = Vec::new();
        let mut read = Vec::new();
        loop {
            match lines.next_line() {
                Ok(Some(line)) => read.push(line.bytes.to_vec()),
                Ok(None) => break,
                Err(error) => errors.push(error.to_string()),
            }
        }
        assert_eq!(errors.len(), 1);
        assert!(errors[0].contains("broken.gz"), "{errors:?}");
        assert_eq!(read.last().map(Vec::as_slice), Some(&b"good"[..]));
    }
}
