//! One strategy against the engine, on a site with its visitors, seeing only what the wire gives.

use super::strategy::Strategy;
use crate::simulate::dice::Dice;
use crate::simulate::{Event, Traffic};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tidegate_behavior::agent::AgentKind;
use tidegate_behavior::path::{Kind, read};
use tidegate_behavior::{Method, Outcome, Request};
use tidegate_engine::{Decision, Engine};
use tidegate_limiter::Timestamp;

/// What the attacker wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// As many pages as possible.
    Scrape,
    /// As many tries at the log-in as possible.
    Guess,
    /// Pages, by somebody who asks for nothing else: no assets, no harmless pages first.
    BareScrape,
    /// Log-in tries, by somebody who asks for nothing else.
    BareGuess,
}

impl Goal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Scrape, Self::Guess, Self::BareScrape, Self::BareGuess];

    /// The goal's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scrape => "scrape",
            Self::Guess => "guess",
            Self::BareScrape => "bare-scrape",
            Self::BareGuess => "bare-guess",
        }
    }

    const fn guesses(self) -> bool {
        matches!(self, Self::Guess | Self::BareGuess)
    }

    const fn bare(self) -> bool {
        matches!(self, Self::BareScrape | Self::BareGuess)
    }
}

/// Something to ask for, and what the site answers.
#[derive(Clone, Debug)]
struct Thing {
    method: Method,
    path: Arc<str>,
    payload: u64,
    outcome: Outcome,
}

/// What an attacker knows of a site before it begins: what its visitors do there.
#[derive(Clone, Debug)]
pub struct Ground {
    goal: Goal,
    /// What is wanted, in order.
    wanted: Vec<Thing>,
    pages: Vec<Thing>,
    assets: Vec<Thing>,
    agents: Vec<Arc<str>>,
    referer: Arc<str>,
}

/// Fewer things than this are not worth an attack.
const FEWEST: usize = 20;

impl Ground {
    /// What there is on the site of this traffic; `None` when it has nothing of the kind.
    #[must_use]
    pub fn of(traffic: &Traffic, goal: Goal) -> Option<Self> {
        let (mut pages, mut assets) = (BTreeMap::new(), BTreeMap::new());
        let mut refused: BTreeMap<Arc<str>, (usize, Thing)> = BTreeMap::new();
        let mut agents: BTreeMap<Arc<str>, ()> = BTreeMap::new();
        let mut referer: Arc<str> = Arc::default();
        for event in &traffic.events {
            let thing = || Thing {
                method: event.method,
                path: event.path.clone(),
                payload: event.payload,
                outcome: event.outcome,
            };
            let kind = read(&event.path).kind;
            let fine = event.outcome.status == 200;
            if event.method == Method::Get && fine && event.credential.is_none() {
                let into = if kind == Kind::Asset { &mut assets } else { &mut pages };
                into.entry(event.path.clone()).or_insert_with(thing);
            } else if event.method == Method::Post && matches!(event.outcome.status, 400..=499) {
                refused.entry(event.path.clone()).or_insert_with(|| (0, thing())).0 += 1;
            }
            if AgentKind::of(&event.user_agent) == AgentKind::Browser {
                agents.insert(event.user_agent.clone(), ());
                if event.referer.ends_with(&*event.path) || referer.is_empty() {
                    referer = event.referer.clone();
                }
            }
        }
        let pages: Vec<Thing> = pages.into_values().collect();
        let wanted = if goal.guesses() {
            // What refuses most of those who write to it is the log-in.
            let login = refused.into_values().max_by_key(|(times, _)| *times)?.1;
            vec![login; FEWEST]
        } else {
            pages.clone()
        };
        let enough = wanted.len() >= FEWEST && !pages.is_empty() && !agents.is_empty();
        enough.then(|| Self {
            goal,
            wanted,
            pages,
            assets: assets.into_values().collect(),
            agents: agents.into_keys().collect(),
            referer,
        })
    }
}

/// What a strategy may use up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub at_once: usize,
    pub addresses: usize,
    pub requests: usize,
}

/// What a strategy got and used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub passed: usize,
    pub denied: usize,
    pub requests: usize,
    pub addresses: usize,
}

impl Tally {
    pub(super) fn merge(&mut self, more: &Self) {
        self.passed += more.passed;
        self.denied += more.denied;
        self.requests += more.requests;
        self.addresses += more.addresses;
    }
}

/// One address in use.
struct Source {
    addr: IpAddr,
    agent: Arc<str>,
    sent: usize,
    next_wanted: usize,
    /// The limit that the first answer told.
    told: Option<f32>,
}

/// The attacker on a site whose time goes on.
pub(super) struct Attack<'a> {
    engine: &'a Engine,
    events: std::iter::Peekable<std::slice::Iter<'a, Event>>,
    ground: &'a Ground,
    /// Whether answers tell the learned limit.
    leaks: bool,
    dice: Dice,
    now: Timestamp,
    visitors: (u64, u64),
}

