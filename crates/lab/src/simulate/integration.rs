//! Programs of partners and customers: polls, syncs, batches, webhooks, and expired tokens.

use super::actor::{Call, Client, Family, Pace, Stage};
use super::address::{Networks, Place};
use super::agents::AgentKind;
use super::dice::Dice;
use super::retries::Retries;
use super::route::Query;
use super::site::{Span, Style};
use super::visitor::pieces;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_behavior::Method;

/// Programs that use the site with its blessing.
pub(super) struct Integration;

impl Family for Integration {
    fn name(&self) -> &'static str {
        "integration"
    }

    fn volume(&self, dice: &mut Dice, style: Style) -> f64 {
        dice.log_normal(if style == Style::Pages { 0.1 } else { 0.25 }, 0.6)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let whole = stage.budget;
        loop {
            let place = if stage.dice.chance(0.7) { Place::Hosting } else { Place::Home };
            let kind = match stage.dice.below(12) {
                // Who borrows a browser's name without saying who it is can't be told from a
                // scraper: operators list such partners by address.
                0 if stage.site.names_credentials => AgentKind::Browser,
                1 => AgentKind::App,
                _ => AgentKind::Tool,
            };
            let mut client = stage.client(place, kind);
            if stage.dice.chance(0.08) {
                client.agent = Arc::default();
            }
            if stage.dice.chance(0.88) || kind == AgentKind::Browser {
                stage.give_credential(&mut client);
            } else if stage.dice.chance(0.4) {
                client.user = stage.user();
            }
            client.known = true;
            client.retries = Retries::draw(&mut stage.dice, 5);
            // Nor can who copies a catalogue in haste, or is quick where others say who they are, or where there
            // is nothing but pages.
            let named = client.credential.is_some() || client.user.is_some();
            let untold = !stage.site.names_credentials && stage.site.style != Style::Pages;
            let quickest = if named || untold { 50.0 } else { 3.0 };
            let rate = stage.dice.spread(0.5, quickest);
            let from = if stage.dice.chance(0.6) {
                0.0
            } else {
                stage.dice.between(0.0, stage.length * 0.8)
            };
            // No one of them makes up all of the traffic: the quick ones work in spells.
            let share = whole as f64 * stage.dice.spread(0.05, 0.5);
            let span = Span { from, to: (from + (share / rate).max(20.0)).min(stage.length) };
            let mut pace = Pace::draw(&mut stage.dice, rate);
            if !named && stage.dice.chance(0.3) {
                polite(stage, span.from, share as usize);
                if !stage.goes_on() {
                    break;
                }
                continue;
            }
            match stage.dice.below(13) {
                1 | 2 | 8 if !named && rate > 1.0 => mixed(stage, &client, span, &mut pace),
                0 => poll(stage, &client, span, &mut pace),
                1 | 2 => sync(stage, &client, span, &mut pace),
                3 if stage.dice.chance(0.4) => hour(stage, &client, kind, rate, share as usize),
                3 => batch(stage, &client, rate, share as usize),
                4 => webhook(stage, &client, span, &mut pace),
                5 => expired(stage, &client, span, &mut pace),
                6 => platform(stage, &client, kind, span, rate),
                7 => fleet(stage, &client, span, rate),
                8 => lookups(stage, &client, span, &mut pace),
                9 => build(stage, &client, span),
                11 if named => till(stage, &client, span, rate),
                // Without a key to be seen these are browsers that load nothing else.
                10 if client.credential.is_some() || !stage.site.names_credentials => {
                    embedded(stage, &client, span, rate);
                }
                _ => mixed(stage, &client, span, &mut pace),
            }
            if !stage.goes_on() {
                break;
            }
        }
    }
}

/// Asks for one route, again as its developers saw fit on a 5xx.
fn insist(stage: &mut Stage<'_>, client: &Client, at: f64, route: usize, path: &Arc<str>) {
    client.retries.ask(stage, client, at, route, path);
}

