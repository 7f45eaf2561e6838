//! Figures, times and sentences for people, the same in every form of a report.

use super::document::Document;
use crate::replay::span;
use jiff::Timestamp;
use maud::{Markup, html};
use tidegate_lab::replay::ClientRow;

/// A narrow space that keeps what it separates on one line.
const THIN: char = '\u{202f}';

/// A whole number in groups of three digits.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// A number of things.
pub(super) fn count(n: u64, one: &str) -> String {
    format!("{} {one}{}", number(n), if n == 1 { "" } else { "s" })
}

/// A limit, rounded.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn limit(per_minute: f64) -> String {
    number(per_minute.round().max(0.0) as u64)
}

/// A share in percent, with as many digits as tell it from nothing and from all.
pub(super) fn share(part: u64, whole: u64) -> String {
    let percent = tidegate_lab::static_limits::ratio(part, whole) * 100.0;
    let text = match percent {
        _ if part == 0 => "0".into(),
        _ if part >= whole => "100".into(),
        p if p < 0.01 => "< 0.01".into(),
        p if p < 0.095 => format!("{p:.2}"),
        p if p > 99.9 => "> 99.9".into(),
        p => format!("{p:.1}"),
    };
    format!("{text}{THIN}%")
}

/// A share that is not one of whole numbers.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}{THIN}%", share * 100.0)
}

/// A time of a report, to the second.
pub(super) fn moment(time: &str) -> String {
    format!("{} UTC", plain_moment(time))
}

/// The same where all times are UTC.
pub(super) fn plain_moment(time: &str) -> String {
    strftime(time, "%Y-%m-%d %H:%M:%S")
}

/// A time of a page, for people and programs.
pub(super) fn instant(time: &str) -> Markup {
    html! { time datetime=(time) { (plain_moment(time)) } }
}

/// A time as an axis says it that covers so many seconds.
pub(super) fn tick(time: &str, seconds: u64) -> String {
    let format = match seconds {
        0..600 => "%H:%M:%S",
        600..86_400 => "%H:%M",
        86_400..1_209_600 => "%-d %b %H:%M",
        _ => "%-d %b %Y",
    };
    strftime(time, format)
}

fn strftime(time: &str, format: &str) -> String {
    time.parse::<Timestamp>()
        .map_or_else(|_| time.to_owned(), |time| time.strftime(format).to_string())
}

/// A time so many seconds later.
pub(super) fn later(time: &str, seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let later = time
        .parse::<Timestamp>()
        .ok()
        .and_then(|time| Timestamp::from_second(time.as_second().checked_add(seconds)?).ok());
    later.map_or_else(|| time.to_owned(), |time| time.to_string())
}

