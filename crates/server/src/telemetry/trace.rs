//! Spans of requests, and the trace that they are part of (W3C Trace Context).

use super::export::{Counters, Exporting};
use super::otlp::{self, OtlpError};
use crate::config;
use crate::decisions::{Via, shown};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    Link, SpanContext, SpanKind, Status, TraceContextExt, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, SpanExporter,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_behavior::{Method, Request};
use tidegate_engine::descriptors::Verdict;
use tidegate_engine::{Decision, Engine};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Every trace, in parts of which [`Sampler`] takes a share.
const ALL: f64 = (1_u64 << 63) as f64;

/// What makes spans.
pub(crate) struct Tracing {
    tracer: SdkTracer,
    /// Spans end in its queue.
    _provider: SdkTracerProvider,
    share: Arc<AtomicU64>,
}

impl Tracing {
    /// Spans that go to the collector of a configuration.
    pub(crate) fn new(
        config: &config::Otlp,
        counters: Counters,
    ) -> Result<(Self, Exporting<opentelemetry_otlp::SpanExporter>), OtlpError> {
        Ok(Self::with(otlp::exporter(config)?, config.sample, counters))
    }

    pub(super) fn with<E: SpanExporter>(
        mut exporter: E,
        sample: f64,
        counters: Counters,
    ) -> (Self, Exporting<E>) {
        let resource = resource();
        exporter.set_resource(&resource);
        let (inlet, exporting) = Exporting::new(exporter, counters);
        let share = Arc::new(AtomicU64::new(0));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(inlet)
            .with_sampler(Sampler(Arc::clone(&share)))
            .with_resource(resource)
            .build();
        let tracing = Self { tracer: provider.tracer("tidegate"), _provider: provider, share };
        tracing.sample(sample);
        (tracing, exporting)
    }

    /// Takes this share of the traces that begin here from now on.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn sample(&self, share: f64) {
        self.share.store((share * ALL) as u64, Ordering::Relaxed);
    }

    /// Begins the span of a request that came with these fields, in the trace that they name if whoever sent
    /// them is believed.
    pub(crate) fn begin(&self, name: &'static str, via: Via, from: Option<&HeaderMap>) -> Span {
        let parent = from.map_or_else(Context::new, |headers| {
            TraceContextPropagator::new()
                .extract_with_context(&Context::new(), &Fields::of(headers))
        });
        let builder = self.tracer.span_builder(name).with_kind(SpanKind::Server);
        let span = self.tracer.build_with_context(builder, &parent);
        let span = Span(Some(Box::new(Active {
            tracer: self.tracer.clone(),
            context: parent.with_span(span),
        })));
        span.set("tidegate.door", via.name());
        span
    }
}

/// Who this is, as `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say.
fn resource() -> Resource {
    let own = [
        KeyValue::new("service.name", "tidegate"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = Resource::builder_empty().with_attributes(own).with_detectors(&[
        Box::new(TelemetryResourceDetector),
        Box::new(EnvResourceDetector::new()),
    ]);
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

/// Goes by the parent, and takes a share of those that have none.
#[derive(Clone, Debug)]
struct Sampler(Arc<AtomicU64>);

impl ShouldSample for Sampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|context| context.span().span_context().clone());
        let (sampled, trace_state) = match parent.filter(SpanContext::is_valid) {
            Some(parent) => (parent.is_sampled(), parent.trace_state().clone()),
            None => {
                // As other SDKs do, so that the same traces are taken everywhere.
                let [.., a, b, c, d, e, f, g, h] = trace.to_bytes();
                let place = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
                (place < self.0.load(Ordering::Relaxed), TraceState::default())
            }
        };
        let decision =
            if sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state }
    }
}

/// What is traced of one request: nothing when tracing is off, the names of trace and span alone when it is
/// not sampled. It ends when it is dropped.
#[derive(Default)]
pub(crate) struct Span(Option<Box<Active>>);

struct Active {
    tracer: SdkTracer,
    context: Context,
}

impl Span {
    /// The span, when it is going to be exported.
    fn recording(&self) -> Option<&Active> {
        self.0.as_deref().filter(|active| active.context.span().is_recording())
    }

    fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(active) = self.recording() {
            active.context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// The trace, when it is sampled.
    pub(crate) fn trace_id(&self) -> Option<String> {
        let active = self.recording()?;
        Some(active.context.span().span_context().trace_id().to_string())
    }

    /// Tells what was decided about which request. The query, where secrets stand, is left out, and of the
    /// client there is the name that the decision log has.
    pub(crate) fn decided(&self, engine: &Engine, request: &Request<'_>, decision: &Decision) {
        let Some(active) = self.recording() else { return };
        let span = active.context.span();
        let method = match request.method {
            Method::Other => "_OTHER",
            told_apart => told_apart.name(),
        };
        let route = engine.route_name(decision.ticket.trace.route);
        // Its name is `GET /a/{id}`, or `(other)`.
        match route.split_once(' ') {
            Some((_, template)) => {
                span.update_name(format!("{method} {template}"));
                span.set_attribute(KeyValue::new("http.route", template.to_owned()));
            }
            None => span.update_name(method),
        }
        span.set_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.path", shown(request.path).to_owned()),
            KeyValue::new(
                "tidegate.client",
                crate::console::name_of(engine, decision.ticket.client),
            ),
            KeyValue::new("tidegate.action", decision.action.name()),
            KeyValue::new("tidegate.allowed", decision.allowed),
            KeyValue::new("tidegate.rule", engine.rule_name(decision.rule)),
            KeyValue::new("tidegate.risk", f64::from(decision.risk)),
            KeyValue::new("tidegate.shadow", decision.shadow),
        ]);
    }

    /// Tells what a call by descriptors was answered.
    pub(crate) fn limited(&self, domain: &str, verdict: &Verdict) {
        let Some(active) = self.recording() else { return };
        let span = active.context.span();
        span.set_attributes([
            KeyValue::new("tidegate.domain", domain.to_owned()),
            KeyValue::new("tidegate.allowed", !verdict.over),
            KeyValue::new("tidegate.shadow", verdict.shadow),
        ]);
        // The values of descriptors are left out: they are what somebody is told apart by.
        let denies = verdict.statuses.iter().find(|status| status.over);
        if let Some(limit) = denies.and_then(|status| status.against.limit()) {
            span.set_attribute(KeyValue::new("tidegate.rule", limit.name.clone()));
        }
        if let Some(action) = verdict.statuses.iter().find_map(|status| status.action) {
            span.set_attribute(KeyValue::new("tidegate.action", action.name()));
        }
    }

    /// Tells what was answered.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            self.failed(status.as_str().to_owned());
        }
    }

    /// Tells that there is no answer, or one that is an error.
    pub(crate) fn failed(&self, kind: impl Into<Value>) {
        let Some(active) = self.recording() else { return };
        active.context.span().set_status(Status::error(""));
        self.set("error.type", kind);
    }

    /// Begins the span of the same request to the upstream, and tells the upstream of it.
    pub(crate) fn upstream(&self, head: &mut Parts) -> Self {
        let Some(active) = &self.0 else { return Self(None) };
        let builder = active.tracer.span_builder(head.method.to_string());
        let builder = builder.with_kind(SpanKind::Client);
        let span = active.tracer.build_with_context(builder, &active.context);
        let context = active.context.with_span(span);
        // A client's own words would contradict them.
        head.headers.remove(TRACEPARENT);
        head.headers.remove(TRACESTATE);
        TraceContextPropagator::new().inject_context(&context, &mut Fresh(&mut head.headers));
        let span = Self(Some(Box::new(Active { tracer: active.tracer.clone(), context })));
        if let Some(active) = span.recording() {
            let uri = &head.uri;
            let (scheme, host) = (uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or(""));
            let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            active.context.span().set_attributes([
                KeyValue::new("http.request.method", head.method.to_string()),
                KeyValue::new("server.address", host.to_owned()),
                KeyValue::new("server.port", i64::from(port)),
                KeyValue::new("url.full", format!("{scheme}://{authority}{}", shown(uri.path()))),
            ]);
        }
        span
    }
}

/// The fields of a request that tell of its trace.
struct Fields {
    parent: Option<String>,
    state: Option<String>,
}

impl Fields {
    /// More than one parent is none; states are a list (W3C Trace Context §3.3).
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| -> Vec<&str> {
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
        };
        let parent = match text(&TRACEPARENT)[..] {
            [parent] => Some(parent.to_owned()),
            _ => None,
        };
        Self { parent, state: Some(text(&TRACESTATE).join(",")).filter(|state| !state.is_empty()) }
    }
}

impl Extractor for Fields {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.parent.as_deref(),
            "tracestate" => self.state.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// Fields that had no such names before.
struct Fresh<'a>(&'a mut HeaderMap);

impl Injector for Fresh<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let Ok(name) = HeaderName::from_bytes(key.as_bytes())
            && let Ok(value) = HeaderValue::try_from(value)
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}

/// Of several sets of fields, the first that names a trace.
pub(crate) fn carrier<'a>(sets: &[&'a HeaderMap]) -> Option<&'a HeaderMap> {
    sets.iter().find(|headers| headers.contains_key(TRACEPARENT)).copied()
}
