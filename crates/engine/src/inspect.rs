//! What an operator may ask the engine about clients, routes and reasons, and do by hand.

use crate::client::Client;
use crate::company::among;
use crate::decision::Action;
use crate::engine::Engine;
use crate::hand::{ByHand, Hand, TooManyByHand};
use crate::journal::Moment;
use crate::policy::Policy;
use std::net::IpAddr;
use tidegate_behavior::Features;
use tidegate_behavior::groups::GroupView;
use tidegate_behavior::schema::{COUNT, SCHEMA};
use tidegate_limiter::{Key, Timestamp};
use tidegate_models::Model;

/// A client as an operator sees it.
#[derive(Clone, Debug)]
pub struct ClientView {
    /// Its key: what names it in the operator's calls.
    pub key: Key,
    /// Its address, or a hash of its credential.
    pub name: String,
    /// Smoothed risk, 0..1.
    pub risk: f32,
    /// The limit that applied last, requests a minute.
    pub limit_per_min: f32,
    /// What was decided last.
    pub action: Action,
    /// Requests let through.
    pub allowed: u64,
    /// Requests denied.
    pub denied: u64,
    /// Its requests over the last minute, decayed.
    pub per_minute: f32,
    /// How unlike other clients it is, 0..1; `None` before it was looked at.
    pub anomaly: Option<f32>,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// When it was first seen.
    pub first_seen: Timestamp,
}

/// More about one client.
#[derive(Clone, Debug)]
pub struct ClientDetail {
    /// What a list says of it.
    pub view: ClientView,
    /// Good requests that its limit has been earned with.
    pub good: f32,
    /// Seconds until its block ends; 0 when there is none.
    pub blocked_for: u32,
    /// The route it asked for last.
    pub route: String,
    /// Those told apart behind its address.
    pub guests: usize,
    /// What was set for it by hand.
    pub by_hand: Option<ByHand>,
}

/// Which clients somebody wants to see.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Part of the name; empty for all.
    pub search: String,
    /// What was decided last; `None` for all.
    pub action: Option<Action>,
    /// What they are ordered by.
    pub order: Order,
    /// Smallest first instead of largest first.
    pub ascending: bool,
    /// So many are left out.
    pub skip: usize,
    /// Most that are answered.
    pub most: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            search: String::new(),
            action: None,
            order: Order::LastSeen,
            ascending: false,
            skip: 0,
            most: 50,
        }
    }
}

/// What clients are ordered by; ties go by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// When last seen.
    #[default]
    LastSeen,
    /// When first seen.
    FirstSeen,
    /// Risk.
    Risk,
    /// Requests.
    Requests,
    /// Requests over the last minute.
    PerMinute,
    /// Denied requests.
    Denied,
    /// The limit.
    Limit,
}

/// Some of the clients that were wanted.
#[derive(Clone, Debug)]
pub struct Found {
    /// They.
    pub clients: Vec<ClientView>,
    /// How many there are in all that fit.
    pub matched: usize,
}

/// A route as an operator sees it.
#[derive(Clone, Debug)]
pub struct RouteView {
    /// Its template.
    pub name: String,
    /// What all do on it.
    pub group: GroupView,
}

/// What one feature has to do with a score.
#[derive(Clone, Copy, Debug)]
pub struct Contribution {
    /// The feature, a position in the schema.
    pub feature: usize,
    /// Its value.
    pub value: f32,
    /// What it added, in log-odds: positive speaks for abuse.
    pub added: f32,
    /// What is usual of it here, of clients that nothing is done about.
    pub usual: Option<f32>,
    /// What the score would be with the usual value instead.
    pub otherwise: Option<f32>,
}

/// Why a client is where it is.
#[derive(Clone, Debug)]
pub struct Why {
    /// The moment that is explained.
    pub moment: Moment,
    /// In plain words, most important first.
    pub reasons: Vec<String>,
    /// What each feature added, largest first; none when no model scored.
    pub contributions: Vec<Contribution>,
    /// The fewest features that, with their usual values, would have brought the score of that
    /// moment below the edge of throttling, and the score then; `None` when it is below, or when
    /// [`MOST_CHANGES`] of them are not enough.
    pub counterfactual: Option<(Vec<usize>, f32)>,
}

/// A counterfactual changes no more features than these.
pub const MOST_CHANGES: usize = 4;

