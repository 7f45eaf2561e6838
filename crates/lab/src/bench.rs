//! What a decision costs on this machine: time per check, and bytes per client.

use crate::limiter;
use crate::simulate::{Scenario, generate};
use ipnet::IpNet;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};
use tidegate_behavior::{Outcome, Request};
use tidegate_engine::pattern::PathPattern;
use tidegate_engine::policy::{Adaptive, Listing, OnError, Rule, Scope};
use tidegate_engine::{Engine, Inbox, Mode, Policy, Setup};
use tidegate_limiter::{Clock, Limit, Quota, SystemClock, Timestamp, Window};
use tidegate_models::AnyModel;

/// One way of driving the engine.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rate {
    /// Decisions a second, all threads together.
    pub decisions_per_s: f64,
    /// Median time of a decision, nanoseconds.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
}

/// The report of [`bench()`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Report {
    /// Threads of `all_threads`.
    pub threads: usize,
    /// Live clients.
    pub clients: usize,
    /// One thread alone.
    pub one_thread: Rate,
    /// A thread per core.
    pub all_threads: Rate,
    /// One thread, decisions about the traffic of simulated sites.
    pub sites: Rate,
    /// The same with static rules, a list of addresses, anomalies that arm, and a challenger that is told.
    pub everything: Rate,
    /// Resident memory for each tracked client, everything included; 0 where the system does not
    /// tell.
    pub bytes_per_client: u64,
}

/// Requests of many clients with the mix of a page site with an API, each any of them: nobody behaves
/// like anybody, so that nobody is harmless beyond doubt.
pub struct Load {
    paths: Vec<String>,
    agents: Vec<String>,
}

/// Splitmix64: the load is the same in every run.
const fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Default for Load {
    fn default() -> Self {
        let sections = ["shop", "blog", "account", "help", "api/v1/orders", "api/v1/items"];
        let paths = (0..4096u64).map(|i| match i % 4 {
            0 => format!("/assets/app-{:08x}.js", mixed(i) as u32),
            1 => format!("/{}", sections[(i / 4) as usize % sections.len()]),
            _ => format!("/{}/{}", sections[(i / 4) as usize % sections.len()], mixed(i) % 50_000),
        });
        let agents = (0..64).map(|i| {
            format!(
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/{}.0.0.0 Safari/537.36",
                80 + i
            )
        });
        Self { paths: paths.collect(), agents: agents.collect() }
    }
}

impl Load {
    /// The `n`-th request: any of `clients` with equal chance, four to a network, which is the
    /// worst case for caches; real traffic is kinder.
    #[allow(clippy::cast_possible_truncation, reason = "a number below that of clients")]
    #[must_use]
    pub fn request(&self, n: u64, clients: usize, now: Timestamp) -> Request<'_> {
        let draw = mixed(n);
        let client = (draw % clients as u64) as u32;
        let home = mixed(u64::from(client));
        Request {
            time: now,
            addr: Some(address(client)),
            path: &self.paths[(draw >> 40) as usize % self.paths.len()],
            user_agent: &self.agents[home as usize % self.agents.len()],
            referer: if draw >> 63 == 0 { "https://shop.example/shop" } else { "" },
            ..Request::default()
        }
    }
}

fn address(client: u32) -> IpAddr {
    let (network, host) = (client / 4, client % 4);
    IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + (network << 8) + host * 61))
}

/// An engine that has seen `clients` clients and learned the routes of `load`.
#[must_use]
pub fn filled(load: &Load, clients: usize, clock: &SystemClock, model: Option<AnyModel>) -> Engine {
    // Keys spread unevenly over shards: with an eighth of room to spare nobody is evicted.
    let setup = Setup { capacity: clients + clients / 8 + 64, model, ..Setup::default() };
    let engine = Engine::new(Policy::default(), setup);
    let ok = Outcome { status: 200, bytes: 4096, duration: Some(Duration::from_millis(12)) };
    for i in 0..clients as u64 {
        let mut request = load.request(i, clients, clock.now());
        request.addr = Some(address(i as u32));
        let decision = engine.check(&request);
        engine.outcome(&decision.ticket, &ok, request.time);
    }
    engine
}

/// One thread and all threads take turns, so that a drift of the machine meets both.
const TURNS: u32 = 10;

