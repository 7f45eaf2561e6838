//! Studies: what a model still knows of what it was not shown, and what each part of it buys.

use crate::evaluate::{self, Report};
use crate::simulate::site::Style;
use crate::simulate::{Scenario, style_of};
use crate::static_limits::{Counts, ratio};
use crate::train::{self, Corpus, Without};
use serde::Serialize;
use tidegate_behavior::schema::index as i;
use tidegate_engine::Policy;
use tidegate_models::{AnyModel, ModelError};

/// Features that belong together, for an ablation.
pub const GROUPS: &[(&str, &[usize])] = &[
    (
        "rate and timing",
        &[i::RATE_10S, i::RATE_1M, i::RATE_10M, i::PAGES_1M, i::BURST, i::GAP_MEAN],
    ),
    ("regularity and age", &[i::GAP_DEVIATION, i::AGE, i::REQUESTS, i::SETTLED]),
    (
        "errors against the routes' own",
        &[i::ERROR_EXCESS, i::AUTH_EXCESS, i::MISSING_EXCESS, i::SERVER_EXCESS, i::AUTH_FAILURES],
    ),
    (
        "breadth and surprise",
        &[
            i::ROUTES_DISTINCT,
            i::PATHS_DISTINCT,
            i::PATH_NOVELTY,
            i::SURPRISE,
            i::TRANSITION_SURPRISE,
        ],
    ),
    (
        "what is asked for",
        &[
            i::ASSET_SHARE,
            i::API_SHARE,
            i::WRITE_SHARE,
            i::ODD_METHOD_SHARE,
            i::REFERER_SHARE,
            i::SITE_REFERERS,
            i::REFERER_CHAIN,
            i::BARE_PAGES,
            i::PAYLOAD,
            i::RESPONSE,
            i::ODD_PATH_SHARE,
        ],
    ),
    ("ids", &[i::ID_SHARE, i::ID_WALKING, i::IDS_DISTINCT]),
    (
        "who it says it is",
        &[
            i::AGENT_KIND,
            i::CREDENTIALED,
            i::USERS_DISTINCT,
            i::AGENTS_DISTINCT,
            i::NETWORKS_DISTINCT,
        ],
    ),
    ("network", &[i::NETWORK_CLIENTS, i::NETWORK_RATE, i::NETWORK_ERROR_EXCESS, i::REPUTATION]),
    (
        "look-alikes",
        &[
            i::AGENT_SURGE,
            i::AGENT_NEWCOMERS,
            i::AGENT_ERROR_EXCESS,
            i::AGENT_ASSETS,
            i::COHORT_SURGE,
        ],
    ),
    (
        "route",
        &[
            i::ROUTE_SURGE,
            i::ROUTE_NEWCOMERS,
            i::ROUTE_ERROR_RATIO,
            i::ROUTE_RUSH,
            i::ROUTE_ERROR_RISE,
            i::ROUTE_DEPTH,
            i::TURNS,
        ],
    ),
    (
        "site",
        &[
            i::SITE_SURGE,
            i::SITE_NEWCOMERS,
            i::SITE_SHARE,
            i::PACE,
            i::SITE_RUSH,
            i::ARRIVAL_SURGE,
            i::SITE_SERVER_RATIO,
            i::SITE_ERROR_RISE,
            i::ASSET_FALL,
        ],
    ),
];

/// What one model of a study is not shown, or is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Variant {
    /// Everything: what the others are held against.
    Whole,
    /// One family of actors is left out of training, and judged.
    Family(&'static str, Scenario),
    /// Sites of one style are left out of training, and judged.
    Style(Style),
    /// A group of features is taken away.
    Features(usize),
    /// Logistic regression instead of boosted trees.
    Logistic,
}

/// One line of a study.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// What was left out.
    pub without: String,
    /// Share of the abuse judged that was denied by the model that was shown everything, 0..1.
    pub whole_caught: f64,
    /// The same, by the model that was not.
    pub caught: f64,
    /// Share of legitimate requests denied by the model that was shown everything, 0..1.
    pub whole_harm: f64,
    /// The same, by the model that was not.
    pub harm: f64,
}

/// What to study.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the models are trained.
    pub training: train::Plan,
    /// The sites they are judged on, and for how long.
    pub seeds: Vec<u64>,
    /// Minutes of traffic a run.
    pub minutes: u32,
}

/// Each family of attackers with the scenario that is about it.
#[must_use]
pub fn families() -> Vec<Variant> {
    let about = |scenario: Scenario| {
        scenario.families().iter().map(move |family| Variant::Family(family, scenario))
    };
    Scenario::ALL.into_iter().flat_map(about).collect()
}

/// Each style of site.
#[must_use]
pub fn styles() -> Vec<Variant> {
    Style::ALL.map(Variant::Style).to_vec()
}

/// Each group of features, and the plainer model.
#[must_use]
pub fn parts() -> Vec<Variant> {
    let groups = (0..GROUPS.len()).map(Variant::Features);
    groups.chain([Variant::Logistic]).collect()
}

