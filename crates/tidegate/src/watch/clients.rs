//! Whom something is done about: a bounded list of clients, and the changes worth telling.

use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tidegate_behavior::address::{IdentityRules, canonical};
use tidegate_engine::{Action, Decision};
use tidegate_lab::formats::Record;
use tidegate_lab::replay::{name, rfc3339};
use tidegate_limiter::{Key, Timestamp};

/// Most clients that are remembered at once; of more nothing is told and nobody is listed.
const MOST: usize = 100_000;
/// A client that is throttled and stays away for so long is forgotten here: by then it is forgiven, as
/// the default policy has it.
const AWAY: Duration = Duration::from_secs(300);

/// An address, or the network that stands for a client of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Network {
    pub addr: IpAddr,
    bits: u8,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.addr, self.bits) {
            (IpAddr::V4(_), 32..) | (IpAddr::V6(_), 128..) => self.addr.fmt(f),
            (addr, bits) => write!(f, "{addr}/{bits}"),
        }
    }
}

/// Who a client is, and what of it can be denied by address.
#[derive(Debug)]
pub(super) struct Subject {
    name: String,
    network: Option<Network>,
}

impl Subject {
    pub(super) fn of(record: &Record<'_>, decision: &Decision, rules: &IdentityRules) -> Self {
        let network = match record.addr {
            Some(addr) if record.credential.is_none() => {
                let addr = canonical(rules.client_prefix(canonical(addr)));
                let bits = if addr.is_ipv4() { 32 } else { rules.ipv6_prefix };
                Some(Network { addr, bits })
            }
            // All who share the address would pay for the one with this credential.
            _ => None,
        };
        let name = network.map_or_else(|| name(record, decision), |network| network.to_string());
        // A log that names the load balancer as the client would cut everybody off.
        // What a program of this machine does by its own address is not for others to pay.
        let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let trusted = |addr: IpAddr| own.contains(&addr) || rules.trusted.get(addr).is_some();
        let network = network.filter(|network| {
            let own = record.addr.map(canonical).is_some_and(trusted);
            !own && !trusted(network.addr) && !rules.trusted.meets(network.addr, network.bits)
        });
        Self { name, network }
    }
}

/// A change of what is done about a client.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    #[serde(serialize_with = "text")]
    time: Timestamp,
    client: String,
    action: &'static str,
    risk: f32,
    /// When a block ends if nothing more is seen of the client.
    #[serde(serialize_with = "text_if_any")]
    until: Option<Timestamp>,
    reasons: Vec<String>,
}

impl Change {
    /// The same with its times as this has them.
    pub(super) fn told(&self, has: impl Fn(Timestamp) -> Timestamp) -> Self {
        Self { time: has(self.time), until: self.until.map(has), ..self.clone() }
    }
}

fn text<S: Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&rfc3339(*time))
}

fn text_if_any<S: Serializer>(time: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(out)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = crate::replay::shown(&self.client);
        let time = rfc3339(self.time);
        write!(f, "{time} {client} {} risk {:.2}", self.action, self.risk)?;
        if let Some(until) = self.until {
            write!(f, " until {}", rfc3339(until))?;
        }
        if !self.reasons.is_empty() {
            write!(f, ": {}", self.reasons.join("; "))?;
        }
        Ok(())
    }
}

/// One client about which something is done.
#[derive(Debug)]
struct Known {
    subject: Subject,
    action: Action,
    risk: f32,
    /// When the action began.
    since: Timestamp,
    /// When it ends, or is forgotten, if nothing more is heard of the client.
    until: Timestamp,
    reasons: Vec<String>,
    /// Whether others with a good record are behind the same address.
    shared: bool,
}

impl Known {
    fn change(&self) -> Change {
        let until = (self.action == Action::Block).then_some(self.until);
        self.turned(self.since, self.action, until, self.reasons.clone())
    }

