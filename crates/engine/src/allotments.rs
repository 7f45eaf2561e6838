//! Limits that a gateway enforces itself: what it is allotted, and what it says that it admitted.

use crate::descriptors::Asked;
use crate::domains::Count;
use crate::engine::Engine;
use crate::policy::Mode;
use smallvec::SmallVec;
use std::time::Duration;
use tidegate_limiter::{Key, Timestamp};

/// Most names that a bucket is told by.
const MOST_NAMES: usize = 8;

/// What all gateways together may admit of a bucket.
#[derive(Clone, Debug, PartialEq)]
pub enum Allotment {
    /// No limit is configured for it.
    Nothing,
    /// As much as comes.
    Unlimited,
    /// So many requests in a period; 0 is none at all.
    Cells {
        /// Requests.
        cells: u32,
        /// The period.
        period: Duration,
    },
}

/// A bucket of requests, named without an order as Envoy's rate limit quota service does.
pub struct Bucket {
    /// Its key, the same for the same names.
    pub key: Key,
    names: Vec<(String, String)>,
    domain: String,
}

impl Engine {
    /// The bucket of these names: a path of descriptors if they are one in some order.
    #[must_use]
    pub fn bucket(&self, domain: &str, names: impl Iterator<Item = (String, String)>) -> Bucket {
        let mut names: Vec<(String, String)> = names.take(MOST_NAMES + 1).collect();
        if names.len() > MOST_NAMES {
            // Which of them came first is chance: such a bucket is none.
            names.clear();
        }
        names.sort();
        let snapshot = self.current.load();
        if let Some(order) = snapshot.policy.domains.order(domain, &names) {
            names = order.iter().filter_map(|&at| names.get(at).cloned()).collect();
        }
        let entries = names.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let key = snapshot.descriptor_key(domain, entries, &self.keys);
        Bucket { key, names, domain: domain.to_owned() }
    }

    /// What may be admitted of a bucket now.
    #[must_use]
    pub fn allot(&self, bucket: &Bucket, now: Timestamp) -> Allotment {
        let snapshot = self.current.load();
        let entries: SmallVec<[(&str, &str); 4]> = bucket.entries();
        let Some(found) = snapshot.policy.domains.find(&bucket.domain, &entries) else {
            return Allotment::Nothing;
        };
        let limit = found.limit;
        let Some(rate) = limit.rate else { return Allotment::Unlimited };
        if limit.shadow || snapshot.policy.mode == Mode::Shadow {
            return Allotment::Unlimited;
        }
        let asked = Asked { entries, hits: 1, ..Asked::default() };
        let cells = match self.moved(&snapshot, limit, &asked, now) {
            Some((quota, _)) => quota.map_or(0, |quota| quota.cells().get()),
            None => rate.cells,
        };
        Allotment::Cells { cells, period: rate.period() }
    }

    /// Counts what a gateway says that it admitted and denied of a bucket.
    pub fn reported(&self, bucket: &Bucket, admitted: u64, denied: u64) {
        let snapshot = self.current.load();
        let domains = &snapshot.policy.domains;
        let Some(found) = domains.find(&bucket.domain, &bucket.entries()) else { return };
        let counts = domains.counted(&found);
        counts.add(Count::Total, admitted.saturating_add(denied));
        counts.add(Count::Within, admitted);
        counts.add(Count::Over, denied);
    }
}

impl Bucket {
    fn entries(&self) -> SmallVec<[(&str, &str); 4]> {
        self.names.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}
