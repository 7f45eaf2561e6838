//! Phones: an app that asks in bursts when opened, behind carriers that share addresses.

use super::actor::{Call, Client, Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::dice::Dice;
use super::retries::Retries;
use super::site::{Span, Style};
use std::net::IpAddr;

/// Users of the site's app.
pub(super) struct Mobile;

/// What the app's developers decided.
struct App {
    on_open: Vec<usize>,
    on_tap: Vec<usize>,
    gap: f64,
    think: f64,
    /// Whether it keeps a connection, and so notices at once that the site is down.
    connected: bool,
    retries: Retries,
    signs_in: f64,
}

impl Family for Mobile {
    fn name(&self) -> &'static str {
        "mobile"
    }

    fn volume(&self, dice: &mut Dice, style: Style) -> f64 {
        dice.log_normal(if style == Style::Pages { 0.06 } else { 0.2 }, 0.6)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let site = stage.site;
        let dice = &mut stage.dice;
        let some = |dice: &mut Dice, low, high| -> Vec<usize> {
            (0..dice.count(low, high)).map(|_| site.api(dice, false)).collect()
        };
        let app = App {
            on_open: some(dice, 2, 22),
            on_tap: some(dice, 2, 8),
            gap: dice.spread(0.005, 0.3),
            think: dice.spread(2.0, 30.0),
            connected: dice.chance(0.4),
            retries: Retries::draw(dice, 7),
            signs_in: dice.between(0.3, 1.0),
        };
        let carriers: Vec<IpAddr> =
            (0..dice.count(1, 12)).map(|_| stage.networks.any(dice, Place::Home)).collect();
        let shared = dice.between(0.0, 0.7);
        let known = dice.between(0.2, 0.8);
        loop {
            let mut client = stage.client(Place::Home, AgentKind::App);
            if stage.dice.chance(shared) {
                client.addr = stage.dice.pick(&carriers);
            }
            if stage.dice.chance(app.signs_in) {
                stage.give_credential(&mut client);
                client.user = stage.user();
            }
            client.known = true;
            client.retries = app.retries;
            let mut at =
                if stage.dice.chance(known) { stage.familiar(1.0) } else { stage.arrival() };
            for _ in 0..1 + stage.dice.zipf(6, 1.2) {
                at = session(stage, &mut client, &app, at);
                at += stage.absence(240.0);
                if stage.dice.chance(0.1) {
                    // From the street into the house.
                    client.addr = stage.networks.any(&mut stage.dice, Place::Home);
                }
            }
            if !stage.goes_on() {
                break;
            }
        }
    }
}

fn session(stage: &mut Stage<'_>, client: &mut Client, app: &App, at: f64) -> f64 {
    let mut now = at;
    let forgets = stage.dice.chance(0.02);
    if forgets {
        for attempt in 0..stage.dice.count(1, 5) {
            let outcome = stage.site.log_in(&mut stage.dice, now, attempt > 2);
            let payload = stage.site.login_payload(&mut stage.dice);
            stage.send(client, now, Call::post(stage.site.login.path.as_str(), payload), outcome);
            now += stage.dice.log_normal(8.0, 0.6);
        }
    }
    for &route in &app.on_open {
        request(stage, client, now, route);
        now += stage.dice.pause(app.gap);
    }
    for _ in 0..stage.dice.pause(6.0) as usize {
        now += stage.dice.log_normal(app.think, 1.0);
        for _ in 0..1 + stage.dice.zipf(4, 1.0) {
            let route = stage.dice.pick(&app.on_tap);
            request(stage, client, now, route);
            now += stage.dice.pause(app.gap);
        }
    }
    if app.connected {
        reconnect(stage, client, app, Span { from: at, to: now });
    }
    now
}

/// One request and, when the site fails, what the app does about it.
fn request(stage: &mut Stage<'_>, client: &Client, at: f64, route: usize) -> (bool, f64) {
    let path = stage.popular(route);
    client.retries.ask(stage, client, at, route, &path)
}

/// Everybody who has the app open loses the connection at once, asks until it is back, and then asks
/// for all that was missed.
fn reconnect(stage: &mut Stage<'_>, client: &Client, app: &App, open: Span) {
    let site = stage.site;
    let lost = site.outages.iter().map(|(down, _)| down.from).find(|at| open.holds(*at));
    let (Some(lost), Some(&first)) = (lost, app.on_open.first()) else { return };
    let stubborn = Client { retries: app.retries.stubborn(), ..client.clone() };
    let noticed = lost + stage.dice.pause(0.2);
    let (served, mut now) = request(stage, &stubborn, noticed, first);
    if served {
        for &route in &app.on_open[1..] {
            now += stage.dice.pause(app.gap);
            request(stage, client, now, route);
        }
    }
}
