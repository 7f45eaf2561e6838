//! Smaller groups, and what is usual: counts of clients over a minute and longer, with a mark.

use super::group::{AtomicF32, seconds};
use super::{HOUR, MINUTE, MOMENT, TEN_MINUTES};
use crate::habits::{Adds, Turn};
use crate::math::{decay, ln_1p};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What is known of a group so small that it has no ratios: who shares a fingerprint on one route,
/// who is on a route. Beside their number it keeps the mean of a mark
/// that its user chooses, and what their first requests were thought of.
#[derive(Default)]
#[repr(align(32))]
pub(super) struct Cohort {
    /// In units of [`MOMENT`], wrapping.
    at: AtomicU32,
    minute: AtomicF32,
    hour: AtomicF32,
    marked_minute: AtomicF32,
    marked_hour: AtomicF32,
    judged: AtomicF32,
    suspected: AtomicF32,
    doubted: AtomicF32,
}

const _: () = assert!(size_of::<Cohort>() == 32, "two cohorts share a cache line");

#[allow(clippy::cast_possible_truncation, reason = "what is cut off is the wrapping")]
fn moment(now: u64) -> u32 {
    (now / MOMENT) as u32
}

/// The seconds since a moment.
#[allow(
    clippy::cast_precision_loss,
    reason = "exact to a millisecond for hours, and of what is older nothing is left"
)]
fn passed(now: u64, since: &AtomicU32) -> f32 {
    let passed = moment(now).wrapping_sub(since.load(Ordering::Relaxed));
    // What lies ahead was written by another thread.
    passed.cast_signed().max(0) as f32 * (MOMENT as f32 * 1e-9)
}

/// Requests that suspicion is drawn to 0 by: fewer than this many prove nothing.
const SUSPICION_PRIOR: f32 = 12.0;

impl Cohort {
    fn age(&self, now: u64) -> f32 {
        passed(now, &self.at)
    }

    /// Takes in a request of this weight with this mark.
    pub(super) fn add(&self, now: u64, weight: f32, mark: f32) {
        self.advance(now);
        self.minute.add(weight);
        self.hour.add(weight);
        self.marked_minute.add(weight * mark);
        self.marked_hour.add(weight * mark);
    }

    /// Takes in what was thought of a request of somebody who came this way.
    pub(super) fn judge(&self, now: u64, score: f32) {
        self.advance(now);
        self.judged.add(1.0);
        self.suspected.add(score);
    }

    /// Takes in what was thought of a request of this weight that is counted already.
    pub(super) fn doubt(&self, weight: f32, score: f32) {
        self.doubted.add(weight * score);
    }

    fn advance(&self, now: u64) {
        let age = self.age(now);
        if age > 0.0 {
            self.at.store(moment(now), Ordering::Relaxed);
            let (minute, hour) = (decay(age, MINUTE), decay(age, HOUR));
            self.minute.scale(minute);
            self.marked_minute.scale(minute);
            self.doubted.scale(minute);
            self.hour.scale(hour);
            self.marked_hour.scale(hour);
            let ten = decay(age, TEN_MINUTES);
            self.judged.scale(ten);
            self.suspected.scale(ten);
        }
    }

    pub(super) fn view(&self, now: u64) -> CohortView {
        let age = self.age(now);
        let (minute, hour) = (decay(age, MINUTE), decay(age, HOUR));
        CohortView {
            minute: self.minute.get() * minute,
            hour: self.hour.get() * hour,
            marked_minute: self.marked_minute.get() * minute,
            marked_hour: self.marked_hour.get() * hour,
            doubted_minute: self.doubted.get() * minute,
        }
    }

    /// What was thought of the first requests of those who came this way over ten minutes, 0..1;
    /// near 0 while there were few. Few requests ask for it, so no view carries it.
    pub(super) fn suspicion(&self, now: u64) -> f32 {
        let ten = decay(self.age(now), TEN_MINUTES);
        self.suspected.get() * ten / (self.judged.get() * ten + SUSPICION_PRIOR)
    }
}

/// A small group at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct CohortView {
    /// Weight of their requests, decayed over a minute.
    pub minute: f32,
    /// Weight of their requests, decayed over an hour.
    pub hour: f32,
    /// The sum of their marks by weight, decayed over a minute.
    pub marked_minute: f32,
    /// The sum of their marks by weight, decayed over an hour.
    pub marked_hour: f32,
    /// The sum by weight of what the model thought of their requests, 0..1, decayed over a minute.
    pub doubted_minute: f32,
}

impl CohortView {
    /// The mean mark over the last minute less the one before, drawn to 0 while there is little.
    #[must_use]
    pub fn rise(&self) -> f32 {
        const PRIOR: f32 = 4.0;
        let before = (self.hour - self.minute).max(0.0);
        let usual = (self.marked_hour - self.marked_minute).max(0.0) / before.max(1e-3);
        let certain = before / (before + PRIOR);
        (self.marked_minute - usual * self.minute) / (self.minute + PRIOR) * certain
    }

    /// What the model thinks of the requests of others, 0..1: the mean but for those of one client, of
    /// this weight and thought of like this, drawn to [`USUAL_DOUBT`] while there are few.
    #[must_use]
    pub fn doubt_about_others(&self, own: f32, own_doubt: f32) -> f32 {
        mean_doubt(self.doubted_minute - own * own_doubt, self.minute - own)
    }
}