/// One route, over and over.
fn poll(stage: &mut Stage<'_>, client: &Client, span: Span, pace: &mut Pace) {
    let route = stage.site.readable(&mut stage.dice);
    let path = stage.popular(route);
    let mut at = span.from;
    while at < span.to {
        insist(stage, client, at, route, &path);
        at += pace.next(&mut stage.dice);
    }
}

/// A copy kept up to date: lists page by page, or items in the order of their ids.
fn sync(stage: &mut Stage<'_>, client: &Client, span: Span, pace: &mut Pace) {
    let site = stage.site;
    let route = site.catalogue(&mut stage.dice, true);
    let lists = stage.dice.chance(0.3).then(|| site.readable(&mut stage.dice));
    let stale = stage.dice.spread(0.001, 0.05);
    let items = site.routes[route].items();
    let (mut item, mut at) = (stage.dice.below(items), span.from);
    let mut page = 1;
    while at < span.to {
        match lists {
            Some(list) if stage.dice.chance(0.5) => {
                let path = site.routes[list].path(0, &Query::Page(page)).into();
                insist(stage, client, at, list, &path);
                page += 1;
            }
            _ if stage.dice.chance(stale) => {
                // Deleted since the last time.
                let outcome = site.miss(&mut stage.dice, at, Some(route));
                let path = site.routes[route].path(item, &Query::None);
                stage.send(client, at, Call::get(path), outcome);
            }
            _ => {
                let path = site.routes[route].path(item, &Query::None).into();
                insist(stage, client, at, route, &path);
            }
        }
        item = (item + 1) % items;
        at += pace.next(&mut stage.dice);
    }
}

/// A script of nobody the site knows, that takes what everybody may have as slowly as the rules ask, and mostly
/// says who it is.
fn polite(stage: &mut Stage<'_>, from: f64, share: usize) {
    let site = stage.site;
    let kind = if stage.dice.chance(0.6) { AgentKind::Robot } else { AgentKind::Tool };
    let place = if stage.dice.chance(0.6) { Place::Hosting } else { Place::Home };
    let client = stage.client(place, kind);
    let api = stage.dice.chance(0.8);
    let route = site.catalogue(&mut stage.dice, api);
    let items = site.routes[route].items();
    let stride = if stage.dice.chance(0.5) { 1 } else { stage.dice.count(2, 30) };
    // Prices, dates and places are asked for by their own words.
    let asks = stage.dice.chance(0.35).then(|| Question::draw(stage));
    let order = stage.dice.below(3);
    let heads = if stage.dice.chance(0.15) { stage.dice.unit() } else { 0.0 };
    let machines = if stage.dice.chance(0.3) { stage.dice.count(2, 6) } else { 1 };
    let homes: Vec<Client> = (0..machines)
        .map(|n| match n {
            0 => client.clone(),
            _ => {
                Client { addr: Networks::neighbour(&mut stage.dice, client.addr), ..client.clone() }
            }
        })
        .collect();
    let gap = stage.dice.spread(0.4, 6.0);
    let jitter = stage.dice.spread(0.01, 0.6);
    let (mut item, mut at) = (stage.dice.below(items), from);
    let most = stage.dice.magnitude(60, 4000).min(share.max(60));
    for _ in 0..most {
        if at > stage.length {
            return;
        }
        let client = stage.dice.pick(&homes);
        if let Some(question) = &asks {
            let path = question.path(stage).into();
            insist(stage, &client, at, question.route, &path);
        } else {
            let path: Arc<str> = match order {
                0 => stage.popular(route),
                _ => site.routes[route].path(item, &Query::None).into(),
            };
            if stage.dice.chance(heads) {
                let outcome = site.plain(&mut stage.dice, at, 200, 1.0);
                let call = Call { method: Method::Head, ..Call::get(path.clone()) };
                stage.send(&client, at, call, outcome);
                at += 0.1;
            }
            insist(stage, &client, at, route, &path);
        }
        item = (item + stride) % items;
        at += gap * (1.0 + jitter * stage.dice.unit());
    }
}

