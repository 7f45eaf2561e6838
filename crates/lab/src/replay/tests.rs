//! Replay against logs written for it: what is counted, denied and reported.

use super::*;
use crate::formats::{Format, Parser};
use proptest::prelude::*;

fn line(addr: &str, second: u64, path: &str, status: u16) -> String {
    format!(
        "{addr} - - [18/Jul/2023:13:{:02}:{:02} +0000] \"GET {path} HTTP/1.1\" {status} 90 \"-\" \"x\"",
        second / 60,
        second % 60
    )
}

fn run(lines: &[String]) -> (Replay, Vec<String>) {
    let mut replay = Replay::new(Policy::default(), Some(Engine::default_model().unwrap()));
    let mut parser = Parser::new(&Format::Combined, &[]).unwrap();
    let seen = (1u64..)
        .zip(lines)
        .map(|(number, line)| {
            let record = parser.parse_line(line.as_bytes()).unwrap();
            let d = replay.feed(number, &record);
            format!("{} {:?} {} {} {:?}", d.allowed, d.action, d.risk, d.limit_per_min, d.features)
        })
        .collect();
    (replay, seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_decision_uses_nothing_of_its_own_response(
        steps in prop::collection::vec((0u8..4, 0u64..3, 0u16..20, prop::sample::select(
            vec![200u16, 301, 404, 500])), 1..120),
        other in prop::sample::select(vec![200u16, 401, 403, 404, 429, 503]),
    ) {
        let mut clock = 0;
        let mut lines: Vec<String> = steps.iter().map(|(host, wait, path, status)| {
            clock += wait;
            line(&format!("192.0.2.{host}"), clock, &format!("/p/{path}"), *status)
        }).collect();
        let (_, before) = run(&lines);
        let last = lines.pop().unwrap();
        let (head, _) = last.split_once("HTTP/1.1").unwrap();
        lines.push(format!("{head}HTTP/1.1\" {other} 123456 \"-\" \"x\""));
        prop_assert_eq!(before, run(&lines).1);
    }
}

#[test]
fn an_earlier_response_does_matter() {
    let of = |status| {
        let lines: Vec<_> =
            (0..40).map(|i| line("192.0.2.1", i, &format!("/missing/{i}"), status)).collect();
        run(&lines).1.pop()
    };
    assert_ne!(of(200), of(404));
}

#[test]
fn hosts_without_an_address_are_clients_of_their_own() {
    let lines: Vec<_> =
        (0..9).map(|i| line(["a.example", "b.example", "c.example"][i % 3], 1, "/", 200)).collect();
    assert_eq!(run(&lines).0.report(9).clients, 3);
}

#[test]
fn fixed_limits_are_counted_by_client() {
    let lines: Vec<_> = (0..90).map(|i| line("192.0.2.1", i / 30, "/", 200)).collect();
    let report = run(&lines).0.report(9);
    let row = |limit| report.fixed.iter().find(|row| row.limit_per_min == limit).copied().unwrap();
    assert_eq!((row(10).clients, row(10).denied), (1, 80));
    assert_eq!((row(20).clients, row(20).denied), (1, 70));
    assert_eq!((row(120).clients, row(120).denied), (0, 0));
    assert!(row(10).denied_harmless <= row(10).denied);
    assert_eq!((report.requests, report.clients, report.span_seconds), (90, 1, 2));
    assert_eq!(report.actions.values().sum::<u64>(), 90);
}

#[test]
fn more_clients_than_are_remembered_are_summed_up() {
    let mut clients = Clients::default();
    let (replay, _) = run(&[]);
    let mut record_of = Parser::new(&Format::Combined, &[]).unwrap();
    let text = line("192.0.2.1", 0, "/", 200);
    let record = record_of.parse_line(text.as_bytes()).unwrap();
    let mut decision = replay.engine().check(&record.request());
    for i in 0..clients::MOST as u64 + 10 {
        decision.ticket.client = tidegate_limiter::Key(i);
        decision.allowed = i != 3;
        let twice = u16::from(i % 2 == 0) << 1;
        let who = || Who { name: format!("client {i}"), ..Who::default() };
        clients.add(&decision, twice, who, Why::default);
    }
    let totals = clients.totals();
    assert!(clients.folded() && clients.names().count() < clients::MOST);
    assert_eq!((totals.clients, totals.denied), (clients::MOST as u64 + 10, 1));
    assert_eq!(totals.fixed[0].clients, 0);
    assert_eq!(totals.fixed[1].denied, clients::MOST as u64 / 2 + 5);
    let most = clients.most_denied(5);
    assert_eq!(most.len(), 1, "the denied client is kept");
    assert_eq!(most[0].0.who.name, "client 3");
    assert_eq!(totals.risk.iter().sum::<u64>(), totals.clients);
    assert_eq!(totals.fixed[1].spared, totals.fixed[1].denied, "client 3 is odd");
    assert_eq!(totals.fixed[1].spared_clients, totals.fixed[1].clients);
}

#[test]
fn labels_are_read_and_bad_rows_named() {
    let read = |text: &str| Labels::read(text.as_bytes());
    let labels = read("line,actor,family,abusive\n3,7,scraper,true\r\n1,8,human,false\n").unwrap();
    assert_eq!(labels.len(), 2);
    assert!(labels.get(3).unwrap().abusive && !labels.get(1).unwrap().abusive);
    assert_eq!(labels.get(2), None);
    for (text, row) in [
        ("", "row 1"),
        ("line,abusive\n", "row 1"),
        ("line,actor,family,abusive\n1,2,a,true\nx,2,a,true\n", "row 3"),
        ("line,actor,family,abusive\n0,2,a,true\n", "row 2"),
        ("line,actor,family,abusive\n1,2,a,maybe\n", "row 2"),
        ("line,actor,family,abusive\n1,2,a\n", "row 2"),
        ("line,actor,family,abusive\n1,2,a,true,x\n", "row 2"),
        ("line,actor,family,abusive\n1,,a,true\n", "row 2"),
        ("line,actor,family,abusive\n1,2,a,true\n1,2,a,true\n", "row 3"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with(row), "{text:?}: {error}");
    }
}

#[test]
fn times_have_as_many_digits_as_they_need() {
    assert_eq!(rfc3339(Timestamp::from_secs(1_689_687_856)), "2023-07-18T13:44:16Z");
    assert_eq!(rfc3339(Timestamp::from_nanos(1_500_000_000)), "1970-01-01T00:00:01.5Z");
    assert!(rfc3339(Timestamp::from_nanos(u64::MAX)).starts_with("2554-"));
}
