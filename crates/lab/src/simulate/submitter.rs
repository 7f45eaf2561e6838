//! Forms sent again and again: false accounts, messages nobody asked for, codes sent at the site's cost,
//! vouchers guessed.

use super::actor::{Client, Family, Stage};
use super::browse::Browser;
use super::dice::Dice;
use super::site::{Span, Style};

/// Sources that send a form for what it does (OWASP OAT-002, OAT-017, OAT-019).
pub(super) struct Submitter;

impl Family for Submitter {
    fn name(&self) -> &'static str {
        "submitter"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.01, 0.3)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let distributed = stage.dice.chance(0.45);
            let (sources, rate) = if distributed {
                (stage.dice.magnitude(10, 500), stage.dice.spread(0.003, 0.2))
            } else {
                (1 + stage.dice.zipf(5, 1.2), stage.dice.spread(0.05, 8.0))
            };
            let mask = stage.disguise();
            let rotates = stage.dice.chance(0.4);
            let hosted = stage.dice.unit();
            let forms = stage.site.forms.len();
            let tries = Tries {
                rate,
                form: stage.dice.below(forms),
                // What is guessed fails nearly always, what is sent hardly ever.
                good: if stage.dice.chance(0.4) {
                    stage.dice.spread(0.001, 0.2)
                } else {
                    stage.dice.between(0.5, 1.0)
                },
                assets: match stage.dice.below(5) {
                    0 | 1 => Some(stage.dice.between(0.3, 1.0)),
                    2 => Some(0.0),
                    _ => None,
                },
                reopens: stage.dice.chance(0.5),
                waits: stage.dice.spread(0.05, 30.0),
                span: stage.bout(120.0, 5400.0),
            };
            for n in 0..sources {
                let most = stage.part(sources - n, 4);
                let client = stage.recruit(hosted, &mask, rotates);
                submit(stage, client, &tries, most);
            }
            if !stage.goes_on() || stage.dice.chance(0.4) {
                break;
            }
        }
    }
}

struct Tries {
    rate: f64,
    form: usize,
    /// Share that the site takes.
    good: f64,
    /// Whether the page with the form is opened, and with which share of its assets.
    assets: Option<f64>,
    /// Whether it is opened each time, and not once.
    reopens: bool,
    /// Seconds between the page and what is sent.
    waits: f64,
    span: Span,
}

fn submit(stage: &mut Stage<'_>, client: Client, tries: &Tries, most: usize) {
    let mut browser = Browser::new(client, &mut stage.dice);
    browser.assets = tries.assets.unwrap_or(0.0);
    let mut at =
        tries.span.from + stage.dice.pause(1.0 / tries.rate).min(tries.span.length() * 0.7);
    let mut first = true;
    while at < tries.span.to && stage.sent < most {
        if tries.assets.is_some() && (first || tries.reopens) {
            at = browser.open_form(stage, at, tries.form);
            at += stage.dice.log_normal(tries.waits, 0.6);
        }
        first = false;
        let good = stage.dice.chance(tries.good);
        browser.submit(stage, at, tries.form, good);
        at += stage.dice.log_normal(1.0 / tries.rate, 0.5);
    }
}