/// What a partner asks again and again, each time with other values: a price, a date, a place.
struct Question {
    route: usize,
    names: Vec<&'static str>,
    places: Vec<String>,
}

impl Question {
    fn draw(stage: &mut Stage<'_>) -> Self {
        let names =
            ["from", "to", "date", "place", "sku", "nights", "persons", "lat", "isbn", "currency"];
        let names = (0..stage.dice.count(1, 4)).map(|_| stage.dice.pick(&names)).collect();
        let places = (0..stage.dice.magnitude(2, 300))
            .map(|_| super::words::word(&mut stage.dice))
            .collect();
        Self { route: stage.site.readable(&mut stage.dice), names, places }
    }

    fn path(&self, stage: &mut Stage<'_>) -> String {
        let item = stage.site.routes[self.route].popular(&mut stage.dice);
        let dice = &mut stage.dice;
        let values: Vec<String> = self
            .names
            .iter()
            .enumerate()
            .map(|(n, name)| match n % 3 {
                0 => format!("{name}={}", dice.pick(&self.places)),
                1 => format!("{name}=2025-{:02}-{:02}", dice.count(1, 12), dice.count(1, 28)),
                _ => format!("{name}={}", dice.count(1, 9)),
            })
            .collect();
        stage.site.routes[self.route].path(item, &Query::Extra(values.join("&")))
    }
}

/// Takes payments, or signs people up, for those who stand elsewhere: a till, a market place, a sales department.
fn till(stage: &mut Stage<'_>, client: &Client, span: Span, rate: f64) {
    let mut pace = Pace::draw(&mut stage.dice, (rate * 0.1).min(3.0));
    let form = stage.some_form();
    let mut at = span.from;
    while at < span.to {
        stage.serve(client, at, &Arc::default(), form);
        at += pace.next(&mut stage.dice);
    }
}

/// Somebody else's list held against the site: much of what is on it is not there, and nobody minds.
fn lookups(stage: &mut Stage<'_>, client: &Client, span: Span, pace: &mut Pace) {
    let site = stage.site;
    let route = site.catalogue(&mut stage.dice, true);
    let missing = stage.dice.spread(0.03, 0.7);
    let items = site.routes[route].items();
    let mut at = span.from;
    while at < span.to {
        if stage.dice.chance(missing) {
            let path = site.routes[route].path(items + stage.dice.below(100_000), &Query::None);
            let outcome = site.miss(&mut stage.dice, at, Some(route));
            stage.send(client, at, Call::get(path), outcome);
        } else {
            let path = site.routes[route].path(stage.dice.below(items), &Query::None).into();
            insist(stage, client, at, route, &path);
        }
        at += pace.next(&mut stage.dice);
    }
}

