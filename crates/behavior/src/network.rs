//! The profile of a network (/24, /48): how busy it is, how many clients, how many errors.

use crate::groups::Ratios;
use crate::math::{decay, ln_1p};
use crate::record::Answer;
use crate::sketch::{self, Distinct};
use tidegate_limiter::{Entry, Key, Timestamp};

/// What is remembered of one network.
#[derive(Clone, Debug)]
pub struct Network {
    last: Timestamp,
    minute: f32,
    outcomes: f32,
    error: f32,
    expected: f32,
    clients: Distinct<2>,
}

/// A network's numbers at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkView {
    /// Requests over the last minute, as requests a minute.
    pub rate: f32,
    /// ln(1 + distinct clients) of ten to twenty minutes.
    pub clients: f32,
    /// Share of 4xx above what the routes give everybody, shrunk while there are few.
    pub error_excess: f32,
}

impl Network {
    /// Takes in a request of a client and answers with the numbers after it.
    pub fn observe(&mut self, client: Key, now: Timestamp) -> NetworkView {
        self.advance(now);
        self.minute += 1.0;
        #[allow(clippy::cast_possible_truncation, reason = "any part of the hash will do")]
        self.clients.add((client.0 >> 24) as u32);
        NetworkView {
            rate: self.minute,
            clients: ln_1p(self.clients.estimate()),
            error_excess: (self.error - self.expected) / (self.outcomes + 8.0),
        }
    }

    /// Learns an outcome of one of its clients.
    pub fn learn(&mut self, answer: Answer, expected: Ratios, now: Timestamp) {
        self.advance(now);
        self.outcomes += 1.0;
        self.error += f32::from(u8::from(answer.client_error()));
        self.expected += expected.error;
    }

    fn advance(&mut self, now: Timestamp) {
        #[allow(clippy::cast_precision_loss, reason = "a share of the pause, not of the clock")]
        let dt = now.nanos_since(self.last) as f32 * 1e-9;
        if dt <= 0.0 {
            return;
        }
        self.minute *= decay(dt, 60.0);
        let kept = decay(dt, 600.0);
        self.outcomes *= kept;
        self.error *= kept;
        self.expected *= kept;
        for slice in sketch::slices(self.last, now) {
            self.clients.forget(slice);
        }
        self.last = now;
    }
}

impl Entry for Network {
    type Residue = ();

    fn fresh(_key: Key, now: Timestamp, _residue: Option<()>) -> Self {
        Self {
            last: now,
            minute: 0.0,
            outcomes: 0.0,
            error: 0.0,
            expected: 0.0,
            clients: Distinct::default(),
        }
    }

    fn residue(&self, _now: Timestamp) -> Option<((), Timestamp)> {
        None
    }
}
