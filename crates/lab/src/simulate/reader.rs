//! Those who read for an hour and more: they look things up, and open page after page.

use super::actor::{Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::browse::{Browser, Habits, Referers};
use super::dice::Dice;
use super::route::Query;
use super::site::Style;

/// People who read far more than others.
pub(super) struct Reader;

impl Family for Reader {
    fn name(&self) -> &'static str {
        "reader"
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.02, 0.25)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let client = stage.client(Place::Home, AgentKind::Browser);
            let mut browser = Browser::new(client, &mut stage.dice);
            if stage.dice.chance(0.5) {
                browser.warm(stage.site, &mut stage.dice);
            }
            if stage.dice.chance(0.15) {
                browser.referers = Referers::None;
            }
            let mut habits = Habits::draw(&mut stage.dice);
            habits.think = stage.dice.spread(5.0, 60.0);
            habits.tabs = stage.dice.between(0.0, 0.5);
            let from = stage.dice.between(-stage.length.min(600.0), stage.length * 0.6);
            let views = stage.dice.magnitude(40, 500);
            if stage.dice.chance(0.4) {
                browser.visit(stage, from, views, &habits);
            } else {
                look_up(stage, &mut browser, from, views, &habits);
            }
            if !stage.goes_on() {
                break;
            }
        }
    }
}

/// Goes from item to item, as lists and searches lead to them, and now and then elsewhere.
fn look_up(stage: &mut Stage<'_>, browser: &mut Browser, from: f64, views: usize, habits: &Habits) {
    let route = stage.site.catalogue(&mut stage.dice, false);
    if route >= stage.site.pages {
        browser.visit(stage, from, views, habits);
        return;
    }
    let elsewhere = stage.dice.between(0.05, 0.6);
    let known_best = stage.dice.unit();
    let mut now = from;
    browser.arrive(&mut stage.dice);
    for _ in 0..views {
        if now >= stage.length || !stage.goes_on() {
            break;
        }
        now = if stage.dice.chance(elsewhere) {
            browser.step(stage, now, habits).0
        } else {
            let items = &stage.site.routes[route];
            let item = if stage.dice.chance(known_best) {
                items.popular(&mut stage.dice)
            } else {
                stage.dice.below(items.items())
            };
            browser.open(stage, now, route, item, &Query::None).0
        };
        now += if stage.dice.chance(habits.tabs) {
            stage.dice.pause(0.8)
        } else {
            stage.dice.log_normal(habits.think, habits.think_sigma)
        };
    }
}
