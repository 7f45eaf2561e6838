//! Scrapers: the catalogue taken away page by page, by a script or by what looks like a browser.

use super::actor::{Client, Family, Mask, Pace, Stage};
use super::address::Networks;
use super::agents::AgentKind;
use super::browse::Browser;
use super::crawler::Crawl;
use super::dice::Dice;
use super::route::{Query, RouteKind};
use super::site::{Span, Style};
use std::sync::Arc;

/// Sources that copy the site's content.
pub(super) struct Scraper;

/// In which order the catalogue is walked.
#[derive(Clone, Copy, Debug)]
enum Order {
    Ascending,
    Descending,
    Strided(usize),
    Shuffled,
    Listed,
}

impl Family for Scraper {
    fn name(&self) -> &'static str {
        "scraper"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.03, 0.6)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            if stage.dice.chance(0.1) {
                crawl(stage);
            } else {
                copy(stage);
            }
            if !stage.goes_on() || stage.dice.chance(0.3) {
                break;
            }
        }
    }
}

/// How a catalogue is taken.
struct Way {
    rate: f64,
    mask: Mask,
    sources: usize,
    rotates: bool,
    api: bool,
    order: Order,
    browses: bool,
}

impl Way {
    fn draw(stage: &mut Stage<'_>) -> Self {
        let stride = stage.dice.count(2, 40);
        // What everybody writes first: a loop over all ids, from one machine or a few.
        if stage.dice.chance(0.35) {
            let software = stage.agents.any(&mut stage.dice, AgentKind::Tool);
            let agent = if stage.dice.chance(0.1) { Arc::default() } else { software.clone() };
            return Self {
                rate: stage.dice.spread(1.5, 20.0),
                mask: Mask {
                    agent,
                    software: (software, AgentKind::Tool),
                    pads: 0.0,
                    forges: false,
                },
                sources: 1 + stage.dice.zipf(3, 1.5),
                rotates: false,
                api: stage.dice.chance(0.3),
                order: stage.dice.pick(&[
                    Order::Ascending,
                    Order::Ascending,
                    Order::Ascending,
                    Order::Descending,
                    Order::Strided(stride),
                    Order::Listed,
                ]),
                browses: false,
            };
        }
        Self {
            rate: stage.dice.spread(0.05, 20.0),
            mask: stage.disguise(),
            sources: 1 + stage.dice.zipf(30, 1.1),
            rotates: stage.dice.chance(0.35),
            api: stage.dice.chance(0.3),
            order: stage.dice.pick(&[
                Order::Ascending,
                Order::Ascending,
                Order::Descending,
                Order::Strided(stride),
                Order::Shuffled,
                Order::Listed,
            ]),
            browses: stage.dice.chance(0.3),
        }
    }
}

/// The catalogue, by one source or many, each its part.
fn copy(stage: &mut Stage<'_>) {
    let way = Way::draw(stage);
    let bout = stage.bout(120.0, 3000.0);
    let hosted = stage.dice.unit();
    let route = stage.site.catalogue(&mut stage.dice, way.api);
    let browses = way.browses && stage.site.routes[route].kind == RouteKind::Page;
    let sources = way.sources;
    for n in 0..sources {
        let most = stage.part(sources - n, 30);
        let mut client = stage.recruit(hosted, &way.mask, way.rotates);
        if way.api && stage.dice.chance(0.1) {
            stage.give_credential(&mut client);
        }
        let pace = Pace::draw(&mut stage.dice, way.rate / (1.0 + sources as f64 * 0.2));
        let walk = Walk { route, order: way.order, pace, first: n * 997, span: bout, most };
        if browses {
            browse(stage, client, walk);
        } else {
            take(stage, &client, walk);
        }
    }
}

/// Some say what they are, and ask nobody: robots that follow every link, faster by far than a crawler that
/// nobody knows may be, from one machine or a row of them.
fn crawl(stage: &mut Stage<'_>) {
    let agent = stage.agents.any(&mut stage.dice, AgentKind::Robot);
    let mask =
        Mask { software: (agent.clone(), AgentKind::Robot), agent, pads: 0.0, forges: false };
    let bout = stage.bout(120.0, 3000.0);
    let machines = stage.dice.magnitude(1, 24);
    let own = stage.dice.spread(2.0, 30.0) / machines as f64;
    let alike = !stage.inside && stage.dice.chance(0.7);
    let habits = Crawl::draw(&mut stage.dice);
    let first = stage.source(1.0, &mask);
    for n in 0..machines {
        let most = stage.part(machines - n, 30);
        let client = match n {
            0 => first.clone(),
            _ if alike => {
                let addr = Networks::neighbour(&mut stage.dice, first.addr);
                stage.source_at(addr, &mask)
            }
            _ => stage.source(1.0, &mask),
        };
        let mut pace = Pace::draw(&mut stage.dice, own);
        let mut at = bout.from;
        while at < bout.to && stage.sent < most {
            habits.page(stage, &client, at);
            at += pace.next(&mut stage.dice);
        }
    }
}

struct Walk {
    route: usize,
    order: Order,
    pace: Pace,
    first: usize,
    span: Span,
    most: usize,
}

impl Walk {
    fn item(&self, dice: &mut Dice, step: usize, items: usize) -> usize {
        let n = self.first + step;
        match self.order {
            Order::Ascending | Order::Listed => n % items,
            Order::Descending => items - 1 - n % items,
            Order::Strided(stride) => n * stride % items,
            Order::Shuffled => dice.below(items),
        }
    }
}

/// A script: documents alone.
fn take(stage: &mut Stage<'_>, client: &Client, mut walk: Walk) {
    let site = stage.site;
    let route = &site.routes[walk.route];
    let items = route.items();
    let every = stage.dice.count(5, 40);
    let list = (0..site.pages).find(|&page| site.routes[page].ids.is_none()).unwrap_or(walk.route);
    let style = stage.dice.below(4);
    let fixed: Arc<str> = format!("{}/", site.origin).into();
    let (mut before, mut from_list): (Arc<str>, Arc<str>) = Default::default();
    let (mut at, mut step) = (walk.span.from, 0);
    while at < walk.span.to && stage.sent < walk.most {
        let referer = match style {
            0 => Arc::default(),
            1 => fixed.clone(),
            2 => before.clone(),
            _ => from_list.clone(),
        };
        let listed = matches!(walk.order, Order::Listed) && step % every == 0;
        let (asked, path): (usize, Arc<str>) = if listed {
            (list, site.routes[list].path(0, &Query::Page(1 + step / every)).into())
        } else {
            let item = walk.item(&mut stage.dice, step, items);
            (walk.route, route.path(item, &Query::None).into())
        };
        before = format!("{}{path}", site.origin).into();
        if listed {
            from_list = before.clone();
        }
        stage.ask(client, at, asked, path, referer);
        step += 1;
        at += walk.pace.next(&mut stage.dice);
    }
}

/// A driven browser: documents with what they need, and nobody who reads them.
fn browse(stage: &mut Stage<'_>, client: Client, mut walk: Walk) {
    let mut browser = Browser::new(client, &mut stage.dice);
    if stage.dice.chance(0.5) {
        browser.assets = stage.dice.between(0.2, 1.0);
    }
    let items = stage.site.routes[walk.route].items();
    let (mut at, mut step) = (walk.span.from, 0);
    while at < walk.span.to && stage.sent < walk.most {
        let item = walk.item(&mut stage.dice, step, items);
        let done = browser.open(stage, at, walk.route, item, &Query::None).0;
        step += 1;
        at = (at + walk.pace.next(&mut stage.dice)).max(done);
    }
}
