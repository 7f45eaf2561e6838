//! What clients share: decayed statistics of routes, fingerprints and the whole site.
//!
//! A hot route is written at every request by every thread, so requests and outcomes are first
//! noted in a stripe of the writing thread and folded in by batches; readers load plain atomics.
//! What a reader sees is at most one batch or [`MAX_LAG`] old, and the same for the same input
//! when one thread drives the engine, as replay, training and tests do.

mod cohort;
mod group;

pub use cohort::{CohortView, Spans, TurnsView, USUAL_DOUBT};
pub use group::{GroupView, Ratios};

use crate::habits::Turn;
use crate::math::{decay, log2};
use crate::profile::Profile;
use crate::record::Answer;
use crate::routes::{MAX_ROUTES, RouteId};
use cohort::{Cohort, Counts, Turns, mean_doubt};
use group::{AtomicF32, Group, seconds};
use parking_lot::Mutex;
use prefetch_index::prefetch_index;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tidegate_limiter::Timestamp;

const TEN_SECONDS: f32 = 10.0;
const MINUTE: f32 = 60.0;
const TEN_MINUTES: f32 = 600.0;
const HOUR: f32 = 3600.0;
const BATCH: usize = 32;
/// Threads write to this many stripes.
pub const STRIPES: usize = 16;
/// How old a note may get before the next one of its stripe folds it in, nanoseconds.
pub const MAX_LAG: u64 = 250_000_000;
/// Counts decay in steps of at least this many nanoseconds (a millisecond, as good as): what falls
/// in between is of one moment. The shortest horizon is ten seconds.
const MOMENT: u64 = 1 << 20;
/// Outcomes of a minute that a rise of errors is drawn to 0 by.
const RISE_PRIOR: f32 = 4.0;
/// How many fingerprints are told apart.
pub const MAX_AGENTS: usize = 2048;
const AGENT_WAYS: usize = 4;
const PAIRS: usize = 16_384;
/// How many pairs of fingerprint and route are told apart; more share places.
const COHORTS: usize = 8_192;

/// The place of a fingerprint, below [`MAX_AGENTS`].
pub type AgentId = u16;

/// One note of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Note {
    /// A request was seen.
    Request {
        /// Its route.
        route: RouteId,
        /// The client's route before it; 0 when this is its first.
        previous: RouteId,
        /// Its fingerprint.
        agent: u64,
        /// Whether the client is new.
        newcomer: bool,
        /// Whether it is the client's first request.
        arrival: bool,
        /// Whether it asked for an asset.
        asset: bool,
        /// Whether it told a user agent.
        named: bool,
        /// Whether it told a referer.
        referred: bool,
        /// Bits of surprise of the route, and of the step from the route before.
        surprise: (f32, f32),
        /// What this client's requests still say about everybody, 0..1: see
        /// [`Profile::voice`](crate::profile::Profile::voice).
        weight: f32,
        /// ln(1 + the client's requests of the last minute).
        pace: f32,
        /// ln(1 + the client's requests so far).
        depth: f32,
        /// Which time it is that the client asks for the route; `None` for an asset.
        turn: Option<Turn>,
        /// Whether a credential names the client.
        keyed: bool,
        /// The client's first route, and what the model thinks of the request, 0..1, as far as that
        /// says something of those who came the same way.
        judged: Option<(RouteId, f32)>,
        /// What the model thinks of the request, 0..1; 0 without a model.
        doubt: f32,
    },
    /// An outcome was learned.
    Outcome {
        /// The request's route.
        route: RouteId,
        /// The status code.
        status: u16,
        /// What this client's outcomes may still teach about everybody, 0..1.
        weight: f32,
        /// ln(1 + milliseconds), when the duration is known.
        latency: Option<f32>,
    },
}

#[derive(Default)]
struct Stripe {
    notes: Vec<(Timestamp, Note)>,
}

#[repr(align(128))]
#[derive(Default)]
struct Padded<T>(T);

