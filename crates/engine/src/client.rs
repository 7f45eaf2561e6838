//! The state of one client: who it is, its profile, its standing and its limit's debt.

use crate::guests::Guests;
use crate::standing::{Penalty, Standing};
use std::net::{IpAddr, Ipv6Addr};
use tidegate_behavior::address::canonical;
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
#[derive(Debug)]
pub(crate) struct Client {
    /// Its address as one of IPv6, for people; `NOWHERE` when it was named otherwise.
    address: [u8; 16],
    /// What it did.
    pub profile: Profile,
    /// What is thought of it.
    pub standing: Standing,
    /// The debt of its learned limit.
    pub bucket: Bucket,
    /// Requests denied, saturating.
    pub denied: u32,
    /// The limit that applied last, requests a minute.
    pub limit_per_min: f32,
    /// Those behind it, if it is an address that many share.
    pub guests: Option<Box<Guests>>,
}

/// Stands for no address: a multicast one, which nobody can send from (`::` may be in a log).
const NOWHERE: [u8; 16] = [0xff; 16];

const _: () = assert!(size_of::<Client>() <= 320, "a million of these are kept");

impl Client {
    /// Notes who the client is.
    pub(crate) fn named(&mut self, name: Name) {
        self.address = match name {
            Name::Address(IpAddr::V4(v4)) => v4.to_ipv6_mapped().octets(),
            Name::Address(IpAddr::V6(v6)) => v6.octets(),
            Name::Credential(_) | Name::Nobody => NOWHERE,
        };
    }

    /// Who the client is that has this key.
    pub(crate) fn name(&self, key: Key) -> Name {
        match self.address {
            _ if self.profile.credentialed() => Name::Credential(key.0),
            NOWHERE => Name::Nobody,
            address => Name::Address(canonical(IpAddr::V6(Ipv6Addr::from(address)))),
        }
    }

    /// Requests let through.
    pub(crate) fn allowed(&self) -> u32 {
        self.profile.requests().saturating_sub(self.denied)
    }
}

impl Entry for Client {
    type Residue = Penalty;

    fn fresh(_key: Key, now: Timestamp, residue: Option<Penalty>) -> Self {
        Self {
            address: NOWHERE,
            profile: Profile::new(now),
            standing: residue.map_or_else(Standing::default, Standing::penalised),
            bucket: Bucket::default(),
            denied: 0,
            limit_per_min: 0.0,
            guests: None,
        }
    }

    fn residue(&self, now: Timestamp) -> Option<(Penalty, Timestamp)> {
        self.standing.penalty(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_told_from_none() {
        let key = Key(7);
        let mut client = Client::fresh(key, Timestamp::from_secs(1), None);
        assert_eq!(client.name(key), Name::Nobody);
        for address in ["::", "::1", "0.0.0.0", "192.0.2.1", "2001:db8::"] {
            let name = Name::Address(address.parse().unwrap());
            client.named(name);
            assert_eq!(client.name(key), name);
        }
        client.named(Name::Nobody);
        assert_eq!(client.name(key), Name::Nobody);
    }
}
