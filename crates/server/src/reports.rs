//! What became of requests, read from the access logs of gateways: a file that is followed, or syslog.
//!
//! A gateway that asked (`gateway.rs`) got a ticket and writes it into its access log, with status,
//! bytes and seconds. A line of text has them in this order, wherever in the line the ticket stands; a
//! line of JSON has the ticket in any string and the rest under the names that Caddy, Traefik, nginx and
//! the examples give them. Lines without a ticket are of requests that nobody asked about.

use crate::shared::Shared;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidegate_behavior::Outcome;
use tidegate_engine::Ticket;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A file that was moved away is read on for so many looks after its successor came.
const PATIENCE: u32 = 10;
/// Longer lines are passed over.
const MOST_LINE: usize = 1 << 16;
/// So much is read at once.
const PIECE: usize = 1 << 16;

/// What one line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// Of a request that has a ticket.
    Report(Ticket, Outcome),
    /// Of a request that nobody asked about.
    Other,
    /// It holds a ticket, and not what has to stand beside it.
    Unreadable,
}

/// Reads a line of an access log.
pub(crate) fn read(line: &str) -> Line {
    let json = line.find('{').and_then(|at| serde_json::from_str(&line[at..]).ok());
    match json {
        Some(value) => read_json(&value),
        None => read_text(line),
    }
}

fn read_text(line: &str) -> Line {
    let mut fields = line.split_ascii_whitespace().map(|field| field.trim_matches('"'));
    let Some(ticket) = fields.by_ref().find_map(|field| field.parse().ok()) else {
        return Line::Other;
    };
    let status = fields.next().and_then(|field| field.parse().ok());
    let bytes = fields.next().and_then(|field| field.parse().ok()).unwrap_or(0);
    let seconds = fields.next().and_then(|field| field.parse().ok());
    report(ticket, status, bytes, seconds)
}

fn read_json(value: &Value) -> Line {
    let Some(ticket) = find_ticket(value) else { return Line::Other };
    let number = |names: &[&str]| {
        let value = names.iter().find_map(|name| value.get(name))?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    };
    let status = number(&["status", "DownstreamStatus"]);
    let status = status.filter(|s| (100.0..1000.0).contains(s)).map(|s| s as u16);
    let bytes = number(&["size", "DownstreamContentSize", "body_bytes_sent", "bytes_sent"]);
    // Caddy and nginx write seconds, Traefik nanoseconds, HAProxy milliseconds.
    let nanos = || Some(number(&["Duration"])? * 1e-9);
    let millis = || Some(number(&["duration_ms"])? * 1e-3);
    let seconds = number(&["duration", "request_time"]).or_else(nanos).or_else(millis);
    report(ticket, status, bytes.unwrap_or(0.0) as u64, seconds)
}

/// Headers may be lists, and stand where a gateway puts them.
fn find_ticket(value: &Value) -> Option<Ticket> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Array(values) => values.iter().find_map(find_ticket),
        Value::Object(fields) => fields.values().find_map(find_ticket),
        _ => None,
    }
}

fn report(ticket: Ticket, status: Option<u16>, bytes: u64, seconds: Option<f64>) -> Line {
    let Some(status) = status.filter(|status| (100..1000).contains(status)) else {
        return Line::Unreadable;
    };
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Line::Report(ticket, Outcome { status, bytes, duration })
}

/// Learns what a line says.
fn take(shared: &Shared, line: &[u8]) {
    let kind = match read(&String::from_utf8_lossy(line)) {
        Line::Report(ticket, outcome) => {
            shared.outcome(&ticket, &outcome);
            "learned"
        }
        Line::Other => "without_ticket",
        Line::Unreadable => "unreadable",
    };
    shared.metrics.report(kind);
}

/// Takes reports out of syslog datagrams (RFC 3164 and 5424 alike: the head is passed over).
pub(crate) async fn listen(shared: Arc<Shared>, socket: UdpSocket, stop: CancellationToken) {
    let mut buffer = vec![0; MOST_LINE];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv(&mut buffer) => received,
        };
        // Whatever came of one datagram, the next may be sound.
        if let Ok(length) = received {
            take(&shared, &buffer[..length]);
        }
    }
}

