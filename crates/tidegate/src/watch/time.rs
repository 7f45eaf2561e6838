//! The time that decisions are made in: that of the lines, on a clock that is never set back.

use std::time::Duration;
use tidegate_limiter::Timestamp;

/// Lines may be behind the latest by so much: a log of several servers, or of requests that took long.
const BEHIND: Duration = Duration::from_secs(120);

/// Two times that never run backwards. `now` is the clock's, moved on by as much as the clock was set
/// back: what drains, heals and ends goes on, as if nothing had happened. `engine` is that of the latest
/// line, and never past `now`.
///
/// A line that is behind the latest one leaves `engine` where it is. When for two minutes all lines are
/// behind by more than that (their server's clock was set back), they no longer say when they were
/// written, and `engine` moves with `now`.
#[derive(Debug, Default)]
pub(super) struct Time {
    pub now: Timestamp,
    pub engine: Timestamp,
    /// How far `now` is ahead of the clock.
    pub ahead: Duration,
    /// Since when all lines are far behind.
    adrift: Option<Timestamp>,
    /// When the latest line came.
    latest: Timestamp,
}

impl Time {
    /// Takes in what the clock says; answers by how much it was set back.
    pub(super) fn clock(&mut self, clock: Timestamp) -> Duration {
        let back = self.now.since(clock.plus(self.ahead));
        self.ahead = self.ahead.saturating_add(back);
        self.now = clock.plus(self.ahead);
        back
    }

    /// Takes in the time of a line.
    pub(super) fn line(&mut self, time: Timestamp) {
        // A line from the future would stop all that drains and heals until then.
        let time = time.plus(self.ahead).min(self.now);
        if self.engine.since(time) <= BEHIND {
            self.adrift = None;
            self.engine = self.engine.max(time);
        } else if self.now.since(*self.adrift.get_or_insert(self.now)) > BEHIND {
            self.engine = self.engine.plus(self.now.since(self.latest)).min(self.now);
        }
        self.latest = self.now;
    }

    /// A time of `now` and `engine` as the clock has it.
    pub(super) fn told(&self, time: Timestamp) -> Timestamp {
        let ahead = u64::try_from(self.ahead.as_nanos()).unwrap_or(u64::MAX);
        Timestamp::from_nanos(time.as_nanos().saturating_sub(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    /// A line each second of the clock, with the time that the clock has less `lag`; what the engine's
    /// time then is.
    fn play(time: &mut Time, clock: std::ops::Range<u64>, lag: u64) -> Timestamp {
        for seconds in clock {
            time.clock(at(seconds));
            let before = time.engine;
            time.line(at(seconds.saturating_sub(lag)));
            assert!(before <= time.engine && time.engine <= time.now, "{time:?}");
        }
        time.engine
    }

    #[test]
    fn it_is_that_of_the_lines_and_never_past_the_clock() {
        let mut time = Time::default();
        assert_eq!(play(&mut time, 10_000..10_100, 30), at(10_069));
        // The future is no time, and a line of a long request none to go back to.
        time.line(at(99_999));
        assert_eq!(time.engine, at(10_099));
        time.line(at(9_000));
        time.line(at(10_098));
        assert_eq!(time.engine, at(10_099));
        assert_eq!(time.told(time.engine), at(10_099));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let mut time = Time::default();
        let before = play(&mut time, 10_000..10_100, 2);
        assert_eq!(time.clock(at(6_500)), Duration::from_secs(3_599));
        // A line that was written before it was set back.
        time.line(at(10_099));
        assert_eq!(time.engine, time.now);
        let after = play(&mut time, 6_500..6_600, 2);
        assert_eq!(after.since(before), Duration::from_secs(99));
        // What is told of it is what the clock says now.
        assert_eq!(time.told(after), at(6_597));
        // Set right again, it moves on, as after a sleep.
        let later = play(&mut time, 10_200..10_300, 2);
        assert_eq!(time.told(later), at(10_297));
        assert!(time.clock(at(10_300)).is_zero());
    }

    #[test]
    fn lines_whose_server_was_set_back_stop_time_for_two_minutes() {
        let mut time = Time::default();
        let before = play(&mut time, 10_000..10_100, 0);
        assert_eq!(play(&mut time, 10_100..10_200, 3_600), before);
        // From then on it is that of their coming.
        let adrift = play(&mut time, 10_200..10_900, 3_600);
        assert_eq!(adrift.since(before), Duration::from_secs(10_899 - 10_220));
        // As soon as they are right again they are believed.
        assert_eq!(play(&mut time, 10_900..10_910, 1), at(10_908));
    }

    #[test]
    fn a_log_of_the_past_is_read_in_its_own_time() {
        let mut time = Time::default();
        time.clock(at(90_000));
        for (line, engine) in [(100, 100), (200, 200), (150, 200), (50, 200), (300, 300)] {
            time.line(at(line));
            assert_eq!(time.engine, at(engine), "{line}");
        }
    }
}
