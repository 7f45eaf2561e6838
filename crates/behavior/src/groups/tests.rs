//! What groups promise: decay, what is usual, cohorts, suspicion, bounds.

use super::*;
use crate::habits::Adds;

fn request(route: RouteId, previous: RouteId, agent: u64) -> Note {
    Note::Request {
        route,
        previous,
        agent,
        newcomer: false,
        arrival: false,
        asset: false,
        named: true,
        referred: true,
        surprise: (1.0, 1.0),
        weight: 1.0,
        pace: 0.0,
        depth: 1.0,
        turn: None,
        keyed: false,
        judged: None,
        doubt: 0.0,
    }
}

/// A request for a route of somebody whose so manyth it is.
fn turn_of(route: RouteId, times: u16) -> Note {
    let mut note = request(route, 0, 9);
    if let Note::Request { turn, .. } = &mut note {
        let adds = match times {
            1 => Adds::Nothing,
            2 => Adds::Client,
            _ => Adds::Time,
        };
        *turn = Some(Turn { times, adds });
    }
    note
}

fn outcome(route: RouteId, status: u16) -> Note {
    Note::Outcome { route, status, weight: 1.0, latency: Some(3.0) }
}

#[test]
fn rates_decay_and_ratios_stay() {
    let groups = Groups::default();
    let start = 1_000;
    for i in 0..640u64 {
        let now = Timestamp::from_nanos(Timestamp::from_secs(start).as_nanos() + i * 100_000_000);
        groups.note(now, request(3, 1, 9));
        groups.note(now, outcome(3, if i % 4 == 0 { 404 } else { 200 }));
    }
    let now = Timestamp::from_secs(start + 64);
    let view = groups.route(3, now);
    assert!((300.0..640.0).contains(&view.minute), "{view:?}");
    assert!((view.ratios.missing - 0.25).abs() < 0.05, "{view:?}");
    assert!((view.latency.unwrap() - 3.0).abs() < 0.01);
    let later = groups.route(3, Timestamp::from_secs(start + 664));
    assert!(later.minute < 0.1 && later.hour > 400.0, "{later:?}");
    assert!((later.ratios.missing - view.ratios.missing).abs() < 1e-3);
    assert!(groups.agent(9, now).minute > 300.0);
    assert!(groups.agent(10, now).minute == 0.0);
}

#[test]
fn an_attack_does_not_become_usual_while_it_lasts() {
    let groups = Groups::default();
    // Ten minutes at one request a second, and half a minute at two hundred.
    let mut now = Timestamp::from_secs(1_000);
    for _ in 0..600 {
        now = now.plus(std::time::Duration::from_secs(1));
        groups.note(now, request(3, 1, 9));
    }
    let calm = groups.site(now);
    let usual = |site: &SiteView| {
        let GroupView { minute, ten_minutes, hour, .. } = site.group;
        site.span.usual(minute, ten_minutes, hour)
    };
    assert!((usual(&calm) / 60.0 - 1.0).abs() < 0.1, "{}", usual(&calm));
    assert!((calm.group.ten_seconds - 10.0).abs() < 1.5, "{calm:?}");
    for _ in 0..6_000 {
        now = now.plus(std::time::Duration::from_millis(5));
        groups.note(now, request(3, 1, 9));
    }
    let rush = groups.site(now);
    assert!(rush.group.minute > 4_000.0 && rush.group.ten_seconds > 1_500.0, "{rush:?}");
    assert!(usual(&rush) < 180.0, "{}", usual(&rush));
    // A site met with the attack under way knows no better.
    let young = Groups::default();
    for i in 0..6_000u64 {
        young.note(now.plus(std::time::Duration::from_millis(5 * i)), request(3, 1, 9));
    }
    let young = young.site(now.plus(std::time::Duration::from_secs(30)));
    assert!(usual(&young) > 0.5 * young.group.minute, "{young:?}");
}

#[test]
fn a_cohort_is_told_from_its_fingerprint_and_its_route() {
    let groups = Groups::default();
    let now = Timestamp::from_secs(5_000);
    for _ in 0..320 {
        groups.note(now, request(3, 1, 9));
        groups.note(now, outcome(3, 200));
    }
    assert!(groups.cohort(9, 3, now).minute > 300.0);
    assert_eq!(groups.cohort(9, 4, now).minute, 0.0);
    assert_eq!(groups.cohort(10, 3, now).minute, 0.0);
    let later = groups.cohort(9, 3, Timestamp::from_secs(5_600));
    assert!(later.minute < 0.1 && later.hour > 200.0, "{later:?}");
}

