//! A site drawn from a seed: its routes, how pages link, its log-in, and what it answers.

use super::assets::{Asset, AssetNames};
pub use super::desks::{Form, Login, Shop};
use super::dice::Dice;
use super::route::{Customs, Query, Route, RouteKind};
use super::words::noun;
use super::words::word;
use std::time::Duration;
use tidegate_behavior::{Method, Outcome};

/// What a site mostly serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Documents and their assets.
    Pages,
    /// Data only; its browsers run a single-page application from elsewhere.
    Api,
    /// Documents that call an API.
    Mixed,
}

impl Style {
    /// Every style.
    pub const ALL: [Self; 3] = [Self::Pages, Self::Api, Self::Mixed];

    /// The style's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Api => "api",
            Self::Mixed => "mixed",
        }
    }
}

/// A span of simulated seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// First second.
    pub from: f64,
    /// The second after the last.
    pub to: f64,
}

impl Span {
    /// Whether `at` lies in it.
    #[must_use]
    pub fn holds(&self, at: f64) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// Its length in seconds.
    #[must_use]
    pub fn length(&self) -> f64 {
        self.to - self.from
    }
}

/// People who come in waves: after a bell, a mail, a broadcast, and few between.
#[derive(Clone, Copy, Debug)]
pub struct Waves {
    /// Seconds from one to the next.
    pub period: f64,
    /// Where in the period they begin, 0..1.
    pub phase: f64,
    /// Mean seconds that people come after the beginning.
    pub width: f64,
    /// Share of people who come at any time.
    pub calm: f64,
}

/// Median sizes in bytes, and times in seconds, of the answers that belong to no route.
#[derive(Clone, Debug)]
struct Answers {
    unknown: f64,
    unknown_to_programs: f64,
    refused: f64,
    asset: f64,
    quick: f64,
    error: f64,
}

/// A site. Everything about it is drawn; nothing is the same from seed to seed.
#[derive(Clone, Debug)]
pub struct Site {
    /// What it mostly serves.
    pub style: Style,
    /// Scheme and host, as referers spell them.
    pub origin: String,
    /// Where the single-page application of a site without pages comes from.
    pub application: String,
    /// Every route; pages first.
    pub routes: Vec<Route>,
    /// How many of `routes` are pages.
    pub pages: usize,
    /// For every page, the pages it links to, with weights.
    pub links: Vec<Vec<(usize, f64)>>,
    /// For every page, the API routes it calls once loaded.
    pub calls: Vec<Vec<usize>>,
    /// Whether only the first page of a visit is a document.
    pub single_page: bool,
    /// The log-in.
    pub login: Login,
    /// The shop, or whatever is reserved and paid here.
    pub shop: Shop,
    /// The forms; at least one.
    pub forms: Vec<Form>,
    /// The share of visitors who fill one in.
    pub fillers: f64,
    /// The share of visitors who buy.
    pub buyers: f64,
    /// Whether people come in waves.
    pub waves: Option<Waves>,
    /// How its assets are named.
    pub assets: AssetNames,
    /// How many assets every page shares; few when a content network serves them.
    pub shared_assets: usize,
    /// Where health is asked for.
    pub health: String,
    /// Where the feed is.
    pub feed: String,
    /// Whether its log names users.
    pub names_users: bool,
    /// Whether its log names credentials.
    pub names_credentials: bool,
    /// Whether the gateway sees header fields.
    pub sees_headers: bool,
    /// When a new build goes live, in seconds.
    pub deploy: Option<f64>,
    /// When the site is down, and the share of requests that fail then.
    pub outages: Vec<(Span, f64)>,
    /// Whether nothing of it may be kept: every page brings all its assets again.
    pub uncached: bool,
    /// The share of pictures that pages name and nobody has: covers, portraits, maps.
    pub lacking: f64,
    /// What is asked with each letter of a search, if anything.
    pub suggests: Option<usize>,
    keeps_old_assets: bool,
    unknown: u16,
    refused: u16,
    forbidden: u16,
    outage_status: u16,
    outage_hangs: bool,
    noise: f64,
    revalidated: bool,
    answers: Answers,
    payload: f64,
}

