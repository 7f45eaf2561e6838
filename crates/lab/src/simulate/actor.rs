//! What every family of actors shares: the stage they play on, the clients they play, the registry.

use super::address::{Networks, Place};
use super::agents::{AgentKind, Agents};
use super::assets::Asset;
use super::day::Day;
use super::dice::{Dice, mix};
use super::retries::Retries;
use super::route::Query;
use super::site::{Site, Span, Style};
use super::words::word;
use super::{Actor, Event};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_behavior::address::AddressMap;
use tidegate_behavior::{Method, Outcome};
use tidegate_limiter::Timestamp;

/// From this many seconds on, six hours, a simulation is one of a day: people go and come back.
const LONG: f64 = 21_600.0;

/// A kind of actor: a way to use a site, or to abuse it.
pub trait Family: Sync {
    /// The name that labels carry.
    fn name(&self) -> &'static str;

    /// Whether what it does is abuse.
    fn abusive(&self) -> bool {
        false
    }

    /// How many requests it sends, as a share of all legitimate requests (those of the legitimate
    /// families are scaled to sum to 1).
    fn volume(&self, dice: &mut Dice, style: Style) -> f64;

    /// Puts its actors and all that they send on the stage: at least one actor, and about
    /// [`Stage::budget`] requests.
    fn play(&self, stage: &mut Stage<'_>);
}

/// Every family. A new one is a file of its own and a line here.
pub const FAMILIES: &[&dyn Family] = &[
    &super::visitor::Visitor,
    &super::mobile::Mobile,
    &super::integration::Integration,
    &super::office::Office,
    &super::crawler::Crawler,
    &super::monitor::Monitor,
    &super::crowd::Crowd,
    &super::flood::Flood,
    &super::botnet::Botnet,
    &super::scanner::Scanner,
    &super::scraper::Scraper,
    &super::stuffing::Stuffing,
    &super::enumeration::Enumeration,
    &super::bruteforce::Bruteforce,
    &super::hoarder::Hoarder,
    &super::carding::Carding,
    &super::headless::Headless,
    &super::swarm::Swarm,
    &super::patient::Patient,
    &super::churner::Churner,
    &super::sharing::Sharing,
    &super::ramp::Ramp,
    &super::submitter::Submitter,
    &super::worker::Worker,
];

/// One client as the site sees it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The actor behind it.
    pub actor: u32,
    /// Its address at the moment.
    pub addr: IpAddr,
    /// The credential it sends.
    pub credential: Option<Arc<str>>,
    /// The user it acts for.
    pub user: Option<Arc<str>>,
    /// Its user agent.
    pub agent: Arc<str>,
    /// The hash of its header fields; 0 when the site does not see them.
    pub shape: u64,
    /// Whether the site lets it see guarded routes; logs need not show why.
    pub known: bool,
    /// How many assets it loads beside each request, on average, to pass for a browser.
    pub pads: f64,
    /// Whether it shows another browser's agent at each request.
    pub fickle: bool,
    /// What it does when the site fails, if it is a program.
    pub retries: Retries,
}

/// What an attacker shows.
#[derive(Clone, Debug)]
pub struct Mask {
    /// The user agent.
    pub agent: Arc<str>,
    /// The software that writes its header fields, by the agent it would show of itself. What lies about
    /// its agent writes the same fields as what does not.
    pub software: (Arc<str>, AgentKind),
    /// How many assets it loads beside each request, on average; most load none.
    pub pads: f64,
    /// Whether each source makes up a key: many a gateway takes it for a name and checks it later.
    pub forges: bool,
}

/// A request as a family writes it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: Arc<str>,
    /// The referer; empty for none.
    pub referer: Arc<str>,
    /// Payload bytes.
    pub payload: u64,
}

impl Call {
    /// A GET without a referer.
    pub fn get(path: impl Into<Arc<str>>) -> Self {
        Self { method: Method::Get, path: path.into(), referer: Arc::default(), payload: 0 }
    }

    /// A POST of `payload` bytes without a referer.
    pub fn post(path: impl Into<Arc<str>>, payload: u64) -> Self {
        Self { method: Method::Post, payload, ..Self::get(path) }
    }

    /// The same with a referer.
    #[must_use]
    pub fn from(mut self, referer: Arc<str>) -> Self {
        self.referer = referer;
        self
    }
}

/// What an operator's lists say: published ranges of crawlers, hosting networks, hostile addresses.
#[derive(Clone, Debug)]
pub struct Lists {
    /// By network: −1 good, 1 hosting, 2 hostile.
    pub known: AddressMap<i8>,
    /// The share of attacking addresses that a list names.
    pub hostile: f64,
    /// The share of addresses that a list names wrongly: harmless ones as hostile, attacking ones as
    /// good.
    pub wrong: f64,
}

