//! What the engine thinks of one client, request by request.

use super::*;

#[test]
fn a_suspected_group_needs_less_evidence_of_its_own() {
    let policy = Adaptive::default();
    let after_one = |score: f32, suspicion: f32, good: u16| {
        let mut standing = Standing { good, ..Standing::default() };
        let evidence = Evidence { suspicion, ..Evidence::alone(score, 1.0, 0.0) };
        standing.update(evidence, Key(7), Timestamp::from_secs(1000), &policy);
        standing.action
    };
    assert_eq!(after_one(0.95, 0.0, 0), Action::Allow);
    assert_eq!(after_one(0.95, 0.9, 0), Action::Block);
    // Whoever looks harmless among them is, and so is who was there before.
    assert_eq!(after_one(0.3, 0.9, 0), Action::Allow);
    assert_eq!(after_one(0.95, 0.9, 30), Action::Allow);
}

#[test]
fn in_bad_company_a_block_begins_where_a_throttle_does() {
    let policy = Adaptive::default();
    let after = |score: f32, company: f32| {
        let mut standing = Standing::default();
        for _ in 0..20 {
            let evidence = Evidence { company, ..Evidence::alone(score, 1.0, 0.0) };
            standing.update(evidence, Key(7), Timestamp::from_secs(1000), &policy);
        }
        standing.action
    };
    assert_eq!(after(0.65, 1.0), Action::Throttle);
    assert_eq!(after(0.65, 20.0), Action::Block);
    // Halfway it begins halfway.
    assert_eq!(after(0.6, 4.5), Action::Throttle);
    assert_eq!(after(0.7, 4.5), Action::Block);
    // Nobody is blocked below, nor by what was before.
    assert_eq!(after(0.45, 20.0), Action::Allow);
    let mut standing = Standing { risk: 0.75, ..Standing::default() };
    let evidence = Evidence { company: 20.0, ..Evidence::alone(0.2, 0.0, 0.0) };
    standing.update(evidence, Key(7), Timestamp::from_secs(1000), &policy);
    assert_eq!(standing.action, Action::Throttle);
}

fn run(standing: &mut Standing, score: f32, times: u32, policy: &Adaptive) {
    for i in 0..times {
        let now = Timestamp::from_secs(1000 + u64::from(i));
        standing.update(Evidence::alone(score, 0.1, 1.0), Key(7), now, policy);
        standing.quota(policy, &Ladder::new(&policy.tiers), 1.0);
    }
}

#[test]
fn one_odd_request_condemns_nobody_and_ten_do() {
    let policy = Adaptive::default();
    let mut standing = Standing::default();
    run(&mut standing, 1.0, 1, &policy);
    assert_eq!(standing.action, Action::Allow);
    run(&mut standing, 1.0, 9, &policy);
    assert_eq!(standing.action, Action::Block);
    assert!(standing.quota(&policy, &Ladder::new(&policy.tiers), 1.0).is_none());
}

#[test]
fn a_proven_client_is_judged_by_the_clock() {
    let policy = Adaptive::default();
    let after = |record: u16, trust: f32, requests: u16, gap: f32| {
        let mut standing = Standing { good: record, ..Standing::default() };
        for _ in 0..requests {
            let now = Timestamp::from_secs(1000);
            standing.update(Evidence::alone(1.0, gap, trust), Key(7), now, &policy);
        }
        standing.action
    };
    // A hundred requests a second for a fifth of a second, and for half a minute.
    assert_eq!(after(10_000, 1.0, 20, 0.01), Action::Allow);
    assert_eq!(after(10_000, 1.0, 3000, 0.01), Action::Block);
    // Without a record, or with one made too quickly, requests count; so do they a second apart.
    assert_eq!(after(0, 1.0, 20, 0.01), Action::Block);
    assert_eq!(after(10_000, 0.02, 20, 0.0), Action::Block);
    assert_eq!(after(10_000, 1.0, 30, 1.0), Action::Block);
}

