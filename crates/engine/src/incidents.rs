//! Attacks as incidents: who is held back for the same reason, since when, and how many they are.
//!
//! A crowd of a thousand addresses that try passwords is one thing that happens and not a thousand.
//! Moments of the journal are put together by what spoke against the client, as far as the model
//! tells, and by route where the route is what the attack is about.

use crate::decision::{Action, RuleRef};
use crate::engine::Engine;
use crate::journal::Moment;
use std::collections::HashMap;
use std::time::Duration;
use tidegate_behavior::Features;
use tidegate_behavior::routes::RouteId;
use tidegate_behavior::schema::index as i;
use tidegate_limiter::{Key, Timestamp};
use tidegate_models::Model;

/// Incidents that are kept, the latest.
const MOST: usize = 200;
/// Clients of one incident that are known by name; more are counted.
const MEMBERS: usize = 1000;
/// What goes on after so long a pause is another incident.
const PAUSE: Duration = Duration::from_secs(600);
/// So many moments are explained at a time; the rest of a rush goes with those before it.
const EXPLAINED: usize = 200;

/// What an attack is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Passwords, keys, codes, cards or new accounts are tried, or the same is sent again and again.
    LogIns,
    /// Things that do not exist are asked for.
    Probing,
    /// Ids are walked through.
    Ids,
    /// Far more requests than others send.
    Flood,
    /// A sudden crowd of clients that look alike.
    Crowd,
    /// Content is fetched as no visitor would.
    Copying,
    /// None of these stands out.
    Other,
}

impl Kind {
    /// A name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogIns => "log-ins",
            Self::Probing => "probing",
            Self::Ids => "ids",
            Self::Flood => "flood",
            Self::Crowd => "crowd",
            Self::Copying => "copying",
            Self::Other => "other",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::LogIns => "passwords, keys, cards or accounts are tried, or codes sent",
            Self::Probing => "a search for things that do not exist",
            Self::Ids => "a walk through ids",
            Self::Flood => "far more requests than others send",
            Self::Crowd => "a sudden crowd of clients that look alike",
            Self::Copying => "content is fetched as no visitor would",
            Self::Other => "unlike what others do here",
        }
    }

    /// Whether the route is what it is about.
    const fn has_route(self) -> bool {
        matches!(self, Self::LogIns | Self::Crowd | Self::Ids)
    }

    /// What most of what speaks for abuse is about.
    fn of(contributions: &Features) -> Self {
        const GROUPS: [(Kind, &[usize]); 6] = [
            (
                Kind::LogIns,
                &[
                    i::AUTH_EXCESS,
                    i::AUTH_FAILURES,
                    i::USERS_DISTINCT,
                    i::LOG_INS,
                    i::FLOWS,
                    i::SEND_TURNS,
                ],
            ),
            (
                Kind::Probing,
                &[
                    i::MISSING_EXCESS,
                    i::ODD_PATH_SHARE,
                    i::ODD_METHOD_SHARE,
                    i::ROUTES_DISTINCT,
                    i::SURPRISE,
                ],
            ),
            (Kind::Ids, &[i::ID_SHARE, i::ID_WALKING, i::IDS_DISTINCT]),
            (
                Kind::Flood,
                &[
                    i::RATE_10S,
                    i::RATE_1M,
                    i::RATE_10M,
                    i::PAGES_1M,
                    i::BURST,
                    i::PACE,
                    i::SITE_SHARE,
                    i::NETWORK_RATE,
                ],
            ),
            (
                Kind::Crowd,
                &[
                    i::AGENT_SURGE,
                    i::ROUTE_SURGE,
                    i::ROUTE_NEWCOMERS,
                    i::ROUTE_RUSH,
                    i::ROUTE_ERROR_RISE,
                    i::SITE_SURGE,
                    i::SITE_RUSH,
                    i::SITE_NEWCOMERS,
                    i::SITE_ERROR_RISE,
                    i::ARRIVAL_SURGE,
                    i::COHORT_SURGE,
                    i::NETWORK_CLIENTS,
                    i::NETWORK_ERROR_EXCESS,
                ],
            ),
            (
                Kind::Copying,
                &[
                    i::BARE_PAGES,
                    i::ASSET_SHARE,
                    i::ASSET_FALL,
                    i::REFERER_SHARE,
                    i::REFERER_CHAIN,
                    i::PATH_NOVELTY,
                    i::PATHS_DISTINCT,
                ],
            ),
        ];
        let speaks =
            |group: &[usize]| group.iter().map(|&at| contributions[at].max(0.0)).sum::<f32>();
        let loudest = GROUPS.iter().map(|(kind, group)| (*kind, speaks(group)));
        match loudest.max_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((kind, loud)) if loud > 0.0 => kind,
            _ => Self::Other,
        }
    }
}

