//! Studies: what a model still knows of what it was not shown, and what each part of it buys.

use crate::evaluate::{self, Report, ScenarioRow, Share, over};
use crate::simulate::site::Style;
use crate::simulate::{Scenario, style_of};
use crate::static_limits::{Counts, ratio};
use crate::train::{self, Corpus, Without};
use serde::Serialize;
use tidegate_behavior::schema::index as i;
use tidegate_engine::policy::Adaptive;
use tidegate_engine::{Engine, Part, Parts, Policy};
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
            i::LOG_INS,
            i::FLOWS,
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
    ("look-alikes", &train::LOOK_ALIKES),
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
            i::SEND_TURNS,
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

/// What one line of a study goes without, or has beside.
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
    /// Trees may split on how many come with the same fingerprint.
    LookAlikes,
    /// Logistic regression instead of boosted trees.
    Logistic,
    /// A part of decisions that is not the model's is left out, beside the model built in.
    Engine(Part),
    /// Anomalies arm tighter limits, beside the model built in.
    Anomaly,
}

/// One line of a study. Intervals are over sites alone: what another training would give is not in them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// What was left out.
    pub without: String,
    /// Share of the abuse judged that was denied with everything, 0..1.
    pub whole_caught: f64,
    /// The same, without.
    pub caught: f64,
    /// The second less the first, with its interval over sites.
    pub difference: Share,
    /// Share of legitimate requests denied with everything, 0..1.
    pub whole_harm: f64,
    /// The same, without.
    pub harm: f64,
    /// The second less the first, with its interval over sites.
    pub harm_difference: Share,
    /// How many sites it was judged on.
    pub sites: usize,
}

/// What to study.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the models are trained.
    pub training: train::Plan,
    /// The first of the sites they are judged on.
    pub seed: u64,
    /// How many sites; where a style of site is judged, so many of that style.
    pub sites: usize,
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

/// Each group of features that trees hear, the one that they do not, and the plainer model.
#[must_use]
pub fn parts() -> Vec<Variant> {
    let heard = |group: &usize| GROUPS[*group].1 != train::LOOK_ALIKES;
    let groups = (0..GROUPS.len()).filter(heard).map(Variant::Features);
    groups.chain([Variant::LookAlikes, Variant::Logistic]).collect()
}

/// Each part of decisions that is not the model's.
#[must_use]
pub fn engine() -> Vec<Variant> {
    let parts = Part::ALL.into_iter().map(Variant::Engine);
    parts.chain([Variant::Anomaly]).collect()
}

/// Judges each variant beside what has everything. Models are trained on the same traffic, which `corpus`
/// is asked for once, and only if a variant needs one; `progress` is told of each line.
///
/// # Errors
/// When a model cannot be trained, such as with too few rounds.
pub fn study(
    plan: &Plan,
    variants: &[Variant],
    corpus: impl FnOnce() -> Corpus,
    mut progress: impl FnMut(&Line),
) -> Result<Vec<Line>, ModelError> {
    let builtin = Engine::default_model()?;
    let corpus = match variants.iter().any(|variant| variant.trains()) {
        true => Some(corpus()),
        false => None,
    };
    let whole = match &corpus {
        Some(corpus) => train(corpus, plan, Variant::Whole)?,
        None => builtin.clone(),
    };
    // What was judged everywhere: by the whole model, and by the one built in.
    let mut everywhere: [Option<Report>; 2] = [None, None];
    let mut lines = Vec::new();
    for &variant in variants {
        let (scenarios, seeds) = stage(variant, plan);
        let judge = |model: &AnyModel, variant: Variant| {
            let parts = match variant {
                Variant::Engine(part) => Parts::default().without(part),
                _ => Parts::default(),
            };
            let anomaly = variant == Variant::Anomaly;
            let adaptive = Adaptive { anomaly, ..Adaptive::default() };
            let policy = Policy { adaptive, ..Policy::default() };
            let (seeds, scenarios) = (seeds.clone(), scenarios.clone());
            let plan = evaluate::Plan { seeds, minutes: plan.minutes, scenarios, parts };
            evaluate::evaluate(&plan, &policy, Some(model), |_, _| {})
        };
        let model = match &corpus {
            Some(corpus) if variant.trains() => train(corpus, plan, variant)?,
            _ => builtin.clone(),
        };
        let reference = match variant {
            Variant::Family(..) | Variant::Style(_) => judge(&whole, Variant::Whole),
            _ => {
                let (at, of) = if variant.trains() { (0, &whole) } else { (1, &builtin) };
                everywhere[at].get_or_insert_with(|| judge(of, Variant::Whole)).clone()
            }
        };
        let line = Line::of(variant, &reference, &judge(&model, variant), seeds.len());
        progress(&line);
        lines.push(line);
    }
    Ok(lines)
}

fn train(corpus: &Corpus, plan: &Plan, variant: Variant) -> Result<AnyModel, ModelError> {
    let without = match variant {
        Variant::Family(family, _) => Without { family: Some(family), ..Without::default() },
        Variant::Style(style) => Without { style: Some(style), ..Without::default() },
        Variant::Features(group) => Without { features: GROUPS[group].1, ..Without::default() },
        _ => Without::default(),
    };
    let set = corpus.set(without);
    match variant {
        Variant::Logistic => train::logistic(&set, &plan.training),
        Variant::LookAlikes => {
            let mut training = plan.training.clone();
            training.params.without.clear();
            train::trees(&set, &training)
        }
        _ => train::trees(&set, &plan.training),
    }
}

