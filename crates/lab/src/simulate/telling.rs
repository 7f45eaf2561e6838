//! What a source tells of each request: logs and gateways leave fields out, each in its own way.

use super::Event;
use super::dice::Dice;
use std::sync::Arc;
use tidegate_behavior::path::{self, Kind};

/// The fields that a source has, and what of the traffic reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    referers: bool,
    agents: bool,
    payloads: bool,
    durations: bool,
    /// Whether assets pass by here, or a content network serves them all.
    assets: bool,
    /// Whether everybody shows one agent, that of what stands before the site.
    alike: bool,
}

impl Telling {
    const ALL: Self = Self {
        referers: true,
        agents: true,
        payloads: true,
        durations: true,
        assets: true,
        alike: false,
    };

    /// Draws a source; somewhat less than half of them tell everything.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let told = match dice.below(50) {
            0..=24 => Self::ALL,
            // The combined log format.
            25..=33 => Self { payloads: false, durations: false, ..Self::ALL },
            // Access logs of load balancers and of Envoy, as they come.
            34..=38 => Self { referers: false, ..Self::ALL },
            // HAProxy's, without captures.
            39..=42 => Self { referers: false, agents: false, payloads: false, ..Self::ALL },
            // The common log format.
            43..=45 => Self {
                referers: false,
                agents: false,
                payloads: false,
                durations: false,
                ..Self::ALL
            },
            _ => Self {
                referers: dice.chance(0.6),
                agents: dice.chance(0.5),
                payloads: dice.chance(0.5),
                durations: dice.chance(0.5),
                ..Self::ALL
            },
        };
        Self { assets: !dice.chance(0.08), alike: dice.chance(0.03), ..told }
    }

    /// Takes from the traffic what the source does not tell.
    pub(super) fn leave_out(self, events: &mut Vec<Event>) {
        if self == Self::ALL {
            return;
        }
        if !self.assets {
            events.retain(|event| path::read(&event.path).kind != Kind::Asset);
        }
        let nothing: Arc<str> = Arc::default();
        let one = events.first().map_or_else(|| nothing.clone(), |event| event.user_agent.clone());
        for event in events {
            // Only gateways that tell everything see the fields of a header.
            event.header_shape = 0;
            if !self.referers {
                event.referer = nothing.clone();
            }
            if self.alike {
                event.user_agent = one.clone();
            }
            if !self.agents {
                event.user_agent = nothing.clone();
            }
            if !self.payloads {
                event.payload = 0;
            }
            if !self.durations {
                event.outcome.duration = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Scenario, generate};

    #[test]
    fn many_sources_tell_everything_and_each_field_is_missing_somewhere() {
        let drawn: Vec<Telling> =
            (0..2000).map(|seed| Telling::draw(&mut Dice::new(seed, 7))).collect();
        let share = |of: &dyn Fn(&Telling) -> bool| {
            drawn.iter().filter(|told| of(told)).count() as f64 / drawn.len() as f64
        };
        let all = share(&|told| *told == Telling::ALL);
        assert!((0.4..0.5).contains(&all), "{all}");
        for (name, missing) in [
            ("referers", share(&|told| !told.referers)),
            ("agents", share(&|told| !told.agents)),
            ("payloads", share(&|told| !told.payloads)),
            ("durations", share(&|told| !told.durations)),
            ("assets", share(&|told| !told.assets)),
        ] {
            assert!((0.05..0.45).contains(&missing), "{name} missing in {missing}");
        }
    }

    #[test]
    fn what_is_not_told_is_not_there_and_all_else_is() {
        // Any seed whose source tells everything will do.
        let seed = (511..).find(|&seed| Telling::draw(&mut Dice::new(seed, 7)) == Telling::ALL);
        let traffic = generate(Scenario::Mixed, seed.unwrap(), 2);
        let told = |telling: Telling| {
            let mut events = traffic.events.clone();
            telling.leave_out(&mut events);
            events
        };
        let whole = told(Telling::ALL);
        assert_eq!(whole.len(), traffic.events.len());
        let bare =
            told(Telling { referers: false, agents: false, durations: false, ..Telling::ALL });
        assert_eq!(bare.len(), whole.len());
        for (event, before) in bare.iter().zip(&whole) {
            assert!(event.referer.is_empty() && event.user_agent.is_empty());
            assert_eq!(event.outcome.duration, None);
            assert_eq!((&event.path, event.payload), (&before.path, before.payload));
            assert_eq!(event.outcome.status, before.outcome.status);
        }
        let behind = told(Telling { assets: false, ..Telling::ALL });
        assert!(behind.iter().all(|event| path::read(&event.path).kind != Kind::Asset));
        let alike = told(Telling { alike: true, ..Telling::ALL });
        assert!(alike.windows(2).all(|pair| pair[0].user_agent == pair[1].user_agent));
    }
}
