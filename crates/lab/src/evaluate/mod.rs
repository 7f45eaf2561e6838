//! How good decisions are on traffic that nobody trained on, by scenario and by actor.

mod interval;
mod rules;

pub use interval::Share;
pub(crate) use interval::over;
pub use rules::{RULE_HARM, RulesCaught};

use crate::limiter;
use crate::simulate::site::Style;
use crate::simulate::{Scenario, Traffic, generate};
use crate::static_limits::{Counts, LIMITS, StaticLimits, best, ratio};
use crate::train::refused;
use rules::Rules;
use serde::Serialize;
use std::collections::BTreeMap;
use tidegate_engine::{Parts, Policy};
use tidegate_models::AnyModel;
use tidegate_models::metrics::{Ranking, brier, calibration_error};

/// The harm that the best fixed limit may do: what is aimed at for the learned one.
pub const STATIC_HARM: f64 = 0.002;

/// From this anomaly score on a client is unlike all others: one look in a thousand.
const ODD: f32 = 0.999;

/// What to evaluate on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seeds of the sites.
    pub seeds: Vec<u64>,
    /// Minutes of traffic a run.
    pub minutes: u32,
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// What speaks beside the model.
    pub parts: Parts,
}

/// One family of actors.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FamilyRow {
    /// Whether it abuses.
    pub abusive: bool,
    /// Actors that sent anything.
    pub actors: u64,
    /// Their requests.
    pub requests: u64,
    /// Requests denied.
    pub denied: u64,
    /// Actors of whom more than 2 % of the requests were denied.
    pub harmed: u64,
    /// Actors whose client was ever found unlike all others; nothing is known of them beside.
    pub odd: u64,
    /// For each actor that was ever denied, the number of its requests until then.
    #[serde(skip)]
    first_denials: Vec<u64>,
    /// Median of requests until the first denial, over actors ever denied.
    pub median_first_denial: Option<u64>,
}

/// One scenario, all seeds together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScenarioRow {
    /// Its name.
    pub scenario: String,
    /// Requests by label, and what was denied of them.
    pub legitimate: u64,
    /// Of those, denied: false positives.
    pub legitimate_denied: u64,
    /// Requests of abusers.
    pub abusive: u64,
    /// Of those, denied: true positives.
    pub abusive_denied: u64,
    /// Legitimate actors with more than 2 % denied, and all legitimate actors.
    pub harmed: (u64, u64),
    /// The worst seed's share of legitimate requests denied.
    pub worst_harm: f64,
    /// The share of legitimate requests denied, over sites.
    pub harm: Share,
    /// The share of abusive requests denied, over sites.
    pub caught: Share,
    /// The share of legitimate actors harmed, over sites.
    pub harmed_share: Share,
    /// The best fixed limit (requests a minute), its harm and its catch.
    pub best_static: Option<(u32, f64, f64)>,
    /// What classic rules would have stopped.
    pub rules: RulesCaught,
    /// What was found on each site, in the order of seeds.
    #[serde(skip)]
    pub(crate) sites: Vec<Site>,
}

/// One scenario on one site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Site {
    /// What was decided.
    pub counts: Counts,
    /// Actors harmed, of all that are legitimate.
    harmed: (u64, u64),
    /// By abusive family, the requests denied of all.
    pub families: BTreeMap<&'static str, (u64, u64)>,
}

/// All scenarios on the sites of one style.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StyleRow {
    /// Sites.
    pub sites: u64,
    /// What was decided there.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The whole evaluation.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// By scenario.
    pub scenarios: Vec<ScenarioRow>,
    /// By family.
    pub families: BTreeMap<String, FamilyRow>,
    /// By style of site.
    pub styles: BTreeMap<&'static str, StyleRow>,
    /// Area under the ROC curve of risk, by request.
    pub roc_auc: Option<f64>,
    /// Average precision of risk, by request.
    pub pr_auc: Option<f64>,
    /// True positive rate at 0.1 % and at 1 % false positives.
    pub tpr_at: (Option<f64>, Option<f64>),
    /// Expected calibration error over ten bins.
    pub ece: Option<f64>,
    /// Brier score.
    pub brier: Option<f64>,
    /// Of denied requests, the share that was abuse.
    pub precision: f64,
    /// Of abusive requests, the share denied.
    pub recall: f64,
    /// Legitimate requests denied.
    pub false_positives: u64,
    /// Of those, requests that the site had nothing for or refused itself: 401, 403, 404, 405 and 410.
    pub refused_anyway: u64,
    /// Abusive requests let through.
    pub false_negatives: u64,
}

