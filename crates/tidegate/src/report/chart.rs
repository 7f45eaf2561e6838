//! Charts: SVG that stretches to its place, with words beside it so that no text is stretched.
//!
//! Each is an image to a screen reader, named by what it shows; its figures stand in a table beside it.

use super::words::{count, later, moment, number, plain_moment, tick, width};
use maud::{Markup, html};
use std::fmt::Write as _;
use tidegate_lab::replay::{RiskRow, Timeline};

/// How wide a bar and its gap are, and how high a chart is, in the units of its own picture.
const STEP: usize = 4;
const BAR: f64 = 3.0;
const HEIGHT: f64 = 200.0;
/// The same of the little chart of one client.
const LITTLE: (f64, f64) = (120.0, 24.0);
/// What is not nothing is at least so high.
const LEAST: f64 = 1.0;

/// Bars as one path of upright strokes: the shortest way to write many.
#[derive(Default)]
struct Bars(String);

impl Bars {
    fn add(&mut self, middle: f64, foot: f64, height: f64) {
        if height > 0.0 {
            let _ = write!(self.0, "M{} {}v-{}", short(middle), short(foot), short(height));
        }
    }

    fn path(&self, class: &str, width: f64) -> Markup {
        html! { path class={ "bars " (class) } stroke-width=(short(width)) d=(self.0) {} }
    }
}

/// The middle of a bar.
#[allow(clippy::cast_precision_loss)]
const fn middle(at: usize) -> f64 {
    (at * STEP) as f64 + STEP as f64 / 2.0
}

