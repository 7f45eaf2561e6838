//! A browser: pages with their assets and calls, a cache, referers, log-ins, the back button.

use super::actor::{Call, Client, Stage};
use super::assets::Asset;
use super::dice::Dice;
use super::route::Query;
use super::site::{Site, Style};
use std::collections::HashSet;
use std::sync::Arc;

/// What a browser says about where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Referers {
    Full,
    /// Host only, as `strict-origin` policies make it.
    Origin,
    None,
}

/// How a person uses a browser.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    /// Median seconds between two pages.
    pub think: f64,
    /// Deviation of the logarithm of that.
    pub think_sigma: f64,
    /// Chance that a page is loaded again at once.
    pub reload: f64,
    /// Chance that a link is dead.
    pub dead_links: f64,
    /// Chance of a search instead of a link.
    pub search: f64,
    /// Chance that a page leads to a write (basket, comment).
    pub write: f64,
    /// Chance of going back to the page before.
    pub back: f64,
    /// Chance that several links are opened at once.
    pub tabs: f64,
    /// How many pages ahead the browser fetches.
    pub prefetch: usize,
}

impl Habits {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        Self {
            think: dice.spread(3.0, 60.0),
            think_sigma: dice.between(0.5, 1.5),
            reload: dice.spread(0.002, 0.08),
            dead_links: dice.spread(0.001, 0.05),
            search: dice.spread(0.005, 0.25),
            write: dice.spread(0.005, 0.2),
            back: dice.between(0.0, 0.25),
            tabs: dice.spread(0.005, 0.15),
            prefetch: if dice.chance(0.07) { dice.count(1, 6) } else { 0 },
        }
    }
}

/// One browser with its cache.
#[derive(Clone, Debug)]
pub(super) struct Browser {
    pub client: Client,
    pub referers: Referers,
    /// Share of assets that it fetches at all: 0 for one that shows text only.
    pub assets: f64,
    revalidates: f64,
    speed: f64,
    /// How long it takes to fill in what others do in a second.
    hands: f64,
    cache: HashSet<Asset>,
    version: u64,
    page: Option<usize>,
    here: Arc<str>,
    seen: Vec<(usize, usize, Arc<str>)>,
}

impl Browser {
    pub(super) fn new(client: Client, dice: &mut Dice) -> Self {
        Self {
            client,
            referers: match dice.below(12) {
                0 => Referers::None,
                1 | 2 => Referers::Origin,
                _ => Referers::Full,
            },
            assets: if dice.chance(0.08) { dice.between(0.0, 0.6) } else { 1.0 },
            revalidates: if dice.chance(0.5) { 0.0 } else { dice.between(0.0, 0.4) },
            speed: dice.spread(0.004, 0.15),
            // Three in ten have it filled in by a program that knows what they sent before.
            hands: if dice.chance(0.3) { dice.spread(0.1, 0.4) } else { dice.spread(0.5, 2.0) },
            cache: HashSet::new(),
            version: 0,
            page: None,
            here: Arc::default(),
            seen: Vec::new(),
        }
    }

    /// Fills the cache, as of somebody who was here yesterday.
    pub(super) fn warm(&mut self, site: &Site, dice: &mut Dice) {
        let share = dice.unit();
        for n in 0..site.shared_assets {
            if dice.chance(share) {
                self.cache.insert(Asset::Shared(n));
            }
        }
    }

    fn referer(&self, site: &Site) -> Arc<str> {
        match self.referers {
            Referers::Full => self.here.clone(),
            Referers::Origin if site.style == Style::Api => site.application.as_str().into(),
            Referers::Origin if !self.here.is_empty() => format!("{}/", site.origin).into(),
            _ => Arc::default(),
        }
    }

    /// Comes from somewhere else: a search engine, a link in a mail, nowhere.
    pub(super) fn arrive(&mut self, dice: &mut Dice) {
        self.page = None;
        self.here = match dice.below(6) {
            0 => "https://www.google.com/".into(),
            1 => dice
                .pick(&[
                    "https://www.bing.com/",
                    "https://duckduckgo.com/",
                    "https://t.co/",
                    "https://news.ycombinator.com/",
                    "https://www.facebook.com/",
                ])
                .into(),
            2 => format!("https://{}.com/{}", super::words::word(dice), super::words::word(dice))
                .into(),
            _ => Arc::default(),
        };
    }

