//! What open pages, players and devices ask for by themselves: tickers, chats, waiting rooms, streams.

use super::actor::{Call, Client, Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::browse::{Browser, Referers};
use super::dice::{Dice, mix};
use super::route::Query;
use super::site::Style;
use super::words::{noun, word};
use std::sync::Arc;

/// Everybody who has something open that asks on.
pub(super) struct Live;

/// How one call is told from the one before.
#[derive(Clone, Copy)]
enum Cursor {
    /// It is not.
    None,
    /// By the time, so that no cache answers: in so many parts of a second.
    Time(f64),
    /// By how far the client has come.
    Count(usize),
    /// By chance.
    Chance,
}

/// Something that goes on, and is asked for again and again.
struct Channel {
    path: Arc<str>,
    name: &'static str,
    cursor: Cursor,
    /// A name of the client that every call carries, if any.
    session: Option<&'static str>,
    /// A list of pieces beside, of which there is a new one at each call: where they are, and how they end.
    pieces: Option<(String, &'static str)>,
    period: f64,
    jitter: f64,
    /// Whether people press a button, who are less regular than a program.
    by_hand: bool,
    /// How often there is nothing new, and what is answered then.
    idle: f64,
    nothing: u16,
    bytes: f64,
    /// How often something is said as well.
    says: f64,
    /// Whether everybody asks for something of their own: a parcel, a booking, a home.
    own: bool,
    /// How many are refused for good, for they are too old or their token is, and what they are told.
    spoiled: f64,
    refusal: u16,
    /// The median time for which somebody stays.
    lasts: f64,
}

impl Channel {
    fn draw(stage: &mut Stage<'_>) -> Self {
        let site = stage.site;
        let own = stage.dice.chance(0.5);
        let path = if own {
            let head =
                stage.dice.pick(&["/api", "/live", "/feed", "/events", "/ajax", "/poll", "/hls"]);
            let item = if stage.dice.chance(0.5) {
                format!("/{}", stage.dice.below(100_000))
            } else {
                String::new()
            };
            format!("{head}/{}{item}", noun(&mut stage.dice)).into()
        } else {
            let route = site.readable(&mut stage.dice);
            stage.popular(route)
        };
        let dice = &mut stage.dice;
        let by_hand = dice.chance(0.2);
        let pieces = (!by_hand && dice.chance(0.2)).then(|| {
            let place = format!("/{}/{}/", noun(dice), word(dice));
            (place, dice.pick(&[".ts", ".aac", ".m4s", ".jpg", ".json", ""]))
        });
        Self {
            path,
            name: dice.pick(&["since", "t", "_", "ts", "after", "cursor", "rev", "seq", "last"]),
            cursor: match dice.below(6) {
                0 | 1 => Cursor::None,
                2 => Cursor::Time(1.0),
                3 => Cursor::Time(1000.0),
                4 => Cursor::Count(dice.magnitude(1, 40)),
                _ => Cursor::Chance,
            },
            session: dice.chance(0.2).then(|| dice.pick(&["sid", "client", "session", "token"])),
            pieces,
            period: if by_hand { dice.spread(3.0, 40.0) } else { dice.spread(0.8, 40.0) },
            jitter: dice.spread(0.002, 0.3),
            by_hand,
            idle: dice.unit(),
            nothing: dice.pick(&[200, 204, 304]),
            bytes: dice.spread(40.0, 20_000.0),
            says: if dice.chance(0.2) { dice.spread(0.02, 0.6) } else { 0.0 },
            own: dice.chance(0.25),
            spoiled: if dice.chance(0.2) { dice.spread(0.02, 1.0) } else { 0.0 },
            refusal: dice.pick(&[401, 401, 403, 404, 410, 426, 400]),
            lasts: dice.spread(60.0, 5400.0),
        }
    }

    /// The path of a client's `n`-th call at `at`.
    fn call(&self, dice: &mut Dice, client: u64, n: usize, at: f64) -> String {
        let mut path = self.path.to_string();
        if self.own && !path.contains('?') {
            path = format!("{path}/{:x}", mix(client, 3) >> 24);
        }
        let mut add = |name: &str, value: String| {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&format!("{name}={value}"));
        };
        match self.cursor {
            Cursor::None => {}
            Cursor::Time(parts) => add(self.name, format!("{:.0}", (1.6e9 + at) * parts)),
            Cursor::Count(step) => add(self.name, (n * step).to_string()),
            Cursor::Chance => add(self.name, format!("{:x}", dice.bits() >> 20)),
        }
        if let Some(name) = self.session {
            add(name, format!("{:012x}", mix(client, 7) >> 16));
        }
        path
    }

    /// Somebody listens from `from` on.
    fn listen(&self, stage: &mut Stage<'_>, client: &Client, from: f64, referer: &Arc<str>) {
        let site = stage.site;
        let end = from + stage.dice.log_normal(self.lasts, 0.8);
        let name = stage.dice.bits();
        let spoiled = stage.dice.chance(self.spoiled);
        let (mut at, mut n) = (from, 0);
        while at < end.min(stage.length) && stage.goes_on() {
            let idle = stage.dice.chance(self.idle);
            let status = match (spoiled, idle) {
                (true, _) => self.refusal,
                (false, true) => self.nothing,
                (false, false) => 200,
            };
            let path = self.call(&mut stage.dice, name, n, at);
            let outcome = site.plain(&mut stage.dice, at, status, self.bytes);
            let status = stage.send(client, at, Call::get(path).from(referer.clone()), outcome);
            if let Some((place, ending)) = &self.pieces {
                let path = format!("{place}{}{ending}", (at / self.period) as usize);
                let outcome = site.plain(&mut stage.dice, at, 200, self.bytes * 20.0);
                stage.send(client, at + 0.1, Call::get(path).from(referer.clone()), outcome);
            }
            if stage.dice.chance(self.says) {
                let path = self.call(&mut stage.dice, name, n, at);
                let outcome = site.plain(&mut stage.dice, at, 200, 40.0);
                let call = Call::post(path, site.written(&mut stage.dice)).from(referer.clone());
                stage.send(client, at + 0.2, call, outcome);
            }
            n += 1;
            at += if status >= 500 {
                // What was written with care waits longer, the rest asks on.
                self.period * stage.dice.spread(1.0, 6.0)
            } else if self.by_hand {
                stage.dice.log_normal(self.period, 0.6)
            } else {
                self.period * (1.0 + self.jitter * stage.dice.unit())
            };
        }
    }
}

impl Family for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.03, 1.0)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let channels: Vec<Channel> =
            (0..1 + stage.dice.zipf(3, 1.0)).map(|_| Channel::draw(stage)).collect();
        loop {
            let channel = &channels[stage.dice.below(channels.len())];
            audience(stage, channel);
            if !stage.goes_on() {
                break;
            }
        }
    }
}

