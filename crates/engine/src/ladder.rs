//! The quotas between the tiers: what a client's limit can be, from throttled to trusted.

use crate::policy::Tiers;
use std::num::NonZeroU32;
use tidegate_limiter::Quota;

/// The quotas between the tiers, made once a policy: a quota is costly to make and cheap to use.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    /// From new up to trusted.
    rungs: [Quota; STEPS + 1],
    /// The tier of who is in the band of throttling.
    pub throttled: Quota,
    /// What is left to a client without a record while something is odd.
    pub degraded: Quota,
    /// The tier of who comes out of a block.
    pub risky: Quota,
}

/// Into how many steps the way from new to trusted is cut.
const STEPS: usize = 16;

impl Ladder {
    /// The ladder of these tiers; its rungs rise by equal factors.
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
        let rungs = std::array::from_fn(|rung| match rung {
            0 => *new,
            STEPS => *trusted,
            _ => quota(
                between(cells(new), cells(trusted), rung),
                between(burst(new), burst(trusted), rung),
            ),
        });
        // Half of the way, in factors, from throttled to new.
        let middle = |low: f64, high: f64| between(low, high, STEPS / 2);
        let degraded =
            quota(middle(cells(throttled), cells(new)), middle(burst(throttled), burst(new)));
        Self { rungs, throttled: *throttled, degraded, risky: tiers.risky }
    }

    /// The quota at this share of the way from new (0) to trusted (1).
    #[must_use]
    pub(crate) fn rung(&self, share: f32) -> &Quota {
        &self.rungs[step(share)]
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
}
