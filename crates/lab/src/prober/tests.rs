//! What the prober promises.

use super::*;
use std::collections::BTreeSet;
use tidegate_engine::{Engine, Setup};

#[test]
fn offspring_stay_in_range_and_are_like_their_parents() {
    let mut dice = Dice::new(1, 0);
    let (one, other) = (Strategy::draw(&mut dice), Strategy::draw(&mut dice));
    for _ in 0..200 {
        let child = one.offspring(&other, &mut dice);
        assert!((0.02..=20.0).contains(&child.rate) && (3.0..=1000.0).contains(&child.life));
        assert!((0.0..=0.9).contains(&child.assets) && (1.0..=400.0).contains(&child.patience));
    }
}

#[test]
fn every_combination_of_measures_is_another_and_has_words() {
    let words: BTreeSet<String> = Hardening::ALL.iter().map(|h| h.words()).collect();
    assert_eq!(words.len(), Hardening::ALL.len());
    assert_eq!(Hardening::ALL[0].policy().adaptive.bands.jitter, 0.0);
    assert!(Hardening::ALL[4].policy().adaptive.bands.jitter > 0.0);
}

#[test]
fn without_a_limiter_to_fear_the_attacker_gets_what_it_asks_for_and_with_one_less() {
    let mut dice = Dice::new(2, 0);
    let mut strategy = Strategy::draw(&mut dice);
    strategy.rate = 20.0;
    strategy.unevenness = 0.1;
    (strategy.warm_up, strategy.assets) = (0.0, 0.0);
    (strategy.life, strategy.patience) = (1e6, 400.0);
    let passed = |model: Option<AnyModel>, seed: u64| {
        let traffic = generate(Scenario::Quiet, seed, 4);
        let ground = Ground::of(&traffic, Goal::Scrape)?;
        let setup = Setup { capacity: 1 << 14, model, ..Setup::default() };
        let engine = Engine::new(Policy::default(), setup);
        let mut attack = Attack::new(&engine, &traffic, &ground, false, 1);
        attack.wait(Duration::from_secs(120));
        let budget = Budget { at_once: 3, addresses: 3, requests: 4000 };
        let tally = attack.run(&strategy, Duration::from_secs(60), budget);
        assert_eq!(tally.requests, tally.passed + tally.denied);
        assert_eq!(tally.addresses, 3);
        assert!(attack.visitors().1 > 0);
        Some(tally)
    };
    // On some sites programs may do as much, so of one alone nothing follows.
    let model = Engine::default_model().expect("a model");
    let (mut all, mut less) = (0, 0);
    for seed in 1..=6 {
        let Some(free) = passed(None, seed) else { continue };
        assert!(free.passed > 600 && free.denied == 0, "{free:?}");
        let watched = passed(Some(model.clone()), seed).expect("the same ground");
        (all, less) = (all + free.passed, less + watched.passed);
    }
    assert!(all > 1200 && less * 5 < all * 4, "{less} of {all}");
}