/// The scenarios and sites on which a variant is judged.
fn stage(variant: Variant, plan: &Plan) -> (Vec<Scenario>, Vec<u64>) {
    let from = plan.seed..=u64::MAX;
    match variant {
        Variant::Family(_, scenario) => (vec![scenario], from.take(plan.sites).collect()),
        Variant::Style(style) => {
            let fit = from.filter(|seed| style_of(*seed) == style);
            (Scenario::ALL.to_vec(), fit.take(plan.sites).collect())
        }
        _ => (Scenario::ALL.to_vec(), from.take(plan.sites).collect()),
    }
}

/// The share that was denied of the abuse that the variant is about, on these sites.
fn caught(report: &Report, variant: Variant, sites: &[usize]) -> f64 {
    let share = |row: &ScenarioRow| {
        let (mut denied, mut all) = (0, 0);
        for site in sites.iter().map(|site| &row.sites[*site]) {
            let (part, whole) = match variant {
                Variant::Family(family, _) => site.families.get(family).copied().unwrap_or((0, 0)),
                _ => (site.counts.abusive_denied, site.counts.abusive),
            };
            (denied, all) = (denied + part, all + whole);
        }
        (all > 0).then(|| ratio(denied, all))
    };
    // Every scenario counts alike, whatever it sends.
    let attacked: Vec<f64> = report.scenarios.iter().filter_map(share).collect();
    attacked.iter().sum::<f64>() / attacked.len().max(1) as f64
}

/// The share that was denied of all that is legitimate, on these sites.
fn harm(report: &Report, sites: &[usize]) -> f64 {
    let mut counts = Counts::default();
    for row in &report.scenarios {
        sites.iter().for_each(|site| counts.merge(&row.sites[*site].counts));
    }
    counts.harm()
}

impl Line {
    fn of(variant: Variant, whole: &Report, without: &Report, sites: usize) -> Self {
        let all: Vec<usize> = (0..sites).collect();
        Self {
            without: variant.name(),
            whole_caught: caught(whole, variant, &all),
            caught: caught(without, variant, &all),
            // The same sites on both sides: what differs between sites is not what is measured.
            difference: over(sites, |sites| {
                caught(without, variant, sites) - caught(whole, variant, sites)
            }),
            whole_harm: harm(whole, &all),
            harm: harm(without, &all),
            harm_difference: over(sites, |sites| harm(without, sites) - harm(whole, sites)),
            sites,
        }
    }
}

impl Variant {
    /// Whether it is a model of its own.
    const fn trains(self) -> bool {
        !matches!(self, Self::Engine(_) | Self::Anomaly)
    }

    fn name(self) -> String {
        match self {
            Self::Whole => "nothing".to_owned(),
            Self::Family(family, _) => family.to_owned(),
            Self::Style(style) => format!("{} sites", style.name()),
            Self::Features(group) => GROUPS[group].0.to_owned(),
            Self::LookAlikes => "(added: look-alikes)".to_owned(),
            Self::Logistic => "trees (logistic regression)".to_owned(),
            Self::Engine(part) => part.name().to_owned(),
            Self::Anomaly => "(added: anomalies arm)".to_owned(),
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
    fn a_style_is_judged_on_sites_of_that_style() {
        let training = train::Plan::default();
        let plan = Plan { training, seed: 1, sites: 5, minutes: 2 };
        for style in Style::ALL {
            let (_, seeds) = stage(Variant::Style(style), &plan);
            assert_eq!(seeds.len(), 5);
            assert!(seeds.iter().all(|seed| style_of(*seed) == style));
        }
    }

    #[test]
    fn what_is_beside_the_model_is_left_out_of_no_training() {
        let plan = Plan { training: train::Plan::default(), seed: 1, sites: 1, minutes: 1 };
        let lines = study(&plan, &[Variant::Engine(Part::Evident)], || unreachable!(), |_| {});
        assert_eq!(lines.expect("a model is built in").len(), 1);
    }

    #[test]
    fn a_study_trains_and_judges_each_variant() {
        let training = train::Plan {
            rounds: 1,
            params: tidegate_models::train::Params { trees: 8, ..Default::default() },
            ..train::Plan::default()
        };
        let corpus = || train::collect(&training, |_, _| {});
        let plan = Plan { training: training.clone(), seed: 1, sites: 2, minutes: 2 };
        let variants = [
            Variant::Family("flood", Scenario::Flood),
            Variant::Style(Style::Pages),
            Variant::Logistic,
            Variant::Engine(Part::Company),
        ];
        let mut told = 0;
        let lines = study(&plan, &variants, corpus, |_| told += 1).expect("enough rows");
        assert_eq!((lines.len(), told), (4, 4));
        for line in lines {
            assert_eq!(line.sites, 2);
            let difference = line.caught - line.whole_caught;
            assert!((line.difference.value - difference).abs() < 1e-12, "{line:?}");
            assert!(line.difference.low <= difference && difference <= line.difference.high);
            for share in [line.whole_caught, line.caught, line.whole_harm, line.harm] {
                assert!((0.0..=1.0).contains(&share), "{line:?}");
            }
        }
    }
}