/// Those who listen to one channel: a few or hundreds, all since something began or whenever they like.
fn audience(stage: &mut Stage<'_>, channel: &Channel) {
    let site = stage.site;
    let listeners = stage.dice.magnitude(1, 400);
    let devices = stage.dice.chance(0.3);
    let kind = if devices { AgentKind::App } else { AgentKind::Browser };
    let device = devices.then(|| stage.agents.any(&mut stage.dice, AgentKind::App));
    let page = (site.pages > 0 && !devices)
        .then(|| stage.dice.below(site.pages))
        .map(|route| (route, site.routes[route].popular(&mut stage.dice)));
    let begins = stage.dice.between(-300.0, stage.length * 0.7);
    let rush = stage.dice.chance(0.4).then(|| stage.dice.spread(5.0, 900.0));
    // Devices of one house, a class before the same broadcast: one address for many.
    let gathers = if stage.dice.chance(if devices { 0.6 } else { 0.3 }) {
        stage.dice.between(0.05, 1.0)
    } else {
        0.0
    };
    let house = stage.dice.magnitude(2, 120);
    let signs_in = if stage.dice.chance(0.4) { stage.dice.unit() } else { 0.0 };
    let shows = stage.dice.chance(0.5);
    let mut come = 0;
    while come < listeners && stage.goes_on() {
        let mut client = stage.client(Place::Home, kind);
        if let Some(agent) = &device {
            client.agent = agent.clone();
            client.shape = stage.shape(agent, kind);
        }
        let signs = stage.dice.chance(signs_in);
        let here = if stage.dice.chance(gathers) { stage.dice.count(2, house) } else { 1 };
        for _ in 0..here {
            let at = match rush {
                Some(within) => begins + stage.dice.pause(within),
                None => stage.familiar(1.0),
            };
            let mut browser = Browser::new(client.clone(), &mut stage.dice);
            if !devices && here > 1 && stage.dice.chance(0.5) {
                browser.client.agent = stage.agents.any(&mut stage.dice, kind);
                browser.client.shape = stage.shape(&browser.client.agent, kind);
            }
            let mut at = at;
            if signs && stage.dice.chance(0.7) {
                let wrong = stage.dice.zipf(3, 2.0);
                at = browser.log_in(stage, at, wrong);
                if shows {
                    stage.give_credential(&mut browser.client);
                }
            }
            let (from, referer) = match page {
                Some((route, item)) => {
                    browser.arrive(&mut stage.dice);
                    let (done, _) = browser.open(stage, at, route, item, &Query::None);
                    (done + 0.1, browser.here())
                }
                None if devices || browser.referers == Referers::None => (at, Arc::default()),
                None => (at, site.application.as_str().into()),
            };
            channel.listen(stage, &browser.client, from, &referer);
            come += 1;
        }
    }
}