/// Fills an engine with `clients` and drives it for `length` with one thread, and with all.
#[must_use]
pub fn bench(clients: usize, length: Duration, model: Option<AnyModel>) -> Report {
    let clients = clients.max(1);
    let before = resident();
    let (load, clock) = (Load::default(), SystemClock::new());
    let for_sites = model.clone();
    let engine = filled(&load, clients, &clock, model);
    let bytes = resident().saturating_sub(before);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let check = |request: &Request<'_>| {
        std::hint::black_box(engine.check(request));
    };
    let (mut one, mut all) = (Driven::default(), Driven::default());
    for turn in 0..TURNS {
        let length = length / TURNS;
        one.merge(&driven(&load, &clock, clients, 1, turn, length, check));
        all.merge(&driven(&load, &clock, clients, threads, turn, length, check));
    }
    let (one_thread, all_threads) = (one.rate(), all.rate());
    // Last, so that what it leaves in the allocator is nobody's memory.
    let sites = sites(for_sites.as_ref(), false);
    let everything = self::sites(for_sites.as_ref(), true);
    let tracked = engine.stats().clients.max(1);
    Report {
        threads,
        clients: tracked,
        one_thread,
        all_threads,
        sites,
        everything,
        bytes_per_client: bytes / tracked as u64,
    }
}

/// How many sites are simulated, each with visitors and some attacks at once, and for how many minutes.
const SITES: (u64, u32) = (6, 20);

/// A policy in which each request meets anomalies that arm, a list of addresses and three static rules: for
/// its client on its route, for its network, and for the whole site. None of the rules denies.
fn everything() -> Policy {
    let most = Quota::per_second(NonZeroU32::MAX);
    let rule = |name: &str, scope: Scope, limit: Limit| Rule {
        name: name.to_owned(),
        path: PathPattern::any(),
        methods: Vec::new(),
        scope,
        limit,
        cost_milli: 1000,
        mode: Mode::Enforce,
        on_error: OnError::Open,
    };
    let minute = Window::new(u32::MAX, Duration::from_secs(60));
    let minute = minute.map_or(Limit::TokenBucket(most), Limit::SlidingWindow);
    let mut policy = Policy {
        adaptive: Adaptive { anomaly: true, ..Adaptive::default() },
        rules: vec![
            rule("route", Scope::ClientRoute, Limit::TokenBucket(most)),
            rule("network", Scope::Network, minute),
            rule("site", Scope::Site, Limit::TokenBucket(most)),
        ],
        ..Policy::default()
    };
    // Of documentation (RFC 5737): looked up for everybody, and nobody is in it.
    let nowhere = Ipv4Addr::new(192, 0, 2, 0);
    policy.addresses.insert(IpNet::from(IpAddr::V4(nowhere)), Listing::Deny);
    policy
}

