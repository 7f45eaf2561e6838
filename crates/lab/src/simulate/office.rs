//! An office, a school, a library: many people behind one address.

use super::actor::{Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::browse::{Browser, Habits, Referers};
use super::dice::Dice;
use super::site::Style;

/// Many people behind one address; one actor, as the site cannot tell them apart by it.
pub(super) struct Office;

impl Family for Office {
    fn name(&self) -> &'static str {
        "office"
    }

    fn volume(&self, dice: &mut Dice, style: Style) -> f64 {
        dice.log_normal(if style == Style::Api { 0.1 } else { 0.18 }, 0.5)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let depth = stage.dice.spread(2.0, 15.0);
        loop {
            let people = stage.dice.magnitude(2, 500);
            let client = stage.client(Place::Home, AgentKind::Browser);
            stage.offices.push(client.addr);
            // One image for all machines, or whatever people bring.
            let uniform = stage.dice.between(0.0, 0.95);
            let strips = stage.dice.chance(0.2);
            let members = stage.dice.between(0.0, 0.7);
            // Half begin at once: a lesson, the morning, a mail to everybody.
            let rush = stage.dice.chance(0.3).then(|| stage.dice.between(0.0, stage.length * 0.6));
            for _ in 0..people {
                let mut person = client.clone();
                if !stage.dice.chance(uniform) {
                    person.agent = stage.agents.any(&mut stage.dice, AgentKind::Browser);
                    person.shape = stage.shape(&person.agent, AgentKind::Browser);
                }
                let mut browser = Browser::new(person, &mut stage.dice);
                if strips {
                    browser.referers = Referers::None;
                }
                if stage.dice.chance(0.7) {
                    browser.warm(stage.site, &mut stage.dice);
                }
                let habits = Habits::draw(&mut stage.dice);
                let mut at = match rush {
                    Some(rush) => rush + stage.dice.pause(90.0),
                    None if stage.dice.chance(0.2) => -stage.dice.unit() * stage.length.min(300.0),
                    None => stage.arrival(),
                };
                if stage.dice.chance(members) {
                    let wrong = stage.dice.zipf(3, 2.0);
                    at = browser.log_in(stage, at, wrong);
                }
                let views = 1 + stage.dice.pause(depth) as usize;
                browser.visit(stage, at, views, &habits);
                if !stage.goes_on() {
                    return;
                }
            }
        }
    }
}
