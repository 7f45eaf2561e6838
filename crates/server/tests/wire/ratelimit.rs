//! What envoyproxy/ratelimit does with its configuration and with calls, a test a row; and the wire around it.

use crate::common::{Gate, grpc};
use prost_types::Value;
use prost_types::value::Kind;
use tidegate_envoy::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tidegate_envoy::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry, RateLimitOverride,
};
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_response::Code::{
    Ok as Pass, OverLimit,
};
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_response::DescriptorStatus;
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use tidegate_envoy::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tidegate_server::config::{self, ConfigError};
use tonic::Code;
use tonic::transport::Channel;

/// Files of limits beside a configuration that names them.
fn written(files: &[&str], rest: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (at, text) in files.iter().enumerate() {
        let name = format!("limits{at}.yaml");
        std::fs::write(folder.path().join(&name), text).unwrap();
        names.push(name);
    }
    let path = folder.path().join("tidegate.yaml");
    let names = names.join(", ");
    let text = format!("gateway: {{grpc: '127.0.0.1:0', ratelimit: [{names}]}}\n{rest}");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn load(files: &[&str]) -> Result<config::Resolved, ConfigError> {
    let (_folder, path) = written(files, "");
    config::load(&path)
}

/// A configuration that is refused, with what the error says and where.
macro_rules! refused {
    ($($name:ident: $files:expr => $line:literal $words:literal;)*) => {$(
        #[test]
        fn $name() {
            let error = load(&$files).unwrap_err();
            let said = error.to_string();
            assert!(said.contains($words), "{said}");
            assert_eq!(error.line(), Some($line), "{said}");
            assert!(!error.remedy().is_empty() && said.contains("limits"), "{said}");
        }
    )*};
}

const ONE: &str = "domain: d\ndescriptors:\n- key: k\n  value: v\n  rate_limit: {unit: hour, requests_per_unit: 1}\n";

refused! {
    an_empty_domain: ["domain: ''\ndescriptors: []"] => 1 "domain is empty";
    no_domain: ["descriptors: []"] => 1 "domain";
    an_empty_key: ["domain: d\ndescriptors:\n- key: ''"] => 3 "without a key";
    no_key: ["domain: d\ndescriptors:\n- value: v"] => 3 "key";
    a_duplicate: ["domain: d\ndescriptors:\n- key: k\n  value: v\n- key: k\n  value: v"] => 5 "`d.k_v` is there already";
    a_duplicate_below: ["domain: d\ndescriptors:\n- key: k\n  descriptors:\n  - key: l\n  - key: l"] => 6 "`d.k.l` is there already";
    a_duplicate_pattern: ["domain: d\ndescriptors:\n- key: k\n  value: v*\n- key: k\n  value: v*"] => 5 "`d.k_v*` is there already";
    a_duplicate_in_another_file: [ONE, ONE] => 3 "`d.k_v` is there already";
    a_misspelled_key_at_the_top: ["domain: d\nrate_limits: []"] => 2 "rate_limits";
    a_misspelled_key_in_a_descriptor: ["domain: d\ndescriptors:\n- key: k\n  ratelimit: {}"] => 4 "ratelimit";
    a_misspelled_key_in_a_limit: ["domain: d\ndescriptors:\n- key: k\n  rate_limit: {unit: day, request_per_unit: 5}"] => 4 "request_per_unit";
    a_list_of_words: ["domain: d\ndescriptors:\n- word"] => 3 "limits0.yaml";
    a_key_that_is_no_text: ["domain: d\ndescriptors:\n- key: k\n  0.25: 1"] => 4 "0.25";
    an_unknown_unit: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    unit: fortnight\n    requests_per_unit: 5"] => 5 "`fortnight` is not a unit";
    no_unit: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    requests_per_unit: 5"] => 5 "without a unit";
    unlimited_with_a_unit: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    unlimited: true\n    unit: day"] => 6 "unlimited";
    a_multiplier_of_nothing: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    unit: day\n    unit_multiplier: 0\n    requests_per_unit: 5"] => 6 "unit_multiplier of 0";
    too_many_requests: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    unit: day\n    requests_per_unit: 4294967296"] => 6 "requests_per_unit of 4294967296";
    fewer_than_none: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    unit: day\n    requests_per_unit: -1"] => 6 "limits0.yaml";
    one_that_replaces_itself: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    unit: day\n    requests_per_unit: 5\n    name: n\n    replaces:\n    - name: n"] => 9 "replaces itself";
    one_that_replaces_nothing: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    unit: day\n    requests_per_unit: 5\n    replaces:\n    - name: ''"] => 8 "or nothing";
    a_threshold_shared_by_one_value: ["domain: d\ndescriptors:\n- key: k\n  value: v\n  share_threshold: true"] => 5 "which is no pattern";
    no_yaml: ["domain: [d"] => 1 "limits0.yaml";
    rails_without_a_limit: ["domain: d\ndescriptors:\n- key: k\n  adaptive: {floor: 1}"] => 4 "without a rate_limit";
    rails_about_no_limit: ["domain: d\ndescriptors:\n- key: k\n  rate_limit: {unlimited: true}\n  adaptive: {floor: 1}"] => 5 "unlimited";
    rails_about_a_shared_count: ["domain: d\ndescriptors:\n- key: k\n  value: v*\n  share_threshold: true\n  rate_limit: {unit: day, requests_per_unit: 5}\n  adaptive: {floor: 1}"] => 7 "share one count";
    a_period_without_an_end: ["domain: d\ndescriptors:\n- key: k\n  rate_limit:\n    unit: year\n    unit_multiplier: 4000000000\n    requests_per_unit: 5"] => 5 "4000000000 years";
    a_floor_above_the_limit: ["domain: d\ndescriptors:\n- key: k\n  rate_limit: {unit: day, requests_per_unit: 5}\n  adaptive: {floor: 6}"] => 5 "from 6 to 5";
    a_ceiling_below_the_limit: ["domain: d\ndescriptors:\n- key: k\n  rate_limit: {unit: day, requests_per_unit: 5}\n  adaptive: {ceiling: 4}"] => 5 "from 1 to 4";
}

#[test]
fn a_file_that_is_not_there_is_told_by_the_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.yaml");
    let tell = |text: &str| {
        std::fs::write(&path, text).unwrap();
        config::load(&path).unwrap_err().to_string()
    };
    let text = "gateway:\n  grpc: 127.0.0.1:0\n  ratelimit:\n  - nowhere.yaml";
    let said = tell(text);
    assert!(said.contains("tidegate.yaml:4:") && said.contains("nowhere.yaml"), "{said}");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let said = tell(&text.replace("nowhere.yaml", "empty"));
    assert!(said.contains("holds no *.yaml"), "{said}");
    let said = tell("gateway:\n  listen: 127.0.0.1:0\n  ratelimit: [a.yaml]");
    assert!(said.contains("nowhere for Envoy to ask"), "{said}");
}

