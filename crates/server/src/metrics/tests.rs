//! What is written for Prometheus, read back: names, labels and their bounds, and the reference made
//! of it.

use super::*;
use crate::background::Role;
use crate::decisions::Via;
use crate::shared::{Live, Shared};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use tidegate_behavior::{Outcome, Request};
use tidegate_engine::Setup;
use tidegate_engine::stats::MOST_NAMED;

const ROLES: [&str; 3] = ["in_line", "advisor", "challenger"];

/// What bounds the values of a label: those there are, or a reason why there are not many.
enum Bound {
    Of(&'static [&'static str]),
    By(&'static str),
}

/// Every label, with what bounds it.
const LABELS: &[(&str, Bound)] = &[
    ("action", Bound::Of(&["raise", "allow", "degrade", "throttle", "block"])),
    ("answer", Bound::Of(&COMMANDS)),
    ("arch", Bound::By("the one architecture that the program is built for")),
    ("checksum", Bound::By("one for each model in use")),
    ("class", Bound::Of(&["1xx", "2xx", "3xx", "4xx", "429", "5xx", "rest"])),
    ("decided", Bound::Of(&["passed", "limited"])),
    ("direction", Bound::Of(&["rise", "drop"])),
    ("held_back", Bound::Of(&["yes", "no"])),
    (
        "kind",
        // Of `model_info`, `upstream_failures`, `background_failures` and `descriptor_hits`.
        Bound::Of(&[
            "trees",
            "logistic",
            "onnx",
            "kserve",
            "connect",
            "timeout",
            "broken",
            "client",
            "late",
            "refused",
            "wrong",
            "paused",
            "total_hits",
            "within_limit",
            "near_limit",
            "over_limit",
            "shadow_mode",
        ]),
    ),
    ("le", Bound::By("the upper bounds of the histogram's classes")),
    (
        "limit",
        Bound::By(
            "the limits by descriptor of the configuration, and a thousand values told apart",
        ),
    ),
    ("label", Bound::Of(&["abusive", "harmless"])),
    ("mode", Bound::Of(&["enforce", "shadow"])),
    ("model", Bound::Of(&["passed", "limited"])),
    ("name", Bound::By("one for each model in use")),
    ("os", Bound::By("the one system that the program is built for")),
    ("read", Bound::Of(&LINES)),
    ("reason", Bound::Of(&REFUSALS)),
    (
        "result",
        // Of `decisions`, `config_reloads`, `spans` and `error_reports`.
        Bound::Of(&[
            "allowed", "denied", "accepted", "refused", "exported", "sent", "dropped", "failed",
        ]),
    ),
    ("role", Bound::Of(&ROLES)),
    (
        "rule",
        Bound::By(
            "`adaptive`, `allow-list`, `deny-list`, `override`, and the names of static rules: the first \
             64 since the start, further ones are `other`",
        ),
    ),
    ("schema", Bound::By("the one feature schema of this version")),
    ("series", Bound::Of(&tidegate_engine::WATCHED)),
    ("state", Bound::Of(&["offered", "dropped", "compared", "unanswered"])),
    ("store", Bound::Of(&["clients", "limits", "networks", "advice"])),
    ("tenth", Bound::Of(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "unknown"])),
    ("verdict", Bound::Of(&VERDICTS)),
    ("version", Bound::By("the one version that this is")),
    ("whose", Bound::Of(&["decided", "model"])),
];

/// One metric as it was written.
#[derive(Default)]
struct Written {
    kind: String,
    help: String,
    /// What follows the name in a sample, and its labels.
    samples: Vec<(String, Vec<(String, String)>)>,
}

/// Labels of a sample; values here hold no quotes.
fn labels(text: &str) -> Vec<(String, String)> {
    let pairs = text.split("\",").filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once("=\"").unwrap();
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    };
    pairs.map(pair).collect()
}