/// Follows a file until told to stop; lines that stood in it before are passed over.
pub(crate) async fn follow(shared: Arc<Shared>, path: PathBuf, stop: CancellationToken) {
    let mut follower = Follower::new(path);
    // Also while lines come without end.
    while !stop.is_cancelled() {
        let work = tokio::task::spawn_blocking(move || {
            let mut lines = Vec::new();
            follower.lines(&mut lines);
            (follower, lines)
        });
        let Ok((back, lines)) = work.await else {
            tracing::error!("an access log can't be followed any more");
            return;
        };
        follower = back;
        lines.iter().for_each(|line| take(&shared, line));
        if lines.is_empty() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// A file that grows, is truncated, and is moved away for another of its name.
struct Follower {
    path: PathBuf,
    open: Option<(File, u64)>,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    /// Whether the line is longer than any should be and its end is awaited.
    skips: bool,
    /// How often the file was found at its end and another one under its name.
    replaced: u32,
}

impl Follower {
    fn new(path: PathBuf) -> Self {
        let mut new = Self { path, open: None, rest: Vec::new(), skips: false, replaced: 0 };
        new.open = new.reopen().and_then(|mut file| {
            let end = file.seek(SeekFrom::End(0)).ok()?;
            Some((file, end))
        });
        new
    }

    fn reopen(&self) -> Option<File> {
        match File::open(&self.path) {
            Ok(file) => Some(file),
            Err(e) => {
                if e.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %self.path.display(), error = %e, "can't read an access log");
                }
                None
            }
        }
    }

    /// Takes whole lines that were written since, a piece at a time.
    fn lines(&mut self, lines: &mut Vec<Vec<u8>>) {
        if self.open.is_none() {
            self.open = self.reopen().map(|file| (file, 0));
        }
        let Some((file, at)) = &mut self.open else { return };
        if file.metadata().is_ok_and(|meta| meta.len() < *at) {
            // Truncated: what is there now is new.
            *at = 0;
            self.rest.clear();
            if file.seek(SeekFrom::Start(0)).is_err() {
                self.open = None;
                return;
            }
        }
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece) {
            Ok(0) => {
                // The gateway may go on writing to a file that was moved away, until it is told.
                self.replaced = if replaced(file, &self.path) { self.replaced + 1 } else { 0 };
                if self.replaced > PATIENCE {
                    self.replaced = 0;
                    self.rest.clear();
                    self.open = self.reopen().map(|file| (file, 0));
                }
            }
            Ok(length) => {
                *at += length as u64;
                self.split(&piece[..length], lines);
            }
            Err(e) => {
                tracing::warn!(path = %self.path.display(), error = %e, "can't read an access log");
                self.open = None;
            }
        }
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
    use tidegate_engine::{Engine, Policy, Setup};

    fn a_ticket() -> Ticket {
        let engine = Engine::new(Policy::default(), Setup { capacity: 1000, ..Setup::default() });
        engine.check(&tidegate_behavior::Request { path: "/a", ..Default::default() }).ticket
    }

    #[test]
    fn lines_of_every_gateway_are_read() {
        let ticket = a_ticket();
        let of = |status, bytes, millis: Option<u64>| {
            let duration = millis.map(Duration::from_millis);
            Line::Report(ticket, Outcome { status, bytes, duration })
        };
        for (line, expected) in [
            (format!("{ticket} 200 512 0.012"), of(200, 512, Some(12))),
            (format!("<190>Nov 25 07:00:00 web nginx: {ticket} 404 - -"), of(404, 0, None)),
            (format!("1.2.3.4 - - \"{ticket}\" 503 9 1.5 more"), of(503, 9, Some(1500))),
            (
                format!(
                    r#"{{"request":{{"headers":{{"X-Tidegate-Ticket":["{ticket}"]}}}},"duration":0.25,"size":7,"status":401}}"#
                ),
                of(401, 7, Some(250)),
            ),
            (
                format!(
                    r#"{{"DownstreamStatus":200,"DownstreamContentSize":3,"Duration":5000000,"request_X-Tidegate-Ticket":"{ticket}"}}"#
                ),
                of(200, 3, Some(5)),
            ),
            (
                format!(r#"<134>{{"ticket":"{ticket}","status":200,"size":5,"duration_ms":40}}"#),
                of(200, 5, Some(40)),
            ),
            (
                format!(
                    r#"<190>x: {{"ticket":"{ticket}","status":"302","body_bytes_sent":"1","request_time":"0.001"}}"#
                ),
                of(302, 1, Some(1)),
            ),
        ] {
            assert_eq!(read(&line), expected, "{line}");
        }
        for line in ["", "GET / 200", "{\"status\": 200}", "- 200 1 0.1", &"g".repeat(66)] {
            assert_eq!(read(line), Line::Other, "{line}");
        }
        for rest in ["", " x", " 99 1", " 70000", " 200x"] {
            assert_eq!(read(&format!("{ticket}{rest}")), Line::Unreadable, "{rest}");
        }
        assert_eq!(read(&format!("{{\"a\": \"{ticket}\"}}")), Line::Unreadable);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_line_holds_is_read(line in "\\PC{0,300}", status in 0u32..2000) {
            let _ = read(&line);
            let ticket = a_ticket_as_text();
            let spaced = line.replace(['{', '"'], " ");
            let told = read(&format!("{spaced} {ticket} {status} 7 0.1"));
            let known = matches!(told, Line::Report(..));
            proptest::prop_assert_eq!(known, (100..1000).contains(&status), "{:?}", told);
            let json = serde_json::json!({"note": line, "t": ticket, "status": status});
            let known = matches!(read(&json.to_string()), Line::Report(..));
            proptest::prop_assert_eq!(known, (100..1000).contains(&status));
        }
    }

    /// One for all cases: an engine is costly to make.
    fn a_ticket_as_text() -> &'static str {
        static TICKET: std::sync::LazyLock<String> =
            std::sync::LazyLock::new(|| a_ticket().to_string());
        &TICKET
    }

    fn taken(follower: &mut Follower) -> Vec<String> {
        let mut lines = Vec::new();
        // As often as it takes to give up a file that was moved away.
        for _ in 0..PATIENCE + 4 {
            follower.lines(&mut lines);
        }
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn a_file_is_followed_through_rotation_and_truncation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, "old\n").unwrap();
        let mut follower = Follower::new(path.clone());
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
    fn a_file_that_comes_later_is_read_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut follower = Follower::new(path.clone());
        assert!(taken(&mut follower).is_empty());
        std::fs::write(&path, "first\n").unwrap();
        assert_eq!(taken(&mut follower), ["first"]);
    }
}