#[test]
fn those_who_come_like_suspects_are_suspected_and_others_are_not() {
    let groups = Groups::default();
    let now = Timestamp::from_secs(5_000);
    let judge = |agent: u64, entry: RouteId, score: f32, times: usize| {
        for _ in 0..times {
            let mut note = request(entry, 0, agent);
            if let Note::Request { judged, .. } = &mut note {
                *judged = Some((entry, score));
            }
            groups.note(now, note);
        }
    };
    judge(9, 3, 0.9, 320);
    judge(7, 4, 0.9, 64);
    judge(8, 4, 0.05, 256);
    let suspicion = |agent, entry| groups.suspicion(agent, entry, now);
    assert!(suspicion(9, 3) > 0.8, "{}", suspicion(9, 3));
    // Whoever comes the same way with another fingerprint is in the same crowd.
    assert!(suspicion(10, 3) > 0.8);
    assert_eq!(suspicion(9, 5), 0.0);
    // On a route that most use well, only those who look alike are suspected.
    assert!(suspicion(7, 4) > 0.6 && suspicion(8, 4) < 0.3, "{}", suspicion(8, 4));
    let later = groups.suspicion(9, 3, Timestamp::from_secs(5_000 + 3_600));
    assert!(later < 0.2, "{later}");
    // A handful proves nothing.
    judge(11, 6, 1.0, 32);
    assert!(groups.suspicion(11, 6, now) < 0.8);
}

#[test]
fn what_is_thought_of_a_route_is_of_others_lately_and_passes() {
    let groups = Groups::default();
    let now = Timestamp::from_secs(5_000);
    for n in 0..320 {
        let mut note = request(3, 0, 9);
        if let Note::Request { doubt, .. } = &mut note {
            *doubt = if n % 2 == 0 { 0.8 } else { 0.0 };
        }
        groups.note(now, note);
    }
    let doubt = |seconds, own, risk| {
        let now = Timestamp::from_secs(seconds);
        groups.visits(3, now).doubt_about_others(own, risk)
    };
    assert!((doubt(5_000, 0.0, 0.0) - 0.4).abs() < 0.01);
    // Who was most of them is left out, with what it is thought to be.
    assert!(doubt(5_000, 160.0, 0.8) < USUAL_DOUBT);
    assert!((doubt(5_000, 80.0, 0.0) - 0.53).abs() < 0.02);
    assert!((doubt(5_000, 1e6, 1.0) - USUAL_DOUBT).abs() < 1e-6);
    assert!((doubt(5_900, 0.0, 0.0) - USUAL_DOUBT).abs() < 1e-3);
}

#[test]
fn what_is_usual_stays_what_it_was_while_nobody_asks() {
    let groups = Groups::default();
    let mut now = Timestamp::from_secs(5_000);
    for n in 0..9_600 {
        now = now.plus(std::time::Duration::from_millis(250));
        let mut note = request(3, 0, 9);
        if let Note::Request { doubt, .. } = &mut note {
            *doubt = if n % 10 == 0 { 0.8 } else { 0.0 };
        }
        groups.note(now, note);
    }
    let usual = |hours: u64| {
        let later = now.plus(std::time::Duration::from_secs(hours * 3_600));
        groups.site(later).usual_doubt()
    };
    assert!((usual(0) - 0.08).abs() < 0.005, "{}", usual(0));
    assert!((usual(3) - 0.08).abs() < 0.005, "{}", usual(3));
    // And is forgotten like everything else.
    assert!((usual(24) - USUAL_DOUBT).abs() < 1e-3);
}

