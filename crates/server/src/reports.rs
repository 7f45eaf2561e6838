//! What became of requests, read from the access logs of gateways: a file that is followed, or syslog.
//!
//! A gateway that asked (`gateway.rs`) got a ticket and writes it into its access log, with status,
//! bytes and seconds. A line of text has them in this order, wherever in the line the ticket stands; a
//! line of JSON has the ticket in any string and the rest under the names that Caddy, Traefik, nginx and
//! the examples give them. Lines without a ticket are of requests that nobody asked about.

use crate::follow::{self, Follower, Look, MOST_LINE};
use crate::shared::Shared;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_behavior::Outcome;
use tidegate_engine::Ticket;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

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
    let take = |look: &Look| look.lines.iter().for_each(|line| take(&shared, line));
    let followed = async {
        match follow::unless_stopped(&stop, move || Follower::at_end(path)).await? {
            Some(follower) => follow::follow(follower, &stop, take).await,
            None => Ok(()),
        }
    };
    if followed.await.is_err() {
        tracing::error!("an access log can't be followed any more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
