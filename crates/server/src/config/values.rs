//! Rates and durations as people write them: `10/min`, `500ms`.

use std::time::Duration;

/// Reads a duration, to the millisecond: a whole or decimal number and one of `ms`, `s`, `m`,
/// `h`, `d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not a duration");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "ms" => 1.0,
        "s" | "sec" => 1000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return Err(wrong()),
    };
    // A float holds every whole number of milliseconds up to a hundred thousand years.
    let millis = (number * unit).round();
    if millis < 1e14 { Ok(Duration::from_millis(millis as u64)) } else { Err(wrong()) }
}

/// Reads a rate: a whole number, a slash and a unit of time.
pub(crate) fn rate(text: &str) -> Result<(u32, Duration), String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not a rate");
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let count: u32 = count.trim().replace('_', "").parse().map_err(|_| wrong())?;
    if count == 0 {
        return Err(format!("`{text}` allows nothing"));
    }
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        _ => return Err(wrong()),
    };
    Ok((count, Duration::from_secs(seconds)))
}

/// Writes a duration as [`duration`] reads it.
pub(crate) fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    units
        .iter()
        .find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit))
        .map_or_else(|| "0s".into(), |(name, unit)| format!("{}{name}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_rates() {
        for (text, millis) in [("500ms", 500), ("5s", 5000), ("1.5m", 90_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5 parsecs", "-1s", "1..5s", "99999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for (text, count, secs) in [("10/min", 10, 60), ("5/s", 5, 1), ("1_000/h", 1000, 3600)] {
            assert_eq!(rate(text), Ok((count, Duration::from_secs(secs))), "{text}");
        }
        for text in ["", "10", "10/fortnight", "0/s", "-1/s", "1.5/s", "/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read(millis in 0u64..1_000_000_000_000) {
            let whole = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show(whole)), Ok(whole));
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = duration(&text);
            let _ = rate(&text);
        }
    }
}
