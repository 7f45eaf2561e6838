//! What every seed and scenario promises.

use super::actor::FAMILIES;
use super::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;
use tidegate_behavior::Answer;
use tidegate_behavior::path::{self, Kind};

/// Some logs know the second only.
const SECOND: Duration = Duration::from_secs(1);

/// The families that were seen in some traffic.
fn seen(traffic: &Traffic) -> BTreeSet<&'static str> {
    traffic.events.iter().map(|event| traffic.actor(event).family).collect()
}

/// A cheap set of simulations that the tests share: every scenario with two seeds whose sites everybody
/// visits and whose logs tell everything.
static SEVERAL: LazyLock<Vec<(Scenario, u64, Traffic)>> = LazyLock::new(|| {
    let usual = |seed: &u64| {
        let traffic = generate(Scenario::Quiet, *seed, 3);
        let seen = seen(&traffic);
        let everybody = FAMILIES
            .iter()
            .filter(|family| !family.abusive() && family.name() != "crowd")
            .all(|family| seen.contains(family.name()));
        everybody && traffic.events.iter().all(|event| event.outcome.duration.is_some())
    };
    let seeds: Vec<u64> = (0..).filter(usual).take(2).collect();
    let each = |scenario| {
        let traffic = |&seed: &u64| (scenario, seed, generate(scenario, seed, 3));
        seeds.iter().map(traffic).collect::<Vec<_>>()
    };
    Scenario::ALL.into_iter().flat_map(each).collect()
});

/// Other sites, each with some of the attacks.
static ELSEWHERE: LazyLock<Vec<Traffic>> =
    LazyLock::new(|| (100..132).map(|seed| generate(Scenario::Mixed, seed, 3)).collect());

