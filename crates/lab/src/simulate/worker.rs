//! People at work in a web application: while they think it polls, saves and looks things up.

use super::actor::{Call, Client, Family, Stage};
use super::address::{Networks, Place};
use super::agents::AgentKind;
use super::browse::Browser;
use super::dice::Dice;
use super::route::Query;
use super::site::{Span, Style};
use super::words::noun;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_behavior::Method;

/// People who have an application open for minutes to hours.
pub(super) struct Worker;

/// What the application's developers decided.
pub(super) struct Application {
    /// Routes asked for when it opens, and of which each step takes a few.
    on_open: Vec<usize>,
    on_step: Vec<usize>,
    /// What it asks for again and again in the background, and how often.
    polls: Vec<usize>,
    period: f64,
    jitter: f64,
    /// What a person writes to, and the pause between two savings while typing.
    saves: Option<(usize, f64)>,
    /// What is searched with each letter.
    looks_up: Option<usize>,
    /// How often a step is to take a payment, or to fill in a form, for somebody at a counter or on the telephone.
    serves: f64,
    gap: f64,
    think: f64,
    /// How a call says where it comes from.
    referer: Arc<str>,
    /// Whether calls from another origin are announced by OPTIONS.
    announces: f64,
    /// How many go away with it open, and let their session expire.
    forgotten: f64,
    /// Whether the session is seen: a token, where another application has a cookie that no log shows.
    visible: bool,
    /// Addresses that many people share, and how long somebody keeps one.
    relay: Vec<IpAddr>,
    relayed: f64,
}

impl Application {
    pub(super) fn draw(stage: &mut Stage<'_>) -> Self {
        let site = stage.site;
        let dice = &mut stage.dice;
        let some = |dice: &mut Dice, low, high| -> Vec<usize> {
            (0..dice.count(low, high)).map(|_| site.api(dice, false)).collect()
        };
        let written: Vec<usize> = (site.pages..site.routes.len())
            .filter(|&route| site.routes[route].method.writes())
            .collect();
        let saves = (!written.is_empty() && dice.chance(0.6))
            .then(|| (dice.pick(&written), dice.spread(0.8, 20.0)));
        let source = if site.style == Style::Api { &site.application } else { &site.origin };
        let origin = source.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let first = stage.networks.any(dice, Place::Hosting);
        Self {
            on_open: some(dice, 2, 16),
            on_step: some(dice, 2, 10),
            polls: if dice.chance(0.7) { some(dice, 1, 3) } else { Vec::new() },
            period: dice.spread(2.0, 120.0),
            jitter: dice.spread(0.001, 0.2),
            saves,
            looks_up: dice.chance(0.4).then(|| site.readable(dice)),
            serves: if dice.chance(0.3) { dice.spread(0.02, 0.4) } else { 0.0 },
            gap: dice.spread(0.005, 0.4),
            think: dice.spread(1.5, 40.0),
            referer: match dice.below(5) {
                0 => Arc::default(),
                1 | 2 => format!("{origin}/").into(),
                _ => source.as_str().into(),
            },
            announces: if site.style == Style::Api { dice.between(0.0, 0.6) } else { 0.0 },
            forgotten: if dice.chance(0.5) { dice.spread(0.01, 0.2) } else { 0.0 },
            visible: dice.chance(0.45),
            relay: (0..dice.count(2, 12)).map(|_| Networks::neighbour(dice, first)).collect(),
            relayed: if dice.chance(0.4) { dice.between(0.02, 0.4) } else { 0.0 },
        }
    }

    /// Somebody who opens it at `at` and works for about `lasts` seconds.
    pub(super) fn session(&self, stage: &mut Stage<'_>, client: Client, at: f64, lasts: f64) {
        let site = stage.site;
        let relayed = stage.dice.chance(self.relayed);
        let mut browser = Browser::new(client, &mut stage.dice);
        if relayed {
            browser.client.addr = stage.dice.pick(&self.relay);
        }
        if self.visible {
            stage.give_credential(&mut browser.client);
        }
        if stage.dice.chance(0.5) {
            browser.client.user = stage.user();
        }
        browser.client.known = true;
        if stage.dice.chance(0.6) {
            browser.warm(site, &mut stage.dice);
        }
        let mut now = at;
        if site.pages > 0 {
            browser.arrive(&mut stage.dice);
            now = browser.open(stage, now, 0, 0, &Query::None).0;
        }
        for &route in &self.on_open {
            self.call(stage, &browser.client, now, route, None);
            now += stage.dice.pause(self.gap);
        }
        // What is worked on is mostly the same few things.
        let things: Vec<usize> =
            (0..stage.dice.count(1, 12)).map(|_| stage.dice.bits() as usize).collect();
        let mut end = (at + lasts).min(stage.length);
        let closed = end;
        if stage.dice.chance(self.forgotten) {
            end = now + (end - now).max(0.0) * stage.dice.unit();
        }
        self.poll(stage, &browser.client, Span { from: now, to: closed }, end);
        while now < end {
            now += stage.dice.log_normal(self.think, 1.0);
            if relayed && stage.dice.chance(0.05) {
                browser.client.addr = stage.dice.pick(&self.relay);
            }
            let thing = stage.dice.pick(&things);
            let serves = stage.dice.chance(self.serves);
            now = match stage.dice.below(6) {
                _ if serves => {
                    let form = stage.some_form();
                    stage.serve(&browser.client, now, &self.referer, form);
                    now
                }
                0 | 1 if self.saves.is_some() => self.write(stage, &browser.client, now, thing),
                2 if self.looks_up.is_some() => self.look_up(stage, &browser.client, now),
                3 if site.pages > 0 => {
                    let page = site.follow(&mut stage.dice, Some(0));
                    let item = thing % site.routes[page].items();
                    browser.open(stage, now, page, item, &Query::None).0
                }
                _ => {
                    for _ in 0..1 + stage.dice.zipf(8, 1.0) {
                        let route = stage.dice.pick(&self.on_step);
                        self.call(stage, &browser.client, now, route, Some(thing));
                        now += stage.dice.pause(self.gap);
                    }
                    now
                }
            };
        }
    }

