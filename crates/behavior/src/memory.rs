//! Everything remembered beside the clients themselves: routes, groups and networks.

use crate::agent::AgentKind;
use crate::extract::Surroundings;
use crate::facts::Facts;
use crate::groups::{GroupView, Groups, Note, Ratios};
use crate::math::ln_1p;
use crate::network::Network;
use crate::path::{Kind, Target};
use crate::profile::Profile;
use crate::record::{Method, Outcome, Request};
use crate::routes::{RouteId, RouteTable};
use tidegate_limiter::{Key, Store, Timestamp};

/// The memory of a site.
pub struct Memory {
    /// Route templates.
    pub routes: RouteTable,
    groups: Groups,
    networks: Store<Network>,
}

/// What must be kept of a request until its outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The client's network.
    pub network: Key,
    /// The request's route.
    pub route: RouteId,
    /// The request's fingerprint.
    pub fingerprint: u64,
}

impl Memory {
    /// A memory for at most this many networks.
    #[must_use]
    pub fn new(networks: usize) -> Self {
        Self {
            routes: RouteTable::default(),
            groups: Groups::default(),
            networks: Store::new(networks),
        }
    }

    /// The facts of a request whose target was read.
    #[must_use]
    pub fn facts(&self, request: &Request<'_>, target: Target, reputation: i8) -> Facts {
        Facts::of(request, target, &self.routes, reputation)
    }

    /// What is remembered of each network.
    #[must_use]
    pub const fn networks(&self) -> &Store<Network> {
        &self.networks
    }

    /// What surrounds a client at this request; counts the request for its network.
    #[must_use]
    pub fn surroundings(&self, facts: &Facts, client: Key, network: Key) -> Surroundings {
        let now = facts.time;
        Surroundings {
            site: self.groups.site(now),
            route: self.groups.route(facts.route.id, now),
            agent: self.groups.agent(facts.fingerprint, now),
            cohort: self.groups.cohort(facts.fingerprint, facts.route.id, now),
            visits: self.groups.visits(facts.route.id, now),
            turns: self.groups.turns(facts.route.id, now),
            keyed: self.groups.keyed(facts.route.id),
            network: self.networks.with(network, now, |entry| entry.observe(client, now)),
        }
    }

    /// Lets a profile take in the request and notes it for the groups.
    pub fn observe(&self, profile: &mut Profile, facts: &Facts, around: &Surroundings) -> Note {
        let previous = profile.last_route();
        let surprise = self.groups.surprise(facts.route.id, previous, &around.site, &around.route);
        let turn = profile.observe(facts, surprise, around.turns);
        Note::Request {
            route: facts.route.id,
            previous,
            agent: facts.fingerprint,
            newcomer: profile.is_newcomer(facts.time),
            arrival: profile.requests() == 1,
            asset: facts.target.kind == Kind::Asset,
            named: facts.agent_kind != AgentKind::None,
            referred: facts.referer.is_some(),
            surprise,
            weight: profile.voice(),
            pace: ln_1p(profile.counts[1]),
            #[allow(
                clippy::cast_precision_loss,
                reason = "a logarithm of a count needs no more digits"
            )]
            depth: ln_1p(profile.requests() as f32),
            turn,
            keyed: facts.credentialed,
            judged: None,
            doubt: 0.0,
        }
    }

    /// What was thought of those who came like this client, 0..1; 0 for one that is known by what
    /// it did itself.
    #[must_use]
    pub fn suspicion(&self, profile: &Profile, facts: &Facts) -> f32 {
        if !profile.testifies() {
            return 0.0;
        }
        self.groups.suspicion(facts.fingerprint, profile.entry_route(), facts.time)
    }

    /// What is remembered of a route.
    #[must_use]
    pub fn route(&self, route: RouteId, now: Timestamp) -> GroupView {
        self.groups.route(route, now)
    }

    /// Hands a note to the groups; never while a client's entry is locked.
    pub fn note(&self, now: Timestamp, note: Note) {
        self.groups.note(now, note);
    }

    /// What a route gives everybody. Of a route that nobody ever reached with success nothing can
    /// be expected but what the site gives as a whole: else scanners would set their own standard.
    #[must_use]
    pub fn expected(&self, route: RouteId, known: bool, now: Timestamp) -> Ratios {
        const PRIOR: f32 = 8.0;
        let site = usual_of_sites(&self.groups.site(now).group);
        if !known {
            return site;
        }
        let view = self.groups.route(route, now);
        let towards =
            |own: f32, all: f32| (own * view.outcomes + all * PRIOR) / (view.outcomes + PRIOR);
        Ratios {
            error: towards(view.ratios.error, site.error),
            auth: towards(view.ratios.auth, site.auth),
            missing: towards(view.ratios.missing, site.missing),
            // When the whole site fails, no route was expected to do better.
            server: towards(view.ratios.server, site.server).max(site.server),
        }
    }

    /// Learns an outcome for the network and the groups; `weight` is how much it may teach.
    pub fn learn(
        &self,
        trace: &Trace,
        outcome: &Outcome,
        expected: Ratios,
        weight: f32,
        now: Timestamp,
    ) {
        if is_content(outcome.status) {
            self.routes.answer();
        }
        self.networks
            .with(trace.network, now, |entry| entry.learn(outcome.answer(), expected, now));
        let latency = outcome.duration.map(|duration| ln_1p(duration.as_secs_f32() * 1e3));
        self.groups.note(
            now,
            Note::Outcome { route: trace.route, status: outcome.status, weight, latency },
        );
    }

    /// Learns the route of a request whose outcome is known.
    pub fn learn_route(&self, method: Method, path: &str, status: u16) {
        let target = crate::path::read(path);
        self.routes.learn(method, &target, path, (200..400).contains(&status));
        // OPTIONS is answered for whatever is asked for, what is not there can be created, and can't be deleted.
        let there = match method {
            Method::Get | Method::Head | Method::Post => is_content(status),
            Method::Put | Method::Patch => is_content(status) && status != 201,
            _ => false,
        };
        if there {
            self.routes.serve(&target);
        }
    }
}

