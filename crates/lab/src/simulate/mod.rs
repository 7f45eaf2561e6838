//! Labelled synthetic traffic: sites, visitors and attackers drawn from a seed.
//!
//! Everything is drawn anew for each seed, over wide ranges (domain randomisation; Tobin et al.,
//! 2017), so that what is learned from it is behaviour and not a constant of this generator.
//! Attackers share user agents, networks and paths with everybody else. The traffic is open-loop:
//! nobody reacts to a denial.
//!
//! ```
//! use tidegate_lab::simulate::{Scenario, generate};
//!
//! let traffic = generate(Scenario::Scan, 7, 5);
//! assert!(traffic.actors.iter().any(|actor| actor.family == "scanner" && actor.abusive));
//! assert!(traffic.events.is_sorted_by_key(|event| event.time));
//! ```

pub mod actor;
pub mod address;
pub mod agents;
pub mod assets;
mod botnet;
mod browse;
mod bruteforce;
mod carding;
mod churner;
mod crawler;
mod crowd;
mod day;
mod desks;
mod developer;
pub mod dice;
mod enumeration;
mod flood;
mod headless;
mod hoarder;
mod integration;
mod live;
mod mobile;
mod monitor;
mod office;
mod patient;
mod plain;
mod ramp;
mod reader;
mod retries;
pub mod route;
mod scanner;
mod scenario;
mod scraper;
mod sharing;
pub mod site;
mod stuffing;
mod submitter;
mod swarm;
mod telling;
mod visitor;
mod words;
mod worker;
mod write;

pub use scenario::Scenario;
pub use write::{WriteError, write};

use actor::{FAMILIES, Family, Lists, Stage};
use address::Networks;
use agents::Agents;
use day::Day;
use developer::Developer;
use dice::Dice;
use live::Live;
use plain::Plain;
use reader::Reader;
use site::{Site, Span, Style};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use telling::Telling;
use tidegate_behavior::address::AddressMap;
use tidegate_behavior::{Method, Outcome, Request};
use tidegate_engine::crawlers;
use tidegate_limiter::Timestamp;
use words::{capital, word};

/// One simulated request with its outcome.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it arrived, in whole milliseconds.
    pub time: Timestamp,
    /// The actor behind it, a position in [`Traffic::actors`].
    pub actor: u32,
    /// The client's address.
    pub addr: IpAddr,
    /// The credential, if it sent one and the site's log names credentials.
    pub credential: Option<Arc<str>>,
    /// The user, if there is one and the site's log names users.
    pub user: Option<Arc<str>>,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: Arc<str>,
    /// The referer; empty when absent.
    pub referer: Arc<str>,
    /// The user agent; empty when absent.
    pub user_agent: Arc<str>,
    /// Payload bytes.
    pub payload: u64,
    /// A hash of the header fields; 0 when the site does not see them. Files do not carry it.
    pub header_shape: u64,
    /// What came of it.
    pub outcome: Outcome,
}

impl Event {
    /// The request as it was known before its response.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request {
            time: self.time,
            addr: Some(self.addr),
            credential: self.credential.as_deref(),
            user: self.user.as_deref(),
            method: self.method,
            path: &self.path,
            user_agent: &self.user_agent,
            referer: &self.referer,
            header_shape: self.header_shape,
            ja4: None,
            payload: self.payload,
        }
    }
}

/// Somebody, or something, that sends requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Its position in [`Traffic::actors`].
    pub id: u32,
    /// What it is.
    pub family: &'static str,
    /// Whether what it does is abuse.
    pub abusive: bool,
}

/// Simulated traffic with its labels.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// What the site mostly serves.
    pub style: Style,
    /// What lists say of addresses: −1 good, 1 hosting, 2 hostile. The published ranges of crawlers are
    /// known everywhere; half of the operators have lists of their own.
    pub reputation: AddressMap<i8>,
    /// When the simulation begins.
    pub start: Timestamp,
    /// Its length.
    pub length: Duration,
    /// When the site was down, or a part of what it was asked failed, in seconds from the start.
    pub outages: Vec<Span>,
    /// Every actor; one that came too late or left too early has no event.
    pub actors: Vec<Actor>,
    /// Every request, by time.
    pub events: Vec<Event>,
}

impl Traffic {
    /// The actor behind an event.
    #[must_use]
    pub fn actor(&self, event: &Event) -> Actor {
        self.actors[event.actor as usize]
    }
}

