//! The services that Envoy keeps a stream open for: quotas that it enforces itself, and the processor.

use crate::common::{Gate, grpc};
use tidegate_envoy::envoy::config::core::v3::{HeaderMap, HeaderValue};
use tidegate_envoy::envoy::r#type::v3::rate_limit_strategy::{BlanketRule, Strategy};
use tidegate_envoy::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use tidegate_envoy::envoy::service::ext_proc::v3::processing_request::Request as Part;
use tidegate_envoy::envoy::service::ext_proc::v3::processing_response::Response as Reply;
use tidegate_envoy::envoy::service::ext_proc::v3::{
    HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest, ProcessingResponse,
};
use tidegate_envoy::envoy::service::rate_limit_quota::v3::rate_limit_quota_response::bucket_action::BucketAction;
use tidegate_envoy::envoy::service::rate_limit_quota::v3::rate_limit_quota_service_client::RateLimitQuotaServiceClient;
use tidegate_envoy::envoy::service::rate_limit_quota::v3::rate_limit_quota_usage_reports::BucketQuotaUsage;
use tidegate_envoy::envoy::service::rate_limit_quota::v3::{
    BucketId, RateLimitQuotaResponse, RateLimitQuotaUsageReports,
};
use prost_types::Duration as WireDuration;
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// A stream of messages, ended by dropping it.
fn messages<T: Send + 'static>() -> (mpsc::Sender<T>, impl futures_util::Stream<Item = T> + Send) {
    let (send, receive) = mpsc::channel(16);
    let stream = futures_util::stream::unfold(receive, |mut receive: mpsc::Receiver<T>| async {
        Some((receive.recv().await?, receive))
    });
    (send, stream)
}

const LIMITS: &str = "\
domain: d
descriptors:
- key: route
  value: /login
  descriptors:
  - key: client
    rate_limit: {unit: minute, requests_per_unit: 60}
- key: banned
  rate_limit: {unit: day, requests_per_unit: 0}
- key: tried
  shadow_mode: true
  rate_limit: {unit: day, requests_per_unit: 1}
";

async fn limits() -> (tempfile::TempDir, Gate, Channel) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits.yaml");
    std::fs::write(&file, LIMITS).unwrap();
    let (gate, channel) = grpc(&format!(", ratelimit: ['{}']", file.display()), "").await;
    (folder, gate, channel)
}

fn bucket(names: &[(&str, &str)]) -> BucketId {
    let names = names.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    BucketId { bucket: names.collect() }
}

fn report(domain: &str, id: Option<BucketId>, requests: u64) -> RateLimitQuotaUsageReports {
    let usage = BucketQuotaUsage {
        bucket_id: id,
        time_elapsed: Some(WireDuration { seconds: 1, nanos: 0 }),
        num_requests_allowed: requests,
        num_requests_denied: 0,
    };
    RateLimitQuotaUsageReports { domain: domain.into(), bucket_quota_usages: vec![usage] }
}

struct Reporter {
    send: mpsc::Sender<RateLimitQuotaUsageReports>,
    replies: Streaming<RateLimitQuotaResponse>,
}

impl Reporter {
    async fn start(channel: &Channel, first: RateLimitQuotaUsageReports) -> Self {
        let (send, stream) = messages();
        send.send(first).await.unwrap();
        let mut client = RateLimitQuotaServiceClient::new(channel.clone());
        let replies = client.stream_rate_limit_quotas(stream).await.unwrap().into_inner();
        Self { send, replies }
    }

    /// The strategy of the next answer's only bucket; `None` when it is to be abandoned.
    async fn next(&mut self) -> Result<Option<Strategy>, Status> {
        let mut reply = self.replies.message().await?.unwrap();
        assert_eq!(reply.bucket_action.len(), 1);
        match reply.bucket_action.remove(0).bucket_action.unwrap() {
            BucketAction::QuotaAssignmentAction(given) => {
                assert!(given.assignment_time_to_live.unwrap().seconds >= 60);
                Ok(given.rate_limit_strategy.unwrap().strategy)
            }
            BucketAction::AbandonAction(_) => Ok(None),
        }
    }

    /// Requests a minute of the next answer.
    async fn rate(&mut self) -> f64 {
        let Some(Strategy::TokenBucket(bucket)) = self.next().await.unwrap() else { panic!() };
        let interval = bucket.fill_interval.unwrap();
        // As Envoy reckons.
        let seconds = interval.seconds as f64;
        60.0 * f64::from(bucket.tokens_per_fill.unwrap()) / seconds
    }
}

