//! Who is told and listed, and when that ends.

use super::*;
use tidegate_engine::{Engine, Policy, Setup};
use tidegate_lab::formats::{Format, Parser};

/// A client whose decisions are made up.
struct Client {
    decision: Decision,
    line: String,
}

fn client(address: &str) -> Client {
    let engine = Engine::new(Policy::default(), Setup { capacity: 1000, ..Setup::default() });
    let line = format!(
        "{address} - - [26/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\""
    );
    let decision = {
        let mut parser = Parser::new(&Format::Combined, &[]).unwrap();
        let record = parser.parse_line(line.as_bytes()).unwrap();
        engine.check(&tidegate_lab::replay::request(&record))
    };
    Client { decision, line }
}

impl Client {
    /// What is told when the client is decided so, at a time in seconds.
    fn heard(&self, clients: &mut Clients, action: Action, seconds: u64) -> Option<Change> {
        self.tell(clients, action, seconds, false)
    }

    fn tell(
        &self,
        clients: &mut Clients,
        action: Action,
        seconds: u64,
        spared: bool,
    ) -> Option<Change> {
        let now = at(seconds);
        let mut decision = self.decision.clone();
        (decision.action, decision.time, decision.spared) = (action, now, spared);
        decision.retry_after = Duration::from_secs(60);
        let mut parser = Parser::new(&Format::Combined, &[]).unwrap();
        let record = parser.parse_line(self.line.as_bytes()).unwrap();
        let mut rules = IdentityRules::default();
        rules.trusted.insert("10.0.0.0/8".parse().unwrap(), ());
        rules.trusted.insert("2001:db8:7:1::5/128".parse().unwrap(), ());
        clients.heard(&decision, now, || {
            (Subject::of(&record, &decision, &rules), vec!["because".to_owned()])
        })
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + seconds)
}

fn listed(clients: &Clients) -> Vec<String> {
    clients.listed().keys().map(ToString::to_string).collect()
}

#[test]
fn changes_are_told_once_and_blocks_end_by_the_clock() {
    let (mut clients, bad) = (Clients::default(), client("198.51.100.7"));
    for mild in [Action::Allow, Action::Raise] {
        assert!(bad.heard(&mut clients, mild, 0).is_none());
    }
    let change = bad.heard(&mut clients, Action::Throttle, 1).unwrap();
    assert_eq!((change.action, change.until), ("throttle", None));
    assert!(listed(&clients).is_empty());
    let change = bad.heard(&mut clients, Action::Block, 2).unwrap();
    assert_eq!(
        change.to_string(),
        format!(
            "1970-01-12T13:46:42Z 198.51.100.7 block risk {:.2} until 1970-01-12T13:47:42Z: because",
            bad.decision.risk
        )
    );
    // Goes on: nothing new, and the block lasts longer.
    assert!(bad.heard(&mut clients, Action::Block, 32).is_none());
    assert_eq!(listed(&clients), ["198.51.100.7"]);
    assert!(clients.end(at(91)).is_empty());
    let over = clients.end(at(92));
    assert_eq!((over.len(), over[0].action), (1, "allow"));
    assert!(listed(&clients).is_empty() && clients.end(at(99)).is_empty());
    // One that heals sooner is let go at once.
    bad.heard(&mut clients, Action::Block, 100).unwrap();
    assert_eq!(bad.heard(&mut clients, Action::Raise, 101).unwrap().action, "allow");
    assert!(listed(&clients).is_empty());
}

#[test]
fn only_addresses_of_clients_are_listed() {
    let mut clients = Clients::default();
    for address in [
        "2001:db8::1:2",
        "::ffff:192.0.2.9",
        "shop.example",
        "10.1.2.3",
        // A hop of this network is trusted, and would be denied with it.
        "2001:db8:7:1::9",
        "127.0.0.1",
        "::1",
    ] {
        assert!(client(address).heard(&mut clients, Action::Block, 0).is_some(), "{address}");
    }
    assert_eq!(listed(&clients), ["192.0.2.9", "2001:db8::/64"]);
    assert_eq!(clients.all().len(), 7);
}

#[test]
fn an_address_is_not_listed_when_others_behind_it_are_spared() {
    let (mut clients, office) = (Clients::default(), client("198.51.100.7"));
    assert!(office.tell(&mut clients, Action::Allow, 0, true).is_none());
    office.heard(&mut clients, Action::Block, 1).unwrap();
    assert_eq!(listed(&clients), ["198.51.100.7"]);
    assert!(office.tell(&mut clients, Action::Allow, 2, true).is_none());
    assert!(office.heard(&mut clients, Action::Block, 3).is_none());
    assert!(listed(&clients).is_empty());
}
