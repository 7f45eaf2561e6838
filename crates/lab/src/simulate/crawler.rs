//! Declared crawlers of search engines and archives: steady, many distinct pages, few assets. Some come
//! from the ranges that Tidegate is shipped with.

use super::actor::{Call, Client, Family, Pace, Stage};
use super::address::{Networks, Place};
use super::agents::AgentKind;
use super::assets::Asset;
use super::dice::Dice;
use super::route::Query;
use super::site::Style;
use ipnet::IpNet;
use std::sync::LazyLock;
use tidegate_engine::crawlers;

/// The ranges that Tidegate is shipped with.
static KNOWN: LazyLock<Vec<IpNet>> = LazyLock::new(|| crawlers::ranges().collect());

/// Declared crawlers that keep to their pace.
pub(super) struct Crawler;

impl Family for Crawler {
    fn name(&self) -> &'static str {
        "crawler"
    }

    fn volume(&self, dice: &mut Dice, style: Style) -> f64 {
        dice.log_normal(if style == Style::Api { 0.015 } else { 0.06 }, 0.6)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let whole = stage.budget;
        let shared = stage.dice.unit() * 0.5;
        loop {
            if stage.dice.chance(shared) {
                previews(stage);
            }
            let published = stage.dice.chance(0.6);
            // Whose ranges everybody knows, and not only who has looked for them.
            let range = (published && stage.dice.chance(0.5)).then(|| stage.dice.pick(&KNOWN));
            // Who is known by where it comes from may be trusted with more.
            let known = range.is_some() || (published && stage.lists.is_some());
            let rate = stage.dice.spread(0.05, if known { 4.0 } else { 0.8 });
            let habits = Crawl::draw(&mut stage.dice);
            let mut first = stage.client(Place::Hosting, AgentKind::Robot);
            if let Some(range) = range {
                first.addr = Networks::within(&mut stage.dice, range);
            }
            // Large ones come from several addresses of one network, and share their pace among these.
            let machines = 1 + stage.dice.zipf(8, 1.2);
            let own = rate / (machines as f64).powf(stage.dice.between(0.7, 1.0));
            for n in 0..machines {
                let mut client = first.clone();
                if n > 0 {
                    let dice = &mut stage.dice;
                    let addr = match range {
                        Some(range) => Networks::within(dice, range),
                        None => Networks::neighbour(dice, first.addr),
                    };
                    client = stage.client_at(addr, first.agent.clone(), AgentKind::Robot);
                }
                if published && range.is_none() {
                    stage.publish(&client);
                }
                let mut at = stage.dice.between(0.0, stage.length * 0.6);
                let end = at + (whole as f64 * 0.4 / rate).max(60.0);
                let mut pace = Pace::draw(&mut stage.dice, own);
                let outcome = stage.site.plain(&mut stage.dice, at, 200, 400.0);
                stage.send(&client, at, Call::get("/robots.txt"), outcome);
                if stage.dice.chance(0.3) {
                    at += 1.0;
                    let outcome = stage.site.plain(&mut stage.dice, at, 200, 60_000.0);
                    stage.send(&client, at, Call::get("/sitemap.xml"), outcome);
                }
                while at < end.min(stage.length) {
                    at += pace.next(&mut stage.dice);
                    habits.page(stage, &client, at);
                }
            }
            if !stage.goes_on() {
                break;
            }
        }
    }
}

/// A page is named in a conversation, and the programs of those who read it fetch it to show what it is,
/// each from its own address.
fn previews(stage: &mut Stage<'_>) {
    let route = stage.site.readable(&mut stage.dice);
    let path = stage.popular(route);
    let mut at = stage.arrival();
    for _ in 0..stage.dice.magnitude(1, 20) {
        let client = stage.client(Place::Hosting, AgentKind::Robot);
        for _ in 0..stage.dice.count(1, 2) {
            stage.ask(&client, at, route, path.clone(), Default::default());
        }
        at += stage.dice.pause(20.0);
    }
}

/// What a robot asks for that follows links.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crawl {
    /// Shares of what is gone, of what it has already, and of pictures.
    gone: f64,
    unchanged: f64,
    pictures: f64,
}

impl Crawl {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let pictures = if dice.chance(0.3) { dice.between(0.05, 0.6) } else { 0.0 };
        Self { gone: dice.spread(0.002, 0.15), unchanged: dice.between(0.0, 0.4), pictures }
    }

    pub(super) fn page(self, stage: &mut Stage<'_>, client: &Client, at: f64) {
        let site = stage.site;
        let route = if stage.dice.chance(0.6) {
            site.catalogue(&mut stage.dice, false)
        } else {
            site.readable(&mut stage.dice)
        };
        let items = site.routes[route].items();
        let item = stage.dice.below(items);
        if stage.dice.chance(self.pictures) {
            let asset = Asset::Picture(route, item, stage.dice.below(4));
            let outcome = site.asset(&mut stage.dice, at, asset, 0, false);
            stage.send(client, at, Call::get(site.assets.path(asset, 0)), outcome);
            return;
        }
        if stage.dice.chance(self.gone) {
            let outcome = site.miss(&mut stage.dice, at, Some(route));
            let path = site.routes[route].path(items + item, &Query::None);
            stage.send(client, at, Call::get(path), outcome);
            return;
        }
        let query = match site.routes[route].ids {
            None if stage.dice.chance(0.5) => Query::Page(1 + stage.dice.below(60)),
            _ => Query::None,
        };
        let path = site.routes[route].path(item, &query);
        if stage.dice.chance(self.unchanged) {
            let outcome = site.plain(&mut stage.dice, at, 304, 0.0);
            stage.send(client, at, Call::get(path), outcome);
        } else {
            stage.ask(client, at, route, path.into(), Default::default());
        }
    }
}
