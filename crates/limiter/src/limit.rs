//! Any algorithm behind one name, and several limits on one request, all or nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::bucket::{Admission, Bucket};
use crate::clock::Timestamp;
use crate::concurrency::Concurrency;
use crate::leaky::LeakyBucket;
use crate::quota::{Cost, Quota};
use crate::window::{SlidingWindow, Window};

/// A limit to hold a request against: the policy's part, which may change between any two checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Cells per period with a burst; see [`Bucket`].
    TokenBucket(Quota),
    /// The same, but over the rate a request waits; see [`LeakyBucket`].
    LeakyBucket {
        /// The rate at which requests leave, and how many pass without waiting.
        quota: Quota,
        /// The longest wait; what would wait longer is denied.
        max_wait: Duration,
    },
    /// Cells in any window of a length; see [`SlidingWindow`].
    SlidingWindow(Window),
    /// Cells in flight at once; see [`Concurrency`].
    Concurrency {
        /// The most cells in flight.
        max: NonZeroU32,
        /// How long a permit that is never released counts.
        lease: Duration,
    },
}

/// The client's part of a limit: what must be remembered between two checks.
///
/// It takes the form that the limit asks for. When a policy changes the algorithm, the cells owed
/// carry over between the three that count a rate, bounded by the new limit's capacity; to and
/// from a concurrency limit nothing carries over, for requests in flight are not a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitState {
    /// Never used.
    #[default]
    Unused,
    /// Of [`Limit::TokenBucket`].
    TokenBucket(Bucket),
    /// Of [`Limit::LeakyBucket`].
    LeakyBucket(LeakyBucket),
    /// Of [`Limit::SlidingWindow`].
    SlidingWindow(SlidingWindow),
    /// Of [`Limit::Concurrency`].
    Concurrency(Concurrency),
}

impl LimitState {
    /// What a request of this cost would be answered. Changes nothing.
    #[must_use]
    #[inline]
    pub fn peek(&self, limit: &Limit, cost: Cost, now: Timestamp) -> Admission {
        match (limit, self) {
            (Limit::TokenBucket(quota), Self::TokenBucket(state)) => state.peek(quota, cost, now),
            (Limit::LeakyBucket { quota, max_wait }, Self::LeakyBucket(state)) => {
                state.peek(quota, *max_wait, cost, now)
            }
            (Limit::SlidingWindow(window), Self::SlidingWindow(state)) => {
                state.peek(window, cost, now)
            }
            (Limit::Concurrency { max, lease }, Self::Concurrency(state)) => {
                state.peek(*max, *lease, cost, now)
            }
            _ => self.converted(limit, now).peek(limit, cost, now),
        }
    }

    /// Charges a request whether or not it fits: the second half of a check that was peeked at.
    #[inline]
    pub fn commit(&mut self, limit: &Limit, cost: Cost, now: Timestamp) {
        match (limit, &mut *self) {
            (Limit::TokenBucket(quota), Self::TokenBucket(state)) => state.commit(quota, cost, now),
            (Limit::LeakyBucket { quota, .. }, Self::LeakyBucket(state)) => {
                state.commit(quota, cost, now);
            }
            (Limit::SlidingWindow(window), Self::SlidingWindow(state)) => {
                state.commit(window, cost, now);
            }
            (Limit::Concurrency { lease, .. }, Self::Concurrency(state)) => {
                state.commit(*lease, cost, now);
            }
            _ => {
                *self = self.converted(limit, now);
                self.commit(limit, cost, now);
            }
        }
    }

    /// Answers a request and charges it if it is admitted.
    #[inline]
    pub fn check(&mut self, limit: &Limit, cost: Cost, now: Timestamp) -> Admission {
        let admission = self.peek(limit, cost, now);
        if admission.admitted {
            self.commit(limit, cost, now);
        } else {
            self.settle(limit, now);
        }
        admission
    }

    /// Accounts for the time passed under this limit, without a request; see [`Bucket::settle`].
    pub fn settle(&mut self, limit: &Limit, now: Timestamp) {
        match (limit, self) {
            (Limit::TokenBucket(quota), Self::TokenBucket(state))
            | (Limit::LeakyBucket { quota, .. }, Self::LeakyBucket(LeakyBucket(state))) => {
                state.settle(quota, now);
            }
            _ => {}
        }
    }

    /// Undoes a charge made at `charged`: gives cells back, or releases the permits in flight.
    pub fn release(&mut self, cost: Cost, charged: Timestamp) {
        match self {
            Self::Unused => {}
            Self::TokenBucket(state) => state.drain(cost),
            Self::LeakyBucket(state) => state.drain(cost),
            Self::SlidingWindow(state) => state.drain(cost),
            Self::Concurrency(state) => state.release(cost, charged),
        }
    }

    /// Cells owed or in flight as of the last charge.
    #[must_use]
    pub const fn debt(&self) -> Cost {
        match self {
            Self::Unused => Cost::ZERO,
            Self::TokenBucket(state) | Self::LeakyBucket(LeakyBucket(state)) => state.debt(),
            Self::SlidingWindow(state) => state.debt(),
            Self::Concurrency(state) => state.in_flight(),
        }
    }

