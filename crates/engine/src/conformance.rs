//! Every entry that the engine keeps in a store runs the store's one suite.

use crate::advice::Advice;
use crate::client::Client;
use crate::policy::Adaptive;
use crate::rules::RuleState;
use crate::standing::Evidence;
use crate::trial::Rival;
use tidegate_behavior::groups::Ratios;
use tidegate_behavior::network::Network;
use tidegate_limiter::conformance::{Subject, run};
use tidegate_limiter::{Cost, Key, Limit, Quota, Timestamp};

/// What a request of somebody alone says, half a second after the one before.
fn of(score: f32) -> Evidence {
    Evidence::alone(score, 0.5, 1.0)
}

/// Scores of requests half a second apart.
fn scored(client: &mut Client, score: f32, times: u32, now: Timestamp) {
    let policy = Adaptive::default();
    for _ in 0..times {
        client.bucket.check(&policy.tiers.new, Cost::ONE, now);
        let evidence = of(score);
        client.standing.update(evidence, Key(7), now, &policy);
    }
}

#[test]
fn a_client_conforms_when_it_is_blocked_and_when_it_is_throttled() {
    let touch = |client: &mut Client, now: Timestamp| scored(client, 0.1, 1, now);
    let view = |client: &Client, now: Timestamp| {
        let standing = &client.standing;
        let left = standing.blocked_for(now);
        (standing.action, standing.risk.to_bits(), left, standing.probation)
    };
    let blocked = |client: &mut Client, now: Timestamp| scored(client, 1.0, 20, now);
    let throttled = |client: &mut Client, now: Timestamp| scored(client, 0.65, 40, now);
    run(&Subject { touch, penalise: Some(blocked), view });
    run(&Subject { touch, penalise: Some(throttled), view });
}

#[test]
fn a_challengers_view_of_a_client_conforms() {
    fn score(rival: &mut Rival, score: f32, times: u32, now: Timestamp) {
        let policy = Adaptive::default();
        for _ in 0..times {
            let evidence = of(score);
            rival.standing.update(evidence, Key(7), now, &policy);
        }
    }
    let touch = |rival: &mut Rival, now: Timestamp| score(rival, 0.1, 1, now);
    let blocked = |rival: &mut Rival, now: Timestamp| score(rival, 1.0, 20, now);
    let view = |rival: &Rival, now: Timestamp| {
        let standing = &rival.standing;
        (standing.action, standing.risk.to_bits(), standing.blocked_for(now), standing.probation)
    };
    run(&Subject { touch, penalise: Some(blocked), view });
}

#[test]
fn advice_conforms() {
    let touch = |advice: &mut Advice, now: Timestamp| *advice = Advice { score: 0.5, about: now };
    // What is forgotten is asked for again: nothing must survive.
    run(&Subject { touch, penalise: None, view: |_, _| () });
}

#[test]
fn the_state_of_a_rule_conforms() {
    let touch = |rule: &mut RuleState, now: Timestamp| {
        let limit = Limit::TokenBucket(Quota::per_minute(std::num::NonZeroU32::MIN));
        rule.state.check(&limit, Cost::ONE, now);
    };
    run(&Subject { touch, penalise: None, view: |rule, _| rule.state.debt() });
}

#[test]
fn a_network_conforms() {
    let touch = |network: &mut Network, now: Timestamp| {
        network.observe(Key(7), now);
        network.learn(tidegate_behavior::Answer::Fine, Ratios::default(), now);
    };
    // What a client feels of its network are the numbers of the next request.
    let view = |network: &Network, now: Timestamp| {
        let seen = network.clone().observe(Key(7), now);
        [seen.rate, seen.clients, seen.error_excess].map(f32::to_bits)
    };
    run(&Subject { touch, penalise: None, view });
}
