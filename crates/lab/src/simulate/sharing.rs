//! Shared keys: one paid key that many use, from everywhere at once.

use super::actor::{Client, Family, Pace, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::dice::Dice;
use super::route::Query;
use super::site::{Span, Style};
use std::sync::Arc;

/// One key in many hands: it was sold, published, or stolen.
pub(super) struct Sharing;

impl Family for Sharing {
    fn name(&self) -> &'static str {
        "sharing"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.05, 0.5)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let mut key = stage.client(Place::Home, AgentKind::Tool);
            stage.give_credential(&mut key);
            let hands = stage.dice.magnitude(8, 200);
            let bout = stage.bout(300.0, 5000.0);
            let rate = stage.dice.spread(0.05, 2.0);
            let hosted = stage.dice.unit() * 0.5;
            let one_program = stage.dice.chance(0.3);
            for n in 0..hands {
                let most = stage.part(hands - n, 4);
                let mut hand = key.clone();
                let place = if stage.dice.chance(hosted) { Place::Hosting } else { Place::Home };
                hand.addr = stage.networks.any(&mut stage.dice, place);
                if !one_program {
                    let kind = stage.dice.pick(&[
                        AgentKind::Browser,
                        AgentKind::Tool,
                        AgentKind::Tool,
                        AgentKind::App,
                    ]);
                    hand.agent = stage.agents.any(&mut stage.dice, kind);
                    hand.shape = stage.shape(&hand.agent, kind);
                }
                let from = bout.from + stage.dice.unit() * bout.length() * 0.7;
                use_key(stage, &hand, Span { from, to: bout.to }, rate, most);
            }
            if !stage.goes_on() || stage.dice.chance(0.5) {
                break;
            }
        }
    }
}

fn use_key(stage: &mut Stage<'_>, hand: &Client, span: Span, rate: f64, most: usize) {
    let own = rate * stage.dice.between(0.3, 2.0);
    let mut pace = Pace::draw(&mut stage.dice, own);
    let mut at = span.from;
    while at < span.to && stage.sent < most {
        let route = stage.site.api(&mut stage.dice, false);
        let item = stage.site.routes[route].popular(&mut stage.dice);
        let path: Arc<str> = stage.site.routes[route].path(item, &Query::None).into();
        stage.ask(hand, at, route, path, Arc::default());
        at += pace.next(&mut stage.dice);
    }
}
