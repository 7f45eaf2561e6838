//! What a client asks for again and again, and where it is among items: a few bytes each.

use crate::routes::RouteId;

/// The routes that a client asks for most, and how often, at least (Misra and Gries, "Finding repeated
/// elements", Science of Computer Programming 2, 1982). It forgets half of it at each epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    routes: [RouteId; 2],
    counts: [u16; 2],
    /// Routes that the client was counted on since the epoch began, a bit each of those that share it.
    counted: u16,
}

impl Habits {
    /// Set while each time more counts: until others wear the place off, or the epoch ends.
    const COUNTS: u16 = 1 << 15;
    /// How many times others wore off since, which are made up for before more of them count.
    const WORN: u16 = 0b1111 << Self::WORN_BITS;
    const WORN_BITS: u32 = 11;
    const MOST: u16 = (1 << Self::WORN_BITS) - 1;

    /// Takes in a request; which time it is, unless it is one of many routes. From the time `opens` on it counts.
    /// Which routes share a bit the client's `salt` says.
    pub(crate) fn add(&mut self, route: RouteId, opens: u16, salt: u32) -> Option<Turn> {
        let counts = &mut self.counts;
        let at = (0..2).find(|&at| self.routes[at] == route && counts[at] != 0);
        let Some(at) = at.or_else(|| (0..2).find(|&at| counts[at] == 0)) else {
            counts.iter_mut().for_each(Self::wear);
            return None;
        };
        let times = ((counts[at] & Self::MOST) + 1).min(Self::MOST);
        let worn = counts[at] & Self::WORN;
        let bit = 1 << (crate::mix(u64::from(route) << 32 | u64::from(salt), 11) % 16);
        // A place that was worn off and is taken anew is still of the same client.
        let (adds, state) = if counts[at] & Self::COUNTS != 0 {
            let made_up = worn.saturating_sub(1 << Self::WORN_BITS);
            (if worn == 0 { Adds::Time } else { Adds::Nothing }, Self::COUNTS | made_up)
        } else if times >= opens && self.counted & bit == 0 {
            self.counted |= bit;
            (Adds::Client, Self::COUNTS)
        } else {
            (Adds::Nothing, 0)
        };
        self.routes[at] = route;
        counts[at] = times | state;
        Some(Turn { times, adds })
    }

    /// Takes one time off a place that is taken. What counted once does not count again, so a place that is worn
    /// further than can be kept counts no more.
    fn wear(count: &mut u16) {
        let times = (*count & Self::MOST) - 1;
        let worn = *count & Self::WORN;
        *count = if times == 0 || *count & Self::COUNTS == 0 || worn == Self::WORN {
            times
        } else {
            times | Self::COUNTS | (worn + (1 << Self::WORN_BITS))
        };
    }

    pub(crate) fn halve(&mut self) {
        for count in &mut self.counts {
            *count = (*count & Self::MOST) / 2;
        }
        self.counted = 0;
    }
}

/// A request for a route, among those that the client made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How often the client asked for the route lately, this time included.
    pub times: u16,
    /// What it adds to what is usual of the route.
    pub adds: Adds,
}

/// What a request adds to what is usual of its route: all that a client adds within some minutes is ln(1 + n), for
/// one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adds {
    /// The client, with all its times so far. Where something is sent the first time adds it, else the second, for
    /// who goes everywhere asks once for much.
    Client,
    /// One more time of a client that was added.
    Time,
    /// Nothing: it is too early, or the client asks for so much else that its times are not told apart.
    Nothing,
}

/// Where a client was last among numbered items, on some routes, the latest first, and how it went on from one to
/// the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trails {
    /// The remainder of each number by [`RING`], and whether the step to it was counted.
    numbers: [u16; 4],
    routes: [RouteId; 4],
    /// Steps to another item, half of which is forgotten at each epoch.
    steps: u8,
    /// Those of them that went on by a few.
    walks: u8,
}

/// A prime below 32,768: by their remainders near numbers are as far from each other as they are, and others are
/// taken for near once in two thousand times, even those whose last bits are all the same.
const RING: u16 = 32_749;
/// Set beside a number whose step was counted.
const STEPPED: u16 = 1 << 15;
/// Largest step between two items that counts as walking.
const WALK: u16 = 8;

impl Default for Trails {
    fn default() -> Self {
        // No route has this number, and no item that one.
        Self { numbers: [!STEPPED; 4], routes: [RouteId::MAX; 4], steps: 0, walks: 0 }
    }
}

