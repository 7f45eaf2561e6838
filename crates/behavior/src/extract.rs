//! The feature vector of one moment: the profile, and the groups around it.

use crate::agent::AgentKind;
use crate::facts::Facts;
use crate::groups::{CohortView, GroupView, SiteView, TurnsView};
use crate::math::{ln_1p, log2};
use crate::network::NetworkView;
use crate::profile::{HORIZONS, Profile};
use crate::schema::{COUNT, Features, index as i};

/// What surrounds a client at one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// The whole site.
    pub site: SiteView,
    /// The request's route.
    pub route: GroupView,
    /// Everybody with the same fingerprint.
    pub agent: GroupView,
    /// Everybody with the same fingerprint on the same route.
    pub cohort: CohortView,
    /// Everybody on the same route; the mark is how deep they are in their visits.
    pub visits: CohortView,
    /// How often clients usually ask for the route.
    pub turns: TurnsView,
    /// Share of the route's requests that send a credential, 0..1.
    pub keyed: f32,
    /// The client's network.
    pub network: NetworkView,
}

/// From this share of the site's requests on that tell a user agent, its log or gateway tells them.
const NAMED: f32 = 0.01;

/// A ratio above its expectation, drawn to 0 while there is little evidence.
fn excess(seen: f32, expected: f32, outcomes: f32) -> f32 {
    const PRIOR: f32 = 4.0;
    (seen - expected) / (outcomes + PRIOR)
}

/// What one busy client adds to what is counted within a minute: it is no crowd.
const ONE: f32 = 4.0;

/// log2 of a rate now against a rate before, drawn to 0 while both are small.
fn surge(now: f32, before: f32, small: f32) -> f32 {
    log2((now + small) / (before + small))
}