/// Everything that clients share.
pub struct Groups {
    stripes: Box<[Padded<Mutex<Stripe>>]>,
    folding: Mutex<()>,
    routes: Box<[Group]>,
    /// Which fingerprint each of `agents` is of; apart from them, so that the ways of a set share a
    /// line.
    tags: Box<[AtomicU32]>,
    agents: Box<[Group]>,
    site: Group,
    first: AtomicU64,
    /// Requests of the last minute, whoever sent them: the site's load.
    load: AtomicF32,
    loaded_at: AtomicU64,
    arrivals: Counts,
    /// By fingerprint and route.
    cohorts: Box<[Cohort]>,
    /// By route; the mark is how deep clients are in their visits.
    visits: Box<[Cohort]>,
    /// By route.
    turns: Box<[Turns]>,
    /// The weight of the site's requests for assets.
    fetched: Counts,
    /// The weight of the site's requests times what the model thinks of them.
    doubted: Counts,
    assets: AtomicF32,
    /// The share of requests that tell a user agent.
    named: AtomicF32,
    /// The share of requests that tell a referer.
    referred: AtomicF32,
    surprise: [AtomicF32; 2],
    pace: AtomicF32,
    leaving: Box<[AtomicF32]>,
    /// The share of requests with a credential, by route.
    keyed: Box<[AtomicF32]>,
    /// The same of the site.
    all_keyed: AtomicF32,
    pairs: Box<[AtomicF32]>,
    transitions: AtomicU32,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Padded::default()).collect(),
            folding: Mutex::new(()),
            routes: (0..MAX_ROUTES).map(|_| Group::default()).collect(),
            tags: (0..MAX_AGENTS).map(|_| AtomicU32::default()).collect(),
            agents: (0..MAX_AGENTS).map(|_| Group::default()).collect(),
            site: Group::default(),
            first: AtomicU64::new(0),
            load: AtomicF32::default(),
            loaded_at: AtomicU64::new(0),
            arrivals: Counts::default(),
            cohorts: (0..COHORTS).map(|_| Cohort::default()).collect(),
            visits: (0..MAX_ROUTES).map(|_| Cohort::default()).collect(),
            turns: (0..MAX_ROUTES).map(|_| Turns::default()).collect(),
            fetched: Counts::default(),
            doubted: Counts::default(),
            assets: AtomicF32::default(),
            named: AtomicF32::default(),
            referred: AtomicF32::default(),
            surprise: [AtomicF32::default(), AtomicF32::default()],
            pace: AtomicF32::default(),
            leaving: (0..MAX_ROUTES).map(|_| AtomicF32::default()).collect(),
            keyed: (0..MAX_ROUTES).map(|_| AtomicF32::default()).collect(),
            all_keyed: AtomicF32::default(),
            pairs: (0..PAIRS).map(|_| AtomicF32::default()).collect(),
            transitions: AtomicU32::new(0),
        }
    }
}

impl Note {
    /// The same note of a request, with what the model thinks of it.
    #[must_use]
    pub fn judged(mut self, profile: &Profile, score: Option<f32>) -> Self {
        if let (Self::Request { judged, doubt, .. }, Some(score)) = (&mut self, score) {
            *judged = profile.testifies().then(|| (profile.entry_route(), score));
            *doubt = score;
        }
        self
    }
}

/// The site as a whole at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct SiteView {
    /// Its counts and ratios.
    pub group: GroupView,
    /// Requests of the last minute, decayed, each counted as one.
    pub load: f32,
    /// New clients, decayed over a minute, ten minutes and an hour.
    pub arrivals: [f32; 3],
    /// How much was seen of each horizon.
    pub span: Spans,
    /// Share of requests for assets, 0..1.
    pub assets: f32,
    /// Share of requests that tell a user agent, 0..1.
    pub named: f32,
    /// Share of requests that tell a referer, 0..1.
    pub referred: f32,
    /// Weight of requests for assets, decayed over a minute, ten minutes and an hour.
    pub fetched: [f32; 3],
    /// What the model thinks of requests, 0..1, the sum by weight, likewise, as of now.
    pub doubted: [f32; 3],
    /// Mean bits of surprise of a route (the entropy of the mix), and of a step between two.
    pub surprise: (f32, f32),
    /// Mean of a client's ln(1 + requests of the last minute).
    pub pace: f32,
}