/// Trains a model for each variant on the same traffic and judges it beside the model that was
/// shown everything; a style that none of the sites has is left out. `progress` is told of each
/// line.
///
/// # Errors
/// When a model cannot be trained, such as with too few rounds.
pub fn study(
    plan: &Plan,
    variants: &[Variant],
    corpus: &Corpus,
    mut progress: impl FnMut(&Line),
) -> Result<Vec<Line>, ModelError> {
    let whole = train(corpus, plan, Variant::Whole)?;
    let mut everywhere: Option<Report> = None;
    let mut lines = Vec::new();
    for &variant in variants {
        let (scenarios, seeds) = stage(variant, &plan.seeds);
        if seeds.is_empty() {
            // No site of that style was drawn: there is nothing to judge on.
            continue;
        }
        let model = train(corpus, plan, variant)?;
        let judge = |model: &AnyModel| {
            let plan = evaluate::Plan {
                seeds: seeds.clone(),
                minutes: plan.minutes,
                scenarios: scenarios.clone(),
            };
            evaluate::evaluate(&plan, &Policy::default(), Some(model), |_, _| {})
        };
        let reference = match variant {
            Variant::Features(_) | Variant::Logistic => {
                everywhere.get_or_insert_with(|| judge(&whole)).clone()
            }
            _ => judge(&whole),
        };
        let (before, after) = (figures(&reference, variant), figures(&judge(&model), variant));
        let line = Line {
            without: variant.name(),
            whole_caught: before.0,
            caught: after.0,
            whole_harm: before.1,
            harm: after.1,
        };
        progress(&line);
        lines.push(line);
    }
    Ok(lines)
}

fn train(corpus: &Corpus, plan: &Plan, variant: Variant) -> Result<AnyModel, ModelError> {
    let without = match variant {
        Variant::Whole | Variant::Logistic => Without::default(),
        Variant::Family(family, _) => Without { family: Some(family), ..Without::default() },
        Variant::Style(style) => Without { style: Some(style), ..Without::default() },
        Variant::Features(group) => Without { features: GROUPS[group].1, ..Without::default() },
    };
    let set = corpus.set(without);
    match variant {
        Variant::Logistic => train::logistic(&set, &plan.training),
        _ => train::trees(&set, &plan.training),
    }
}

/// The scenarios and sites on which a variant is judged.
fn stage(variant: Variant, seeds: &[u64]) -> (Vec<Scenario>, Vec<u64>) {
    match variant {
        Variant::Family(_, scenario) => (vec![scenario], seeds.to_vec()),
        Variant::Style(style) => {
            let fit = seeds.iter().copied().filter(|seed| style_of(*seed) == style);
            (Scenario::ALL.to_vec(), fit.collect())
        }
        _ => (Scenario::ALL.to_vec(), seeds.to_vec()),
    }
}

/// What was caught of the abuse that the variant is about, and the harm.
fn figures(report: &Report, variant: Variant) -> (f64, f64) {
    let mut counts = Counts::default();
    report.styles.values().for_each(|style| counts.merge(&style.counts));
    let caught = match variant {
        Variant::Family(family, _) => {
            report.families.get(family).map_or(0.0, |row| ratio(row.denied, row.requests))
        }
        // Every scenario counts alike, whatever it sends.
        _ => {
            let attacked: Vec<f64> = report
                .scenarios
                .iter()
                .filter(|row| row.abusive > 0)
                .map(|row| ratio(row.abusive_denied, row.abusive))
                .collect();
            attacked.iter().sum::<f64>() / attacked.len().max(1) as f64
        }
    };
    (caught, counts.harm())
}

impl Variant {
    fn name(self) -> String {
        match self {
            Self::Whole => "nothing".to_owned(),
            Self::Family(family, _) => family.to_owned(),
            Self::Style(style) => format!("{} sites", style.name()),
            Self::Features(group) => GROUPS[group].0.to_owned(),
            Self::Logistic => "trees (logistic regression)".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tidegate_behavior::schema::COUNT;

    #[test]
    fn every_feature_is_in_one_group() {
        let all: Vec<usize> = GROUPS.iter().flat_map(|(_, features)| *features).copied().collect();
        assert_eq!(all.len(), COUNT);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (0..COUNT).collect());
    }

    #[test]
    fn every_abusive_family_is_left_out_once() {
        let named: Vec<&str> = families()
            .iter()
            .map(|variant| match variant {
                Variant::Family(family, scenario) => {
                    assert!(scenario.families().contains(family));
                    *family
                }
                other => panic!("{other:?} is no family"),
            })
            .collect();
        let abusive: BTreeSet<&str> = crate::simulate::actor::FAMILIES
            .iter()
            .filter(|family| family.abusive())
            .map(|family| family.name())
            .collect();
        assert_eq!(named.len(), abusive.len());
        assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), abusive);
    }

    #[test]
    fn a_study_trains_and_judges_each_variant() {
        let training = train::Plan {
            rounds: 1,
            params: tidegate_models::train::Params { trees: 8, ..Default::default() },
            ..train::Plan::default()
        };
        let corpus = train::collect(&training, |_, _| {});
        let plan = Plan { training, seeds: vec![1, 2], minutes: 2 };
        let variants = [Variant::Family("flood", Scenario::Flood), Variant::Logistic];
        let mut told = 0;
        let lines = study(&plan, &variants, &corpus, |_| told += 1).expect("enough rows");
        assert_eq!((lines.len(), told), (2, 2));
        for line in lines {
            for share in [line.whole_caught, line.caught, line.whole_harm, line.harm] {
                assert!((0.0..=1.0).contains(&share), "{line:?}");
            }
        }
    }
}
