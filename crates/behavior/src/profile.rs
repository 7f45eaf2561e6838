//! What is remembered of one client: 240 bytes, updated in place at every request.

use crate::agent::AgentKind;
use crate::facts::Facts;
use crate::groups::{Ratios, TurnsView};
use crate::habits::{Habits, Trails, Turn};
use crate::math::{decay, ln_1p};
use crate::path::Kind;
use crate::record::{Answer, Outcome};
use crate::routes::RouteId;
use crate::sensitive::Place;
use crate::sketch::{self, Distinct};
use tidegate_limiter::Timestamp;

/// Time constants of the decayed counts, seconds.
pub(crate) const HORIZONS: [f32; 3] = [10.0, 60.0, 600.0];
/// Habits forget half of what they hold this often, seconds.
const HABITS_EPOCH: u64 = 600;
/// A client is new for this long, seconds.
pub const NEWCOMER_SECONDS: u64 = 600;
/// Shares are means over about this many requests.
const WINDOW: f32 = 64.0;
/// This many requests of each client say what came with it. A visitor's first request may look
/// like that of a bot; what follows it, the assets of the page and the next click, does not.
const TESTIMONIES: u32 = 6;

/// Shares of requests with some property: running means over the last requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shares {
    pub asset: f32,
    pub api: f32,
    pub write: f32,
    pub odd_method: f32,
    pub referer: f32,
    pub chain: f32,
    pub novel: f32,
    pub id: f32,
    pub odd_path: f32,
    pub surprise: f32,
    pub step: f32,
    pub payload: f32,
}

/// Outcomes, decayed over ten minutes, beside what the same routes give everybody.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub outcomes: f32,
    pub error: f32,
    pub auth: f32,
    pub missing: f32,
    pub server: f32,
    pub expected: Ratios,
    pub response: f32,
}

/// Of so many things that a client sent last the mean is kept.
const SENDS: u8 = 8;

/// The part of a hash that tells a page from the few before it.
#[allow(clippy::cast_possible_truncation, reason = "what is cut off is not needed")]
const fn part(page: u32) -> u16 {
    page as u16
}

/// How far a mean moves towards the latest of so many values.
#[allow(clippy::cast_precision_loss, reason = "a window is told from what is more")]
fn pace(seen: u32) -> f32 {
    1.0 / (seen as f32).min(WINDOW)
}

/// What speaks for itself, whatever is usual on a site: what a client is held against, its own attack can
/// set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evident {
    /// Log-ins or ever new paths are tried, and all are refused or not there.
    InVain,
    /// What is asked for only attackers ask for.
    Probing,
}

/// The profile of one client.
#[derive(Clone, Debug)]
pub struct Profile {
    last: Timestamp,
    first_seconds: u32,
    requests: u32,
    /// Probes, decayed over ten minutes.
    probes: f32,
    pub(crate) counts: [f32; 3],
    pub(crate) pages: f32,
    pub(crate) gap_mean: f32,
    pub(crate) gap_square: f32,
    pub(crate) turns: f32,
    pub(crate) send_turns: f32,
    /// How many values that is the mean of, up to [`SENDS`].
    sends_met: u8,
    pub(crate) shares: Shares,
    pub(crate) tally: Tally,
    pub(crate) paths: Distinct<4>,
    pub(crate) routes: Distinct<2>,
    pub(crate) ids: Distinct<2>,
    pub(crate) users: Distinct<1>,
    pub(crate) agents: Distinct<1>,
    pub(crate) networks: Distinct<1>,
    habits: Habits,
    /// Of what it sends.
    sends: Habits,
    /// The pages visited last, a part of each one's hash, latest first.
    visited: [u16; 4],
    pub(crate) trails: Trails,
    last_route: RouteId,
    entry_route: RouteId,
    pub(crate) bare_pages: u8,
    /// Outcomes learned, as far as means still move by them.
    learned: u8,
    credentialed: bool,
    /// What was sent to sensitive places of each kind lately; half of it is forgotten at each epoch.
    pub(crate) log_ins: u8,
    pub(crate) flows: u8,
}

const _: () = assert!(size_of::<Profile>() <= 240, "a million of these are kept");

