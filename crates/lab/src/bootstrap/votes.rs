//! The labelling functions: what an experienced eye would say of a client, one suspicion each.
//!
//! A heuristic votes for one side or says nothing (data programming; Ratner et al., "Data
//! Programming: Creating Large Training Sets, Quickly", NIPS 2016). How far each is to be believed
//! is estimated in [`super::consensus`]. They look at features of the schema and at plain counts,
//! never at what a model thinks: a model that labels its own rows only confirms itself.

use super::gather::Seen;
use std::time::Duration;
use tidegate_behavior::agent::AgentKind;
use tidegate_behavior::schema::index;
use tidegate_limiter::Timestamp;

/// One labelling function.
pub struct Heuristic {
    /// Its name in reports.
    pub name: &'static str,
    /// What it says of a client, to a person.
    pub words: &'static str,
    /// Whether it speaks for abuse, or for a harmless client.
    pub abusive: bool,
    /// How often we believe it to speak of clients on its own side, and of those on the other,
    /// before any log is seen.
    pub belief: (f64, f64),
    speaks: fn(&Seen, &Site) -> bool,
}

/// What is usual on the site, without which some suspicions mean nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Site {
    /// Of the clients that claim to be browsers and asked for three things, the share that loaded
    /// assets: low where the log has none.
    loads_assets: f32,
    /// When the log begins and ends.
    span: (Timestamp, Timestamp),
}

impl Site {
    /// What is usual for these clients.
    #[must_use]
    pub fn of(clients: &[Seen]) -> Self {
        let browsers = || clients.iter().filter(|c| c.agent_kind == AgentKind::Browser);
        let (mut all, mut load) = (0u32, 0u32);
        for client in browsers().filter(|c| c.requests >= 3 && c.honeypots == 0) {
            all += 1;
            load += u32::from(client.assets > 0);
        }
        let first = clients.iter().map(|c| c.first).min().unwrap_or_default();
        let last = clients.iter().map(|c| c.last).max().unwrap_or_default();
        Self { loads_assets: load as f32 / all.max(1) as f32, span: (first, last) }
    }

    /// Whether the client was there from the beginning to the end, over ten minutes at least.
    fn throughout(&self, client: &Seen) -> bool {
        let whole = self.span.1.since(self.span.0);
        whole >= Duration::from_secs(600)
            && client.first.since(self.span.0) * 10 < whole
            && self.span.1.since(client.last) * 10 < whole
    }
}

impl Heuristic {
    /// Whether it votes on this client.
    #[must_use]
    pub fn speaks(&self, client: &Seen, site: &Site) -> bool {
        (self.speaks)(client, site)
    }
}

/// Programs that look for weaknesses and say who they are.
const SCANNERS: [&str; 22] = [
    "sqlmap",
    "nikto",
    "nmap",
    "masscan",
    "zgrab",
    "nuclei",
    "gobuster",
    "dirbuster",
    "dirb/",
    "feroxbuster",
    "ffuf",
    "wfuzz",
    "wpscan",
    "acunetix",
    "nessus",
    "openvas",
    "arachni",
    "w3af",
    "whatweb",
    "l9explore",
    "l9tcpid",
    "hydra",
];

/// Robots of search engines, feeds and previews that say who they are.
const CRAWLERS: [&str; 16] = [
    "googlebot",
    "bingbot",
    "duckduckbot",
    "applebot",
    "yandexbot",
    "baiduspider",
    "petalbot",
    "slurp",
    "facebookexternalhit",
    "twitterbot",
    "linkedinbot",
    "ia_archiver",
    "ccbot",
    "mj12bot",
    "ahrefsbot",
    "semrushbot",
];

fn names(client: &Seen, list: &[&str]) -> bool {
    let agent = client.agent.to_ascii_lowercase();
    list.iter().any(|name| agent.contains(name))
}

/// Clean: nothing that even a weak suspicion rests on.
fn clean(client: &Seen) -> bool {
    client.honeypots == 0 && client.traps == 0 && client.odd == 0
}