#[test]
fn a_good_record_raises_and_is_lost_more_quickly_than_won() {
    let policy = Adaptive::default();
    let mut standing = Standing::default();
    run(&mut standing, 0.01, 400, &policy);
    assert_eq!(standing.action, Action::Raise);
    let before = standing.good;
    run(&mut standing, 0.6, 60, &policy);
    assert!(standing.good < before - 100, "{} {}", before, standing.good);
}

#[test]
fn a_block_ends_and_a_mistake_heals() {
    let policy = Adaptive::default();
    let mut standing = Standing::default();
    run(&mut standing, 1.0, 10, &policy);
    let start = 1009;
    assert!(standing.blocked_for(Timestamp::from_secs(start)) > 200);
    standing.update(
        Evidence::alone(0.05, 400.0, 1.0),
        Key(7),
        Timestamp::from_secs(start + 400),
        &policy,
    );
    assert_ne!(standing.action, Action::Block, "{standing:?}");
    standing.update(
        Evidence::alone(0.05, 600.0, 1.0),
        Key(7),
        Timestamp::from_secs(start + 1000),
        &policy,
    );
    standing.quota(&policy, &Ladder::new(&policy.tiers), 1.0);
    assert_eq!(standing.action, Action::Allow);
    assert!(!standing.probation);
}

#[test]
fn who_goes_on_slowly_is_not_forgiven_in_between() {
    let policy = Adaptive::default();
    let actions = |score: f32, gap: u16, requests: u64| -> Vec<Action> {
        let mut standing = Standing::default();
        let mut act = |i| {
            let now = Timestamp::from_secs(1000 + i * u64::from(gap));
            standing.update(Evidence::alone(score, f32::from(gap), 1.0), Key(7), now, &policy);
            standing.action
        };
        (0..requests).map(&mut act).collect()
    };
    let block_for = policy.block_for.as_secs();
    for gap in [1, 20, 60, 120] {
        let actions = actions(0.95, gap, 610);
        assert_eq!(actions[0], Action::Allow, "every {gap} s");
        // One request for each time that a block lasts, and what came before the first.
        let passed = actions.iter().filter(|action| **action != Action::Block).count() as u64;
        assert!(passed <= 5 + 610 * u64::from(gap) / block_for, "every {gap} s: {passed}");
    }
    // Long pauses heal, and where it is less certain shorter ones do as well.
    let last = |score, gap| actions(score, gap, 10)[9];
    assert_eq!(last(0.95, 1200), Action::Allow);
    assert_eq!(last(0.6, 1), Action::Throttle);
    assert_eq!(last(0.6, 120), Action::Allow);
}

#[test]
fn a_block_ends_early_when_what_caused_it_has_passed() {
    let policy = Adaptive::default();
    let mut standing = Standing::default();
    run(&mut standing, 1.0, 10, &policy);
    assert_eq!(standing.action, Action::Block);
    // Asked again and again, with nothing to be said against it any more.
    let mut asked = 0;
    while standing.action == Action::Block && asked < 100 {
        standing.update(
            Evidence::alone(0.0, 1.0, 1.0),
            Key(7),
            Timestamp::from_secs(1010 + asked),
            &policy,
        );
        asked += 1;
    }
    assert!((4..20).contains(&asked), "{asked}");
    assert_eq!(standing.blocked_for(Timestamp::from_secs(1010 + asked)), 0);
    // Nor does a score of 1 now and then let it go.
    run(&mut standing, 1.0, 10, &policy);
    for i in 0..30 {
        let score = if i % 3 == 0 { 1.0 } else { 0.3 };
        standing.update(
            Evidence::alone(score, 1.0, 1.0),
            Key(7),
            Timestamp::from_secs(1110 + i),
            &policy,
        );
    }
    assert_eq!(standing.action, Action::Block);
}

#[test]
fn inside_a_band_the_edge_is_lower() {
    let policy = Adaptive::default();
    let fresh = |risk, action| {
        let mut s = Standing { risk, action, ..Standing::default() };
        s.update(Evidence::alone(risk, 0.0, 1.0), Key(1), Timestamp::from_secs(5000), &policy);
        s.action
    };
    assert_eq!(fresh(0.45, Action::Allow), Action::Allow);
    assert_eq!(fresh(0.45, Action::Throttle), Action::Throttle);
}