/// Reads an exposition; a line that is none, or a metric that is told twice, fails.
fn read(text: &str) -> BTreeMap<String, Written> {
    let mut all: BTreeMap<String, Written> = BTreeMap::new();
    let mut current = String::new();
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            // The registry adds a full stop, and collectors do not.
            let help = help.strip_suffix('.').unwrap_or(help).to_owned();
            let written = Written { help, ..Written::default() };
            assert!(all.insert(name.to_owned(), written).is_none(), "{name} is told twice");
            current = name.to_owned();
            continue;
        }
        let written = all.get_mut(&current).unwrap();
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            written.kind = rest.strip_prefix(&current).unwrap().trim().to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, given) = series.split_once('{').unwrap_or((series, ""));
        let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} in {current}"));
        let sample = (suffix.to_owned(), labels(given.trim_end_matches('}')));
        assert!(!written.samples.contains(&sample), "{line} is told twice");
        written.samples.push(sample);
    }
    all
}

/// A server with something of everything: rules in both modes, limits by descriptor, models in all
/// three roles.
fn shared() -> Shared {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("my.model"), Engine::default_model_file()).unwrap();
    std::fs::write(
        folder.path().join("limits.yaml"),
        "domain: edge\ndescriptors:\n- key: path\n  rate_limit: {unit: minute, requests_per_unit: 9}\n",
    )
    .unwrap();
    let path = folder.path().join("tidegate.yaml");
    let text = "
model: {kserve: {url: http://127.0.0.1:8000, model: abuse}}
challenger: my.model
rules:
  - {name: all, limit: 1000/min}
  - {name: tried, limit: 1/min, mode: shadow}
gateway: {ratelimit: [limits.yaml], grpc: '127.0.0.1:0'}
";
    std::fs::write(&path, text).unwrap();
    let mut resolved = crate::config::load(&path).unwrap();
    let in_line = crate::server::in_line(&mut resolved);
    let (model, info) = in_line.unzip();
    let advice_for = Some(Duration::from_secs(10));
    let setup = Setup { capacity: 1000, model, advice_for, ..Setup::default() };
    let engine = Arc::new(Engine::new(resolved.policy.clone(), setup));
    let advisor = resolved.advisor.take().map(|(asked, _)| (Role::Advisor, asked));
    let challenger = resolved.challenger.take().map(|asked| (Role::Challenger, asked));
    let (mut background, mut infos) = (Vec::new(), vec![("in_line", info.unwrap())]);
    for (role, asked) in advisor.into_iter().chain(challenger) {
        infos.push((role.name(), Info::of_asked(&asked)));
        background.push(Background::new(role, asked, &engine).unwrap().0);
    }
    let shared = Shared::new(engine, Live::new(&resolved, None), background);
    infos.into_iter().for_each(|(role, info)| shared.metrics.model(role, info));
    shared
}

fn written(shared: &Shared) -> BTreeMap<String, Written> {
    read(&shared.metrics.text().unwrap())
}

/// Every label is known, and has no value that it is not to have.
fn check_labels(all: &BTreeMap<String, Written>) {
    let known: BTreeMap<_, _> = LABELS.iter().map(|(name, bound)| (*name, bound)).collect();
    for (name, written) in all {
        for (label, value) in written.samples.iter().flat_map(|(_, labels)| labels) {
            match known.get(label.as_str()) {
                None => panic!("{name} has the label {label}: what bounds it?"),
                Some(Bound::Of(values)) => {
                    assert!(values.contains(&value.as_str()), "{name} has {label}=\"{value}\"");
                }
                Some(Bound::By(_)) => {}
            }
        }
    }
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    for (name, written) in written(&shared()) {
        let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(sound) && !name.contains("__"), "{name}");
        let own = name.starts_with("tidegate_") || name.starts_with("process_");
        assert!(own, "{name}");
        assert!(
            !written.help.is_empty() && !written.help.ends_with('.'),
            "{name}: {}",
            written.help
        );
        for unit in ["milli", "micro", "nano", "minutes", "hours_", "_ms", "kilo", "percent"] {
            assert!(!name.contains(unit), "{name} is not in base units");
        }
        let suffixes: BTreeSet<_> =
            written.samples.iter().map(|(suffix, _)| suffix.as_str()).collect();
        let expected: &[&str] = match written.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum"],
            kind => panic!("{name} is a {kind}"),
        };
        assert!(!name.ends_with("_total"), "{name}: the ending is added");
        assert!(suffixes.iter().all(|suffix| expected.contains(suffix)), "{name}: {suffixes:?}");
    }
}

