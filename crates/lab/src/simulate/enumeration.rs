//! Enumeration: ids tried one after the other for what belongs to others; one account may do it from
//! many addresses.

use super::actor::{Call, Client, Family, Pace, Stage};
use super::dice::Dice;
use super::route::Query;
use super::site::{Span, Style};
use std::sync::Arc;

/// Sources that try ids, with an account or without.
pub(super) struct Enumeration;

/// How the site meets the ids.
#[derive(Clone, Copy, Debug)]
struct Answers {
    /// Share of ids that exist.
    exist: f64,
    /// Share of those that are refused.
    refused: f64,
}

impl Family for Enumeration {
    fn name(&self) -> &'static str {
        "enumeration"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.02, 0.35)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let api = stage.dice.chance(0.75);
            let route = stage.site.catalogue(&mut stage.dice, api);
            let rate = stage.dice.spread(0.5, 25.0);
            let bout = stage.bout(60.0, 1800.0);
            let mask = stage.disguise();
            let sources = 1 + stage.dice.zipf(20, 1.3);
            let rotates = stage.dice.chance(0.25);
            let hosted = stage.dice.unit();
            let account = stage.dice.chance(0.5);
            let one = stage.dice.chance(0.35);
            let mut first: Option<Client> = None;
            let answers = Answers {
                // Who has an account and is shown everything asks for what it may have.
                exist: if !account && stage.dice.chance(0.3) {
                    1.0
                } else {
                    stage.dice.between(0.02, 0.9)
                },
                refused: if stage.dice.chance(0.5) { 0.0 } else { stage.dice.between(0.1, 1.0) },
            };
            let step = if stage.dice.chance(0.65) {
                Some(if stage.dice.chance(0.8) { 1 } else { stage.dice.count(2, 10) })
            } else {
                None
            };
            for n in 0..sources {
                let most = stage.part(sources - n, 20);
                let mut client = stage.recruit(hosted, &mask, rotates);
                match &first {
                    Some(first) if one => {
                        client.credential.clone_from(&first.credential);
                        client.user.clone_from(&first.user);
                        client.known = true;
                    }
                    _ if account => {
                        stage.give_credential(&mut client);
                        client.user = stage.user();
                        first = Some(client.clone());
                    }
                    _ => {}
                }
                let pace = Pace::draw(&mut stage.dice, rate / (1.0 + 0.2 * sources as f64));
                walk(stage, &client, (route, step, answers), bout, pace, most);
            }
            if !stage.goes_on() || stage.dice.chance(0.4) {
                break;
            }
        }
    }
}

fn walk(
    stage: &mut Stage<'_>,
    client: &Client,
    (route, step, answers): (usize, Option<usize>, Answers),
    span: Span,
    mut pace: Pace,
    most: usize,
) {
    let site = stage.site;
    let items = site.routes[route].items();
    let mut item = stage.dice.below(items);
    let mut at = span.from + stage.dice.unit() * 5.0;
    while at < span.to && stage.sent < most {
        item = step.map_or_else(|| stage.dice.below(items * 3), |step| item + step);
        let path: Arc<str> = site.routes[route].path(item, &Query::None).into();
        if !stage.dice.chance(answers.exist) {
            let outcome = site.miss(&mut stage.dice, at, Some(route));
            stage.send(client, at, Call::get(path), outcome);
        } else if stage.dice.chance(answers.refused) {
            let outcome = site.forbid(&mut stage.dice, at);
            stage.send(client, at, Call::get(path), outcome);
        } else {
            stage.ask(client, at, route, path, Arc::default());
        }
        at += pace.next(&mut stage.dice);
    }
}
