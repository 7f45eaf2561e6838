//! The quotas between the tiers: what a client's limit can be, from throttled to trusted.

use crate::policy::Tiers;
use std::num::NonZeroU32;
use tidegate_limiter::Quota;

/// The quotas between the tiers, made once a policy: a quota is costly to make and cheap to use.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    /// From throttled up to new, and on to trusted.
    rungs: [Quota; 2 * STEPS + 1],
    /// What is left to a client without a record while something is odd.
    pub degraded: Quota,
    /// The tier of who comes out of a block.
    pub risky: Quota,
}

/// Into how many steps the way from one tier to the next is cut.
const STEPS: usize = 16;
/// Below new a burst is what the limit gives in so many seconds, or in as many as new's burst is of new, and
/// no more than new's: a program that sends its batch once in some minutes is held to its mean, and is no
/// flood for it; and of a limit by the day as much is left as of the day's.
const FILLED: f64 = 480.0;
/// A raise is gone when a limit has slid by one in so many of the way to throttled.
const RAISE_GONE: f32 = 8.0;

impl Ladder {
    /// The ladder of these tiers; its rungs rise by equal factors from throttled to new, and from there to
    /// trusted.
    #[must_use]
    pub(crate) fn new(tiers: &Tiers) -> Self {
        // In the period of the new tier: a few cells an hour are no whole number of them a minute.
        let period = tiers.new.period();
        let cells = |quota: &Quota| quota.cells_per_second() * period.as_secs_f64();
        let burst = |quota: &Quota| f64::from(quota.burst().get());
        let quota = |cells: f64, burst: f64| {
            let (cells, burst) = (whole(cells), whole(burst));
            Quota::new(cells.get(), period, burst.get()).unwrap_or(tiers.new)
        };
        let (throttled, new, trusted) = (&tiers.throttled, &tiers.new, &tiers.trusted);
        let seconds = FILLED.max(burst(new) / new.cells_per_second());
        let rungs = std::array::from_fn(|rung| match rung {
            0 => *throttled,
            STEPS => *new,
            _ if rung == 2 * STEPS => *trusted,
            _ if rung < STEPS => {
                let cells = between(cells(throttled), cells(new), rung);
                let filled = cells / period.as_secs_f64() * seconds;
                quota(cells, filled.max(burst(throttled)).min(burst(new)))
            }
            _ => quota(
                between(cells(new), cells(trusted), rung - STEPS),
                between(burst(new), burst(trusted), rung - STEPS),
            ),
        });
        // Half of the way, in factors, from throttled to new.
        let middle = |low: f64, high: f64| between(low, high, STEPS / 2);
        let degraded =
            quota(middle(cells(throttled), cells(new)), middle(burst(throttled), burst(new)));
        Self { rungs, degraded, risky: tiers.risky }
    }

    /// The tier of who is in the band of throttling.
    #[must_use]
    pub(crate) fn throttled(&self) -> &Quota {
        &self.rungs[0]
    }

    /// The quota at this share of the way from new (0) to trusted (1).
    #[must_use]
    pub(crate) fn rung(&self, share: f32) -> &Quota {
        self.slid(share, 0.0)
    }

    /// The same, slid down by this much of the way from new (0) to throttled (1); a raise goes first.
    #[must_use]
    pub(crate) fn slid(&self, share: f32, narrows: f32) -> &Quota {
        let raise = step(share * (1.0 - narrows * RAISE_GONE).max(0.0));
        &self.rungs[STEPS + raise - step(narrows)]
    }
}

/// The step at this share of a way.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to the steps, which are few"
)]
fn step(share: f32) -> usize {
    ((share.clamp(0.0, 1.0) * STEPS as f32) as usize).min(STEPS)
}

/// So many steps of the way, by equal factors.
#[allow(clippy::cast_precision_loss, reason = "steps are few")]
fn between(from: f64, to: f64, step: usize) -> f64 {
    from * (to / from).powf(step as f64 / STEPS as f64)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn whole(number: f64) -> NonZeroU32 {
    NonZeroU32::new(number.round().clamp(1.0, f64::from(u32::MAX)) as u32)
        .unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Adaptive;

    #[test]
    fn the_ladder_rises_from_new_to_trusted() {
        let tiers = Adaptive::default().tiers;
        let ladder = Ladder::new(&tiers);
        assert_eq!((ladder.rung(0.0), ladder.rung(1.0)), (&tiers.new, &tiers.trusted));
        assert_eq!(ladder.rung(f32::NAN), &tiers.new);
        let rates: Vec<f64> =
            (0..=16).map(|i| ladder.rung(i as f32 / 16.0).cells_per_second()).collect();
        assert!(rates.windows(2).all(|w| w[0] < w[1]), "{rates:?}");
    }

    #[test]
    fn it_slides_to_throttled_and_a_raise_goes_first() {
        let tiers = Adaptive::default().tiers;
        let ladder = Ladder::new(&tiers);
        assert_eq!((ladder.slid(0.0, 0.0), ladder.slid(0.0, 1.0)), (&tiers.new, &tiers.throttled));
        assert_eq!(
            (ladder.slid(1.0, 0.0), ladder.slid(1.0, 1.0)),
            (&tiers.trusted, &tiers.throttled)
        );
        for share in [0.0, 0.3, 1.0] {
            let rates: Vec<f64> =
                (0..=64).map(|i| ladder.slid(share, i as f32 / 64.0).cells_per_second()).collect();
            // Never up, and never by more than the little that a step of either way is.
            assert!(rates.windows(2).all(|w| w[0] >= w[1] && w[0] < w[1] * 2.1), "{rates:?}");
        }
        // A batch passes that is sent once in some minutes.
        let middle = ladder.slid(0.0, 0.5);
        assert!((100..120).contains(&middle.cells().get()), "{middle:?}");
        assert!((800..900).contains(&middle.burst().get()), "{middle:?}");
        // Of a limit by the day three quarters are left, and not eight minutes of it.
        let by_day = |cells| {
            let cells = NonZeroU32::new(cells).unwrap();
            Quota::new(cells.get(), std::time::Duration::from_secs(86_400), cells.get()).unwrap()
        };
        let tiers = Tiers { new: by_day(10_000), throttled: by_day(100), ..tiers };
        let first = *Ladder::new(&tiers).slid(0.0, 0.07);
        assert_eq!(first.cells(), first.burst());
        assert!((7_000..8_000).contains(&first.cells().get()), "{first:?}");
    }
}
