//! The engine: what is kept between requests, and the path that one request takes through it.

use crate::advice::Advices;
use crate::client::Client;
use crate::decision::{Decision, RuleRef, Ticket};
use crate::drift::Drift;
use crate::guests::Houses;
use crate::hand::Hands;
use crate::journal::Journal;
use crate::oddity::Oddities;
use crate::parts::Parts;
use crate::pending::{Paths, Permits};
use crate::policy::{Mode, Policy};
use crate::rules::RuleState;
use crate::snapshot::{self, Snapshot};
use crate::stats::{Answered, Counters, Stats, StoreSize};
use crate::watch::{Alarm, Hours, Watch};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_behavior::Outcome;
use tidegate_behavior::memory::Memory;
use tidegate_behavior::profile::Evident;
use tidegate_limiter::{Entry, Key, KeyHasher, Store, Timestamp};
use tidegate_models::{AnyModel, Model, ModelError, words};

/// What an engine is made of beside its policy.
pub struct Setup {
    /// Most clients tracked at once; the state of colder ones is forgotten, of penalised ones last.
    pub capacity: usize,
    /// The secret of keys and jitter: the same secret gives the same decisions.
    pub secret: [u64; 2],
    /// The classifier; `None` leaves a classic rate limiter.
    pub model: Option<AnyModel>,
    /// For how long the word of a model in the background holds, see [`Engine::advise`]; `None`
    /// when there is none.
    pub advice_for: Option<Duration>,
    /// What speaks beside the model; all of it, but for an ablation.
    pub parts: Parts,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            capacity: 1_000_000,
            secret: [0x7469, 0x6465],
            model: None,
            advice_for: None,
            parts: Parts::default(),
        }
    }
}

/// Decides requests and learns from their outcomes. Shared by all threads.
pub struct Engine {
    pub(crate) current: ArcSwap<Snapshot>,
    pub(crate) keys: KeyHasher,
    pub(crate) clients: Store<Client>,
    pub(crate) rules: Store<RuleState>,
    pub(crate) memory: Memory,
    pub(crate) paths: Paths,
    pub(crate) permits: Permits,
    pub(crate) counters: Counters,
    pub(crate) drift: Drift,
    pub(crate) advices: Option<Advices>,
    pub(crate) watch: Watch,
    pub(crate) oddities: Oddities,
    pub(crate) houses: Houses,
    pub(crate) hands: Hands,
    pub(crate) journal: Journal,
    pub(crate) parts: Parts,
}

/// The model that comes with this version, trained on simulated traffic.
const DEFAULT_MODEL: &[u8] = include_bytes!("../model/default.tgmd");

impl Engine {
    /// An engine that knows nothing of anybody yet.
    #[must_use]
    pub fn new(policy: Policy, setup: Setup) -> Self {
        let keys = KeyHasher::new(setup.secret[0], setup.secret[1]);
        let model = setup.model.map(Arc::new);
        let counters = Counters::default();
        let slots = counters.slots(&policy.rules);
        Self {
            current: ArcSwap::from_pointee(Snapshot::new(Arc::new(policy), model, &keys, slots)),
            clients: Store::new(setup.capacity),
            rules: Store::new(setup.capacity),
            memory: Memory::new((setup.capacity / 4).max(1024)),
            paths: Paths::default(),
            permits: Permits::default(),
            counters,
            drift: Drift::default(),
            advices: setup.advice_for.map(|fresh_for| Advices::new(setup.capacity, fresh_for)),
            watch: Watch::default(),
            houses: Houses::new(setup.capacity),
            hands: Hands::default(),
            journal: Journal::default(),
            oddities: Oddities::new(snapshot::seed(&keys)),
            parts: setup.parts,
            keys,
        }
    }

    /// The classifier that comes with this version.
    ///
    /// # Errors
    /// When the file built into this binary is of another schema than its code: a build error.
    pub fn default_model() -> Result<AnyModel, ModelError> {
        tidegate_models::file::load(DEFAULT_MODEL).map(|(model, _)| model)
    }

