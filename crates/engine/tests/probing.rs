//! Who asks for what only attackers ask for is blocked, however slowly, and whatever the site answers; a site's own software is none of it.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_behavior::{Outcome, Request};
use tidegate_engine::{Action, Engine, Policy, Setup};
use tidegate_limiter::Timestamp;

const PROBES: [&str; 12] = [
    "/.env",
    "/wp-login.php",
    "/phpMyAdmin/",
    "/actuator/heapdump",
    "/.git/config",
    "/search?q=1+union+select+2",
    "/cgi-bin/luci",
    "/download?file=../../../etc/passwd",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/?url=http://169.254.169.254/latest/",
    "/HNAP1/",
    "/backup.zip",
];

struct Site {
    engine: Engine,
    now: Timestamp,
    /// What is asked for and there is not.
    missing: u16,
    tells_outcomes: bool,
}

impl Site {
    fn new(missing: u16) -> Self {
        let setup = Setup { model: Some(Engine::default_model().unwrap()), ..Setup::default() };
        let now = Timestamp::from_secs(1_700_000_000);
        let engine = Engine::new(Policy::default(), setup);
        Self { engine, now, missing, tells_outcomes: true }
    }

    /// One request after `pause`; whether it was let through.
    fn ask(&mut self, pause: f64, client: u32, path: &str, there: bool) -> bool {
        self.now = self.now.plus(Duration::from_secs_f64(pause));
        let request = Request {
            time: self.now,
            addr: Some(IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + client * 7919))),
            path,
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            ..Request::default()
        };
        let decision = self.engine.check(&request);
        if decision.allowed && self.tells_outcomes {
            let status = if there { 200 } else { self.missing };
            let outcome = Outcome { status, bytes: 900, duration: None };
            self.engine.outcome(&decision.ticket, &outcome, self.now);
        } else if decision.action == Action::Block {
            let reasons = self.engine.reasons(&decision);
            assert!(reasons[0].contains("only attackers"), "{reasons:?}");
        }
        decision.allowed
    }

    /// Visitors who read; how many requests of theirs were denied.
    fn visited(&mut self, requests: u32, paths: [&str; 3]) -> u32 {
        let denied =
            (0..requests).filter(|n| !self.ask(1.0, 1 + n % 40, paths[(n % 7) as usize % 3], true));
        denied.count() as u32
    }
}

#[test]
fn a_slow_prober_is_blocked_whatever_the_site_answers() {
    for missing in [404, 302, 403, 200] {
        let mut site = Site::new(missing);
        assert_eq!(site.visited(200, ["/", "/news", "/shop"]), 0);
        let passed =
            PROBES.iter().cycle().take(60).filter(|path| site.ask(15.0, 0, path, false)).count();
        // Where all is answered with content, what was asked for once is taken for the site's own.
        assert!(passed < 25, "{missing}: {passed} of 60 let through");
    }
}

#[test]
fn the_software_of_a_site_is_its_own() {
    let mut site = Site::new(404);
    let denied = site.visited(600, ["/wp-login.php", "/index.php?p=2", "/wp-admin/admin.php"]);
    assert_eq!(denied, 0);
}

#[test]
fn without_outcomes_nothing_is_known_to_be_foreign() {
    let mut site = Site::new(404);
    site.tells_outcomes = false;
    assert_eq!(site.visited(600, ["/wp-login.php", "/index.php?p=2", "/shop.jsp"]), 0);
}

#[test]
fn a_probe_among_many_requests_condemns_nobody() {
    let mut site = Site::new(404);
    for n in 0..600 {
        let path = if n % 10 == 0 { "/.env" } else { "/news" };
        assert!(site.ask(3.0, 5, path, n % 10 != 0), "request {n}");
    }
}