impl Site {
    /// Draws a site.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Self {
        let style =
            dice.pick(&[Style::Pages, Style::Mixed, Style::Mixed, Style::Pages, Style::Api]);
        let customs = Customs::draw(dice);
        let (pages, apis) = match style {
            Style::Pages => (dice.magnitude(6, 50), dice.count(3, 6)),
            Style::Api => (0, dice.magnitude(5, 60)),
            Style::Mixed => (dice.magnitude(4, 30), dice.magnitude(4, 40)),
        };
        let mut routes: Vec<Route> =
            (0..pages).map(|_| customs.route(dice, RouteKind::Page)).collect();
        if let Some(first) = routes.first_mut() {
            let root = dice.pick(&["/", "/", "/", "/home", "/index.html"]);
            *first = customs.fixed(dice, RouteKind::Page, Method::Get, root);
            first.weight = dice.between(0.5, 2.0);
        }
        routes.extend((0..apis).map(|_| customs.route(dice, RouteKind::Api)));
        if apis > 3 && dice.chance(0.12) {
            // A graph API: one route takes nearly everything.
            let path = dice.pick(&["/graphql", "/query", "/rpc", "/api/graphql"]);
            routes[pages] = customs.fixed(dice, RouteKind::Api, Method::Post, path);
            routes[pages].weight = 12.0;
        }
        if !routes[pages..].iter().any(|r| r.method == Method::Get && r.ids.is_some()) {
            // Every API has some item that can be read.
            let model = loop {
                let route = customs.route(dice, RouteKind::Api);
                if route.ids.is_some() && route.method == Method::Get {
                    break route;
                }
            };
            routes.push(model);
        }
        let links = (0..pages)
            .map(|_| {
                (0..dice.count(2, 8))
                    .map(|_| (dice.zipf(pages, 0.6), dice.spread(0.05, 1.0)))
                    .collect()
            })
            .collect();
        let called = if style == Style::Mixed { dice.count(1, 6) } else { 0 };
        let calls = (0..pages)
            .map(|_| (0..dice.below(called + 1)).map(|_| pages + dice.zipf(apis, 0.7)).collect())
            .collect();
        let login = Login::draw(dice, style, &customs);
        Self {
            style,
            origin: format!(
                "https://{}{}.{}",
                dice.pick(&["www.", "", "shop.", "app.", "my."]),
                word(dice),
                dice.pick(&["com", "org", "net", "io", "de", "co.uk", "example"])
            ),
            links,
            calls,
            single_page: style == Style::Api || (style == Style::Mixed && dice.chance(0.4)),
            login,
            shop: Shop::draw(dice, style, &customs),
            forms: (0..dice.count(1, 4)).map(|_| Form::draw(dice, style, &customs)).collect(),
            fillers: if dice.chance(0.8) { dice.spread(0.003, 0.15) } else { 0.0 },
            buyers: if dice.chance(0.6) { dice.spread(0.01, 0.4) } else { 0.0 },
            waves: dice.chance(0.25).then(|| Waves {
                period: dice.spread(30.0, 1200.0),
                phase: dice.unit(),
                width: dice.spread(0.5, 30.0),
                calm: dice.between(0.02, 0.6),
            }),
            assets: AssetNames::draw(dice),
            application: format!(
                "https://{}.{}/{}",
                word(dice),
                dice.pick(&["com", "io", "app"]),
                word(dice)
            ),
            shared_assets: if style == Style::Api || dice.chance(0.2) {
                dice.below(3)
            } else {
                dice.magnitude(3, 70)
            },
            health: dice
                .pick(&["/health", "/healthz", "/ping", "/status", "/api/health", "/up", "/"])
                .to_owned(),
            feed: dice
                .pick(&["/feed", "/rss.xml", "/atom.xml", "/feed.xml", "/index.xml", "/blog/rss"])
                .to_owned(),
            names_users: dice.chance(0.7),
            names_credentials: dice.chance(0.85),
            sees_headers: dice.chance(0.4),
            deploy: None,
            outages: Vec::new(),
            uncached: false,
            lacking: 0.0,
            suggests: None,
            keeps_old_assets: dice.chance(0.3),
            unknown: dice.pick(&[404, 404, 404, 404, 404, 404, 403, 410, 302, 200]),
            refused: dice.pick(&[401, 401, 401, 403, 302, 404]),
            forbidden: dice.pick(&[403, 403, 404, 401]),
            outage_status: dice.pick(&[500, 502, 503, 503, 504]),
            outage_hangs: dice.chance(0.4),
            noise: dice.between(0.2, 1.1),
            revalidated: dice.chance(0.5),
            answers: Answers {
                unknown: dice.spread(100.0, 60_000.0),
                unknown_to_programs: dice.spread(20.0, 800.0),
                refused: dice.spread(20.0, 5000.0),
                asset: dice.spread(3000.0, 120_000.0),
                quick: dice.spread(0.0008, 0.05),
                error: dice.spread(20.0, 4000.0),
            },
            payload: dice.spread(60.0, 6000.0),
            routes,
            pages,
        }
    }

    /// The page that `page` leads to, or any page when there is none before.
    pub fn follow(&self, dice: &mut Dice, page: Option<usize>) -> usize {
        match page.and_then(|page| self.links.get(page)) {
            Some(links) if !links.is_empty() && dice.chance(0.85) => {
                links[dice.weighted(links.iter().map(|link| link.1))].0
            }
            _ => dice.weighted(self.routes[..self.pages.max(1)].iter().map(|r| r.weight)),
        }
    }

    /// An API route by weight; `open` leaves out the guarded ones where others exist.
    pub fn api(&self, dice: &mut Dice, open: bool) -> usize {
        let apis = &self.routes[self.pages..];
        let weight = |r: &Route| if open && r.guarded { r.weight * 1e-6 } else { r.weight };
        self.pages + dice.weighted(apis.iter().map(weight))
    }

    /// A route with items that is read: of the API if `api` (or there are no such pages).
    pub fn catalogue(&self, dice: &mut Dice, api: bool) -> usize {
        let fit = |r: &Route, api: bool| {
            r.ids.is_some() && r.method == Method::Get && (r.kind == RouteKind::Api) == api
        };
        let api = api || !self.routes.iter().any(|r| fit(r, false));
        dice.weighted(self.routes.iter().map(|r| if fit(r, api) { r.weight + 0.2 } else { 0.0 }))
    }

    /// A page or API route that people or programs read, without a log-in where possible.
    pub fn readable(&self, dice: &mut Dice) -> usize {
        let fit = |r: &Route| match (r.method == Method::Get, r.guarded) {
            (true, false) => r.weight,
            (true, true) => r.weight * 1e-4,
            _ => 0.0,
        };
        dice.weighted(self.routes.iter().map(fit))
    }

    /// The build that is live at `at`.
    #[must_use]
    pub fn version(&self, at: f64) -> u64 {
        u64::from(self.deploy.is_some_and(|deploy| at >= deploy))
    }

    /// Answers a request for an existing thing; `known` when the client may see guarded routes.
    pub fn serve(&self, dice: &mut Dice, at: f64, route: usize, known: bool) -> Outcome {
        let route = &self.routes[route];
        if route.guarded && !known {
            return self.refuse(dice, at);
        }
        let status = if dice.chance(route.failures) {
            dice.pick(&[500, 500, 502, 503, 504])
        } else if dice.chance(route.refusals) {
            match (route.kind, route.method.writes()) {
                (RouteKind::Api, true) => dice.pick(&[400, 409, 422, 404]),
                (RouteKind::Api, false) => dice.pick(&[404, 404, 400, 403]),
                (RouteKind::Page, _) => self.unknown,
            }
        } else {
            match route.method {
                Method::Post => dice.pick(&[200, 201, 201]),
                Method::Delete => 204,
                _ if route.kind == RouteKind::Page && dice.chance(0.02) => dice.pick(&[301, 302]),
                _ => 200,
            }
        };
        self.finish(dice, at, status, route.bytes, route.latency)
    }

    /// Answers a request for what does not exist.
    pub fn miss(&self, dice: &mut Dice, at: f64, route: Option<usize>) -> Outcome {
        let api = route.is_some_and(|route| self.routes[route].kind == RouteKind::Api);
        let (status, bytes) = if api {
            (404, self.answers.unknown_to_programs)
        } else {
            (self.unknown, self.answers.unknown)
        };
        self.finish(dice, at, status, bytes, self.answers.quick)
    }

    /// Answers a request without the rights it needs.
    pub fn refuse(&self, dice: &mut Dice, at: f64) -> Outcome {
        self.finish(dice, at, self.refused, self.answers.refused, self.answers.quick)
    }

    /// Answers a request for what belongs to somebody else.
    pub fn forbid(&self, dice: &mut Dice, at: f64) -> Outcome {
        self.finish(dice, at, self.forbidden, self.answers.refused, self.answers.quick)
    }

    /// Answers an attempt to log in.
    pub fn log_in(&self, dice: &mut Dice, at: f64, right: bool) -> Outcome {
        let status = if right { self.login.success } else { self.login.failure };
        let bytes = if right { self.login.right } else { self.login.wrong };
        self.finish(dice, at, status, bytes, self.login.latency)
    }

    /// Answers the wish to reserve something.
    pub fn reserve(&self, dice: &mut Dice, at: f64, there: bool) -> Outcome {
        let status = if there { self.shop.reserved } else { self.shop.taken };
        self.finish(dice, at, status, self.shop.bytes, self.shop.latency)
    }

    /// Answers a payment.
    pub fn pay(&self, dice: &mut Dice, at: f64, good: bool) -> Outcome {
        let status = if good { self.shop.paid } else { self.shop.declined };
        self.finish(dice, at, status, self.shop.bytes, self.shop.latency * 2.0)
    }

    /// Answers a form that was sent.
    pub fn submit(&self, dice: &mut Dice, at: f64, form: usize, good: bool) -> Outcome {
        let form = &self.forms[form];
        let status = if good { form.taken } else { form.refused };
        self.finish(dice, at, status, form.bytes, form.latency)
    }

    /// The size of an attempt to log in, whoever makes it.
    pub fn login_payload(&self, dice: &mut Dice) -> u64 {
        (self.login.payload + dice.below(30)) as u64
    }

    /// The size of something written to a route.
    pub fn written(&self, dice: &mut Dice) -> u64 {
        dice.log_normal(self.payload, self.noise) as u64
    }

    /// Answers a request for a fixed document of about `bytes`.
    pub fn plain(&self, dice: &mut Dice, at: f64, status: u16, bytes: f64) -> Outcome {
        self.finish(dice, at, status, bytes, self.answers.quick)
    }

    /// Answers a request for an asset of the build `version`; `cached` when the client only asks
    /// whether its copy is still good.
    pub fn asset(
        &self,
        dice: &mut Dice,
        at: f64,
        asset: Asset,
        version: u64,
        cached: bool,
    ) -> Outcome {
        let built = !matches!(asset, Asset::Picture(..));
        let status = match (built && version != self.version(at) && !self.keeps_old_assets, cached)
        {
            (true, _) => 404,
            (false, true) if self.revalidated => 304,
            _ if dice.chance(0.002) => 404,
            // The same one is always missing.
            _ if matches!(asset, Asset::Picture(route, item, n)
                if Dice::new(item as u64, (route * 64 + n) as u64).chance(self.lacking)) =>
            {
                404
            }
            _ => 200,
        };
        let bytes = if status == 200 { self.answers.asset } else { self.answers.error };
        self.finish(dice, at, status, bytes, self.answers.quick)
    }

    fn finish(&self, dice: &mut Dice, at: f64, status: u16, bytes: f64, latency: f64) -> Outcome {
        let down = self.outages.iter().find(|(span, share)| span.holds(at) && dice.chance(*share));
        let (status, bytes, latency) = match down {
            Some(_) if self.outage_hangs => (self.outage_status, self.answers.error, 20.0),
            Some(_) => (self.outage_status, self.answers.error, latency * 0.3),
            None => (status, bytes, latency),
        };
        let bytes =
            if matches!(status, 204 | 304) { 0.0 } else { dice.log_normal(bytes, self.noise) };
        let seconds = dice.log_normal(latency, self.noise).clamp(0.0005, 60.0);
        Outcome {
            status,
            bytes: bytes as u64,
            duration: Some(Duration::from_millis((seconds * 1000.0).ceil() as u64)),
        }
    }

    /// Words that a visitor would search for.
    pub fn search(dice: &mut Dice) -> Query {
        let mut words = noun(dice);
        for _ in 0..dice.below(3) {
            words.push_str(dice.pick(&["+", "%20", "-"]));
            words.push_str(&noun(dice));
        }
        Query::Search(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_differ_and_hold_what_every_family_needs() {
        let mut origins = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut dice = Dice::new(seed, 0);
            let site = Site::draw(&mut dice);
            origins.insert(site.origin.clone());
            let item = &site.routes[site.catalogue(&mut dice, true)];
            assert!(item.ids.is_some() && item.kind == RouteKind::Api, "seed {seed}");
            assert!(site.routes.iter().all(|r| r.path(3, &Query::None).starts_with('/')));
            assert_eq!(site.links.len(), site.pages);
        }
        assert!(origins.len() > 195);
    }

    #[test]
    fn old_builds_are_gone_after_a_deploy() {
        let mut dice = Dice::new(3, 0);
        let mut site = Site::draw(&mut dice);
        site.keeps_old_assets = false;
        site.deploy = Some(100.0);
        let status = |at, version| {
            site.asset(&mut Dice::new(1, 1), at, Asset::Shared(0), version, false).status
        };
        assert_eq!((status(50.0, 0), status(150.0, 0), status(150.0, 1)), (200, 404, 200));
    }
}