/// A length with as many digits as can be seen.
fn short(length: f64) -> String {
    let text = format!("{length:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    text.strip_prefix('0').filter(|rest| rest.starts_with('.')).unwrap_or(text).to_owned()
}

#[allow(clippy::cast_precision_loss)]
fn scaled(n: u64, of: u64, height: f64) -> f64 {
    if n == 0 { 0.0 } else { (n as f64 / of.max(1) as f64 * height).max(LEAST) }
}

/// The next even number above that an axis may end with: its half stands beside the middle.
fn axis_end(peak: u64) -> u64 {
    const FIRST: [u64; 5] = [2, 4, 6, 8, 10];
    const TENTHS: [u64; 10] = [12, 16, 20, 24, 30, 40, 50, 60, 80, 100];
    let mut ends =
        FIRST.into_iter().chain((0..).map_while(|power| 10u64.checked_pow(power)).flat_map(
            |power| TENTHS.into_iter().filter_map(move |tenths| tenths.checked_mul(power)),
        ));
    ends.find(|end| *end >= peak).unwrap_or(peak)
}

/// The position of the largest number, the first one of several.
fn peak(counts: &[u64]) -> usize {
    (0..counts.len()).max_by_key(|&at| (counts[at], std::cmp::Reverse(at))).unwrap_or(0)
}

fn start(timeline: &Timeline, at: usize) -> String {
    later(&timeline.from, (at as u64).saturating_mul(timeline.bucket_seconds))
}

fn covered(timeline: &Timeline) -> u64 {
    (timeline.requests.len() as u64).saturating_mul(timeline.bucket_seconds)
}

/// A picture with an axis of numbers at its left and the words of the other below.
fn framed(label: &str, class: &str, ends: &[String], below: &[String], picture: &Markup) -> Markup {
    html! {
        div class={ "chart " (class) } {
            div class="y" aria-hidden="true" { @for end in ends { span { (end) } } }
            div role="img" aria-label=(label) { (picture) }
            div class="x" aria-hidden="true" { @for tick in below { span { (tick) } } }
        }
    }
}

fn grid(columns: usize, lines: usize) -> Markup {
    let mut path = String::new();
    for line in 0..lines {
        let y = HEIGHT * line as f64 / (lines.max(2) - 1) as f64;
        let _ = write!(path, "M0 {}H{}", short(y), columns * STEP);
    }
    html! { path class="grid" d=(path) {} }
}

/// Requests over time, allowed and denied one upon the other, and below that the denied ones alone: where they
/// are few they would not be seen.
pub(super) fn over_time(timeline: &Timeline) -> Markup {
    let buckets = timeline.requests.len();
    let busiest = peak(&timeline.requests);
    let most_requests = timeline.requests.get(busiest).copied().unwrap_or(0);
    let most_denied = timeline.denied.iter().copied().max().unwrap_or(0);
    let (end, denied_end) = (axis_end(most_requests), axis_end(most_denied));
    let (mut allowed_bars, mut denied_bars, mut alone) = <(Bars, Bars, Bars)>::default();
    for (at, (&requests, &denied)) in timeline.requests.iter().zip(&timeline.denied).enumerate() {
        let allowed = scaled(requests - denied.min(requests), end, HEIGHT);
        allowed_bars.add(middle(at), HEIGHT, allowed);
        denied_bars.add(middle(at), HEIGHT - allowed, scaled(denied, end, HEIGHT));
        alone.add(middle(at), HEIGHT, scaled(denied, denied_end, HEIGHT));
    }
    let every = width(timeline.bucket_seconds);
    let quarters = [0, 1, 2, 3, 4]
        .map(|quarter| tick(&start(timeline, buckets * quarter / 4), covered(timeline)));
    let picture = |bars: &Markup, lines: usize| {
        html! {
            svg viewBox={ "0 0 " (buckets * STEP) " " (HEIGHT) } preserveAspectRatio="none" {
                (grid(buckets, lines))
                (bars)
            }
        }
    };
    let hover = html! {
        g class="hover" { @for (at, (requests, denied)) in timeline.requests.iter().zip(&timeline.denied).enumerate() {
            rect x=(at * STEP) width=(STEP) height=(HEIGHT) {
                title { (plain_moment(&start(timeline, at))) ": " (count(*requests, "request")) ", " (number(*denied)) " denied" }
            }
        } }
    };
    let stacked = html! {
        (allowed_bars.path("allowed", BAR))
        (denied_bars.path("denied", BAR))
        (hover)
    };
    let label = format!(
        "Requests over time, {} bars of {every} each: {} requests at most, from {}, {} of them denied.",
        number(buckets as u64),
        number(most_requests),
        moment(&start(timeline, busiest)),
        number(timeline.denied.get(busiest).copied().unwrap_or(0))
    );
    let middle = |end: u64| [number(end), number(end / 2), "0".into()];
    html! {
        ul class="legend" aria-hidden="true" {
            li class="allowed" { "allowed" }
            li class="denied" { "denied" }
            li class="unit" { "requests per " (every) }
        }
        (framed(&label, "tall", &middle(end), if most_denied > 0 { &[] } else { &quarters }, &picture(&stacked, 3)))
        @if most_denied > 0 {
            @let label = format!("Denied requests alone over the same time: {} at most in {every}.", number(most_denied));
            @let bars = alone.path("denied", BAR);
            p class="small" aria-hidden="true" { "Denied alone, on a scale of its own" }
            (framed(&label, "flat", &[number(denied_end), "0".into()], &quarters, &picture(&bars, 2)))
        }
    }
}

/// Clients by their highest risk. The scale is logarithmic: nearly all clients have next to none, and it is the
/// few others that matter.
pub(super) fn risk(rows: &[RiskRow], throttle: f32, block: f32) -> Markup {
    let most = rows.iter().map(|row| row.clients).max().unwrap_or(0);
    let decades = most.max(1).ilog10() + 1;
    let line = |decade: f64| decade / f64::from(decades) * HEIGHT;
    #[allow(clippy::cast_precision_loss)]
    let height = |clients: u64| match clients {
        0 => 0.0,
        // One client stands on the lowest line, and has to be seen.
        _ => line((clients as f64).log10()).max(5.0 * LEAST),
    };
    let (mut calm, mut warm, mut hot) = <(Bars, Bars, Bars)>::default();
    for (at, row) in rows.iter().enumerate() {
        let bars = match row.from {
            risk if risk + 1e-6 >= f64::from(block) => &mut hot,
            risk if risk + 1e-6 >= f64::from(throttle) => &mut warm,
            _ => &mut calm,
        };
        bars.add(middle(at), HEIGHT, height(row.clients));
    }
    let columns = rows.len() * STEP;
    #[allow(clippy::cast_precision_loss)]
    let edge = |risk: f32| short(f64::from(risk) * columns as f64);
    let mut lines = String::new();
    for decade in 0..=decades {
        let _ = write!(lines, "M0 {}H{columns}", short(HEIGHT - line(f64::from(decade))));
    }
    let at_least = |risk: f32| {
        let above = rows.iter().filter(|row| row.from + 1e-6 >= f64::from(risk));
        above.map(|row| row.clients).sum::<u64>()
    };
    let label = format!(
        "Clients by their highest risk, from 0 to 1: {} reached {throttle}, from where they are throttled, {} of them \
         {block}, from where they are blocked.",
        number(at_least(throttle)),
        number(at_least(block))
    );
    let picture = html! {
        svg viewBox={ "0 0 " (columns) " " (HEIGHT) } preserveAspectRatio="none" {
            path class="grid" d=(lines) {}
            (calm.path("allowed", BAR))
            (warm.path("warm", BAR))
            (hot.path("denied", BAR))
            path class="edge" d={ "M" (edge(throttle)) " 0V" (HEIGHT) "M" (edge(block)) " 0V" (HEIGHT) } {}
            g class="hover" { @for (at, row) in rows.iter().enumerate() {
                rect x=(at * STEP) width=(STEP) height=(HEIGHT) {
                    title { "risk " (format!("{:.2} to {:.2}", row.from, row.to)) ": " (count(row.clients, "client")) }
                }
            } }
        }
    };
    let ends: Vec<_> =
        (0..=decades).rev().map(|decade| number(10u64.saturating_pow(decade))).collect();
    html! {
        ul class="legend" aria-hidden="true" {
            li class="allowed" { "left alone" }
            li class="warm" { "throttled from " (throttle) }
            li class="denied" { "blocked from " (block) }
            li class="unit" { "clients, each line ten times the one below" }
        }
        (framed(&label, "tall log", &ends, &["0", "0.25", "0.5", "0.75", "1"].map(String::from), &picture))
    }
}

/// When one client was there, on the time axis of the whole log.
#[allow(clippy::cast_precision_loss)]
pub(super) fn little(client: &Timeline, log: &Timeline) -> Markup {
    let (wide, high) = LITTLE;
    let all = covered(log).max(1) as f64;
    let begin = seconds_between(&log.from, &client.from);
    let most = client.requests.iter().copied().max().unwrap_or(0);
    let bar = (client.bucket_seconds as f64 / all * wide).clamp(LEAST, wide);
    let (mut allowed_bars, mut denied_bars) = <(Bars, Bars)>::default();
    for (at, (&requests, &denied)) in client.requests.iter().zip(&client.denied).enumerate() {
        let late = begin as f64 + (at as u64).saturating_mul(client.bucket_seconds) as f64;
        let middle = (late / all * wide).clamp(0.0, wide - bar) + bar / 2.0;
        let allowed = scaled(requests - denied.min(requests), most, high);
        allowed_bars.add(middle, high, allowed);
        denied_bars.add(middle, high - allowed, scaled(denied, most, high));
    }
    let busiest = peak(&client.requests);
    let label = format!(
        "busiest from {}: {} in {}, {} denied",
        moment(&start(client, busiest)),
        count(most, "request"),
        width(client.bucket_seconds),
        number(client.denied.get(busiest).copied().unwrap_or(0))
    );
    html! {
        svg class="little" role="img" aria-label=(label) viewBox={ "0 0 " (wide) " " (high) } preserveAspectRatio="none" {
            (allowed_bars.path("allowed", bar))
            (denied_bars.path("denied", bar))
        }
    }
}

/// From one time to another, in seconds; before it counts as at it.
fn seconds_between(from: &str, to: &str) -> u64 {
    let seconds =
        |time: &str| time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
    u64::try_from(seconds(to).saturating_sub(seconds(from))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_with_a_round_number_above_the_peak() {
        for (peak, expected) in [
            (0, 2),
            (1, 2),
            (2, 2),
            (3, 4),
            (5, 6),
            (9, 10),
            (11, 12),
            (100, 100),
            (101, 120),
            (4567, 5000),
        ] {
            assert_eq!(axis_end(peak), expected, "{peak}");
        }
        assert!(axis_end(u64::MAX) == u64::MAX);
    }

    #[test]
    fn bars_stand_on_one_another_and_nothing_has_none() {
        let timeline = Timeline {
            bucket_seconds: 60,
            from: "2023-07-18T13:44:00Z".into(),
            requests: vec![100, 0, 50],
            denied: vec![50, 0, 0],
        };
        let text = over_time(&timeline).into_string();
        assert!(
            text.contains(r#"class="bars allowed" stroke-width="3" d="M2 200v-100M10 200v-100""#),
            "{text}"
        );
        assert!(text.contains(r#"class="bars denied" stroke-width="3" d="M2 100v-100""#), "{text}");
        assert!(
            text.contains("100 requests at most, from 2023-07-18 13:44:00 UTC, 50 of them denied")
        );
        assert_eq!(text.matches("role=\"img\"").count(), 2);
        let calm = Timeline { denied: vec![0; 3], ..timeline };
        assert_eq!(over_time(&calm).into_string().matches("role=\"img\"").count(), 1);
    }

    #[test]
    fn a_client_is_drawn_where_it_was_in_the_log() {
        let of = |from: &str, bucket_seconds, requests: Vec<u64>| Timeline {
            bucket_seconds,
            from: from.into(),
            denied: vec![0; requests.len()],
            requests,
        };
        let log = of("2023-07-18T13:00:00Z", 60, vec![1; 60]);
        let late = of("2023-07-18T13:30:00Z", 5, vec![4, 2]);
        let text = little(&late, &log).into_string();
        assert!(text.contains(r#"stroke-width="1" d="M60.5 24v-24M60.7 24v-12""#), "{text}");
        assert!(
            text.contains("busiest from 2023-07-18 13:30:00 UTC: 4 requests in 5 s, 0 denied"),
            "{text}"
        );
    }

    #[test]
    fn one_client_of_a_high_risk_is_seen_beside_a_million_others() {
        let row = |from: f64, clients| RiskRow { from, to: from + 0.5, clients, requests: clients };
        let text = risk(&[row(0.0, 1_000_000), row(0.5, 1)], 0.5, 0.8).into_string();
        assert!(text.contains(r#"class="bars warm" stroke-width="3" d="M6 200v-5""#), "{text}");
        assert!(
            text.contains("1 reached 0.5, from where they are throttled, 0 of them 0.8"),
            "{text}"
        );
    }
}