#[test]
fn who_begins_where_others_go_on_changes_the_depth_of_a_route() {
    let groups = Groups::default();
    let mut now = Timestamp::from_secs(5_000);
    let mut ask = |depth_of: f32, is_asset: bool, times: u64| {
        for _ in 0..times {
            now = now.plus(std::time::Duration::from_millis(250));
            let mut note = request(3, 1, 9);
            if let Note::Request { depth, asset, .. } = &mut note {
                (*depth, *asset) = (depth_of, is_asset);
            }
            groups.note(now, note);
        }
        now
    };
    let before = ask(3.0, true, 2_400);
    assert!(groups.visits(3, before).rise().abs() < 0.01);
    let after = ask(0.7, false, 480);
    let rise = groups.visits(3, after).rise();
    assert!(rise < -1.2, "{rise}");
    assert_eq!(groups.agent(10, after).minute, 0.0);
}

#[test]
fn errors_that_begin_show_as_a_rise() {
    let groups = Groups::default();
    for i in 0..600u64 {
        let status = if i < 540 || i % 2 == 0 { 200 } else { 401 };
        groups.note(Timestamp::from_secs(1_000 + i), outcome(3, status));
    }
    let now = Timestamp::from_secs(1_600);
    assert!(groups.route(3, now).error_rise > 0.15, "{:?}", groups.route(3, now));
    assert_eq!(groups.route(4, now).error_rise, 0.0);
}

#[test]
fn a_usual_step_surprises_less_than_a_rare_one() {
    let groups = Groups::default();
    let now = Timestamp::from_secs(5);
    for i in 0..3_200u64 {
        let (from, to) = if i % 2 == 0 { (1, 2) } else { (2, 1) };
        groups.note(now, request(to, from, i % 7));
    }
    let site = groups.site(now);
    let usual = groups.surprise(2, 1, &site, &groups.route(2, now));
    let rare = groups.surprise(5, 1, &site, &groups.route(5, now));
    assert!(usual.0 < 1.5 && usual.1 < 0.3, "{usual:?}");
    assert!(rare.0 > 8.0 && rare.1 > 8.0, "{rare:?}");
}

#[test]
fn fingerprints_are_bounded_and_the_common_one_stays() {
    let groups = Groups::default();
    let now = Timestamp::from_secs(5);
    for i in 0..100_000u64 {
        groups.note(now, request(1, 0, crate::mix(i, 77)));
        groups.note(now, request(1, 0, 0x1234_5678_9abc_def0));
    }
    assert!(groups.agent(0x1234_5678_9abc_def0, now).hour > 90_000.0);
}

#[test]
fn how_often_clients_ask_is_told_by_most_of_them_and_not_by_the_one_who_asks_most() {
    let groups = Groups::default();
    let mut now = Timestamp::from_secs(1_000);
    let mut note = |note| {
        now = now.plus(std::time::Duration::from_millis(200));
        groups.note(now, note);
    };
    for _ in 0..50 {
        (1..=3).for_each(|times| note(turn_of(3, times)));
        (1..=40).for_each(|times| note(turn_of(4, times)));
    }
    (1..=2000).for_each(|times| note(turn_of(3, times)));
    let usual =
        |route, later| groups.turns(route, now.plus(std::time::Duration::from_secs(later))).mean;
    assert!((usual(3, 1) - 4f32.ln()).abs() < 0.15, "{}", usual(3, 1));
    assert!((usual(4, 1) - 41f32.ln()).abs() < 0.3, "{}", usual(4, 1));
    assert!((usual(4, 36_000) - 3f32.ln()).abs() < 0.1, "it is forgotten");
    assert!((usual(5, 1) - 3f32.ln()).abs() < 0.1, "nothing is known of another");
}

#[test]
fn a_credential_is_usual_where_others_send_one() {
    let groups = Groups::default();
    let now = Timestamp::from_secs(1_000);
    let with = |route, keyed_| {
        let mut note = request(route, 0, 9);
        if let Note::Request { keyed, .. } = &mut note {
            *keyed = keyed_;
        }
        groups.note(now, note);
    };
    for n in 0..400 {
        with(3, true);
        with(4, n % 10 == 0);
    }
    // Notes are folded in batches, and when they are old.
    for later in [0, 1] {
        groups.note(now.plus(std::time::Duration::from_secs(later)), request(5, 0, 9));
    }
    assert!(groups.keyed(3) > 0.95, "{}", groups.keyed(3));
    assert!((0.05..0.15).contains(&groups.keyed(4)), "{}", groups.keyed(4));
    // Of a route that is new it is what it is of the site.
    assert!((0.4..0.6).contains(&groups.keyed(5)), "{}", groups.keyed(5));
}
