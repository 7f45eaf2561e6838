//! Who tries log-ins or paths in vain is held back, on a site that nobody else visits too, and no longer than that lasts.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_behavior::profile::Evident;
use tidegate_behavior::{Method, Outcome, Request};
use tidegate_engine::{Engine, Policy, Setup};
use tidegate_limiter::Timestamp;

struct Site {
    engine: Engine,
    now: Timestamp,
    /// Whether the last request was held to be in vain.
    vain: bool,
    /// The key that is sent.
    key: Option<&'static str>,
}

impl Site {
    fn new() -> Self {
        let setup = Setup { model: Some(Engine::default_model().unwrap()), ..Setup::default() };
        let now = Timestamp::from_secs(1_700_000_000);
        Self { engine: Engine::new(Policy::default(), setup), now, vain: false, key: None }
    }

    /// One request after `pause`, answered with `status` unless it is denied.
    fn ask(&mut self, pause: Duration, method: Method, path: &str, status: u16) -> bool {
        self.now = self.now.plus(pause);
        let request = Request {
            time: self.now,
            addr: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9))),
            credential: self.key,
            method,
            path,
            user_agent: "curl/8.5",
            ..Request::default()
        };
        let decision = self.engine.check(&request);
        self.vain = decision.evident == Some(Evident::InVain);
        if decision.allowed {
            let outcome = Outcome { status, bytes: 300, duration: None };
            self.engine.outcome(&decision.ticket, &outcome, self.now);
        } else if self.vain {
            let reasons = self.engine.reasons(&decision);
            assert!(reasons[0].contains("all are refused or not there"), "{reasons:?}");
        }
        decision.allowed
    }

    fn denied(
        &mut self,
        pause: Duration,
        method: Method,
        status: u16,
        path: fn(u32) -> String,
    ) -> u32 {
        (0..300).map(|n| u32::from(!self.ask(pause, method, &path(n), status))).sum()
    }
}

const QUICK: Duration = Duration::from_millis(200);

#[test]
fn passwords_and_paths_are_not_tried_on_for_long_on_an_empty_site() {
    for status in [401, 403] {
        let denied = Site::new().denied(QUICK, Method::Post, status, |_| "/login".into());
        assert!(denied > 240, "{status}: {denied}");
    }
    let denied = Site::new().denied(QUICK, Method::Get, 404, |n| format!("/guess{n}"));
    assert!(denied > 240, "{denied}");
}

#[test]
fn a_key_that_opens_nothing_opens_no_log_in() {
    let keyed = || Site { key: Some("made-up"), ..Site::new() };
    let denied = keyed().denied(QUICK, Method::Post, 401, |_| "/login".into());
    assert!(denied > 240, "{denied}");
    // A program whose key has expired is no guesser, nor is a till.
    for path in ["/api/orders", "/api/v1/payments"] {
        let mut site = keyed();
        let tried = (0..300).filter(|_| {
            site.ask(QUICK, Method::Post, path, 401);
            site.vain
        });
        assert_eq!(tried.count(), 0, "{path}");
    }
}

#[test]
fn closed_doors_among_missing_ones_are_in_vain_too() {
    let mut site = Site::new();
    let denied = (0..300).filter(|n| {
        let status = if n % 3 == 0 { 403 } else { 404 };
        !site.ask(QUICK, Method::Get, &format!("/api/orders/{}", 70_001 + n * 7_919), status)
    });
    let denied = denied.count();
    assert!(denied > 240, "{denied}");
}

#[test]
fn who_also_gets_what_was_asked_for_is_not_held_back_by_this() {
    let mut site = Site::new();
    // What the model makes of it alone is another matter.
    for n in 0..300 {
        let status = if n % 10 == 0 { 200 } else { 401 };
        site.ask(QUICK, Method::Get, "/api/orders", status);
        assert!(!site.vain, "{n}");
    }
}

#[test]
fn who_asks_now_and_then_for_what_is_gone_is_not_held_back() {
    let mut site = Site::new();
    let denied = site.denied(Duration::from_secs(10), Method::Get, 410, |_| "/feed.xml".into());
    assert_eq!(denied, 0);
}

#[test]
fn a_program_that_reads_with_a_token_that_expired_tries_no_log_ins() {
    let mut site = Site::new();
    // What the model makes of it alone is another matter.
    for _ in 0..300 {
        site.ask(QUICK, Method::Get, "/api/orders", 401);
        assert!(!site.vain);
    }
}

#[test]
fn a_program_whose_password_is_mended_goes_on_once_a_block_is_over() {
    let mut site = Site::new();
    let pause = Duration::from_secs(1);
    let denied = site.denied(pause, Method::Post, 401, |_| "/api/orders".into());
    assert!(denied > 200, "{denied}");
    // It never stops asking, and a block lasts five minutes.
    for _ in 0..330 {
        site.ask(pause, Method::Post, "/api/orders", 200);
    }
    for n in 0..120 {
        assert!(site.ask(pause, Method::Post, "/api/orders", 200), "{n}");
    }
}