impl Engine {
    /// The clients seen last, latest first.
    #[must_use]
    pub fn clients(&self, most: usize) -> Vec<ClientView> {
        self.find_clients(&Wanted { most, ..Wanted::default() }, None).clients
    }

    /// The clients that fit, in order. It walks the whole store. Blocks that are over by `now` are
    /// shown as what they have become.
    #[must_use]
    pub fn find_clients(&self, wanted: &Wanted, now: Option<Timestamp>) -> Found {
        let mut seen: Vec<(f64, Key)> = Vec::new();
        let search = wanted.search.to_ascii_lowercase();
        self.clients.for_each(|key, client| {
            let fits = wanted.action.is_none_or(|action| action == acted(client, now))
                && (search.is_empty() || client.name(key).to_string().contains(&search));
            if fits {
                seen.push((rank(wanted.order, client, now), key));
            }
        });
        let matched = seen.len();
        let by = |a: &(f64, Key), b: &(f64, Key)| {
            let order = a.0.total_cmp(&b.0);
            let order = if wanted.ascending { order } else { order.reverse() };
            order.then_with(|| a.1.0.cmp(&b.1.0))
        };
        // What is shown is few of many: the rest need not be in order.
        let end = wanted.skip.saturating_add(wanted.most).min(matched);
        if end < matched && end > 0 {
            seen.select_nth_unstable_by(end - 1, by);
        }
        seen.truncate(end);
        seen.sort_by(by);
        let shown = seen.into_iter().skip(wanted.skip);
        let view = |(_, key)| self.clients.read(key, |client| view(key, client, now));
        Found { clients: shown.filter_map(view).collect(), matched }
    }

    /// More about one client; `None` when it is not known.
    #[must_use]
    pub fn client(&self, key: Key, now: Timestamp) -> Option<ClientDetail> {
        let by_hand = self.hands.of(key, now);
        let (mut detail, route) = self.clients.read(key, |client| {
            let detail = ClientDetail {
                view: view(key, client, Some(now)),
                good: f32::from(client.standing.good),
                blocked_for: client.standing.blocked_for(now),
                route: String::new(),
                guests: client.guests.as_ref().map_or(0, |guests| guests.len()),
                by_hand,
            };
            (detail, client.profile.last_route())
        })?;
        detail.route = self.route_name(route);
        Some(detail)
    }