    fn turned(
        &self,
        time: Timestamp,
        action: Action,
        until: Option<Timestamp>,
        reasons: Vec<String>,
    ) -> Change {
        let (client, action) = (self.subject.name.clone(), action.name());
        Change { time, client, action, risk: self.risk, until, reasons }
    }
}

/// The clients about which something is done.
#[derive(Debug, Default)]
pub(super) struct Clients {
    known: HashMap<Key, Known>,
    /// Changes that there was no room to remember.
    overlooked: u64,
    /// Whether it was said that somebody can't be listed.
    said: bool,
}

impl Clients {
    /// Takes in a decision at `now` by the clock; answers the change that it makes, if any. `about` is
    /// called when something new is to be said.
    pub(super) fn heard(
        &mut self,
        decision: &Decision,
        now: Timestamp,
        about: impl FnOnce() -> (Subject, Vec<String>),
    ) -> Option<Change> {
        let key = decision.ticket.client;
        let full = self.known.len() >= MOST;
        let known = self.known.get_mut(&key);
        if decision.spared {
            // It speaks for one of those behind the address, and against listing all of them.
            if let Some(known) = known {
                known.shared = true;
            }
            return None;
        }
        // Raise and allow are both as it should be: who moves between them is nobody's business.
        let action = match decision.action {
            Action::Raise => Action::Allow,
            action => action,
        };
        let until = match action {
            // As far as the log is behind the clock, the block is nearer its end.
            Action::Block => decision.time.min(now).plus(decision.retry_after),
            _ => decision.time.min(now).plus(AWAY),
        };
        match known {
            Some(known) if known.action == action => {
                (known.until, known.risk) = (until, decision.risk);
                None
            }
            Some(known) if action == Action::Allow => {
                known.risk = decision.risk;
                let change = known.turned(decision.time, action, None, Vec::new());
                self.known.remove(&key);
                Some(change)
            }
            None if action == Action::Allow => None,
            None if full => {
                if self.overlooked == 0 {
                    tracing::warn!(
                        most = MOST,
                        "too many clients: more are neither told nor listed"
                    );
                }
                self.overlooked += 1;
                None
            }
            known => {
                let shared = known.is_some_and(|known| known.shared);
                let (subject, reasons) = about();
                if action == Action::Block && subject.network.is_none() && !self.said {
                    self.said = true;
                    tracing::warn!(
                        client = subject.name,
                        "not listed: a client by credential or host name, or a trusted hop, can't be \
                         denied by address; this is said once"
                    );
                }
                let (risk, since) = (decision.risk, decision.time);
                let known = Known { subject, action, risk, since, until, reasons, shared };
                let change = known.change();
                self.known.insert(key, known);
                Some(change)
            }
        }
    }

    /// Lets go of those whose time is over by the clock.
    pub(super) fn end(&mut self, now: Timestamp) -> Vec<Change> {
        let mut over = Vec::new();
        self.known.retain(|_, known| {
            let stays = known.until > now;
            if !stays {
                let why = match known.action {
                    Action::Block => "the block is over",
                    _ => "nothing more was seen of it",
                };
                over.push(known.turned(now, Action::Allow, None, vec![why.to_owned()]));
            }
            stays
        });
        over.sort_by(|a, b| a.client.cmp(&b.client));
        over
    }

    /// What is done about everybody, as changes from nothing.
    pub(super) fn all(&self) -> Vec<Change> {
        let mut all: Vec<_> = self.known.values().collect();
        all.sort_by(|a, b| (a.since, &a.subject.name).cmp(&(b.since, &b.subject.name)));
        all.into_iter().map(Known::change).collect()
    }

    /// Who is to be denied by address, and until when.
    pub(super) fn listed(&self) -> BTreeMap<Network, Timestamp> {
        let blocked = self.known.values().filter(|it| it.action == Action::Block && !it.shared);
        blocked.filter_map(|it| Some((it.subject.network?, it.until))).collect()
    }

    pub(super) fn overlooked(&self) -> u64 {
        self.overlooked
    }
}

#[cfg(test)]
mod tests;
