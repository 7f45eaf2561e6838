//! The quotas between the tiers: what a client's limit can be, from throttled to trusted.

use crate::policy::Tiers;
use std::num::NonZeroU32;
use tidegate_limiter::Quota;

/// The quotas between the tiers, made once a policy: a quota is costly to make and cheap to use.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    rungs: [Quota; RUNGS],
    /// What is left to a client without a record while something is odd.
    pub degraded: Quota,
    /// The tier of who is in the band of throttling.
    pub throttled: Quota,
    /// The tier of who comes out of a block.
    pub risky: Quota,
}

const RUNGS: usize = 17;

impl Ladder {
    /// The ladder of these tiers; its rungs rise by equal factors from new to trusted.
    #[must_use]
    pub(crate) fn new(tiers: &Tiers) -> Self {
        // In the period of the new tier: a few cells an hour are no whole number of them a minute.
        let period = tiers.new.period();
        let cells = |quota: &Quota| quota.cells_per_second() * period.as_secs_f64();
        let quota = |cells: NonZeroU32, burst: NonZeroU32| {
            Quota::new(cells.get(), period, burst.get()).unwrap_or(tiers.new)
        };
        let between = |from: f64, to: f64, step: usize| {
            #[allow(clippy::cast_precision_loss, reason = "rungs are few")]
            let share = step as f64 / (RUNGS - 1) as f64;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to what fits"
            )]
            let cells =
                (from * (to / from).powf(share)).round().clamp(1.0, f64::from(u32::MAX)) as u32;
            NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN)
        };
        let (new, trusted) = (&tiers.new, &tiers.trusted);
        let rungs = std::array::from_fn(|step| match step {
            0 => *new,
            _ if step == RUNGS - 1 => *trusted,
            _ => quota(
                between(cells(new), cells(trusted), step),
                between(f64::from(new.burst().get()), f64::from(trusted.burst().get()), step),
            ),
        });
        // Half of the way, in factors, from throttled to new.
        let throttled = &tiers.throttled;
        let middle = |low: f64, high: f64| between(low, high, (RUNGS - 1) / 2);
        let degraded = quota(
            middle(cells(throttled), cells(new)),
            middle(throttled.burst().get().into(), new.burst().get().into()),
        );
        Self { rungs, degraded, throttled: tiers.throttled, risky: tiers.risky }
    }

    /// The quota at this share of the way from new (0) to trusted (1).
    #[must_use]
    pub(crate) fn rung(&self, share: f32) -> &Quota {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "clamped to the rungs, which are few"
        )]
        let step = (share.clamp(0.0, 1.0) * (RUNGS - 1) as f32) as usize;
        &self.rungs[step.min(RUNGS - 1)]
    }
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
}