impl SiteView {
    /// What the model usually thinks of requests here, 0..1: the mean by weight over the hour but for the last
    /// minutes, drawn to [`USUAL_DOUBT`] while there are few.
    #[must_use]
    pub fn usual_doubt(&self) -> f32 {
        let [_, ten_minutes, hour] = self.doubted;
        mean_doubt(hour - ten_minutes, self.group.hour - self.group.ten_minutes)
    }
}

impl Groups {
    /// Notes something; now and then folds the stripe's notes into the groups.
    pub fn note(&self, now: Timestamp, note: Note) {
        let mut stripe = self.stripes[stripe_of_thread()].0.lock();
        stripe.notes.push((now, note));
        let oldest = stripe.notes.first().map_or(now, |(time, _)| *time);
        if stripe.notes.len() >= BATCH || now.nanos_since(oldest) > MAX_LAG {
            for (_, note) in &stripe.notes {
                self.prefetch(note);
            }
            let _writer = self.folding.lock();
            for (time, note) in &stripe.notes {
                self.fold(time.as_nanos(), note);
            }
            stripe.notes.clear();
        }
    }

    /// The site now.
    #[must_use]
    pub fn site(&self, now: Timestamp) -> SiteView {
        let first = match self.first.load(Ordering::Relaxed) {
            0 => now.as_nanos(),
            first => first,
        };
        let age = seconds(now.as_nanos().saturating_sub(first)).max(1.0);
        SiteView {
            group: self.site.view(now.as_nanos()),
            load: self.load.get(),
            arrivals: self.arrivals.view(),
            fetched: self.fetched.view(),
            doubted: self.doubted.at(now.as_nanos()),
            span: Spans {
                minute: span(age, MINUTE),
                ten_minutes: span(age, TEN_MINUTES),
                hour: span(age, HOUR),
            },
            assets: self.assets.get(),
            named: self.named.get(),
            referred: self.referred.get(),
            surprise: (self.surprise[0].get(), self.surprise[1].get()),
            pace: self.pace.get(),
        }
    }

    /// A route now.
    #[must_use]
    pub fn route(&self, route: RouteId, now: Timestamp) -> GroupView {
        self.routes[usize::from(route) % MAX_ROUTES].view(now.as_nanos())
    }

    /// Everybody with a fingerprint now. Nothing is known of one that has no slot.
    #[must_use]
    pub fn agent(&self, fingerprint: u64, now: Timestamp) -> GroupView {
        self.agent_slot(fingerprint)
            .map(|slot| self.agents[slot].view(now.as_nanos()))
            .unwrap_or_default()
    }

    /// The clients of a fingerprint on a route now.
    #[must_use]
    pub fn cohort(&self, fingerprint: u64, route: RouteId, now: Timestamp) -> CohortView {
        self.cohorts[cohort_slot(fingerprint, route)].view(now.as_nanos())
    }

    /// Bits of surprise at a route, given only the site's mix, and given the route before.
    #[must_use]
    pub fn surprise(
        &self,
        route: RouteId,
        previous: RouteId,
        site: &SiteView,
        view: &GroupView,
    ) -> (f32, f32) {
        let total = site.group.hour.max(1.0);
        let p = (view.hour + 0.5) / (total + 16.0);
        let alone = -log2(p);
        if previous == 0 {
            return (alone, site.surprise.1);
        }
        let pair = self.pairs[pair_slot(previous, route)].get();
        let leaving = self.leaving[usize::from(previous) % MAX_ROUTES].get();
        // Back-off to the mix where the step was rarely seen (Witten-Bell with a fixed weight).
        (alone, -log2((pair + 8.0 * p) / (leaving.max(pair) + 8.0)))
    }

    /// The share of a route's requests that send a credential, by weight, drawn to that of the site while there are
    /// few. What servers do not ask for anybody can send.
    #[must_use]
    pub fn keyed(&self, route: RouteId) -> f32 {
        self.keyed[usize::from(route) % MAX_ROUTES].get()
    }

    fn learn_key(&self, place: usize, keyed: bool, weight: f32) {
        /// So much weight is the site's.
        const PRIOR: f32 = 8.0;
        /// No more than of so much is remembered.
        const MOST: f32 = 4096.0;
        let (mark, route) = (f32::from(u8::from(keyed)), &self.keyed[place]);
        let (seen, all) = (self.routes[place].hour.get(), self.site.hour.get());
        if seen <= 0.0 {
            route.set(self.all_keyed.get());
        }
        let towards = |mean: &AtomicF32, seen: f32| {
            mean.add((mark - mean.get()) * weight / (seen + PRIOR).min(MOST));
        };
        towards(route, seen + weight);
        towards(&self.all_keyed, all);
    }