    fn call(
        &self,
        stage: &mut Stage<'_>,
        client: &Client,
        at: f64,
        route: usize,
        thing: Option<usize>,
    ) {
        let site = stage.site;
        let path: Arc<str> = match thing {
            Some(thing) => {
                let route = &site.routes[route];
                route.path(thing % route.items(), &Query::None).into()
            }
            None => stage.popular(route),
        };
        self.announce(stage, client, at, &path);
        stage.ask(client, at, route, path, self.referer.clone());
    }

    fn announce(&self, stage: &mut Stage<'_>, client: &Client, at: f64, path: &Arc<str>) {
        if !stage.dice.chance(self.announces) {
            return;
        }
        let outcome = stage.site.plain(&mut stage.dice, at, 204, 1.0);
        let call = Call { method: Method::Options, ..Call::get(path.clone()) };
        // A browser sends it without token and user.
        let bare = Client { credential: None, user: None, ..client.clone() };
        stage.send(&bare, at - 0.01, call.from(self.referer.clone()), outcome);
    }

    /// The background of one open application; in a tab that nobody looks at it goes on all the same, and
    /// is refused once the session has `expired`.
    fn poll(&self, stage: &mut Stage<'_>, client: &Client, open: Span, expired: f64) {
        let paths: Vec<(usize, Arc<str>)> =
            self.polls.iter().map(|&route| (route, stage.popular(route))).collect();
        if paths.is_empty() {
            return;
        }
        let mut at = open.from + stage.dice.unit() * self.period;
        while at < open.to {
            for (route, path) in &paths {
                if at < expired {
                    stage.ask(client, at, *route, path.clone(), self.referer.clone());
                    continue;
                }
                let outcome = stage.site.refuse(&mut stage.dice, at);
                let method = stage.site.routes[*route].method;
                let payload = if method.writes() { stage.site.written(&mut stage.dice) } else { 0 };
                let call = Call { method, payload, ..Call::get(path.clone()) };
                stage.send(client, at, call.from(self.referer.clone()), outcome);
            }
            at += self.period * (1.0 + self.jitter * (stage.dice.unit() - 0.5));
        }
    }

    /// Types for a while; what is typed is saved as it grows.
    fn write(&self, stage: &mut Stage<'_>, client: &Client, at: f64, thing: usize) -> f64 {
        let Some((route, gap)) = self.saves else { return at };
        let mut now = at;
        for _ in 0..stage.dice.magnitude(1, 40) {
            self.call(stage, client, now, route, Some(thing));
            now += stage.dice.log_normal(gap, 0.6);
        }
        now
    }

    /// Types a word; what begins so is looked up with each letter.
    fn look_up(&self, stage: &mut Stage<'_>, client: &Client, at: f64) -> f64 {
        let Some(route) = self.looks_up else { return at };
        let word = noun(&mut stage.dice);
        let letters = stage.dice.count(1, word.len().max(2)).min(word.len());
        let mut now = at;
        for end in 1..=letters {
            let query = Query::Search(word.chars().take(end).collect());
            let path = stage.site.routes[route].path(0, &query).into();
            stage.ask(client, now, route, path, self.referer.clone());
            now += stage.dice.log_normal(0.25, 0.5);
        }
        now
    }
}

impl Family for Worker {
    fn name(&self) -> &'static str {
        "worker"
    }

    fn volume(&self, dice: &mut Dice, style: Style) -> f64 {
        // Half of the sites are no application.
        let usual = dice.log_normal(if style == Style::Pages { 0.1 } else { 0.4 }, 0.9);
        if dice.chance(0.5) { usual } else { usual * 0.1 }
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let application = Application::draw(stage);
        let lasts = stage.dice.spread(60.0, 3600.0);
        // The day begins for all of them at about the same time, or each comes at their own.
        let start = stage.dice.chance(0.35).then(|| {
            let width = stage.dice.spread(20.0, 900.0);
            (stage.dice.between(0.0, stage.length * 0.7), width, stage.dice.between(0.3, 0.95))
        });
        let before = stage.dice.between(0.1, 0.8);
        loop {
            let at = match start {
                Some((from, width, share)) if stage.dice.chance(share) => {
                    from + width * stage.dice.unit()
                }
                _ if stage.dice.chance(before) => {
                    stage.dice.between(-lasts.min(stage.length), stage.length * 0.3)
                }
                _ => stage.arrival(),
            };
            let client = stage.client(Place::Home, AgentKind::Browser);
            let lasts = stage.dice.log_normal(lasts, 0.8);
            application.session(stage, client, at, lasts);
            if !stage.goes_on() {
                break;
            }
        }
    }
}
