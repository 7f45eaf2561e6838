//! The page at its worst and at its emptiest, and where reports may be written.

use super::document::{Document, NextStep, PolicyFacts, Tier};
use super::{Form, Target, html, markdown};
use crate::replay::{Reading, Unparsable};
use std::collections::BTreeMap;
use std::path::Path;
use tidegate_lab::replay::{
    CLIENT_BUCKETS, ClientRow, FixedRow, GroupRow, LabelFamily, LabelReport, RaisedFixed,
    RaisedRow, Report, RiskRow, RouteRow, SITE_BUCKETS, Timeline,
};

/// What a report of any log may weigh, in bytes.
const HEAVIEST: usize = 300_000;

/// Each character of it takes six when it is escaped.
fn hostile() -> String {
    "\"><script>alert('x')</script>".chars().chain(std::iter::repeat_n('"', 400)).collect()
}

fn timeline(points: usize) -> Timeline {
    Timeline {
        bucket_seconds: 300,
        from: "2023-07-18T13:45:00Z".into(),
        requests: (0..points as u64).map(|at| 9_000_000_000 + at * 7919).collect(),
        denied: (0..points as u64).map(|at| 4_000_000_000 + at * 7907).collect(),
    }
}

/// What takes most room of all that can be said of a client.
fn longest_reasons() -> Vec<String> {
    let mut reasons: Vec<_> = tidegate_behavior::schema::SCHEMA
        .iter()
        .map(|feature| format!("{} ({} -0.12)", feature.words, feature.name))
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.len()));
    reasons.truncate(3);
    reasons
}

/// More of everything than a log can bring about.
fn heaviest() -> Report {
    let time = || "2023-07-18T13:44:16.123456789Z".to_owned();
    let client = ClientRow {
        client: hostile(),
        user_agent: hostile(),
        requests: u64::MAX,
        denied: u64::MAX / 3,
        first_denied: time(),
        first_denied_request: u64::MAX,
        last_denied: time(),
        last_action: "throttle",
        peak_risk: 0.987_654,
        limit_per_min: Some(10.0),
        rule: hostile(),
        only_fast: false,
        why: longest_reasons(),
        routes: vec![hostile(); 3],
        timeline: timeline(CLIENT_BUCKETS),
    };
    let group = GroupRow {
        reason: hostile(),
        route: hostile(),
        clients: u64::MAX,
        requests: u64::MAX,
        denied: u64::MAX,
        first_denied: time(),
        last_denied: time(),
        examples: vec![hostile(); 3],
    };
    let limits = [10, 20, 60, 120, 200, 300, 600, 1200, 2400, 6000];
    let raised = RaisedRow {
        client: hostile(),
        user_agent: hostile(),
        requests: u64::MAX,
        highest_limit_per_min: 6000.0,
        fixed: limits.map(|limit_per_min| RaisedFixed { limit_per_min, denied: 1 }).to_vec(),
    };
    let route = RouteRow {
        route: hostile(),
        requests: u64::MAX,
        denied: u64::MAX,
        client_errors: u64::MAX,
        server_errors: u64::MAX,
    };
    let fixed = |limit_per_min| FixedRow {
        limit_per_min,
        denied: u64::MAX,
        clients: u64::MAX,
        denied_harmless: u64::MAX,
        denied_of_denied_clients: u64::MAX,
        denied_of_spared_clients: u64::MAX,
        spared_clients: u64::MAX,
    };
    let family = LabelFamily { family: hostile(), abusive: true, ..LabelFamily::default() };
    let labels = LabelReport {
        lines: u64::MAX,
        precision: 0.5,
        recall: 0.5,
        false_positives: u64::MAX,
        false_negatives: u64::MAX,
        harm: 0.5,
        best_fixed: Some((60, 0.1, 0.2)),
        families: vec![family; 500],
    };
    let risk = |at: u64| RiskRow {
        from: at as f64 / 20.0,
        to: (at + 1) as f64 / 20.0,
        clients: u64::MAX,
        requests: u64::MAX,
    };
    Report {
        requests: u64::MAX,
        clients: u64::MAX,
        clients_approximate: true,
        from: Some(time()),
        to: Some(time()),
        span_seconds: u64::MAX,
        shadow: true,
        denied: u64::MAX / 3,
        clients_denied: u64::MAX / 2,
        timeline: timeline(SITE_BUCKETS),
        // As if every part of it were full, without a sum that overflows.
        risk: (0..20).map(|at| RiskRow { clients: 1 << 40, ..risk(at) }).collect(),
        actions: BTreeMap::new(),
        most_denied: vec![client; 50],
        groups_found: u64::MAX,
        groups: vec![group; 10],
        clients_raised: u64::MAX,
        most_raised: vec![raised; 10],
        routes_found: u64::MAX,
        routes: vec![route; 25],
        fixed: limits.map(fixed).to_vec(),
        labels: Some(labels),
    }
}