/// Generates `minutes` (at least 1) of traffic. The same arguments give the same traffic.
///
/// The seed alone decides the site, so scenarios of one seed are comparable.
#[must_use]
pub fn generate(scenario: Scenario, seed: u64, minutes: u32) -> Traffic {
    let (mut dice, agents, networks, mut site) = draw_world(seed);
    let length = f64::from(minutes.max(1)) * 60.0;
    // Some instant of 2024 to 2026, at any hour.
    let start = Timestamp::from_secs(1_704_067_200 + dice.below(3 * 365 * 86_400) as u64)
        .plus(Duration::from_millis(dice.below(1000) as u64));
    let day = Day::draw(&mut dice, start, length);
    let rate = (dice.spread(15.0, 60.0) * day.mean()).max(12.5);
    // A day is simulated of sites that are visited less, so that it stays affordable.
    let affordable = length.min(7200.0);
    let total = (rate * affordable).max(500.0);
    // A third of the sites are small: a request a second, or a few in a minute. Those who attack
    // them bring as much as elsewhere.
    let small = dice.chance(0.33);
    site.uncached = Dice::new(seed, 9).chance(0.1);
    let mut manners = Dice::new(seed, 13);
    site.lacking = if manners.chance(0.15) { manners.spread(0.01, 0.6) } else { 0.0 };
    site.suggests = manners.chance(0.3).then(|| site.readable(&mut manners));
    let usual = if small { dice.spread(0.05, 8.0) } else { rate };
    let usual = usual.min(total / length);
    // One in ten is hardly visited: a trial system, or one that went online a moment ago. Attackers find
    // it all the same, and at once. It has a stream of its own, so that it moves no other draw.
    let mut solitude = Dice::new(seed, 6);
    let deserted = solitude.chance(0.1).then(|| solitude.spread(1.0, 300.0));
    let visits = deserted.unwrap_or((usual * length).max(60.0));

    // What depends on the scenario has a stream of its own, so that it moves no other draw.
    let mut fate = Dice::new(seed, 1);
    let attacks = scenario.attacks(&mut fate);
    mishaps(&mut site, scenario, &mut fate, length);
    suited(&mut site, &attacks, &mut fate);
    // Some attacks were under way before anything was seen of the site.
    let under_way = Dice::new(seed, 10).chance(0.25);
    let mut cast: Vec<(u64, &dyn Family, f64, Span)> = Vec::new();
    let whole = Span { from: 0.0, to: length };
    let mut legitimate = 0.0;
    for (n, &family) in FAMILIES.iter().enumerate() {
        let volume = family.volume(&mut dice, site.style) * scenario.emphasis(family.name());
        // Attacks and crowds begin once there is history, each at its own time.
        let (low, high) = if scenario == Scenario::Mixed { (0.0, 0.7) } else { (0.2, 0.5) };
        let mut from = length * dice.between(low, high);
        let mut comes = true;
        if under_way && family.abusive() {
            from = 0.0;
        }
        if deserted.is_some() {
            from *= solitude.unit();
            comes = solitude.chance(0.4);
        }
        let later = Span { from, to: length };
        if family.abusive() {
            if attacks.contains(&family.name()) {
                cast.push((n as u64, family, volume, later));
            }
        } else if family.name() == "crowd" {
            if scenario.crowded() {
                cast.push((n as u64, family, volume, later));
            }
        } else if comes {
            legitimate += volume;
            cast.push((n as u64, family, volume, whole));
        }
    }
    if solitude.chance(if deserted.is_some() { 0.7 } else { 0.1 }) {
        let volume = Developer.volume(&mut solitude, site.style);
        legitimate += volume;
        cast.push((FAMILIES.len() as u64, &Developer, volume, whole));
    }
    let mut bookish = Dice::new(seed, 11);
    if site.style != Style::Api && bookish.chance(0.5) {
        let volume = Reader.volume(&mut bookish, site.style);
        legitimate += volume;
        cast.push((FAMILIES.len() as u64 + 2, &Reader, volume, whole));
    }
    let mut on_air = Dice::new(seed, 12);
    if on_air.chance(0.4) {
        let volume = Live.volume(&mut on_air, site.style);
        legitimate += volume;
        cast.push((FAMILIES.len() as u64 + 3, &Live, volume, whole));
    }
    // On one site in five clients show nothing of a visit, and on most of these there is nobody else.
    let mut dull = Dice::new(seed, 8);
    if dull.chance(0.2) {
        let offices = matches!(scenario, Scenario::Office | Scenario::Insider);
        let alone = dull.chance(0.6) && !offices;
        if alone {
            cast.retain(|(_, family, _, _)| !everyday(*family));
            legitimate = 0.0;
        }
        let plain: &dyn Family =
            if alone { &Plain { alone: true } } else { &Plain { alone: false } };
        let volume = plain.volume(&mut dull, site.style);
        legitimate += volume;
        cast.push((FAMILIES.len() as u64 + 1, plain, volume, whole));
    }
    for (_, family, volume, _) in &mut cast {
        if everyday(*family) {
            *volume /= legitimate;
        }
    }

    let mut lists = lists(seed, &networks);
    let (mut actors, mut events, mut offices) = (Vec::new(), Vec::new(), Vec::new());
    for (n, family, volume, span) in cast {
        let mut stage = Stage {
            site: &site,
            agents: &agents,
            networks: &networks,
            dice: Dice::new(seed, 16 + n),
            length,
            day: &day,
            span,
            // Long simulations stay affordable: an attack does not grow with them without end.
            budget: if everyday(family) {
                (volume * visits).max(if small || deserted.is_some() { 3.0 } else { 20.0 })
            } else {
                (volume * total).clamp(20.0, 150_000.0)
            } as usize,
            offices: &mut offices,
            inside: family.abusive() && scenario == Scenario::Insider,
            lists: lists.as_mut(),
            start,
            family: family.name(),
            abusive: family.abusive(),
            sent: 0,
            actors: &mut actors,
            events: &mut events,
        };
        family.play(&mut stage);
    }
    if dice.chance(0.25) {
        // Many logs know the second only.
        for event in &mut events {
            event.time = Timestamp::from_secs(event.time.as_secs());
        }
    }
    events.sort_by_key(|event| event.time);
    // A site that is visited less, because it is small or because a day of it is simulated, has the
    // machines of any other: its partners' programs are not what breaks it.
    strain(&mut events, &mut Dice::new(seed, 2), rate);
    Telling::draw(&mut Dice::new(seed, 7)).leave_out(&mut events);
    let reputation = lists.map_or_else(crawlers::published, |lists| lists.known);
    Traffic {
        style: site.style,
        reputation,
        start,
        length: Duration::from_secs_f64(length),
        outages: site.outages.iter().map(|(span, _)| *span).collect(),
        actors,
        events,
    }
}

