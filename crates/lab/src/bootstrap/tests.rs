//! What bootstrapping promises, on small simulated logs.

use super::answers::Answer;
use super::gather::Gatherer;
use super::measure::{Plan, measure};
use super::*;
use crate::simulate::{Scenario, generate};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use tidegate_engine::{Engine, Policy};
use tidegate_models::TrainingSet;

/// Six minutes of a site that is scanned, and the addresses of the scanners.
static LOG: LazyLock<(Gathered, BTreeSet<String>)> = LazyLock::new(|| {
    let traffic = generate(Scenario::Scan, 41, 6);
    let mut gatherer = Gatherer::new(&Policy::default(), &["/status".to_owned()]);
    let mut scanners = BTreeSet::new();
    for event in &traffic.events {
        let name = event.addr.to_string();
        if traffic.actor(event).abusive {
            scanners.insert(name.clone());
        }
        gatherer.feed(&event.request(), Some(&event.outcome), |_| name);
    }
    (gatherer.finish(), scanners)
});

#[test]
fn scanners_are_labelled_and_visitors_are_not() {
    let (log, scanners) = &*LOG;
    let found = assess(log, &Answers::default(), 1).expect("enough clients");
    let labelled: BTreeSet<String> = (0..log.clients.len())
        .filter(|at| found.abuse[*at] >= 0.5)
        .map(|at| log.clients[at].name.clone())
        .collect();
    let hits = labelled.intersection(scanners).count();
    assert!(hits * 10 >= scanners.len() * 7, "{hits} of {} scanners", scanners.len());
    assert!((labelled.len() - hits) * 20 <= log.clients.len(), "{labelled:?} but {scanners:?}");
    let again = assess(log, &Answers::default(), 1).expect("enough clients");
    assert_eq!(found.abuse, again.abuse);
}

#[test]
fn answers_outweigh_heuristics_and_are_not_asked_for_again() {
    let (log, _) = &*LOG;
    let before = assess(log, &Answers::default(), 1).expect("enough clients");
    let order = questions::order(&before, &log.clients, 5);
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 5);
    let worst = (0..log.clients.len())
        .max_by(|a, b| before.abuse[*a].total_cmp(&before.abuse[*b]))
        .expect("clients");
    let mut answers = Answers::default();
    answers.add(&log.clients[worst].name, Answer::Harmless).expect("a name");
    answers.add(&log.clients[order[0]].name, Answer::Unknown).expect("a name");
    let after = assess(log, &answers, 1).expect("enough clients");
    assert_eq!((after.abuse[worst], after.source[worst]), (0.0, Source::Answer));
    let next = questions::order(&after, &log.clients, log.clients.len());
    assert!(!next.contains(&order[0]) && !next.contains(&worst));
    assert!(next.len() >= log.clients.len() - 2);
}

#[test]
fn rows_of_the_log_join_simulated_ones_and_an_answer_weighs_more() {
    let (log, _) = &*LOG;
    let simulated = || {
        let mut set = TrainingSet::default();
        for n in 0..200u32 {
            let features = log.clients[0].rows[0].0;
            set.push(features, n % 9 == 0, 1.0, n);
        }
        set
    };
    let weight = |answers: &Answers| {
        let found = assess(log, answers, 1).expect("enough clients");
        let mut set = simulated();
        let added = rows::add(&mut set, log, &found, None).expect("rows");
        assert_eq!((set.len(), set.check().is_ok()), (200 + added, true));
        set.weights[200..].iter().sum::<f32>()
    };
    let unlabelled = weight(&Answers::default());
    assert!(unlabelled > 0.0 && unlabelled < 100.0, "a small log is a small part: {unlabelled}");
    let mut answers = Answers::default();
    for seen in log.clients.iter().take(40) {
        answers.add(&seen.name, Answer::Harmless).expect("a name");
    }
    assert!(weight(&answers) > unlabelled * 1.2, "{} and {unlabelled}", weight(&answers));
}

#[test]
fn what_another_model_contradicts_hardly_counts() {
    let (log, _) = &*LOG;
    let mut found = assess(log, &Answers::default(), 1).expect("enough clients");
    let builtin = Engine::default_model().expect("a model");
    // Everybody is said to abuse, which the built-in model contradicts for most.
    found.abuse.fill(0.99);
    found.source.fill(Source::Heuristics);
    let abusive = |found: &Assessment, other| {
        let mut set = TrainingSet::default();
        for n in 0..200u32 {
            set.push(log.clients[0].rows[0].0, n % 9 == 0, 1.0, n);
        }
        rows::add(&mut set, log, found, other).expect("rows");
        set.weights[200..].iter().sum::<f32>()
    };
    // The doubted make the log's part smaller, for it is a part by what is certain of it.
    let all = abusive(&found, None);
    let doubted = abusive(&found, Some(&builtin));
    assert!(doubted < all * 0.7, "{doubted} of {all}");
    found.source.fill(Source::Answer);
    let (told, again) = (abusive(&found, None), abusive(&found, Some(&builtin)));
    assert!((told - again).abs() < 1e-3 * told, "answers are not doubted: {told} and {again}");
}

#[test]
fn a_log_that_teaches_nothing_is_told_so() {
    let (log, _) = &*LOG;
    let few = Gathered { clients: log.clients[..10].to_vec(), ..Gathered::default() };
    let error = assess(&few, &Answers::default(), 1).err().expect("too few").to_string();
    assert!(error.contains("10 clients") && error.contains("30"), "{error}");
    let harmless = Gathered { clients: vec![log.clients[0].clone(); 40], ..Gathered::default() };
    let mut found = assess(&harmless, &Answers::default(), 1).expect("enough clients");
    found.abuse.fill(0.0);
    let error =
        rows::add(&mut TrainingSet::default(), &harmless, &found, None).expect_err("no abuse");
    assert!(error.to_string().contains("--logs-only"), "{error}");
}

#[test]
fn traps_of_the_operator_count_whatever_they_answer() {
    let (log, _) = &*LOG;
    let asked = |seen: &&gather::Seen| seen.traps > 0;
    let trapped = log.clients.iter().filter(asked).count();
    let mut gatherer = Gatherer::new(&Policy::default(), &["/".to_owned()]);
    let traffic = generate(Scenario::Quiet, 41, 1);
    for event in traffic.events.iter().take(50) {
        gatherer.feed(&event.request(), Some(&event.outcome), |_| String::new());
    }
    let all = gatherer.finish();
    assert!(all.clients.iter().all(|seen| seen.traps == seen.requests && seen.traps > 0));
    assert!(trapped < log.clients.len());
}

#[test]
fn the_measurement_adds_up() {
    let plan = Plan { seeds: vec![31, 32], minutes: 4, scenario: Scenario::Mixed, answers: 20 };
    let builtin = Engine::default_model().expect("a model");
    let report = measure(&plan, &TrainingSet::default(), &builtin, |_, _| {}).expect("two sites");
    assert_eq!(report.sites, 2);
    assert_eq!(report.all.hits + report.all.missed, report.abusive);
    assert_eq!(report.sources.iter().map(|(_, clients, _)| clients).sum::<usize>(), report.clients);
    assert_eq!(report.steps.iter().map(|step| step.answers).collect::<Vec<_>>(), [0, 10, 20]);
    let last = report.steps[2];
    assert!(last.active.f1() > report.all.f1(), "{last:?} after {:?}", report.all);
    assert!(report.models.iter().any(|row| row.trained_on == "built in"));
}