    fn fetch(&mut self, stage: &mut Stage<'_>, at: f64, asset: Asset) {
        if !stage.dice.chance(self.assets) {
            return;
        }
        let held = self.cache.contains(&asset) && !stage.site.uncached;
        if held && !stage.dice.chance(self.revalidates) {
            return;
        }
        let (site, referer) = (stage.site, self.referer(stage.site));
        let outcome = site.asset(&mut stage.dice, at, asset, self.version, held);
        let path = site.assets.path(asset, self.version);
        if stage.send(&self.client, at, Call::get(path).from(referer), outcome) < 400 {
            self.cache.insert(asset);
        }
    }

    /// Opens item `item` of page `route` and all it needs; returns when the page is complete and
    /// the status of its document.
    pub(super) fn open(
        &mut self,
        stage: &mut Stage<'_>,
        at: f64,
        route: usize,
        item: usize,
        query: &Query,
    ) -> (f64, u16) {
        let site = stage.site;
        let path: Arc<str> = site.routes[route].path(item, query).into();
        self.load(stage, at, route, item, path)
    }

    fn load(
        &mut self,
        stage: &mut Stage<'_>,
        at: f64,
        route: usize,
        item: usize,
        path: Arc<str>,
    ) -> (f64, u16) {
        let site = stage.site;
        let mut now = at;
        let mut status = 200;
        // A single-page application asks for data alone once it runs.
        let runs = site.single_page && self.page.is_some();
        if !runs {
            let referer = self.referer(site);
            status = stage.ask(&self.client, now, route, path.clone(), referer);
            // A document from a cache on the way still names the assets of the old build.
            if self.version != site.version(at) && stage.dice.chance(0.8) {
                self.version = site.version(at);
                self.cache.retain(|asset| matches!(asset, Asset::Picture(..)));
            }
            now += stage.dice.pause(self.speed * 4.0) + 0.02;
        }
        self.here = format!("{}{path}", site.origin).into();
        self.page = Some(route);
        if self.seen.len() < 400 {
            self.seen.push((route, item, path));
        }
        if status >= 400 && stage.dice.chance(0.6) {
            return (now, status);
        }
        for n in 0..site.shared_assets {
            self.fetch(stage, now, Asset::Shared(n));
            now += if stage.dice.chance(0.5) { 0.0 } else { stage.dice.pause(self.speed) };
        }
        let (chunks, pictures) = (site.routes[route].chunks, site.routes[route].pictures);
        for n in 0..chunks {
            self.fetch(stage, now, Asset::Chunk(route, n));
            now += stage.dice.pause(self.speed);
        }
        for &call in &site.calls[route] {
            self.call(stage, now, call, Some(item));
            now += stage.dice.pause(self.speed * 2.0);
        }
        for n in 0..pictures {
            // Pictures far down are loaded by those who scroll.
            if n > 6 && stage.dice.chance(0.3) {
                break;
            }
            self.fetch(stage, now, Asset::Picture(route, item, n));
            now += stage.dice.pause(self.speed);
        }
        (now, status)
    }

    fn call(&mut self, stage: &mut Stage<'_>, at: f64, route: usize, item: Option<usize>) -> u16 {
        let target = &stage.site.routes[route];
        let item = match item {
            Some(item) if item < target.items() => item,
            _ => target.popular(&mut stage.dice),
        };
        let path = target.path(item, &Query::None).into();
        let referer = self.referer(stage.site);
        stage.ask(&self.client, at, route, path, referer)
    }

