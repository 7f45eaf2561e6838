//! Ordinary people with browsers, and all the ways in which people are not ordinary.

use super::actor::{Call, Client, Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::assets::Asset;
use super::browse::{Browser, Habits, Referers};
use super::dice::Dice;
use super::route::Query;
use super::site::Style;
use std::sync::Arc;

/// People with browsers.
pub(super) struct Visitor;

impl Family for Visitor {
    fn name(&self) -> &'static str {
        "visitor"
    }

    fn volume(&self, dice: &mut Dice, style: Style) -> f64 {
        dice.log_normal(if style == Style::Api { 0.2 } else { 0.45 }, 0.5)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        // The mix of people is the site's own.
        let odd = stage.dice.spread(0.05, 0.5);
        let members = stage.dice.between(0.0, 0.6);
        let known = stage.dice.between(0.2, 0.8);
        let depth = stage.dice.spread(1.5, 12.0);
        loop {
            let at = if stage.dice.chance(known) { stage.familiar(0.25) } else { stage.arrival() };
            if stage.dice.chance(odd) {
                peculiar(stage, at);
            } else {
                ordinary(stage, at, members, depth);
            }
            if !stage.goes_on() {
                break;
            }
        }
    }
}

fn browser(stage: &mut Stage<'_>) -> Browser {
    let client = stage.client(Place::Home, AgentKind::Browser);
    let mut browser = Browser::new(client, &mut stage.dice);
    if stage.dice.chance(0.5) {
        browser.warm(stage.site, &mut stage.dice);
    }
    browser
}

fn ordinary(stage: &mut Stage<'_>, at: f64, members: f64, depth: f64) {
    let mut browser = browser(stage);
    let habits = Habits::draw(&mut stage.dice);
    let mut now = at;
    for _ in 0..1 + stage.dice.zipf(4, 1.5) {
        if stage.dice.chance(members) {
            let wrong = stage.dice.zipf(4, 2.0);
            now = browser.log_in(stage, now, wrong);
        }
        let views = 1 + stage.dice.pause(depth) as usize;
        now = browser.visit(stage, now, views, &habits);
        if stage.dice.chance(stage.site.buyers) {
            now = browser.buy(stage, now);
        }
        if stage.dice.chance(stage.site.fillers) {
            now = browser.fill(stage, now);
        }
        now += stage.absence(400.0);
        if now > stage.length {
            break;
        }
    }
}

/// Somebody whose traffic looks unusual and is fine.
fn peculiar(stage: &mut Stage<'_>, at: f64) {
    let mut browser = browser(stage);
    let mut habits = Habits::draw(&mut stage.dice);
    let dice = &mut stage.dice;
    match dice.below(13) {
        0 => {
            // Works with the site all day.
            habits.think = dice.spread(1.5, 10.0);
            habits.tabs = dice.between(0.0, 0.4);
            let views = dice.magnitude(40, 200);
            let now = browser.log_in(stage, at, 0);
            browser.visit(stage, now, views, &habits);
        }
        1 => {
            // Reloads in anger, or waits for tickets.
            habits.reload = dice.between(0.4, 0.85);
            let views = dice.count(3, 12);
            let now = browser.visit(stage, at, views, &habits);
            if stage.dice.chance(stage.site.buyers * 2.0) {
                browser.buy(stage, now);
            }
        }
        2 => {
            // Old bookmarks, a broken link list.
            habits.dead_links = dice.between(0.3, 0.9);
            let views = dice.count(4, 25);
            browser.visit(stage, at, views, &habits);
        }
        3 => {
            let wrong = dice.count(4, 9);
            let now = browser.log_in(stage, at, wrong);
            let views = stage.dice.below(6);
            browser.visit(stage, now, views, &habits);
        }
        4 => {
            // Privacy: no referer, sometimes no agent, perhaps no scripts.
            browser.referers = Referers::None;
            if dice.chance(0.3) {
                browser.client.agent = Arc::default();
            }
            browser.assets = if dice.chance(0.4) { 0.0 } else { 1.0 };
            let views = dice.count(2, 30);
            browser.visit(stage, at, views, &habits);
        }
        5 => kiosk(stage, &mut browser, at),
        6 => {
            habits.prefetch = dice.count(3, 12);
            let views = dice.count(3, 15);
            browser.visit(stage, at, views, &habits);
        }
        7 | 8 => pictures(stage, &browser, at),
        9 => {
            // Opens twenty tabs and reads them later.
            habits.tabs = 0.95;
            habits.think = dice.spread(20.0, 200.0);
            let views = dice.count(10, 40);
            browser.visit(stage, at, views, &habits);
        }
        10 => pieces(stage, &browser.client, at),
        11 => waits(stage, &mut browser, at),
        _ => {
            // Clicks like clockwork: a screen reader, a test person, somebody who pages a list.
            let (rest, jitter) = (dice.spread(1.0, 8.0), dice.spread(0.005, 0.2));
            let Some(list) = (0..stage.site.pages).find(|&p| stage.site.routes[p].ids.is_none())
            else {
                habits.think_sigma = 0.05;
                browser.visit(stage, at, 20, &habits);
                return;
            };
            let mut now = at.max(0.0);
            for page in 1..=stage.dice.count(8, 60) {
                now = browser.open(stage, now, list, 0, &Query::Page(page)).0;
                now += rest * (1.0 + jitter * stage.dice.unit());
            }
        }
    }
}

