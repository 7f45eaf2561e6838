//! The report that was made last, at an address that only who had it made knows.
//!
//! A page in a frame can't send the token, so the address stands in for it: it can't be guessed, is
//! told once, and leads nowhere after an hour or once there is another report.

use crate::api::{Door, problem};
use crate::extract::Named;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// How long it can be looked at.
const LASTS: Duration = Duration::from_secs(3600);

/// A page of nobody's: nothing runs and nothing is loaded, and only the console may frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'; sandbox",
);

/// The last report.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<Report>>);

struct Report {
    key: String,
    until: Instant,
    html: String,
}

impl Kept {
    /// Keeps a report in place of the one before; where it can be looked at. Without random numbers
    /// there is no address, and it is not kept.
    pub(super) fn keep(&self, html: &str) -> Option<String> {
        self.keep_until(html, Instant::now() + LASTS)
    }

    fn keep_until(&self, html: &str, until: Instant) -> Option<String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        let key = format!("{:032x}", u128::from_ne_bytes(bytes));
        let view = format!("/console/reports/{key}");
        *self.0.lock() = Some(Report { key, until, html: html.to_owned() });
        Some(view)
    }

    fn get(&self, key: &str) -> Option<String> {
        let mut kept = self.0.lock();
        if kept.as_ref().is_some_and(|report| report.until <= Instant::now()) {
            *kept = None;
        }
        let report = kept.as_ref()?;
        let known = bool::from(report.key.as_bytes().ct_eq(key.as_bytes()));
        known.then(|| report.html.clone())
    }
}

/// Shows it.
pub(crate) async fn show(State(door): State<Door>, Named(key): Named<String>) -> Response {
    let html = door.replays.as_ref().and_then(|replays| replays.kept.get(&key));
    let Some(html) = html else {
        let detail = "There is no such report any more: it is kept for an hour, or until the next one. \
                      Replay the log again.";
        return problem(StatusCode::NOT_FOUND, detail);
    };
    let fields = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (fields, html).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_seen_by_who_knows_its_address_until_the_next_or_its_time() {
        let kept = Kept::default();
        let key = |view: Option<String>| view.unwrap().rsplit_once('/').unwrap().1.to_owned();
        let first = key(kept.keep("one"));
        assert_eq!((first.len(), kept.get(&first).as_deref()), (32, Some("one")));
        assert_eq!(kept.get(""), None);
        assert_eq!(kept.get(&first[1..]), None);
        let second = key(kept.keep("two"));
        assert_ne!(first, second);
        assert_eq!((kept.get(&first), kept.get(&second).as_deref()), (None, Some("two")));
        let over = key(kept.keep_until("three", Instant::now()));
        assert_eq!(kept.get(&over), None);
        assert!(kept.0.lock().is_none());
    }
}