/// Something that goes on, or went on.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Counts up from 1.
    pub id: u64,
    /// What it is about.
    pub kind: Kind,
    /// The route that it is about, if one is.
    pub route: Option<RouteId>,
    /// When the first client was held back.
    pub since: Timestamp,
    /// When something was done last.
    pub last: Timestamp,
    /// Clients held back for it that are known by name, at most a thousand.
    members: HashMap<Key, Member>,
    /// Further clients.
    further: u64,
    /// Of all, those that were blocked.
    pub blocked: u64,
    /// The highest risk of any.
    pub peak_risk: f32,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    denied_before: u64,
    denied: u64,
    blocked: bool,
}

impl Incident {
    /// Clients held back for it.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.members.len() as u64 + self.further
    }

    /// Those of them that are known by name.
    #[must_use]
    pub fn members(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.members.keys().copied().collect();
        keys.sort_by_key(|key| key.0);
        keys
    }

    /// Whether a client is one of those known by name.
    #[must_use]
    pub fn holds(&self, client: Key) -> bool {
        self.members.contains_key(&client)
    }

    /// Requests denied of those known by name, while it went on: at least so many.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.members.values().map(|member| member.denied - member.denied_before).sum()
    }

    /// Whether it goes on.
    #[must_use]
    pub fn goes_on(&self, now: Timestamp) -> bool {
        now.since(self.last) < PAUSE
    }

    fn take(&mut self, moment: &Moment) {
        let decision = &moment.decision;
        self.last = self.last.max(decision.time);
        self.peak_risk = self.peak_risk.max(decision.risk);
        let blocks = decision.action == Action::Block;
        let full = self.members.len() >= MEMBERS;
        match self.members.get_mut(&decision.ticket.client) {
            Some(member) => {
                member.denied = member.denied.max(moment.denied);
                self.blocked += u64::from(blocks && !member.blocked);
                member.blocked |= blocks;
            }
            None if full => {
                self.further += 1;
                self.blocked += u64::from(blocks);
            }
            None => {
                let denied_before = moment.denied.saturating_sub(u64::from(!decision.allowed));
                let member = Member { denied_before, denied: moment.denied, blocked: blocks };
                self.members.insert(decision.ticket.client, member);
                self.blocked += u64::from(blocks);
            }
        }
    }
}

/// The incidents of the last while.
#[derive(Default)]
pub struct Incidents {
    serial: u64,
    last_id: u64,
    missed: u64,
    all: Vec<Incident>,
}

impl Incidents {
    /// Takes in what the engine's journal holds that was not taken in before. Call it every second
    /// or so.
    pub fn follow(&mut self, engine: &Engine, now: Timestamp) {
        let (moments, missed) = engine.moments(self.serial);
        self.missed += missed;
        let mut room = EXPLAINED;
        for moment in &moments {
            self.serial = moment.serial;
            let decision = &moment.decision;
            let held = matches!(decision.action, Action::Throttle | Action::Block);
            if held && decision.rule == RuleRef::Adaptive {
                self.take(engine, moment, &mut room);
            }
        }
        // The number of denials of a client is written down ever more seldom: it is read anew.
        for incident in self.all.iter_mut().filter(|incident| incident.goes_on(now)) {
            for (key, member) in &mut incident.members {
                if let Some(denied) = engine.denied(*key) {
                    member.denied = member.denied.max(denied);
                }
            }
        }
    }

    fn take(&mut self, engine: &Engine, moment: &Moment, room: &mut usize) {
        let (client, time) = (moment.decision.ticket.client, moment.decision.time);
        let on = |incident: &&mut Incident| incident.goes_on(time);
        let known = self.all.iter_mut().rev().filter(on).find(|incident| incident.holds(client));
        if let Some(incident) = known {
            incident.take(moment);
            return;
        }
        let route = moment.decision.ticket.trace.route;
        let kind = if *room > 0 {
            *room -= 1;
            engine.kind(&moment.decision.features)
        } else {
            let lately = self.all.iter().filter(|i| i.route.is_none_or(|at| at == route));
            lately.max_by_key(|incident| incident.last).map_or(Kind::Other, |i| i.kind)
        };
        let route = kind.has_route().then_some(route);
        let same = |incident: &&mut Incident| {
            (incident.kind, incident.route) == (kind, route) && incident.goes_on(time)
        };
        if let Some(incident) = self.all.iter_mut().rev().find(same) {
            incident.take(moment);
            return;
        }
        self.last_id += 1;
        let mut incident = Incident {
            id: self.last_id,
            kind,
            route,
            since: time,
            last: time,
            members: HashMap::new(),
            further: 0,
            blocked: 0,
            peak_risk: 0.0,
        };
        incident.take(moment);
        if self.all.len() >= MOST {
            self.all.remove(0);
        }
        self.all.push(incident);
    }

