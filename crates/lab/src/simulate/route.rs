//! Routes of a simulated site: path grammar, ids of several kinds, queries.

use super::dice::{Dice, mix};
use super::words::{noun, slug, word};
use std::fmt::Write as _;
use tidegate_behavior::Method;

/// Whether people or programs ask for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// A document for people.
    Page,
    /// Data for programs.
    Api,
}

/// How the items of a route are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdKind {
    Integer,
    Uuid,
    Hex,
    Slug,
    SlugWithInteger,
}

/// The items of a route.
#[derive(Clone, Debug)]
pub struct Ids {
    kind: IdKind,
    salt: u64,
    first: u64,
    stride: u64,
    /// How many items exist.
    pub count: usize,
    skew: f64,
}

impl Ids {
    fn draw(dice: &mut Dice, api: bool) -> Self {
        let kinds = if api {
            [IdKind::Integer, IdKind::Integer, IdKind::Uuid, IdKind::Hex, IdKind::Slug]
        } else {
            [IdKind::Integer, IdKind::Slug, IdKind::Slug, IdKind::SlugWithInteger, IdKind::Hex]
        };
        Self {
            kind: dice.pick(&kinds),
            salt: dice.bits(),
            first: if dice.chance(0.4) { 1 } else { dice.spread(10.0, 5e7) as u64 },
            stride: if dice.chance(0.7) { 1 } else { dice.count(2, 9) as u64 },
            count: dice.magnitude(20, 50_000),
            skew: dice.between(0.5, 1.4),
        }
    }

    /// The name of item `n`. Numbers beyond [`Ids::count`] name items that do not exist.
    #[must_use]
    pub fn name(&self, n: usize) -> String {
        let number = self.first + n as u64 * self.stride;
        let hash = mix(self.salt, n as u64);
        match self.kind {
            IdKind::Integer => number.to_string(),
            IdKind::Hex => format!("{:0width$x}", hash, width = 8 + (self.salt % 9) as usize),
            IdKind::Uuid => {
                let low = mix(hash, 1);
                format!(
                    "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                    hash >> 32,
                    (hash >> 16) & 0xffff,
                    hash & 0xfff,
                    low & 0xfff,
                    low >> 16
                )
            }
            IdKind::Slug => slug(hash),
            IdKind::SlugWithInteger => format!("{}-{number}", slug(hash)),
        }
    }

    /// An item as its popularity has it.
    pub fn popular(&self, dice: &mut Dice) -> usize {
        // The popular ones are spread over the ids, not the first ones.
        let rank = dice.zipf(self.count, self.skew);
        (mix(self.salt, rank as u64) % self.count.max(1) as u64) as usize
    }
}

/// One route: what it is called, who may ask for it, and what it answers.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method it is asked with.
    pub method: Method,
    /// For people or for programs.
    pub kind: RouteKind,
    head: String,
    tail: String,
    id_in_query: Option<&'static str>,
    page_name: &'static str,
    search_name: &'static str,
    /// The items below it; none for a single document or a list.
    pub ids: Option<Ids>,
    /// How often it is chosen, relative to the others.
    pub weight: f64,
    /// Whether it wants a log-in or a key.
    pub guarded: bool,
    /// Share of requests for existing things that fail all the same, by a 4xx.
    pub refusals: f64,
    /// Share of requests that end in a 5xx on a normal day.
    pub failures: f64,
    /// Median time to answer, in seconds.
    pub latency: f64,
    /// Median size of the answer, in bytes.
    pub bytes: f64,
    /// Assets of its own that a document needs, beside the site's shared ones.
    pub chunks: usize,
    /// Pictures that a document shows.
    pub pictures: usize,
}

/// What a path is asked with, beside its item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Nothing.
    None,
    /// The page of a list, from 1.
    Page(usize),
    /// Words searched for.
    Search(String),
    /// A parameter that the application does not know: tracking, cache-busting.
    Extra(String),
}

/// The customs that all routes of a site share.
#[derive(Clone, Debug)]
pub struct Customs {
    page_root: String,
    api_root: String,
    suffix: &'static str,
    id_names: bool,
    item_ratio: f64,
    guard_ratio: f64,
    errors: f64,
    speed: f64,
    size: f64,
    pictures: usize,
}