    /// The next step of a visit. Returns when it is done and with which status.
    pub(super) fn step(&mut self, stage: &mut Stage<'_>, at: f64, habits: &Habits) -> (f64, u16) {
        let site = stage.site;
        if site.style == Style::Api {
            // The application itself came from elsewhere; the site sees its calls.
            if self.page.is_none() {
                self.page = Some(0);
                self.here = site.application.as_str().into();
            }
            let mut now = at;
            let mut status = 200;
            for _ in 0..1 + stage.dice.zipf(12, 0.9) {
                let route = site.api(&mut stage.dice, !self.client.known);
                status = self.call(stage, now, route, None);
                now += stage.dice.pause(self.speed);
            }
            return (now, status);
        }
        if stage.dice.chance(habits.dead_links) {
            let dead = stage.dice.below(site.pages);
            let beyond = site.routes[dead].items() + 1 + stage.dice.below(5000);
            let path = match site.routes[dead].ids {
                Some(_) => site.routes[dead].path(beyond, &Query::None),
                None => format!(
                    "/{}/{}",
                    super::words::noun(&mut stage.dice),
                    super::words::noun(&mut stage.dice)
                ),
            };
            let outcome = site.miss(&mut stage.dice, at, None);
            let call = Call::get(path).from(self.referer(site));
            return (at, stage.send(&self.client, at, call, outcome));
        }
        if stage.dice.chance(habits.back) && self.seen.len() > 1 {
            let back = self.seen.len() - 2;
            let (route, item, path) = self.seen[back].clone();
            return self.load(stage, at, route, item, path);
        }
        let mut now = at;
        let route = site.follow(&mut stage.dice, self.page);
        let (item, query) = if stage.dice.chance(habits.search) && site.routes[route].ids.is_none()
        {
            let query = Site::search(&mut stage.dice);
            now = self.suggest(stage, now, &query);
            (0, query)
        } else {
            let query = match stage.dice.below(12) {
                0 if site.routes[route].ids.is_none() => Query::Page(1 + stage.dice.zipf(20, 1.2)),
                1 if self.page.is_none() => {
                    Query::Extra(format!("utm_source={}", super::words::word(&mut stage.dice)))
                }
                _ => Query::None,
            };
            (site.routes[route].popular(&mut stage.dice), query)
        };
        let (done, mut status) = self.open(stage, now, route, item, &query);
        now = done;
        for _ in 0..habits.prefetch {
            let ahead = site.follow(&mut stage.dice, self.page);
            let path = stage.popular(ahead);
            let referer = self.referer(site);
            stage.ask(&self.client, now, ahead, path, referer);
            now += stage.dice.pause(self.speed);
        }
        if stage.dice.chance(habits.write) {
            now += stage.dice.log_normal(habits.think, 0.7);
            let payload = site.written(&mut stage.dice);
            let outcome = site.serve(&mut stage.dice, now, route, true);
            let call = Call::post(self.path(), payload).from(self.referer(site));
            status = stage.send(&self.client, now, call, outcome);
        }
        (now, status)
    }

    /// What the site proposes while words are written to be searched for; returns when they are.
    pub(super) fn suggest(&mut self, stage: &mut Stage<'_>, at: f64, words: &Query) -> f64 {
        let (Some(route), Query::Search(words)) = (stage.site.suggests, words) else { return at };
        let referer = self.referer(stage.site);
        let word = words.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let letters = word.chars().count();
        let first = stage.dice.count(1, 3);
        let mut now = at;
        for end in first..=letters {
            let query = Query::Search(word.chars().take(end).collect());
            let path = stage.site.routes[route].path(0, &query).into();
            stage.ask(&self.client, now, route, path, referer.clone());
            now += stage.dice.log_normal(0.25, 0.5);
        }
        now
    }

    fn path(&self) -> Arc<str> {
        self.seen.last().map_or_else(|| "/".into(), |seen| seen.2.clone())
    }

    /// The address of the page that is open, as far as the browser tells it.
    pub(super) fn here(&self) -> Arc<str> {
        if self.referers == Referers::None { Arc::default() } else { self.here.clone() }
    }

    /// Opens the form to log in, if the site has one, with what every page needs; returns when
    /// it is complete.
    pub(super) fn form(&mut self, stage: &mut Stage<'_>, at: f64) -> f64 {
        let site = stage.site;
        site.login.form.as_deref().map_or(at, |form| self.plain_page(stage, at, form))
    }

    /// Opens the page of a form, if it has one; returns when it is complete.
    pub(super) fn open_form(&mut self, stage: &mut Stage<'_>, at: f64, form: usize) -> f64 {
        let site = stage.site;
        site.forms[form].page.as_deref().map_or(at, |page| self.plain_page(stage, at, page))
    }

    /// Sends a form.
    pub(super) fn submit(&mut self, stage: &mut Stage<'_>, at: f64, form: usize, good: bool) {
        let site = stage.site;
        let outcome = site.submit(&mut stage.dice, at, form, good);
        let payload = site.forms[form].payload(&mut stage.dice);
        let call = Call::post(site.forms[form].path.as_str(), payload).from(self.referer(site));
        stage.send(&self.client, at, call, outcome);
    }

    /// Fills in a form as people do: read, written, corrected; returns when done.
    pub(super) fn fill(&mut self, stage: &mut Stage<'_>, at: f64) -> f64 {
        let form = stage.dice.below(stage.site.forms.len());
        let mut now = self.open_form(stage, at, form);
        let wrong = stage.dice.zipf(5, 1.8);
        for attempt in 0..=wrong {
            let seconds = if attempt == 0 { 20.0 } else { 9.0 };
            now += stage.dice.log_normal(seconds * self.hands, 0.8);
            self.submit(stage, now, form, attempt == wrong);
        }
        now
    }