    /// Everybody on a route now; the mark is ln(1 + a client's requests so far).
    #[must_use]
    pub fn visits(&self, route: RouteId, now: Timestamp) -> CohortView {
        self.visits[usize::from(route) % MAX_ROUTES].view(now.as_nanos())
    }

    /// How often a client asks for a route within some minutes, the mean of ln(1 + n) over clients.
    #[must_use]
    pub fn turns(&self, route: RouteId, now: Timestamp) -> TurnsView {
        self.turns[usize::from(route) % MAX_ROUTES].view(now.as_nanos())
    }

    /// What was thought of those who came to the site like this client, 0..1: by the same first
    /// route, with the same fingerprint or with any.
    #[must_use]
    pub fn suspicion(&self, fingerprint: u64, entry: RouteId, now: Timestamp) -> f32 {
        let alike = self.cohorts[cohort_slot(fingerprint, entry)].suspicion(now.as_nanos());
        let all = self.visits[usize::from(entry) % MAX_ROUTES].suspicion(now.as_nanos());
        alike.max(all)
    }

    fn agent_slot(&self, fingerprint: u64) -> Option<usize> {
        let (set, tag) = agent_place(fingerprint);
        let tags = &self.tags[set..set + AGENT_WAYS];
        let way = tags.iter().position(|t| t.load(Ordering::Relaxed) == tag)?;
        Some(set + way)
    }

    /// The place of a fingerprint, taken from the rarest of its set when it has none.
    fn agent_slot_for(&self, fingerprint: u64, now: u64) -> usize {
        if let Some(slot) = self.agent_slot(fingerprint) {
            return slot;
        }
        let (set, tag) = agent_place(fingerprint);
        let (mut rarest, mut least) = (set, f32::INFINITY);
        for (at, group) in self.agents[set..set + AGENT_WAYS].iter().enumerate() {
            let hour = group.view(now).hour;
            if hour < least {
                (rarest, least) = (set + at, hour);
            }
        }
        self.tags[rarest].store(tag, Ordering::Relaxed);
        let group = &self.agents[rarest];
        group.at.store(now, Ordering::Relaxed);
        for count in [
            &group.ten_seconds,
            &group.minute,
            &group.hour,
            &group.newcomers,
            &group.ten_minutes,
            &group.outcomes,
            &group.error,
            &group.auth,
            &group.missing,
            &group.server,
            &group.recent,
            &group.recent_error,
            &group.latency,
            &group.timed,
        ] {
            count.set(0.0);
        }
        rarest
    }

    /// Has the CPU fetch what folding the note will write: where other threads folded last, each
    /// line comes from another core, and one by one they would be waited for.
    fn prefetch(&self, note: &Note) {
        let route = match *note {
            Note::Request { route, previous, agent, .. } => {
                if previous != 0 {
                    prefetch_index(&self.pairs, pair_slot(previous, route));
                    prefetch_index(&self.leaving, usize::from(previous) % MAX_ROUTES);
                }
                prefetch_index(&self.cohorts, cohort_slot(agent, route));
                prefetch_index(&self.visits, usize::from(route) % MAX_ROUTES);
                prefetch_index(&self.turns, usize::from(route) % MAX_ROUTES);
                prefetch_index(&self.keyed, usize::from(route) % MAX_ROUTES);
                if let Some(slot) = self.agent_slot(agent) {
                    prefetch_index(&self.agents, slot);
                }
                route
            }
            Note::Outcome { route, .. } => route,
        };
        prefetch_index(&self.routes, usize::from(route) % MAX_ROUTES);
    }

