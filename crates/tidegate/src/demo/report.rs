//! What is said at the end: what each group asked for and got.

use super::cast::{Actor, FirstDenial, Group};
use super::latency::Medians;
use std::fmt::Write as _;
use std::sync::Arc;

/// What a set of actors got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) actors: usize,
    pub(super) passed: u64,
    pub(super) denied: u64,
    /// Actors of whose requests more than 2 % were denied.
    pub(super) harmed: usize,
}

impl Got {
    fn add(&mut self, actor: &Actor) {
        self.actors += 1;
        self.passed += actor.passed();
        self.denied += actor.denied();
        self.harmed += usize::from(actor.harmed());
    }

    pub(super) const fn sent(&self) -> u64 {
        self.passed + self.denied
    }
}

/// What the honest got, and what the others got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) honest: Got,
    pub(super) abusive: Got,
}

impl Totals {
    pub(super) fn of(actors: &[Arc<Actor>]) -> Self {
        let mut totals = Self::default();
        for actor in actors {
            let side = if actor.group.abusive() { &mut totals.abusive } else { &mut totals.honest };
            side.add(actor);
        }
        totals
    }
}

/// A share in percent, or a dash when there is nothing to share.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    #[allow(clippy::cast_precision_loss)]
    let share = part as f64 / whole as f64 * 100.0;
    format!("{share:.2} %")
}

/// The summary, in plain text.
pub(super) fn summary(actors: &[Arc<Actor>], medians: Option<Medians>) -> String {
    let mut text = format!(
        "{:<16} {:>7} {:>9} {:>11} {:>8} {:>9}   first denial\n",
        "who", "clients", "requests", "let through", "denied", "denied %"
    );
    for group in Group::ALL.into_iter().rev() {
        let members: Vec<&Arc<Actor>> = actors.iter().filter(|a| a.group == group).collect();
        let mut got = Got::default();
        members.iter().for_each(|actor| got.add(actor));
        if got.actors == 0 {
            continue;
        }
        let first = median(members.iter().filter_map(|actor| actor.first_denial()).collect());
        let _ = writeln!(
            text,
            "{:<16} {:>7} {:>9} {:>11} {:>8} {:>9}   {}",
            group.name(),
            got.actors,
            got.sent(),
            got.passed,
            got.denied,
            percent(got.denied, got.sent()),
            first.map_or_else(
                || "never".into(),
                |first| {
                    let seconds = first.after.as_secs_f64();
                    format!("after {seconds:.1} s, request {}", first.requests)
                }
            ),
        );
    }
    let Totals { honest, abusive } = Totals::of(actors);
    let _ = write!(
        text,
        "\nattack requests denied      {} of {} ({})\n\
         legitimate requests denied  {} of {} ({})\n\
         legitimate clients harmed   {} of {} (more than 2 % of their requests denied)\n",
        abusive.denied,
        abusive.sent(),
        percent(abusive.denied, abusive.sent()),
        honest.denied,
        honest.sent(),
        percent(honest.denied, honest.sent()),
        honest.harmed,
        honest.actors,
    );
    if let Some(medians) = medians {
        let _ = writeln!(
            text,
            "added latency p50           {:.2} ms ({:.2} ms through Tidegate, {:.2} ms without, \
             {} pairs)",
            medians.added_millis(),
            medians.through.as_secs_f64() * 1e3,
            medians.direct.as_secs_f64() * 1e3,
            medians.pairs
        );
    }
    text
}

/// The median actor's first denial, by requests.
fn median(mut denials: Vec<FirstDenial>) -> Option<FirstDenial> {
    denials.sort_by_key(|first| (first.requests, first.after));
    denials.get(denials.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::cast::Cast;
    use super::*;

    #[test]
    fn a_summary_counts_both_sides() {
        let cast = Cast::default();
        let (shopper, flood) = (cast.enter(Group::Shopper), cast.enter(Group::Flood));
        for (actor, denials) in
            [(&shopper, [false, false, false, false]), (&flood, [false, true, true, true])]
        {
            actor.asks();
            denials.into_iter().for_each(|denied| actor.answered(denied));
        }
        let text = summary(&cast.seen(), None);
        assert!(text.contains("attack requests denied      3 of 4 (75.00 %)"), "{text}");
        assert!(text.contains("legitimate requests denied  0 of 4 (0.00 %)"), "{text}");
        assert!(text.contains("legitimate clients harmed   0 of 1"), "{text}");
        assert!(text.contains("request 2\n") && text.contains("never\n"), "{text}");
        assert!(!text.contains("latency"));
        assert_eq!(percent(0, 0), "–");
    }
}