macro_rules! heuristics {
    ($($side:ident $name:literal ($own:literal, $other:literal) $words:literal $speaks:expr;)*) => {
        /// Every heuristic.
        pub const HEURISTICS: &[Heuristic] = &[$(Heuristic {
            name: $name,
            words: $words,
            abusive: heuristics!($side),
            belief: ($own, $other),
            speaks: $speaks,
        },)*];
    };
    (abusive) => { true };
    (harmless) => { false };
}

heuristics! {
    abusive "own-trap" (0.10, 0.0002) "asked for a trap of yours" |c, _| c.traps > 0;
    abusive "honeypot" (0.15, 0.0003) "asked for things that only scanners ask for"
        |c, _| c.honeypots >= 2 || c.honeypots == 1 && c.requests <= 5;
    abusive "probing" (0.15, 0.0005) "sent paths that look like probes"
        |c, _| c.odd >= 3 && c.odd * 5 >= c.requests;
    abusive "scanner-agent" (0.05, 0.0001) "says it is a scanner" |c, _| names(c, &SCANNERS);
    abusive "deny-list" (0.05, 0.0001) "is on your deny list" |c, _| c.listed == Some(false);
    abusive "hostile-list" (0.05, 0.002) "is on a list of hostile addresses"
        |c, _| c.peak[index::REPUTATION] >= 2.0;
    abusive "dead-ends" (0.15, 0.01) "mostly asked for things that do not exist"
        |c, _| c.missing >= 8 && c.share(c.missing) > 0.6 && c.peak[index::MISSING_EXCESS] > 0.3;
    abusive "refused-log-ins" (0.15, 0.003) "was refused again and again"
        |c, _| c.refused >= 12 && c.share(c.refused) > 0.5;
    abusive "log-in-rush" (0.15, 0.01) "was refused while many others are, on the same route"
        |c, _| c.refused >= 1 && c.share(c.refused) > 0.5 && c.assets == 0
            && c.peak[index::ROUTE_ERROR_RATIO] > 0.4 && c.peak[index::ROUTE_SURGE] > 1.5
            && c.peak[index::CREDENTIALED] <= 0.0;
    abusive "many-users" (0.10, 0.003) "tried the log-ins of many users"
        |c, _| c.peak[index::USERS_DISTINCT] >= 5.0 && c.refused >= 5 && c.share(c.refused) > 0.5;
    abusive "walks-ids" (0.10, 0.003) "walked through ids one after the other"
        |c, _| c.peak[index::IDS_DISTINCT] >= 30.0 && c.peak[index::ID_WALKING] > 0.6
            && c.peak[index::CREDENTIALED] <= 0.0;
    abusive "guesses-ids" (0.10, 0.003) "asked for many ids that do not exist or are not its own"
        |c, _| c.peak[index::IDS_DISTINCT] >= 30.0 && c.share(c.refused + c.missing) > 0.3;
    abusive "takes-everything" (0.15, 0.005) "visited very many pages and never one twice"
        |c, _| c.peak[index::PATHS_DISTINCT] >= 150.0 && c.assets == 0
            && c.peak[index::PATH_NOVELTY] > 0.9 && c.peak[index::CREDENTIALED] <= 0.0
            && (c.agent_kind == AgentKind::Browser
                || c.agent_kind != AgentKind::Robot && c.peak[index::API_SHARE] < 0.1);
    abusive "bare-browser" (0.20, 0.02) "claims to be a browser and loads no assets"
        |c, site| site.loads_assets > 0.6 && c.agent_kind == AgentKind::Browser
            && c.assets == 0 && c.requests >= 12 && c.peak[index::BARE_PAGES] > 2.3;
    abusive "clockwork" (0.10, 0.005) "visited many pages at the pace of a machine"
        |c, _| c.requests >= 40 && c.agent_kind == AgentKind::Browser
            && c.peak[index::PATHS_DISTINCT] >= 20.0 && c.peak[index::GAP_DEVIATION] < 1.0;
    abusive "hammering" (0.15, 0.002) "sent far more a minute than others do, without a credential"
        |c, _| c.peak[index::PACE] > 4.0 && c.assets * 4 < c.requests
            && c.peak[index::CREDENTIALED] <= 0.0 && c.agent_kind != AgentKind::Robot
            && (c.peak[index::RATE_10S] > 2000.0
                || c.peak[index::RATE_10S] > 400.0 && c.agent_kind == AgentKind::Browser);
    abusive "look-alikes" (0.30, 0.01) "came with a sudden crowd of look-alikes that load no assets"
        |c, site| (site.loads_assets > 0.6 || c.peak[index::ROUTE_RUSH] > 4.0) && c.assets == 0
            && c.requests >= 4 && c.peak[index::RATE_1M] > 6.0
            && c.agent_kind != AgentKind::Robot && c.peak[index::COHORT_SURGE] > 4.0
            && c.peak[index::CREDENTIALED] <= 0.0;
    harmless "allow-list" (0.05, 0.0001) "is on your allow list" |c, _| c.listed == Some(true);
    harmless "good-list" (0.05, 0.001) "is on a list of good addresses"
        |c, _| c.peak[index::REPUTATION] < 0.0;
    harmless "crawler" (0.05, 0.003) "is a declared robot that reads robots.txt and fails seldom"
        |c, _| names(c, &CRAWLERS) && c.reads_robots_txt && clean(c)
            && c.share(c.refused + c.missing) < 0.3 && c.peak[index::RATE_1M] < 300.0;
    harmless "reads-like-a-person" (0.30, 0.02) "loads what its pages need and follows links"
        |c, _| clean(c) && c.requests >= 5 && c.assets * 4 >= c.requests
            && c.peak[index::REFERER_CHAIN] > 0.3 && c.share(c.refused + c.missing) < 0.3;
    harmless "loads-assets" (0.40, 0.08) "loads assets and fails seldom"
        |c, _| clean(c) && c.assets >= 2 && c.assets * 5 >= c.requests
            && c.share(c.refused + c.missing) < 0.2;
    harmless "works-with-key" (0.10, 0.005) "sends a credential that is accepted"
        |c, _| c.peak[index::CREDENTIALED] > 0.5 && clean(c) && c.requests >= 5
            && c.share(c.fine) > 0.8;
    harmless "long-record" (0.05, 0.01) "has gone on for long and fails seldom"
        |c, _| clean(c) && c.requests >= 20 && c.seconds() >= 600.0 && c.share(c.fine) > 0.95
            && c.peak[index::RATE_1M] < 60.0 && c.peak[index::PATH_NOVELTY] < 0.9;
    harmless "always-there" (0.10, 0.005) "was there before anything else happened, and still is"
        |c, site| clean(c) && c.requests >= 10 && site.throughout(c) && c.share(c.fine) > 0.5;
    harmless "asks-the-same" (0.05, 0.005) "asks for the same few things at a calm pace"
        |c, _| clean(c) && c.requests >= 10 && c.peak[index::PATHS_DISTINCT] <= 8.0
            && c.peak[index::RATE_1M] < 40.0 && c.share(c.fine) > 0.8
            && c.peak[index::ROUTE_SURGE] < 2.0;
    harmless "small-and-fine" (0.30, 0.08) "asked for little, and found it, on a calm site"
        |c, _| clean(c) && c.requests <= 10 && c.answered > 0 && c.fine == c.answered
            && c.peak[index::COHORT_SURGE] < 1.0 && c.peak[index::ROUTE_SURGE] < 1.0
            && c.peak[index::SITE_SURGE] < 1.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_beliefs_speak_for_the_own_side() {
        let names: BTreeSet<&str> = HEURISTICS.iter().map(|h| h.name).collect();
        assert_eq!(names.len(), HEURISTICS.len());
        for heuristic in HEURISTICS {
            let (own, other) = heuristic.belief;
            assert!(0.0 < other && other * 2.0 < own && own < 1.0, "{}", heuristic.name);
        }
        assert!(HEURISTICS.iter().any(|h| h.abusive) && HEURISTICS.iter().any(|h| !h.abusive));
    }
}