/// The features of a client whose profile has observed the request.
#[must_use]
pub fn extract(profile: &Profile, facts: &Facts, around: &Surroundings) -> Features {
    let mut x = [0.0; COUNT];
    let [ten, minute, ten_minutes] = profile.counts;
    let per_minute = |count: f32, tau: f32| count * 60.0 / tau;
    x[i::RATE_10S] = per_minute(ten, HORIZONS[0]);
    x[i::RATE_1M] = per_minute(minute, HORIZONS[1]);
    x[i::RATE_10M] = per_minute(ten_minutes, HORIZONS[2]);
    x[i::PAGES_1M] = profile.pages;
    x[i::BURST] = x[i::RATE_10S] / x[i::RATE_10M].max(0.1);
    x[i::GAP_MEAN] = profile.gap_mean;
    let variance = profile.gap_square - profile.gap_mean * profile.gap_mean;
    x[i::GAP_DEVIATION] = variance.max(0.0).sqrt();
    x[i::AGE] = ln_1p(facts.time.since(profile.first_seen()).as_secs_f32());
    #[allow(clippy::cast_precision_loss, reason = "a logarithm of a count needs no more digits")]
    let requests = profile.requests() as f32;
    x[i::REQUESTS] = ln_1p(requests);

    let tally = &profile.tally;
    x[i::ERROR_EXCESS] = excess(tally.error, tally.expected.error, tally.outcomes);
    x[i::AUTH_EXCESS] = excess(tally.auth, tally.expected.auth, tally.outcomes);
    x[i::MISSING_EXCESS] = excess(tally.missing, tally.expected.missing, tally.outcomes);
    x[i::SERVER_EXCESS] = excess(tally.server, tally.expected.server, tally.outcomes);
    x[i::AUTH_FAILURES] = tally.auth;
    x[i::RESPONSE] = tally.response;
    x[i::TURNS] = profile.turns;
    x[i::SEND_TURNS] = profile.send_turns;
    x[i::LOG_INS] = ln_1p(profile.log_ins.into());
    x[i::FLOWS] = ln_1p(profile.flows.into());

    x[i::ROUTES_DISTINCT] = profile.routes.estimate();
    x[i::PATHS_DISTINCT] = profile.paths.estimate();
    x[i::IDS_DISTINCT] = profile.ids.estimate();
    x[i::USERS_DISTINCT] = profile.users.estimate();
    x[i::AGENTS_DISTINCT] = profile.agents.estimate();
    x[i::NETWORKS_DISTINCT] = profile.networks.estimate();

    let shares = &profile.shares;
    let site = &around.site;
    x[i::PATH_NOVELTY] = shares.novel;
    x[i::SURPRISE] = shares.surprise - site.surprise.0;
    x[i::TRANSITION_SURPRISE] = shares.step - site.surprise.1;
    x[i::ASSET_SHARE] = shares.asset;
    x[i::API_SHARE] = shares.api;
    x[i::WRITE_SHARE] = shares.write;
    x[i::ODD_METHOD_SHARE] = shares.odd_method;
    x[i::REFERER_SHARE] = shares.referer;
    x[i::REFERER_CHAIN] = shares.chain;
    x[i::SITE_REFERERS] = site.referred;
    x[i::ID_SHARE] = shares.id;
    x[i::ID_WALKING] = profile.trails.walking(x[i::IDS_DISTINCT]);
    x[i::ODD_PATH_SHARE] = shares.odd_path;
    x[i::PAYLOAD] = shares.payload;

    x[i::REPUTATION] = f32::from(facts.reputation);
    // Where nobody's agent is told, its absence says nothing of who asks, and most of all not that a
    // visitor who loads a page with all that belongs to it hides something.
    let kind = match facts.agent_kind {
        AgentKind::None if site.named < NAMED => AgentKind::Library,
        kind => kind,
    };
    x[i::AGENT_KIND] = f32::from(kind as u8);
    // On a site whose assets live elsewhere, pages without assets say nothing.
    let expects_assets = (site.assets * 3.0).min(1.0);
    x[i::BARE_PAGES] = ln_1p(f32::from(profile.bare_pages)) * expects_assets;
    // More than none: it has one.
    x[i::CREDENTIALED] = if profile.credentialed() { around.keyed.max(1e-3) } else { 0.0 };

    x[i::NETWORK_CLIENTS] = around.network.clients;
    x[i::NETWORK_RATE] = around.network.rate;
    x[i::NETWORK_ERROR_EXCESS] = around.network.error_excess;

    let span = &site.span;
    let usual = |group: &GroupView| span.usual(group.minute, group.ten_minutes, group.hour);
    // A surge is what others do: nobody is a crowd alone, and whoever asks for what is rarely
    // asked for must not look like one.
    let own = profile.presence();
    let others = |group: &GroupView| (group.minute - own).max(0.0);
    let site_usual = usual(&site.group).max(1e-3);
    let agent_share = (others(&around.agent) + 0.5) / (others(&site.group) + 8.0);
    let agent_usual = (usual(&around.agent) + 0.5) / (site_usual + 8.0);
    x[i::AGENT_SURGE] = log2(agent_share.max(1e-6) / agent_usual.max(1e-6));
    let route_usual = usual(&around.route);
    x[i::ROUTE_SURGE] = surge(others(&around.route), route_usual, ONE);
    x[i::ROUTE_NEWCOMERS] = around.route.newcomers;
    x[i::ROUTE_ERROR_RATIO] = around.route.ratios.error;
    x[i::SITE_SURGE] = surge(others(&site.group), site_usual, ONE);
    x[i::SITE_NEWCOMERS] = site.group.newcomers;
    x[i::SITE_SHARE] = minute / site.load.max(minute + 8.0);
    x[i::PACE] = (ln_1p(minute) - site.pace) * std::f32::consts::LOG2_E;

    // The same within seconds: an attack is over by the time a minute's count has followed.
    let short = (HORIZONS[0] / span.minute).min(1.0);
    let own_short = ten * profile.voice();
    let rush = |group: &GroupView, usual: f32| {
        surge((group.ten_seconds - own_short).max(0.0), usual * short, ONE)
    };
    x[i::SITE_RUSH] = rush(&site.group, site_usual);
    x[i::ROUTE_RUSH] = rush(&around.route, route_usual);
    let [arrivals, late, all] = site.arrivals;
    x[i::ARRIVAL_SURGE] = surge(arrivals, span.usual(arrivals, late, all), 1.0);
    let cohort = &around.cohort;
    let before = (cohort.hour - cohort.minute).max(0.0);
    let before_span = span.hour - span.minute + HORIZONS[1];
    x[i::COHORT_SURGE] =
        surge((cohort.minute - own).max(0.0), before / before_span * span.minute, ONE);
    x[i::ROUTE_ERROR_RISE] = around.route.error_rise;
    x[i::SITE_SERVER_RATIO] = site.group.ratios.server;
    x[i::SITE_ERROR_RISE] = site.group.error_rise;
    x[i::ROUTE_DEPTH] = around.visits.rise();
    // Of what is asked for now, how much less is what pages need than before.
    let [assets, late, all] = site.fetched;
    let assets_usual = (span.usual(assets, late, all) / site_usual).min(1.0);
    x[i::ASSET_FALL] = (assets_usual * site.group.minute - assets) / (site.group.minute + 8.0);
    x[i::SETTLED] = 1.0 - minute / ten_minutes.max(1e-3);

    for value in &mut x {
        // Nothing above divides by zero, but a model must never meet what is not a number.
        if !value.is_finite() {
            *value = 0.0;
        }
    }
    x
}
