//! The site and its routes as series, watched for anomalies: requests, refused ones and failures.
//!
//! Whichever request comes first after an interval ends takes its counts in; the others go on, and
//! nobody waits. An alarm is counted and kept for people to see, and a rise *arms*: for a while
//! clients without a record have less room, on the whole site or on the one route. It never blocks
//! anybody.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tidegate_behavior::groups::GroupView;
use tidegate_behavior::memory::Memory;
use tidegate_behavior::routes::RouteId;
use tidegate_limiter::Timestamp;
use tidegate_models::series::{Daily, Reading, Settings, Weekly};

/// One value of each series is what happened in this time.
const INTERVAL: Duration = Duration::from_secs(10);
/// After a silence no more than so many empty intervals are made up for.
const MOST_MISSED: u64 = 30;
/// So long an alarm keeps limits tighter.
const ARMED: Duration = Duration::from_secs(300);
/// Before so many intervals nothing is said: half an hour, in which tails are learned.
const WARM: u32 = 180;
/// Added to responses when their errors are made a share, so that one error in a quiet interval is
/// not all there is.
const PRIOR: f64 = 10.0;
/// So many routes are watched, those learned first.
const ROUTES: usize = 256;
/// A route with less weight of requests in an hour than this, one a minute, is no series: any visit
/// would be news.
const BUSY: f32 = 60.0;
/// Evidence from which a value of a route is an alarm: two series of each of 256 routes are to give
/// no more false ones than a series of the site does.
const ROUTE_THRESHOLD: f32 = 6.0;
/// So many alarms are kept for people to see.
const KEPT: usize = 256;
/// So many hours are kept for forecasts: eight weeks.
const HOURS: usize = 8 * 168;

/// What is watched, in the order of [`Stats::anomalies`](crate::Stats::anomalies).
pub const WATCHED: [&str; 5] =
    ["requests", "client_errors", "server_errors", "route_requests", "route_errors"];

/// Counts since the start that the watch reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub requests: u64,
    pub outcomes: u64,
    pub client_errors: u64,
    pub server_errors: u64,
}

/// Something odd about a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// When the interval ended.
    pub time: Timestamp,
    /// Which series, one of [`WATCHED`].
    pub series: &'static str,
    /// The route, if it is a series of one.
    pub route: Option<RouteId>,
    /// Whether the value is lower than it should be, rather than higher.
    pub drop: bool,
    /// The value: requests in ten seconds, the weight of a route's requests of a minute, or a share
    /// of responses.
    pub value: f32,
    /// −log10 of how improbable the value and its like of late are.
    pub evidence: f32,
}

/// The requests of whole hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// The first hour, in hours since 1970.
    pub first: u64,
    /// Requests of it and of each hour after it; the present one is not among them.
    pub requests: Vec<u64>,
}

/// The series of a site.
pub(crate) struct Watch {
    /// When the present interval ends, nanoseconds; read at every request.
    due: AtomicU64,
    /// Until when an alarm keeps limits tighter, nanoseconds.
    armed_until: AtomicU64,
    /// The same for each route, seconds.
    routes_armed_until: Box<[AtomicU32]>,
    /// The site's anomaly score, the bits of an f32; 0 while nothing can be said.
    score: AtomicU32,
    /// Alarms by series: rises and drops.
    alarms: [[AtomicU64; 2]; WATCHED.len()],
    state: Mutex<State>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            due: AtomicU64::default(),
            armed_until: AtomicU64::default(),
            routes_armed_until: (0..ROUTES).map(|_| AtomicU32::default()).collect(),
            score: AtomicU32::default(),
            alarms: Default::default(),
            state: Mutex::default(),
        }
    }
}

#[derive(Default)]
struct State {
    before: Totals,
    intervals: u32,
    requests: Weekly,
    client_errors: Daily,
    server_errors: Daily,
    routes: Vec<Routed>,
    lately: VecDeque<Alarm>,
    /// The present hour and its requests so far, and the hours before it.
    hour: (u64, u64),
    hours: VecDeque<u64>,
}

/// The series of one route.
#[derive(Default)]
struct Routed {
    intervals: u32,
    requests: Daily,
    errors: Daily,
}