/// The mean of what was thought of requests of this weight, 0..1, from its sum by weight; [`USUAL_DOUBT`] while
/// there are few. What is left when others are taken away may be less than nothing.
pub(super) fn mean_doubt(doubted: f32, weight: f32) -> f32 {
    const PRIOR: f32 = 4.0;
    let weight = weight.max(0.0);
    (doubted.clamp(0.0, weight) + USUAL_DOUBT * PRIOR) / (weight + PRIOR)
}

/// The mean score of those who are nobody in particular.
pub const USUAL_DOUBT: f32 = 0.02;

/// How often clients ask for a route: over an hour, the sum of ln(1 + n) over those that asked n times
/// within some minutes, n > 1 but for what is sent, and how many they were.
#[derive(Default)]
pub(super) struct Turns {
    /// In units of [`MOMENT`], wrapping.
    at: AtomicU32,
    sum: AtomicF32,
    clients: AtomicF32,
}

/// How often clients ask for a route within some minutes.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurnsView {
    /// The mean of ln(1 + n).
    pub mean: f32,
    /// Of how many clients it is, decayed over an hour; one that goes on counts anew every ten minutes.
    pub clients: f32,
}

/// ln(1 + n) of the clients of a route that nobody knows yet: they ask twice.
const TURNS_USUAL: f32 = 1.1;
/// How many clients that counts for.
const TURNS_PRIOR: f32 = 3.0;

impl Turns {
    /// Takes in which time it is. All that a client does adds up to ln(1 + n), for one client: nobody can
    /// make usual what it alone does.
    pub(super) fn add(&self, now: u64, turn: Turn) {
        let kept = self.kept(now);
        if kept < 1.0 {
            self.at.store(moment(now), Ordering::Relaxed);
            self.sum.scale(kept);
            self.clients.scale(kept);
        }
        let times = f32::from(turn.times);
        match turn.adds {
            Adds::Client => {
                self.sum.add(ln_1p(times));
                self.clients.add(1.0);
            }
            Adds::Time => self.sum.add(ln_1p(times) - ln_1p(times - 1.0)),
            Adds::Nothing => {}
        }
    }

    pub(super) fn view(&self, now: u64) -> TurnsView {
        let kept = self.kept(now);
        let clients = self.clients.get() * kept;
        let sum = self.sum.get() * kept;
        TurnsView { mean: (sum + TURNS_USUAL * TURNS_PRIOR) / (clients + TURNS_PRIOR), clients }
    }

    /// How much is left of what was known at the last addition.
    fn kept(&self, now: u64) -> f32 {
        decay(passed(now, &self.at), HOUR)
    }
}

/// A count over three horizons.
#[derive(Default)]
pub(super) struct Counts {
    at: AtomicU64,
    minute: AtomicF32,
    ten_minutes: AtomicF32,
    hour: AtomicF32,
}

impl Counts {
    pub(super) fn add(&self, now: u64, weight: f32) {
        let before = self.at.load(Ordering::Relaxed);
        if now >= before.saturating_add(MOMENT) {
            self.at.store(now, Ordering::Relaxed);
            let dt = seconds(now - before);
            self.minute.scale(decay(dt, MINUTE));
            self.ten_minutes.scale(decay(dt, TEN_MINUTES));
            self.hour.scale(decay(dt, HOUR));
        }
        for count in [&self.minute, &self.ten_minutes, &self.hour] {
            count.add(weight);
        }
    }

    /// Over a minute, ten minutes and an hour, as of the last addition: features are trained on it so.
    pub(super) fn view(&self) -> [f32; 3] {
        [self.minute.get(), self.ten_minutes.get(), self.hour.get()]
    }

    /// The same as of now, to be held against what is decayed to now as well.
    pub(super) fn at(&self, now: u64) -> [f32; 3] {
        let dt = seconds(now.saturating_sub(self.at.load(Ordering::Relaxed)));
        let [minute, ten_minutes, hour] = self.view();
        [minute * decay(dt, MINUTE), ten_minutes * decay(dt, TEN_MINUTES), hour * decay(dt, HOUR)]
    }
}

/// The seconds that decayed counts of each horizon stand for: fewer while the site is young.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spans {
    /// Of a minute.
    pub minute: f32,
    /// Of ten minutes.
    pub ten_minutes: f32,
    /// Of an hour.
    pub hour: f32,
}

impl Spans {
    /// What a count over a minute would be if all were as it was before the last minutes.
    ///
    /// An hour's mean would not do: an attack of a minute that is a hundred times the usual is most
    /// of that hour. The difference of two decayed counts is what the longer one remembers beyond
    /// the shorter. The minutes just passed speak only while little is known of the time before.
    #[must_use]
    pub fn usual(&self, minute: f32, ten_minutes: f32, hour: f32) -> f32 {
        let (old, old_span) = ((hour - ten_minutes).max(0.0), self.hour - self.ten_minutes);
        let (late, late_span) = ((ten_minutes - minute).max(0.0), self.ten_minutes - self.minute);
        let late_worth = MINUTE / (MINUTE + old_span.max(0.0));
        let now_worth = 5.0 / (5.0 + old_span.max(0.0) + late_span.max(0.0));
        let count = old + late * late_worth + minute * now_worth;
        let span = old_span + late_span * late_worth + self.minute * now_worth;
        count / span.max(1e-3) * self.minute
    }
}