/// How wide a bucket of time is.
pub(super) fn width(seconds: u64) -> String {
    match seconds {
        86_400.. => count(seconds / 86_400, "day"),
        3600.. => format!("{} h", seconds / 3600),
        60.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// Text out of a log: of at most so many characters and, once it is escaped, twice as many bytes; and without
/// anything that moves a cursor or turns the direction of what follows.
pub(super) fn safe(text: &str, most: usize) -> String {
    let turns = |c: char| {
        matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut out = String::new();
    let mut bytes = 0;
    for (at, c) in text.chars().enumerate() {
        let before = out.len();
        if c.is_control() || turns(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        bytes += match c {
            '"' | '&' | '<' | '>' => "&quot;".len(),
            _ => out.len() - before,
        };
        if at >= most || bytes > most * 2 {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

/// The words of a reason, and its figures.
pub(super) fn parts(reason: &str) -> (&str, Option<&str>) {
    match reason.rsplit_once(" (") {
        Some((words, figures)) if figures.ends_with(')') => {
            (words, Some(figures.trim_end_matches(')')))
        }
        _ => (reason, None),
    }
}

/// What was done with a client's limit.
pub(super) fn action(name: &str) -> &str {
    match name {
        "raise" => "raised",
        "allow" => "allowed",
        "degrade" => "tightened",
        "throttle" => "throttled",
        "block" => "blocked",
        other => other,
    }
}

/// What would have happened, in one sentence.
pub(super) fn headline(document: &Document<'_>) -> String {
    let found = document.found;
    if found.requests == 0 {
        return "No request could be read from the log.".into();
    }
    let about = if found.clients_approximate { "about " } else { "" };
    if found.denied == 0 {
        return format!(
            "Tidegate would have denied none of {} from {about}{}.",
            count(found.requests, "request"),
            count(found.clients, "client")
        );
    }
    format!(
        "Tidegate would have denied {} of {} ({}), from {} of {about}{}.",
        number(found.denied),
        count(found.requests, "request"),
        share(found.denied, found.requests),
        number(found.clients_denied),
        count(found.clients, "client")
    )
}

/// Who would not have noticed; nothing to say of an empty log.
pub(super) fn unnoticed(document: &Document<'_>) -> Option<String> {
    let found = document.found;
    let about = if found.clients_approximate { "About " } else { "" };
    let spared = found.clients.saturating_sub(found.clients_denied);
    match (found.clients, spared) {
        (0, _) => None,
        (_, 0) => Some("Every client would have noticed.".into()),
        (1, 1) => Some("The only client would have noticed nothing.".into()),
        (all, spared) if all == spared => {
            Some(format!("{about}{} would have noticed nothing.", count(spared, "client")))
        }
        (_, spared) => Some(format!(
            "{about}{} other {} would have noticed nothing.",
            number(spared),
            if spared == 1 { "client" } else { "clients" }
        )),
    }
}

/// When the log begins and ends.
pub(super) fn period(document: &Document<'_>) -> Option<String> {
    let (from, to) = document.found.from.as_deref().zip(document.found.to.as_deref())?;
    Some(format!("{} to {} ({})", moment(from), moment(to), span(document.found.span_seconds)))
}

/// What was read.
pub(super) fn read(document: &Document<'_>) -> String {
    let reading = &document.reading;
    format!(
        "{} read as {}, {} skipped",
        count(reading.lines - reading.unparsable, "line"),
        safe(&reading.format, 60),
        number(reading.unparsable)
    )
}

/// Why a client was denied, as the beginning of a sentence that its reasons end.
pub(super) fn why(row: &ClientRow) -> String {
    let nth = number(row.first_denied_request);
    match row.rule.as_str() {
        "adaptive" if row.only_fast => {
            format!(
                "From request {nth} on it asked faster than its own limit; nothing else was held against it"
            )
        }
        "adaptive" => format!("From request {nth} on"),
        rule => format!("From request {nth} on by {}", safe(rule, 40)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thin_spaces() {
        for (n, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1\u{202f}000"),
            (1_234_567, "1\u{202f}234\u{202f}567"),
            (12_345, "12\u{202f}345"),
        ] {
            assert_eq!(number(n), expected);
        }
        assert_eq!((count(1, "line"), count(2, "line")), ("1 line".into(), "2 lines".into()));
    }

    #[test]
    fn a_share_is_neither_nothing_nor_all_unless_it_is() {
        for (part, whole, expected) in [
            (0, 10, "0"),
            (0, 0, "0"),
            (1, 1_000_000, "< 0.01"),
            (1, 2_000, "0.05"),
            (12, 1000, "1.2"),
            (999_999, 1_000_000, "> 99.9"),
            (10, 10, "100"),
        ] {
            assert_eq!(share(part, whole), format!("{expected}\u{202f}%"), "{part} of {whole}");
        }
    }

    #[test]
    fn times_are_said_as_finely_as_the_axis_needs() {
        let time = "2023-07-18T13:44:16.25Z";
        assert_eq!(moment(time), "2023-07-18 13:44:16 UTC");
        assert_eq!(tick(time, 30), "13:44:16");
        assert_eq!(tick(time, 7200), "13:44");
        assert_eq!(tick(time, 200_000), "18 Jul 13:44");
        assert_eq!(tick(time, 2_000_000), "18 Jul 2023");
        assert_eq!(later("2023-07-18T13:44:00Z", 120), "2023-07-18T13:46:00Z");
        assert_eq!(later(time, u64::MAX), time);
        assert_eq!(
            (width(30), width(300), width(10_800)),
            ("30 s".into(), "5 min".into(), "3 h".into())
        );
    }

    #[test]
    fn text_of_a_log_can_neither_hide_nor_run_on() {
        assert_eq!(
            safe("a\u{202e}b\u{1b}[31m\nc\u{feff}", 99),
            "a\\u{202e}b\\u{1b}[31m\\nc\\u{feff}"
        );
        assert_eq!(safe(&"é".repeat(50), 3), "ééé…");
        assert_eq!((safe("abc", 3), safe("", 3)), ("abc".into(), String::new()));
        assert_eq!(safe(&"\"".repeat(50), 9), "\"\"\"…", "each takes six bytes in a page");
    }

    #[test]
    fn figures_of_a_reason_are_told_from_its_words() {
        assert_eq!(
            parts("how much of it is assets (asset_share 0.02)"),
            ("how much of it is assets", Some("asset_share 0.02"))
        );
        assert_eq!(parts("the rule `x (y` is used up"), ("the rule `x (y` is used up", None));
    }
}