#[tokio::test]
async fn a_quota_is_shared_by_demand_and_falls_to_who_stays() {
    let (_folder, gate, channel) = limits().await;
    // Names have no order on this wire.
    let id = bucket(&[("client", "a"), ("route", "/login")]);
    let mut busy = Reporter::start(&channel, report("d", Some(id.clone()), 90)).await;
    assert!((busy.rate().await - 60.0).abs() < 0.1);
    let mut idle = Reporter::start(&channel, report("d", Some(id.clone()), 10)).await;
    let small = idle.rate().await;
    assert!((5.0..20.0).contains(&small), "{small}");
    // The first one is told without asking.
    let large = busy.rate().await;
    assert!((small + large - 60.0).abs() < 1.5, "{small} and {large}");
    drop(busy);
    let all = idle.rate().await;
    assert!((all - 60.0).abs() < 0.5, "{all}");
    // The domain is said once.
    idle.send.send(report("", Some(id), 10)).await.unwrap();
    assert!((idle.rate().await - 60.0).abs() < 0.5);
    let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
    let counted =
        "tidegate_descriptor_hits_total{limit=\"d.route_/login.client\",kind=\"total_hits\"} 110";
    assert!(text.contains(counted), "{text}");
    gate.stop().await;
}

#[tokio::test]
async fn every_report_has_a_defined_answer() {
    let (_folder, gate, channel) = limits().await;
    let answer = async |domain: &str, names: &[(&str, &str)]| {
        let first = report(domain, Some(bucket(names)), 1);
        Reporter::start(&channel, first).await.next().await
    };
    let blanket = |rule: BlanketRule| Some(Strategy::BlanketRule(rule.into()));
    assert_eq!(answer("d", &[("banned", "x")]).await.unwrap(), blanket(BlanketRule::DenyAll));
    assert_eq!(answer("d", &[("tried", "x")]).await.unwrap(), blanket(BlanketRule::AllowAll));
    for (domain, names) in [
        ("d", &[("client", "a")][..]),
        ("d", &[]),
        ("d", &[("route", "/login"), ("client", "a"), ("more", "x")]),
        ("other", &[("banned", "x")]),
    ] {
        assert_eq!(answer(domain, names).await.unwrap(), None, "{domain} {names:?}");
    }
    assert_eq!(answer("", &[("banned", "x")]).await.unwrap_err().code(), Code::InvalidArgument);
    // A report about nothing is no reason to end the stream.
    let mut stream = Reporter::start(&channel, report("d", None, u64::MAX)).await;
    let nonsense = BucketQuotaUsage {
        bucket_id: Some(bucket(&[("banned", "x")])),
        time_elapsed: Some(WireDuration { seconds: -1, nanos: -1 }),
        num_requests_allowed: u64::MAX,
        num_requests_denied: u64::MAX,
    };
    let reports =
        RateLimitQuotaUsageReports { domain: String::new(), bucket_quota_usages: vec![nonsense] };
    stream.send.send(reports).await.unwrap();
    assert_eq!(stream.next().await.unwrap(), blanket(BlanketRule::DenyAll));
    gate.stop().await;
}

struct Processor {
    send: mpsc::Sender<ProcessingRequest>,
    replies: Streaming<ProcessingResponse>,
}

impl Processor {
    async fn start(channel: &Channel) -> Self {
        let (send, stream) = messages();
        let mut client = ExternalProcessorClient::new(channel.clone());
        let replies = client.process(stream).await.unwrap().into_inner();
        Self { send, replies }
    }

    async fn tell(&self, part: Part, observability_mode: bool) {
        let request = Some(part);
        let message =
            ProcessingRequest { request, observability_mode, ..ProcessingRequest::default() };
        self.send.send(message).await.unwrap();
    }

    async fn say(&mut self, part: Part) -> Result<Reply, Status> {
        self.tell(part, false).await;
        Ok(self.replies.message().await?.unwrap().response.unwrap())
    }
}

fn head(fields: &[(&str, &[u8])]) -> HttpHeaders {
    let field = |(key, raw): &(&str, &[u8])| HeaderValue {
        key: (*key).to_owned(),
        raw_value: raw.to_vec().into(),
        ..HeaderValue::default()
    };
    let headers = Some(HeaderMap { headers: fields.iter().map(field).collect() });
    HttpHeaders { headers, ..HttpHeaders::default() }
}

