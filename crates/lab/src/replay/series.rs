//! Requests and denials over time, in as many buckets as a chart has room for, whatever the span.

use super::rfc3339;
use serde::Serialize;
use std::time::Duration;
use tidegate_limiter::Timestamp;

/// Most buckets of a whole log.
pub const SITE_BUCKETS: usize = 200;
/// Most buckets of one client.
pub const CLIENT_BUCKETS: usize = 40;

/// How wide a bucket may be, in seconds. Each width divides the next, so that buckets can be put together,
/// and all that people read off a clock. Beyond a day they double.
const WIDTHS: [u64; 13] = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400];

/// What happened in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    requests: u32,
    denied: u32,
}

/// Counts over time in at most `MOST` buckets. It needs to know neither beginning nor end: when a time
/// falls outside, buckets are put together until there is room. Buckets begin at multiples of their width
/// since 1970, so those of a day begin at midnight UTC.
#[derive(Clone, Debug)]
pub(super) struct Series<const MOST: usize> {
    width: u64,
    /// The first bucket's number since 1970.
    first: u64,
    buckets: Vec<Bucket>,
}

impl<const MOST: usize> Default for Series<MOST> {
    fn default() -> Self {
        Self { width: WIDTHS[0], first: 0, buckets: Vec::new() }
    }
}

impl<const MOST: usize> Series<MOST> {
    /// Takes in a request. Times may come in any order.
    pub(super) fn add(&mut self, time: Timestamp, denied: bool) {
        let at = self.room(time.as_secs());
        if let Some(bucket) = self.buckets.get_mut(at) {
            bucket.requests = bucket.requests.saturating_add(1);
            bucket.denied = bucket.denied.saturating_add(u32::from(denied));
        }
    }

    /// The position of the bucket for this time, after making room for it.
    fn room(&mut self, seconds: u64) -> usize {
        loop {
            let at = seconds / self.width;
            if self.buckets.is_empty() {
                self.first = at;
            }
            let first = self.first.min(at);
            let end = (self.first + self.buckets.len() as u64).max(at + 1);
            match usize::try_from(end - first) {
                Ok(needed) if needed <= MOST => {
                    let ahead = usize::try_from(self.first - first).unwrap_or(0);
                    self.buckets.splice(0..0, std::iter::repeat_n(Bucket::default(), ahead));
                    self.buckets.resize(needed, Bucket::default());
                    self.first = first;
                    return usize::try_from(at - first).unwrap_or(0);
                }
                _ => self.widen(),
            }
        }
    }

    fn widen(&mut self) {
        let wider = WIDTHS.iter().copied().find(|width| *width > self.width);
        let wider = wider.unwrap_or(self.width.saturating_mul(2));
        let times = wider / self.width;
        let first = self.first / times;
        let mut buckets: Vec<Bucket> = Vec::with_capacity(self.buckets.len());
        for (number, bucket) in (self.first..).zip(&self.buckets) {
            let at = usize::try_from(number / times - first).unwrap_or(0);
            buckets.resize(at + 1, Bucket::default());
            if let Some(sum) = buckets.last_mut() {
                sum.requests = sum.requests.saturating_add(bucket.requests);
                sum.denied = sum.denied.saturating_add(bucket.denied);
            }
        }
        (self.width, self.first, self.buckets) = (wider, first, buckets);
    }

    /// The counts, for a report.
    pub(super) fn timeline(&self) -> Timeline {
        let start = Duration::from_secs(self.first.saturating_mul(self.width));
        Timeline {
            bucket_seconds: self.width,
            from: rfc3339(Timestamp::from_nanos(0).plus(start)),
            requests: self.buckets.iter().map(|bucket| bucket.requests.into()).collect(),
            denied: self.buckets.iter().map(|bucket| bucket.denied.into()).collect(),
        }
    }
}

/// Counts over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// How wide each bucket is, in seconds.
    pub bucket_seconds: u64,
    /// When the first bucket begins, RFC 3339; each following one begins where the last ends.
    pub from: String,
    /// Requests in each bucket.
    pub requests: Vec<u64>,
    /// Of those, denied.
    pub denied: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_widen_until_the_span_fits_and_begin_by_the_clock() {
        let mut series = Series::<12>::default();
        let day = 86_400 * 19_000;
        for second in 0..12 {
            series.add(Timestamp::from_secs(day + second), second % 2 == 0);
        }
        assert_eq!(series.timeline().requests, [1; 12]);
        series.add(Timestamp::from_secs(day + 12), false);
        let timeline = series.timeline();
        assert_eq!((timeline.bucket_seconds, &timeline.requests[..]), (5, &[5, 5, 3][..]));
        assert_eq!(timeline.denied, [3, 2, 1]);
        series.add(Timestamp::from_secs(day + 3600 * 11), true);
        let timeline = series.timeline();
        assert_eq!((timeline.bucket_seconds, timeline.requests.len()), (3600, 12));
        assert_eq!(timeline.from, "2022-01-08T00:00:00Z");
        // A time before all others goes in front.
        series.add(Timestamp::from_secs(day - 1), false);
        let timeline = series.timeline();
        assert_eq!(
            (timeline.bucket_seconds, &timeline.requests[..]),
            (10_800, &[1, 13, 0, 0, 1][..])
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_bound_holds_whatever_the_times(
            times in prop::collection::vec((0u64..=u64::MAX, 0u32..40, any::<bool>()), 1..60),
        ) {
            let mut series = Series::<48>::default();
            let mut denied = 0;
            for (nanos, shift, no) in &times {
                series.add(Timestamp::from_nanos(nanos >> shift), *no);
                denied += u64::from(*no);
            }
            let timeline = series.timeline();
            prop_assert!(timeline.requests.len() <= 48);
            prop_assert_eq!(timeline.requests.iter().sum::<u64>(), times.len() as u64);
            prop_assert_eq!(timeline.denied.iter().sum::<u64>(), denied);
            let first = times.iter().map(|(nanos, shift, _)| nanos >> shift).min().unwrap();
            let start: jiff::Timestamp = timeline.from.parse().unwrap();
            let late = first / 1_000_000_000 - u64::try_from(start.as_second()).unwrap();
            prop_assert!(late < timeline.bucket_seconds);
        }
    }
}