    /// The key of the client of this name: an address, a credential, a credential's hash as
    /// [`ClientView::name`] shows it, or a key in hexadecimal digits. `None` when no such client is
    /// known.
    #[must_use]
    pub fn find_key(&self, name: &str) -> Option<Key> {
        let snapshot = self.current.load();
        let known = |key| self.clients.read(key, |_| key);
        if let Ok(address) = name.parse::<IpAddr>() {
            return known(snapshot.address_key(address, &self.keys));
        }
        let digits = name.strip_prefix("credential #").unwrap_or(name);
        let hash = (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten();
        hash.and_then(|hash| known(Key(hash)))
            .or_else(|| known(snapshot.credential_key(name, &self.keys)))
    }

    /// What was kept of a client, oldest first.
    #[must_use]
    pub fn story(&self, client: Key) -> Vec<Moment> {
        self.journal.of(client)
    }

    /// The moments since `serial` at which something was done about a client, oldest first, and how
    /// many more there were that are not kept any more.
    #[must_use]
    pub fn moments(&self, serial: u64) -> (Vec<Moment>, u64) {
        self.journal.since(serial)
    }

    /// Why a client is where it is, by the last moment that was kept of it. Its next request will be
    /// kept too, so asking again later tells more.
    #[must_use]
    pub fn why(&self, client: Key) -> Option<Why> {
        let moment = self.journal.of(client).pop();
        self.journal.want(client);
        let moment = moment?;
        let reasons = self.reasons(&moment.decision);
        let snapshot = self.current.load();
        let Some(model) = snapshot.model.as_ref().filter(|_| moment.decision.scored) else {
            let contributions = Vec::new();
            return Some(Why { moment, reasons, contributions, counterfactual: None });
        };
        let features = &moment.decision.features;
        let usual = self.usual(&snapshot.policy);
        let explanation = model.explain(features);
        let company = moment.decision.company;
        let score = |features: &Features| among(model.score_one(features), company);
        let contributions: Vec<Contribution> = explanation
            .top(COUNT)
            .map(|(feature, added)| {
                let usual = usual.as_ref().map(|usual| usual[feature]);
                let otherwise = usual.map(|usual| {
                    let mut other = *features;
                    other[feature] = usual;
                    score(&other)
                });
                Contribution { feature, value: features[feature], added, usual, otherwise }
            })
            .collect();
        let edge = snapshot.policy.adaptive.bands.throttle;
        let counterfactual = usual.and_then(|usual| counterfactual(features, &usual, edge, &score));
        Some(Why { moment, reasons, contributions, counterfactual })
    }

    /// The median of each feature over what was kept of clients that nothing is done about.
    fn usual(&self, policy: &Policy) -> Option<Features> {
        const FEWEST: usize = 20;
        let mut rows: Vec<Features> = Vec::new();
        self.journal.calm(|moment| {
            if moment.decision.risk < policy.adaptive.bands.throttle && rows.len() < 512 {
                rows.push(moment.decision.features);
            }
        });
        if rows.len() < FEWEST {
            return None;
        }
        let middle = rows.len() / 2;
        let mut column = Vec::with_capacity(rows.len());
        Some(std::array::from_fn(|feature| {
            column.clear();
            column.extend(rows.iter().map(|row| row[feature]));
            *column.select_nth_unstable_by(middle, f32::total_cmp).1
        }))
    }

    /// How much each feature moved the scores of late, in log-odds: the mean size of what it added.
    /// Empty without a model, or when nothing was kept yet.
    #[must_use]
    pub fn influence(&self) -> Vec<f32> {
        const LATELY: usize = 256;
        // Of both kinds, so that neither speaks alone.
        let mut rows: Vec<Features> = Vec::new();
        let mut keep = |moment: &Moment, most: usize| {
            if moment.decision.scored && rows.len() < most {
                rows.push(moment.decision.features);
            }
        };
        self.journal.acted(|moment| keep(moment, LATELY / 2));
        self.journal.calm(|moment| keep(moment, LATELY));
        let snapshot = self.current.load();
        let Some(model) = snapshot.model.as_ref().filter(|_| !rows.is_empty()) else {
            return Vec::new();
        };
        let mut sums = vec![0.0; COUNT];
        for row in &rows {
            let added = model.explain(row).contributions;
            sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += added.abs());
        }
        #[allow(clippy::cast_precision_loss, reason = "rows are few")]
        sums.iter_mut().for_each(|sum| *sum /= rows.len() as f32);
        sums
    }

    /// What kind of model scores; `None` when none does.
    #[must_use]
    pub fn model_kind(&self) -> Option<&'static str> {
        let snapshot = self.current.load();
        snapshot.model.as_ref().filter(|_| snapshot.policy.adaptive.enabled).map(|m| m.kind())
    }

    /// Clients that something was done about lately and that are most like this one: by fingerprint
    /// or network first, then by what spoke against them. Each with how alike, 0..1.
    #[must_use]
    pub fn alike(&self, client: Key, most: usize) -> Vec<(Key, String, f32)> {
        let Some(moment) = self.journal.of(client).pop() else { return Vec::new() };
        let snapshot = self.current.load();
        let Some(model) = &snapshot.model else { return Vec::new() };
        let mut others: Vec<Moment> = Vec::new();
        self.journal.acted(|other| {
            let key = other.decision.ticket.client;
            let known = |m: &Moment| m.decision.ticket.client == key;
            if key != client && others.len() < 256 && !others.iter().any(known) {
                others.push(other.clone());
            }
        });
        let own = model.explain(&moment.decision.features).contributions;
        let trace = &moment.decision.ticket.trace;
        let mut alike: Vec<(Key, String, f32)> = others
            .iter()
            .map(|other| {
                let theirs = &other.decision.ticket.trace;
                let shared = u8::from(theirs.fingerprint == trace.fingerprint)
                    + u8::from(theirs.network == trace.network);
                let by_model = cosine(&own, &model.explain(&other.decision.features).contributions);
                let alike = (f32::from(shared) + 2.0 * by_model.max(0.0)) / 4.0;
                (other.decision.ticket.client, other.name(), alike)
            })
            .filter(|(_, _, alike)| *alike > 0.3)
            .collect();
        alike.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.1.cmp(&b.1)));
        alike.truncate(most);
        alike
    }

    /// What the routes are asked for and answer, busiest first.
    #[must_use]
    pub fn routes(&self, now: Timestamp) -> Vec<RouteView> {
        let count = u16::try_from(self.memory.routes.len()).unwrap_or(u16::MAX);
        let mut routes: Vec<RouteView> = (0..count)
            .map(|id| RouteView { name: self.route_name(id), group: self.memory.route(id, now) })
            .filter(|route| route.group.hour > 0.01)
            .collect();
        routes.sort_by(|a, b| {
            b.group.ten_minutes.total_cmp(&a.group.ten_minutes).then_with(|| a.name.cmp(&b.name))
        });
        routes
    }

    /// Sets something by hand for clients, in place of what was set before; all or none. A release
    /// also ends what the engine thinks of them.
    ///
    /// # Errors
    /// When too many are limited by hand.
    pub fn set_by_hand(
        &self,
        clients: &[Key],
        set: ByHand,
        now: Timestamp,
    ) -> Result<(), TooManyByHand> {
        self.hands.set(clients, set, now)?;
        if set.hand == Hand::Release {
            for client in clients {
                self.clients.update(*client, |client| client.standing.pardon());
            }
        }
        Ok(())
    }

    /// Ends what was set by hand for a client; whether there was something.
    pub fn end_by_hand(&self, client: Key, now: Timestamp) -> bool {
        self.hands.end(client, now)
    }

    /// What is set by hand now: key, name (if it is known) and what.
    #[must_use]
    pub fn by_hand(&self, now: Timestamp) -> Vec<(Key, Option<String>, ByHand)> {
        let name = |key| self.clients.read(key, |client| client.name(key).to_string());
        self.hands.list(now).into_iter().map(|(key, set)| (key, name(key), set)).collect()
    }
}