    /// The state in the form that `limit` asks for.
    fn converted(&self, limit: &Limit, now: Timestamp) -> Self {
        let owed = if matches!(self, Self::Concurrency(_)) { Cost::ZERO } else { self.debt() };
        match limit {
            Limit::TokenBucket(quota) => Self::TokenBucket(Bucket::owing(owed, quota, now)),
            Limit::LeakyBucket { quota, .. } => {
                Self::LeakyBucket(LeakyBucket(Bucket::owing(owed, quota, now)))
            }
            Limit::SlidingWindow(window) => {
                Self::SlidingWindow(SlidingWindow::owing(owed, window, now))
            }
            Limit::Concurrency { .. } => Self::Concurrency(Concurrency::default()),
        }
    }
}

/// Whether a limit answers, or is only evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It may deny the request.
    #[default]
    Enforced,
    /// It keeps its own state and its answer is reported, but it never denies and never changes
    /// what another limit is charged.
    Shadow,
}

/// One limit that a request is held against.
#[derive(Debug)]
pub struct Charge<'a> {
    /// The client's state under this limit.
    pub state: &'a mut LimitState,
    /// The limit.
    pub limit: &'a Limit,
    /// What the request costs here.
    pub cost: Cost,
    /// Whether it answers.
    pub mode: Mode,
    /// This limit's own answer, filled in by [`check_all`].
    pub admission: Admission,
}

impl<'a> Charge<'a> {
    /// A limit that may deny.
    pub const fn enforced(state: &'a mut LimitState, limit: &'a Limit, cost: Cost) -> Self {
        Self { state, limit, cost, mode: Mode::Enforced, admission: Admission::UNLIMITED }
    }

    /// A limit that is only evaluated.
    pub const fn shadow(state: &'a mut LimitState, limit: &'a Limit, cost: Cost) -> Self {
        Self { state, limit, cost, mode: Mode::Shadow, admission: Admission::UNLIMITED }
    }
}

/// The answer of several limits to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllAdmission {
    /// Whether every enforced limit admitted it.
    pub admitted: bool,
    /// The index of the most binding enforced limit: of those that deny the one that denies
    /// longest, else the one with the fewest cells left (of equals the first); `None` if no limit
    /// is enforced.
    pub binding: Option<usize>,
    /// The answer of that limit; `wait` is the longest of all. Without one,
    /// [`Admission::UNLIMITED`].
    pub admission: Admission,
}