/// Machines that build software and take what they need, each time with another address; some of it in
/// pieces.
fn build(stage: &mut Stage<'_>, client: &Client, span: Span) {
    let route = stage.site.readable(&mut stage.dice);
    let gap = stage.dice.spread(0.01, 0.6);
    let size = stage.dice.magnitude(4, 200);
    let every = stage.dice.spread(20.0, 900.0);
    // What everybody may have needs no key; the machines of one firm, and its people, share an address.
    let keyless = stage.site.style != Style::Pages && stage.dice.chance(0.5);
    let shared: Vec<IpAddr> = match stage.dice.chance(0.4) {
        true => (0..stage.dice.count(1, 4))
            .map(|_| stage.networks.any(&mut stage.dice, Place::Hosting))
            .collect(),
        false => Vec::new(),
    };
    let described = stage.dice.chance(0.5).then(|| stage.site.readable(&mut stage.dice));
    // Some begin all at once, each night.
    let nightly = stage.dice.chance(0.3);
    let mut from = span.from;
    while from < stage.length {
        let mut machine = client.clone();
        machine.addr = match shared.is_empty() {
            true => stage.networks.any(&mut stage.dice, Place::Hosting),
            false => stage.dice.pick(&shared),
        };
        if keyless {
            machine.credential = None;
        }
        if stage.dice.chance(0.2) {
            pieces(stage, &machine, from);
        }
        let mut at = from;
        for _ in 0..stage.dice.count(size / 2 + 1, size) {
            if let Some(described) = described {
                let path = stage.popular(described);
                insist(stage, &machine, at, described, &path);
                at += stage.dice.pause(gap);
            }
            let path = stage.popular(route);
            insist(stage, &machine, at, route, &path);
            at += stage.dice.pause(gap);
        }
        if !stage.goes_on() {
            return;
        }
        from += stage.dice.pause(if nightly { every * 0.02 } else { every });
    }
}

/// What many customers' programs do at the same moment, for all of them begin on the hour.
fn hour(stage: &mut Stage<'_>, first: &Client, kind: AgentKind, rate: f64, share: usize) {
    let customers = stage.dice.magnitude(3, 40);
    let due = stage.dice.pick(&[60.0, 300.0, 600.0]) * stage.dice.count(0, 2) as f64;
    let due = due.min(stage.length * 0.7);
    let late = stage.dice.spread(0.2, 30.0);
    let writes = (stage.site.pages..stage.site.routes.len())
        .filter(|&route| stage.site.routes[route].method.writes())
        .collect::<Vec<_>>();
    let route = match writes.is_empty() || stage.dice.chance(0.4) {
        true => stage.site.readable(&mut stage.dice),
        false => stage.dice.pick(&writes),
    };
    let pays = stage.dice.chance(0.2);
    let size = stage.dice.magnitude(10, 800).min(share / 2 + 10);
    for _ in 0..customers {
        let mut client = stage.client(Place::Hosting, kind);
        client.agent = first.agent.clone();
        client.shape = first.shape;
        client.retries = first.retries;
        client.known = true;
        if first.credential.is_some() {
            stage.give_credential(&mut client);
        }
        let quick = stage.dice.spread(1.0, rate.max(3.0));
        let mut at = due + stage.dice.pause(late);
        for _ in 0..stage.dice.count(size / 4 + 1, size) {
            if pays {
                stage.serve(&client, at, &Arc::default(), None);
            } else {
                let path = stage.popular(route);
                insist(stage, &client, at, route, &path);
            }
            at += stage.dice.pause(1.0 / quick);
        }
        if !stage.goes_on() {
            return;
        }
    }
}

/// Quick work at the top of the minute, or every few minutes, and silence between.
fn batch(stage: &mut Stage<'_>, client: &Client, rate: f64, share: usize) {
    let period = stage.dice.pick(&[60.0, 60.0, 120.0, 300.0, 600.0]);
    let size = stage.dice.magnitude(5, 400).min(share / 2 + 5);
    let late = stage.dice.spread(0.05, 4.0);
    // What is due is read, written, or paid.
    let route = match stage.dice.chance(0.6) {
        true => stage.site.readable(&mut stage.dice),
        false => stage.site.api(&mut stage.dice, false),
    };
    let pays = stage.dice.chance(0.2);
    let mut top = stage.dice.count(0, 2) as f64 * 60.0;
    let most = stage.sent + share;
    while top < stage.length && stage.sent < most {
        let mut at = top + stage.dice.pause(late);
        for _ in 0..size {
            if pays {
                stage.serve(client, at, &Arc::default(), None);
            } else {
                let path = stage.popular(route);
                insist(stage, client, at, route, &path);
            }
            at += stage.dice.pause(1.0 / rate.max(3.0));
        }
        top += period;
    }
}

