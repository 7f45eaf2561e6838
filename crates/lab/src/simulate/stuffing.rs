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
            let (right, way) = (stage.dice.spread(0.0005, 0.03), Way::draw(&mut stage.dice));
            let tries = Tries { right, way, rate };
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
    way: Way,
    rate: f64,
}

/// How whoever tries passwords comes to the log-in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Whether the form is asked for before each attempt.
    form: bool,
    /// Share of the form's assets that are loaded.
    assets: f64,
    /// Seconds between the form and the attempt.
    waits: f64,
}

impl Way {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        Self {
            form: dice.chance(0.5),
            // A browser is driven, and loads what the form needs.
            assets: if dice.chance(0.4) { dice.between(0.3, 1.0) } else { 0.0 },
            waits: dice.spread(0.02, 12.0),
        }
    }

    /// The browser that is driven, if one is.
    pub(super) fn browser(self, client: &Client, dice: &mut Dice) -> Option<Browser> {
        (self.form && self.assets > 0.0).then(|| {
            let mut browser = Browser::new(client.clone(), dice);
            browser.assets = self.assets;
            browser
        })
    }

    /// Sends one attempt, which begins at `at`. Returns when it is over.
    pub(super) fn attempt(
        self,
        stage: &mut Stage<'_>,
        client: &Client,
        browser: &mut Option<Browser>,
        at: f64,
        right: bool,
    ) -> f64 {
        let site = stage.site;
        let (mut now, mut referer) = (at, Arc::default());
        if let (Some(form), true) = (&site.login.form, self.form) {
            referer = format!("{}{form}", site.origin).into();
            if let Some(browser) = browser {
                now = browser.form(stage, now);
            } else {
                let outcome = site.plain(&mut stage.dice, now, 200, 4000.0);
                stage.send(client, now, Call::get(form.as_str()), outcome);
            }
            now += stage.dice.log_normal(self.waits, 0.5);
        }
        let outcome = site.log_in(&mut stage.dice, now, right);
        let payload = site.login_payload(&mut stage.dice);
        let call = Call::post(site.login.path.as_str(), payload).from(referer);
        stage.send(client, now, call, outcome);
        now
    }
}

fn attempts(stage: &mut Stage<'_>, mut client: Client, tries: &Tries, span: Span, most: usize) {
    let site = stage.site;
    let mut at = span.from + stage.dice.pause(1.0 / tries.rate).min(span.length() * 0.7);
    let mut browser = tries.way.browser(&client, &mut stage.dice);
    while at < span.to && stage.sent < most {
        client.user = stage.user();
        let right = stage.dice.chance(tries.right);
        at = tries.way.attempt(stage, &client, &mut browser, at, right);
        if right {
            // Looks what the account is worth.
            let route = site.readable(&mut stage.dice);
            let path = stage.popular(route);
            stage.ask(&client, at + 0.5, route, path, Arc::default());
        }
        at += stage.dice.log_normal(1.0 / tries.rate, 0.5);
    }
}
