//! Botnets: hundreds or thousands of sources, each as slow as a person.

use super::actor::{Family, Stage};
use super::browse::{Browser, Habits};
use super::dice::Dice;
use super::flood::Target;
use super::site::{Span, Style};
use std::sync::Arc;

/// Many slow sources that act as one.
pub(super) struct Botnet;

impl Family for Botnet {
    fn name(&self) -> &'static str {
        "botnet"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.5, 4.0)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let rate = stage.dice.spread(0.3, 1.5);
        let bout = stage.bout(60.0, 900.0);
        // As many as the budget feeds for at least twenty seconds each.
        let most = (stage.budget as f64 / (rate * 20.0)) as usize;
        let bots = stage.dice.magnitude(150, 4000).min(most.max(50));
        let target = Target::draw(stage);
        let one_agent = stage.dice.chance(0.45);
        let mask = stage.disguise();
        let hosted = if stage.dice.chance(0.6) { 0.1 } else { stage.dice.unit() };
        let rise = stage.dice.spread(1.0, 180.0);
        let full = stage.dice.chance(0.15).then(|| Habits::draw(&mut stage.dice));
        let referred = stage.dice.below(3);
        // A driven browser costs its owner more than a script, so there are fewer, and each stays.
        let bots = if full.is_some() {
            bots.min(stage.budget / (stage.site.shared_assets + 60)).max(20)
        } else {
            bots
        };
        let each = (stage.budget / bots).max(5);
        for _ in 0..bots {
            let client = stage.recruit(hosted, &mask, !one_agent);
            let from = bout.from + rise * stage.dice.unit();
            let span = Span { from, to: bout.to };
            if let Some(habits) = &full {
                browse(stage, client, span, habits, rate, each);
                continue;
            }
            let referer: Arc<str> = match referred {
                0 => format!("{}/", stage.site.origin).into(),
                1 if stage.dice.chance(0.5) => "https://www.google.com/".into(),
                _ => Arc::default(),
            };
            let own = rate * stage.dice.between(0.5, 1.5);
            // Some bots go silent and others stay: machines are switched off, addresses rotate.
            let last = stage.sent + (each as f64 * stage.dice.between(0.3, 1.7)) as usize + 1;
            let mut at = from;
            while at < span.to && stage.sent < last {
                target.hit(stage, &client, at, &referer);
                at += stage.dice.pause(1.0 / own);
            }
        }
    }
}

/// A headless browser: pages with all they need.
fn browse(
    stage: &mut Stage<'_>,
    client: super::actor::Client,
    span: Span,
    habits: &Habits,
    rate: f64,
    each: usize,
) {
    let mut browser = Browser::new(client, &mut stage.dice);
    let last = stage.sent + each;
    let mut now = span.from;
    while now < span.to && stage.sent < last {
        // The rate is one of requests: a page with all it needs is many.
        let pages = rate / (1.0 + stage.site.shared_assets as f64 * 0.2);
        now = browser.step(stage, now, habits).0 + stage.dice.pause(1.0 / pages);
    }
}