/// The names of features in plain words, as counterfactuals and contributions use them.
#[must_use]
pub fn in_words(feature: usize) -> &'static str {
    SCHEMA.get(feature).map_or("", |feature| feature.words)
}

/// Takes the usual value of one feature after the other, each time of the one that lowers the score
/// most.
fn counterfactual(
    features: &Features,
    usual: &Features,
    edge: f32,
    score: &impl Fn(&Features) -> f32,
) -> Option<(Vec<usize>, f32)> {
    if score(features) < edge {
        return None;
    }
    let (mut other, mut changed) = (*features, Vec::new());
    for _ in 0..MOST_CHANGES {
        let tried = (0..COUNT).filter(|at| !changed.contains(at)).map(|at| {
            let mut tried = other;
            tried[at] = usual[at];
            (at, score(&tried))
        });
        let (at, now) = tried.min_by(|a, b| a.1.total_cmp(&b.1))?;
        other[at] = usual[at];
        changed.push(at);
        if now < edge {
            return Some((changed, now));
        }
    }
    None
}

fn cosine(a: &[f32; COUNT], b: &[f32; COUNT]) -> f32 {
    let dot =
        |a: &[f32; COUNT], b: &[f32; COUNT]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let size = (dot(a, a) * dot(b, b)).sqrt();
    if size > 0.0 { dot(a, b) / size } else { 0.0 }
}

/// What is done about a client, when blocks that are over by `now` are over.
fn acted(client: &Client, now: Option<Timestamp>) -> Action {
    match (client.standing.action, now) {
        (Action::Block, Some(now)) if client.standing.blocked_for(now) == 0 => Action::Throttle,
        (action, _) => action,
    }
}

#[allow(clippy::cast_precision_loss, reason = "an order for people, to the microsecond")]
fn rank(order: Order, client: &Client, now: Option<Timestamp>) -> f64 {
    match order {
        Order::LastSeen => client.profile.last_seen().as_nanos() as f64,
        Order::FirstSeen => client.profile.first_seen().as_nanos() as f64,
        Order::Risk => client.standing.risk.into(),
        Order::Requests => client.profile.requests().into(),
        Order::PerMinute => per_minute(client, now).into(),
        Order::Denied => client.denied.into(),
        Order::Limit => client.limit_per_min.into(),
    }
}

fn per_minute(client: &Client, now: Option<Timestamp>) -> f32 {
    client.profile.per_minute(now.unwrap_or(client.profile.last_seen()))
}

fn view(key: Key, client: &Client, now: Option<Timestamp>) -> ClientView {
    ClientView {
        key,
        name: client.name(key).to_string(),
        risk: client.standing.risk,
        limit_per_min: client.limit_per_min,
        action: acted(client, now),
        allowed: client.allowed().into(),
        denied: client.denied.into(),
        per_minute: per_minute(client, now),
        anomaly: client.standing.oddity.score(),
        last_seen: client.profile.last_seen(),
        first_seen: client.profile.first_seen(),
    }
}