fn written(traffic: &Traffic) -> (Vec<u8>, String) {
    let (mut log, mut labels) = (Vec::new(), Vec::new());
    write::write_log(traffic, &mut log).expect("memory does not fail");
    write::write_labels(traffic, &mut labels).expect("memory does not fail");
    (log, String::from_utf8(labels).expect("labels are ASCII"))
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() {
    let bytes = |seed| written(&generate(Scenario::Mixed, seed, 2));
    assert_eq!(bytes(11), bytes(11));
    assert_ne!(bytes(11), bytes(12));
}

#[test]
fn names_are_parsed_back() {
    for scenario in Scenario::ALL {
        assert_eq!(Scenario::parse(scenario.name()), Some(scenario));
    }
    assert_eq!(Scenario::names().collect::<BTreeSet<_>>().len(), Scenario::ALL.len());
    assert_eq!(Scenario::parse("nothing"), None);
}

#[test]
fn events_are_in_order_within_the_window_and_say_what_a_server_could_say() {
    for (scenario, seed, traffic) in SEVERAL.iter() {
        let end = traffic.start.plus(traffic.length);
        assert!(traffic.events.is_sorted_by_key(|event| event.time), "{scenario:?} {seed}");
        for event in &traffic.events {
            assert!(
                event.time.plus(SECOND) >= traffic.start && event.time <= end,
                "{scenario:?} {seed}: {event:?}"
            );
            assert!((200..=599).contains(&event.outcome.status), "{scenario:?} {seed}: {event:?}");
            assert!(
                event.path.starts_with('/') && !event.path.contains(' '),
                "{scenario:?} {seed}: {event:?}"
            );
            assert!(event.outcome.duration.is_some_and(|d| d <= Duration::from_secs(61)));
        }
    }
}

fn abusive(name: &str) -> bool {
    FAMILIES.iter().any(|family| family.name() == name && family.abusive())
}

#[test]
fn every_family_plays_where_it_should_and_no_other() {
    for (scenario, seed, traffic) in SEVERAL.iter() {
        let seen = seen(traffic);
        let attacks = scenario.attacks(&mut Dice::new(0, 0));
        for family in FAMILIES {
            let expected = match family.name() {
                "crowd" => scenario.crowded(),
                name if family.abusive() => {
                    // Which ones these hold is drawn.
                    if matches!(
                        scenario,
                        Scenario::CrowdAttack | Scenario::Mixed | Scenario::Insider
                    ) {
                        continue;
                    }
                    attacks.contains(&name)
                }
                _ => true,
            };
            assert_eq!(
                seen.contains(family.name()),
                expected,
                "{} in {scenario:?} {seed}",
                family.name()
            );
        }
        let attacks: BTreeSet<&str> = seen.into_iter().filter(|name| abusive(name)).collect();
        match scenario {
            Scenario::CrowdAttack | Scenario::Insider => {
                assert_eq!(attacks.len(), 1, "{seed}: {attacks:?}");
            }
            Scenario::Mixed => assert_eq!(attacks.len(), 7, "{seed}: {attacks:?}"),
            _ => {}
        }
    }
}

#[test]
fn one_site_in_five_has_plain_clients_and_some_have_nobody_else() {
    let (mut some, mut alone) = (0, 0);
    for seed in 0..80 {
        let traffic = generate(Scenario::Quiet, seed, 1);
        let seen = seen(&traffic);
        some += usize::from(seen.contains("plain"));
        if seen.len() == 1 && seen.contains("plain") {
            alone += 1;
            // Nothing of a visit: no page that leads to the next, and none of what pages need.
            let referers: BTreeSet<&str> =
                traffic.events.iter().map(|event| &*event.referer).collect();
            assert!(referers.len() <= 1, "seed {seed}: {referers:?}");
            let assets = |event: &Event| path::read(&event.path).kind == Kind::Asset;
            assert!(!traffic.events.iter().any(assets), "seed {seed}");
        }
    }
    assert!((8..28).contains(&some) && (4..some).contains(&alone), "{some}, {alone} alone");
}

#[test]
fn attacks_begin_once_there_is_history() {
    for (scenario, seed, traffic) in SEVERAL.iter() {
        if *scenario == Scenario::Mixed {
            continue;
        }
        let quiet = 0.2;
        let early = traffic.start.plus(traffic.length.mul_f64(quiet)).as_nanos() - 1_000_000_000;
        for event in &traffic.events {
            assert!(
                !traffic.actor(event).abusive || event.time.as_nanos() >= early,
                "{scenario:?} {seed}: {event:?}"
            );
        }
    }
}

#[test]
fn labels_are_those_of_the_lines() {
    let traffic = generate(Scenario::Mixed, 5, 2);
    let (log, labels) = written(&traffic);
    let log = String::from_utf8(log).expect("UTF-8");
    let mut rows = labels.lines();
    assert_eq!(rows.next(), Some("line,actor,family,abusive"));
    let mut count = 0;
    for ((n, row), (line, event)) in (1..).zip(rows).zip(log.lines().zip(&traffic.events)) {
        let actor = traffic.actor(event);
        assert_eq!(row, format!("{n},{},{},{}", actor.id, actor.family, actor.abusive));
        let read: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
        assert_eq!(read["path"], *event.path);
        assert_eq!(read["client_ip"], event.addr.to_string());
        assert_eq!(read["status"], event.outcome.status);
        assert_eq!(read.get("user").and_then(|user| user.as_str()), event.user.as_deref());
        assert_eq!(read["user_agent"].as_str().unwrap_or(""), &*event.user_agent);
        count = n;
    }
    assert_eq!(count, traffic.events.len());
}

#[test]
fn attackers_hide_in_agents_header_fields_routes_and_answers_of_all() {
    // Of the requests of each family of attackers that show it, those in which the agent, the header
    // fields, the route, the method with its status are what some harmless visitor of the same site has as
    // well: the least that any family has, and that they have on average. What a small site's few visitors
    // have not shown in three minutes counts against the share.
    type Seen = (&'static str, fn(&Event) -> Option<String>, f64, f64);
    let seen: [Seen; 4] = [
        (
            "agent",
            |event| Some(event.user_agent.to_string()).filter(|agent| !agent.is_empty()),
            0.02,
            0.3,
        ),
        // A family has one kind of software on a site, and few sites see header fields.
        (
            "header fields",
            |event| Some(event.header_shape.to_string()).filter(|x| x != "0"),
            -1.0,
            0.3,
        ),
        (
            "route",
            |event| {
                let target = path::read(&event.path);
                Some(format!("{:?}", &target.segments[..usize::from(target.len)]))
            },
            0.2,
            0.5,
        ),
        ("answer", |event| Some(format!("{} {:?}", event.outcome.status, event.method)), 0.4, 0.8),
    ];
    for (what, of, least, mean) in seen {
        let mut families: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for traffic in ELSEWHERE.iter() {
            assert!(traffic.actors.iter().enumerate().all(|(i, actor)| actor.id as usize == i));
            let all = |abusive: bool| {
                traffic.events.iter().filter(move |event| traffic.actor(event).abusive == abusive)
            };
            let known: BTreeSet<String> = all(false).filter_map(of).collect();
            for event in all(true) {
                if let Some(value) = of(event) {
                    let (shared, all) = families.entry(traffic.actor(event).family).or_default();
                    *shared += f64::from(u8::from(known.contains(&value)));
                    *all += 1.0;
                }
            }
        }
        families.retain(|_, (_, all)| *all >= 200.0);
        assert!(families.len() >= 10, "{what}: {families:?}");
        let shares = families.values().map(|(shared, all)| shared / all);
        let lowest = shares.clone().fold(1.0, f64::min);
        let average = shares.sum::<f64>() / families.len() as f64;
        assert!(lowest > least && average > mean, "{what}: {lowest}, {average}: {families:?}");
    }
}

#[test]
fn rates_of_attackers_lie_among_those_of_all() {
    // The number of requests an actor sends in the minute after its first, by family.
    let mut harmless: Vec<u32> = Vec::new();
    let mut families: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for traffic in ELSEWHERE.iter() {
        let mut counts: HashMap<u32, (Timestamp, u32)> = HashMap::new();
        for event in &traffic.events {
            let (first, count) = counts.entry(event.actor).or_insert((event.time, 0));
            *count += u32::from(event.time < first.plus(Duration::from_secs(60)));
        }
        for (actor, (_, count)) in counts {
            let actor = traffic.actors[actor as usize];
            if actor.abusive {
                families.entry(actor.family).or_default().push(count);
            } else {
                harmless.push(count);
            }
        }
    }
    harmless.sort_unstable();
    let at = |part: f64| harmless[(harmless.len() as f64 * part) as usize];
    let (low, high) = (at(0.01), at(0.995));
    // But for a flood, which is what it is by its rate, and a key in a hundred hands.
    families.retain(|family, _| !matches!(*family, "flood" | "sharing"));
    for (family, counts) in families {
        let within = counts.iter().filter(|count| (low..=high).contains(count)).count();
        assert!(within * 10 >= counts.len() * 4, "{family}: {within} of {}", counts.len());
    }
}

#[test]
fn legitimate_clients_keep_to_their_rates() {
    for (scenario, seed, traffic) in SEVERAL.iter() {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for event in &traffic.events {
            *counts.entry(event.actor).or_default() += 1;
        }
        let seconds = traffic.length.as_secs_f64();
        for (actor, count) in counts {
            let rate = count as f64 / seconds;
            let most = match traffic.actors[actor as usize].family {
                "integration" => 60.0,
                "crawler" => 8.0,
                "monitor" => 1.0,
                _ => continue,
            };
            // Retries in an outage come on top.
            assert!(rate <= most * 4.0, "{scenario:?} {seed}: actor {actor} at {rate} a second");
        }
    }
}

#[test]
fn a_deploy_leaves_dead_assets_and_an_outage_leaves_errors() {
    let share = |scenario, wanted: fn(&Event) -> bool| {
        let (mut hits, mut all) = (0usize, 0usize);
        for seed in 0..24 {
            let traffic = generate(scenario, seed, 2);
            hits += traffic.events.iter().filter(|event| wanted(event)).count();
            all += traffic.events.len();
        }
        hits as f64 / all as f64
    };
    let failed = |event: &Event| event.outcome.status >= 500;
    assert!(share(Scenario::Outage, failed) > 4.0 * share(Scenario::Quiet, failed));
    let missing =
        |event: &Event| event.outcome.status == 404 && path::read(&event.path).kind == Kind::Asset;
    assert!(share(Scenario::Deploy, missing) > share(Scenario::Quiet, missing));
}

#[test]
fn who_keeps_a_connection_notices_an_outage_at_once() {
    // Apps that ask in the half second from the beginning of an outage on, and in that before it.
    let (mut before, mut after) = (0, 0);
    for seed in 0..40 {
        let traffic = generate(Scenario::Outage, seed, 10);
        let down = traffic.start.as_nanos() + (traffic.outages[0].from * 1e9) as u64;
        let asked = |from: u64, to: u64| {
            let apps = traffic.events.iter().filter(|e| traffic.actor(e).family == "mobile");
            let then = apps.filter(|event| (from..to).contains(&event.time.as_nanos()));
            then.map(|event| event.actor).collect::<BTreeSet<u32>>().len()
        };
        before += asked(down - 500_000_000, down);
        after += asked(down, down + 500_000_000);
    }
    assert!(before > 10 && after > before * 2, "{before} before and {after} after");
}

#[test]
fn a_day_has_what_takes_hours() {
    const HOUR: u64 = 3_600_000_000_000;
    let day = |scenario, seed| {
        let traffic = generate(scenario, seed, 1440);
        let mut times: HashMap<u32, Vec<u64>> = HashMap::new();
        for event in &traffic.events {
            times.entry(event.actor).or_default().push(event.time.as_nanos());
        }
        (traffic, times)
    };
    let rests = |times: &[u64]| times.windows(2).filter(|pair| pair[1] - pair[0] > HOUR).count();
    let (mut returned, mut tried, mut visited) = (0, 0, 0);
    for seed in 0..6 {
        let (traffic, times) = day(Scenario::Bruteforce, seed);
        assert!(traffic.events.len() < 1_000_000, "seed {seed}: {}", traffic.events.len());
        for (actor, times) in times {
            match traffic.actors[actor as usize].family {
                "bruteforce" => returned += usize::from(rests(&times) > 0),
                "visitor" => visited += usize::from(rests(&times) > 0),
                _ => {}
            }
        }
        let (traffic, times) = day(Scenario::SlowStuffing, seed);
        let patient = |id: &u32| traffic.actors[*id as usize].family == "patient";
        tried += times.iter().filter(|(id, times)| patient(id) && rests(times) > 0).count();
    }
    assert!(returned > 0 && tried > 20 && visited > 20, "{returned}, {tried}, {visited}");
}

#[test]
fn some_crawlers_come_from_where_their_operators_say_and_none_who_only_claims_to() {
    let published = crawlers::published();
    let mut sites = 0;
    for seed in 0..40 {
        let traffic = generate(Scenario::Scrape, seed, 3);
        let named = traffic.events.iter().filter(|event| published.get(event.addr).is_some());
        let mut some = false;
        for event in named {
            some = true;
            assert_eq!(traffic.actor(event).family, "crawler", "{seed}");
            assert_eq!(traffic.reputation.get(event.addr), Some(&-1));
        }
        sites += usize::from(some);
    }
    assert!((5..30).contains(&sites), "{sites} of 40");
}

#[test]
fn what_is_open_asks_on_alone_in_crowds_and_many_from_one_address() {
    let (mut sites, mut patient, mut told, mut shared) = (0, 0, 0, 0);
    for seed in 0..60 {
        let traffic = generate(Scenario::Quiet, seed, 5);
        let mut asked: BTreeMap<(u32, &str), BTreeSet<&str>> = BTreeMap::new();
        let mut calls: BTreeMap<(u32, &str), usize> = BTreeMap::new();
        let mut agents: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
        for event in traffic.events.iter().filter(|event| traffic.actor(event).family == "live") {
            assert!(!traffic.actor(event).abusive);
            let path = event.path.split('?').next().unwrap_or_default();
            asked.entry((event.actor, path)).or_default().insert(&event.path);
            *calls.entry((event.actor, path)).or_default() += 1;
            agents.entry(event.actor).or_default().insert(&event.user_agent);
        }
        sites += usize::from(!calls.is_empty());
        // The same again and again, and the same told from the call before.
        let often = |key: &(u32, &str)| calls[key] >= 10;
        patient += asked.iter().filter(|(key, paths)| often(key) && paths.len() == 1).count();
        told += asked.iter().filter(|(key, paths)| often(key) && paths.len() >= 10).count();
        shared += agents.values().filter(|agents| agents.len() >= 2).count();
    }
    assert!((12..36).contains(&sites), "{sites} sites");
    assert!(patient > 0 && told > 0 && shared > 0, "{patient}, {told}, {shared}");
}

#[test]
fn keys_in_pages_tabs_left_open_hooks_in_bunches_and_previews_are_there() {
    let (mut keys, mut tabs, mut hooks, mut previews) = (0, 0, 0, 0);
    for seed in 0..200 {
        let traffic = generate(Scenario::Quiet, seed, 3);
        // By actor: its addresses, those it posts events from, and how often it is refused.
        let mut from: BTreeMap<u32, BTreeSet<_>> = BTreeMap::new();
        let mut posts: BTreeMap<u32, BTreeSet<_>> = BTreeMap::new();
        let mut refused: BTreeMap<u32, usize> = BTreeMap::new();
        let mut robots: BTreeMap<(&str, u32), usize> = BTreeMap::new();
        let mut polite: BTreeSet<u32> = BTreeSet::new();
        for event in &traffic.events {
            let hooked = ["/hooks/", "/webhook/", "/callback/", "/ingest/", "/events/"];
            match traffic.actor(event).family {
                "integration"
                    if event.method == Method::Post
                        && hooked.iter().any(|path| event.path.starts_with(path)) =>
                {
                    posts.entry(event.actor).or_default().insert(event.addr);
                }
                "integration" if event.referer.ends_with(".com/") => {
                    from.entry(event.actor).or_default().insert(event.addr);
                }
                "worker" if event.outcome.answer() == Answer::Refused => {
                    *refused.entry(event.actor).or_default() += 1;
                }
                "crawler" if &*event.path == "/robots.txt" => drop(polite.insert(event.actor)),
                "crawler" => *robots.entry((&event.path, event.actor)).or_default() += 1,
                _ => {}
            }
        }
        keys += from.values().filter(|addresses| addresses.len() >= 8).count();
        hooks += posts.values().filter(|addresses| addresses.len() >= 2).count();
        tabs += refused.values().filter(|count| **count >= 5).count();
        let mut looks: BTreeMap<&str, usize> = BTreeMap::new();
        for (path, _) in robots.keys().filter(|(_, actor)| !polite.contains(actor)) {
            *looks.entry(path).or_default() += 1;
        }
        previews += looks.values().filter(|count| **count >= 4).count();
    }
    assert!(
        keys > 0 && tabs > 0 && hooks > 0 && previews > 0,
        "{keys} keys, {tabs} tabs, {hooks} hooks, {previews} previews"
    );
}

#[test]
fn one_account_may_walk_from_many_addresses() {
    let shared = (0..12).any(|seed| {
        let traffic = generate(Scenario::Enumeration, seed, 3);
        let mut addresses: HashMap<&str, BTreeSet<IpAddr>> = HashMap::new();
        for event in &traffic.events {
            if let (Some(key), "enumeration") = (&event.credential, traffic.actor(event).family) {
                addresses.entry(key).or_default().insert(event.addr);
            }
        }
        addresses.values().any(|addresses| addresses.len() > 2)
    });
    assert!(shared);
}

#[test]
fn a_flood_is_quick_and_a_botnet_is_many() {
    let mut sizes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for seed in 0..4 {
        for (scenario, family) in [(Scenario::Flood, "flood"), (Scenario::Botnet, "botnet")] {
            let traffic = generate(scenario, seed, 5);
            let sources = traffic.actors.iter().filter(|actor| actor.family == family).count();
            sizes.entry(family).or_default().push(sources);
        }
    }
    let most = |family: &str| sizes[family].iter().max().copied().unwrap_or(0);
    let least = |family: &str| sizes[family].iter().min().copied().unwrap_or(0);
    assert!(most("flood") <= 120, "{sizes:?}");
    // Driven browsers are fewer.
    assert!(least("botnet") >= 20 && most("botnet") > 200, "{sizes:?}");
}

#[test]
fn scenarios_of_a_seed_share_their_site_and_their_legitimate_cast() {
    let cast = |scenario| {
        let traffic = generate(scenario, 21, 2);
        let sent = |event: &&Event| !traffic.actor(event).abusive;
        traffic.events.iter().filter(sent).map(|event| event.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(cast(Scenario::Quiet), cast(Scenario::Scan));
}

#[test]
fn files_are_those_of_the_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let traffic = generate(Scenario::Quiet, 2, 1);
    write(&traffic, &dir.path().join("new")).expect("a writable folder");
    let read = |name| std::fs::read(dir.path().join("new").join(name)).expect(name);
    let (log, labels) = written(&traffic);
    assert_eq!((read("traffic.jsonl"), read("labels.csv")), (log, labels.into_bytes()));
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let error = write(&traffic, &file.join("below")).expect_err("a file is no folder");
    assert!(error.to_string().contains("below"), "{error}");
}
