//! `tidegate evaluate`: what the model and the policy do on traffic that nobody trained on.

use crate::cli::EvaluateArgs;
use crate::train::progress_bar;
use miette::{IntoDiagnostic, WrapErr, miette};
use tidegate_engine::policy::Adaptive;
use tidegate_engine::{Engine, Part, Parts, Policy};
use tidegate_lab::evaluate::{Plan, RULE_HARM, Report, Share, evaluate};
use tidegate_lab::simulate::Scenario;
use tidegate_lab::static_limits::ratio;
use tidegate_models::AnyModel;

pub(crate) fn run(args: &EvaluateArgs) -> miette::Result<()> {
    let scenarios = if args.scenario.is_empty() {
        Scenario::ALL.to_vec()
    } else {
        args.scenario.iter().map(|name| scenario(name)).collect::<miette::Result<_>>()?
    };
    let seeds = (args.seed..args.seed.saturating_add(args.seeds)).collect();
    // The command line takes no other names.
    let left =
        Part::ALL.into_iter().filter(|part| args.without.iter().any(|name| name == part.name()));
    let parts = left.fold(Parts::default(), Parts::without);
    let plan = Plan { seeds, minutes: args.minutes, scenarios, parts };
    let model = model(args.model.as_deref())?;
    let bar = progress_bar("evaluating");
    let adaptive = Adaptive { anomaly: args.anomaly, ..Adaptive::default() };
    let policy = Policy { adaptive, ..Policy::default() };
    let report = evaluate(&plan, &policy, Some(&model), |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).into_diagnostic()?);
    } else {
        print(&plan, &report);
    }
    if args.gate { gate(&report) } else { Ok(()) }
}

/// Most harm that a scenario may do when the gate is on. A gate runs on a few minutes of a few
/// sites, where one misjudged integration is many requests, so it is wider than the target. Of four
/// sites one alone decides; of eight none does.
const GATE_HARM: f64 = 0.01;
/// Least abuse that must be denied of floods, scans and scrapers together.
const GATE_CAUGHT: f64 = 0.8;

fn gate(report: &Report) -> miette::Result<()> {
    for row in &report.scenarios {
        let harm = ratio(row.legitimate_denied, row.legitimate);
        if harm > GATE_HARM {
            return Err(miette!(
                "{}: {:.2} % of harmless requests denied, more than {:.2} %",
                row.scenario,
                harm * 100.0,
                GATE_HARM * 100.0
            ));
        }
    }
    let plain =
        ["flood", "scanner", "scraper"].iter().filter_map(|name| report.families.get(*name));
    let (denied, requests) =
        plain.fold((0, 0), |(d, r), family| (d + family.denied, r + family.requests));
    let caught = ratio(denied, requests);
    if caught < GATE_CAUGHT {
        return Err(miette!(
            "{:.1} % of floods, scans and scraping denied, less than {:.0} %",
            caught * 100.0,
            GATE_CAUGHT * 100.0
        ));
    }
    println!("gate passed");
    Ok(())
}

/// The help of `simulate --scenario`: it names every scenario there is.
pub(crate) fn scenarios() -> String {
    let names: Vec<_> = Scenario::names().collect();
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    format!("What happens: {} or {last}", others.join(", "))
}

/// The scenario of this name.
pub(crate) fn scenario(name: &str) -> miette::Result<Scenario> {
    Scenario::parse(name).ok_or_else(|| {
        let names: Vec<_> = Scenario::names().collect();
        miette!("there is no scenario `{name}`; take one of: {}", names.join(", "))
    })
}

/// The model of this file, or the one built in.
pub(crate) fn model(path: Option<&std::path::Path>) -> miette::Result<AnyModel> {
    let Some(path) = path else {
        return Engine::default_model().into_diagnostic().wrap_err("the built-in model");
    };
    let model = any_model(path)?;
    if model.steps() > 1 {
        return Err(miette!(
            "{} looks at {} requests of a client at once, so it can't be scored in line; it runs as a \
             challenger or in the background of `serve`",
            path.display(),
            model.steps()
        ));
    }
    Ok(model)
}