#[test]
fn no_request_makes_a_label() {
    let shared = shared();
    let before = written(&shared);
    check_labels(&before);
    let series = |all: &BTreeMap<String, Written>| -> usize {
        all.iter()
            .filter(|(name, _)| *name != "tidegate_decisions")
            .map(|(_, w)| w.samples.len())
            .sum()
    };
    for n in 0..300u32 {
        let path = format!("/{n}/\"x\"\n{{a=\"{n}\"}}");
        let agent = format!("agent \"{n}\"");
        let request = Request {
            time: shared.now(),
            addr: Some(std::net::Ipv4Addr::from(0xc000_0200 + n % 40).into()),
            path: &path,
            user_agent: &agent,
            credential: n.is_multiple_of(3).then_some(&agent),
            ..Request::default()
        };
        let ticket = shared.check(&request, Via::Api).unwrap().ticket;
        let status = u16::try_from(n * 7).unwrap();
        shared.outcome(&ticket, &Outcome { status, bytes: 1, duration: None });
        shared.metrics.response(StatusCode::from_u16(100 + u16::try_from(n).unwrap()).unwrap());
    }
    let after = written(&shared);
    check_labels(&after);
    assert_eq!(series(&after), series(&before), "what there is to tell is there from the start");
    // By action, mode and result for each rule that has a place.
    let decisions = after["tidegate_decisions"].samples.len();
    assert!(decisions <= (5 + MOST_NAMED) * 5 * 2 * 2, "{decisions}");
    let rule = |(_, labels): &(String, Vec<(String, String)>)| labels[1].1.clone();
    let rules: BTreeSet<_> = after["tidegate_decisions"].samples.iter().map(rule).collect();
    assert_eq!(rules, ["adaptive", "all", "tried"].map(str::to_owned).into());
}

#[test]
fn models_are_named_by_role_and_checksum() {
    let text = shared().metrics.text().unwrap();
    let checksum = format!("{:08x}", file::checksum(Engine::default_model_file()));
    for (role, kind, name, checksum) in [
        ("in_line", "trees", "built-in", checksum.as_str()),
        ("challenger", "trees", "my.model", &checksum),
        ("advisor", "kserve", "abuse of http://127.0.0.1:8000", ""),
    ] {
        let line = format!(
            "tidegate_model_info{{role=\"{role}\",kind=\"{kind}\",name=\"{name}\",schema=\"\
             {SCHEMA_VERSION}\",checksum=\"{checksum}\"}} 1\n"
        );
        assert!(text.contains(&line), "{line} not in\n{text}");
    }
}

#[test]
fn the_risk_is_a_histogram_and_outcomes_are_told_by_it() {
    let shared = shared();
    let request = Request {
        time: shared.now(),
        addr: Some([192, 0, 2, 7].into()),
        path: "/",
        ..Request::default()
    };
    let ticket = shared.check(&request, Via::Api).unwrap().ticket;
    shared.outcome(&ticket, &Outcome { status: 503, bytes: 1, duration: None });
    let text = shared.metrics.text().unwrap();
    for line in [
        "tidegate_risk_count 1",
        "tidegate_risk_bucket{le=\"1.0\"} 1",
        "tidegate_risk_bucket{le=\"+Inf\"} 1",
        "tidegate_outcome_statuses_total{tenth=\"0\",class=\"5xx\"} 1",
        "tidegate_outcome_statuses_total{tenth=\"unknown\",class=\"5xx\"} 0",
        "tidegate_decide_seconds_count 1",
        "tidegate_rule_shadow_denied_total{rule=\"tried\"} 0",
        "tidegate_shadow_mode 0",
        "tidegate_adaptive_enabled 1",
        "tidegate_config_last_reload_successful 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
    }
    assert!(text.contains("tidegate_risk_bucket{le=\"0.01\"} "), "bounds are as written: {text}");
}

