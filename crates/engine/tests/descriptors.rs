//! Limits by descriptor: what each kind of call is answered, and that a denied one is charged nowhere.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;
use tidegate_behavior::schema::index;
use tidegate_behavior::{Outcome, Request};
use tidegate_engine::descriptors::{Against, Asked, CallError, MAX_DESCRIPTORS, Verdict};
use tidegate_engine::domains::{self, Counts, DescriptorLimit, Level, Rails, Rate, Unit};
use tidegate_engine::{Action, Engine, Mode, Policy, Setup};
use tidegate_limiter::Timestamp;
use tidegate_models::trees::Node;
use tidegate_models::{AnyModel, Calibration, Trees};

const START: u64 = 1_700_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(START + seconds)
}

fn per_minute(cells: u32) -> Rate {
    Rate { cells, unit: Unit::Minute, multiplier: 1 }
}

fn limit(path: &str, cells: u32) -> DescriptorLimit {
    DescriptorLimit::new(path.into(), Some(per_minute(cells)))
}

fn leaf(limit: DescriptorLimit) -> domains::Node {
    domains::Node { limit: Some(Arc::new(limit)), ..domains::Node::default() }
}

/// An engine with one domain, `d`.
fn engine(fill: impl FnOnce(&mut Level)) -> Engine {
    engine_of(Policy::new(), fill)
}

fn engine_of(mut policy: Policy, fill: impl FnOnce(&mut Level)) -> Engine {
    fill(policy.domains.domain("d"));
    Engine::new(policy, Setup { capacity: 1000, ..Setup::default() })
}

fn one<'a>(entries: &[(&'a str, &'a str)]) -> Asked<'a> {
    Asked { entries: entries.iter().copied().collect(), hits: 1, ..Asked::default() }
}