/// Events posted as they happen: one by one or a bunch at a time, from one machine or several, and again
/// later where the site failed.
fn webhook(stage: &mut Stage<'_>, client: &Client, span: Span, pace: &mut Pace) {
    let site = stage.site;
    let path: Arc<str> = format!(
        "/{}/{}",
        stage.dice.pick(&["hooks", "webhook", "callback", "ingest", "events"]),
        super::words::word(&mut stage.dice)
    )
    .into();
    let size = stage.dice.spread(80.0, 20_000.0);
    let status = stage.dice.pick(&[200, 202, 204]);
    let bunch = if stage.dice.chance(0.5) { 1 } else { stage.dice.magnitude(2, 12) };
    let gap = stage.dice.spread(0.01, 0.5);
    let mut machines = vec![client.clone()];
    for _ in 0..stage.dice.zipf(6, 1.0) {
        let addr = stage.networks.any(&mut stage.dice, Place::Hosting);
        machines.push(Client { addr, ..client.clone() });
    }
    let tries = stage.dice.count(1, 6);
    let grows = stage.dice.spread(1.0, 4.0);
    let mut at = span.from;
    while at < span.to {
        let mut next = at;
        for _ in 0..stage.dice.count(1, bunch) {
            let payload = stage.dice.log_normal(size, 0.5) as u64;
            let (mut now, mut wait) = (next, 5.0);
            for _ in 0..tries {
                let outcome = site.plain(&mut stage.dice, now, status, 20.0);
                let machine = stage.dice.pick(&machines);
                if stage.send(&machine, now, Call::post(path.clone(), payload), outcome) < 500 {
                    break;
                }
                now += wait;
                wait *= grows;
            }
            next += stage.dice.pause(gap);
        }
        at += pace.next(&mut stage.dice) * bunch as f64;
    }
}

/// A key that stands in a web page of a customer or in every copy of an app: all who use these ask with
/// it, each from their own address, a few times.
fn embedded(stage: &mut Stage<'_>, client: &Client, span: Span, rate: f64) {
    let site = stage.site;
    let paged = stage.dice.chance(0.85);
    let kind = if paged { AgentKind::Browser } else { AgentKind::App };
    let agent = stage.agents.any(&mut stage.dice, kind);
    let page: Arc<str> = match (paged, stage.dice.below(4)) {
        (false, _) | (_, 0) => Arc::default(),
        _ => format!("https://{}.com/", super::words::word(&mut stage.dice)).into(),
    };
    let routes: Vec<usize> =
        (0..stage.dice.count(1, 4)).map(|_| site.api(&mut stage.dice, false)).collect();
    let asks = stage.dice.magnitude(1, 12);
    let think = stage.dice.spread(0.5, 20.0);
    let mut from = span.from;
    while from < span.to && stage.goes_on() {
        let agent = if paged { stage.agents.any(&mut stage.dice, kind) } else { agent.clone() };
        let reader = Client {
            addr: stage.networks.any(&mut stage.dice, Place::Home),
            shape: stage.shape(&agent, kind),
            agent,
            ..client.clone()
        };
        let (asks, mut at) = (stage.dice.count(1, asks), from);
        for _ in 0..asks {
            let route = stage.dice.pick(&routes);
            let path = stage.popular(route);
            stage.ask(&reader, at, route, path, page.clone());
            at += stage.dice.log_normal(think, 1.0);
        }
        from += stage.dice.pause(asks as f64 / rate);
    }
}