#[test]
fn what_a_file_does_is_said_line_by_line() {
    let text = "\
domain: d
descriptors:
- key: path
  value: /a*
  share_threshold: true
  rate_limit: {unit: MINUTE, unit_multiplier: 5, requests_per_unit: 7}
- key: user
  shadow_mode: true
  rate_limit: {unit: second, requests_per_unit: 3, name: n, replaces: [{name: other}]}
  adaptive: {floor: 0, ceiling: 9}
- key: user
  value: bad
  rate_limit: {unit: day, requests_per_unit: 0}
- key: user
  value: 7
- key: group
  descriptors:
  - key: user
    quota_mode: true
    rate_limit: {unit: week, requests_per_unit: 2}
- key: free
  rate_limit: {unlimited: true}
";
    let resolved = load(&[text]).unwrap();
    let lines = config::check(&resolved);
    // The file alone can be asked about as well.
    let (folder, _) = written(&[text], "");
    let own = config::explain(&folder.path().join("limits0.yaml")).unwrap();
    assert_eq!(own.len(), 7);
    for (line, words) in [
        (3, "d.path_/a* has 7 a 5m for all values that match together."),
        (
            7,
            "d.user has 3 a second for each value of user; models move it from nothing at all, for a \
             client at high risk, to 9 for one with a good record (shadow: only counted); where it \
             applies, other does not.",
        ),
        (11, "d.user_bad is always denied."),
        (14, "d.user_7 is never limited."),
        (16, "d.group limits nothing itself; what is below it does."),
        (
            18,
            "d.group.user has 2 a week for each value of user; a request is denied only when every \
             limit in quota mode is used up.",
        ),
        (21, "d.free is unlimited, and counted."),
    ] {
        let end = format!("limits0.yaml:{line}: {words}");
        assert!(lines.iter().any(|said| said.ends_with(&end)), "{end} not in {lines:#?}");
    }
}

