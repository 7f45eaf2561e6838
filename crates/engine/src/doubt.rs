//! What is thought of a client in the long run, and how far that narrows its limit.
//!
//! Risk follows a client within a few requests, so that it can be blocked in time, and has forgotten them as
//! soon. Of one that looks suspicious by a little, again and again, it never says enough. The mean score of
//! hundreds of requests does: a probability that holds is the share of them that is abuse.

/// Over how many requests it is a mean, with geometric weights.
const OVER: f32 = 400.0;
/// From this share on a limit is narrowed: a model that is right most of the time gives everybody some.
const FROM: f32 = 0.05;
/// In so many seconds without a request half of it is forgotten.
const FORGOTTEN: f32 = 3600.0;
/// So many units are certainty.
const UNITS: f32 = 65_536.0;

/// The mean score of a client's last hundreds of requests. It begins at none: nobody is doubted for a few.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Doubt(u16);

impl Doubt {
    /// Takes in one score, 0..1.
    pub(crate) fn note(&mut self, score: f32) {
        let units = f32::from(self.0);
        let units = units + (score * UNITS - units) / OVER;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the units"
        )]
        {
            // To the nearest: it stops three tenths of a percent short of a score that stays, on either side.
            self.0 = units.round().clamp(0.0, UNITS - 1.0) as u16;
        }
    }

    /// Forgets for so long without a request.
    pub(crate) fn rest(&mut self, seconds: f32) {
        // Between two clicks there is nothing to forget.
        if self.0 > 0 && seconds > 60.0 {
            let left = f32::from(self.0) * (-seconds / FORGOTTEN).exp2();
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "no more than it was"
            )]
            {
                self.0 = left as u16;
            }
        }
    }

    /// The share, 0..1.
    pub(crate) fn share(self) -> f32 {
        f32::from(self.0) / UNITS
    }

    /// Whether it narrows the limit at all; `throttle` is where a client is throttled at once.
    pub(crate) fn counts(self, throttle: f32) -> bool {
        self.share() > FROM && throttle > FROM
    }

    /// How far the client's limit goes down from that of a new client, 0, to that of one who is throttled, 1,
    /// which it reaches where the doubt is what throttles at once. In between it falls by equal factors for
    /// equal factors of doubt.
    pub(crate) fn narrows(self, throttle: f32) -> f32 {
        if !self.counts(throttle) {
            return 0.0;
        }
        ((self.share() / FROM).ln() / (throttle / FROM).ln()).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The doubt after so many requests of one score.
    fn after(score: f32, requests: u32) -> Doubt {
        let mut doubt = Doubt::default();
        (0..requests).for_each(|_| doubt.note(score));
        doubt
    }

    #[test]
    fn it_is_the_mean_of_hundreds_and_not_of_a_few() {
        assert_eq!(Doubt::default().share(), 0.0);
        assert!(after(0.4, 10).share() < 0.011);
        assert!((0.15..0.19).contains(&after(0.3, 350).share()), "{:?}", after(0.3, 350));
        assert!((after(0.3, 5000).share() - 0.3).abs() < 0.01);
        assert!(after(1.0, 100_000).share() > 0.99);
        // Of one bad request in ten a tenth is left, whatever the order.
        let mut mixed = Doubt::default();
        (0..5000).for_each(|n| mixed.note(if n % 10 == 0 { 1.0 } else { 0.0 }));
        assert!((mixed.share() - 0.1).abs() < 0.01, "{mixed:?}");
    }

    #[test]
    fn it_passes_altogether() {
        let mut doubt = after(0.9, 2000);
        (0..5000).for_each(|_| doubt.note(0.0));
        assert!(doubt.share() < 0.004 && doubt.narrows(0.5) == 0.0, "{doubt:?}");
        // What everybody is given narrows nothing.
        assert_eq!(after(0.05, 100_000).narrows(0.5), 0.0);
        // Nor does it last overnight, and a short pause is none.
        let mut doubt = after(0.4, 5000);
        let before = doubt;
        doubt.rest(30.0);
        assert_eq!(doubt, before);
        doubt.rest(3600.0);
        assert!((doubt.share() - before.share() / 2.0).abs() < 1e-4);
        doubt.rest(8.0 * 3600.0);
        assert_eq!(doubt.narrows(0.5), 0.0);
    }

    #[test]
    fn limits_fall_from_new_to_throttled() {
        let narrows = |score| after(score, 100_000).narrows(0.5);
        assert!((narrows(0.16) - 0.5).abs() < 0.02, "{}", narrows(0.16));
        assert!(narrows(0.08) < narrows(0.1) && narrows(0.1) < narrows(0.4));
        assert_eq!(narrows(0.6), 1.0);
        // A policy that throttles everybody at once has nothing to narrow.
        assert_eq!(after(0.3, 100_000).narrows(0.01), 0.0);
    }
}