impl Lists {
    fn note(&mut self, addr: IpAddr, value: i8) {
        self.known.insert(IpNet::from(addr), value);
    }
}

/// The stage on which one family plays.
pub struct Stage<'a> {
    /// The site.
    pub site: &'a Site,
    /// The user agents that exist.
    pub agents: &'a Agents,
    /// The networks that exist.
    pub networks: &'a Networks,
    /// The family's own draws.
    pub dice: Dice,
    /// The length of the simulation in seconds.
    pub length: f64,
    /// How many people are about, and when.
    pub day: &'a Day,
    /// When an attack (or a crowd) is under way; the whole of the simulation for others.
    pub span: Span,
    /// About how many requests the family may send.
    pub budget: usize,
    /// The addresses that many people share.
    pub offices: &'a mut Vec<IpAddr>,
    /// Whether attackers sit in one of these.
    pub(super) inside: bool,
    /// What lists say of addresses, where the operator has lists.
    pub(super) lists: Option<&'a mut Lists>,
    pub(super) start: Timestamp,
    pub(super) family: &'static str,
    pub(super) abusive: bool,
    pub(super) sent: usize,
    pub(super) actors: &'a mut Vec<Actor>,
    pub(super) events: &'a mut Vec<Event>,
}

impl Stage<'_> {
    /// Whether the family has requests left to send.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.sent < self.budget
    }

    /// How many requests are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.budget.saturating_sub(self.sent)
    }

    /// A new actor with one client, at an address of this kind, with an agent of that kind.
    pub fn client(&mut self, place: Place, kind: AgentKind) -> Client {
        let addr = self.networks.any(&mut self.dice, place);
        let agent = self.agents.any(&mut self.dice, kind);
        if let Some(lists) = &mut self.lists
            && self.dice.chance(lists.wrong)
        {
            lists.note(addr, 2);
        }
        self.client_at(addr, agent, kind)
    }

    /// Whoever runs the client says in public that it sends from there.
    pub fn publish(&mut self, client: &Client) {
        if let Some(lists) = &mut self.lists {
            lists.note(client.addr, -1);
        }
    }

    /// A new actor with one client at `addr`; `shape` is the software that writes its headers.
    pub fn client_at(&mut self, addr: IpAddr, agent: Arc<str>, shape: AgentKind) -> Client {
        let id = self.actors.len() as u32;
        self.actors.push(Actor { id, family: self.family, abusive: self.abusive });
        let shape = self.shape(&agent, shape);
        Client {
            actor: id,
            addr,
            credential: None,
            user: None,
            agent,
            shape,
            known: false,
            pads: 0.0,
            fickle: false,
            retries: Retries::default(),
        }
    }

    /// The header shape of `agent` when software of this kind sends it.
    #[must_use]
    pub fn shape(&self, agent: &str, kind: AgentKind) -> u64 {
        if !self.site.sees_headers {
            return 0;
        }
        // Browsers of one engine write their fields alike, whatever their version.
        let last = agent.rsplit(' ').next().unwrap_or(agent);
        let family = last.split('/').next().unwrap_or(last);
        family.bytes().fold(kind as u64 + 1, |hash, byte| mix(hash, u64::from(byte)))
    }

    /// Gives the client a key or token; the log shows it if the site's log names credentials.
    pub fn give_credential(&mut self, client: &mut Client) {
        client.known = true;
        if self.site.names_credentials {
            let prefix = self.dice.pick(&["", "key_", "tok-", "sk_live_", "app:"]);
            client.credential = Some(format!("{prefix}{:016x}", self.dice.bits()).into());
        }
    }

    /// The name of some user, as the log would have it; `None` when it names none.
    pub fn user(&mut self) -> Option<Arc<str>> {
        if !self.site.names_users {
            return None;
        }
        let name = word(&mut self.dice);
        Some(match self.dice.below(3) {
            0 => name.into(),
            1 => format!("{name}.{}", word(&mut self.dice)).into(),
            _ => format!("{name}{}@{}.com", self.dice.below(100), word(&mut self.dice)).into(),
        })
    }

    /// Sends a request at `at` seconds; what lies outside the simulation is not recorded.
    pub fn send(&mut self, client: &Client, at: f64, call: Call, outcome: Outcome) -> u16 {
        if (0.0..self.length).contains(&at) {
            self.sent += 1;
            let user_agent = if client.fickle {
                self.agents.any(&mut self.dice, AgentKind::Browser)
            } else {
                client.agent.clone()
            };
            self.events.push(Event {
                // Whole milliseconds, so that a written log says the same as the memory.
                time: self.start.plus(Duration::from_millis((at * 1000.0) as u64)),
                actor: client.actor,
                addr: client.addr,
                credential: client.credential.clone(),
                user: client.user.clone(),
                method: call.method,
                path: call.path,
                referer: call.referer,
                user_agent,
                payload: call.payload,
                header_shape: client.shape,
                outcome,
            });
            self.pad(client, at);
        }
        outcome.status
    }

    /// Loads what a page would need, for the look of it: the same few files again and again.
    fn pad(&mut self, client: &Client, at: f64) {
        let site = self.site;
        if client.pads <= 0.0 || site.shared_assets == 0 {
            return;
        }
        let whole = client.pads.floor();
        let count = whole as usize + usize::from(self.dice.chance(client.pads - whole));
        let plain = Client { pads: 0.0, ..client.clone() };
        for _ in 0..count {
            let asset = Asset::Shared(self.dice.below(site.shared_assets));
            let at = at + self.dice.pause(0.2);
            let outcome = site.asset(&mut self.dice, at, asset, site.version(at), false);
            let path = site.assets.path(asset, site.version(at));
            self.send(&plain, at, Call::get(path), outcome);
        }
    }

    /// What is sent for somebody else: one of the forms, or a payment.
    pub fn some_form(&mut self) -> Option<usize> {
        let forms = self.site.forms.len();
        self.dice.chance(0.5).then(|| self.dice.below(forms))
    }

    /// Sends what somebody else wanted sent: a form, else a payment.
    pub fn serve(&mut self, client: &Client, at: f64, referer: &Arc<str>, form: Option<usize>) {
        let site = self.site;
        let good = !self.dice.chance(0.08);
        let dice = &mut self.dice;
        let (path, payload, outcome) = match form.map(|at| (at, &site.forms[at])) {
            Some((n, form)) => (&form.path, form.payload(dice), site.submit(dice, at, n, good)),
            None => (&site.shop.payment, site.shop.payload(dice), site.pay(dice, at, good)),
        };
        self.send(client, at, Call::post(path.as_str(), payload).from(referer.clone()), outcome);
    }

    /// Asks for a route as the site serves it to `client`.
    pub fn ask(
        &mut self,
        client: &Client,
        at: f64,
        route: usize,
        path: Arc<str>,
        referer: Arc<str>,
    ) -> u16 {
        let site = self.site;
        let method = site.routes[route].method;
        let payload = if method.writes() && method != Method::Delete {
            site.written(&mut self.dice)
        } else {
            0
        };
        let outcome = site.serve(&mut self.dice, at, route, client.known);
        self.send(client, at, Call { method, path, referer, payload }, outcome)
    }

    /// A popular path of `route`.
    pub fn popular(&mut self, route: usize) -> Arc<str> {
        let route = &self.site.routes[route];
        let item = route.popular(&mut self.dice);
        route.path(item, &Query::None).into()
    }

    /// An agent that an attacker shows: mostly a browser's, now and then what it really is.
    pub fn disguise(&mut self) -> Mask {
        let dice = &mut self.dice;
        let pads = if dice.chance(0.25) { dice.spread(0.2, 5.0) } else { 0.0 };
        let tool = self.agents.any(dice, AgentKind::Tool);
        let (agent, honest) = match dice.below(20) {
            0..=10 => {
                let agent = self.agents.any(dice, AgentKind::Browser);
                let honest = dice.chance(0.5).then(|| (agent.clone(), AgentKind::Browser));
                (agent, honest)
            }
            11..=16 => (tool.clone(), None),
            17 => (self.agents.any(dice, AgentKind::App), None),
            18 => (self.agents.any(dice, AgentKind::Robot), None),
            _ => (Arc::default(), None),
        };
        let software = honest.unwrap_or((tool, AgentKind::Tool));
        let forges = dice.chance(0.25);
        Mask { agent, software, pads, forges }
    }

    /// A new attacking source: hosting or home, with `mask` as its agent.
    pub fn source(&mut self, hosted: f64, mask: &Mask) -> Client {
        let addr = self.den(hosted);
        self.source_at(addr, mask)
    }

    /// A new attacking source at `addr`, of which lists may speak.
    pub fn source_at(&mut self, addr: IpAddr, mask: &Mask) -> Client {
        if let Some(lists) = &mut self.lists {
            if self.dice.chance(lists.hostile) {
                lists.note(addr, 2);
            } else if self.dice.chance(lists.wrong) {
                lists.note(addr, -1);
            }
        }
        self.masked(addr, mask)
    }

    /// A new actor with one client at `addr` that shows `mask`.
    pub fn masked(&mut self, addr: IpAddr, mask: &Mask) -> Client {
        let (software, kind) = &mask.software;
        let shape = self.shape(software, *kind);
        let client = self.client_at(addr, mask.agent.clone(), *kind);
        let mut client = Client { pads: mask.pads, shape, ..client };
        if mask.forges {
            // It opens nothing.
            self.give_credential(&mut client);
            client.known = false;
        }
        client
    }

    /// Where an attacker sits.
    fn den(&mut self, hosted: f64) -> IpAddr {
        if self.inside
            && let Some(office) = self.offices.first()
        {
            return *office;
        }
        let place = if self.dice.chance(hosted) { Place::Hosting } else { Place::Home };
        self.networks.any(&mut self.dice, place)
    }

    /// A new attacking source as [`source`](Self::source) makes it, which `rotates` its agent: it
    /// shows some browser's instead of the mask's, with the header fields of the same software, and
    /// one in four another at each request.
    pub fn recruit(&mut self, hosted: f64, mask: &Mask, rotates: bool) -> Client {
        if rotates {
            let agent = self.agents.any(&mut self.dice, AgentKind::Browser);
            let fickle = self.dice.chance(0.25);
            let client = self.source(hosted, &Mask { agent, ..mask.clone() });
            return Client { fickle, ..client };
        }
        self.source(hosted, mask)
    }

    /// Up to how many requests the next of `sources` that are still to play may bring the family:
    /// its part of what is left, and `spare` more.
    #[must_use]
    pub fn part(&self, sources: usize, spare: usize) -> usize {
        self.sent + self.left() / sources + spare
    }

    /// When somebody comes: at any time, or with one of the site's waves.
    pub fn arrival(&mut self) -> f64 {
        let Some(waves) = self.site.waves else {
            return self.day.moment(self.dice.unit());
        };
        if self.dice.chance(waves.calm) {
            return self.day.moment(self.dice.unit());
        }
        let nearest = (self.day.moment(self.dice.unit()) / waves.period).floor();
        let wave = (nearest + waves.phase) * waves.period;
        (wave + self.dice.pause(waves.width)).min(self.length)
    }

    /// When somebody comes who has been here before, or is here already; `within` is the part of the
    /// run by which most have come. Of a day there is nobody who was there before it.
    pub fn familiar(&mut self, within: f64) -> f64 {
        if self.length >= LONG {
            return self.arrival();
        }
        self.dice.between(-self.length.min(600.0), self.length * within)
    }

    /// How long somebody stays away between two visits.
    pub fn absence(&mut self, median: f64) -> f64 {
        if self.length >= LONG && self.dice.chance(0.3) {
            return self.dice.spread(3600.0, 36_000.0);
        }
        self.dice.log_normal(median, 1.0)
    }

    /// When an attack of this family begins and ends: within the attack's span, not all at once. Three in
    /// ten last as long as there is anything to be seen, for to be there for long is no virtue.
    pub fn bout(&mut self, shortest: f64, longest: f64) -> Span {
        if self.dice.chance(0.3) {
            return self.span;
        }
        self.spell(shortest, longest)
    }

    /// As [`bout`](Self::bout), of what nobody can keep up for long.
    pub fn spell(&mut self, shortest: f64, longest: f64) -> Span {
        let from = self.span.from + self.dice.unit() * self.span.length() * 0.5;
        let length = self.dice.spread(shortest, longest);
        Span { from, to: (from + length).min(self.span.to) }
    }
}