/// Runs every scenario of every seed through a fresh engine, on all cores. The report does not
/// depend on how many cores there are; `progress` is told of each run as it ends.
#[must_use]
pub fn evaluate(
    plan: &Plan,
    policy: &Policy,
    model: Option<&AnyModel>,
    progress: impl FnMut(usize, usize),
) -> Report {
    let runs: Vec<(usize, u64)> = (0..plan.scenarios.len())
        .flat_map(|scenario| plan.seeds.iter().map(move |seed| (scenario, *seed)))
        .collect();
    let named = |scenario: &Scenario| {
        (
            ScenarioRow { scenario: scenario.name().into(), ..ScenarioRow::default() },
            Fixed::default(),
            Rules::default(),
        )
    };
    let mut rows: Vec<(ScenarioRow, Fixed, Rules)> = plan.scenarios.iter().map(named).collect();
    let mut report = Report::default();
    let mut scores = Scores::default();
    let work = |n: usize| {
        let (scenario, seed) = runs[n];
        run(&generate(plan.scenarios[scenario], seed, plan.minutes), policy, model, plan.parts)
    };
    crate::parallel::in_order(runs.len(), work, progress, |n, run| {
        let (row, fixed, rules) = &mut rows[runs[n].0];
        row.merge(&run);
        fixed.merge(&run.fixed);
        rules.merge(&run.rules);
        let style = report.styles.entry(run.style.name()).or_default();
        style.sites += 1;
        style.counts.merge(&run.counts);
        for (name, family) in run.families {
            report.families.entry(name.into()).or_default().merge(family);
        }
        report.refused_anyway += run.refused_anyway;
        scores.risk.extend(run.scores.risk);
        scores.label.extend(run.scores.label);
    });
    for (mut row, Fixed(fixed), rules) in rows {
        let counts: Vec<Counts> = row.sites.iter().map(|site| site.counts).collect();
        row.harm = interval::harm(&counts);
        row.caught = interval::caught(&counts);
        row.harmed_share =
            interval::share(&row.sites.iter().map(|site| site.harmed).collect::<Vec<_>>());
        row.rules = rules.caught();
        row.best_static =
            best(&fixed, STATIC_HARM).map(|i| (LIMITS[i], fixed[i].harm(), fixed[i].caught()));
        report.scenarios.push(row);
    }
    for family in report.families.values_mut() {
        family.first_denials.sort_unstable();
        let all = &family.first_denials;
        family.median_first_denial = all.get(all.len() / 2).copied();
    }
    scores.into_report(&mut report);
    report
}

impl FamilyRow {
    fn merge(&mut self, more: Self) {
        self.abusive = more.abusive;
        self.actors += more.actors;
        self.requests += more.requests;
        self.denied += more.denied;
        self.harmed += more.harmed;
        self.odd += more.odd;
        self.first_denials.extend(more.first_denials);
    }
}

impl ScenarioRow {
    fn merge(&mut self, run: &Run) {
        self.legitimate += run.counts.legitimate;
        self.legitimate_denied += run.counts.legitimate_denied;
        self.abusive += run.counts.abusive;
        self.abusive_denied += run.counts.abusive_denied;
        self.harmed.0 += run.harmed.0;
        self.harmed.1 += run.harmed.1;
        self.worst_harm = self.worst_harm.max(run.counts.harm());
        let abusive = run.families.iter().filter(|(_, family)| family.abusive);
        let families = abusive.map(|(name, row)| (*name, (row.denied, row.requests))).collect();
        self.sites.push(Site { counts: run.counts, harmed: run.harmed, families });
    }
}

/// What each fixed limit would have done.
struct Fixed([Counts; LIMITS.len()]);