    fn fold(&self, now: u64, note: &Note) {
        if self.first.load(Ordering::Relaxed) == 0 {
            self.first.store(now, Ordering::Relaxed);
        }
        match *note {
            Note::Request {
                route,
                previous,
                agent,
                newcomer,
                arrival,
                asset,
                named,
                referred,
                surprise,
                weight,
                pace,
                depth,
                turn,
                keyed,
                judged,
                doubt,
            } => {
                let before = self.loaded_at.load(Ordering::Relaxed);
                if now >= before.saturating_add(MOMENT) {
                    self.loaded_at.store(now, Ordering::Relaxed);
                    let dt = seconds(now - before);
                    self.load.scale(decay(dt, MINUTE));
                }
                self.arrivals.add(now, f32::from(u8::from(arrival)));
                let mark = f32::from(u8::from(asset));
                self.fetched.add(now, weight * mark);
                self.doubted.add(now, weight * doubt);
                self.cohorts[cohort_slot(agent, route)].add(now, weight, 0.0);
                let place = usize::from(route) % MAX_ROUTES;
                self.visits[place].add(now, weight, depth);
                self.visits[place].doubt(weight, doubt);
                if let Some(turn) = turn {
                    self.turns[place].add(now, turn);
                }
                let slot = self.agent_slot_for(agent, now);
                if let Some((entry, score)) = judged {
                    self.cohorts[cohort_slot(agent, entry)].judge(now, score);
                    self.visits[usize::from(entry) % MAX_ROUTES].judge(now, score);
                }
                self.load.add(1.0);
                self.site.request(now, newcomer, weight);
                self.learn_key(place, keyed, weight);
                self.routes[place].request(now, newcomer, weight);
                self.agents[slot].request(now, newcomer, weight);
                let seen = self.site.hour.get();
                let step = weight / seen.clamp(1.0, 4096.0);
                let towards = |mean: &AtomicF32, x: f32| mean.add((x - mean.get()) * step);
                towards(&self.assets, mark);
                towards(&self.named, f32::from(u8::from(named)));
                towards(&self.referred, f32::from(u8::from(referred)));
                towards(&self.surprise[0], surprise.0);
                towards(&self.pace, pace);
                if previous != 0 {
                    towards(&self.surprise[1], surprise.1);
                    self.step(previous, route, weight);
                }
            }
            Note::Outcome { route, status, weight, latency } => {
                let answer = Answer::of(status);
                self.site.outcome(now, answer, weight, latency);
                self.routes[usize::from(route) % MAX_ROUTES].outcome(now, answer, weight, latency);
            }
        }
    }

    fn step(&self, previous: RouteId, route: RouteId, weight: f32) {
        self.pairs[pair_slot(previous, route)].add(weight);
        self.leaving[usize::from(previous) % MAX_ROUTES].add(weight);
        // Old habits fade: all counts are halved every 65 536 steps.
        if self.transitions.fetch_add(1, Ordering::Relaxed) % 65_536 == 65_535 {
            for count in self.pairs.iter().chain(&self.leaving) {
                count.scale(0.5);
            }
        }
    }
}

/// The seconds that a decayed count stands for when only `age` seconds were seen.
fn span(age: f32, tau: f32) -> f32 {
    tau * (1.0 - decay(age, tau)).max(1.0 / tau)
}

/// The place of a pair among `places`.
#[allow(clippy::cast_possible_truncation, reason = "any part of the hash will do")]
fn slot_of(first: u64, second: u64, places: usize) -> usize {
    crate::mix(first, second) as usize % places
}

fn pair_slot(previous: RouteId, route: RouteId) -> usize {
    slot_of(u64::from(previous), u64::from(route), PAIRS)
}

fn cohort_slot(fingerprint: u64, route: RouteId) -> usize {
    slot_of(fingerprint, u64::from(route), COHORTS)
}

#[allow(clippy::cast_possible_truncation, reason = "any part of the hash will do")]
fn agent_place(fingerprint: u64) -> (usize, u32) {
    let set = fingerprint as usize % (MAX_AGENTS / AGENT_WAYS) * AGENT_WAYS;
    (set, ((fingerprint >> 32) as u32).max(1))
}

/// The stripe of the calling thread, below [`STRIPES`].
pub fn stripe_of_thread() -> usize {
    use std::cell::Cell;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    thread_local!(static MINE: Cell<usize> = const { Cell::new(usize::MAX) });
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) as usize % STRIPES);
        }
        mine.get()
    })
}

#[cfg(test)]
mod tests;
