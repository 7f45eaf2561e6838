//! Readers of bytes from outside that are nobody else's business, for the fuzz targets.

use crate::{reports, resp};
use tidegate_behavior::Outcome;
use tidegate_engine::Ticket;

/// The whole commands of these bytes of RESP with their arguments, how many of the bytes they take, and
/// whether what follows can't be a command.
#[must_use]
pub fn commands(bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, usize, bool) {
    resp::commands(bytes)
}

/// What a line of an access log says became of a request, if it says it of one that has a ticket.
#[must_use]
pub fn report(line: &[u8]) -> Option<(Ticket, Outcome)> {
    match reports::read(&String::from_utf8_lossy(line)) {
        reports::Line::Report(ticket, outcome) => Some((ticket, outcome)),
        reports::Line::Other | reports::Line::Unreadable => None,
    }
}