struct Asker {
    gate: Gate,
    client: RateLimitServiceClient<Channel>,
}

async fn asker(files: &[&str], rest: &str) -> Asker {
    let (folder, _) = written(files, "");
    let names = (0..files.len()).map(|at| format!("'{}/limits{at}.yaml'", folder.path().display()));
    asker_of(&names.collect::<Vec<_>>().join(", "), rest).await
}

/// Asks about the limits of these files and folders.
async fn asker_of(names: &str, rest: &str) -> Asker {
    let (gate, channel) = grpc(&format!(", ratelimit: [{names}]"), rest).await;
    let client = RateLimitServiceClient::new(channel);
    Asker { gate, client }
}

/// `k=v,l=w` as a descriptor.
fn descriptor(text: &str) -> RateLimitDescriptor {
    let entry = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Entry { key: key.into(), value: value.into() }
    };
    let entries = text.split(',').filter(|pair| !pair.is_empty()).map(entry).collect();
    RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }
}

fn call(domain: &str, descriptors: &[&str]) -> RateLimitRequest {
    RateLimitRequest {
        domain: domain.into(),
        descriptors: descriptors.iter().map(|text| descriptor(text)).collect(),
        hits_addend: 0,
    }
}

impl Asker {
    async fn ask(&mut self, request: RateLimitRequest) -> RateLimitResponse {
        self.client.should_rate_limit(request).await.unwrap().into_inner()
    }

    async fn one(&mut self, text: &str) -> RateLimitResponse {
        self.ask(call("test", &[text])).await
    }