/// Holds one request against several limits: either every enforced one admits it and each is
/// charged its own cost, or none is charged anything.
///
/// A shadow limit behaves as if it alone were in force for the traffic that the enforced ones let
/// through: a request that they deny never reaches it (its answer is reported, nothing is
/// charged), and one that they admit is charged to it if the shadow limit itself admits it. So its
/// state is what enforcing it in addition would have made it.
///
/// Does not allocate.
pub fn check_all(charges: &mut [Charge<'_>], now: Timestamp) -> AllAdmission {
    let mut all = AllAdmission { admitted: true, binding: None, admission: Admission::UNLIMITED };
    let mut wait = Duration::ZERO;
    for (index, charge) in charges.iter_mut().enumerate() {
        charge.admission = charge.state.peek(charge.limit, charge.cost, now);
        if charge.mode == Mode::Shadow {
            continue;
        }
        wait = wait.max(charge.admission.wait);
        if all.binding.is_none() || binds_more(&charge.admission, &all.admission) {
            all.binding = Some(index);
            all.admission = charge.admission;
        }
        all.admitted &= charge.admission.admitted;
    }
    all.admission.wait = if all.admitted { wait } else { Duration::ZERO };
    for charge in charges {
        if all.admitted && charge.admission.admitted {
            charge.state.commit(charge.limit, charge.cost, now);
        } else if all.admitted || charge.mode == Mode::Enforced {
            charge.state.settle(charge.limit, now);
        }
    }
    all
}

fn binds_more(one: &Admission, other: &Admission) -> bool {
    match (one.admitted, other.admitted) {
        (false, true) => true,
        (true, false) => false,
        (false, false) => one.retry_after > other.retry_after,
        (true, true) => one.remaining < other.remaining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn bucket(burst: u32) -> Limit {
        Limit::TokenBucket(Quota::new(1, Duration::from_secs(10), burst).unwrap())
    }

    #[test]
    fn one_denial_charges_nobody_and_the_longest_denier_answers() {
        let (wide, narrow, slow) = (bucket(5), bucket(1), {
            Limit::TokenBucket(Quota::new(1, Duration::from_secs(60), 1).unwrap())
        });
        let mut states = [LimitState::default(); 3];
        states[1].commit(&narrow, Cost::ONE, NOW);
        states[2].commit(&slow, Cost::ONE, NOW);
        let before = states;
        let [a, b, c] = &mut states;
        let all = check_all(
            &mut [
                Charge::enforced(a, &wide, Cost::ONE),
                Charge::enforced(b, &narrow, Cost::ONE),
                Charge::enforced(c, &slow, Cost::ONE),
            ],
            NOW,
        );
        assert!(!all.admitted);
        assert_eq!(all.binding, Some(2));
        assert_eq!(all.admission.retry_after, Duration::from_secs(60));
        assert_eq!(states, before);
    }

    #[test]
    fn of_limits_that_admit_the_one_with_fewest_left_binds() {
        let (wide, narrow) = (bucket(5), bucket(2));
        let (mut a, mut b) = (LimitState::default(), LimitState::default());
        let all = check_all(
            &mut [
                Charge::enforced(&mut a, &wide, Cost::ONE),
                Charge::enforced(&mut b, &narrow, Cost::ONE),
            ],
            NOW,
        );
        assert_eq!((all.admitted, all.binding, all.admission.remaining), (true, Some(1), 1));
        assert_eq!((a.debt(), b.debt()), (Cost::ONE, Cost::ONE));
    }

    #[test]
    fn without_an_enforced_limit_everything_passes() {
        let limit = bucket(1);
        let mut state = LimitState::default();
        for admitted in [true, false] {
            let mut charges = [Charge::shadow(&mut state, &limit, Cost::ONE)];
            let all = check_all(&mut charges, NOW);
            assert_eq!((all.admission, all.binding), (Admission::UNLIMITED, None));
            assert_eq!(charges[0].admission.admitted, admitted);
        }
    }

    #[test]
    fn a_change_of_algorithm_carries_the_cells() {
        let quota = Quota::new(1, Duration::from_secs(10), 5).unwrap();
        let rates = [
            Limit::TokenBucket(quota),
            Limit::LeakyBucket { quota, max_wait: Duration::ZERO },
            Limit::SlidingWindow(Window::new(5, Duration::from_secs(60)).unwrap()),
        ];
        for from in &rates {
            for to in &rates {
                let mut state = LimitState::default();
                state.commit(from, Cost::cells(5), NOW);
                assert!(!state.check(to, Cost::ONE, NOW).admitted, "{from:?} to {to:?}");
            }
            let mut state = LimitState::default();
            state.commit(from, Cost::cells(5), NOW);
            let max = NonZeroU32::MIN;
            let in_flight = Limit::Concurrency { max, lease: Duration::from_secs(1) };
            assert!(state.check(&in_flight, Cost::ONE, NOW).admitted);
            state.release(Cost::ONE, NOW);
            assert_eq!(state.debt(), Cost::ZERO);
        }
    }

    fn limit() -> impl Strategy<Value = Limit> {
        let quota = || {
            (1u32..50, 1u32..10)
                .prop_map(|(n, burst)| Quota::new(n, Duration::from_secs(10), burst).unwrap())
        };
        prop_oneof![
            quota().prop_map(Limit::TokenBucket),
            (quota(), 0u64..2_000).prop_map(|(quota, ms)| Limit::LeakyBucket {
                quota,
                max_wait: Duration::from_millis(ms)
            }),
            (1u32..20).prop_map(|n| {
                Limit::SlidingWindow(Window::new(n, Duration::from_secs(5)).unwrap())
            }),
            (1u32..5).prop_map(|n| Limit::Concurrency {
                max: NonZeroU32::new(n).unwrap(),
                lease: Duration::from_secs(1)
            }),
        ]
    }

    proptest! {
        /// A shadow limit ends in the state of the same limit alone, given what the enforced ones
        /// let through; and the enforced ones end as if it were not there.
        #[test]
        fn a_shadow_changes_nothing_and_sees_what_passed(
            enforced in [limit(), limit()],
            candidate in limit(),
            gaps in prop::collection::vec(0u64..2_000_000_000, 1..100),
        ) {
            let mut with = [LimitState::default(); 3];
            let mut without = [LimitState::default(); 2];
            let mut alone = LimitState::default();
            let mut now = NOW;
            for gap in gaps {
                now = now.plus(Duration::from_nanos(gap));
                let [a, b, c] = &mut with;
                let mut charges = [
                    Charge::enforced(a, &enforced[0], Cost::ONE),
                    Charge::shadow(c, &candidate, Cost::ONE),
                    Charge::enforced(b, &enforced[1], Cost::ONE),
                ];
                let all = check_all(&mut charges, now);
                let reported = charges[1].admission;
                prop_assert_eq!(
                    all.admitted,
                    charges[0].admission.admitted && charges[2].admission.admitted
                );
                let [a, b] = &mut without;
                let plain = check_all(
                    &mut [
                        Charge::enforced(a, &enforced[0], Cost::ONE),
                        Charge::enforced(b, &enforced[1], Cost::ONE),
                    ],
                    now,
                );
                prop_assert_eq!(all.admission, plain.admission);
                let expected = if all.admitted {
                    alone.check(&candidate, Cost::ONE, now)
                } else {
                    alone.peek(&candidate, Cost::ONE, now)
                };
                prop_assert_eq!(reported, expected);
            }
            prop_assert_eq!(with, [without[0], without[1], alone]);
        }
    }
}
