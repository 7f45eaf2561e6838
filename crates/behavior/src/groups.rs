//! What clients share: decayed statistics of routes, fingerprints and the whole site.
//!
//! A hot route is written at every request by every thread, so requests and outcomes are first
//! noted in a stripe of the writing thread and folded in by batches; readers load plain atomics.
//! What a reader sees is at most one batch or [`MAX_LAG`] old, and the same for the same input
//! when one thread drives the engine, as replay, training and tests do.

use crate::math::{decay, log2};
use crate::routes::{MAX_ROUTES, RouteId};
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
        /// Bits of surprise of the route, and of the step from the route before.
        surprise: (f32, f32),
        /// What this client's requests still say about everybody, 0..1: see
        /// [`Profile::voice`](crate::profile::Profile::voice).
        weight: f32,
        /// ln(1 + the client's requests of the last minute).
        pace: f32,
    },
    /// An outcome was learned.
    Outcome {
        /// The request's route.
        route: RouteId,
        /// Its fingerprint.
        agent: u64,
        /// The status code.
        status: u16,
        /// What this client's outcomes may still teach about everybody, 0..1.
        weight: f32,
        /// ln(1 + milliseconds), when the duration is known.
        latency: Option<f32>,
    },
}

/// Error ratios of a group lately, 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratios {
    /// 4xx.
    pub error: f32,
    /// 401 and 403.
    pub auth: f32,
    /// 404, 405 and 410.
    pub missing: f32,
    /// 5xx, over the last minute: the others are over ten.
    pub server: f32,
}

/// Statistics of one group, read without a lock.
#[derive(Default)]
#[repr(align(64))]
struct Group {
    at: AtomicU64,
    ten_seconds: AtomicF32,
    minute: AtomicF32,
    hour: AtomicF32,
    newcomers: AtomicF32,
    ten_minutes: AtomicF32,
    outcomes: AtomicF32,
    error: AtomicF32,
    auth: AtomicF32,
    missing: AtomicF32,
    server: AtomicF32,
    recent: AtomicF32,
    recent_error: AtomicF32,
    latency: AtomicF32,
    timed: AtomicF32,
}

const _: () = assert!(size_of::<Group>() == 64, "a group is one cache line");

#[derive(Default)]
struct AtomicF32(AtomicU32);

impl AtomicF32 {
    fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
    fn set(&self, value: f32) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
    fn add(&self, value: f32) {
        self.set(self.get() + value);
    }
    fn scale(&self, by: f32) {
        self.set(self.get() * by);
    }
}

/// A group's numbers at one moment. Requests count by the weight of their clients, so that one
/// busy client is no crowd and what it asks for does not become usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupView {
    /// Weight of requests, decayed over ten seconds.
    pub ten_seconds: f32,
    /// Weight of requests, decayed over a minute.
    pub minute: f32,
    /// Weight of requests, decayed over ten minutes.
    pub ten_minutes: f32,
    /// Weight of requests, decayed over an hour.
    pub hour: f32,
    /// Share of the weight of the last ten minutes that came from new clients.
    pub newcomers: f32,
    /// Weight of the outcomes behind the ratios.
    pub outcomes: f32,
    /// The error ratios.
    pub ratios: Ratios,
    /// The share of 4xx over a minute less that over ten.
    pub error_rise: f32,
    /// Mean of ln(1 + milliseconds); `None` when never timed.
    pub latency: Option<f32>,
}

impl Group {
    /// Decays everything to `now`; only the writer calls it.
    fn advance(&self, now: u64) {
        let before = self.at.load(Ordering::Relaxed);
        if now < before.saturating_add(MOMENT) {
            return;
        }
        let dt = seconds(now - before);
        self.at.store(now, Ordering::Relaxed);
        let minute = decay(dt, MINUTE);
        // An outage fails or slows everybody within seconds, so what is usual must follow as
        // quickly: else those who try again look like its cause.
        for count in [
            &self.minute,
            &self.server,
            &self.recent,
            &self.recent_error,
            &self.latency,
            &self.timed,
        ] {
            count.scale(minute);
        }
        self.ten_seconds.scale(decay(dt, TEN_SECONDS));
        self.hour.scale(decay(dt, HOUR));
        let ten = decay(dt, TEN_MINUTES);
        for count in [
            &self.newcomers,
            &self.ten_minutes,
            &self.outcomes,
            &self.error,
            &self.auth,
            &self.missing,
        ] {
            count.scale(ten);
        }
    }

