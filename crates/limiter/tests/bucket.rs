//! What a token bucket promises when the quota is constant and when it changes at every check.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;
use tidegate_limiter::{Bucket, Cost, Quota, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn nz(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn per_minute(cells: u32, burst: u32) -> Quota {
    Quota::per_minute(nz(cells)).with_burst(nz(burst))
}

fn at(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

/// Admits until denied; how many.
fn exhaust(bucket: &mut Bucket, quota: &Quota, now: Timestamp) -> u32 {
    (0..10_000).take_while(|_| bucket.check(quota, Cost::ONE, now).admitted).count() as u32
}

#[test]
fn a_cut_rate_admits_nothing_until_a_cell_drains_at_the_new_rate() {
    let (high, low) = (per_minute(100, 10), per_minute(10, 10));
    let mut bucket = Bucket::default();
    assert_eq!(exhaust(&mut bucket, &high, START), 10);
    let denied = bucket.check(&low, Cost::ONE, START);
    assert_eq!((denied.admitted, denied.retry_after), (false, Duration::from_secs(6)));
    assert!(!bucket.check(&low, Cost::ONE, at(5_999)).admitted);
    assert!(bucket.check(&low, Cost::ONE, at(6_000)).admitted);
    assert!(!bucket.check(&low, Cost::ONE, at(6_000)).admitted);
}

#[test]
fn a_raised_rate_admits_as_soon_as_a_cell_drains_at_the_new_rate() {
    let (high, low) = (per_minute(100, 10), per_minute(10, 10));
    let mut bucket = Bucket::default();
    assert_eq!(exhaust(&mut bucket, &low, START), 10);
    assert_eq!(bucket.peek(&high, Cost::ONE, START).retry_after, Duration::from_millis(600));
    assert!(!bucket.check(&high, Cost::ONE, at(599)).admitted);
    assert!(bucket.check(&high, Cost::ONE, at(600)).admitted);
}

#[test]
fn a_raise_does_not_reach_back_over_a_denial() {
    let (high, low) = (per_minute(100, 10), per_minute(10, 10));
    let mut bucket = Bucket::default();
    exhaust(&mut bucket, &low, START);
    assert!(!bucket.check(&low, Cost::ONE, at(5_000)).admitted);
    // Five sixths of a cell have drained by then, at the low rate; a sixth takes 0.1 s at the high.
    assert!(!bucket.check(&high, Cost::ONE, at(5_000)).admitted);
    assert!(bucket.check(&high, Cost::ONE, at(5_100)).admitted);
}

#[test]
fn a_raised_burst_is_granted_in_proportion_to_the_elapsed_share_of_the_period() {
    let (low, high) = (per_minute(60, 10), per_minute(60, 60));
    for share in [0u32, 1, 2, 3, 4] {
        // The debt is kept out of it: after so long the ten are drained.
        for looks in [1, 7, 100] {
            let mut bucket = Bucket::default();
            exhaust(&mut bucket, &low, START);
            bucket.drain(Cost::cells(10));
            let millis = u64::from(share) * 15_000;
            for look in 1..=looks {
                bucket.settle(&high, at(millis * look / looks));
            }
            let granted = 10 + (60 - 10) * share / 4;
            let remaining = bucket.peek(&high, Cost::ZERO, at(millis)).remaining;
            assert!(remaining.abs_diff(granted) <= 1, "{remaining} of {granted} after {share}/4");
        }
    }
}

#[test]
fn a_cut_burst_applies_at_once() {
    let mut bucket = Bucket::default();
    assert!(bucket.check(&per_minute(60, 100), Cost::cells(30), START).admitted);
    let cut = bucket.check(&per_minute(60, 20), Cost::ONE, START);
    assert!(!cut.admitted);
    assert_eq!(cut.retry_after, Duration::from_secs(11));
}

#[test]
fn a_cost_above_the_burst_is_denied_for_good_and_never_panics() {
    let mut bucket = Bucket::default();
    let denied = bucket.check(&per_minute(1, 10), Cost::cells(11), START);
    assert_eq!((denied.admitted, denied.retry_after), (false, Duration::MAX));
    assert_eq!(denied.retry_after_secs(), u64::MAX);
    assert_eq!(bucket, Bucket::default());
    assert!(!bucket.check(&per_minute(1, 10), Cost::cells(u32::MAX), START).admitted);
}

#[test]
fn retry_after_is_whole_seconds_and_never_zero() {
    let mut bucket = Bucket::default();
    let quota = per_minute(100, 1);
    assert_eq!(bucket.check(&quota, Cost::ONE, START).retry_after_secs(), 1);
    assert_eq!(bucket.check(&quota, Cost::ONE, START).retry_after_secs(), 1);
    let slow = per_minute(7, 1);
    assert_eq!(bucket.check(&slow, Cost::ONE, START).retry_after_secs(), 9);
}

#[test]
fn it_takes_32_bytes() {
    assert_eq!(size_of::<Bucket>(), 32);
}

fn quota() -> impl Strategy<Value = Quota> {
    let cells = prop_oneof![1u32..200, Just(1), Just(10), Just(100)];
    (cells, 1u64..120, 1u32..40).prop_map(|(cells, secs, burst)| {
        Quota::new(cells, Duration::from_secs(secs), burst).unwrap()
    })
}

fn schedule() -> impl Strategy<Value = Vec<(u64, bool)>> {
    let gap = prop_oneof![0u64..3, 0u64..2_000_000, 0u64..3_000_000_000];
    prop::collection::vec((gap, any::<bool>()), 1..150)
}

proptest! {
    #[test]
    fn a_window_admits_at_most_burst_and_rate_times_its_length(q in quota(), s in schedule()) {
        let (mut bucket, mut now) = (Bucket::default(), START);
        let mut admitted: Vec<Timestamp> = Vec::new();
        for (gap, _) in s {
            now = now.plus(Duration::from_nanos(gap));
            if bucket.check(&q, Cost::ONE, now).admitted {
                admitted.push(now);
                for (i, from) in admitted.iter().enumerate() {
                    let bound = f64::from(q.burst().get())
                        + q.cells_per_second() * now.since(*from).as_secs_f64();
                    prop_assert!((admitted.len() - i) as f64 <= bound + 1e-6);
                }
            }
        }
    }

    #[test]
    fn a_denied_check_changes_no_answer_and_peek_is_check(
        q in quota(), s in prop::collection::vec((0u64..3_000_000_000, 0u32..3_000), 1..150)
    ) {
        let (mut bucket, mut quiet, mut now) = (Bucket::default(), Bucket::default(), START);
        for (gap, cost) in s {
            now = now.plus(Duration::from_nanos(gap));
            let cost = Cost::milli(cost);
            let peeked = bucket.peek(&q, cost, now);
            prop_assert_eq!(peeked, bucket.peek(&q, cost, now));
            let answer = bucket.check(&q, cost, now);
            prop_assert_eq!(peeked, answer);
            // The twin sees only what was admitted.
            prop_assert_eq!(quiet.peek(&q, cost, now).admitted, answer.admitted);
            if answer.admitted {
                quiet.commit(&q, cost, now);
            } else {
                let again = bucket.peek(&q, cost, now);
                if q.period().as_nanos() % u128::from(q.cells().get()) == 0 {
                    prop_assert_eq!(answer, again);
                } else {
                    // Settling whole cells rounds the time of each up to a nanosecond.
                    let drift = Duration::from_nanos(100);
                    prop_assert_eq!(answer.remaining, again.remaining);
                    prop_assert!(again.reset_after.abs_diff(answer.reset_after) <= drift);
                    prop_assert!(again.retry_after.abs_diff(answer.retry_after) <= drift);
                }
                let answer = again;
                if answer.retry_after < Duration::MAX {
                    let then = now.plus(answer.retry_after);
                    prop_assert!(bucket.peek(&q, cost, then).admitted);
                    // It may be late by the rounding of the debt, 2⁻³² cell, and a nanosecond.
                    let slack = 2 + ((1e9 / q.cells_per_second()) as u64 >> 32);
                    let early = Timestamp::from_nanos(then.as_nanos() - slack);
                    prop_assume!(answer.retry_after > Duration::from_nanos(slack));
                    prop_assert!(!bucket.peek(&q, cost, early).admitted);
                }
            }
        }
    }

    /// Through any change of quota the short answer is the long one, and leaves the same bucket.
    #[test]
    fn admit_is_check(
        a in quota(), b in quota(), s in prop::collection::vec((0u64..3_000_000_000, 0u32..3_000), 1..150)
    ) {
        let (mut checked, mut admitted, mut now) = (Bucket::default(), Bucket::default(), START);
        for (gap, cost) in s {
            now = now.plus(Duration::from_nanos(gap));
            let (quota, cost) = (if gap % 5 == 0 { &b } else { &a }, Cost::milli(cost));
            let answer = checked.check(quota, cost, now).admitted;
            prop_assert_eq!(admitted.admit(quota, cost, now), answer);
            prop_assert_eq!(checked, admitted);
        }
    }

    /// A greedy client under quotas that alternate gets no more than under the higher, no less
    /// than under the lower. One cell of tolerance: two traces may stand on two sides of a
    /// boundary by the rounding of a 2⁻³² cell.
    #[test]
    fn flapping_stays_between_the_two_quotas(
        s in schedule(),
        cells in (1u32..100, 0u32..100), burst in (1u32..20, 0u32..20)
    ) {
        let low = per_minute(cells.0, burst.0);
        let high = per_minute(cells.0 + cells.1, burst.0 + burst.1);
        let mut buckets = [Bucket::default(); 3];
        let mut admitted = [0i64; 3];
        let mut now = START;
        for (gap, up) in s {
            now = now.plus(Duration::from_nanos(gap));
            for (i, quota) in [low, if up { high } else { low }, high].iter().enumerate() {
                admitted[i] += i64::from(buckets[i].check(quota, Cost::ONE, now).admitted);
            }
            prop_assert!(admitted[0] <= admitted[1] + 1, "{admitted:?}");
            prop_assert!(admitted[1] <= admitted[2] + 1, "{admitted:?}");
        }
    }

    /// While a raised burst is being granted, too: never too short, and late by no more than the
    /// rounding of the ramp.
    #[test]
    fn retry_after_is_honest_during_a_raise(
        burst in (1u32..20, 1u32..100), seen in 0u64..200_000, cost in 1u32..120
    ) {
        let low = per_minute(60, burst.0);
        let high = per_minute(60, burst.0 + burst.1);
        let mut bucket = Bucket::default();
        exhaust(&mut bucket, &low, START);
        bucket.settle(&high, at(seen));
        let answer = bucket.check(&high, Cost::cells(cost), at(seen));
        if !answer.admitted && answer.retry_after < Duration::MAX {
            let then = at(seen).plus(answer.retry_after);
            prop_assert!(bucket.peek(&high, Cost::cells(cost), then).admitted);
            let slack = 1_000_000.min(answer.retry_after.as_nanos() as u64);
            let early = Timestamp::from_nanos(then.as_nanos() - slack);
            prop_assert!(slack < 1_000_000 || !bucket.peek(&high, Cost::cells(cost), early).admitted);
        }
    }

    #[test]
    fn time_that_runs_backwards_is_harmless(q in quota(), s in schedule()) {
        let (mut bucket, mut twin, mut now) = (Bucket::default(), Bucket::default(), START);
        for (gap, back) in s {
            now = now.plus(Duration::from_nanos(gap));
            let seen = if back { Timestamp::from_nanos(now.as_nanos() - gap.min(1_000)) } else { now };
            let late = bucket.check(&q, Cost::ONE, seen).admitted;
            // Reading an earlier time never admits what the right time would not.
            prop_assert!(!late || twin.peek(&q, Cost::ONE, now).admitted);
            if late {
                twin.commit(&q, Cost::ONE, seen);
            }
        }
    }

    /// The same decisions as governor's GCRA. Both are exact where a cell takes 2ᵏ ns; elsewhere
    /// governor rounds the cell's time to a nanosecond and the bucket its debt to 2⁻³² cell.
    #[test]
    fn it_decides_as_governor_does(exponent in 8u32..32, burst in 1u32..30, s in schedule()) {
        let cell = Duration::from_nanos(1 << exponent);
        let clock = FakeRelativeClock::default();
        let theirs = governor::RateLimiter::direct_with_clock(
            governor::Quota::with_period(cell).unwrap().allow_burst(nz(burst)),
            clock.clone(),
        );
        let ours = Quota::new(1, cell, burst).unwrap();
        let (mut bucket, mut now) = (Bucket::default(), START);
        for (gap, _) in s {
            clock.advance(Duration::from_nanos(gap));
            now = now.plus(Duration::from_nanos(gap));
            prop_assert_eq!(bucket.check(&ours, Cost::ONE, now).admitted, theirs.check().is_ok());
        }
    }
}