impl Default for Fixed {
    fn default() -> Self {
        Self([Counts::default(); LIMITS.len()])
    }
}

impl Fixed {
    fn merge(&mut self, more: &Self) {
        self.0.iter_mut().zip(&more.0).for_each(|(sum, more)| sum.merge(more));
    }
}

/// What one simulation gave.
struct Run {
    style: Style,
    counts: Counts,
    harmed: (u64, u64),
    refused_anyway: u64,
    fixed: Fixed,
    rules: Rules,
    families: BTreeMap<&'static str, FamilyRow>,
    scores: Scores,
}

#[derive(Default)]
struct Scores {
    risk: Vec<f32>,
    label: Vec<bool>,
}

impl Scores {
    fn into_report(self, report: &mut Report) {
        let weights = vec![1.0; self.risk.len()];
        let ranking = Ranking::new(&self.risk, &self.label, &weights);
        report.roc_auc = ranking.roc_auc();
        report.pr_auc = ranking.average_precision();
        let tpr = |rate| ranking.recall_at(rate).map(|(tpr, _)| tpr);
        report.tpr_at = (tpr(0.001), tpr(0.01));
        report.ece = calibration_error(&self.risk, &self.label, &weights, 10);
        report.brier = brier(&self.risk, &self.label, &weights);
        let sum = |f: fn(&ScenarioRow) -> u64| report.scenarios.iter().map(f).sum::<u64>();
        let (hits, abuse) = (sum(|r| r.abusive_denied), sum(|r| r.abusive));
        report.false_positives = sum(|r| r.legitimate_denied);
        report.false_negatives = abuse - hits;
        report.precision = ratio(hits, hits + report.false_positives);
        report.recall = ratio(hits, abuse);
    }
}

fn run(traffic: &Traffic, policy: &Policy, model: Option<&AnyModel>, parts: Parts) -> Run {
    let mut families: BTreeMap<&'static str, FamilyRow> = BTreeMap::new();
    let (mut scores, mut rules, mut harmed_of) = (Scores::default(), Rules::default(), (0, 0));
    let mut refused_anyway = 0;
    let engine = limiter::without(traffic, policy.clone(), model, parts);
    let mut limits = StaticLimits::default();
    // Requests, denials, and the number of the first denied request of each actor.
    let mut actors = vec![(0u64, 0u64, 0u64); traffic.actors.len()];
    let mut odd = vec![false; traffic.actors.len()];
    let mut own = Counts::default();
    for event in &traffic.events {
        let abusive = traffic.actor(event).abusive;
        let decision = engine.check(&event.request());
        if decision.allowed {
            // What is denied never reaches the application, so nothing is learned of it.
            engine.outcome(&decision.ticket, &event.outcome, event.time);
        }
        limits.check(decision.ticket.client, abusive, event.time);
        own.add(abusive, !decision.allowed);
        rules.add(&decision.features, abusive);
        scores.risk.push(decision.risk);
        scores.label.push(abusive);
        odd[event.actor as usize] |= decision.anomaly.is_some_and(|score| score >= ODD);
        let (requests, denied, first) = &mut actors[event.actor as usize];
        *requests += 1;
        if !decision.allowed {
            refused_anyway += u64::from(!abusive && refused(&event.outcome));
            *denied += 1;
            if *first == 0 {
                *first = *requests;
            }
        }
    }
    for ((actor, &(requests, denied, first)), odd) in traffic.actors.iter().zip(&actors).zip(odd) {
        if requests == 0 {
            continue;
        }
        let family = families.entry(actor.family).or_default();
        family.abusive = actor.abusive;
        family.actors += 1;
        family.requests += requests;
        family.denied += denied;
        let harmed = denied * 50 > requests;
        family.harmed += u64::from(harmed);
        family.odd += u64::from(odd);
        if first > 0 {
            family.first_denials.push(first);
        }
        if !actor.abusive {
            harmed_of.0 += u64::from(harmed);
            harmed_of.1 += 1;
        }
    }
    Run {
        style: traffic.style,
        counts: own,
        harmed: harmed_of,
        refused_anyway,
        fixed: Fixed(limits.counts),
        rules,
        families,
        scores,
    }
}