#[test]
fn an_anomaly_of_the_site_tightens_and_lifts_nobody() {
    let policy = Adaptive::default();
    let ladder = Ladder::new(&policy.tiers);
    let new = &policy.tiers.new;
    assert!(ladder.degraded.cells_per_second() < new.cells_per_second() / 5.0);
    assert!(ladder.degraded.cells_per_second() > policy.tiers.throttled.cells_per_second() * 5.0);
    let mut standing = Standing::default();
    let Limited::To(quota) = standing.degrade(Limited::To(new), &ladder) else { panic!() };
    assert_eq!((quota, standing.action), (&ladder.degraded, Action::Degrade));
    // Who has less already for what is thought of it keeps that.
    let narrow = &ladder.throttled;
    let mut held = Standing::default();
    let Limited::To(quota) = held.degrade(Limited::To(narrow), &ladder) else { panic!() };
    assert_eq!((quota, held.action), (narrow, Action::Allow));
    // It is no penalty, and good requests go on counting.
    assert!(standing.penalty(Timestamp::from_secs(1)).is_none());
    run(&mut standing, 0.0, 5, &policy);
    assert_eq!(standing.good, 5);
    for action in [Action::Throttle, Action::Block] {
        let mut standing = Standing { action, ..Standing::default() };
        let limit = Limited::Closed(std::time::Duration::ZERO);
        assert!(matches!(standing.degrade(limit, &ladder), Limited::Closed(_)));
        assert_eq!(standing.action, action);
    }
}

#[test]
fn a_record_of_seconds_raises_nothing() {
    let policy = Adaptive::default();
    let ladder = Ladder::new(&policy.tiers);
    let mut standing = Standing::default();
    run(&mut standing, 0.0, 1000, &policy);
    assert_eq!(standing.quota(&policy, &ladder, 0.0), Some(&policy.tiers.new));
    assert_eq!(standing.quota(&policy, &ladder, 1.0), Some(&policy.tiers.trusted));
}

#[test]
fn jitter_differs_by_client_and_epoch_and_stays_in_bounds() {
    let at = |client, secs| jitter(Key(client), Timestamp::from_secs(secs));
    assert!((at(1, 0) - at(2, 0)).abs() > 1e-6 || (at(3, 0) - at(2, 0)).abs() > 1e-6);
    assert!((at(1, 0) - at(1, 2 * EPOCH)).abs() > 1e-6);
    assert!((0..1000).all(|i| (-1.0..=1.0).contains(&at(i, i))));
}

#[test]
fn a_delayed_penalty_begins_within_its_bound_and_not_at_the_same_request_for_all() {
    let policy = Adaptive { delay: 8, ..Adaptive::default() };
    let begins = |client: u64, policy: &Adaptive| {
        let mut standing = Standing::default();
        (1..100u32).find(|i| {
            let now = Timestamp::from_secs(1000);
            standing.update(Evidence::alone(1.0, 0.01, 0.0), Key(client), now, policy);
            assert!(*i < 40, "never");
            standing.action != Action::Allow
        })
    };
    let at_once = begins(7, &Adaptive::default()).unwrap();
    let begun: Vec<u32> = (0..200).map(|client| begins(client, &policy).unwrap()).collect();
    assert!(begun.iter().all(|n| (at_once..=at_once + 8).contains(n)), "{begun:?}");
    let different: std::collections::BTreeSet<_> = begun.iter().collect();
    assert_eq!(different.len(), 9, "{different:?}");
    assert_eq!(begins(3, &policy), begins(3, &policy));
}

#[test]
fn a_penalty_survives() {
    let policy = Adaptive::default();
    let mut standing = Standing::default();
    run(&mut standing, 1.0, 10, &policy);
    let now = Timestamp::from_secs(1010);
    let (penalty, until) = standing.penalty(now).unwrap();
    assert!(until > now);
    let back = Standing::penalised(penalty);
    assert_eq!(back.action, Action::Block);
    assert_eq!(back.blocked_for(now), standing.blocked_for(now));
    assert!(Standing::default().penalty(now).is_none());
}
