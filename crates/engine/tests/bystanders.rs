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
    /// Decisions of theirs in which a guest was spared.
    spared: [u32; 3],
}

impl Site {
    fn new() -> Self {
        let setup = Setup {
            model: Some(Engine::default_model().unwrap()),
            capacity: 10_000,
            ..Setup::default()
        };
        Self { engine: Engine::new(Policy::default(), setup), counts: [(0, 0); 3], spared: [0; 3] }
    }

    fn ask(&mut self, who: usize, request: &Request<'_>) {
        let decision = self.engine.check(request);
        if decision.allowed {
            self.engine.outcome(&decision.ticket, &OK, request.time);
        }
        self.counts[who].0 += 1;
        self.counts[who].1 += u32::from(!decision.allowed);
        self.spared[who] += u32::from(decision.spared);
    }
}

/// Six minutes of a small site: visitors, a partner's program that polls one route under the name
/// of a browser, and in the fifth minute a flood of that very route by the same browser's name.
fn play(attack: bool) -> Site {
    let mut site = Site::new();
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

/// A number below `below` that only looks random.
fn draw(n: u32, below: u32) -> u32 {
    (n.wrapping_mul(2_654_435_761) ^ (n >> 7).wrapping_mul(0x85eb_ca6b)) % 65_521 % below
}

/// Ten minutes of an office: twelve people with four browsers behind one address, beside as many
/// visitors from elsewhere. From the sixth minute on one machine in it looks for weaknesses, with a
/// browser of its own or with another one each time.
fn office(rotates: bool) -> Site {
    let mut site = Site::new();
    let start = Timestamp::from_secs(1_700_000_000);
    let browser = |n: u32| format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{}", 100 + n);
    let office = Some(IpAddr::V4(Ipv4Addr::new(198, 18, 7, 7)));
    // When who asks for what: a page, what it needs, some time to read.
    let mut asked: Vec<(u64, u32, String, String)> = Vec::new();
    for person in 0..60 {
        let (mut now, mut n, mut here) =
            (u64::from(draw(person, 20_000)), person * 1000, String::new());
        while now < 600_000 {
            n += 1;
            let page = ["/", "/news", "/a/1", "/a/2", "/b", "/search?q=tea"][draw(n, 6) as usize];
            asked.push((now, person, page.into(), here));
            here = format!("https://site.example{page}");
            for asset in ["/style.css", "/app.js", "/logo.png", "/photo.jpg"] {
                now += u64::from(20 + draw(n + 7, 90));
                asked.push((now, person, asset.into(), here.clone()));
            }
            now += u64::from(3_000 + draw(n, 29_000));
        }
    }
    for tick in 0..2_400u32 {
        asked.push((360_000 + u64::from(tick) * 100, 1000 + tick, String::new(), String::new()));
    }
    asked.sort();
    for (now, person, path, referer) in asked {
        let time = start.plus(Duration::from_millis(now));
        let request = Request { time, path: &path, referer: &referer, ..Request::default() };
        match person {
            0..12 => {
                let user_agent = &browser(person % 4);
                site.ask(0, &Request { addr: office, user_agent, ..request });
            }
            12..60 => {
                let user_agent = &browser(person % 9);
                let addr = Some(IpAddr::V4(Ipv4Addr::new(198, 19, person as u8, 9)));
                site.ask(1, &Request { addr, user_agent, ..request });
            }
            _ => {
                let user_agent = &browser(if rotates { person } else { 99 });
                let folder = ["admin", "old", "wp"][person as usize % 3];
                let path = &format!("/{folder}/.env?id={person}'--");
                let request = Request { addr: office, path, user_agent, ..request };
                let decision = site.engine.check(&request);
                if decision.allowed {
                    let gone = Outcome { status: 404, ..OK };
                    site.engine.outcome(&decision.ticket, &gone, time);
                }
                site.counts[2].0 += 1;
                site.counts[2].1 += u32::from(!decision.allowed);
                site.spared[2] += u32::from(decision.spared);
            }
        }
    }
    site
}

#[test]
fn an_office_keeps_its_service_while_one_machine_in_it_is_stopped() {
    for rotates in [false, true] {
        let Site { counts: [people, visitors, machine], spared, .. } = office(rotates);
        assert!(spared[0] > 100 && spared[1..] == [0, 0], "{spared:?}, {rotates}");
        assert!(f64::from(machine.1) > 0.8 * f64::from(machine.0), "{machine:?}, {rotates}");
        assert!(people.1 * 50 < people.0, "{people:?}, {rotates}");
        assert_eq!(visitors.1, 0, "{rotates}");
    }
}