impl<'a> Attack<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        traffic: &'a Traffic,
        ground: &'a Ground,
        leaks: bool,
        seed: u64,
    ) -> Self {
        Self {
            engine,
            events: traffic.events.iter().peekable(),
            ground,
            leaks,
            dice: Dice::new(seed, 0xa77ac),
            now: traffic.start,
            visitors: (0, 0),
        }
    }

    /// Requests of visitors denied, and all of them.
    pub(super) const fn visitors(&self) -> (u64, u64) {
        self.visitors
    }

    /// Lets the visitors go on alone.
    pub(super) fn wait(&mut self, time: Duration) {
        self.visit_until(self.now.plus(time));
    }

    fn visit_until(&mut self, until: Timestamp) {
        while let Some(event) = self.events.next_if(|event| event.time <= until) {
            let denied = !decided(self.engine, &event.request(), &event.outcome).allowed;
            self.visitors.0 += u64::from(denied);
            self.visitors.1 += 1;
        }
        self.now = self.now.max(until);
    }

    /// Follows a strategy for some time.
    pub(super) fn run(&mut self, strategy: &Strategy, time: Duration, budget: Budget) -> Tally {
        let end = self.now.plus(time);
        let mut tally = Tally::default();
        let mut sources = Vec::new();
        let mut due = BinaryHeap::new();
        for n in 0..budget.at_once {
            sources.push(self.source(&mut tally));
            due.push(Reverse((self.now.plus(self.pause(strategy)), n)));
        }
        while let Some(Reverse((at, n))) = due.pop() {
            if at >= end || tally.requests >= budget.requests {
                break;
            }
            self.visit_until(at);
            tally.requests += 1;
            let (decision, wanted) = self.ask(strategy, &mut sources[n]);
            tally.passed += usize::from(wanted && decision.allowed);
            tally.denied += usize::from(!decision.allowed);
            let mut next = at.plus(self.pause(strategy));
            if self.gives_up(strategy, &mut sources[n], &decision) {
                if tally.addresses >= budget.addresses {
                    continue;
                }
                sources[n] = self.source(&mut tally);
            } else if !decision.allowed {
                // The wire tells whole seconds, rounded up.
                let seconds = decision.retry_after.as_secs() + 1;
                next = next.max(at.plus(Duration::from_secs(seconds)));
            }
            due.push(Reverse((next, n)));
        }
        self.visit_until(end);
        tally
    }

    fn gives_up(&self, strategy: &Strategy, source: &mut Source, decision: &Decision) -> bool {
        let limit = decision.limit_per_min;
        let told = *source.told.get_or_insert(limit);
        let warned = self.leaks && f64::from(limit) < f64::from(told) * strategy.heeds;
        let impatient = !decision.allowed && decision.retry_after.as_secs_f64() > strategy.patience;
        warned || impatient || source.sent as f64 >= strategy.life
    }

    /// A new address, anywhere.
    fn source(&mut self, tally: &mut Tally) -> Source {
        tally.addresses += 1;
        let [a, b, c, d, ..] = self.dice.bits().to_le_bytes();
        // The first octet of addresses that are given out.
        let first = 20 + a % 150;
        Source {
            addr: IpAddr::V4(Ipv4Addr::new(if first == 127 { 128 } else { first }, b, c, d.max(1))),
            agent: self.dice.pick(&self.ground.agents),
            sent: 0,
            next_wanted: self.dice.below(self.ground.wanted.len()),
            told: None,
        }
    }

    fn pause(&mut self, strategy: &Strategy) -> Duration {
        let median = 1.0 / strategy.rate;
        let mean = median * (-0.5 * strategy.unevenness * strategy.unevenness).exp();
        Duration::from_secs_f64(self.dice.log_normal(mean, strategy.unevenness).clamp(1e-3, 600.0))
    }

    /// Sends the next request of a source; answers whether it was one that the attacker wants.
    fn ask(&mut self, strategy: &Strategy, source: &mut Source) -> (Decision, bool) {
        let ground = self.ground;
        let mixes = !ground.goal.bare();
        let warm = mixes && (source.sent as f64) < strategy.warm_up;
        let asset = mixes && !ground.assets.is_empty() && self.dice.chance(strategy.assets);
        let thing = if asset {
            &ground.assets[self.dice.below(ground.assets.len())]
        } else if warm {
            &ground.pages[self.dice.below(ground.pages.len())]
        } else if strategy.in_order {
            source.next_wanted += 1;
            &ground.wanted[source.next_wanted % ground.wanted.len()]
        } else {
            &ground.wanted[self.dice.below(ground.wanted.len())]
        };
        let referred = self.dice.chance(strategy.referers);
        let user = (ground.goal.guesses() && !asset && !warm)
            .then(|| format!("user{}", self.dice.below(100_000)));
        let request = Request {
            time: self.now,
            addr: Some(source.addr),
            method: thing.method,
            path: &thing.path,
            user: user.as_deref(),
            user_agent: &source.agent,
            referer: if referred { &ground.referer } else { "" },
            payload: thing.payload,
            ..Request::default()
        };
        source.sent += 1;
        (decided(self.engine, &request, &thing.outcome), !asset && !warm)
    }
}

/// Decides a request; the application sees, and the limiter learns, only what passes.
fn decided(engine: &Engine, request: &Request<'_>, outcome: &Outcome) -> Decision {
    let decision = engine.check(request);
    if decision.allowed {
        engine.outcome(&decision.ticket, outcome, request.time);
    }
    decision
}
