//! What a client asks for again and again, and where it is among items: a few bytes each.

use crate::routes::RouteId;

/// The routes that a client asks for most, and how often, at least (Misra and Gries, "Finding repeated
/// elements", Science of Computer Programming 2, 1982). It forgets half of it at each epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    routes: [RouteId; 2],
    counts: [u16; 2],
}

impl Habits {
    /// Set while the client has not asked for the route since the epoch began.
    const STALE: u16 = 1 << 15;

    /// Counts a request; which time it is, unless it is one of many routes. From the time `opens` on it counts.
    pub(crate) fn add(&mut self, route: RouteId, opens: u16) -> Option<Turn> {
        let counts = &mut self.counts;
        let at = (0..2).find(|&at| self.routes[at] == route && counts[at] != 0);
        let Some(at) = at.or_else(|| (0..2).find(|&at| counts[at] == 0)) else {
            for count in counts {
                let less = (*count & !Self::STALE) - 1;
                *count = if less == 0 { 0 } else { less | *count & Self::STALE };
            }
            return None;
        };
        self.routes[at] = route;
        let times = (counts[at] & !Self::STALE).saturating_add(1).min(Self::STALE - 1);
        let opens = times == opens || counts[at] & Self::STALE != 0;
        counts[at] = times;
        Some(Turn { times, opens })
    }

    pub(crate) fn halve(&mut self) {
        for count in &mut self.counts {
            *count = (*count & !Self::STALE) / 2;
            if *count > 0 {
                *count |= Self::STALE;
            }
        }
    }
}

/// A request for a route, among those that the client made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How often the client asked for the route lately, this time included.
    pub times: u16,
    /// Whether it is the first time in some minutes that counts. Where something is sent it is the first;
    /// else the second, for who goes everywhere asks once for much.
    pub opens: bool,
}

/// Where a client was last among numbered items, on two routes, the latest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trails {
    /// The last 16 bits of each number: of numbers by chance one in four thousand is taken for a step.
    numbers: [u16; 2],
    routes: [RouteId; 2],
}

impl Default for Trails {
    fn default() -> Self {
        // No route has this number, and few items that one.
        Self { numbers: [u16::MAX; 2], routes: [RouteId::MAX; 2] }
    }
}

impl Trails {
    /// Takes in the next item. Answers how far it is from the one before on its route. What belongs to the same
    /// item, such as what its page calls, is no step.
    pub(crate) fn step(&mut self, number: u16, route: RouteId) -> Option<u16> {
        if self.numbers.contains(&number) {
            return None;
        }
        let before = self.routes.iter().position(|&at| at == route);
        let step = before.map(|at| number.wrapping_sub(self.numbers[at]).cast_signed());
        if before != Some(0) {
            self.numbers.swap(0, 1);
            self.routes.swap(0, 1);
        }
        (self.numbers[0], self.routes[0]) = (number, route);
        step.map(i16::unsigned_abs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_the_routes_asked_for_most() {
        let mut habits = Habits::default();
        let times = |turn: Option<Turn>| turn.map(|turn| (turn.times, turn.opens));
        for n in 1..=40 {
            assert_eq!(times(habits.add(7, 2)), Some((n, n == 2)));
            assert_eq!(times(habits.add(9, 1)), Some((n, n == 1)));
        }
        // Others wear them off, one by one.
        assert_eq!(times(habits.add(1, 2)), None);
        assert_eq!(times(habits.add(7, 2)), Some((40, false)));
        habits.halve();
        assert_eq!(times(habits.add(7, 2)), Some((21, true)));
        assert_eq!(times(habits.add(7, 2)), Some((22, false)));
        // Of 9 there are 19 left, not asked for since.
        for n in 0..19 {
            assert_eq!(times(habits.add(100 + n, 2)), None);
        }
        assert_eq!(times(habits.add(200, 2)), Some((1, false)), "the place of 9 is free");
    }

    #[test]
    fn habits_saturate_and_pass() {
        let mut habits = Habits::default();
        let most = (0..70_000).filter_map(|_| habits.add(3, 2)).last().unwrap().times;
        assert_eq!(most, Habits::STALE - 1);
        (0..16).for_each(|_| habits.halve());
        assert_eq!(habits.add(3, 2), Some(Turn { times: 1, opens: false }));
    }

    #[test]
    fn anything_can_be_asked_for_in_any_order() {
        let mut habits = Habits::default();
        for n in 0..200_000u64 {
            let dice = crate::mix(n, 5);
            if dice.is_multiple_of(50) {
                habits.halve();
            }
            #[allow(clippy::cast_possible_truncation, reason = "below six")]
            let turn = habits.add((dice >> 8) as u16 % 6, 2);
            assert!(turn.is_none_or(|turn| turn.times >= 1 && turn.times < Habits::STALE));
        }
    }
}
