//! Patient stuffing: each address opens the log-in page and tries a handful of passwords in hours.

use super::actor::{Family, Stage};
use super::browse::{Browser, Habits};
use super::dice::Dice;
use super::site::Style;

/// Credential stuffing with so many addresses that each needs to try once to five times only.
pub(super) struct Patient;

impl Family for Patient {
    fn name(&self) -> &'static str {
        "patient"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.02, 0.4)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let site = stage.site;
        let bout = stage.bout(600.0, 86_400.0);
        let tries = stage.dice.spread(1.0, 5.0);
        let mask = stage.disguise();
        let rotates = stage.dice.chance(0.7);
        let hosted = stage.dice.unit() * 0.6;
        // A whole browser, a script that asks for the form, or the attempt alone.
        let (form, assets) = match stage.dice.below(4) {
            0 | 1 => (true, stage.dice.between(0.3, 1.0)),
            2 => (true, 0.0),
            _ => (false, 0.0),
        };
        // From a handful in a minute to one in five hours.
        let gap = stage.dice.spread(2.0, 18_000.0);
        let waits = stage.dice.spread(0.1, 15.0);
        let right = stage.dice.spread(0.0005, 0.03);
        let cost = tries * if form { 2.0 + assets * site.shared_assets as f64 } else { 1.0 };
        let every = bout.length() / (stage.budget as f64 / cost).max(30.0);
        let mut from = bout.from;
        while stage.goes_on() && from < bout.to {
            let client = stage.recruit(hosted, &mask, rotates);
            let mut browser = Browser::new(client, &mut stage.dice);
            browser.assets = assets;
            let times = 1 + stage.dice.pause(tries - 0.99).min(8.0) as usize;
            let mut at = from;
            for _ in 0..times {
                let good = stage.dice.chance(right);
                if form {
                    at = browser.form(stage, at);
                    at += stage.dice.log_normal(waits, 0.6);
                }
                browser.client.user = stage.user();
                browser.attempt(stage, at, good);
                if good {
                    browser.client.known = true;
                    let habits = Habits::draw(&mut stage.dice);
                    at = browser.step(stage, at + 0.5, &habits).0;
                }
                at += stage.dice.log_normal(gap, 0.7);
            }
            from += stage.dice.pause(every);
        }
    }
}
