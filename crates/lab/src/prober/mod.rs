//! An attacker who learns: it searches for the behaviour that gets the most past the limiter.
//!
//! The simulated families are open-loop: nobody in them reacts to a denial. This one is closed-loop.
//! It sees what the wire gives it (passed or denied, `Retry-After`, and the limit where an answer
//! tells it), has so many addresses and requests, and breeds strategies by an evolution strategy
//! (Rechenberg 1973; here the best third of a generation, crossed and mutated) over how quickly and
//! how evenly it asks, how much it loads around its pages, how long it uses an address and what it
//! does when denied. Then it uses the best one it found. What that gets past an hour, with each
//! hardening measure on and off, is what the measure is worth against somebody who learns.

mod attack;
mod strategy;

pub use attack::{Goal, Ground};
pub use strategy::Strategy;

use crate::limiter;
use crate::simulate::dice::Dice;
use crate::simulate::{Scenario, generate};
use attack::{Attack, Budget, Tally};
use serde::Serialize;
use std::time::Duration;
use tidegate_engine::Policy;
use tidegate_models::AnyModel;

/// Strategies tried in one generation, and how many of them have offspring.
const GENERATION: usize = 12;
const PARENTS: usize = 4;
const GENERATIONS: usize = 6;
/// How long one strategy is tried, how long visitors are alone before, and how long the best
/// strategy is used in the end, seconds.
const TRIAL: f64 = 45.0;
const QUIET: f64 = 600.0;
const USE: f64 = 900.0;
/// Addresses at a time, and new ones in a trial's time.
const AT_ONCE: usize = 10;
const FRESH: usize = 40;
/// Most requests in a trial.
const REQUESTS: usize = 4000;

/// Which measures hide the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hardening {
    /// Answers say nothing of the learned limit.
    pub constant_headers: bool,
    /// The edges of the bands move.
    pub jitter: bool,
    /// Penalties begin some requests after their reason.
    pub delay: bool,
}

impl Hardening {
    /// The combinations that are measured.
    pub const ALL: [Self; 5] = [
        Self { constant_headers: false, jitter: false, delay: false },
        Self { constant_headers: true, jitter: false, delay: false },
        Self { constant_headers: true, jitter: true, delay: false },
        Self { constant_headers: true, jitter: false, delay: true },
        Self { constant_headers: true, jitter: true, delay: true },
    ];

    /// What is on, in words.
    #[must_use]
    pub fn words(self) -> String {
        let parts = [
            (self.constant_headers, "constant headers"),
            (self.jitter, "jitter"),
            (self.delay, "delay"),
        ];
        let on: Vec<_> = parts.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        if on.is_empty() { "none".to_owned() } else { on.join(", ") }
    }

    fn policy(self) -> Policy {
        let mut policy = Policy::default();
        if !self.jitter {
            policy.adaptive.bands.jitter = 0.0;
        }
        policy.adaptive.delay = if self.delay { DELAY } else { 0 };
        policy
    }
}

/// Most requests by which penalties are late where they are.
const DELAY: u8 = 8;

/// What was found against one combination of measures, all sites together.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was on.
    pub hardening: Hardening,
    /// What the attacker wanted.
    pub goal: Goal,
    /// Sites.
    pub sites: usize,
    /// What passed an hour with the strategies of the first generation, on average.
    pub first_per_hour: f64,
    /// What passes an hour with the best strategy found.
    pub best_per_hour: f64,
    /// Requests, denials and addresses that the search took, a site.
    pub search_requests: f64,
    /// See `search_requests`.
    pub search_denied: f64,
    /// See `search_requests`.
    pub search_addresses: f64,
    /// Of the visitors' requests, the share denied.
    pub harm: f64,
    /// The best strategy of each site.
    pub strategies: Vec<Strategy>,
}

/// One site's result.
struct Found {
    first: f64,
    best: f64,
    search: Tally,
    harm: (u64, u64),
    strategy: Strategy,
}

