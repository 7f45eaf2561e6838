//! Denied clients put together by what spoke against them and what they asked for: incidents.

use super::clients::{Client, Denials, Why};
use super::report::GroupRow;
use super::rfc3339;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tidegate_limiter::Timestamp;

/// How many clients stand for a group.
const EXAMPLES: usize = 3;
/// What a group is told by whose clients did nothing wrong but to ask too fast.
const ONLY_FAST: &str = "asked faster than its own limit";

/// Clients first denied on one route for one main reason.
struct Group<'a> {
    clients: u64,
    requests: u64,
    denied: u64,
    first: Timestamp,
    last: Timestamp,
    /// The most denied, with their names.
    examples: Vec<(Reverse<u64>, &'a str)>,
}

/// The main reason, without the figures that differ from client to client.
fn main_reason(why: &Why) -> &str {
    if why.only_fast {
        return ONLY_FAST;
    }
    why.reasons.first().map_or(why.rule.as_str(), |reason| match reason.rsplit_once(" (") {
        Some((words, figures)) if figures.ends_with(')') => words,
        _ => reason,
    })
}

/// How many groups there are, and the `most` of which most was denied.
pub(super) fn groups<'a>(
    denied: impl Iterator<Item = (&'a Client, &'a Denials)>,
    most: usize,
    route: impl Fn(u16) -> String,
) -> (u64, Vec<GroupRow>) {
    let mut groups: BTreeMap<(&str, u16), Group<'_>> = BTreeMap::new();
    for (client, denials) in denied {
        let key = (main_reason(&denials.why), denials.route);
        let group = groups.entry(key).or_insert(Group {
            clients: 0,
            requests: 0,
            denied: 0,
            first: denials.first,
            last: denials.last,
            examples: Vec::with_capacity(EXAMPLES + 1),
        });
        group.clients += 1;
        group.requests += client.requests;
        group.denied += client.denied;
        group.first = group.first.min(denials.first);
        group.last = group.last.max(denials.last);
        let example = (Reverse(client.denied), client.who.name.as_str());
        let at = group.examples.partition_point(|other| *other < example);
        group.examples.insert(at, example);
        group.examples.truncate(EXAMPLES);
    }
    let found = groups.len() as u64;
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| Reverse(group.denied));
    groups.truncate(most);
    let row = |((reason, at), group): ((&str, u16), Group<'_>)| GroupRow {
        reason: reason.to_owned(),
        route: route(at),
        clients: group.clients,
        requests: group.requests,
        denied: group.denied,
        first_denied: rfc3339(group.first),
        last_denied: rfc3339(group.last),
        examples: group.examples.into_iter().map(|(_, name)| name.to_owned()).collect(),
    };
    (found, groups.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::super::clients::Who;
    use super::*;

    fn client(name: &str, denied: u64, second: u64, route: u16, why: Why) -> (Client, Denials) {
        let who = Who { name: name.into(), ..Who::default() };
        let client = Client { who, requests: denied + 1, denied, ..Client::default() };
        let (first, last) = (Timestamp::from_secs(second), Timestamp::from_secs(second + 9));
        (client, Denials { first, last, request: 2, route, why })
    }

    #[test]
    fn clients_with_one_reason_on_one_route_are_one_group() {
        let because = |reason: &str| Why { reasons: vec![reason.into()], ..Why::default() };
        let fast = Why { only_fast: true, ..because("request rate (rate_1m 9000)") };
        let rows = [
            client("a", 5, 10, 1, because("a sudden crowd (surge 3.00)")),
            client("b", 9, 30, 1, because("a sudden crowd (surge 4.50)")),
            client("c", 7, 20, 1, because("a sudden crowd (surge 0.10)")),
            client("d", 6, 20, 1, because("a sudden crowd (surge 0.10)")),
            client("e", 8, 20, 2, because("a sudden crowd (surge 0.10)")),
            client("f", 40, 20, 1, fast),
            client("g", 1, 20, 1, Why { rule: "login".into(), ..Why::default() }),
        ];
        let rows = || rows.iter().map(|(client, denials)| (client, denials));
        let (found, all) = groups(rows(), 9, |route| format!("route {route}"));
        assert_eq!((found, all.len()), (4, 4));
        assert_eq!((all[0].reason.as_str(), all[0].denied), (ONLY_FAST, 40));
        let crowd = &all[1];
        assert_eq!((crowd.reason.as_str(), crowd.route.as_str()), ("a sudden crowd", "route 1"));
        assert_eq!((crowd.clients, crowd.requests, crowd.denied), (4, 31, 27));
        assert_eq!(crowd.examples, ["b", "c", "d"], "the most denied");
        assert_eq!(crowd.first_denied, "1970-01-01T00:00:10Z");
        assert_eq!(crowd.last_denied, "1970-01-01T00:00:39Z");
        assert_eq!(all[3].reason, "login");
        let (found, few) = groups(rows(), 1, |_| String::new());
        assert_eq!((found, few.len()), (4, 1));
    }
}