    /// The incidents, latest first.
    #[must_use]
    pub fn latest(&self) -> Vec<&Incident> {
        let mut all: Vec<&Incident> = self.all.iter().collect();
        all.sort_by_key(|incident| std::cmp::Reverse((incident.last, incident.id)));
        all
    }

    /// How many go on.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> usize {
        self.all.iter().filter(|incident| incident.goes_on(now)).count()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Incident> {
        self.all.iter().find(|incident| incident.id == id)
    }

    /// Moments that were pushed out of the journal before they were taken in: in a rush of thousands
    /// of clients a second.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Engine {
    /// Requests of a client that were denied; `None` when it is not known.
    fn denied(&self, client: Key) -> Option<u64> {
        self.clients.read(client, |client| client.denied.into())
    }

    /// What speaks against these features, by the model.
    fn kind(&self, features: &Features) -> Kind {
        let snapshot = self.current.load();
        let explained = snapshot.model.as_ref().map(|model| model.explain(features).contributions);
        explained.map_or(Kind::Other, |contributions| Kind::of(&contributions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policy, Setup};
    use std::net::{IpAddr, Ipv4Addr};
    use tidegate_behavior::{Method, Outcome, Request};
    use tidegate_models::trees::Node;
    use tidegate_models::{AnyModel, Calibration, Trees};

    fn ask(engine: &Engine, client: u8, path: &str, at: Timestamp, status: u16) {
        let request = Request {
            time: at,
            addr: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, client))),
            method: Method::Get,
            path,
            user_agent: "curl/8.5",
            ..Request::default()
        };
        let decision = engine.check(&request);
        let outcome = Outcome { status, bytes: 100, duration: None };
        engine.outcome(&decision.ticket, &outcome, at);
    }

    #[test]
    fn two_scanners_are_one_incident_and_an_hour_later_is_another() {
        // A model that looks at odd paths alone.
        let feature = i::ODD_PATH_SHARE;
        let split = Node::Split { feature, threshold: 0.5, left: 1, right: 2, value: 0.0 };
        let tree = vec![split, Node::Leaf(-4.0), Node::Leaf(4.0)];
        let model = AnyModel::Trees(Trees::new(0.0, &[tree], Calibration::default()).unwrap());
        let engine =
            Engine::new(Policy::default(), Setup { model: Some(model), ..Setup::default() });
        let mut incidents = Incidents::default();
        let mut now = Timestamp::from_secs(1_700_000_000);
        let scan = |engine: &Engine, client: u8, now: &mut Timestamp| {
            for n in 0..200 {
                *now = now.plus(Duration::from_millis(100));
                ask(engine, client, &format!("/old/{n}/.env.bak"), *now, 404);
                ask(engine, 200 + client, "/", *now, 200);
            }
        };
        scan(&engine, 1, &mut now);
        scan(&engine, 2, &mut now);
        incidents.follow(&engine, now);
        let all = incidents.latest();
        let probing: Vec<_> = all.iter().filter(|i| i.kind == Kind::Probing).collect();
        assert_eq!(probing.len(), 1, "{all:?}");
        let incident = probing[0];
        let key = |name: &str| engine.find_key(name).unwrap();
        assert!(incident.holds(key("192.0.2.1")) && incident.holds(key("192.0.2.2")));
        assert_eq!((incident.clients(), incident.members().len()), (2, 2));
        assert!(incident.blocked == 2 && incident.peak_risk > 0.8, "{incident:?}");
        let of = |name| engine.client(key(name), now).unwrap().view.denied;
        assert_eq!(incident.denied(), of("192.0.2.1") + of("192.0.2.2"));
        assert!(incident.goes_on(now) && incidents.active(now) >= 1);
        let (id, first) = (incident.id, incident.since);

        now = now.plus(Duration::from_secs(3600));
        assert!(!incidents.get(id).unwrap().goes_on(now) && incidents.active(now) == 0);
        scan(&engine, 3, &mut now);
        incidents.follow(&engine, now);
        let latest = incidents.latest()[0];
        assert!(latest.id > id && latest.since > first, "{latest:?}");
        assert_eq!(incidents.missed(), 0);
    }

    #[test]
    fn what_speaks_loudest_names_the_kind() {
        let with = |features: &[(usize, f32)]| {
            let mut all = [0.0; tidegate_behavior::schema::COUNT];
            features.iter().for_each(|&(at, value)| all[at] = value);
            Kind::of(&all)
        };
        assert_eq!(with(&[]), Kind::Other);
        assert_eq!(with(&[(i::RATE_1M, 2.0), (i::AUTH_FAILURES, 1.0)]), Kind::Flood);
        assert_eq!(with(&[(i::RATE_1M, -2.0), (i::AUTH_FAILURES, 1.0)]), Kind::LogIns);
        assert_eq!(with(&[(i::IDS_DISTINCT, 0.5), (i::ID_WALKING, 0.7)]), Kind::Ids);
    }
}