fn get(client: &'static str) -> Part {
    let fields: [(&str, &[u8]); 3] =
        [(":method", b"GET"), (":path", b"/"), ("x-forwarded-for", client.as_bytes())];
    Part::RequestHeaders(head(&fields))
}

#[tokio::test]
async fn a_processor_answers_every_part_and_gives_back_what_a_cut_stream_held() {
    let rules = "rules: [{name: one, algorithm: concurrency, max: 1}]";
    let (gate, channel) = grpc("", rules).await;
    let mut first = Processor::start(&channel).await;
    assert!(matches!(first.say(get("203.0.113.7")).await.unwrap(), Reply::RequestHeaders(_)));
    for (part, kind) in [
        (Part::RequestBody(HttpBody::default()), "RequestBody"),
        (Part::RequestTrailers(HttpTrailers::default()), "RequestTrailers"),
    ] {
        let reply = format!("{:?}", first.say(part).await.unwrap());
        assert!(reply.starts_with(kind), "{reply}");
    }
    // One at a time: the second is denied until the first is done.
    let mut second = Processor::start(&channel).await;
    let Reply::ImmediateResponse(denied) = second.say(get("203.0.113.7")).await.unwrap() else {
        panic!()
    };
    assert_eq!(denied.status.unwrap().code, 429);
    let set = denied.headers.unwrap().set_headers;
    assert!(set.iter().any(|option| {
        let header = option.header.as_ref().unwrap();
        header.key == "retry-after" && !header.raw_value.is_empty()
    }));
    let ok = Part::ResponseHeaders(head(&[(":status", b"200"), ("content-length", b"12")]));
    assert!(matches!(first.say(ok).await.unwrap(), Reply::ResponseHeaders(_)));
    for (part, kind) in [
        (Part::ResponseBody(HttpBody::default()), "ResponseBody"),
        (Part::ResponseTrailers(HttpTrailers::default()), "ResponseTrailers"),
    ] {
        let reply = format!("{:?}", first.say(part).await.unwrap());
        assert!(reply.starts_with(kind), "{reply}");
    }
    let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
    assert!(text.contains("tidegate_outcomes_total 1\n"));
    let mut third = Processor::start(&channel).await;
    assert!(matches!(third.say(get("203.0.113.7")).await.unwrap(), Reply::RequestHeaders(_)));
    drop(third);
    let begun = std::time::Instant::now();
    loop {
        let mut next = Processor::start(&channel).await;
        if matches!(next.say(get("203.0.113.7")).await.unwrap(), Reply::RequestHeaders(_)) {
            break;
        }
        assert!(begun.elapsed().as_secs() < 15, "a cut stream holds on to its place");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    gate.stop().await;
}

#[tokio::test]
async fn a_processor_says_what_it_lacks_and_bears_with_what_is_no_text() {
    let (gate, channel) = grpc("", "").await;
    let mut stream = Processor::start(&channel).await;
    let refused = stream.say(Part::RequestHeaders(head(&[(":path", b"/")]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("request_attributes"), "{refused}");
    let long = vec![b'a'; 1 << 20];
    let odd: [(&str, &[u8]); 6] = [
        (":method", b"\xff"),
        (":path", b"\xfe\x00"),
        ("bad name", b"x"),
        ("user-agent", b"\xc3\x28"),
        ("x-long", &long),
        ("x-forwarded-for", b"unknown, 203.0.113.9"),
    ];
    let mut stream = Processor::start(&channel).await;
    let reply = stream.say(Part::RequestHeaders(head(&odd))).await.unwrap();
    assert!(matches!(reply, Reply::RequestHeaders(_)));
    let reply = stream.say(Part::ResponseHeaders(head(&[(":status", b"\xff")]))).await.unwrap();
    assert!(matches!(reply, Reply::ResponseHeaders(_)));
    // Who only looks on is not answered, and what it shows counts.
    let mut quiet = Processor::start(&channel).await;
    quiet.tell(get("203.0.113.9"), true).await;
    quiet.tell(Part::ResponseHeaders(head(&[(":status", b"404")])), true).await;
    let body = quiet.say(Part::ResponseBody(HttpBody::default())).await.unwrap();
    assert!(matches!(body, Reply::ResponseBody(_)));
    let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
    assert!(text.contains("tidegate_outcomes_total 1\n"));
    gate.stop().await;
}
