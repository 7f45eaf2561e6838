//! What a log says of each client: its features as serving would have seen them, and plain counts.

use std::collections::HashMap;
use std::time::Duration;
use tidegate_behavior::agent::AgentKind;
use tidegate_behavior::path::{self, Kind};
use tidegate_behavior::schema::{COUNT, in_calm};
use tidegate_behavior::{Answer, Features, Outcome, Request};
use tidegate_engine::policy::Adaptive;
use tidegate_engine::{Decision, Engine, Mode, Policy, RuleRef, Setup};
use tidegate_limiter::{Key, Timestamp};

/// Most clients that are told apart; of a log with more, the first ones teach.
const MOST_CLIENTS: usize = 100_000;
/// Most rows that one client gives.
const MOST_ROWS: usize = 12;
/// So long nothing is known of what is usual, and every arrival is a rush.
const YOUNG: Duration = Duration::from_secs(120);
/// How many characters of a user agent are kept.
const AGENT_CHARS: usize = 200;

/// Paths that no visitor of any site asks for, and lists of scanners begin with. What is answered
/// with success belongs to the site and is no trap.
pub const HONEYPOTS: [&str; 16] = [
    "/.env",
    "/.git/",
    "/.svn/",
    "/.aws/",
    "/.ssh/",
    "/.htpasswd",
    "/wp-login.php",
    "/wp-config.php",
    "/xmlrpc.php",
    "/phpmyadmin",
    "/adminer.php",
    "/vendor/phpunit/",
    "/actuator/env",
    "/HNAP1",
    "/boaform/",
    "/cgi-bin/luci",
];

/// One client of the log.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its address, its host, or a hash of its credential.
    pub name: String,
    /// Its key in the engine.
    pub key: Key,
    /// When it was first seen.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    /// Requests.
    pub requests: u32,
    /// Requests whose response the log has.
    pub answered: u32,
    /// Of those, 2xx and 3xx.
    pub fine: u32,
    /// 401 and 403, and writes refused in another way.
    pub refused: u32,
    /// 404, 405 and 410.
    pub missing: u32,
    /// 5xx.
    pub failed: u32,
    /// Requests for a well-known trap that did not succeed.
    pub honeypots: u32,
    /// Requests for a trap that the operator named, whatever they were answered.
    pub traps: u32,
    /// Requests whose path looks like a probe.
    pub odd: u32,
    /// Requests for scripts, styles, images and fonts.
    pub assets: u32,
    /// Whether it asked for `robots.txt`.
    pub reads_robots_txt: bool,
    /// The user agent it came with, cut to its beginning.
    pub agent: Box<str>,
    /// What that claims to be.
    pub agent_kind: AgentKind,
    /// What the lists of the policy say: allowed (`true`), denied (`false`), nothing.
    pub listed: Option<bool>,
    /// The highest value of each feature.
    pub peak: Features,
    /// Rows to train on, each with its weight.
    pub rows: Vec<(Features, f32)>,
    steps: Steps,
}

/// Which requests become rows: ever more sparsely, so that one flood does not fill the memory.
#[derive(Clone, Copy, Debug)]
struct Steps {
    next: u32,
    scale: u32,
}

impl Seen {
    fn new(name: String, key: Key, request: &Request<'_>) -> Self {
        Self {
            name,
            key,
            first: request.time,
            last: request.time,
            requests: 0,
            answered: 0,
            fine: 0,
            refused: 0,
            missing: 0,
            failed: 0,
            honeypots: 0,
            traps: 0,
            odd: 0,
            assets: 0,
            reads_robots_txt: false,
            agent: Box::default(),
            agent_kind: AgentKind::None,
            listed: None,
            peak: [f32::MIN; COUNT],
            rows: Vec::new(),
            steps: Steps { next: 0, scale: 1 },
        }
    }

    /// How long it was seen, seconds.
    #[must_use]
    pub fn seconds(&self) -> f32 {
        self.last.since(self.first).as_secs_f32()
    }

    /// A count as a share of its answered requests.
    #[must_use]
    pub fn share(&self, count: u32) -> f32 {
        count as f32 / self.answered.max(1) as f32
    }

    /// Its features on average over the rows.
    #[must_use]
    pub fn mean(&self) -> Features {
        let total: f32 = self.rows.iter().map(|(_, weight)| weight).sum();
        let mut mean = [0.0; COUNT];
        for (row, weight) in &self.rows {
            for (sum, x) in mean.iter_mut().zip(row) {
                *sum += x * weight / total.max(1e-9);
            }
        }
        mean
    }

    fn row(&mut self, features: Features, young: bool) {
        let known = if young { in_calm(&features) } else { features };
        for (peak, x) in self.peak.iter_mut().zip(&known) {
            *peak = peak.max(*x);
        }
        if self.requests != self.steps.next {
            return;
        }
        if self.rows.len() >= MOST_ROWS {
            // Every second one stays and stands for two.
            self.rows = std::mem::take(&mut self.rows).into_iter().step_by(2).collect();
            self.rows.iter_mut().for_each(|(_, weight)| *weight *= 1.7);
            self.steps.scale *= 2;
        }
        let step = (1 + self.requests / 8).saturating_mul(self.steps.scale);
        // A row stands for the requests until the next one, and for fewer the more there are: a
        // client of ten thousand requests must not outweigh a thousand clients of ten.
        self.rows.push((features, (step as f32).powf(0.75)));
        self.steps.next = self.steps.next.saturating_add(step);
    }

