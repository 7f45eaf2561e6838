//! How many people are about: by the hour of the day, and on which days of the week.

use super::dice::Dice;
use tidegate_limiter::Timestamp;

const DAY: u64 = 86_400;

/// The curve of a site's visitors over a run, as a share of its busiest hour.
#[derive(Clone, Debug)]
pub struct Day {
    start: Timestamp,
    /// The share at the quietest hour, half a day from the peak.
    night: f64,
    /// The busiest hour, 0 to 24.
    peak: f64,
    /// The share that comes on Saturdays and Sundays; a site for leisure has more than on others.
    weekend: f64,
    /// What has come by the end of each of equal parts of the run; the last is 1.
    come: Vec<f64>,
    mean: f64,
    length: f64,
}

impl Day {
    /// Draws a curve for the `length` seconds from `start` on.
    #[must_use]
    pub fn draw(dice: &mut Dice, start: Timestamp, length: f64) -> Self {
        let (night, peak) = (dice.between(0.3, 1.0), dice.unit() * 24.0);
        let weekend = dice.spread(0.3, 1.5);
        let mut day = Self { start, night, peak, weekend, come: Vec::new(), mean: 1.0, length };
        // A part lasts ten minutes at most, over which the curve is straight enough.
        let parts = (length / 600.0).ceil().max(1.0);
        let mut sum = 0.0;
        for part in 0..parts as usize {
            sum += day.share((part as f64 + 0.5) * length / parts);
            day.come.push(sum);
        }
        day.come.iter_mut().for_each(|come| *come /= sum);
        day.mean = sum / parts;
        day
    }

    /// The share of the peak's visitors at `at` seconds.
    fn share(&self, at: f64) -> f64 {
        let seconds = self.start.as_secs() + at.max(0.0) as u64;
        let hour = (seconds % DAY) as f64 / 3600.0;
        let away = (hour - self.peak).abs();
        let away = away.min(24.0 - away) / 12.0;
        // The first day of 1970 was a Thursday.
        let weekend = matches!((seconds / DAY + 4) % 7, 0 | 6);
        (1.0 - (1.0 - self.night) * away) * if weekend { self.weekend } else { 1.0 }
    }

    /// The mean share over the run.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The moment by which `part` of all visitors of the run have come, in seconds.
    #[must_use]
    pub fn moment(&self, part: f64) -> f64 {
        let at = self.come.partition_point(|come| *come <= part).min(self.come.len() - 1);
        let before = if at == 0 { 0.0 } else { self.come[at - 1] };
        let within = ((part - before) / (self.come[at] - before)).clamp(0.0, 1.0);
        (at as f64 + within) / self.come.len() as f64 * self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 5 January 2026.
    const MONDAY: u64 = 1_767_571_200;

    fn count(day: &Day, from: f64, to: f64) -> usize {
        (0..10_000).filter(|n| (from..to).contains(&day.moment(f64::from(*n) / 10_000.0))).count()
    }

    #[test]
    fn most_come_at_the_busiest_hour_and_all_come_within_the_run() {
        for seed in 0..20 {
            let start = Timestamp::from_secs(MONDAY);
            let day = Day::draw(&mut Dice::new(seed, 0), start, 86_400.0);
            assert!((day.moment(0.0), day.moment(1.0)) == (0.0, 86_400.0));
            let hours: Vec<usize> = (0..24)
                .map(|hour| count(&day, f64::from(hour) * 3600.0, f64::from(hour + 1) * 3600.0))
                .collect();
            assert_eq!(hours.iter().sum::<usize>(), 10_000);
            let (busy, calm) = (day.peak as usize, (day.peak as usize + 12) % 24);
            let (most, least) = (hours[busy] as f64, hours[calm] as f64);
            let expected = most * day.night;
            assert!((least / expected - 1.0).abs() < 0.25, "{seed}: {least} for {expected}");
        }
    }

    #[test]
    fn a_weekend_differs_from_the_days_before_it() {
        let start = Timestamp::from_secs(MONDAY);
        let day = Day::draw(&mut Dice::new(1, 0), start, 7.0 * 86_400.0);
        let friday = count(&day, 4.0 * 86_400.0, 5.0 * 86_400.0) as f64;
        let saturday = count(&day, 5.0 * 86_400.0, 6.0 * 86_400.0) as f64;
        assert!((saturday / friday / day.weekend - 1.0).abs() < 0.02, "{saturday} after {friday}");
    }
}