impl Customs {
    /// Draws them.
    pub fn draw(dice: &mut Dice) -> Self {
        let suffix =
            dice.pick(&["", "", "", "", "", "/", "/", ".html", ".php", ".aspx", ".do", ".htm"]);
        let page_root = match dice.below(8) {
            0 => format!("/{}", dice.pick(&["en", "de", "fr", "es", "en-us", "pt-br", "ja"])),
            1 => format!("/{}", word(dice)),
            2 => format!("/{}/{}", dice.pick(&["app", "portal", "site", "www"]), word(dice)),
            _ => String::new(),
        };
        let number = dice.count(1, 4);
        let api_root = match dice.below(8) {
            0..=2 => format!("/api/v{number}"),
            3 => "/api".to_owned(),
            4 => format!("/v{number}"),
            5 => format!("/rest/{}/{number}.0", word(dice)),
            6 => format!("/{}/api", word(dice)),
            _ => format!("/services/{}", word(dice)),
        };
        Self {
            page_root,
            api_root,
            suffix,
            id_names: dice.chance(0.15) || (suffix.len() > 1 && dice.chance(0.5)),
            item_ratio: dice.between(0.3, 0.8),
            guard_ratio: dice.between(0.0, 0.4),
            errors: dice.spread(0.002, 0.06),
            speed: dice.spread(0.004, 0.35),
            size: dice.spread(0.25, 4.0),
            pictures: if dice.chance(0.25) { 0 } else { dice.magnitude(2, 60) },
        }
    }

    /// Draws a route under these customs.
    pub fn route(&self, dice: &mut Dice, kind: RouteKind) -> Route {
        let api = kind == RouteKind::Api;
        let mut head = if api { self.api_root.clone() } else { self.page_root.clone() };
        for _ in 0..1 + dice.zipf(3, 1.2) {
            let _ = write!(head, "/{}", noun(dice));
        }
        let ids = dice.chance(self.item_ratio).then(|| Ids::draw(dice, api));
        let id_in_query = (ids.is_some() && !api && self.id_names)
            .then(|| dice.pick(&["id", "p", "item", "pid", "article", "ref"]));
        let mut tail = String::new();
        if ids.is_some() && id_in_query.is_none() && dice.chance(0.2) {
            let _ = write!(tail, "/{}", noun(dice));
        }
        if !api {
            tail.push_str(self.suffix);
        }
        let writes = api && dice.chance(0.25);
        Route {
            method: if writes {
                dice.pick(&[Method::Post, Method::Post, Method::Put, Method::Patch, Method::Delete])
            } else {
                Method::Get
            },
            kind,
            head,
            tail,
            id_in_query,
            page_name: dice.pick(&["page", "p", "offset", "start", "pg", "cursor"]),
            search_name: dice.pick(&["q", "query", "search", "s", "term", "keyword"]),
            ids,
            weight: dice.spread(0.02, 1.0),
            guarded: dice.chance(if api { self.guard_ratio * 1.5 } else { self.guard_ratio * 0.5 }),
            refusals: self.errors
                * dice.spread(0.1, 3.0)
                * if dice.chance(0.06) { 6.0 } else { 1.0 },
            failures: dice.spread(1e-5, 0.004),
            latency: self.speed * dice.spread(0.3, 6.0),
            bytes: self.size
                * if api { dice.spread(60.0, 20_000.0) } else { dice.spread(2e3, 1.5e5) },
            chunks: if api { 0 } else { dice.zipf(14, 0.8) },
            pictures: if api { 0 } else { dice.below(self.pictures + 1) },
        }
    }

    /// A plain route with this path, as `head` spells it.
    pub fn fixed(&self, dice: &mut Dice, kind: RouteKind, method: Method, path: &str) -> Route {
        let mut route = self.route(dice, kind);
        route.method = method;
        path.clone_into(&mut route.head);
        route.tail.clear();
        route.ids = None;
        route.id_in_query = None;
        route.guarded = false;
        route
    }

    /// Where the API begins, for example `/api/v2`.
    pub fn api_root(&self) -> &str {
        &self.api_root
    }
}

impl Route {
    /// The request target for item `n` (ignored by a route without items) with `query`.
    #[must_use]
    pub fn path(&self, n: usize, query: &Query) -> String {
        let mut path = String::with_capacity(64);
        path.push_str(&self.head);
        match (&self.ids, self.id_in_query) {
            (Some(ids), None) => {
                path.push('/');
                path.push_str(&ids.name(n));
                path.push_str(&self.tail);
            }
            (Some(ids), Some(name)) => {
                let _ = write!(path, "{}?{name}={}", self.tail, ids.name(n));
            }
            (None, _) => path.push_str(&self.tail),
        }
        let mark = if path.contains('?') { '&' } else { '?' };
        let _ = match query {
            Query::None => Ok(()),
            Query::Page(page) => write!(path, "{mark}{}={page}", self.page_name),
            Query::Search(words) => write!(path, "{mark}{}={words}", self.search_name),
            Query::Extra(text) => write!(path, "{mark}{text}"),
        };
        path
    }

    /// An item as its popularity has it; 0 when there are none.
    pub fn popular(&self, dice: &mut Dice) -> usize {
        self.ids.as_ref().map_or(0, |ids| ids.popular(dice))
    }

    /// How many items exist; 1 for a route without.
    #[must_use]
    pub fn items(&self) -> usize {
        self.ids.as_ref().map_or(1, |ids| ids.count.max(1))
    }
}