/// The moments of a machine that sends about `rate` requests a second.
#[derive(Clone, Debug)]
pub struct Pace {
    mean: f64,
    jitter: Jitter,
}

#[derive(Clone, Debug)]
enum Jitter {
    Regular(f64),
    Poisson,
    LogNormal(f64),
    Bursts(usize, f64, usize),
}

impl Pace {
    /// Draws how a sender of `rate` requests a second spaces them: regular, at random, in bursts.
    pub fn draw(dice: &mut Dice, rate: f64) -> Self {
        let jitter = match dice.below(5) {
            0 => Jitter::Regular(dice.spread(0.001, 0.3)),
            1 => Jitter::Poisson,
            2 | 3 => Jitter::LogNormal(dice.between(0.2, 1.2)),
            _ => Jitter::Bursts(dice.magnitude(2, 60), dice.spread(0.02, 0.3), 0),
        };
        Self { mean: 1.0 / rate.max(1e-6), jitter }
    }

    /// The pause before the next request, in seconds.
    pub fn next(&mut self, dice: &mut Dice) -> f64 {
        match &mut self.jitter {
            Jitter::Regular(share) => self.mean * (1.0 + *share * (dice.unit() - 0.5)),
            Jitter::Poisson => dice.pause(self.mean),
            Jitter::LogNormal(sigma) => {
                // The median is below the mean by exp(sigma²/2).
                dice.log_normal(self.mean * (-0.5 * *sigma * *sigma).exp(), *sigma)
            }
            Jitter::Bursts(size, quick, done) => {
                *done += 1;
                if *done % *size == 0 {
                    let rest = self.mean * *size as f64 * (1.0 - *quick) + self.mean * *quick;
                    rest * dice.between(0.7, 1.3)
                } else {
                    dice.pause(self.mean * *quick)
                }
            }
        }
    }
}