    fn learn(&mut self, outcome: &Outcome, writes: bool) {
        let answer = outcome.answer();
        self.answered += u32::from(answer != Answer::Unknown);
        match answer {
            Answer::Fine => self.fine += 1,
            Answer::Refused => self.refused += 1,
            Answer::Missing => self.missing += 1,
            // Some applications refuse a log-in like any other form that was filled in wrongly.
            Answer::Wrong if writes => self.refused += 1,
            Answer::Failed => self.failed += 1,
            Answer::Wrong | Answer::Limited | Answer::Unknown => {}
        }
    }
}

/// An engine that decides nothing, and what it saw of each client.
pub struct Gatherer {
    engine: Engine,
    traps: Vec<String>,
    clients: Vec<Seen>,
    places: HashMap<Key, usize, foldhash::fast::FixedState>,
    left_out: u64,
    requests: u64,
    begun: Option<Timestamp>,
}

impl Gatherer {
    /// A gatherer that tells clients apart as `policy` does. `traps` are paths of the operator's
    /// own that nobody should ask for; each stands for all that begins with it.
    #[must_use]
    pub fn new(policy: &Policy, traps: &[String]) -> Self {
        // Decisions depend on the model that is to be trained, so there are none.
        let policy = Policy {
            mode: Mode::Shadow,
            adaptive: Adaptive { enabled: false, ..policy.adaptive },
            rules: Vec::new(),
            ..policy.clone()
        };
        let capacity = MOST_CLIENTS + MOST_CLIENTS / 4;
        Self {
            engine: Engine::new(policy, Setup { capacity, ..Setup::default() }),
            traps: traps.to_vec(),
            clients: Vec::new(),
            places: HashMap::default(),
            left_out: 0,
            requests: 0,
            begun: None,
        }
    }

    /// Takes in one request and its response. `name` is asked for when the client is new.
    pub fn feed(
        &mut self,
        request: &Request<'_>,
        outcome: Option<&Outcome>,
        name: impl FnOnce(&Decision) -> String,
    ) -> Decision {
        self.requests += 1;
        let decision = self.engine.check(request);
        match outcome {
            Some(outcome) => self.engine.outcome(&decision.ticket, outcome, request.time),
            None => self.engine.release(&decision.ticket),
        }
        let begun = *self.begun.get_or_insert(request.time);
        let young = request.time.since(begun) < YOUNG;
        let key = decision.ticket.client;
        let place = match self.places.get(&key) {
            Some(&place) => place,
            None if self.clients.len() < MOST_CLIENTS => {
                self.clients.push(Seen::new(name(&decision), key, request));
                self.places.insert(key, self.clients.len() - 1);
                self.clients.len() - 1
            }
            None => {
                self.left_out += 1;
                return decision;
            }
        };
        if let Some(seen) = self.clients.get_mut(place) {
            take(seen, request, outcome, &decision, &self.traps, young);
        }
        decision
    }

    /// What was seen.
    #[must_use]
    pub fn finish(self) -> Gathered {
        Gathered { clients: self.clients, left_out: self.left_out, requests: self.requests }
    }

    /// What was seen until now.
    #[must_use]
    pub fn so_far(&self) -> Gathered {
        let (left_out, requests) = (self.left_out, self.requests);
        Gathered { clients: self.clients.clone(), left_out, requests }
    }
}

/// The clients of a log.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Each, in the order in which they came.
    pub clients: Vec<Seen>,
    /// Requests of clients beyond those that are told apart.
    pub left_out: u64,
    /// All requests.
    pub requests: u64,
}

fn take(
    seen: &mut Seen,
    request: &Request<'_>,
    outcome: Option<&Outcome>,
    decision: &Decision,
    traps: &[String],
    young: bool,
) {
    seen.last = seen.last.max(request.time);
    seen.row(decision.features, young);
    seen.requests = seen.requests.saturating_add(1);
    let target = path::read(request.path);
    seen.assets += u32::from(target.kind == Kind::Asset);
    let whole = request.path.split(['?', '#']).next().unwrap_or_default();
    seen.reads_robots_txt |= whole == "/robots.txt";
    seen.traps += u32::from(traps.iter().any(|trap| whole.starts_with(trap.as_str())));
    let succeeded = outcome.is_some_and(|outcome| (200..400).contains(&outcome.status));
    seen.odd += u32::from(target.odd || (target.sought && !succeeded));
    // Scanners try the same below every folder.
    let honeypot = HONEYPOTS.iter().any(|pot| whole.contains(pot));
    seen.honeypots += u32::from(!succeeded && honeypot);
    if seen.requests == 1 || seen.agent.is_empty() {
        seen.agent = request.user_agent.chars().take(AGENT_CHARS).collect::<String>().into();
        seen.agent_kind = AgentKind::of(request.user_agent);
    }
    match decision.rule {
        RuleRef::AllowList => seen.listed = Some(true),
        RuleRef::DenyList => seen.listed = Some(false),
        _ => {}
    }
    if let Some(outcome) = outcome {
        seen.learn(outcome, request.method.writes());
    }
}
