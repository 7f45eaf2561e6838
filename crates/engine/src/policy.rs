//! The resolved policy: every number that an operator may set, already checked.
//!
//! A policy is immutable. The engine holds one behind an atomic pointer; a reload swaps the pointer
//! and the next request is decided by the new one, with the state of every client kept.

use crate::domains::Domains;
use crate::pattern::PathPattern;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate_behavior::Method;
use tidegate_behavior::address::{AddressMap, IdentityRules};
use tidegate_limiter::{Limit, Quota};

/// Whether denials are enforced or only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A denial is answered as one.
    #[default]
    Enforce,
    /// Everything is evaluated and counted, nothing is denied.
    Shadow,
}

/// What a rule answers when it can't be evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Let the request pass.
    #[default]
    Open,
    /// Deny the request.
    Closed,
}

/// Whose state a static rule limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Each client by itself: its credential, or its address when it sends none.
    #[default]
    Client,
    /// Each address (IPv6 by the configured prefix), whatever credentials it sends.
    Address,
    /// Each network: /24 in IPv4, /48 in IPv6.
    Network,
    /// Each credential; requests without one can't be evaluated.
    Credential,
    /// Each user named by a request; requests without one can't be evaluated.
    User,
    /// Each client on each route by itself.
    ClientRoute,
    /// Each route for all clients together.
    Route,
    /// Everybody together.
    Site,
}

/// A static limit around whatever the models decide.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule's name in answers, metrics and reports.
    pub name: String,
    /// Which paths it is for.
    pub path: PathPattern,
    /// Which methods it is for; empty means all.
    pub methods: Vec<Method>,
    /// Whose state it limits.
    pub scope: Scope,
    /// The limit.
    pub limit: Limit,
    /// What a request costs, in thousandths of a cell.
    pub cost_milli: u32,
    /// A rule in shadow is evaluated and counted, and never denies.
    pub mode: Mode,
    /// What it answers when it can't be evaluated.
    pub on_error: OnError,
}

impl Rule {
    /// Whether the rule is for this request; `path` is without its query.
    #[must_use]
    pub fn matches(&self, method: Method, path: &str) -> bool {
        (self.methods.is_empty() || self.methods.contains(&method)) && self.path.matches(path)
    }
}

/// Where risk turns into action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    /// Risk from which a client is throttled.
    pub throttle: f32,
    /// Risk from which a client is blocked.
    pub block: f32,
    /// How far risk must fall below a band's edge before the client leaves it.
    pub hysteresis: f32,
    /// The edges move by up to this much, by a keyed hash of client and epoch.
    pub jitter: f32,
}

impl Default for Bands {
    fn default() -> Self {
        Self { throttle: 0.5, block: 0.8, hysteresis: 0.1, jitter: 0.03 }
    }
}

/// The limits that the models move between.
#[derive(Clone, Copy, Debug)]
pub struct Tiers {
    /// A client of which little is known; also the static limit when there is no score.
    pub new: Quota,
    /// A client proven harmless by what it did: the ceiling for every client.
    pub trusted: Quota,
    /// A client in the throttle band.
    pub throttled: Quota,
    /// A client that comes out of a block, until it is forgiven: the floor for every client.
    pub risky: Quota,
}

/// What requests cost, in thousandths of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// A page.
    pub page: u32,
    /// A call of an API.
    pub api: u32,
    /// A script, style sheet, image or font.
    pub asset: u32,
}

impl Default for Costs {
    fn default() -> Self {
        Self { page: 1000, api: 1000, asset: 100 }
    }
}

/// The learned limit.
#[derive(Clone, Copy, Debug)]
pub struct Adaptive {
    /// Off leaves a classic limiter: `tiers.new` for everybody, and the static rules.
    pub enabled: bool,
    /// Whether a client without a record has less room when it is unlike all others, or comes in the
    /// five minutes after a sudden rise of requests or errors of the site or of its route. It blocks
    /// nobody; anomalies are counted and told either way.
    pub anomaly: bool,
    /// Where risk turns into action.
    pub bands: Bands,
    /// The limits.
    pub tiers: Tiers,
    /// What requests cost.
    pub costs: Costs,
    /// How long a block lasts at the longest when nothing more speaks against the client.
    pub block_for: Duration,
    /// Half-life of risk while a client behaves: the time in which a mistake heals by half.
    pub forgive: Duration,
    /// Requests at low risk after which a client may reach the trusted limit; beyond 65,535 as many.
    pub proven_after: u32,
    /// A penalty begins up to so many requests after its reason, how many only the holder of the
    /// secret can tell. 0, the default, begins it at once: late penalties were measured to let more
    /// through than they hide.
    pub delay: u8,
}

/// A limit set by hand for one client.
#[derive(Clone, Debug)]
pub struct Override {
    /// Its limit; `None` means unlimited.
    pub quota: Option<Quota>,
}

/// What a list of addresses says of those on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Never limited.
    Allow,
    /// Always denied.
    Deny,
}

/// Everything that an operator may set.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Enforce, or shadow for everything.
    pub mode: Mode,
    /// Who a client is.
    pub identity: IdentityRules,
    /// The learned limit.
    pub adaptive: Adaptive,
    /// Static rules, all of which a request must pass.
    pub rules: Vec<Rule>,
    /// Addresses allowed or denied outright; the longest prefix wins.
    pub addresses: AddressMap<Listing>,
    /// Clients by name (address or credential) with a limit of their own.
    pub overrides: HashMap<String, Override>,
    /// What lists say of addresses: −1 good, 0 unknown, 1 hosting or proxy, 2 hostile. By default
    /// the crawlers whose operators publish their ranges are good.
    pub reputation: AddressMap<i8>,
    /// Limits by descriptor, for gateways that ask by names of their own.
    pub domains: Domains,
}

/// Most static rules that one request is held against: so many states are locked together. Of
/// more that match, the first ones of the policy count, and `check-config` warns.
pub const MAX_MATCHES: usize = 8;

impl Policy {
    /// A policy with the defaults of a new installation and no static rules.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mode: Mode::Enforce,
            identity: IdentityRules::default(),
            adaptive: Adaptive::default(),
            rules: Vec::new(),
            addresses: AddressMap::default(),
            overrides: HashMap::new(),
            reputation: crate::crawlers::published(),
            domains: Domains::default(),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        // 1200 a minute is what a page site's busiest honest visitor needs; the models, not this
        // number, are what stops an attacker. The burst is that of a whole minute: an integration that
        // begins at fifty requests a second has a record before it is spent.
        let whole = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = |cells, burst| Quota::per_minute(whole(cells)).with_burst(whole(burst));
        Self {
            enabled: true,
            anomaly: false,
            bands: Bands::default(),
            tiers: Tiers {
                new: quota(1200, 1200),
                trusted: quota(6000, 1200),
                throttled: quota(10, 5),
                risky: quota(5, 2),
            },
            costs: Costs::default(),
            block_for: Duration::from_secs(300),
            forgive: Duration::from_secs(120),
            proven_after: 200,
            delay: 0,
        }
    }
}
