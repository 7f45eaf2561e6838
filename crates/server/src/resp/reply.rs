//! Replies, as RESP2 or RESP3 has them.

use std::fmt::Display;
use std::io::Write as _;

/// How much of what a client wrote an error shows, in characters.
const SHOWN: usize = 64;

/// Appends replies to what will be written.
pub(super) struct Reply<'a> {
    pub out: &'a mut Vec<u8>,
    /// Whether the client asked for RESP3.
    pub resp3: bool,
}

impl Reply<'_> {
    pub(super) fn simple(&mut self, text: &'static str) {
        self.line('+', text);
    }

    /// An error that begins with a word for programs, such as `ERR`.
    pub(super) fn error(&mut self, text: impl Display) {
        self.line('-', text);
    }

    pub(super) fn integer(&mut self, n: i64) {
        self.line(':', n);
    }

    pub(super) fn bulk(&mut self, bytes: &[u8]) {
        self.line('$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Begins an array of so many replies.
    pub(super) fn array(&mut self, count: usize) {
        self.line('*', count);
    }

    /// Begins a map of so many pairs, which RESP2 has as a flat array.
    pub(super) fn map(&mut self, pairs: usize) {
        match self.resp3 {
            true => self.line('%', pairs),
            false => self.array(pairs * 2),
        }
    }

    pub(super) fn null(&mut self) {
        self.out.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    fn line(&mut self, kind: char, text: impl Display) {
        // Writing to memory does not fail.
        let _ = write!(self.out, "{kind}{text}\r\n");
    }
}

/// What a client wrote, made fit for a line of an error.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = text.chars().map(|c| if c.is_control() { '?' } else { c });
    plain.take(SHOWN).collect()
}