impl Watch {
    /// Takes in an interval if one has ended; `totals` is asked for only then. Returns whether it did.
    pub(crate) fn tick(
        &self,
        now: Timestamp,
        memory: &Memory,
        totals: impl FnOnce() -> Totals,
    ) -> bool {
        if now.as_nanos() < self.due.load(Ordering::Relaxed) {
            return false;
        }
        let Some(mut state) = self.state.try_lock() else { return false };
        let due = self.due.load(Ordering::Relaxed);
        if now.as_nanos() < due {
            return false;
        }
        let interval = u64::try_from(INTERVAL.as_nanos()).unwrap_or(u64::MAX);
        self.due.store((now.as_nanos() / interval + 1) * interval, Ordering::Relaxed);
        let totals = totals();
        let before = std::mem::replace(&mut state.before, totals);
        if due == 0 {
            state.hour = (now.as_secs() / 3600, 0);
            return true;
        }
        let counts = counted(&totals, &before);
        state.count(counts.requests, now);
        let silent = ((now.as_nanos() - due) / interval).min(MOST_MISSED);
        self.take(&mut state, counts, now);
        for _ in 0..silent {
            self.take(&mut state, Totals::default(), now);
        }
        self.take_routes(&mut state, memory, now);
        true
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn take(&self, state: &mut State, counts: Totals, now: Timestamp) {
        let settings = Settings::default();
        let (time, outcomes) = (now.as_secs(), counts.outcomes as f64 + PRIOR);
        let values = [
            counts.requests as f64,
            counts.client_errors as f64 / outcomes,
            counts.server_errors as f64 / outcomes,
        ];
        let readings = [
            state.requests.observe(values[0], time, &settings),
            state.client_errors.observe(values[1], time, &settings),
            state.server_errors.observe(values[2], time, &settings),
        ];
        state.intervals = state.intervals.saturating_add(1);
        if state.intervals < WARM {
            return;
        }
        let worst = readings.iter().map(Reading::score).fold(0.0, f32::max);
        self.score.store(worst.max(f32::MIN_POSITIVE).to_bits(), Ordering::Relaxed);
        for (n, (reading, value)) in readings.iter().zip(values).enumerate() {
            if reading.alarm {
                self.alarm(state, n, None, reading, value as f32, now);
                if !reading.drop {
                    let until = now.plus(ARMED).as_nanos();
                    self.armed_until.store(until, Ordering::Relaxed);
                }
            }
        }
    }

    /// Takes in what was seen of each route, as far as it is busy enough.
    #[allow(clippy::cast_possible_truncation)]
    fn take_routes(&self, state: &mut State, memory: &Memory, now: Timestamp) {
        let settings = Settings { threshold: ROUTE_THRESHOLD, ..Settings::default() };
        let routes = memory.routes.len().min(ROUTES);
        if state.routes.len() < routes {
            state.routes.resize_with(routes, Routed::default);
        }
        for at in 0..routes {
            let route = at as RouteId;
            let view = memory.route(route, now);
            if view.hour < BUSY {
                continue;
            }
            let values = [view.minute, errors(&view)];
            let routed = &mut state.routes[at];
            let readings = [
                routed.requests.observe(f64::from(values[0]), now.as_secs(), &settings),
                routed.errors.observe(f64::from(values[1]), now.as_secs(), &settings),
            ];
            routed.intervals = routed.intervals.saturating_add(1);
            if routed.intervals < WARM {
                continue;
            }
            for (n, (reading, value)) in readings.iter().zip(values).enumerate() {
                if reading.alarm {
                    self.alarm(state, 3 + n, Some(route), reading, value, now);
                    if !reading.drop {
                        let until = u32::try_from(now.plus(ARMED).as_secs()).unwrap_or(u32::MAX);
                        self.routes_armed_until[at].store(until, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    fn alarm(
        &self,
        state: &mut State,
        series: usize,
        route: Option<RouteId>,
        reading: &Reading,
        value: f32,
        time: Timestamp,
    ) {
        self.alarms[series][usize::from(reading.drop)].fetch_add(1, Ordering::Relaxed);
        if state.lately.len() == KEPT {
            state.lately.pop_front();
        }
        let (series, drop, evidence) = (WATCHED[series], reading.drop, reading.evidence);
        state.lately.push_back(Alarm { time, series, route, drop, value, evidence });
    }

    /// Whether an alarm of the site, or of this route, keeps limits tighter now.
    pub(crate) fn armed(&self, route: RouteId, now: Timestamp) -> bool {
        if now.as_nanos() < self.armed_until.load(Ordering::Relaxed) {
            return true;
        }
        let until = self.routes_armed_until.get(usize::from(route));
        until.is_some_and(|until| now.as_secs() < u64::from(until.load(Ordering::Relaxed)))
    }

    /// The site's anomaly score, 0..1: 0.999 is a value such as one in a thousand peaks is. `None`
    /// until enough was seen.
    pub(crate) fn score(&self) -> Option<f32> {
        let bits = self.score.load(Ordering::Relaxed);
        (bits != 0).then(|| f32::from_bits(bits))
    }

    /// Alarms so far by series of [`WATCHED`]: rises and drops.
    pub(crate) fn alarms(&self) -> [[u64; 2]; WATCHED.len()] {
        self.alarms.each_ref().map(|pair| pair.each_ref().map(|n| n.load(Ordering::Relaxed)))
    }

    /// The last alarms, latest first.
    pub(crate) fn lately(&self) -> Vec<Alarm> {
        self.state.lock().lately.iter().rev().copied().collect()
    }

    /// The requests of the last weeks by the hour.
    pub(crate) fn hours(&self) -> Hours {
        let state = self.state.lock();
        let requests: Vec<u64> = state.hours.iter().copied().collect();
        Hours { first: state.hour.0.saturating_sub(requests.len() as u64), requests }
    }
}

impl State {
    /// Counts an interval's requests for the hour in which it ended.
    fn count(&mut self, requests: u64, now: Timestamp) {
        let hour = now.as_secs() / 3600;
        let (present, so_far) = self.hour;
        if hour > present {
            self.hours.push_back(so_far);
            let silent = (hour - present - 1).min(HOURS as u64);
            self.hours.extend((0..silent).map(|_| 0));
            let too_many = self.hours.len().saturating_sub(HOURS);
            self.hours.drain(..too_many);
            self.hour = (hour, 0);
        }
        self.hour.1 += requests;
    }
}

/// The share of a route's responses of the last minute that are errors.
fn errors(view: &GroupView) -> f32 {
    (view.ratios.error + view.error_rise).clamp(0.0, 1.0).max(view.ratios.server)
}

fn counted(now: &Totals, before: &Totals) -> Totals {
    Totals {
        requests: now.requests.saturating_sub(before.requests),
        outcomes: now.outcomes.saturating_sub(before.outcomes),
        client_errors: now.client_errors.saturating_sub(before.client_errors),
        server_errors: now.server_errors.saturating_sub(before.server_errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;
    use tidegate_behavior::Method;
    use tidegate_behavior::groups::Note;

    /// A site without routes.
    static NOBODY: LazyLock<Memory> = LazyLock::new(|| Memory::new(8));

    fn tick(watch: &Watch, secs: u64, totals: Totals) {
        watch.tick(Timestamp::from_secs(secs), &NOBODY, || totals);
    }

    /// Plays intervals of so many requests, errors and failures; answers the time behind them.
    fn play(watch: &Watch, start: u64, intervals: &[[u64; 3]], totals: &mut Totals) -> u64 {
        for (i, [requests, client_errors, server_errors]) in intervals.iter().enumerate() {
            totals.requests += requests;
            totals.outcomes += requests;
            totals.client_errors += client_errors;
            totals.server_errors += server_errors;
            tick(watch, start + 10 * (i as u64 + 1), *totals);
        }
        start + 10 * intervals.len() as u64
    }

    /// Three hours of a common site.
    fn common() -> Vec<[u64; 3]> {
        (0..1080u64).map(|i| [200 + i * 7919 % 41, 4 + i * 104_729 % 5, i * 31 % 2]).collect()
    }

    #[test]
    fn a_rush_arms_for_a_while_and_a_drop_is_only_counted() {
        for (after, place, armed) in [
            ([3000, 5, 1], (0, 0), true),
            ([0, 0, 0], (0, 1), false),
            ([210, 150, 1], (1, 0), true),
            ([210, 5, 150], (2, 0), true),
        ] {
            let (watch, mut totals) = (Watch::default(), Totals::default());
            tick(&watch, 100_000, Totals::default());
            assert_eq!(watch.score(), None);
            let now = play(&watch, 100_000, &common(), &mut totals);
            let before = watch.alarms();
            assert!(before.iter().flatten().sum::<u64>() <= 1, "{before:?}");
            assert!(watch.score().unwrap() < 0.999 && !watch.armed(0, Timestamp::from_secs(now)));
            let now = play(&watch, now, &[after; 3], &mut totals);
            let (series, drop) = place;
            let told = watch.lately().into_iter().find(|alarm| alarm.series == WATCHED[series]);
            assert!(
                told.is_some_and(|a| usize::from(a.drop) == drop && a.route.is_none()),
                "{told:?}"
            );
            assert_eq!(watch.alarms()[series][drop], before[series][drop] + 1, "{after:?}");
            assert!(watch.score().unwrap() > 0.999, "{after:?}");
            assert_eq!(watch.armed(0, Timestamp::from_secs(now)), armed, "{after:?}");
            assert!(!watch.armed(0, Timestamp::from_secs(now + 301)));
        }
    }

    #[test]
    fn silence_counts_as_empty_intervals_and_only_so_many() {
        let (watch, mut totals) = (Watch::default(), Totals::default());
        tick(&watch, 100_000, Totals::default());
        let now = play(&watch, 100_000, &common(), &mut totals);
        let seen = || watch.state.lock().intervals;
        assert_eq!(seen(), 1080);
        watch.tick(Timestamp::from_secs(now + 5), &NOBODY, || unreachable!("it goes on"));
        tick(&watch, now + 100_000, totals);
        assert_eq!(seen(), 1081 + 30);
        assert_eq!(watch.alarms()[0][1], 1);
    }

    #[test]
    fn a_rush_on_a_route_arms_that_route_alone_and_an_idle_route_is_no_series() {
        let (watch, memory, mut totals) = (Watch::default(), Memory::new(8), Totals::default());
        for path in ["/", "/login", "/search", "/idle"] {
            memory.learn_route(Method::Get, path, 200);
        }
        let start = 200_000;
        let seen = |at: u64, route: RouteId, times: u64| {
            for n in 0..times {
                let now = Timestamp::from_secs(at).plus(Duration::from_millis(n * 9000 / times));
                memory.note(now, request(route));
            }
        };
        for i in 0..700 {
            let now = start + 10 * i;
            watch.tick(Timestamp::from_secs(now), &memory, || totals);
            totals.requests += 60;
            seen(now, 2, if i >= 690 { 400 } else { 20 + i * 7919 % 5 });
            seen(now, 3, 30 + i * 104_729 % 7);
            seen(now, 4, u64::from(i % 100 == 99));
        }
        let now = Timestamp::from_secs(start + 7000);
        assert!(watch.armed(2, now) && !watch.armed(3, now) && !watch.armed(4, now));
        assert!(!watch.armed(0, now), "the site itself is as ever");
        let rushes: Vec<Alarm> = watch.lately().into_iter().filter(|a| !a.drop).collect();
        assert!(rushes.iter().all(|alarm| alarm.route == Some(2)), "{rushes:?}");
        assert_eq!(rushes[0].series, "route_requests");
    }

    fn request(route: RouteId) -> Note {
        Note::Request {
            route,
            previous: 0,
            agent: 7,
            newcomer: false,
            arrival: false,
            asset: false,
            named: true,
            referred: true,
            surprise: (0.0, 0.0),
            weight: 1.0,
            pace: 1.0,
            turn: None,
            keyed: false,
            depth: 1.0,
            judged: None,
            doubt: 0.0,
        }
    }

    #[test]
    fn hours_are_counted_whole_and_silent_ones_too() {
        let (watch, start) = (Watch::default(), 1000 * 3600 + 600);
        let mut totals = Totals::default();
        tick(&watch, start, totals);
        for i in 1..=600 {
            totals.requests += 10;
            tick(&watch, start + 10 * i, totals);
        }
        let hours = watch.hours();
        assert_eq!((hours.first, hours.requests), (1000, vec![299 * 10]));
        tick(&watch, start + 3 * 3600, totals);
        let hours = watch.hours();
        assert_eq!((hours.first, hours.requests.len(), hours.requests[2]), (1000, 3, 0));
        assert_eq!(hours.requests[1], 301 * 10);
    }
}
