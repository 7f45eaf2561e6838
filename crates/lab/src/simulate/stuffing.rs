//! Credential stuffing: stolen pairs of user and password tried at the log-in.

use super::actor::{Call, Client, Family, Stage};
use super::browse::Browser;
use super::dice::Dice;
use super::site::{Span, Style};
use std::sync::Arc;

/// Sources that try stolen passwords, each user once or twice.
pub(super) struct Stuffing;

impl Family for Stuffing {
    fn name(&self) -> &'static str {
        "stuffing"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.02, 0.4)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let bout = stage.bout(60.0, 2400.0);
            let distributed = stage.dice.chance(0.55);
            let (sources, rate) = if distributed {
                (stage.dice.magnitude(10, 400), stage.dice.spread(0.01, 0.3))
            } else {
                (1 + stage.dice.zipf(4, 1.2), stage.dice.spread(0.05, 40.0))
            };
            let mask = stage.disguise();
            let rotates = stage.dice.chance(0.4);
            let hosted = stage.dice.unit();
            let tries = Tries {
                right: stage.dice.spread(0.0005, 0.03),
                form: stage.dice.chance(0.5),
                // A browser is driven, and loads what the form needs.
                assets: if stage.dice.chance(0.4) { stage.dice.between(0.3, 1.0) } else { 0.0 },
                waits: stage.dice.spread(0.02, 12.0),
                rate,
            };
            for n in 0..sources {
                let most = stage.part(sources - n, 4);
                let client = stage.recruit(hosted, &mask, rotates);
                attempts(stage, client, &tries, bout, most);
            }
            if !stage.goes_on() || stage.dice.chance(0.4) {
                break;
            }
        }
    }
}

struct Tries {
    right: f64,
    form: bool,
    /// Share of the form's assets that are loaded.
    assets: f64,
    /// Seconds between the form and the attempt.
    waits: f64,
    rate: f64,
}

fn attempts(stage: &mut Stage<'_>, mut client: Client, tries: &Tries, span: Span, most: usize) {
    let site = stage.site;
    let referer: Arc<str> = match (&site.login.form, tries.form) {
        (Some(form), true) => format!("{}{form}", site.origin).into(),
        _ => Arc::default(),
    };
    let mut at = span.from + stage.dice.pause(1.0 / tries.rate).min(span.length() * 0.7);
    let mut browser = (tries.form && tries.assets > 0.0).then(|| {
        let mut browser = Browser::new(client.clone(), &mut stage.dice);
        browser.assets = tries.assets;
        browser
    });
    while at < span.to && stage.sent < most {
        if let Some(browser) = &mut browser {
            at = browser.form(stage, at) + stage.dice.log_normal(tries.waits, 0.5);
        } else if let (Some(form), true) = (&site.login.form, tries.form) {
            let outcome = site.plain(&mut stage.dice, at, 200, 4000.0);
            stage.send(&client, at, Call::get(form.as_str()), outcome);
            at += stage.dice.log_normal(tries.waits, 0.5);
        }
        client.user = stage.user();
        let right = stage.dice.chance(tries.right);
        let outcome = site.log_in(&mut stage.dice, at, right);
        let payload = site.login_payload(&mut stage.dice);
        let call = Call::post(site.login.path.as_str(), payload).from(referer.clone());
        stage.send(&client, at, call, outcome);
        if right {
            // Looks what the account is worth.
            let route = site.readable(&mut stage.dice);
            let path = stage.popular(route);
            stage.ask(&client, at + 0.5, route, path, Arc::default());
        }
        at += stage.dice.log_normal(1.0 / tries.rate, 0.5);
    }
}