    /// A page of no route, with what every page needs.
    fn plain_page(&mut self, stage: &mut Stage<'_>, at: f64, page: &str) -> f64 {
        let site = stage.site;
        let outcome = site.plain(&mut stage.dice, at, 200, 4000.0);
        let call = Call::get(page).from(self.referer(site));
        stage.send(&self.client, at, call, outcome);
        self.here = format!("{}{page}", site.origin).into();
        let mut now = at + stage.dice.pause(self.speed * 4.0) + 0.02;
        for n in 0..site.shared_assets {
            self.fetch(stage, now, Asset::Shared(n));
            now += stage.dice.pause(self.speed);
        }
        now
    }

    /// One attempt to log in.
    pub(super) fn attempt(&mut self, stage: &mut Stage<'_>, at: f64, right: bool) {
        let site = stage.site;
        let outcome = site.log_in(&mut stage.dice, at, right);
        let payload = site.login_payload(&mut stage.dice);
        let call = Call::post(site.login.path.as_str(), payload).from(self.referer(site));
        stage.send(&self.client, at, call, outcome);
    }

    /// Tries to log in, wrong `wrong` times and then right; returns when done.
    pub(super) fn log_in(&mut self, stage: &mut Stage<'_>, at: f64, wrong: usize) -> f64 {
        let mut now = self.form(stage, at);
        if stage.site.login.form.is_some() {
            now += stage.dice.log_normal(8.0 * self.hands, 0.7);
        }
        self.client.user = stage.user();
        for attempt in 0..=wrong {
            self.attempt(stage, now, attempt == wrong);
            let pause = if attempt == wrong { 1.0 } else { 7.0 * self.hands };
            now += stage.dice.log_normal(pause, 0.6);
            // A browser that is sent back asks for the form again.
            if attempt < wrong && (stage.site.login.failure == 302 || stage.dice.chance(0.2)) {
                now = self.form(stage, now);
            }
        }
        self.client.known = true;
        now
    }

    /// Puts something into the basket and pays; now and then it is gone, or the card is declined.
    pub(super) fn buy(&mut self, stage: &mut Stage<'_>, at: f64) -> f64 {
        let site = stage.site;
        let mut now = at;
        for _ in 0..1 + stage.dice.zipf(4, 1.5) {
            let there = !stage.dice.chance(0.05);
            let outcome = site.reserve(&mut stage.dice, now, there);
            let payload = site.shop.payload(&mut stage.dice);
            let call = Call::post(site.shop.basket.as_str(), payload).from(self.referer(site));
            stage.send(&self.client, now, call, outcome);
            now += stage.dice.log_normal(12.0, 0.9);
        }
        if stage.dice.chance(0.4) {
            return now;
        }
        for _ in 0..4 {
            let good = !stage.dice.chance(0.12);
            let outcome = site.pay(&mut stage.dice, now, good);
            let payload = site.shop.payload(&mut stage.dice);
            let call = Call::post(site.shop.payment.as_str(), payload).from(self.referer(site));
            stage.send(&self.client, now, call, outcome);
            now += stage.dice.log_normal(20.0, 0.8);
            if good {
                break;
            }
        }
        now
    }

    /// A visit of about `views` steps from `at` on. Returns when it ends.
    pub(super) fn visit(
        &mut self,
        stage: &mut Stage<'_>,
        at: f64,
        views: usize,
        habits: &Habits,
    ) -> f64 {
        let mut now = at;
        self.arrive(&mut stage.dice);
        for _ in 0..views {
            if now >= stage.length {
                break;
            }
            let before = now;
            let (done, status) = self.step(stage, now, habits);
            now = done;
            let mut angry = if status >= 500 { 0.5 } else { habits.reload };
            while stage.dice.chance(angry) {
                now += stage.dice.log_normal(2.0, 0.7);
                if let (Some((route, item, path)), true) =
                    (self.seen.last().cloned(), self.page.is_some())
                {
                    self.page = None;
                    now = self.load(stage, now, route, item, path).0;
                }
                angry *= 0.8;
            }
            now = if stage.dice.chance(habits.tabs) {
                before + stage.dice.pause(0.8)
            } else {
                now + stage.dice.log_normal(habits.think, habits.think_sigma)
            };
        }
        now
    }
}