/// Whether the family is there all the time: neither an attack nor a crowd.
fn everyday(family: &dyn Family) -> bool {
    !family.abusive() && family.name() != "crowd"
}

/// The site of a seed, with the agents and networks that exist, and the dice for the rest.
fn draw_world(seed: u64) -> (Dice, Agents, Networks, Site) {
    let mut dice = Dice::new(seed, 0);
    let app = capital(&word(&mut dice));
    let agents = Agents::draw(&mut dice, &app);
    let networks = Networks::draw(&mut dice);
    let site = Site::draw(&mut dice);
    (dice, agents, networks, site)
}

/// What the site of this seed mostly serves.
#[must_use]
pub fn style_of(seed: u64) -> Style {
    draw_world(seed).3.style
}

/// What the operator of this seed's site has in lists, if anything.
fn lists(seed: u64, networks: &Networks) -> Option<Lists> {
    let mut dice = Dice::new(seed, 5);
    if dice.chance(0.5) {
        return None;
    }
    let mut lists = Lists {
        hostile: dice.spread(0.005, 0.4),
        wrong: dice.spread(0.0005, 0.02),
        known: crawlers::published(),
    };
    if dice.chance(0.7) {
        for network in networks.hosting_list(&mut dice) {
            lists.known.insert(network, 1);
        }
    }
    Some(lists)
}

/// Outages and deployments: surely where the scenario is about them, now and then elsewhere.
fn mishaps(site: &mut Site, scenario: Scenario, dice: &mut Dice, length: f64) {
    let certain = scenario == Scenario::Outage;
    if certain || dice.chance(0.12) {
        let from = length * dice.between(0.15, 0.75);
        let lasts = if certain { dice.spread(60.0, 480.0) } else { dice.spread(3.0, 40.0) };
        let share = if dice.chance(0.4) { 1.0 } else { dice.between(0.2, 1.0) };
        site.outages.push((Span { from, to: from + lasts }, share));
    }
    if scenario == Scenario::Deploy || dice.chance(0.15) {
        site.deploy = Some(length * dice.between(0.2, 0.8));
    }
}

/// Gives the site what an attack of these families is about.
fn suited(site: &mut Site, attacks: &[&str], dice: &mut Dice) {
    if attacks.contains(&"patient") && dice.chance(0.6) {
        site.login.hide_failures();
    }
    if attacks.contains(&"churner") || attacks.contains(&"sharing") {
        site.names_credentials = true;
    }
}

/// What happens to everybody when more comes in than the site can serve: it slows down, and fails.
fn strain(events: &mut [Event], dice: &mut Dice, usual: f64) {
    let capacity = usual * dice.spread(3.0, 60.0);
    let sheds = dice.between(0.0, 0.9);
    let status = dice.pick(&[503, 503, 502, 504, 500]);
    let bytes = dice.spread(20.0, 4000.0) as u64;
    let seconds = events.chunk_by_mut(|a, b| a.time.as_secs() == b.time.as_secs());
    for second in seconds {
        let load = second.len() as f64 / capacity;
        if load <= 1.0 {
            continue;
        }
        for event in second {
            let slow = 1.0 + (load - 1.0) * 3.0 * dice.unit();
            event.outcome.duration = event.outcome.duration.map(|duration| {
                let slowed = (duration.as_secs_f64() * slow).min(60.0);
                Duration::from_millis((slowed * 1000.0) as u64)
            });
            if dice.chance((1.0 - 1.0 / load) * sheds) {
                event.outcome.status = status;
                event.outcome.bytes = bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests;