impl Trails {
    /// Takes in the next item. What belongs to the same item, such as what its page calls, is one step with it.
    pub(crate) fn step(&mut self, number: u64, route: RouteId) {
        #[allow(clippy::cast_possible_truncation, reason = "a remainder by less")]
        let number = (number % u64::from(RING)) as u16;
        let same = |at: &u16| at & !STEPPED == number;
        let mut stepped = self.numbers.iter().any(|at| same(at) && at & STEPPED != 0);
        let before = self.routes.iter().position(|&at| at == route);
        if let Some(at) = before
            && !same(&self.numbers[at])
            && !stepped
        {
            let apart = (self.numbers[at] & !STEPPED).abs_diff(number);
            if self.steps == u8::MAX {
                self.halve();
            }
            self.steps += 1;
            self.walks += u8::from(apart.min(RING - apart) <= WALK);
            stepped = true;
        }
        // All that a page calls for of its item shares two places, or there would be no room for the page.
        let first = if before.is_none() && self.numbers.iter().any(same) { 2 } else { 0 };
        let last = before.unwrap_or(self.routes.len() - 1);
        self.numbers[first..=last].rotate_right(1);
        self.routes[first..=last].rotate_right(1);
        let stepped = if stepped { STEPPED } else { 0 };
        (self.numbers[first], self.routes[first]) = (number | stepped, route);
    }

    pub(crate) fn halve(&mut self) {
        self.steps /= 2;
        self.walks /= 2;
    }