    fn request(&self, now: u64, newcomer: bool, weight: f32) {
        self.advance(now);
        self.ten_seconds.add(weight);
        self.minute.add(weight);
        self.hour.add(weight);
        self.ten_minutes.add(weight);
        if newcomer {
            self.newcomers.add(weight);
        }
    }

    fn outcome(&self, now: u64, status: u16, weight: f32, latency: Option<f32>) {
        self.advance(now);
        self.outcomes.add(weight);
        self.recent.add(weight);
        if (400..500).contains(&status) && status != 429 {
            self.error.add(weight);
            self.recent_error.add(weight);
        }
        match status {
            401 | 403 => self.auth.add(weight),
            404 | 405 | 410 => self.missing.add(weight),
            500.. => self.server.add(weight),
            _ => {}
        }
        if let Some(latency) = latency {
            self.latency.add(latency * weight);
            self.timed.add(weight);
        }
    }

    fn view(&self, now: u64) -> GroupView {
        let at = self.at.load(Ordering::Relaxed);
        let ten_minutes = self.ten_minutes.get();
        let mut view = GroupView {
            ten_seconds: self.ten_seconds.get(),
            minute: self.minute.get(),
            ten_minutes,
            hour: self.hour.get(),
            newcomers: self.newcomers.get() / ten_minutes.max(1.0),
            outcomes: self.outcomes.get(),
            ratios: Ratios::default(),
            error_rise: 0.0,
            latency: None,
        };
        // A ratio's two halves decay alike: only counts need to be brought to now, and those only
        // when the group is quiet.
        if now.saturating_sub(at) > 1_000_000_000 {
            let dt = seconds(now - at);
            let ten = decay(dt, TEN_MINUTES);
            view.ten_seconds *= decay(dt, TEN_SECONDS);
            view.minute *= decay(dt, MINUTE);
            view.ten_minutes *= ten;
            view.hour *= decay(dt, HOUR);
            view.outcomes *= ten;
        }
        let each = 1.0 / self.outcomes.get().max(1e-3);
        view.ratios = Ratios {
            error: self.error.get() * each,
            auth: self.auth.get() * each,
            missing: self.missing.get() * each,
            server: self.server.get() / self.recent.get().max(1e-3),
        };
        let recent = self.recent.get();
        view.error_rise =
            (self.recent_error.get() - view.ratios.error * recent) / (recent + RISE_PRIOR);
        let timed = self.timed.get();
        if timed > 0.5 {
            view.latency = Some(self.latency.get() / timed);
        }
        view
    }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(nanos: u64) -> f32 {
    nanos as f32 * 1e-9
}

#[derive(Default)]
struct Stripe {
    notes: Vec<(Timestamp, Note)>,
}

/// How many clients of one fingerprint are on one route.
#[derive(Default)]
struct Cohort {
    /// In units of [`MOMENT`], wrapping.
    at: AtomicU32,
    minute: AtomicF32,
    hour: AtomicF32,
}

impl Cohort {
    // What is cut off is the wrapping.
    #[allow(clippy::cast_possible_truncation)]
    fn moment(now: u64) -> u32 {
        (now / MOMENT) as u32
    }

    // Exact to a millisecond for hours, and of what is older nothing is left.
    #[allow(clippy::cast_precision_loss)]
    fn age(&self, now: u64) -> f32 {
        let passed = Self::moment(now).wrapping_sub(self.at.load(Ordering::Relaxed));
        // What lies ahead was written by another thread.
        passed.cast_signed().max(0) as f32 * (MOMENT as f32 * 1e-9)
    }

    fn add(&self, now: u64, weight: f32) {
        let age = self.age(now);
        if age > 0.0 {
            self.at.store(Self::moment(now), Ordering::Relaxed);
            self.minute.scale(decay(age, MINUTE));
            self.hour.scale(decay(age, HOUR));
        }
        self.minute.add(weight);
        self.hour.add(weight);
    }

    fn view(&self, now: u64) -> CohortView {
        let age = self.age(now);
        CohortView {
            minute: self.minute.get() * decay(age, MINUTE),
            hour: self.hour.get() * decay(age, HOUR),
        }
    }
}

/// The clients of one fingerprint on one route at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct CohortView {
    /// Weight of their requests, decayed over a minute.
    pub minute: f32,
    /// Weight of their requests, decayed over an hour.
    pub hour: f32,
}