fn empty() -> Report {
    Report {
        requests: 0,
        clients: 0,
        clients_approximate: false,
        from: None,
        to: None,
        span_seconds: 0,
        denied: 0,
        clients_denied: 0,
        timeline: Timeline::default(),
        risk: Vec::new(),
        most_denied: Vec::new(),
        groups: Vec::new(),
        most_raised: Vec::new(),
        routes: Vec::new(),
        fixed: Vec::new(),
        labels: None,
        ..heaviest()
    }
}

fn document(found: &Report) -> Document<'_> {
    let bad = || Unparsable { file: hostile(), line: u64::MAX, reason: hostile() };
    Document {
        tidegate_version: "0.0.0",
        reading: Reading {
            files: (0..50).map(|_| hostile()).collect(),
            format: hostile(),
            lines: u64::MAX,
            unparsable: u64::MAX / 2,
            first_unparsable: (0..10).map(|_| bad()).collect(),
        },
        policy: PolicyFacts {
            config: Some(hostile()),
            in_force: true,
            model: hostile(),
            mode: "shadow",
            adaptive: true,
            throttle_from_risk: 0.5,
            block_from_risk: 0.8,
            tiers: vec![Tier { tier: "new", limit_per_min: 1200.0, burst: 600 }],
            in_words: vec![hostile(); 500],
        },
        found,
        next_steps: vec![
            NextStep { what: "do", command: hostile() },
            NextStep { what: "do", command: hostile() },
            NextStep { what: "do", command: hostile() },
        ],
    }
}

#[test]
fn the_heaviest_page_stays_within_its_bound_and_holds_no_tag_of_the_log() {
    let report = heaviest();
    let page = html::page(&document(&report));
    assert!(page.len() <= HEAVIEST, "{} bytes", page.len());
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    assert!(page.contains("default-src 'none'"));
    let text = markdown::text(&document(&report)).expect("a string");
    assert!(text.len() <= HEAVIEST, "{} bytes", text.len());
}

#[test]
fn an_empty_log_has_a_report_too() {
    let report = empty();
    let page = html::page(&document(&report));
    assert!(page.contains("No request could be read from the log."), "{page}");
    assert!(page.contains("Lines that could not be read") && !page.contains("<svg"));
    let text = markdown::text(&document(&report)).expect("a string");
    assert!(text.contains("No request could be read from the log."), "{text}");
}

#[test]
fn the_ending_of_a_name_says_what_is_written() {
    for (path, form) in [
        ("a.html", Form::Html),
        ("a.b.HTM", Form::Html),
        ("a.md", Form::Markdown),
        ("a.json", Form::Json),
    ] {
        assert_eq!(Target::new(Path::new(path)).expect("a target").form, form, "{path}");
    }
    for path in ["report.pdf", "report", "-", ".html"] {
        let error = Target::new(Path::new(path)).expect_err(path).to_string();
        assert!(error.contains(".html, .md or .json") && error.contains(path), "{error}");
    }
    let error = Target::new(Path::new("/no/such/folder/a.html")).expect_err("no folder");
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
}