    /// The file of that model.
    #[must_use]
    pub const fn default_model_file() -> &'static [u8] {
        DEFAULT_MODEL
    }

    /// Publishes another policy; the state of every client is kept.
    pub fn reload(&self, mut policy: Policy) {
        let before = self.current.load();
        policy.domains.inherit(&before.policy.domains);
        let model = before.model.clone();
        let slots = self.counters.slots(&policy.rules);
        let next = Snapshot::new(Arc::new(policy), model, &self.keys, slots);
        self.current.store(Arc::new(next));
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.current.load().policy.clone()
    }

    /// The model in use; `None` when there is none.
    #[must_use]
    pub fn model(&self) -> Option<Arc<AnyModel>> {
        self.current.load().model.clone()
    }

    /// Takes in what a model in the background says of a client's request made at `about`, 0..1: it
    /// stands in for the score of the client's next requests while it is fresh. Does nothing unless
    /// the engine was set up for it.
    pub fn advise(&self, client: Key, score: f32, about: Timestamp) {
        if let Some(advices) = &self.advices {
            advices.take(client, score, about);
        }
    }

    /// Whether the client of a ticket is remembered. Of a ticket that somebody made up it is not, for
    /// clients are named by keyed hashes.
    #[must_use]
    pub fn knows(&self, ticket: &Ticket) -> bool {
        self.clients.read(ticket.client, |_| ()).is_some()
    }

    /// Takes in what became of a request. Call it once for each request that was passed on.
    pub fn outcome(&self, ticket: &Ticket, outcome: &Outcome, now: Timestamp) {
        self.release(ticket);
        self.paths.take(ticket.pending, |method, path| {
            self.memory.learn_route(method, path, outcome.status);
        });
        let expected = self.memory.expected(ticket.trace.route, ticket.known, now);
        // A client that was evicted meanwhile is not brought back for an outcome.
        let learned = self.clients.update(ticket.client, |client| {
            let risk = client.standing.risk;
            let weight = client.profile.lesson_weight(risk);
            client.profile.learn(outcome, expected);
            if let Some(guests) = &mut client.guests
                && let Some(guest) = guests.find(ticket.trace.fingerprint)
            {
                guest.profile.learn(outcome, expected);
            }
            (weight, risk)
        });
        self.counters.outcome(outcome.status, learned.map(|(_, risk)| risk));
        let weight = learned.map_or(0.0, |(weight, _)| weight);
        self.memory.learn(&ticket.trace, outcome, expected, weight, now);
    }

    /// Releases the permits of concurrency rules; [`Engine::outcome`] does so itself.
    pub fn release(&self, ticket: &Ticket) {
        for held in self.permits.take(ticket.permit) {
            self.rules.update(held.key, |rule| {
                rule.state.release(held.cost, held.charged);
            });
        }
    }

    /// The name of the rule that answered.
    #[must_use]
    pub fn rule_name(&self, rule: RuleRef) -> String {
        match rule {
            RuleRef::Adaptive => "adaptive".into(),
            RuleRef::AllowList => "allow-list".into(),
            RuleRef::DenyList => "deny-list".into(),
            RuleRef::Override => "override".into(),
            RuleRef::Static(at) => self
                .current
                .load()
                .policy
                .rules
                .get(usize::from(at))
                .map_or_else(|| format!("rule {at}"), |rule| rule.name.clone()),
        }
    }

    /// Why a decision was made, in plain words for operators, most important first. It scores the
    /// decision's features once more, so ask only for those that somebody will read.
    #[must_use]
    pub fn reasons(&self, decision: &Decision) -> Vec<String> {
        const MOST: usize = 3;
        match decision.rule {
            RuleRef::DenyList => return vec!["the address is on the deny list".into()],
            RuleRef::AllowList => return vec!["the address is on the allow list".into()],
            RuleRef::Override => return vec!["the limit was set by hand for this client".into()],
            RuleRef::Static(_) if !decision.allowed => {
                return vec![format!("the rule `{}` is used up", self.rule_name(decision.rule))];
            }
            RuleRef::Static(_) | RuleRef::Adaptive => {}
        }
        match (&self.current.load().model, decision.scored) {
            (Some(model), true) => {
                let evident = decision.evident.map(words_of);
                let company = (decision.company >= BAD_COMPANY).then_some(AMONG);
                let mut told: Vec<String> =
                    evident.into_iter().chain(company).map(str::to_owned).collect();
                let features = &decision.features;
                let most = MOST.saturating_sub(told.len());
                told.extend(words::reasons(&model.explain(features), features, most));
                told
            }
            _ => vec!["no model scored this request: static limits alone".into()],
        }
    }

    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let clients = self.clients.stats();
        let mut stats = self.counters.sum();
        stats.clients = self.clients.len();
        stats.capacity = self.clients.capacity();
        stats.evicted = clients.evicted;
        stats.penalties_kept = clients.residues;
        stats.routes = self.memory.routes.len();
        stats.anomalies = self.watch.alarms();
        stats.anomaly = self.watch.score();
        stats.odd_clients = self.oddities.found();
        stats.drift = self.drift.index();
        stats
    }

    /// How often each rule answered in each way. What cannot have occurred in the policy in force is
    /// told only if it did.
    #[must_use]
    pub fn answers(&self) -> Vec<Answered> {
        let snapshot = self.current.load();
        self.counters.answers(snapshot.slots(), snapshot.policy.mode)
    }

    /// Requests that static rules in shadow would have denied, by the rule's name.
    #[must_use]
    pub fn would_have_denied(&self) -> Vec<(String, u64)> {
        let snapshot = self.current.load();
        let rules = snapshot.policy.rules.iter().zip(snapshot.slots());
        let shadows = rules.filter(|(rule, _)| rule.mode == Mode::Shadow);
        self.counters.would_have_denied(&shadows.map(|(_, slot)| *slot).collect::<Vec<_>>())
    }

    /// How full each store is.
    #[must_use]
    pub fn stores(&self) -> Vec<StoreSize> {
        fn size<T: Entry>(name: &'static str, store: &Store<T>) -> StoreSize {
            let (entries, capacity) = (store.len(), store.capacity());
            StoreSize { name, entries, capacity, evicted: store.stats().evicted }
        }
        let mut all = vec![
            size("clients", &self.clients),
            size("limits", &self.rules),
            size("networks", self.memory.networks()),
        ];
        all.extend(self.advices.as_ref().map(|advices| size("advice", advices.store())));
        all
    }

    /// The last anomalies of the site's and its routes' series, latest first.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        self.watch.lately()
    }

    /// The site's requests of the last weeks by the hour, for forecasts.
    #[must_use]
    pub fn hours(&self) -> Hours {
        self.watch.hours()
    }

    /// The template of a route.
    #[must_use]
    pub fn route_name(&self, route: u16) -> String {
        self.memory.routes.name(route)
    }
}

/// Company that doubles the odds is a reason of its own.
const BAD_COMPANY: f32 = 2.0;
/// What is said of it.
const AMONG: &str = "many who ask for the same now look like abuse";

/// How a reason names what speaks for itself.
const fn words_of(evident: Evident) -> &'static str {
    match evident {
        Evident::InVain => "tries log-ins or paths, and all are refused or not there",
        Evident::Probing => "asks for what only attackers ask for",
    }
}