fn ask(engine: &Engine, asked: &[Asked<'_>], seconds: u64) -> Verdict {
    engine.limit_descriptors("d", asked, at(seconds)).unwrap()
}

fn counts(engine: &Engine, path: &str) -> Vec<(&'static str, u64)> {
    let all = engine.policy().domains.counts();
    let (_, counts) = all.iter().find(|(name, _)| name == path).unwrap();
    Counts::NAMES.into_iter().zip(*counts).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_limit_admits_its_rate_at_once_and_again_after_its_unit() {
    let engine = engine(|d| d.add("k", "", leaf(limit("d.k", 3))).unwrap());
    let mut left = Vec::new();
    for _ in 0..4 {
        let verdict = ask(&engine, &[one(&[("k", "v")])], 0);
        left.push((verdict.over, verdict.statuses[0].remaining));
    }
    assert_eq!(left, [(false, 2), (false, 1), (false, 0), (true, 0)]);
    let denied = ask(&engine, &[one(&[("k", "v")])], 0);
    assert_eq!(denied.statuses[0].reset, Duration::from_secs(20));
    // Another value has its own count.
    assert!(!ask(&engine, &[one(&[("k", "w")])], 0).over);
    for _ in 0..3 {
        assert!(!ask(&engine, &[one(&[("k", "v")])], 61).over);
    }
    assert!(ask(&engine, &[one(&[("k", "v")])], 61).over);
}

#[test]
fn one_denial_charges_nobody() {
    let engine = engine(|d| {
        d.add("wide", "", leaf(limit("d.wide", 10))).unwrap();
        d.add("narrow", "", leaf(limit("d.narrow", 1))).unwrap();
    });
    let both = [one(&[("wide", "v")]), one(&[("narrow", "v")])];
    assert!(!ask(&engine, &both, 0).over);
    for _ in 0..20 {
        let verdict = ask(&engine, &both, 0);
        assert!(verdict.over);
        assert_eq!((verdict.statuses[0].over, verdict.statuses[1].over), (false, true));
    }
    assert_eq!(ask(&engine, &[one(&[("wide", "v")])], 0).statuses[0].remaining, 8);
}

#[test]
fn equal_descriptors_in_one_call_are_paid_for_twice() {
    let engine = engine(|d| d.add("k", "", leaf(limit("d.k", 3))).unwrap());
    let twice = [one(&[("k", "v")]), one(&[("k", "v")])];
    assert_eq!(ask(&engine, &twice, 0).statuses[1].remaining, 1);
    assert!(ask(&engine, &twice, 0).over);
    assert!(!ask(&engine, &[one(&[("k", "v")])], 0).over);
}

#[test]
fn what_has_no_limit_is_not_limited() {
    let engine = engine(|d| {
        d.add("free", "", leaf(DescriptorLimit::new("d.free".into(), None))).unwrap();
        d.add("listed", "", domains::Node::default()).unwrap();
    });
    let asked = [one(&[("free", "v")]), one(&[("listed", "v")]), one(&[("unknown", "v")])];
    for _ in 0..100 {
        let verdict = ask(&engine, &asked, 0);
        assert!(!verdict.over);
        let left: Vec<_> = verdict.statuses.iter().map(|status| status.remaining).collect();
        assert_eq!(left, [u32::MAX, 0, 0]);
        assert!(matches!(verdict.statuses[0].against, Against::Limit(_)));
        assert!(matches!(verdict.statuses[1].against, Against::Nothing));
    }
    let elsewhere = engine.limit_descriptors("other", &[one(&[("free", "v")])], at(0)).unwrap();
    assert!(!elsewhere.over && matches!(elsewhere.statuses[0].against, Against::Nothing));
    assert_eq!(counts(&engine, "d.free"), [("total_hits", 100), ("within_limit", 100)]);
}

#[test]
fn a_limit_of_nothing_denies_always() {
    let engine = engine(|d| d.add("k", "bad", leaf(limit("d.k_bad", 0))).unwrap());
    for seconds in [0, 60, 6000] {
        let verdict = ask(&engine, &[one(&[("k", "bad")])], seconds);
        assert!(verdict.over);
        assert_eq!(verdict.statuses[0].reset, Duration::from_secs(60));
    }
    assert!(!ask(&engine, &[one(&[("k", "good")])], 0).over);
}

#[test]
fn a_call_without_a_domain_or_descriptors_is_refused() {
    let engine = engine(|d| d.add("k", "", leaf(limit("d.k", 1))).unwrap());
    let call = |domain: &str, asked: &[Asked<'_>]| engine.limit_descriptors(domain, asked, at(0));
    assert_eq!(call("", &[one(&[("k", "v")])]).unwrap_err(), CallError::NoDomain);
    assert_eq!(call("d", &[]).unwrap_err(), CallError::NoDescriptors);
    assert!(!call("d", &[one(&[])]).unwrap().over);
    let values: Vec<String> = (0..=MAX_DESCRIPTORS).map(|n| n.to_string()).collect();
    let many: Vec<_> = values.iter().map(|value| one(&[("k", value)])).collect();
    let error = call("d", &many).unwrap_err();
    assert_eq!(error, CallError::TooMany(MAX_DESCRIPTORS + 1));
    assert!(!call("d", &many[1..]).unwrap().over);
    assert!(call("d", &many[1..]).unwrap().over);
}

#[test]
fn a_demanded_rate_is_held_instead_of_the_configured_one() {
    let engine = engine(|d| d.add("k", "", leaf(limit("d.k", 1))).unwrap());
    let demanded = Asked { instead: Some(per_minute(3)), ..one(&[("k", "v")]) };
    for _ in 0..3 {
        assert!(!ask(&engine, std::slice::from_ref(&demanded), 0).over);
    }
    let denied = ask(&engine, std::slice::from_ref(&demanded), 0);
    assert!(denied.over);
    assert_eq!(denied.statuses[0].against.rate(), Some(per_minute(3)));
    // A descriptor that nobody configured can be limited so, in a domain that is.
    let unknown = Asked { entries: [("x", "y")].into_iter().collect(), ..demanded.clone() };
    assert_eq!(ask(&engine, std::slice::from_ref(&unknown), 0).statuses[0].remaining, 2);
    let elsewhere = engine.limit_descriptors("other", &[unknown], at(0)).unwrap();
    assert!(matches!(elsewhere.statuses[0].against, Against::Nothing));
}

#[test]
fn hits_are_cells_and_none_of_them_peek() {
    let engine = engine(|d| d.add("k", "", leaf(limit("d.k", 10))).unwrap());
    let of = |hits| [Asked { hits, ..one(&[("k", "v")]) }];
    assert_eq!(ask(&engine, &of(4), 0).statuses[0].remaining, 6);
    for _ in 0..50 {
        assert_eq!(ask(&engine, &of(0), 0).statuses[0].remaining, 6);
    }
    assert!(!ask(&engine, &of(6), 0).over);
    // All of it is used, and nothing more was asked for.
    assert!(!ask(&engine, &of(0), 0).over);
}

#[test]
fn more_hits_than_a_limit_holds_are_denied_and_charged_nowhere() {
    let engine = engine(|d| d.add("k", "", leaf(limit("d.k", 10))).unwrap());
    let of = |hits| [Asked { hits, ..one(&[("k", "v")]) }];
    for hits in [11, 1000, u32::MAX] {
        let verdict = ask(&engine, &of(hits), 0);
        assert!(verdict.over);
        assert!(verdict.statuses[0].reset <= Duration::from_secs(60));
    }
    assert!(!ask(&engine, &of(10), 0).over);
}

#[test]
fn what_is_charged_after_the_fact_counts_beyond_the_limit() {
    let engine = engine(|d| {
        d.add("tokens", "", leaf(limit("d.tokens", 100))).unwrap();
        d.add("other", "", leaf(limit("d.other", 100))).unwrap();
        d.add("door", "", leaf(limit("d.door", 1))).unwrap();
    });
    let of = |hits| [Asked { hits, ..one(&[("tokens", "v")]) }];
    assert!(!ask(&engine, &of(0), 0).over);
    // It does not fit, and is told so; that it happened counts.
    assert!(ask(&engine, &of(5000), 0).over);
    assert!(ask(&engine, &of(0), 0).over);
    assert!(ask(&engine, &of(0), 59).over);
    // However much it was, it is forgiven after two periods at the most.
    assert!(!ask(&engine, &of(0), 61).over);
    assert!(ask(&engine, &of(u32::MAX), 200).over);
    assert!(!ask(&engine, &of(0), 200 + 61).over);
    // Whoever hammers at it pays nothing beyond its end: it denies as a limit does.
    let begun = 1000;
    assert!(!ask(&engine, &of(100), begun).over);
    for _ in 0..1000 {
        assert!(ask(&engine, &of(1), begun).over);
    }
    assert!(!ask(&engine, &of(98), begun + 60).over);
    // What happened is charged to all of them; a call that is refused at the door to none.
    let peeked =
        [Asked { hits: 0, ..one(&[("tokens", "w")]) }, Asked { hits: 0, ..one(&[("other", "w")]) }];
    assert!(!ask(&engine, &peeked, 0).over);
    let both =
        [("tokens", 300), ("other", 10)].map(|(key, hits)| Asked { hits, ..one(&[(key, "w")]) });
    assert!(ask(&engine, &both, 0).over);
    let other = ask(&engine, &[Asked { hits: 0, ..one(&[("other", "w")]) }], 0);
    assert_eq!(other.statuses[0].remaining, 90);
    assert!(!ask(&engine, &[one(&[("door", "w")])], 0).over);
    let refused = [one(&[("door", "w")]), Asked { hits: 50, ..one(&[("other", "w")]) }];
    assert!(ask(&engine, &refused, 0).over);
    let other = ask(&engine, &[Asked { hits: 0, ..one(&[("other", "w")]) }], 0);
    assert_eq!(other.statuses[0].remaining, 90);
}

#[test]
fn a_peek_takes_no_limit_out_of_force() {
    let engine = engine(|d| {
        d.add("k", "", leaf(limit("d.k", 3))).unwrap();
        d.add("banned", "", leaf(limit("d.banned", 0))).unwrap();
    });
    for key in ["k", "banned"] {
        ask(&engine, &[Asked { hits: 0, ..one(&[(key, "x")]) }], 0);
    }
    let admitted = (0..50).filter(|_| !ask(&engine, &[one(&[("k", "v")])], 0).over).count();
    assert_eq!(admitted, 3);
    assert!(ask(&engine, &[one(&[("banned", "v")])], 0).over);
}

#[test]
fn cells_are_given_back() {
    let engine = engine(|d| d.add("k", "", leaf(limit("d.k", 3))).unwrap());
    let of = |hits, back| [Asked { hits, back, ..one(&[("k", "v")]) }];
    assert!(!ask(&engine, &of(3, false), 0).over);
    assert!(!ask(&engine, &of(2, true), 0).over);
    assert_eq!(ask(&engine, &of(1, false), 0).statuses[0].remaining, 1);
    assert!(!ask(&engine, &of(100, true), 0).over);
    assert!(ask(&engine, &of(4, false), 0).over);
}

#[test]
fn a_shadow_limit_is_counted_and_never_denies() {
    let engine = engine(|d| {
        d.add("k", "", leaf(DescriptorLimit { shadow: true, ..limit("d.k", 2) })).unwrap();
    });
    for _ in 0..5 {
        let verdict = ask(&engine, &[one(&[("k", "v")])], 0);
        assert!(!verdict.over && !verdict.statuses[0].over);
    }
    let expected = [
        ("total_hits", 5),
        ("within_limit", 2),
        ("near_limit", 1),
        ("over_limit", 3),
        ("shadow_mode", 3),
    ];
    assert_eq!(counts(&engine, "d.k"), expected);
}

#[test]
fn in_shadow_mode_everything_passes_and_is_told() {
    let policy = Policy { mode: Mode::Shadow, ..Policy::new() };
    let engine = engine_of(policy, |d| d.add("k", "", leaf(limit("d.k", 1))).unwrap());
    ask(&engine, &[one(&[("k", "v")])], 0);
    let verdict = ask(&engine, &[one(&[("k", "v")])], 0);
    assert_eq!((verdict.over, verdict.shadow, verdict.statuses[0].over), (false, true, true));
}

#[test]
fn near_a_limit_is_beyond_four_fifths_of_it() {
    let engine = engine(|d| d.add("k", "", leaf(limit("d.k", 10))).unwrap());
    for _ in 0..12 {
        ask(&engine, &[one(&[("k", "v")])], 0);
    }
    let expected = [("total_hits", 12), ("within_limit", 10), ("near_limit", 2), ("over_limit", 2)];
    assert_eq!(counts(&engine, "d.k"), expected);
    // Of hits that come together those beyond the mark.
    ask(&engine, &[Asked { hits: 10, ..one(&[("k", "w")]) }], 0);
    assert_eq!(counts(&engine, "d.k")[2], ("near_limit", 4));
}

#[test]
fn in_quota_mode_the_last_of_them_denies() {
    let engine = engine(|d| {
        for (value, cells) in [("a", 1), ("b", 2)] {
            let limit =
                DescriptorLimit { quota_mode: true, ..limit(&format!("d.s_{value}"), cells) };
            d.add("s", value, leaf(limit)).unwrap();
        }
    });
    let both = [one(&[("s", "a")]), one(&[("s", "b")])];
    let answers: Vec<_> = (0..4)
        .map(|_| {
            let verdict = ask(&engine, &both, 0);
            (verdict.over, verdict.statuses[0].over, verdict.statuses[1].over)
        })
        .collect();
    let last = (true, true, true);
    assert_eq!(answers, [(false, false, false), (false, true, false), last, last]);
}

#[test]
fn in_quota_mode_a_peek_leaves_the_last_of_them_to_deny() {
    let engine = engine(|d| {
        for (value, cells) in [("a", 10), ("b", 100)] {
            let limit =
                DescriptorLimit { quota_mode: true, ..limit(&format!("d.s_{value}"), cells) };
            d.add("s", value, leaf(limit)).unwrap();
        }
    });
    let both = |hits| [("s", "a"), ("s", "b")].map(|pair| Asked { hits, ..one(&[pair]) });
    assert!(!ask(&engine, &both(0), 0).over);
    // What has happened counts beyond the end of the first, and the second has room.
    let charged = ask(&engine, &both(30), 0);
    assert_eq!((charged.over, charged.statuses[0].over), (false, true));
    let peeked = ask(&engine, &both(0), 0);
    assert_eq!(
        (peeked.over, peeked.statuses[0].over, peeked.statuses[1].remaining),
        (false, true, 70)
    );
}

#[test]
fn what_is_given_back_is_given_back_with_the_rest_or_not_at_all() {
    let engine = engine(|d| {
        d.add("k", "", leaf(limit("d.k", 3))).unwrap();
        d.add("door", "", leaf(limit("d.door", 0))).unwrap();
    });
    assert!(!ask(&engine, &[Asked { hits: 3, ..one(&[("k", "v")]) }], 0).over);
    let back = Asked { back: true, ..one(&[("k", "v")]) };
    assert!(ask(&engine, &[one(&[("door", "v")]), back.clone()], 0).over);
    assert!(ask(&engine, &[one(&[("k", "v")])], 0).over, "nothing was given back");
    // Given back and taken in one call is neither.
    assert!(!ask(&engine, &[back.clone(), one(&[("k", "v")])], 0).over);
    assert!(ask(&engine, &[one(&[("k", "v")])], 0).over);
    assert!(!ask(&engine, &[one(&[("k", "v")]), back], 0).over);
}

#[test]
fn a_limit_that_replaces_another_leaves_it_alone() {
    let engine = engine(|d| {
        let general = DescriptorLimit { name: "general".into(), ..limit("d.read", 2) };
        let special = DescriptorLimit { replaces: vec!["general".into()], ..limit("d.path", 5) };
        d.add("read", "", leaf(general)).unwrap();
        d.add("path", "", leaf(special)).unwrap();
    });
    let both = [one(&[("read", "v")]), one(&[("path", "v")])];
    for _ in 0..5 {
        let verdict = ask(&engine, &both, 0);
        assert!(!verdict.over);
        assert!(matches!(verdict.statuses[0].against, Against::Nothing));
    }
    assert!(ask(&engine, &both, 0).over);
    assert_eq!(ask(&engine, &[one(&[("read", "v")])], 0).statuses[0].remaining, 1);
}

#[test]
fn a_shared_pattern_has_one_count_and_another_one_each() {
    let engine = engine(|d| {
        d.add("own", "a*", leaf(limit("d.own_a*", 2))).unwrap();
        d.add("all", "a*", domains::Node { shared: true, ..leaf(limit("d.all_a*", 2)) }).unwrap();
    });
    for value in ["a1", "a2", "a3"] {
        assert!(!ask(&engine, &[one(&[("own", value)])], 0).over);
    }
    assert!(!ask(&engine, &[one(&[("all", "a1")])], 0).over);
    assert!(!ask(&engine, &[one(&[("all", "a2")])], 0).over);
    assert!(ask(&engine, &[one(&[("all", "a3")])], 0).over);
    assert!(!ask(&engine, &[one(&[("all", "b")])], 0).over);
}

#[test]
fn details_are_told_by_value_and_bounded() {
    let engine = engine(|d| {
        d.add("k", "", leaf(DescriptorLimit { detailed: true, ..limit("d.k", 2) })).unwrap();
    });
    ask(&engine, &[one(&[("k", "red")])], 0);
    assert_eq!(counts(&engine, "d.k_red"), [("total_hits", 1), ("within_limit", 1)]);
    for n in 0..5000 {
        ask(&engine, &[one(&[("k", &n.to_string())])], 0);
    }
    let all = engine.policy().domains.counts();
    assert!(all.len() <= 1001, "{}", all.len());
    assert_eq!(all.iter().map(|(_, counts)| counts[0]).sum::<u64>(), 5001);
}

#[test]
fn counts_and_debts_survive_a_reload() {
    let policy = |cells| {
        let mut policy = Policy::new();
        policy.domains.domain("d").add("k", "", leaf(limit("d.k", cells))).unwrap();
        policy
    };
    let engine = Engine::new(policy(5), Setup { capacity: 1000, ..Setup::default() });
    for _ in 0..3 {
        ask(&engine, &[one(&[("k", "v")])], 0);
    }
    engine.reload(policy(4));
    assert_eq!(ask(&engine, &[one(&[("k", "v")])], 0).statuses[0].remaining, 0);
    assert_eq!(counts(&engine, "d.k")[0], ("total_hits", 4));
}

/// A request that somebody sent, and what came of it.
fn seen(engine: &Engine, address: &str, path: &str, user_agent: &str, status: u16, millis: u64) {
    let time = at(0).plus(Duration::from_millis(millis));
    let addr = Some(address.parse().unwrap());
    let request = Request { time, addr, path, user_agent, ..Request::default() };
    let decision = engine.check(&request);
    let outcome = Outcome { status, bytes: 900, duration: Some(Duration::from_millis(5)) };
    engine.outcome(&decision.ticket, &outcome, time);
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Five minutes of a site: visitors, one of whom comes all the time, and in the last three seconds
/// somebody who asks for what is not there.
fn play(engine: &Engine, regular: &str, scanner: &str) {
    for n in 0..300u64 {
        let visitor = format!("198.18.0.{}", n % 40);
        seen(engine, &visitor, ["/", "/a", "/b", "/c"][n as usize % 4], BROWSER, 200, n * 1000);
        if n % 11 < 3 {
            let path = ["/a", "/style.css", "/logo.png"][n as usize % 11];
            seen(engine, regular, path, BROWSER, 200, n * 1000 + 137 * (n % 7));
        }
    }
    for n in 0..60u64 {
        let path = format!("/old/backup{n}.php");
        seen(engine, scanner, &path, "python-requests/2.31", 404, 297_000 + n * 50);
    }
}

#[test]
fn models_move_a_limit_between_its_rails_and_no_further() {
    let rails = |floor| Rails::new(per_minute(20), floor, 200);
    let mut policy = Policy::new();
    policy.adaptive.proven_after = 50;
    for (key, floor) in [("remote_address", 2), ("closed", 0)] {
        let limit = DescriptorLimit { rails: rails(floor), ..limit(&format!("d.{key}"), 20) };
        policy.domains.domain("d").add(key, "", leaf(limit)).unwrap();
    }
    let mut host = domains::Node::default();
    let behind = DescriptorLimit { rails: rails(0), ..limit("d.host.remote_address", 20) };
    host.next.add("remote_address", "", leaf(behind)).unwrap();
    policy.domains.domain("d").add("host", "", host).unwrap();
    // Whoever gets more errors than others is bad: rails are tested here, not judgement.
    let split = Node::Split {
        feature: index::ERROR_EXCESS,
        threshold: 0.25,
        left: 1,
        right: 2,
        value: 0.0,
    };
    let tree = vec![split, Node::Leaf(-4.0), Node::Leaf(4.0)];
    let model = Trees::new(0.0, &[tree], Calibration::default()).unwrap();
    let model = Some(AnyModel::Trees(model));
    let engine = Engine::new(policy, Setup { capacity: 1000, model, ..Setup::default() });
    let admitted = |key: &str, address: &str, seconds: u64| {
        (0..400).filter(|_| !ask(&engine, &[one(&[(key, address)])], seconds).over).count()
    };
    play(&engine, "198.51.100.8", "203.0.113.9");
    // Of whom nothing is known, the configured limit holds.
    assert_eq!(admitted("remote_address", "198.51.100.7", 300), 20);
    let verdict = ask(&engine, &[one(&[("remote_address", "203.0.113.9")])], 300);
    assert_eq!(verdict.statuses[0].action, Some(Action::Block));
    assert_eq!(admitted("remote_address", "203.0.113.9", 300), 1, "a floor of 2, one used");
    assert_eq!(admitted("closed", "203.0.113.9", 300), 0);
    // A client that names somebody else in a value of its own is still the one that Envoy saw.
    let disguised = one(&[("host", "198.51.100.8"), ("remote_address", "203.0.113.9")]);
    assert!(ask(&engine, &[disguised], 300).over);
    // A block ends by the clock, without a request that the models saw.
    assert!(admitted("closed", "203.0.113.9", 700) >= 1);
    // Whoever has a record has more, and never more than the ceiling.
    let grown = admitted("remote_address", "198.51.100.8", 300);
    assert!((60..=200).contains(&grown), "{grown}");
}
