//! The state of one client: who it is, its profile, its standing and its limit's debt.

use crate::standing::{Penalty, Standing};
use std::net::IpAddr;
use tidegate_behavior::profile::Profile;
use tidegate_limiter::{Bucket, Entry, Key, Timestamp};

/// Who a client is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Named by its address (IPv6 by prefix).
    Address(IpAddr),
    /// Named by a credential, of which only a hash is kept.
    Credential(u64),
    /// Nothing named it: all such requests are one client.
    Nobody,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(addr) => addr.fmt(f),
            Self::Credential(hash) => write!(f, "credential #{hash:016x}"),
            Self::Nobody => f.write_str("(no address)"),
        }
    }
}

/// Everything that is kept of one client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Who it is.
    pub name: Name,
    /// What it did.
    pub profile: Profile,
    /// What is thought of it.
    pub standing: Standing,
    /// The debt of its learned limit.
    pub bucket: Bucket,
    /// Requests let through, saturating.
    pub allowed: u32,
    /// Requests denied, saturating.
    pub denied: u32,
    /// The limit that applied last, requests a minute.
    pub limit_per_min: f32,
}

impl Entry for Client {
    type Residue = Penalty;

    fn fresh(_key: Key, now: Timestamp, residue: Option<Penalty>) -> Self {
        Self {
            name: Name::Nobody,
            profile: Profile::new(now),
            standing: residue.map_or_else(Standing::default, Standing::penalised),
            bucket: Bucket::default(),
            allowed: 0,
            denied: 0,
            limit_per_min: 0.0,
        }
    }

    fn residue(&self, now: Timestamp) -> Option<(Penalty, Timestamp)> {
        self.standing.penalty(now)
    }
}