/// The model of this file, whatever it looks at.
pub(crate) fn any_model(path: &std::path::Path) -> miette::Result<AnyModel> {
    let bytes = std::fs::read(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read the model {}", path.display()))?;
    let (model, _) = tidegate_models::file::load(&bytes)
        .into_diagnostic()
        .wrap_err_with(|| format!("{} is no usable model", path.display()))?;
    Ok(model)
}

/// A share in percent with its confidence interval.
fn interval(share: Share, digits: usize) -> String {
    let [value, low, high] = [share.value, share.low, share.high].map(|x| x * 100.0);
    format!("{value:.digits$} [{low:.digits$}–{high:.digits$}]")
}

fn print(plan: &Plan, report: &Report) {
    let left = Part::ALL.into_iter().filter(|part| !plan.parts.has(*part));
    let left: Vec<&str> = left.map(Part::name).collect();
    println!(
        "{} unseen sites (seeds {} to {}), {} minutes each, default policy{}; [95 % interval over \
         sites]\n",
        plan.seeds.len(),
        plan.seeds.first().unwrap_or(&0),
        plan.seeds.last().unwrap_or(&0),
        plan.minutes,
        if left.is_empty() { String::new() } else { format!(" without {}", left.join(", ")) }
    );
    println!(
        "{:<14} {:>10} {:>21} {:>19} {:>10} {:>18}",
        "scenario", "legitimate", "denied %", "clients harmed %", "abusive", "denied %"
    );
    for row in &report.scenarios {
        let caught = if row.abusive == 0 { "–".to_owned() } else { interval(row.caught, 1) };
        println!(
            "{:<14} {:>10} {:>21} {:>19} {:>10} {:>18}",
            row.scenario,
            row.legitimate,
            interval(row.harm, 3),
            interval(row.harmed_share, 2),
            row.abusive,
            caught
        );
    }
    println!(
        "\nthe same abuse under a limit for everybody, under rules on what one client sends, and \
         under a logistic\nmodel (threshold chosen afterwards, at most {} % of legitimate requests \
         denied)\n",
        RULE_HARM * 100.0
    );
    println!(
        "{:<14} {:>8} {:>30} {:>8} {:>8} {:>8} {:>9}",
        "scenario", "Tidegate", "best fixed limit", "count", "EWMA", "z-score", "logistic"
    );
    for row in report.scenarios.iter().filter(|row| row.abusive > 0) {
        let fixed = row.best_static.map_or_else(
            || "none".to_owned(),
            |(limit, harm, caught)| {
                format!("{:.1} ({limit}/min, {:.3} % harm)", caught * 100.0, harm * 100.0)
            },
        );
        println!(
            "{:<14} {:>8.1} {:>30} {:>8.1} {:>8.1} {:>8.1} {:>9.1}",
            row.scenario,
            row.caught.value * 100.0,
            fixed,
            row.rules.count * 100.0,
            row.rules.ewma * 100.0,
            row.rules.z_score * 100.0,
            row.rules.logistic * 100.0
        );
    }
    println!(
        "\n{:<14} {:>7} {:>10} {:>9} {:>10} {:>9}",
        "sites", "runs", "legitimate", "denied %", "abusive", "denied %"
    );
    for (style, row) in &report.styles {
        println!(
            "{:<14} {:>7} {:>10} {:>9.3} {:>10} {:>9.1}",
            style,
            row.sites,
            row.counts.legitimate,
            row.counts.harm() * 100.0,
            row.counts.abusive,
            row.counts.caught() * 100.0
        );
    }
    println!(
        "\n{:<14} {:>7} {:>7} {:>10} {:>9} {:>9} {:>7} {:>14}",
        "actor", "abusive", "actors", "requests", "denied %", "harmed %", "odd %", "first denial"
    );
    for (name, family) in &report.families {
        println!(
            "{:<14} {:>7} {:>7} {:>10} {:>9.3} {:>9.2} {:>7.2} {:>14}",
            name,
            if family.abusive { "yes" } else { "" },
            family.actors,
            family.requests,
            ratio(family.denied, family.requests) * 100.0,
            ratio(family.harmed, family.actors) * 100.0,
            ratio(family.odd, family.actors) * 100.0,
            family.median_first_denial.map_or_else(|| "–".into(), |n| format!("request {n}"))
        );
    }
    let percent = |x: Option<f64>| x.map_or_else(|| "–".into(), |x| format!("{:.1} %", x * 100.0));
    let number = |x: Option<f64>| x.map_or_else(|| "–".into(), |x| format!("{x:.4}"));
    println!("\nprecision {:.4}, recall {:.4}", report.precision, report.recall);
    println!(
        "false positives {} ({} of them the site refused or had nothing for), false negatives {}",
        report.false_positives, report.refused_anyway, report.false_negatives
    );
    println!("ROC-AUC {}, PR-AUC {}", number(report.roc_auc), number(report.pr_auc));
    println!(
        "TPR at 0.1 % FPR {}, at 1 % FPR {}",
        percent(report.tpr_at.0),
        percent(report.tpr_at.1)
    );
    println!("calibration error {}, Brier {}", number(report.ece), number(report.brier));
}
