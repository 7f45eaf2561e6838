//! What many do together counts against each of them, and not against who stands by.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_behavior::schema::index;
use tidegate_behavior::{Outcome, Request};
use tidegate_engine::{Action, Decision, Engine, Policy, Setup};
use tidegate_limiter::Timestamp;
use tidegate_models::trees::Node;
use tidegate_models::{AnyModel, Calibration, Trees};

const OK: Outcome = Outcome { status: 200, bytes: 900, duration: Some(Duration::from_millis(9)) };
const PROGRAM: &str = "curl/8.5.0";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A model that thinks of a program with a probability of a quarter that it abuses, and of a browser with
/// next to none: nobody is limited for what it does alone.
fn engine() -> Engine {
    let split =
        Node::Split { feature: index::AGENT_KIND, threshold: 1.5, left: 1, right: 2, value: 0.0 };
    let tree = vec![split, Node::Leaf(-6.0), Node::Leaf(-1.1)];
    let model = AnyModel::Trees(Trees::new(0.0, &[tree], Calibration::default()).unwrap());
    Engine::new(Policy::default(), Setup { model: Some(model), ..Setup::default() })
}

const START: u64 = 1_700_000_000;

fn ask(engine: &Engine, second: u64, net: u8, host: u8, agent: &str, path: &str) -> Decision {
    let request = Request {
        time: Timestamp::from_secs(START + second),
        addr: Some(IpAddr::V4(Ipv4Addr::new(198, net, host, 1))),
        user_agent: agent,
        path,
        ..Request::default()
    };
    let decision = engine.check(&request);
    if decision.allowed {
        engine.outcome(&decision.ticket, &OK, request.time);
    }
    decision
}

/// A quarter of an hour of fifty visitors, and then for two minutes one request a second of each of so many
/// programs and of ten browsers that nobody knows, for one path; answers with what was decided last about a
/// program, and with all that was decided about one of the browsers. None of those is ever denied.
fn play(engine: &Engine, programs: u8) -> (Decision, Vec<Decision>) {
    for second in 0..900 {
        for host in 0..10 {
            let visitor = u8::try_from(second % 5).unwrap() * 10 + host;
            ask(engine, second, 19, visitor, BROWSER, ["/", "/news", "/search"][host as usize % 3]);
        }
    }
    let (mut last, mut browser) = (None, Vec::new());
    for second in 900..1020 {
        for host in 0..programs {
            last = Some(ask(engine, second, 18, host, PROGRAM, "/search"));
        }
        for host in programs..programs + 10 {
            let decision = ask(engine, second, 18, host, BROWSER, "/search");
            assert!(decision.allowed, "{decision:?}");
            if host == programs {
                browser.push(decision);
            }
        }
    }
    (last.unwrap(), browser)
}

#[test]
fn a_hundred_who_look_suspicious_by_a_little_are_more_than_one() {
    let alone = engine();
    let (program, _) = play(&alone, 1);
    assert_eq!(program.company, 1.0, "nobody is its own company");
    assert!(program.score < 0.3 && program.risk < 0.3, "{program:?}");

    let crowded = engine();
    let (program, browser) = play(&crowded, 100);
    assert!(program.company > 4.0 && program.score > 0.5, "{program:?}");
    // Each of them would have ten requests a minute alone; of so many none has any.
    assert!(!program.allowed && program.action == Action::Block && program.risk > 0.5);
    assert!(crowded.reasons(&program).iter().any(|reason| reason.contains("ask for the same")));
    // Whoever gives no reason stands by, in whatever company, and soon answers for itself alone.
    assert!(browser.iter().any(|decision| decision.company > 2.0));
    assert!(browser.iter().all(|decision| decision.risk < 0.1));
    assert_eq!(browser.last().unwrap().company, 1.0);
}

#[test]
fn a_site_of_programs_alone_is_not_full_of_attackers() {
    let engine = engine();
    // From the first second on, when nothing is usual yet, and for a quarter of an hour.
    let (mut requests, mut denied) = (0, 0);
    for second in 0..900 {
        for host in 0..20 {
            let program = u8::try_from(second % 5).unwrap() * 20 + host;
            let decision = ask(&engine, second, 18, program, PROGRAM, "/v1/items");
            requests += 1;
            denied += u32::from(!decision.allowed);
            if second > 600 {
                assert!(decision.company < 1.5, "{decision:?}");
            }
        }
    }
    assert!(denied * 100 < requests, "{denied} of {requests}");
}