impl Profile {
    /// A client that was never seen before `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            last: now,
            first_seconds: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
            requests: 0,
            probes: 0.0,
            counts: [0.0; 3],
            pages: 0.0,
            gap_mean: 0.0,
            gap_square: 0.0,
            turns: 0.0,
            send_turns: 0.0,
            sends_met: 0,
            shares: Shares::default(),
            tally: Tally::default(),
            paths: Distinct::default(),
            routes: Distinct::default(),
            ids: Distinct::default(),
            users: Distinct::default(),
            agents: Distinct::default(),
            networks: Distinct::default(),
            habits: Habits::default(),
            sends: Habits::default(),
            visited: [0; 4],
            trails: Trails::default(),
            last_route: 0,
            entry_route: 0,
            bare_pages: 0,
            learned: 0,
            credentialed: false,
            log_ins: 0,
            flows: 0,
        }
    }

    /// When the client was last seen.
    #[must_use]
    pub const fn last_seen(&self) -> Timestamp {
        self.last
    }

    /// When the client was first seen, to the second.
    #[must_use]
    pub const fn first_seen(&self) -> Timestamp {
        Timestamp::from_secs(self.first_seconds as u64)
    }

    /// Requests over the minute before `now`, decayed.
    #[must_use]
    pub fn per_minute(&self, now: Timestamp) -> f32 {
        self.counts[1] * decay(now.since(self.last).as_secs_f32(), HORIZONS[1])
    }

    /// Requests seen, saturating.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// What the client does that speaks for itself, if anything, now that it has sent this.
    #[must_use]
    pub fn evident(&self, facts: &Facts) -> Option<Evident> {
        if self.is_probing() {
            Some(Evident::Probing)
        } else {
            self.in_vain(facts.sensitive == Some(Place::LogIn)).then_some(Evident::InVain)
        }
    }

    /// Whether much of what the client asks for is what only attackers ask for: five times lately, for
    /// one may be an old link, and three in ten, for behind a shared address others go on. Whether it is
    /// there does not matter: many sites send whoever asks for anything to the log-in.
    fn is_probing(&self) -> bool {
        const PROBES: f32 = 5.0;
        const SHARE: f32 = 0.3;
        self.probes >= PROBES && self.probes >= self.counts[2] * SHARE
    }

    /// Whether the client tries things out and finds nothing: log-ins of which none is taken, or ever
    /// new paths of which most are not there and the others closed, twenty lately and as good as
    /// nothing else. It is held against no standard, for who is alone on a site, or on its log-in,
    /// sets the standard.
    fn in_vain(&self, log_in: bool) -> bool {
        const ANSWERS: f32 = 20.0;
        const MOST: f32 = 0.95;
        const NEW: f32 = 0.8;
        let Tally { outcomes, auth, missing, .. } = self.tally;
        // Programs whose key is no longer good are no log-ins, even such as take payments, unless they send it
        // where passwords are tried: a key that opens nothing costs nothing.
        let tried = !self.credentialed || (log_in && f32::from(self.log_ins) >= ANSWERS);
        let log_ins = auth >= outcomes * MOST && self.shares.write >= MOST && tried;
        let barred = missing > auth && missing + auth >= outcomes * MOST;
        let paths = barred && self.shares.novel >= NEW;
        outcomes >= ANSWERS && (log_ins || paths)
    }

    /// How many fingerprints the client showed lately, about.
    #[must_use]
    pub fn fingerprints(&self) -> f32 {
        self.agents.estimate()
    }

    /// Whether a credential names the client.
    #[must_use]
    pub const fn credentialed(&self) -> bool {
        self.credentialed
    }

    /// The route of the request before the one observed last; 0 when there was none.
    #[must_use]
    pub const fn last_route(&self) -> RouteId {
        self.last_route
    }

    /// Whether the client is new at `now`.
    #[must_use]
    pub fn is_newcomer(&self, now: Timestamp) -> bool {
        now.as_secs().saturating_sub(u64::from(self.first_seconds)) < NEWCOMER_SECONDS
    }

    /// How much one more request of this client says about everybody, 0..1: the weight falls as
    /// its own requests pile up, so that a client counts by its presence more than by its volume.
    #[must_use]
    pub fn voice(&self) -> f32 {
        20.0 / (20.0 + self.counts[2])
    }

    /// How much the client's requests of the last minute weigh in the groups, if all are in the group: the
    /// sum of what each weighed when it came, for of the first a newcomer's weigh more than the voice that is left.
    #[must_use]
    pub fn presence(&self) -> f32 {
        let [_, minute, ten_minutes] = self.counts;
        let before = (ten_minutes - minute).max(0.0);
        20.0 * ln_1p((ten_minutes - before) / (20.0 + before))
    }

    /// The route of the client's first request.
    #[must_use]
    pub const fn entry_route(&self) -> RouteId {
        self.entry_route
    }

    /// Whether the score of this request still says something about those who came like the
    /// client: its first requests do, later ones are its own affair.
    #[must_use]
    pub const fn testifies(&self) -> bool {
        self.requests <= TESTIMONIES
    }

    /// How many requests of one client may still teach the others: the weight falls as its own
    /// outcomes pile up, so that nobody's errors become what is normal.
    #[must_use]
    pub fn lesson_weight(&self, risk: f32) -> f32 {
        (1.0 - risk).max(0.0) * 20.0 / (20.0 + self.tally.outcomes)
    }

    /// Takes in a request. `surprise` holds the bits of its route and of the step to it, `turns` how often
    /// clients usually ask for its route. Answers with which time this is, of what is no asset.
    pub fn observe(
        &mut self,
        facts: &Facts,
        surprise: (f32, f32),
        turns: TurnsView,
    ) -> Option<Turn> {
        let now = facts.time;
        self.advance(now);
        self.requests = self.requests.saturating_add(1);
        for count in &mut self.counts {
            *count += 1.0;
        }
        let asset = facts.target.kind == Kind::Asset;
        if !asset {
            self.pages += 1.0;
        }
        self.credentialed = facts.credentialed;

        let pace = pace(self.requests);
        let flag = |set: bool| f32::from(u8::from(set));
        let novelty = self.paths.novelty_weight();
        let novel = self.paths.add(facts.target.whole);
        self.walk(facts);
        let chained = facts.referer.is_some_and(|page| self.visited.contains(&part(page)));
        let shares = &mut self.shares;
        let towards = |mean: &mut f32, x: f32| *mean += (x - *mean) * pace;
        towards(&mut shares.asset, flag(asset));
        towards(&mut shares.api, flag(facts.target.kind == Kind::Api));
        towards(&mut shares.write, flag(facts.method.writes()));
        towards(&mut shares.odd_method, flag(facts.odd_method()));
        towards(&mut shares.referer, flag(facts.referer.is_some()));
        towards(&mut shares.chain, flag(chained));
        towards(&mut shares.novel, if novel { novelty } else { 0.0 });
        towards(&mut shares.id, flag(facts.target.id.is_some()));
        towards(&mut shares.odd_path, flag(facts.target.odd));
        self.probes += flag(facts.probe);
        let tried = match facts.sensitive {
            Some(Place::LogIn) => Some(&mut self.log_ins),
            Some(Place::Flow) => Some(&mut self.flows),
            None => None,
        };
        if let Some(tried) = tried {
            *tried = tried.saturating_add(1);
        }
        towards(&mut shares.surprise, surprise.0);
        towards(&mut shares.step, surprise.1);
        #[allow(clippy::cast_precision_loss, reason = "its logarithm is a feature")]
        towards(&mut shares.payload, ln_1p(facts.payload as f32));

        self.routes.add(u32::from(facts.route.id).wrapping_mul(0x9e37_79b9) >> 8);
        if let Some(user) = facts.user {
            self.users.add(user);
        }
        #[allow(clippy::cast_possible_truncation, reason = "a part of a hash is one")]
        self.agents.add((facts.fingerprint >> 20) as u32);
        if let Some(network) = facts.network {
            self.networks.add(network);
        }
        if asset {
            self.bare_pages = 0;
        } else {
            if facts.agent_kind == AgentKind::Browser && !facts.method.writes() {
                self.bare_pages = self.bare_pages.saturating_add(1);
            }
            let page = part(facts.target.page);
            if !self.visited.contains(&page) {
                self.visited.rotate_right(1);
                self.visited[0] = page;
            }
        }
        if self.requests == 1 {
            self.entry_route = facts.route.id;
        }
        self.last_route = facts.route.id;
        if asset {
            return None;
        }
        let sends = facts.method.writes();
        let turn = if sends {
            self.sends.add(facts.route.id, 1, self.first_seconds)
        } else {
            self.habits.add(facts.route.id, 2, self.first_seconds)
        };
        let times = turn.map_or(1, |turn| turn.times);
        let beyond = (ln_1p(times.into()) - turns.mean) * std::f32::consts::LOG2_E;
        self.turns += (beyond - self.turns) * pace;
        if sends {
            let beyond = beyond * self.others(times, turns.clients, now);
            self.sends_met = (self.sends_met + 1).min(SENDS);
            self.send_turns += (beyond - self.send_turns) / f32::from(self.sends_met);
        }
        turn
    }

    /// How far what is usual of a route is of others, 0..1: what only one program sends is usual of nobody.
    fn others(&self, times: u16, clients: f32, now: Timestamp) -> f32 {
        /// So much of what is usual one client may be that goes on: it counts anew at each epoch, of which
        /// an hour's decay leaves as many.
        const MOST: f32 = 6.5;
        /// So many others are as good as nobody.
        const FEW: f32 = 3.0;
        let epoch = |seconds: u64| seconds / HABITS_EPOCH;
        #[allow(clippy::cast_precision_loss, reason = "six epochs are as good as more")]
        let epochs =
            epoch(now.as_secs()).saturating_sub(epoch(u64::from(self.first_seconds))) as f32;
        let own = if times > 1 { epochs + 1.0 } else { epochs };
        let others = (clients - own.min(MOST)).max(0.0);
        others / (others + FEW)
    }

    /// Learns an outcome. `expected` is what the route gives everybody.
    pub fn learn(&mut self, outcome: &Outcome, expected: Ratios) {
        self.learned = self.learned.saturating_add(1);
        let flag = |set: bool| f32::from(u8::from(set));
        let answer = outcome.answer();
        let tally = &mut self.tally;
        tally.outcomes += 1.0;
        tally.error += flag(answer.client_error());
        tally.auth += flag(answer == Answer::Refused);
        tally.missing += flag(answer == Answer::Missing);
        tally.server += flag(answer == Answer::Failed);
        tally.expected.error += expected.error;
        tally.expected.auth += expected.auth;
        tally.expected.missing += expected.missing;
        tally.expected.server += expected.server;
        let pace = pace(self.learned.into());
        #[allow(clippy::cast_precision_loss, reason = "its logarithm is a feature")]
        let bytes = ln_1p(outcome.bytes as f32);
        tally.response += (bytes - tally.response) * pace;
    }

    fn advance(&mut self, now: Timestamp) {
        let nanos = now.nanos_since(self.last);
        #[allow(clippy::cast_precision_loss, reason = "a share of the pause, not of the clock")]
        let dt = nanos as f32 * 1e-9;
        if self.requests > 0 {
            let gap = ln_1p(dt * 1e3);
            let pace = pace(self.requests);
            self.gap_mean += (gap - self.gap_mean) * pace;
            self.gap_square += (gap * gap - self.gap_square) * pace;
        }
        if nanos == 0 {
            return;
        }
        let kept = HORIZONS.map(|tau| decay(dt, tau));
        for (count, kept) in self.counts.iter_mut().zip(kept) {
            *count *= kept;
        }
        self.pages *= kept[1];
        self.probes *= kept[2];
        let tally = &mut self.tally;
        for count in [
            &mut tally.outcomes,
            &mut tally.error,
            &mut tally.auth,
            &mut tally.missing,
            &mut tally.server,
            &mut tally.expected.error,
            &mut tally.expected.auth,
            &mut tally.expected.missing,
            &mut tally.expected.server,
        ] {
            *count *= kept[2];
        }
        for slice in sketch::slices(self.last, now) {
            self.paths.forget(slice);
            self.routes.forget(slice);
            self.ids.forget(slice);
            self.users.forget(slice);
            self.agents.forget(slice);
            self.networks.forget(slice);
        }
        let (before, epoch) = (self.last.as_secs() / HABITS_EPOCH, now.as_secs() / HABITS_EPOCH);
        if epoch != before {
            self.forget();
            if epoch - before > 1 {
                self.habits = Habits::default();
                self.sends = Habits::default();
                self.trails = Trails::default();
                (self.send_turns, self.sends_met) = (0.0, 0);
                (self.log_ins, self.flows) = (0, 0);
            }
        }
        self.last = now;
    }

    fn forget(&mut self) {
        self.habits.halve();
        self.sends.halve();
        self.trails.halve();
        self.log_ins /= 2;
        self.flows /= 2;
    }

    /// Takes in which item was asked for.
    #[allow(clippy::cast_possible_truncation, reason = "a part is enough")]
    fn walk(&mut self, facts: &Facts) {
        let target = &facts.target;
        let Some(id) = target.id else { return };
        self.ids.add(crate::mix(id, 3) as u32);
        if target.kind == Kind::Asset {
            return;
        }
        if let Some(number) = target.number {
            // What is on no route of its own has to do with what looks like it alone.
            let route = if facts.route.id == 0 { target.shape() } else { facts.route.id };
            self.trails.step(number, route);
        }
    }
}