/// How many clients came that were not seen before.
#[derive(Default)]
struct Arrivals {
    minute: AtomicF32,
    ten_minutes: AtomicF32,
    hour: AtomicF32,
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
    arrivals: Arrivals,
    cohorts: Box<[Cohort]>,
    assets: AtomicF32,
    surprise: [AtomicF32; 2],
    pace: AtomicF32,
    leaving: Box<[AtomicF32]>,
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
            arrivals: Arrivals::default(),
            cohorts: (0..COHORTS).map(|_| Cohort::default()).collect(),
            assets: AtomicF32::default(),
            surprise: [AtomicF32::default(), AtomicF32::default()],
            pace: AtomicF32::default(),
            leaving: (0..MAX_ROUTES).map(|_| AtomicF32::default()).collect(),
            pairs: (0..PAIRS).map(|_| AtomicF32::default()).collect(),
            transitions: AtomicU32::new(0),
        }
    }
}

/// The seconds that decayed counts of each horizon stand for: fewer while the site is young.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spans {
    /// Of a minute.
    pub minute: f32,
    /// Of ten minutes.
    pub ten_minutes: f32,
    /// Of an hour.
    pub hour: f32,
}

impl Spans {
    /// What a count over a minute would be if all were as it was before the last minutes.
    ///
    /// An hour's mean would not do: an attack of a minute that is a hundred times the usual is most
    /// of that hour. The difference of two decayed counts is what the longer one remembers beyond
    /// the shorter. The minutes just passed speak only while little is known of the time before.
    #[must_use]
    pub fn usual(&self, minute: f32, ten_minutes: f32, hour: f32) -> f32 {
        let (old, old_span) = ((hour - ten_minutes).max(0.0), self.hour - self.ten_minutes);
        let (late, late_span) = ((ten_minutes - minute).max(0.0), self.ten_minutes - self.minute);
        let late_worth = MINUTE / (MINUTE + old_span.max(0.0));
        let now_worth = 5.0 / (5.0 + old_span.max(0.0) + late_span.max(0.0));
        let count = old + late * late_worth + minute * now_worth;
        let span = old_span + late_span * late_worth + self.minute * now_worth;
        count / span.max(1e-3) * self.minute
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
    /// Mean bits of surprise of a route (the entropy of the mix), and of a step between two.
    pub surprise: (f32, f32),
    /// Mean of a client's ln(1 + requests of the last minute).
    pub pace: f32,
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
            arrivals: [
                self.arrivals.minute.get(),
                self.arrivals.ten_minutes.get(),
                self.arrivals.hour.get(),
            ],
            span: Spans {
                minute: span(age, MINUTE),
                ten_minutes: span(age, TEN_MINUTES),
                hour: span(age, HOUR),
            },
            assets: self.assets.get(),
            surprise: (self.surprise[0].get(), self.surprise[1].get()),
            pace: self.pace.get(),
        }
    }

    /// A route now.
    #[must_use]
    pub fn route(&self, route: RouteId, now: Timestamp) -> GroupView {
        self.routes[usize::from(route) % MAX_ROUTES].view(now.as_nanos())
    }

    /// A fingerprint now; nothing is known of one that has no slot.
    #[must_use]
    pub fn agent(&self, fingerprint: u64, now: Timestamp) -> GroupView {
        self.agent_group(fingerprint)
            .map_or_else(GroupView::default, |group| group.view(now.as_nanos()))
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

    fn agent_group(&self, fingerprint: u64) -> Option<&Group> {
        let (set, tag) = agent_place(fingerprint);
        let tags = &self.tags[set..set + AGENT_WAYS];
        let way = tags.iter().position(|t| t.load(Ordering::Relaxed) == tag)?;
        Some(&self.agents[set + way])
    }

    /// The group of a fingerprint, taken from the rarest of its set when it has none.
    fn agent_group_for(&self, fingerprint: u64, now: u64) -> &Group {
        if let Some(group) = self.agent_group(fingerprint) {
            return group;
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
        group
    }

    /// Has the CPU fetch what folding the note will write: where other threads folded last, each
    /// line comes from another core, and one by one they would be waited for.
    fn prefetch(&self, note: &Note) {
        let (route, agent) = match *note {
            Note::Request { route, previous, agent, .. } => {
                if previous != 0 {
                    prefetch_index(&self.pairs, pair_slot(previous, route));
                    prefetch_index(&self.leaving, usize::from(previous) % MAX_ROUTES);
                }
                prefetch_index(&self.cohorts, cohort_slot(agent, route));
                (route, agent)
            }
            Note::Outcome { route, agent, .. } => (route, agent),
        };
        prefetch_index(&self.routes, usize::from(route) % MAX_ROUTES);
        if let Some(group) = self.agent_group(agent) {
            prefetch_index(std::slice::from_ref(group), 0);
        }
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
                surprise,
                weight,
                pace,
            } => {
                let before = self.loaded_at.load(Ordering::Relaxed);
                if now >= before.saturating_add(MOMENT) {
                    self.loaded_at.store(now, Ordering::Relaxed);
                    let dt = seconds(now - before);
                    let minute = decay(dt, MINUTE);
                    self.load.scale(minute);
                    self.arrivals.minute.scale(minute);
                    self.arrivals.ten_minutes.scale(decay(dt, TEN_MINUTES));
                    self.arrivals.hour.scale(decay(dt, HOUR));
                }
                if arrival {
                    let arrivals = &self.arrivals;
                    for count in [&arrivals.minute, &arrivals.ten_minutes, &arrivals.hour] {
                        count.add(1.0);
                    }
                }
                self.cohorts[cohort_slot(agent, route)].add(now, weight);
                self.load.add(1.0);
                self.site.request(now, newcomer, weight);
                self.routes[usize::from(route) % MAX_ROUTES].request(now, newcomer, weight);
                self.agent_group_for(agent, now).request(now, newcomer, weight);
                let seen = self.site.hour.get();
                let step = weight / seen.clamp(1.0, 4096.0);
                let towards = |mean: &AtomicF32, x: f32| mean.add((x - mean.get()) * step);
                towards(&self.assets, f32::from(u8::from(asset)));
                towards(&self.surprise[0], surprise.0);
                towards(&self.pace, pace);
                if previous != 0 {
                    towards(&self.surprise[1], surprise.1);
                    self.step(previous, route, weight);
                }
            }
            Note::Outcome { route, agent, status, weight, latency } => {
                self.site.outcome(now, status, weight, latency);
                self.routes[usize::from(route) % MAX_ROUTES].outcome(now, status, weight, latency);
                if let Some(group) = self.agent_group(agent) {
                    group.outcome(now, status, weight, latency);
                }
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

/// The place of a pair among `places`; any part of the hash will do.
#[allow(clippy::cast_possible_truncation)]
fn slot_of(first: u64, second: u64, places: usize) -> usize {
    crate::mix(first, second) as usize % places
}

fn pair_slot(previous: RouteId, route: RouteId) -> usize {
    slot_of(u64::from(previous), u64::from(route), PAIRS)
}

fn cohort_slot(fingerprint: u64, route: RouteId) -> usize {
    slot_of(fingerprint, u64::from(route), COHORTS)
}

#[allow(clippy::cast_possible_truncation)]
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
mod tests {
    use super::*;

    fn request(route: RouteId, previous: RouteId, agent: u64) -> Note {
        Note::Request {
            route,
            previous,
            agent,
            newcomer: false,
            arrival: false,
            asset: false,
            surprise: (1.0, 1.0),
            weight: 1.0,
            pace: 0.0,
        }
    }

    fn outcome(route: RouteId, status: u16) -> Note {
        Note::Outcome { route, agent: 9, status, weight: 1.0, latency: Some(3.0) }
    }

    #[test]
    fn rates_decay_and_ratios_stay() {
        let groups = Groups::default();
        let start = 1_000;
        for i in 0..640u64 {
            let now =
                Timestamp::from_nanos(Timestamp::from_secs(start).as_nanos() + i * 100_000_000);
            groups.note(now, request(3, 1, 9));
            groups.note(now, outcome(3, if i % 4 == 0 { 404 } else { 200 }));
        }
        let now = Timestamp::from_secs(start + 64);
        let view = groups.route(3, now);
        assert!((300.0..640.0).contains(&view.minute), "{view:?}");
        assert!((view.ratios.missing - 0.25).abs() < 0.05, "{view:?}");
        assert!((view.latency.unwrap() - 3.0).abs() < 0.01);
        let later = groups.route(3, Timestamp::from_secs(start + 664));
        assert!(later.minute < 0.1 && later.hour > 400.0, "{later:?}");
        assert!((later.ratios.missing - view.ratios.missing).abs() < 1e-3);
        assert!(groups.agent(9, now).minute > 300.0);
        assert!(groups.agent(10, now).minute == 0.0);
    }

    #[test]
    fn an_attack_does_not_become_usual_while_it_lasts() {
        let groups = Groups::default();
        // Ten minutes at one request a second, and half a minute at two hundred.
        let mut now = Timestamp::from_secs(1_000);
        for _ in 0..600 {
            now = now.plus(std::time::Duration::from_secs(1));
            groups.note(now, request(3, 1, 9));
        }
        let calm = groups.site(now);
        let usual = |site: &SiteView| {
            let GroupView { minute, ten_minutes, hour, .. } = site.group;
            site.span.usual(minute, ten_minutes, hour)
        };
        assert!((usual(&calm) / 60.0 - 1.0).abs() < 0.1, "{}", usual(&calm));
        assert!((calm.group.ten_seconds - 10.0).abs() < 1.5, "{calm:?}");
        for _ in 0..6_000 {
            now = now.plus(std::time::Duration::from_millis(5));
            groups.note(now, request(3, 1, 9));
        }
        let rush = groups.site(now);
        assert!(rush.group.minute > 4_000.0 && rush.group.ten_seconds > 1_500.0, "{rush:?}");
        assert!(usual(&rush) < 180.0, "{}", usual(&rush));
        // A site met with the attack under way knows no better.
        let young = Groups::default();
        for i in 0..6_000u64 {
            young.note(now.plus(std::time::Duration::from_millis(5 * i)), request(3, 1, 9));
        }
        let young = young.site(now.plus(std::time::Duration::from_secs(30)));
        assert!(usual(&young) > 0.5 * young.group.minute, "{young:?}");
    }

    #[test]
    fn a_cohort_is_told_from_its_fingerprint_and_its_route() {
        let groups = Groups::default();
        let now = Timestamp::from_secs(5_000);
        for _ in 0..320 {
            groups.note(now, request(3, 1, 9));
            groups.note(now, outcome(3, 200));
        }
        assert!(groups.cohort(9, 3, now).minute > 300.0);
        assert_eq!(groups.cohort(9, 4, now).minute, 0.0);
        assert_eq!(groups.cohort(10, 3, now).minute, 0.0);
        let later = groups.cohort(9, 3, Timestamp::from_secs(5_600));
        assert!(later.minute < 0.1 && later.hour > 200.0, "{later:?}");
    }

    #[test]
    fn errors_that_begin_show_as_a_rise() {
        let groups = Groups::default();
        for i in 0..600u64 {
            let status = if i < 540 || i % 2 == 0 { 200 } else { 401 };
            groups.note(Timestamp::from_secs(1_000 + i), outcome(3, status));
        }
        let now = Timestamp::from_secs(1_600);
        assert!(groups.route(3, now).error_rise > 0.15, "{:?}", groups.route(3, now));
        assert_eq!(groups.route(4, now).error_rise, 0.0);
    }

    #[test]
    fn a_usual_step_surprises_less_than_a_rare_one() {
        let groups = Groups::default();
        let now = Timestamp::from_secs(5);
        for i in 0..3_200u64 {
            let (from, to) = if i % 2 == 0 { (1, 2) } else { (2, 1) };
            groups.note(now, request(to, from, i % 7));
        }
        let site = groups.site(now);
        let usual = groups.surprise(2, 1, &site, &groups.route(2, now));
        let rare = groups.surprise(5, 1, &site, &groups.route(5, now));
        assert!(usual.0 < 1.5 && usual.1 < 0.3, "{usual:?}");
        assert!(rare.0 > 8.0 && rare.1 > 8.0, "{rare:?}");
    }

    #[test]
    fn fingerprints_are_bounded_and_the_common_one_stays() {
        let groups = Groups::default();
        let now = Timestamp::from_secs(5);
        for i in 0..100_000u64 {
            groups.note(now, request(1, 0, crate::mix(i, 77)));
            groups.note(now, request(1, 0, 0x1234_5678_9abc_def0));
        }
        assert!(groups.agent(0x1234_5678_9abc_def0, now).hour > 90_000.0);
    }
}