/// A token that expires: 401 after 401 until somebody notices, then all is well again.
fn expired(stage: &mut Stage<'_>, client: &Client, span: Span, pace: &mut Pace) {
    let site = stage.site;
    let broken = stage.dice.between(span.from - 60.0, span.to);
    let fixed = broken + stage.dice.spread(60.0, 1200.0);
    let route = site.api(&mut stage.dice, false);
    let mut at = span.from;
    while at < span.to {
        let path = stage.popular(route);
        if (broken..fixed).contains(&at) {
            let outcome = site.refuse(&mut stage.dice, at);
            stage.send(
                client,
                at,
                Call { method: site.routes[route].method, ..Call::get(path) },
                outcome,
            );
            if stage.dice.chance(0.02) {
                let outcome = site.log_in(&mut stage.dice, at, false);
                let payload = site.login_payload(&mut stage.dice);
                stage.send(client, at, Call::post(site.login.path.as_str(), payload), outcome);
            }
        } else {
            insist(stage, client, at, route, &path);
        }
        at += pace.next(&mut stage.dice);
    }
}

/// A service that works for many customers of the site with the key of each, from few addresses.
fn platform(stage: &mut Stage<'_>, first: &Client, kind: AgentKind, span: Span, rate: f64) {
    let customers = stage.dice.magnitude(3, 80);
    let machines: Vec<IpAddr> = (0..stage.dice.count(1, 4))
        .map(|_| Networks::neighbour(&mut stage.dice, first.addr))
        .collect();
    for _ in 0..customers {
        let addr = stage.dice.pick(&machines);
        let mut client = stage.client_at(addr, first.agent.clone(), kind);
        client.retries = first.retries;
        stage.give_credential(&mut client);
        let from = span.from + stage.dice.unit() * span.length() * 0.8;
        // Short jobs for many, a long one for some.
        let lasts = span.length() * stage.dice.spread(0.01, 1.0);
        let span = Span { from, to: (from + lasts).min(span.to) };
        let own = rate / customers as f64 * span.length() / lasts.max(1.0);
        let mut pace = Pace::draw(&mut stage.dice, own.max(0.02));
        mixed(stage, &client, span, &mut pace);
        if !stage.goes_on() {
            return;
        }
    }
}

/// One key on all the machines of one customer.
fn fleet(stage: &mut Stage<'_>, client: &Client, span: Span, rate: f64) {
    let machines = stage.dice.magnitude(2, 40);
    let networks: Vec<IpAddr> = (0..stage.dice.count(1, 5))
        .map(|_| stage.networks.any(&mut stage.dice, Place::Hosting))
        .collect();
    for _ in 0..machines {
        let network = stage.dice.pick(&networks);
        let mut machine = client.clone();
        machine.addr = Networks::neighbour(&mut stage.dice, network);
        let mut pace = Pace::draw(&mut stage.dice, (rate / machines as f64).max(0.02));
        mixed(stage, &machine, span, &mut pace);
        if !stage.goes_on() {
            return;
        }
    }
}

/// Whatever its users do. Some fetch a token anew for each call, or for every few of them.
fn mixed(stage: &mut Stage<'_>, client: &Client, span: Span, pace: &mut Pace) {
    let site = stage.site;
    let fetches = if stage.dice.chance(0.1) { stage.dice.spread(0.02, 1.0) } else { 0.0 };
    let renews = stage.dice.chance(0.3);
    let mut client = client.clone();
    let routes: Vec<usize> =
        (0..stage.dice.count(2, 10)).map(|_| stage.site.api(&mut stage.dice, false)).collect();
    let mut at = span.from;
    while at < span.to {
        if stage.dice.chance(fetches) {
            let outcome = site.log_in(&mut stage.dice, at, true);
            let payload = site.login_payload(&mut stage.dice);
            let call = Call::post(site.login.path.as_str(), payload);
            // What it asks for it does not have yet.
            stage.send(&Client { credential: None, ..client.clone() }, at, call, outcome);
            at += stage.dice.pause(0.1);
            if renews && client.credential.is_some() {
                stage.give_credential(&mut client);
            }
        }
        let route = stage.dice.pick(&routes);
        let path = stage.popular(route);
        insist(stage, &client, at, route, &path);
        at += pace.next(&mut stage.dice);
    }
}
