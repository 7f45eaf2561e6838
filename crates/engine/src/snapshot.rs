//! What one request is decided by: policy and model, made ready once and published together.

use crate::decision::RuleRef;
use crate::ladder::Ladder;
use crate::policy::{Listing, Override, Policy, Scope};
use crate::stats::Slot;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_behavior::address::prefix;
use tidegate_behavior::path::Kind;
use tidegate_behavior::{Request, address};
use tidegate_limiter::{Cost, Key, KeyHasher};
use tidegate_models::AnyModel;

use crate::client::Name;

/// Spaces of keys, so that one name in two roles never meets itself.
pub(crate) mod space {
    pub(super) const CREDENTIAL: u8 = 1;
    pub(super) const ADDRESS: u8 = 2;
    pub(super) const NETWORK: u8 = 3;
    pub(super) const USER: u8 = 4;
    pub(super) const RULE: u8 = 5;
    pub(super) const NOBODY: u8 = 6;
    pub(super) const TREES: u8 = 7;
    pub(super) const DESCRIPTOR: u8 = 8;
    pub(crate) const NAMED: u8 = 9;
}

/// Where random cuts come from: whoever does not know the secret cannot tell them.
pub(crate) fn seed(keys: &KeyHasher) -> u64 {
    keys.key(space::TREES, b"").0
}

/// Policy, model and what follows from them.
pub(crate) struct Snapshot {
    pub policy: Arc<Policy>,
    pub model: Option<Arc<AnyModel>>,
    pub ladder: Ladder,
    pub costs: [Cost; 3],
    overrides: HashMap<Key, Override>,
    rules: Vec<Key>,
    /// Where answers of the static rules are counted.
    slots: Vec<Slot>,
}

/// Who sent a request, in every role that a rule may limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub client: Key,
    pub name: Name,
    pub network: Key,
    address: Option<IpAddr>,
}

impl Snapshot {
    pub(crate) fn new(
        policy: Arc<Policy>,
        model: Option<Arc<AnyModel>>,
        keys: &KeyHasher,
        slots: Vec<Slot>,
    ) -> Self {
        let mut overrides = HashMap::new();
        for (name, value) in &policy.overrides {
            let key = match name.parse::<IpAddr>() {
                Ok(addr) => address_key(keys, space::ADDRESS, policy.identity.client_prefix(addr)),
                Err(_) => keys.key(space::CREDENTIAL, name.as_bytes()),
            };
            overrides.insert(key, value.clone());
        }
        let costs = policy.adaptive.costs;
        let mut by_kind = [Cost::ONE; 3];
        by_kind[Kind::Page as usize] = Cost::milli(costs.page);
        by_kind[Kind::Api as usize] = Cost::milli(costs.api);
        by_kind[Kind::Asset as usize] = Cost::milli(costs.asset);
        Self {
            ladder: Ladder::new(&policy.adaptive.tiers),
            costs: by_kind,
            overrides,
            rules: policy.rules.iter().map(|r| keys.key(space::RULE, r.name.as_bytes())).collect(),
            model,
            policy,
            slots,
        }
    }

    /// Where what this rule answers is counted.
    pub(crate) fn slot(&self, rule: RuleRef) -> Slot {
        Slot::of(rule, &self.slots)
    }

    /// Where all static rules are counted, in their order.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn identify(&self, request: &Request<'_>, keys: &KeyHasher) -> Identity {
        let address = request.addr.map(|addr| self.policy.identity.client_prefix(addr));
        let network = address.map_or(keys.key(space::NOBODY, b""), |addr| {
            address_key(keys, space::NETWORK, prefix(addr, 24, 48))
        });
        let (client, name) = match (request.credential, address) {
            (Some(credential), _) => {
                let key = keys.key(space::CREDENTIAL, credential.as_bytes());
                (key, Name::Credential(key.0))
            }
            (None, Some(addr)) => (address_key(keys, space::ADDRESS, addr), Name::Address(addr)),
            (None, None) => (keys.key(space::NOBODY, b""), Name::Nobody),
        };
        Identity { client, name, network, address }
    }

    /// The key of the client at this address.
    pub(crate) fn address_key(&self, address: IpAddr, keys: &KeyHasher) -> Key {
        address_key(keys, space::ADDRESS, self.policy.identity.client_prefix(address))
    }

    /// The key of the client with this credential.
    pub(crate) fn credential_key(&self, credential: &str, keys: &KeyHasher) -> Key {
        keys.key(space::CREDENTIAL, credential.as_bytes())
    }

    /// The key of what a descriptor of this domain counts.
    pub(crate) fn descriptor_key<'a>(
        &self,
        domain: &str,
        entries: impl Iterator<Item = (&'a str, &'a str)>,
        keys: &KeyHasher,
    ) -> Key {
        let mut name: SmallVec<[u8; 256]> = SmallVec::new();
        let mut add = |part: &str| {
            // With their lengths no two lists of words are one.
            name.extend_from_slice(&(part.len() as u64).to_le_bytes());
            name.extend_from_slice(part.as_bytes());
        };
        add(domain);
        entries.for_each(|(key, value)| [key, value].into_iter().for_each(&mut add));
        keys.key(space::DESCRIPTOR, &name)
    }

    pub(crate) fn listing(&self, request: &Request<'_>) -> Option<Listing> {
        if self.policy.addresses.is_empty() {
            return None;
        }
        self.policy.addresses.get(request.addr?).copied()
    }

    pub(crate) fn reputation(&self, request: &Request<'_>) -> i8 {
        match request.addr {
            Some(addr) if !self.policy.reputation.is_empty() => {
                self.policy.reputation.get(addr).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    pub(crate) fn override_of(&self, client: Key) -> Option<&Override> {
        if self.overrides.is_empty() { None } else { self.overrides.get(&client) }
    }

    /// The key of a rule's state for this request; `None` when the request lacks what the rule
    /// limits by.
    pub(crate) fn rule_key(
        &self,
        rule: usize,
        request: &Request<'_>,
        who: &Identity,
        route: u16,
        keys: &KeyHasher,
    ) -> Option<Key> {
        let base = *self.rules.get(rule)?;
        let part = match self.policy.rules.get(rule)?.scope {
            Scope::Client => who.client,
            Scope::Address => address_key(keys, space::ADDRESS, who.address?),
            Scope::Network => {
                who.address?;
                who.network
            }
            Scope::Credential => keys.key(space::CREDENTIAL, request.credential?.as_bytes()),
            Scope::User => keys.key(space::USER, request.user?.as_bytes()),
            Scope::ClientRoute => who.client.with(u64::from(route)),
            Scope::Route => Key(u64::from(route)),
            Scope::Site => Key(0),
        };
        Some(base.with(part.0))
    }
}

fn address_key(keys: &KeyHasher, space: u8, addr: IpAddr) -> Key {
    match address::canonical(addr) {
        IpAddr::V4(v4) => keys.key(space, &v4.octets()),
        IpAddr::V6(v6) => keys.key(space, &v6.octets()),
    }
}