/// Lets the attacker learn against every combination, on these sites, on all cores. The rows do not
/// depend on how many cores there are.
#[must_use]
pub fn probe(
    seeds: &[u64],
    goals: &[Goal],
    hardenings: &[Hardening],
    model: &AnyModel,
    progress: impl FnMut(usize, usize),
) -> Vec<Row> {
    let mut cells = Vec::new();
    for &goal in goals {
        for &hardening in hardenings {
            cells.extend(seeds.iter().map(|&seed| (goal, hardening, seed)));
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    let work = |n: usize| {
        let (goal, hardening, seed) = cells[n];
        site(goal, hardening, seed, model)
    };
    crate::parallel::in_order(cells.len(), work, progress, |n, found| {
        let (goal, hardening, _) = cells[n];
        if rows.last().is_none_or(|row| (row.goal, row.hardening) != (goal, hardening)) {
            rows.push(Row::new(goal, hardening));
        }
        if let (Some(row), Some(found)) = (rows.last_mut(), found) {
            row.add(found);
        }
    });
    rows.iter_mut().for_each(Row::average);
    rows
}

impl Row {
    fn new(goal: Goal, hardening: Hardening) -> Self {
        Self {
            hardening,
            goal,
            sites: 0,
            first_per_hour: 0.0,
            best_per_hour: 0.0,
            search_requests: 0.0,
            search_denied: 0.0,
            search_addresses: 0.0,
            harm: 0.0,
            strategies: Vec::new(),
        }
    }

    fn add(&mut self, found: Found) {
        self.sites += 1;
        self.first_per_hour += found.first;
        self.best_per_hour += found.best;
        self.search_requests += found.search.requests as f64;
        self.search_denied += found.search.denied as f64;
        self.search_addresses += found.search.addresses as f64;
        self.harm += found.harm.0 as f64 / found.harm.1.max(1) as f64;
        self.strategies.push(found.strategy);
    }

    fn average(&mut self) {
        let sites = self.sites.max(1) as f64;
        for sum in [
            &mut self.first_per_hour,
            &mut self.best_per_hour,
            &mut self.search_requests,
            &mut self.search_denied,
            &mut self.search_addresses,
            &mut self.harm,
        ] {
            *sum /= sites;
        }
    }
}

/// A strategy and how it fared.
#[derive(Clone, Debug)]
struct Tried {
    strategy: Strategy,
    passed: f64,
    times: f64,
}

impl Tried {
    fn mean(&self) -> f64 {
        self.passed / self.times.max(1.0)
    }
}

/// Search and use on one site; `None` when the site offers nothing that the attacker wants.
fn site(goal: Goal, hardening: Hardening, seed: u64, model: &AnyModel) -> Option<Found> {
    let trials = GENERATION * GENERATIONS;
    let minutes = ((QUIET + TRIAL * trials as f64 + USE) / 60.0).ceil() as u32 + 1;
    let traffic = generate(Scenario::Quiet, seed, minutes);
    let ground = Ground::of(&traffic, goal)?;
    let engine = limiter::before(&traffic, hardening.policy(), Some(model));
    let mut attack = Attack::new(&engine, &traffic, &ground, !hardening.constant_headers, seed);
    attack.wait(Duration::from_secs_f64(QUIET));

    let mut dice = Dice::new(seed, 0x9b0be);
    let budget = Budget { at_once: AT_ONCE, addresses: FRESH, requests: REQUESTS };
    let hour = |passed: usize, seconds: f64| passed as f64 * 3600.0 / seconds;
    let mut all: Vec<Tried> = Vec::new();
    let mut first = 0.0;
    let mut search = Tally::default();
    for generation in 0..GENERATIONS {
        for n in 0..GENERATION {
            all.sort_by(|a, b| b.mean().total_cmp(&a.mean()));
            // The best are tried again now and then: one lucky trial is no strategy.
            let again = generation > 0 && n < PARENTS / 2;
            let strategy = if again {
                all[n].strategy.clone()
            } else if generation == 0 {
                Strategy::draw(&mut dice)
            } else {
                let parents = &all[..PARENTS.min(all.len())];
                let mut of = || &parents[dice.below(parents.len())].strategy;
                let (one, other) = (of().clone(), of().clone());
                one.offspring(&other, &mut dice)
            };
            let tally = attack.run(&strategy, Duration::from_secs_f64(TRIAL), budget);
            search.merge(&tally);
            let passed = hour(tally.passed, TRIAL);
            if generation == 0 {
                first += passed / GENERATION as f64;
            }
            match all.iter_mut().find(|tried| again && tried.strategy == strategy) {
                Some(tried) => {
                    tried.passed += passed;
                    tried.times += 1.0;
                }
                None => all.push(Tried { strategy, passed, times: 1.0 }),
            }
        }
    }
    // Of what was tried more than once, the best.
    let best = all.iter().filter(|tried| tried.times > 1.0);
    let best = best.max_by(|a, b| a.mean().total_cmp(&b.mean()))?.strategy.clone();
    let rounds = USE / TRIAL;
    let whole = Budget {
        at_once: AT_ONCE,
        addresses: (FRESH as f64 * rounds) as usize,
        requests: (REQUESTS as f64 * rounds) as usize,
    };
    let used = attack.run(&best, Duration::from_secs_f64(USE), whole);
    Some(Found {
        first,
        best: hour(used.passed, USE),
        search,
        harm: attack.visitors(),
        strategy: best,
    })
}

#[cfg(test)]
mod tests;