/// Whether an answer shows that what was asked for is there. A redirect may lead whoever asks for
/// anything to the log-in.
const fn is_content(status: u16) -> bool {
    matches!(status, 200..=299 | 304)
}

/// What a site gives everybody, as far as it is known: where nothing but a scanner has been yet, what
/// it gives the scanner must not be what is usual. Failures of its own are as they are, for in an
/// outage nobody was expected to fare better.
fn usual_of_sites(site: &GroupView) -> Ratios {
    const PRIOR: f32 = 30.0;
    const USUAL: Ratios = Ratios { error: 0.05, auth: 0.01, missing: 0.03, server: 0.0 };
    let towards =
        |own: f32, usual: f32| (own * site.outcomes + usual * PRIOR) / (site.outcomes + PRIOR);
    Ratios {
        error: towards(site.ratios.error, USUAL.error),
        auth: towards(site.ratios.auth, USUAL.auth),
        missing: towards(site.ratios.missing, USUAL.missing),
        server: site.ratios.server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_who_comes_does_not_set_the_standard() {
        let memory = Memory::new(64);
        let trace = Trace { network: Key(1), route: 1, fingerprint: 2 };
        let outcome = Outcome { status: 404, bytes: 0, duration: None };
        let learn = |from: u64, times: u64| {
            for at in (0..times).map(|n| Timestamp::from_secs(1_000_000 + from + n)) {
                let expected = memory.expected(trace.route, false, at);
                memory.learn(&trace, &outcome, expected, 1.0, at);
            }
            memory.expected(trace.route, false, Timestamp::from_secs(1_000_000 + from + times))
        };
        let young = learn(0, 5);
        assert!(young.missing < 0.2 && young.error < 0.2, "{young:?}");
        // After hundreds the site is what it is.
        let known = learn(5, 400);
        assert!(known.missing > 0.9 && known.error > 0.9, "{known:?}");
        assert!(known.auth < 0.01, "{known:?}");
    }

    #[test]
    fn what_the_site_has_is_no_probe() {
        let memory = Memory::new(64);
        let odd = |path: &str| {
            let request = Request { path, ..Request::default() };
            memory.facts(&request, crate::path::read(path), 0).target.odd
        };
        let now = Timestamp::from_secs(1_000_000);
        let trace = Trace { network: Key(1), route: 0, fingerprint: 2 };
        let answer = |status| {
            let outcome = Outcome { status, bytes: 0, duration: None };
            memory.learn(&trace, &outcome, Ratios::default(), 1.0, now);
        };
        // Who is told of no outcomes, or of failures alone, knows nothing of what the site has.
        (0..50).for_each(|_| answer(503));
        assert!(odd("/.env") && !odd("/index.php") && !odd("/wp-admin/"));
        (0..20).for_each(|_| answer(200));
        assert!(odd("/index.php") && odd("/wp-admin/") && odd("/.env") && !odd("/shop"));
        // A redirect shows nothing, nor do answers to whatever is asked for.
        memory.learn_route(Method::Get, "/wp-admin/", 302);
        (0..9).for_each(|_| memory.learn_route(Method::Options, "/index.php", 204));
        assert!(odd("/wp-admin/") && odd("/index.php"));
        memory.learn_route(Method::Get, "/wp-admin/", 200);
        memory.learn_route(Method::Get, "/index.php", 200);
        assert!(!odd("/wp-admin/") && !odd("/index.php?page=2") && odd("/cart.php"));
        memory.learn_route(Method::Get, "/cart.php", 200);
        memory.learn_route(Method::Post, "/pay.php", 304);
        assert!(!odd("/never.php") && odd("/wp-config/") && odd("/index.jsp") && odd("/.env"));
    }

    #[test]
    fn slugs_in_a_full_place_are_no_probes() {
        let memory = Memory::new(64);
        let now = Timestamp::from_secs(1_000_000);
        let trace = Trace { network: Key(1), route: 0, fingerprint: 2 };
        for n in 0..200u8 {
            let path = format!(
                "/tags/tag{}",
                char::from(b'a' + n % 26).to_string().repeat(1 + usize::from(n) / 26)
            );
            memory.learn_route(Method::Get, &path, 200);
            let outcome = Outcome { status: 200, bytes: 0, duration: None };
            memory.learn(&trace, &outcome, Ratios::default(), 1.0, now);
        }
        for path in ["/tags/telescope", "/tags/jenkins", "/tags/shell", "/tags/etc"] {
            let request = Request { path, ..Request::default() };
            assert!(!memory.facts(&request, crate::path::read(path), 0).target.odd, "{path}");
        }
    }

    #[test]
    fn what_is_sent_to_sensitive_places_is_counted_for_a_while() {
        let memory = Memory::new(64);
        let mut profile = Profile::new(Timestamp::from_secs(1_000_000));
        let mut ask = |second: u64, method: Method, path: &str| {
            let time = Timestamp::from_secs(1_000_000 + second);
            let request = Request { time, method, path, ..Request::default() };
            let facts = memory.facts(&request, crate::path::read(path), 0);
            let around = memory.surroundings(&facts, Key(1), Key(1));
            memory.observe(&mut profile, &facts, &around);
            let features = crate::extract::extract(&profile, &facts, &around);
            [crate::schema::index::LOG_INS, crate::schema::index::FLOWS]
                .map(|at| features[at].exp_m1().round())
        };
        assert_eq!(ask(0, Method::Get, "/login"), [0.0; 2], "to look at the form is no try");
        assert_eq!(ask(1, Method::Post, "/orders"), [0.0; 2]);
        assert_eq!(ask(1, Method::Delete, "/session"), [0.0; 2], "who logs out tries nothing");
        for n in 1..=8u8 {
            assert_eq!(ask(2, Method::Post, "/login?next=%2F")[0], f32::from(n));
        }
        assert_eq!(ask(3, Method::Post, "/signup"), [8.0, 1.0]);
        assert_eq!(ask(4, Method::Post, "/checkout/payment"), [8.0, 2.0]);
        assert_eq!(ask(600, Method::Get, "/"), [4.0, 1.0]);
        assert_eq!(ask(3000, Method::Get, "/"), [0.0; 2]);
        for _ in 0..300 {
            ask(3001, Method::Post, "/users/sign_in");
        }
        assert_eq!(ask(3001, Method::Get, "/"), [255.0, 0.0]);
    }

    #[test]
    fn who_walks_through_items_is_told_whatever_their_pages_call() {
        let memory = Memory::new(64);
        for path in
            ["/hotel/old-harbour-house-4711", "/api/hotel/4711/rates", "/img/4711.jpg", "/me"]
        {
            memory.learn_route(Method::Get, path, 200);
        }
        let walking = |paths: &mut dyn Iterator<Item = String>| {
            let mut profile = Profile::new(Timestamp::from_secs(1_000_000));
            let mut walking = f32::NAN;
            for (n, path) in (0..).zip(paths) {
                let time = Timestamp::from_secs(1_000_000 + n);
                let path = path.as_str();
                let request = Request { time, path, ..Request::default() };
                let facts = memory.facts(&request, crate::path::read(path), 0);
                let around = memory.surroundings(&facts, Key(1), Key(1));
                memory.observe(&mut profile, &facts, &around);
                walking = crate::extract::extract(&profile, &facts, &around)
                    [crate::schema::index::ID_WALKING];
            }
            walking
        };
        // Each page calls for what belongs to it, and for who is signed in.
        let visit = |id: u64| {
            [
                format!("/hotel/old-harbour-house-{id}"),
                format!("/api/hotel/{id}/rates"),
                format!("/img/{id}.jpg"),
                "/me".to_owned(),
            ]
        };
        let one_by_one = walking(&mut (4000..4020).flat_map(visit));
        assert_eq!(one_by_one, 19.0 / 23.0);
        memory.learn_route(Method::Get, "/api/users/7", 200);
        let with_users = walking(&mut (4000..4020).flat_map(|id| {
            [format!("/api/hotel/{id}/rates"), format!("/api/users/{}", id * 7919 % 4096)]
        }));
        assert!((0.4..0.6).contains(&with_users), "{with_users}");
        let by_chance = walking(&mut (0..60).map(|n| n * 7919 % 4096).flat_map(visit));
        assert!(by_chance < 0.1, "{by_chance}");
        let pictures = walking(&mut (0..60).map(|n| format!("/img/{n}.jpg")));
        assert_eq!(pictures, 0.0, "they come with the page");
        let one_item = walking(&mut (0..60).flat_map(|_| visit(4711)));
        assert_eq!(one_item, 0.0);
    }

    #[test]
    fn who_sends_again_and_again_is_told_from_who_alone_sends() {
        let memory = Memory::new(64);
        let post = |path, user_agent, times: u64| {
            memory.learn_route(Method::Post, path, 200);
            let mut profile = Profile::new(Timestamp::from_secs(1_000_000));
            let mut turns = f32::NAN;
            for n in 0..times {
                let time = Timestamp::from_secs(1_000_000 + n);
                let method = Method::Post;
                let request = Request { time, method, path, user_agent, ..Request::default() };
                let facts = memory.facts(&request, crate::path::read(path), 0);
                let around = memory.surroundings(&facts, Key(1), Key(1));
                let note = memory.observe(&mut profile, &facts, &around);
                memory.note(time, note);
                turns = crate::extract::extract(&profile, &facts, &around)
                    [crate::schema::index::SEND_TURNS];
            }
            turns
        };
        let people: Vec<f32> = (0..200).map(|_| post("/contact", "Mozilla/5.0", 1)).collect();
        assert!(people.iter().all(|turns| turns.abs() < 0.6), "{people:?}");
        let spam = post("/contact", "Mozilla/5.0", 40);
        assert!(spam > 3.0, "{spam}");
        let hook = post("/hooks/paid", "hooks/2", 400);
        assert!(hook.abs() < 0.5, "nobody else sends there: {hook}");
        let saves: Vec<f32> = (0..60).map(|_| post("/draft", "Mozilla/5.0", 50)).collect();
        assert!(saves[40..].iter().all(|turns| turns.abs() < 0.5), "{saves:?}");
    }

    #[test]
    fn where_no_agents_are_told_nobody_hides_his() {
        let kind_after = |agents: [&str; 2]| {
            let memory = Memory::new(64);
            let mut kind = f32::NAN;
            for (n, user_agent) in (0u64..400).zip(agents.into_iter().cycle()) {
                let time = Timestamp::from_secs(1_000_000 + n);
                let request = Request { time, user_agent, ..Request::default() };
                let facts = memory.facts(&request, crate::path::read(request.path), 0);
                let mut profile = Profile::new(time);
                let around = memory.surroundings(&facts, Key(n), Key(1));
                let note = memory.observe(&mut profile, &facts, &around);
                kind = crate::extract::extract(&profile, &facts, &around)
                    [crate::schema::index::AGENT_KIND];
                memory.note(time, note);
            }
            kind
        };
        assert_eq!(kind_after(["", ""]), f32::from(AgentKind::Library as u8));
        assert_eq!(kind_after(["curl/8.5", ""]), f32::from(AgentKind::None as u8));
    }
}
