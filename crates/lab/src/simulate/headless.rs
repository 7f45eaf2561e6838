//! Headless scraping: driven browsers that read the catalogue at the pace of people.

use super::actor::{Client, Family, Stage};
use super::browse::Browser;
use super::dice::Dice;
use super::route::Query;
use super::site::{Span, Style};

/// Driven browsers that take pages with all they need, for hours, as slowly as people.
pub(super) struct Headless;

impl Family for Headless {
    fn name(&self) -> &'static str {
        "headless"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.05, 0.6)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            // What takes a handful of pages only is nobody's scraper.
            let sources = stage.dice.magnitude(1, 60).min(stage.left() / 150 + 1);
            let mask = stage.disguise();
            let rotates = stage.dice.chance(0.5);
            let hosted = stage.dice.unit() * 0.8;
            let route = stage.site.catalogue(&mut stage.dice, false);
            let tour = Tour {
                route,
                think: stage.dice.spread(1.5, 40.0),
                sigma: stage.dice.spread(0.05, 1.2),
                assets: if stage.dice.chance(0.5) { 1.0 } else { stage.dice.between(0.2, 1.0) },
                strays: if stage.dice.chance(0.5) { 0.0 } else { stage.dice.between(0.0, 0.4) },
                shuffled: stage.dice.chance(0.4),
                forgets: stage.dice.chance(0.4),
                span: stage.bout(600.0, 7200.0),
            };
            for n in 0..sources {
                let most = stage.part(sources - n, 30);
                let client = stage.recruit(hosted, &mask, rotates);
                read(stage, client, &tour, n * 613, most);
            }
            if !stage.goes_on() || stage.dice.chance(0.5) {
                break;
            }
        }
    }
}

struct Tour {
    route: usize,
    think: f64,
    sigma: f64,
    assets: f64,
    /// Share of pages that are not of the catalogue.
    strays: f64,
    shuffled: bool,
    /// Whether each page is opened in a browser without a cache.
    forgets: bool,
    span: Span,
}

fn read(stage: &mut Stage<'_>, client: Client, tour: &Tour, first: usize, most: usize) {
    let site = stage.site;
    let mut browser = Browser::new(client, &mut stage.dice);
    browser.assets = tour.assets;
    let items = site.routes[tour.route].items();
    let mut at = tour.span.from + stage.dice.pause(tour.think * 3.0);
    let mut step = 0;
    while at < tour.span.to && stage.sent < most {
        let item = if tour.shuffled { stage.dice.below(items) } else { (first + step) % items };
        step += 1;
        if tour.forgets {
            let client = browser.client.clone();
            browser = Browser::new(client, &mut stage.dice);
            browser.assets = tour.assets;
        }
        at = if tour.route >= site.pages {
            // The application of a site without pages: the item, and what goes with it.
            let path = site.routes[tour.route].path(item, &Query::None).into();
            stage.ask(&browser.client, at, tour.route, path, site.application.as_str().into());
            let mut now = at;
            for _ in 0..stage.dice.below(4) {
                now += stage.dice.pause(0.1);
                let route = site.api(&mut stage.dice, true);
                let path = stage.popular(route);
                stage.ask(&browser.client, now, route, path, site.application.as_str().into());
            }
            now
        } else if stage.dice.chance(tour.strays) {
            let route = site.follow(&mut stage.dice, Some(tour.route));
            let item = site.routes[route].popular(&mut stage.dice);
            browser.open(stage, at, route, item, &Query::None).0
        } else {
            browser.open(stage, at, tour.route, item, &Query::None).0
        };
        at += stage.dice.log_normal(tour.think, tour.sigma);
    }
}