const HEAD: &str = "# Metrics

What `GET /metrics` of the admin listener tells, in the OpenMetrics text format. Made from the code by a test that fails
when this page is out of date; write it anew with

```sh
UPDATE=1 cargo test -p tidegate-server --lib metrics::tests::the_reference
```

A histogram has `_bucket`, `_sum` and `_count` after its name. `tidegate_background_*` are there with a model in the
background, `process_*` on Linux. Where requests are traced ([Telemetry](telemetry.md)), the classes of
`tidegate_decide_seconds` and `tidegate_upstream_response_seconds` name the trace of a request each (exemplars).

| metric | type | labels | what it tells |
|---|---|---|---|
";

/// The reference: what an operator may build on.
fn reference(all: &BTreeMap<String, Written>) -> String {
    let mut out = HEAD.to_owned();
    for (name, written) in all {
        let labels = written.samples.iter().flat_map(|(_, labels)| labels);
        let labels: BTreeSet<_> =
            labels.map(|(name, _)| name).filter(|name| *name != "le").collect();
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, help) = (&written.kind, &written.help);
        let ending = if kind == "counter" { "_total" } else { "" };
        writeln!(out, "| `{name}{ending}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    out.push_str(LABELS_HEAD);
    for (label, bound) in LABELS {
        let values = match bound {
            Bound::Of(values) => {
                values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
            }
            Bound::By(reason) => (*reason).to_owned(),
        };
        writeln!(out, "| `{label}` | {values} |").unwrap();
    }
    out.push_str(NOTES);
    out
}

const LABELS_HEAD: &str = "
## Labels

No label takes its value from a request, but `limit` where a limit by descriptor asks for it (`detailed_metric`).

| label | values |
|---|---|
";

const NOTES: &str = "
## Notes

- `tidegate_decisions_total` says which rule answered: the one that denied, else the one nearest to its limit. In shadow mode
  `result=\"denied\"` is what would have been denied. A rule of the policy in force is told from its first moment, another
  once it has answered. A rule that is in shadow by itself never answers; `tidegate_rule_shadow_denied_total` counts it.
- `action=\"raise\"` is a client with a good record: its denials are the nearest thing to harm that can be counted.
- `tidegate_outcome_statuses_total` goes by the risk that the client has when the outcome is learned, not when the request was
  decided: a ticket says nothing of the risk, for it may be seen by others.
- `tidegate_risk_drift` is the population stability index Σ (p − q) ln(p / q) of the last hour's risks, p, against those of
  the 24 hours before it, q, over the classes of `tidegate_risk`, from samples every five minutes. Less than 0.1 is
  commonly called no change worth mention, more than 0.25 one to look into (N. Siddiqi, *Credit Risk Scorecards*,
  2006). It says that something changed, not what: an attack moves it as a model that no longer fits does.
- Time is in seconds, sizes are in bytes, shares and probabilities go from 0 to 1.
";

// Elsewhere there is nothing of the process.
#[cfg(target_os = "linux")]
#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let text = reference(&written(&shared()));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/metrics.md is out of date: UPDATE=1 in the environment of this test writes it"
    );
}

#[test]
fn every_label_that_is_documented_is_used() {
    let all = written(&shared());
    let used: BTreeSet<_> = all
        .values()
        .flat_map(|w| w.samples.iter().flat_map(|(_, l)| l.iter().map(|(n, _)| n.as_str())))
        .collect();
    let documented: BTreeSet<_> = LABELS.iter().map(|(label, _)| *label).collect();
    assert_eq!(used, documented);
}
