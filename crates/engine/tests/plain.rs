//! Plain traffic, as a gateway or a load test sends it, is left alone: no pages, no assets, no referers, no sessions.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_behavior::{Method, Outcome, Request};
use tidegate_engine::{Engine, Policy, Setup};
use tidegate_limiter::Timestamp;

const MINUTES: u64 = 15;

/// splitmix64, so that the test needs no crate for chance.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    fn pause(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

#[derive(Clone, Copy, Debug)]
struct World {
    agents: &'static [&'static str],
    clients: usize,
    /// Requests a minute of a client.
    rate: f64,
    /// How many items there are.
    items: usize,
    api: bool,
    /// Whether everybody is there from the first second on.
    together: bool,
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Safari/537.36";
const SEVERAL: &[&str] = &[
    BROWSER,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 Firefox/126.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "okhttp/4.12.0",
];

const WORLDS: [World; 6] = [
    World { agents: &[BROWSER], clients: 600, rate: 3.0, items: 200, api: false, together: false },
    World { agents: &[BROWSER], clients: 60, rate: 12.0, items: 20, api: true, together: true },
    World { agents: SEVERAL, clients: 300, rate: 6.0, items: 60, api: false, together: false },
    World { agents: SEVERAL, clients: 40, rate: 20.0, items: 8, api: true, together: true },
    World { agents: &[""], clients: 200, rate: 5.0, items: 100, api: true, together: true },
    World {
        agents: &["python-requests/2.32"],
        clients: 30,
        rate: 30.0,
        items: 50,
        api: true,
        together: false,
    },
];

/// One request of client `who` (0 is the scanner) after `time` seconds.
type Event = (f64, usize);

fn events(world: &World, dice: &mut Dice) -> Vec<Event> {
    let length = (MINUTES * 60) as f64;
    let mut events = Vec::new();
    for who in 1..=world.clients {
        let mean = 60.0 / world.rate;
        let mut at = if world.together { dice.unit() * mean } else { dice.unit() * length };
        while at < length {
            events.push((at, who));
            at += dice.pause(mean);
        }
    }
    let scans = (0..200).map(|n| (length * 0.5 + f64::from(n) * 0.5, 0));
    events.extend(scans);
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    events
}

/// The shares of harmless requests and of the scanner's that are denied.
fn denied(world: &World, seed: u64) -> (f64, f64) {
    let setup = Setup { model: Some(Engine::default_model().unwrap()), ..Setup::default() };
    let engine = Engine::new(Policy::default(), setup);
    let mut dice = Dice(seed);
    let root = if world.api { "/api/v2" } else { "" };
    let (mut asked, mut denied) = ([0u32; 2], [0u32; 2]);
    for (n, (at, who)) in events(world, &mut dice).into_iter().enumerate() {
        let side = usize::from(who == 0);
        let path = match dice.below(4) {
            _ if who == 0 => format!("/old/{n}.zip"),
            0 => format!("{root}/search"),
            1 => format!("{root}/news"),
            _ => format!("{root}/items/{}", 1000 + dice.below(world.items)),
        };
        let time = Timestamp::from_secs(1_700_000_000).plus(Duration::from_secs_f64(at));
        let request = Request {
            time,
            addr: Some(IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + who as u32 * 7919))),
            method: Method::Get,
            path: &path,
            user_agent: world.agents[who % world.agents.len()],
            ..Request::default()
        };
        let decision = engine.check(&request);
        asked[side] += 1;
        denied[side] += u32::from(!decision.allowed);
        if decision.allowed {
            let status = if side == 1 || dice.unit() < 0.01 { 404 } else { 200 };
            engine.outcome(&decision.ticket, &Outcome { status, bytes: 900, duration: None }, time);
        }
    }
    let share = |side: usize| f64::from(denied[side]) / f64::from(asked[side]);
    (share(0), share(1))
}

#[test]
fn plain_clients_are_left_alone_and_a_scanner_among_them_is_not() {
    for (n, world) in WORLDS.iter().enumerate() {
        let (harm, caught) = denied(world, 7 + n as u64);
        assert!(harm < 0.005, "{:.2} % of what is harmless denied: {world:?}", harm * 100.0);
        assert!(caught > 0.5, "{:.0} % of a scan denied: {world:?}", caught * 100.0);
    }
}
