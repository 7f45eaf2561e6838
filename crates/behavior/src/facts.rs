//! What one request says by itself, worked out once, before any profile is touched.

use crate::address::prefix;
use crate::agent::{AgentKind, fingerprint};
use crate::path::{Target, referer_page};
use crate::record::{Method, Request};
use crate::routes::{Route, RouteTable};
use crate::sensitive::{Place, place};
use std::net::IpAddr;
use tidegate_limiter::Timestamp;

/// The facts of a request.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// When it arrived.
    pub time: Timestamp,
    /// Its method.
    pub method: Method,
    /// Its target, read.
    pub target: Target,
    /// Its route.
    pub route: Route,
    /// Whether only an attacker asks for it: an attack, or what this site does not have.
    pub probe: bool,
    /// Where it sends something to, if passwords, codes, vouchers, cards or new accounts are tried there, or mails and codes sent.
    pub sensitive: Option<Place>,
    /// The fingerprint of what sent it.
    pub fingerprint: u64,
    /// What its user agent claims to be.
    pub agent_kind: AgentKind,
    /// The page that its referer names, if it has one.
    pub referer: Option<u32>,
    /// The user that it names, hashed.
    pub user: Option<u32>,
    /// Whether a credential names the client.
    pub credentialed: bool,
    /// The network that a credential is used from (/24, /48), hashed.
    pub network: Option<u32>,
    /// The size of its payload in bytes.
    pub payload: u64,
    /// What lists say of its address: −1 good, 0 unknown, 1 hosting or proxy, 2 hostile.
    pub reputation: i8,
}

/// The hash of an address's network.
#[allow(clippy::cast_possible_truncation, reason = "a part of a hash is one")]
fn network(addr: IpAddr) -> u32 {
    let bits = match prefix(addr, 24, 48) {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => (u128::from(v6) >> 64) as u64,
    };
    (crate::mix(bits, 24) >> 16) as u32
}

impl Facts {
    /// Works out the facts of a request whose target was read.
    #[must_use]
    pub fn of(
        request: &Request<'_>,
        mut target: Target,
        routes: &RouteTable,
        reputation: i8,
    ) -> Self {
        let route = routes.find(request.method, &target);
        // What the site has by that name, or is made with, is no probe.
        let probe = routes.is_probe(&target, &route);
        target.odd |= probe;
        let sends = request.method.writes() && request.method != Method::Delete;
        Self {
            time: request.time,
            method: request.method,
            route,
            probe: probe || target.attack,
            target,
            sensitive: sends.then(|| place(request.path)).flatten(),
            fingerprint: fingerprint(request),
            agent_kind: AgentKind::of(request.user_agent),
            referer: referer_page(request.referer),
            #[allow(clippy::cast_possible_truncation, reason = "a part of a hash is one")]
            user: request.user.map(|user| crate::hash(user.as_bytes()) as u32),
            credentialed: request.credential.is_some(),
            network: request.credential.and(request.addr).map(network),
            payload: request.payload,
            reputation,
        }
    }

    /// Whether the outcome can teach what the site has: a route, or that a path is no probe.
    #[must_use]
    pub const fn teaches(&self) -> bool {
        !self.route.settled || (self.target.may_probe() && !self.route.served)
    }

    /// Whether the method is one that pages and programs rarely use.
    #[must_use]
    pub const fn odd_method(&self) -> bool {
        matches!(self.method, Method::Head | Method::Options | Method::Other)
    }
}