    /// The share of its steps that go on by a few, drawn to 0 while they are few, and as far as they lead to one of
    /// so many `items`: who goes back and forth between a few walks nowhere.
    pub(crate) fn walking(&self, items: f32) -> f32 {
        const PRIOR: f32 = 4.0;
        let (steps, walks) = (f32::from(self.steps), f32::from(self.walks));
        walks / (steps + PRIOR) * (items / (steps + 1.0)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_the_routes_asked_for_most() {
        let mut habits = Habits::default();
        let times = |turn: Option<Turn>| turn.map(|turn| (turn.times, turn.adds));
        let step = |n, opens| match n {
            n if n < opens => Adds::Nothing,
            n if n == opens => Adds::Client,
            _ => Adds::Time,
        };
        for n in 1..=40 {
            assert_eq!(times(habits.add(7, 2, 0)), Some((n, step(n, 2))));
            assert_eq!(times(habits.add(9, 1, 1)), Some((n, step(n, 1))));
        }
        // Others wear them off, one by one, and what is not told apart adds nothing.
        assert_eq!(times(habits.add(1, 2, 0)), None);
        assert_eq!(times(habits.add(7, 2, 0)), Some((40, Adds::Nothing)));
        habits.halve();
        assert_eq!(times(habits.add(7, 2, 0)), Some((21, Adds::Client)));
        assert_eq!(times(habits.add(7, 2, 0)), Some((22, Adds::Time)));
        // Of 9 there are 19 left, not asked for since.
        for n in 0..19 {
            assert_eq!(times(habits.add(100 + n, 2, 0)), None);
        }
        assert_eq!(
            times(habits.add(200, 2, 0)),
            Some((1, Adds::Nothing)),
            "the place of 9 is free"
        );
    }

    #[test]
    fn habits_saturate_and_pass() {
        let mut habits = Habits::default();
        let most = (0..70_000).filter_map(|_| habits.add(3, 2, 0)).last().unwrap().times;
        assert_eq!(most, Habits::MOST);
        (0..16).for_each(|_| habits.halve());
        assert_eq!(habits.add(3, 2, 0), Some(Turn { times: 1, adds: Adds::Nothing }));
    }

    /// What a client that asks for these routes adds to each of them: clients, and the sum of ln(1 + n).
    fn added(asked: impl Iterator<Item = RouteId>, opens: u16, salt: u32) -> [Added; 16] {
        let mut habits = Habits::default();
        let mut all = [Added::default(); 16];
        for route in asked {
            let Added { asked, clients, sum } = &mut all[usize::from(route)];
            *asked += 1.0;
            let Some(turn) = habits.add(route, opens, salt) else { continue };
            let times = f32::from(turn.times);
            match turn.adds {
                Adds::Client => (*clients, *sum) = (*clients + 1.0, *sum + times.ln_1p()),
                Adds::Time => *sum += times.ln_1p() - (times - 1.0).ln_1p(),
                Adds::Nothing => {}
            }
        }
        all
    }

    #[derive(Clone, Copy, Debug, Default)]
    struct Added {
        asked: f32,
        clients: f32,
        sum: f32,
    }

    #[test]
    fn a_client_adds_one_client_at_most_and_all_its_times_at_most_once() {
        let turns = |pattern: &'static [RouteId]| pattern.iter().copied().cycle().take(2000);
        #[allow(clippy::cast_possible_truncation, reason = "below sixteen")]
        let mixed = |salt: u32, of: fn(u64) -> RouteId| {
            (0..2000).map(move |n| of(crate::mix(n, salt.into())))
        };
        for salt in 0..50 {
            for opens in [1, 2] {
                let seen = [
                    added(turns(&[1, 2, 3]), opens, salt),
                    added(turns(&[1, 1, 2, 2, 3, 3]), opens, salt),
                    added(turns(&[1, 1, 2, 2, 3, 1, 2]), opens, salt),
                    added(turns(&[1, 2, 3, 4, 5, 6, 7]), opens, salt),
                    added(mixed(salt, |dice| dice as RouteId % 16), opens, salt),
                    added(mixed(salt, |dice| (dice as RouteId % 9).max(5)), opens, salt),
                ];
                for Added { asked, clients, sum } in seen.into_iter().flatten() {
                    assert!(clients <= 1.0, "{clients} of salt {salt}");
                    // Nothing is added without a client, and no more than it asked.
                    assert!(sum <= asked.ln_1p() * clients + 0.01, "{sum} of {asked}, salt {salt}");
                }
            }
        }
    }

    #[test]
    fn what_a_client_asks_for_mostly_counts_whatever_it_asks_for_beside_it() {
        let (mut sum, mut all) = (0.0, 0.0);
        for salt in 0..200u32 {
            let alone = added((0..2000).map(|_| 1), 1, salt)[1];
            assert!(alone.clients == 1.0 && (alone.sum - 2000f32.ln_1p()).abs() < 0.01);
            // Four in five on one route, the others on two. A few clients count but with what they asked at first.
            #[allow(clippy::cast_possible_truncation, reason = "below ten")]
            let mixed =
                (0..100).map(|n| (crate::mix(n, salt.into()) % 10).saturating_sub(7) as RouteId);
            let main = added(mixed, 1, salt)[0];
            sum += main.sum;
            all += main.asked.ln_1p() * main.clients;
        }
        assert!((0.9..=1.0).contains(&(sum / all)), "{sum} of {all}");
    }

    /// How much of a walk is seen in these steps.
    fn walking(items: impl Iterator<Item = (u64, RouteId)>) -> f32 {
        let mut trails = Trails::default();
        for (number, route) in items {
            trails.step(number, route);
        }
        trails.walking(f32::INFINITY)
    }

    #[test]
    fn a_walk_is_one_on_four_routes_in_turn() {
        for routes in 1..=4 {
            let on = |n: u16| n % routes + 1;
            // Each has items of its own.
            let items =
                (0..100u16).map(|n| (u64::from(on(n)) * 5_000 + u64::from(n / routes), on(n)));
            assert!(walking(items) > 0.9, "{routes} routes");
        }
        let chance = (0..400u64).map(|n| (crate::mix(n, 9) % 60_000, 3));
        assert!(walking(chance) < 0.01);
    }

    #[test]
    fn who_goes_back_and_forth_between_a_few_walks_nowhere() {
        let mut trails = Trails::default();
        (0..100).for_each(|n| trails.step(n % 2 + 1, 3));
        assert!(trails.walking(2.0) < 0.03 && trails.walking(100.0) > 0.9);
    }

    #[test]
    fn a_page_and_what_it_calls_for_of_its_item_are_one_step() {
        for calls in 0..8 {
            let visit = |n| (0..=calls).map(move |call| (n, 10 + call));
            assert!(walking((1..50).flat_map(visit)) > 0.9, "{calls}");
            let by_chance = (1..50).map(|n| crate::mix(n, 1) % 30_000);
            assert!(walking(by_chance.flat_map(visit)) < 0.03, "{calls}");
            let mut steps = Trails::default();
            (1..50).flat_map(visit).for_each(|(number, route)| steps.step(number, route));
            assert_eq!(steps.steps, 48, "{calls}");
        }
    }

    #[test]
    fn a_page_asked_before_each_item_with_its_number_hides_no_walk() {
        for pages in 1..9 {
            let visit = |n: u64| [(n, 20 + (n % pages) as RouteId), (n, 3)];
            assert!(walking((1..50).flat_map(visit)) > 0.8, "{pages}");
        }
    }

    #[test]
    fn numbers_that_end_alike_are_far_from_each_other() {
        // A time in milliseconds before 22 bits of a machine and a count, which says nothing.
        let late = (0..200u64).map(|n| {
            ((1_700_000_000_000 + crate::mix(n, 3) % 100_000) << 22 | 5 << 12 | (n % 3), 3)
        });
        assert!(walking(late) < 0.02);
        let next = (0..40u64).map(|n| ((1_700_000_000_000 << 22) + n, 3));
        assert!(walking(next) > 0.9);
        let round = (65_500..65_540u64).map(|n| (n, 3));
        assert!(walking(round) > 0.9, "the ring has no seam");
        assert_eq!(walking([(7, 3), (8, 3)].into_iter()), 0.2, "one step is no walk");
    }

    #[test]
    fn a_long_walk_is_forgotten_by_half_and_never_overflows() {
        let mut trails = Trails::default();
        (0..10_000).for_each(|n| trails.step(n, 3));
        assert!(trails.walking(300.0) > 0.95);
        (0..4).for_each(|_| trails.halve());
        let left = trails.walking(20.0);
        assert!((0.5..0.9).contains(&left), "{left}");
        (0..8).for_each(|_| trails.halve());
        assert_eq!(trails.walking(20.0), 0.0);
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
            let turn = habits.add((dice >> 8) as u16 % 6, 2, 0);
            assert!(turn.is_none_or(|turn| turn.times >= 1 && turn.times <= Habits::MOST));
        }
    }
}