    async fn metric(&self, limit: &str, kind: &str) -> u64 {
        let (_, text) = self.gate.admin_text("GET", "/metrics", "", None).await;
        let name = format!("tidegate_descriptor_hits_total{{limit=\"{limit}\",kind=\"{kind}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

/// Limits of every shape; the numbers tell which one answered.
const LIMITS: &str = "\
domain: test
descriptors:
- key: outer
  value: one
  descriptors:
  - key: inner
    rate_limit: {unit: second, requests_per_unit: 5}
  - key: inner
    value: two
    rate_limit: {unit: second, requests_per_unit: 10}
- key: both
  rate_limit: {unit: minute, requests_per_unit: 20}
- key: both
  value: listed
  rate_limit: {unit: minute, requests_per_unit: 30}
- key: both
  value: free
- key: hourly
  rate_limit: {unit: HOUR, requests_per_unit: 1}
- key: daily
  rate_limit: {unit: day, requests_per_unit: 1}
- key: weekly
  rate_limit: {unit: week, requests_per_unit: 1}
- key: monthly
  rate_limit: {unit: month, requests_per_unit: 1}
- key: yearly
  rate_limit: {unit: Year, requests_per_unit: 1}
- key: deep
  value: at
  rate_limit: {unit: day, requests_per_unit: 15}
  descriptors:
  - key: below
    value: at
    rate_limit: {unit: day, requests_per_unit: 25}
- key: unlimited
  rate_limit: {unlimited: true}
- key: wild
  value: foo*
  rate_limit: {unit: minute, requests_per_unit: 40}
- key: wild
  value: foobar
  rate_limit: {unit: minute, requests_per_unit: 41}
- key: wild
  value: fo*
  rate_limit: {unit: minute, requests_per_unit: 42}
- key: middle
  value: bar*b
  rate_limit: {unit: minute, requests_per_unit: 43}
- key: nested
  value: a*
  descriptors:
  - key: wild
    value: '*z'
    rate_limit: {unit: minute, requests_per_unit: 44}
- key: code
  value: 429
  rate_limit: {unit: minute, requests_per_unit: 45}
- key: long
  rate_limit: {unit: minute, unit_multiplier: 5, requests_per_unit: 46}
- key: named
  rate_limit: {unit: minute, requests_per_unit: 47, name: a name}
";

/// The limit that answers a descriptor: its number and unit, or none.
macro_rules! found {
    ($($name:ident: $descriptor:literal => $limit:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let mut asker = asker(&[LIMITS], "").await;
            let answer = asker.one($descriptor).await;
            assert_eq!(answer.overall_code, Pass as i32);
            assert_eq!(answer.statuses.len(), 1);
            let limit = answer.statuses[0].current_limit.as_ref();
            let limit = limit.map(|limit| (limit.requests_per_unit, limit.unit()));
            let expected: Option<(u32, Unit)> = $limit;
            assert_eq!(limit, expected);
            asker.gate.stop().await;
        }
    )*};
}

found! {
    a_placeholder_has_no_limit: "outer=one" => None;
    another_value_of_a_placeholder_has_none: "outer=other" => None;
    a_key_below_a_value: "outer=one,inner=any" => Some((5, Unit::Second));
    a_value_below_a_value: "outer=one,inner=two" => Some((10, Unit::Second));
    below_another_value_nothing: "outer=other,inner=two" => None;
    a_key_for_any_value: "both=any" => Some((20, Unit::Minute));
    a_key_without_a_value_in_the_call: "both" => Some((20, Unit::Minute));
    a_value_before_its_key: "both=listed" => Some((30, Unit::Minute));
    a_value_without_a_limit_is_free: "both=free" => None;
    keys_are_case_sensitive: "BOTH=listed" => None;
    values_are_case_sensitive: "both=Listed" => Some((20, Unit::Minute));
    a_longer_descriptor_does_not_match: "both=listed,more=x" => None;
    a_longer_one_below_a_limit_does_not_either: "deep=at,below=other" => None;
    a_limit_above_others: "deep=at" => Some((15, Unit::Day));
    a_limit_below_a_limit: "deep=at,below=at" => Some((25, Unit::Day));
    an_hour: "hourly=x" => Some((1, Unit::Hour));
    a_day: "daily=x" => Some((1, Unit::Day));
    a_week: "weekly=x" => Some((1, Unit::Week));
    a_month: "monthly=x" => Some((1, Unit::Month));
    a_year: "yearly=x" => Some((1, Unit::Year));
    unlimited_has_no_limit_to_tell: "unlimited=x" => None;
    a_pattern: "wild=foo1" => Some((40, Unit::Minute));
    a_pattern_matches_nothing_more: "wild=foo" => Some((40, Unit::Minute));
    a_value_before_a_pattern: "wild=foobar" => Some((41, Unit::Minute));
    the_first_pattern_that_matches: "wild=fo" => Some((42, Unit::Minute));
    no_pattern_matches: "wild=bar" => None;
    a_pattern_with_the_star_inside: "middle=bar123b" => Some((43, Unit::Minute));
    and_not_without_its_end: "middle=bar123" => None;
    patterns_below_patterns: "nested=abc,wild=xyz" => Some((44, Unit::Minute));
    a_number_is_a_text: "code=429" => Some((45, Unit::Minute));
    a_multiplied_unit_tells_its_unit: "long=x" => Some((46, Unit::Minute));
    an_unknown_key: "nobody=knows" => None;
    no_entries: "" => None;
}

#[tokio::test]
async fn unlimited_leaves_all_there_is() {
    let mut asker = asker(&[LIMITS], "").await;
    assert_eq!(asker.one("unlimited=x").await.statuses[0].limit_remaining, u32::MAX);
    assert_eq!(asker.one("nobody=x").await.statuses[0].limit_remaining, 0);
    asker.gate.stop().await;
}

#[tokio::test]
async fn the_name_of_a_limit_is_told() {
    let mut asker = asker(&[LIMITS], "").await;
    let answer = asker.one("named=x").await;
    assert_eq!(answer.statuses[0].current_limit.as_ref().unwrap().name, "a name");
    asker.gate.stop().await;
}

#[tokio::test]
async fn files_of_one_domain_are_merged() {
    let other = ONE.replace("key: k", "key: l").replace("hour", "day");
    let mut asker = asker(&[ONE, &other], "").await;
    for (text, unit) in [("k=v", Unit::Hour), ("l=v", Unit::Day)] {
        let answer = asker.ask(call("d", &[text])).await;
        assert_eq!(answer.statuses[0].current_limit.as_ref().unwrap().unit(), unit);
    }
    asker.gate.stop().await;
}

#[tokio::test]
async fn domains_are_apart() {
    let mut asker = asker(&[ONE, &ONE.replace("domain: d", "domain: e")], "").await;
    for (domain, code) in [("d", Pass), ("d", OverLimit), ("e", Pass), ("f", Pass), ("f", Pass)] {
        assert_eq!(asker.ask(call(domain, &["k=v"])).await.overall_code, code as i32, "{domain}");
    }
    asker.gate.stop().await;
}

#[tokio::test]
async fn any_descriptor_over_its_limit_denies_and_every_status_is_told() {
    let mut asker = asker(&[LIMITS], "").await;
    let all = ["hourly=x", "both=any", "nobody=knows"];
    assert_eq!(asker.ask(call("test", &all)).await.overall_code, Pass as i32);
    let denied = asker.ask(call("test", &all)).await;
    assert_eq!(denied.overall_code, OverLimit as i32);
    let codes: Vec<_> = denied.statuses.iter().map(DescriptorStatus::code).collect();
    assert_eq!(codes, [OverLimit, Pass, Pass]);
    let reset = denied.statuses[0].duration_until_reset.as_ref().unwrap().seconds;
    assert!((3590..=3600).contains(&reset), "{reset}");
    // The other limit was charged by the first call alone.
    assert_eq!(asker.one("both=any").await.statuses[0].limit_remaining, 18);
    asker.gate.stop().await;
}

#[tokio::test]
async fn fields_tell_the_limit_that_is_nearest() {
    let mut asker = asker(&[LIMITS], "").await;
    let mut fields = async |descriptors: &[&str]| {
        let answer = asker.ask(call("test", descriptors)).await;
        let fields = answer.response_headers_to_add;
        fields.into_iter().map(|f| format!("{}: {}", f.key, f.value)).collect::<Vec<_>>()
    };
    let first = fields(&["both=any", "both=listed"]).await;
    assert_eq!(first[..2], ["RateLimit-Limit: 20", "RateLimit-Remaining: 19"]);
    assert_eq!(first[2], "RateLimit-Reset: 3");
    assert_eq!(first.len(), 3);
    fields(&["hourly=x"]).await;
    let denied = fields(&["both=any", "hourly=x"]).await;
    assert_eq!(denied[..2], ["RateLimit-Limit: 1", "RateLimit-Remaining: 0"]);
    assert_eq!(denied[2..], ["RateLimit-Reset: 3600", "Retry-After: 3600"]);
    assert!(fields(&["nobody=knows", "unlimited=x"]).await.is_empty());
    asker.gate.stop().await;
}

#[tokio::test]
async fn a_limit_in_the_call_holds_instead_of_the_configured_one() {
    let mut asker = asker(&[LIMITS], "").await;
    let of = |requests_per_unit, unit: i32, text: &str| {
        let limit = Some(RateLimitOverride { requests_per_unit, unit });
        let descriptors = vec![RateLimitDescriptor { limit, ..descriptor(text) }];
        RateLimitRequest { domain: "test".into(), descriptors, hits_addend: 0 }
    };
    for left in [2, 1, 0] {
        let answer = asker.ask(of(3, Unit::Day as i32, "hourly=x")).await;
        let limit = answer.statuses[0].current_limit.as_ref().unwrap();
        assert_eq!((limit.requests_per_unit, limit.unit()), (3, Unit::Day));
        assert_eq!(answer.statuses[0].limit_remaining, left);
    }
    let denied = asker.ask(of(3, Unit::Day as i32, "hourly=x")).await;
    assert_eq!(denied.overall_code, OverLimit as i32);
    assert_eq!(asker.ask(of(0, Unit::Day as i32, "x=y")).await.overall_code, OverLimit as i32);
    for unit in [0, 99, -1] {
        let refused = asker.client.should_rate_limit(of(3, unit, "x=y")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    asker.gate.stop().await;
}

#[tokio::test]
async fn hits_of_the_call_and_of_a_descriptor() {
    let mut asker = asker(&[LIMITS], "").await;
    let of = |call_hits: u32, own: Option<u64>| {
        let descriptors = vec![RateLimitDescriptor { hits_addend: own, ..descriptor("both=any") }];
        RateLimitRequest { domain: "test".into(), descriptors, hits_addend: call_hits }
    };
    // A 0 of the call can't be told from none, so it is one; that of a descriptor peeks.
    for (call_hits, own, left) in
        [(0, None, 19), (5, None, 14), (5, Some(2), 12), (5, Some(0), 12), (0, Some(0), 12)]
    {
        let answer = asker.ask(of(call_hits, own)).await;
        assert_eq!(answer.statuses[0].limit_remaining, left, "{call_hits} {own:?}");
    }
    asker.gate.stop().await;
    let mut asker = self::asker(&[LIMITS], "").await;
    for (call_hits, own) in [(u32::MAX, None), (0, Some(u64::MAX)), (21, None)] {
        let answer = asker.ask(of(call_hits, own)).await;
        assert_eq!(answer.overall_code, OverLimit as i32);
        assert_eq!(answer.statuses[0].limit_remaining, 20, "nothing was charged");
    }
    asker.gate.stop().await;
}

#[tokio::test]
async fn hits_are_counted_by_limit_and_kind() {
    let limits = "\
domain: test
descriptors:
- key: k
  rate_limit: {unit: hour, requests_per_unit: 10}
- key: s
  shadow_mode: true
  rate_limit: {unit: hour, requests_per_unit: 1}
- key: detailed
  detailed_metric: true
  rate_limit: {unit: hour, requests_per_unit: 1}
- key: outer
  value: a*
  value_to_metric: true
  descriptors:
  - key: inner
    rate_limit: {unit: hour, requests_per_unit: 1}
";
    let mut asker = asker(&[limits], "").await;
    for _ in 0..12 {
        asker.one("k=v").await;
    }
    for (kind, count) in
        [("total_hits", 12), ("within_limit", 10), ("near_limit", 2), ("over_limit", 2)]
    {
        assert_eq!(asker.metric("test.k", kind).await, count, "{kind}");
    }
    for _ in 0..3 {
        assert_eq!(asker.one("s=v").await.overall_code, Pass as i32);
    }
    assert_eq!(asker.metric("test.s", "over_limit").await, 2);
    assert_eq!(asker.metric("test.s", "shadow_mode").await, 2);
    asker.one("detailed=red").await;
    assert_eq!(asker.metric("test.detailed_red", "total_hits").await, 1);
    assert_eq!(asker.metric("test.detailed", "total_hits").await, 0);
    asker.one("outer=abc,inner=x").await;
    assert_eq!(asker.metric("test.outer_abc.inner", "total_hits").await, 1);
    asker.gate.stop().await;
}

/// A field of dynamic metadata as text.
fn show(value: Option<&Value>) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text.clone(),
        Some(Kind::BoolValue(one)) => one.to_string(),
        Some(Kind::NumberValue(number)) => number.to_string(),
        Some(Kind::ListValue(list)) => {
            let all: Vec<_> = list.values.iter().map(|value| show(Some(value))).collect();
            format!("[{}]", all.join(" "))
        }
        Some(Kind::StructValue(fields)) => {
            let mut all: Vec<_> = fields.fields.iter().collect();
            all.sort_by_key(|(name, _)| *name);
            let all: Vec<_> =
                all.iter().map(|(name, value)| format!("{name}={}", show(Some(value)))).collect();
            format!("{{{}}}", all.join(" "))
        }
        _ => String::new(),
    }
}

#[tokio::test]
async fn quotas_and_metadata_are_told_to_the_next_filters() {
    let limits = "\
domain: test
descriptors:
- key: s
  value: a
  quota_mode: true
  rate_limit: {unit: hour, requests_per_unit: 1}
  metadata: {service: {name: first, weight: 2, on: true}}
- key: s
  value: b
  quota_mode: true
  rate_limit: {unit: hour, requests_per_unit: 2}
- key: plain
  rate_limit: {unit: hour, requests_per_unit: 100}
";
    let mut asker = asker(&[limits], "").await;
    let both = ["s=a", "s=b"];
    let first = asker.ask(call("test", &both)).await.dynamic_metadata.unwrap();
    let field = |name: &str| show(first.fields.get(name));
    assert_eq!(field("service"), "{name=first on=true weight=2}");
    assert_eq!((field("domain"), field("quotaModeEnabled")), ("test".into(), "true".into()));
    assert_eq!(field("descriptors"), "[{entries=[s=a]} {entries=[s=b]}]");
    assert_eq!(field("quotaModeViolations"), "[]");
    let second = asker.ask(RateLimitRequest { hits_addend: 1, ..call("test", &both) }).await;
    assert_eq!(second.overall_code, Pass as i32);
    let second = second.dynamic_metadata.unwrap();
    assert_eq!(show(second.fields.get("quotaModeViolations")), "[0]");
    assert_eq!(show(second.fields.get("hitsAddend")), "1");
    assert!(!second.fields.contains_key("service"), "a limit that is used up offers nothing");
    let third = asker.ask(call("test", &both)).await;
    assert_eq!(third.overall_code, OverLimit as i32);
    assert_eq!(show(third.dynamic_metadata.unwrap().fields.get("quotaModeViolations")), "[0 1]");
    assert!(asker.one("plain=x").await.dynamic_metadata.is_none());
    asker.gate.stop().await;
}

#[tokio::test]
async fn shadow_mode_lets_everything_pass() {
    let mut asker = asker(&[LIMITS], "mode: shadow").await;
    asker.one("hourly=x").await;
    let answer = asker.one("hourly=x").await;
    assert_eq!(answer.overall_code, Pass as i32);
    assert_eq!(answer.statuses[0].code, OverLimit as i32);
    asker.gate.stop().await;
}

#[tokio::test]
async fn calls_that_say_too_little_or_too_much_are_refused() {
    let mut asker = asker(&[LIMITS], "").await;
    for request in [call("", &["both=any"]), call("test", &[])] {
        let refused = asker.client.should_rate_limit(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let values: Vec<_> = (0..33).map(|n| format!("both={n}")).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let refused = asker.client.should_rate_limit(call("test", &values)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("at most 32"), "{refused}");
    assert_eq!(asker.ask(call("test", &values[1..])).await.statuses.len(), 32);
    // A value of a megabyte is a value.
    let long = format!("both={}", "a".repeat(1 << 20));
    assert_eq!(asker.one(&long).await.statuses[0].limit_remaining, 19);
    assert_eq!(asker.one(&long).await.statuses[0].limit_remaining, 18);
    asker.gate.stop().await;
}

#[tokio::test]
async fn a_changed_file_is_taken_in_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits.yaml");
    std::fs::write(&file, ONE).unwrap();
    let mut asker = asker_of(&format!("'{}'", folder.path().display()), "").await;
    asker.ask(call("d", &["k=v"])).await;
    assert_eq!(asker.ask(call("d", &["k=v"])).await.overall_code, OverLimit as i32);
    std::fs::write(&file, ONE.replace("hour", "aeon")).unwrap();
    assert!(asker.gate.reloader.reload().is_err());
    assert_eq!(asker.ask(call("d", &["k=v"])).await.overall_code, OverLimit as i32);
    // A second file comes: nobody has to be told.
    std::fs::write(&file, ONE).unwrap();
    std::fs::write(folder.path().join("more.yml"), ONE.replace("domain: d", "domain: e")).unwrap();
    let begun = std::time::Instant::now();
    loop {
        asker.ask(call("e", &["k=v"])).await;
        if asker.ask(call("e", &["k=v"])).await.overall_code == OverLimit as i32 {
            break;
        }
        assert!(begun.elapsed().as_secs() < 15, "the new file is not taken in");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(asker.ask(call("d", &["k=v"])).await.overall_code, OverLimit as i32);
    assert_eq!(asker.metric("d.k_v", "total_hits").await, 4);
    asker.gate.stop().await;
}
