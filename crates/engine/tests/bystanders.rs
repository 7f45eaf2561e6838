//! Who was there before an attack, and goes on as before, keeps its service while it lasts.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_behavior::{Outcome, Request};
use tidegate_engine::{Engine, Policy, Setup};
use tidegate_limiter::Timestamp;

const OK: Outcome = Outcome { status: 200, bytes: 900, duration: Some(Duration::from_millis(9)) };
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

struct Site {
    engine: Engine,
    /// Requests and denials of partner, visitors and attackers.
    counts: [(u32, u32); 3],
}

impl Site {
    fn ask(&mut self, who: usize, request: &Request<'_>) {
        let decision = self.engine.check(request);
        if decision.allowed {
            self.engine.outcome(&decision.ticket, &OK, request.time);
        }
        self.counts[who].0 += 1;
        self.counts[who].1 += u32::from(!decision.allowed);
    }
}

/// Six minutes of a small site: visitors, a partner's program that polls one route under the name
/// of a browser, and in the fifth minute a flood of that very route by the same browser's name.
fn play(attack: bool) -> Site {
    let setup = Setup {
        model: Some(Engine::default_model().unwrap()),
        capacity: 10_000,
        ..Setup::default()
    };
    let mut site = Site { engine: Engine::new(Policy::default(), setup), counts: [(0, 0); 3] };
    let addr = |net: u8, host: u32| {
        Some(IpAddr::V4(Ipv4Addr::new(198, 18 + net, (host >> 8) as u8, host as u8)))
    };
    let start = Timestamp::from_secs(1_700_000_000);
    for tick in 0..36_000u32 {
        let time = start.plus(Duration::from_millis(u64::from(tick) * 10));
        let request = Request { time, user_agent: AGENT, ..Request::default() };
        if tick % 15 == 0 {
            let credential = Some("partner");
            let own = Request { addr: addr(0, 1), credential, path: "/api/rooms", ..request };
            site.ask(0, &own);
        }
        if tick % 40 == 0 {
            let (visitor, page) = (tick / 40 % 60, tick / 40 % 7);
            let path = ["/", "/a/1", "/style.css", "/b", "/logo.png", "/api/rooms", "/a/2"];
            let referer = if page == 0 { "" } else { "https://site.example/" };
            let agent = format!("Mozilla/5.0 (Windows NT 10.0) Chrome/{}", 100 + visitor % 9);
            let path = path[page as usize];
            let user_agent = &agent;
            site.ask(
                1,
                &Request { addr: addr(1, visitor * 77), path, referer, user_agent, ..request },
            );
        }
        if attack && tick >= 24_000 {
            let source = tick % 5;
            site.ask(2, &Request { addr: addr(0, 900 + source), path: "/api/rooms", ..request });
        }
    }
    site
}

#[test]
fn a_partner_that_shares_route_and_agent_with_a_flood_keeps_its_service() {
    let calm = play(false);
    assert_eq!((calm.counts[0].1, calm.counts[1].1), (0, 0), "{:?}", calm.counts);
    let flood = play(true);
    let [partner, visitors, attackers] = flood.counts;
    assert!(f64::from(attackers.1) > 0.9 * f64::from(attackers.0), "{:?}", flood.counts);
    assert!(partner.1 * 50 < partner.0 && visitors.1 * 50 < visitors.0, "{:?}", flood.counts);
}