/// A screen on a wall that refreshes itself.
fn kiosk(stage: &mut Stage<'_>, browser: &mut Browser, at: f64) {
    // Whoever hung it there has signed in.
    browser.client.known = true;
    let period = 60.0 / stage.dice.between(6.0, 30.0);
    let jitter = stage.dice.spread(0.001, 0.1);
    let site = stage.site;
    let api = site.pages == 0 || stage.dice.chance(0.6);
    let routes: Vec<usize> =
        (0..stage.dice.count(1, 4))
            .map(|_| {
                if api {
                    site.api(&mut stage.dice, true)
                } else {
                    site.follow(&mut stage.dice, None)
                }
            })
            .collect();
    let paths: Vec<Arc<str>> = routes.iter().map(|&route| stage.popular(route)).collect();
    let page: Arc<str> = format!("{}/", site.origin).into();
    let mut now = at.max(0.0);
    let end = now + stage.dice.spread(300.0, 30_000.0);
    while now < end.min(stage.length) {
        for (&route, path) in routes.iter().zip(&paths) {
            stage.ask(&browser.client, now, route, path.clone(), page.clone());
            now += 0.05;
        }
        now += period * routes.len() as f64 * (1.0 + jitter * stage.dice.unit());
    }
}

/// Somebody who waits for something to appear, and looks again by hand until it is there, or patience ends.
fn waits(stage: &mut Stage<'_>, browser: &mut Browser, at: f64) {
    let site = stage.site;
    if site.pages == 0 {
        return kiosk(stage, browser, at);
    }
    let route = stage.dice.below(site.pages);
    let item = site.routes[route].popular(&mut stage.dice);
    let rest = stage.dice.spread(2.0, 40.0);
    let mut now = at.max(0.0);
    for _ in 0..stage.dice.magnitude(8, 150) {
        now = browser.open(stage, now, route, item, &Query::None).0;
        now += stage.dice.log_normal(rest, 0.7);
        if now > stage.length {
            return;
        }
    }
}

/// A large file taken in pieces, several at a time (RFC 9110 §14): a download manager, a player that
/// is moved back and forth, a program that plays what a feed names, a package manager.
pub(super) fn pieces(stage: &mut Stage<'_>, client: &Client, at: f64) {
    let site = stage.site;
    let (route, bytes) = (site.readable(&mut stage.dice), stage.dice.spread(2e4, 5e6));
    // A site of data answers with it; another may have a file beside the page.
    let endings = if site.style == Style::Api { 1 } else { 8 };
    let ending = stage.dice.pick(&["", "", "", ".mp3", ".mp4", ".zip", ".pdf", ".iso"][..endings]);
    let mut now = at.max(0.0);
    for _ in 0..stage.dice.magnitude(1, 6) {
        let page = stage.popular(route);
        let name = if page.ends_with('/') { "file" } else { "" };
        let path = match ending {
            ending if ending.is_empty() || page.contains('?') => page.to_string(),
            ending => format!("{page}{name}{ending}"),
        };
        let gap = stage.dice.spread(0.002, 15.0);
        let most = if stage.dice.chance(0.2) { 500 } else { 80 };
        for _ in 0..stage.dice.magnitude(2, most) {
            let outcome = site.plain(&mut stage.dice, now, 206, bytes);
            stage.send(client, now, Call::get(path.as_str()), outcome);
            now += stage.dice.pause(gap);
        }
        now += stage.dice.log_normal(60.0, 1.0);
    }
}

/// Somebody who sees the site's pictures from elsewhere: image search, hot links, a preview.
fn pictures(stage: &mut Stage<'_>, browser: &Browser, at: f64) {
    let site = stage.site;
    let abroad: Arc<str> = match stage.dice.below(3) {
        0 => "https://www.google.com/".into(),
        1 => format!(
            "https://{}.org/{}",
            super::words::word(&mut stage.dice),
            super::words::word(&mut stage.dice)
        )
        .into(),
        _ => Arc::default(),
    };
    let mut now = at.max(0.0);
    for _ in 0..stage.dice.magnitude(2, 60) {
        let route = stage.dice.below(site.pages.max(1));
        let item = site.routes[route].popular(&mut stage.dice);
        let asset = Asset::Picture(route, item, stage.dice.below(8));
        let cached = stage.dice.chance(0.2);
        let outcome = site.asset(&mut stage.dice, now, asset, 0, cached);
        let call = Call::get(site.assets.path(asset, 0)).from(abroad.clone());
        stage.send(&browser.client, now, call, outcome);
        now += stage.dice.log_normal(1.0, 1.6);
    }
}