/// Has engines decide what simulated sites are asked, and learn what they answer, one after the other: by
/// the default policy, or with everything on and a challenger told of each decision.
#[must_use]
pub fn sites(model: Option<&AnyModel>, with_everything: bool) -> Rate {
    let mut all = Driven::default();
    let policy = if with_everything { everything() } else { Policy::default() };
    let (inbox, sightings) = Inbox::new();
    let inbox = with_everything.then_some(inbox);
    // What a challenger makes of them is work of another thread; it looks now and then, as that of
    // `serve` does, so that nobody has to wake it.
    let reader = std::thread::spawn(move || {
        while !matches!(sightings.try_recv(), Err(TryRecvError::Disconnected)) {
            std::hint::black_box(sightings.try_iter().count());
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    for seed in 1..=SITES.0 {
        let traffic = generate(Scenario::Mixed, seed, SITES.1);
        let engine = limiter::before(&traffic, policy.clone(), model);
        for event in &traffic.events {
            let request = event.request();
            let began = Instant::now();
            let decision = std::hint::black_box(engine.check(&request));
            if let Some(inbox) = &inbox {
                inbox.offer(&decision);
            }
            let time = began.elapsed();
            all.decisions += 1;
            all.time += time;
            all.times.add(time);
            if decision.allowed {
                engine.outcome(&decision.ticket, &event.outcome, event.time);
            }
        }
    }
    drop(inbox);
    // It ends when nobody can tell it anything more.
    let _ = reader.join();
    all.rate()
}

/// Has `decide` decide requests of `clients` for `length` on so many threads.
#[must_use]
pub fn drive(
    load: &Load,
    clock: &SystemClock,
    clients: usize,
    threads: usize,
    length: Duration,
    decide: impl Fn(&Request<'_>) + Sync,
) -> Rate {
    driven(load, clock, clients, threads, 0, length, decide).rate()
}

/// What was decided in some time.
#[derive(Default)]
struct Driven {
    decisions: u64,
    time: Duration,
    times: Histogram,
}

impl Driven {
    fn merge(&mut self, other: &Self) {
        self.decisions += other.decisions;
        self.time += other.time;
        self.times.merge(&other.times);
    }

    fn rate(&self) -> Rate {
        Rate {
            decisions_per_s: self.decisions as f64 / self.time.as_secs_f64().max(1e-9),
            p50_ns: self.times.quantile(0.50),
            p99_ns: self.times.quantile(0.99),
        }
    }
}

/// Each `turn` has requests of its own.
fn driven(
    load: &Load,
    clock: &SystemClock,
    clients: usize,
    threads: usize,
    turn: u32,
    length: Duration,
    decide: impl Fn(&Request<'_>) + Sync,
) -> Driven {
    let start = Instant::now();
    let results: Vec<(u64, Histogram)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads as u64)
            .map(|worker| {
                let decide = &decide;
                let first = (1 << 60) + (u64::from(turn) << 52) + (worker << 40);
                scope.spawn(move || {
                    let mut histogram = Histogram::default();
                    let mut n = 0u64;
                    while start.elapsed() < length {
                        for _ in 0..256 {
                            let request = load.request(first + n, clients, clock.now());
                            let began = Instant::now();
                            decide(&request);
                            histogram.add(began.elapsed());
                            n += 1;
                        }
                    }
                    (n, histogram)
                })
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
    });
    let mut all = Driven { time: start.elapsed(), ..Driven::default() };
    for (decisions, histogram) in &results {
        all.decisions += decisions;
        all.times.merge(histogram);
    }
    all
}

/// Times in buckets of 10 ns up to 100 µs; what is slower counts as 100 µs.
struct Histogram(Vec<u64>);

const BUCKET: u64 = 10;

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; 10_000])
    }
}

impl Histogram {
    fn add(&mut self, time: Duration) {
        let at = usize::try_from(time.as_nanos() / u128::from(BUCKET)).unwrap_or(usize::MAX);
        let last = self.0.len() - 1;
        self.0[at.min(last)] += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            *a += b;
        }
    }

    fn quantile(&self, q: f64) -> u64 {
        let total: u64 = self.0.iter().sum();
        let wanted = (total as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (i, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return (i as u64 + 1) * BUCKET;
            }
        }
        0
    }
}

/// Resident memory of this process in bytes, where the system tells.
#[must_use]
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_bench_fills_every_field() {
        let report = bench(500, Duration::from_millis(50), None);
        assert!((450..=500).contains(&report.clients), "{report:?}");
        assert!(report.one_thread.decisions_per_s > 100.0);
        assert!(
            report.one_thread.p50_ns > 0 && report.one_thread.p99_ns >= report.one_thread.p50_ns
        );
        assert!(report.all_threads.decisions_per_s > 100.0);
        for rate in [report.sites, report.everything] {
            assert!(rate.p50_ns > 0 && rate.p99_ns >= rate.p50_ns, "{report:?}");
        }
    }

    #[test]
    fn no_rule_of_everything_denies() {
        let mut policy = everything();
        // The learned limit would deny so many at once.
        policy.adaptive.tiers.new = Quota::per_second(NonZeroU32::MAX);
        assert!(matches!(policy.rules[1].limit, Limit::SlidingWindow(_)));
        let engine = Engine::new(policy, Setup { capacity: 100, ..Setup::default() });
        let (load, now) = (Load::default(), Timestamp::from_secs(1));
        assert!((0..20_000).all(|n| engine.check(&load.request(n, 50, now)).allowed));
    }

    #[test]
    fn quantiles_of_a_known_histogram() {
        let mut h = Histogram::default();
        for i in 0..100 {
            h.add(Duration::from_nanos(i * 10));
        }
        assert_eq!(h.quantile(0.5), 500);
        assert_eq!(h.quantile(0.99), 990);
    }
}
