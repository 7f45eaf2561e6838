//! Times as logs write them: `18/Jul/2023:13:44:16 +0000`, RFC 3339, seconds since the epoch.

use tidegate_limiter::Timestamp;

const NANOS: u64 = 1_000_000_000;
/// The length of a date like `18/Jul/2023:13:44:16 +0000`.
const CLF_LEN: usize = 26;

/// Reads times and remembers the last one: lines of one second come together.
#[derive(Clone, Debug, Default)]
pub(crate) struct DateCache {
    text: [u8; CLF_LEN],
    time: Timestamp,
}

impl DateCache {
    /// Reads a time in any of the three forms. RFC 3339 without an offset counts as UTC.
    pub(crate) fn parse(&mut self, text: &str) -> Option<Timestamp> {
        let bytes = text.as_bytes();
        match bytes.get(2) {
            Some(b'/') => self.clf(bytes),
            _ if bytes.get(4) == Some(&b'-') => rfc3339(bytes),
            _ => epoch(decimal(text)?),
        }
    }

    fn clf(&mut self, bytes: &[u8]) -> Option<Timestamp> {
        let text: [u8; CLF_LEN] = bytes.try_into().ok()?;
        // The default text is all zeros, which is no date and so never equal to a good one.
        if text != self.text || text[0] == 0 {
            self.time = clf(&text)?;
            self.text = text;
        }
        Some(self.time)
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, given in nanoseconds as if
/// they were seconds. The unit shows in the size: 10¹¹ seconds are in the year 5138, 10¹¹
/// milliseconds in 1973.
pub(crate) fn epoch(nanos: u128) -> Option<Timestamp> {
    let divisor = match nanos / u128::from(NANOS) {
        0..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    u64::try_from(nanos / divisor).ok().map(Timestamp::from_nanos)
}

/// A decimal number without sign or exponent, times 10⁹; digits beyond the ninth are cut.
pub(crate) fn decimal(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = u128::from(digits(whole.as_bytes())?) * u128::from(NANOS);
    Some(whole + u128::from(billionths(fraction.as_bytes())?))
}

/// The digits behind a decimal point, as billionths.
fn billionths(fraction: &[u8]) -> Option<u64> {
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    Some(padded.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

fn clf(text: &[u8; CLF_LEN]) -> Option<Timestamp> {
    let [
        d0,
        d1,
        b'/',
        m0,
        m1,
        m2,
        b'/',
        y0,
        y1,
        y2,
        y3,
        b':',
        clock @ ..,
        b' ',
        z0,
        z1,
        z2,
        z3,
        z4,
    ] = text
    else {
        return None;
    };
    let month = match &[*m0, *m1, *m2] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    let days = days(digits(&[*y0, *y1, *y2, *y3])?, month, digits(&[*d0, *d1])?)?;
    let offset = offset(*z0, [*z1, *z2], [*z3, *z4])?;
    at(days, seconds(clock)?, offset, 0)
}

/// RFC 3339 §5.6, with a space for the `T`, a comma for the point, `+hhmm` for `+hh:mm` and a
/// missing offset tolerated.
fn rfc3339(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year @ .., b'-', m0, m1, b'-', d0, d1] = date else { return None };
    let days = days(digits(year)?, digits(&[*m0, *m1])?, digits(&[*d0, *d1])?)?;
    let ([b'T' | b't' | b' ', clock @ ..], rest) = rest.split_at_checked(9)? else { return None };
    let (nanos, zone) = match rest {
        [b'.' | b',', rest @ ..] => {
            let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let (fraction, zone) = rest.split_at(len);
            (billionths(fraction)?, zone)
        }
        zone => (0, zone),
    };
    let offset = match zone {
        [] | [b'Z' | b'z'] => 0,
        [sign, h0, h1, b':', m0, m1] | [sign, h0, h1, m0, m1] => {
            offset(*sign, [*h0, *h1], [*m0, *m1])?
        }
        _ => return None,
    };
    at(days, seconds(clock)?, offset, nanos)
}

fn at(days: u64, seconds: u64, offset: i64, nanos: u64) -> Option<Timestamp> {
    let seconds = (days * 86_400 + seconds).checked_add_signed(-offset)?;
    Some(Timestamp::from_nanos(seconds.checked_mul(NANOS)?.checked_add(nanos)?))
}

/// Days from the epoch to a day of the proleptic Gregorian calendar, from 1970 on.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE_MONTH: [u64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let (start, end) = (*BEFORE_MONTH.get(index)?, *BEFORE_MONTH.get(index + 1)?);
    let length = end - start + u64::from(leap && month == 2);
    if !(1..=length).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    // Leap days in the years before this one, of which 477 come before 1970.
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 - 477;
    let this_leap_day = u64::from(leap && month > 2);
    Some((year - 1970) * 365 + leap_days + start + this_leap_day + day - 1)
}

/// Seconds into the day of `hh:mm:ss`; a leap second is the first second of the next minute.
fn seconds(clock: &[u8]) -> Option<u64> {
    let [h0, h1, b':', m0, m1, b':', s0, s1] = clock else { return None };
    let (hour, minute) = (digits(&[*h0, *h1])?, digits(&[*m0, *m1])?);
    let second = digits(&[*s0, *s1])?;
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Seconds that a zone is ahead of UTC.
fn offset(sign: u8, hours: [u8; 2], minutes: [u8; 2]) -> Option<i64> {
    let (hours, minutes) = (digits(&hours)?, digits(&minutes)?);
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// A run of decimal digits; `None` when empty, too large or anything else.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(text: &str) -> Option<u64> {
        DateCache::default().parse(text).map(Timestamp::as_nanos)
    }

    fn secs(text: &str) -> Option<u64> {
        nanos(text).map(|nanos| nanos / NANOS)
    }

    #[test]
    fn known_times() {
        assert_eq!(secs("01/Jan/1970:00:00:00 +0000"), Some(0));
        assert_eq!(secs("18/Jul/2023:13:44:16 +0000"), Some(1_689_687_856));
        assert_eq!(secs("18/Jul/2023:13:44:16 -0730"), Some(1_689_687_856 + 27_000));
        assert_eq!(secs("29/Feb/2000:00:00:00 +0000"), Some(951_782_400));
        assert_eq!(secs("01/Mar/2000:00:00:00 +0000"), Some(951_868_800));
        assert_eq!(secs("2100-03-01T00:00:00Z"), Some(4_107_542_400));
        assert_eq!(secs("2023-07-18T15:44:16+02:00"), Some(1_689_687_856));
        assert_eq!(secs("2023-07-18 13:44:16"), Some(1_689_687_856));
        assert_eq!(nanos("2023-07-18T13:44:16.25Z"), Some(1_689_687_856_250_000_000));
        assert_eq!(nanos("1689687856.123456789123"), Some(1_689_687_856_123_456_789));
        assert_eq!(nanos("1689687856123"), Some(1_689_687_856_123_000_000));
        assert_eq!(nanos("1689687856123456"), Some(1_689_687_856_123_456_000));
        assert_eq!(nanos("1689687856123456789"), Some(1_689_687_856_123_456_789));
    }

    #[test]
    fn impossible_times() {
        for text in [
            "29/Feb/2023:00:00:00 +0000",
            "29/Feb/2100:00:00:00 +0000",
            "31/Apr/2023:00:00:00 +0000",
            "00/Jan/2023:00:00:00 +0000",
            "01/Foo/2023:00:00:00 +0000",
            "01/Jan/2023:24:00:00 +0000",
            "01/Jan/2023:00:60:00 +0000",
            "01/Jan/2023:00:00:61 +0000",
            "01/Jan/2023:00:00:00 0000",
            "01/Jan/2023:00:00:00 +2400",
            "01/Jan/1969:00:00:00 +0000",
            "01/Jan/1970:00:00:00 +0100",
            "2023-13-01T00:00:00Z",
            "2023-01-01T00:00:00.Z",
            "9999-01-01T00:00:00Z",
            "2023-01-01",
            "-5",
            "1.2.3",
            "1e9",
            "",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
    }

    #[test]
    fn the_cache_does_not_outlive_a_change() {
        let mut dates = DateCache::default();
        let first = dates.parse("18/Jul/2023:13:44:16 +0000").unwrap();
        assert_eq!(dates.parse("18/Jul/2023:13:44:16 +0000"), Some(first));
        assert_eq!(dates.parse("18/Jul/2023:13:44:1x +0000"), None);
        let next = dates.parse("18/Jul/2023:13:44:17 +0000").unwrap();
        assert_eq!(next.nanos_since(first), NANOS);
    }

    proptest! {
        #[test]
        fn days_count_up_one_by_one(day in 0_u64..2_932_000) {
            // Walk the years and months instead of using the closed form.
            let (mut rest, mut year, mut month) = (day, 1970, 1);
            let leap = |y: u64| (y.is_multiple_of(4) && !y.is_multiple_of(100)) || y.is_multiple_of(400);
            while rest >= 365 + u64::from(leap(year)) {
                rest -= 365 + u64::from(leap(year));
                year += 1;
            }
            for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                if rest < length { break; }
                rest -= length;
                month += 1;
            }
            prop_assert_eq!(days(year, month, rest + 1), Some(day));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[0-9T:.+Z/-]{0,40}") {
            let _ = nanos(&text);
        }
    }
}
