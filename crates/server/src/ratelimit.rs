//! Envoy's rate limit service (`envoy.service.ratelimit.v3`): descriptors held against the limits of files
//! written for envoyproxy/ratelimit.

use crate::answer::whole_seconds;
use crate::decisions::Via;
use crate::envoy::{Envoy, wire};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use smallvec::SmallVec;
use tidegate_engine::descriptors::{Asked, CallError, Status as Told, Verdict};
use tidegate_engine::domains::{Rate, Unit};
use tidegate_envoy::envoy::config::core::v3::HeaderValue;
use tidegate_envoy::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit as Named;
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit,
};
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use tidegate_envoy::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl RateLimitService for Envoy {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let (metadata, _, call) = request.into_parts();
        let span = self.shared.span("limit", Via::Grpc, &[metadata.as_ref()], || true);
        let asked = call.descriptors.iter().map(|one| asked(&call, one));
        let asked: SmallVec<[Asked<'_>; 4]> = asked.collect::<Result<_, _>>()?;
        let now = self.shared.now();
        match self.shared.limit(&call.domain, &asked, now) {
            Some(Ok(verdict)) => {
                span.limited(&call.domain, &verdict);
                Ok(Response::new(response(&call, &verdict)))
            }
            Some(Err(error @ CallError::TooMany(_))) => {
                Err(Status::resource_exhausted(error.to_string()))
            }
            Some(Err(error)) => Err(Status::invalid_argument(error.to_string())),
            // Envoy then does what its `failure_mode_deny` says.
            None => Err(Status::internal("the call can't be decided now")),
        }
    }
}

/// What a descriptor asks.
fn asked<'a>(
    call: &RateLimitRequest,
    descriptor: &'a RateLimitDescriptor,
) -> Result<Asked<'a>, Status> {
    let hits = match descriptor.hits_addend {
        Some(hits) => u32::try_from(hits).unwrap_or(u32::MAX),
        // The protocol can't tell a 0 here from one that was not set.
        None => call.hits_addend.max(1),
    };
    let instead = descriptor.limit.map(|limit| {
        // The two enumerations of units agree in their numbers.
        let unit = Unit::ALL
            .into_iter()
            .find(|unit| named(*unit) as i32 == limit.unit)
            .ok_or_else(|| {
                Status::invalid_argument("a descriptor's limit has no unit: send SECOND to YEAR")
            })?;
        Ok::<_, Status>(Rate { cells: limit.requests_per_unit, unit, multiplier: 1 })
    });
    Ok(Asked {
        entries: descriptor.entries.iter().map(|e| (e.key.as_str(), e.value.as_str())).collect(),
        hits,
        back: descriptor.is_negative_hits,
        instead: instead.transpose()?,
    })
}

const fn named(unit: Unit) -> Named {
    match unit {
        Unit::Second => Named::Second,
        Unit::Minute => Named::Minute,
        Unit::Hour => Named::Hour,
        Unit::Day => Named::Day,
        Unit::Week => Named::Week,
        Unit::Month => Named::Month,
        Unit::Year => Named::Year,
    }
}

fn response(call: &RateLimitRequest, verdict: &Verdict) -> RateLimitResponse {
    let code = if verdict.over { Code::OverLimit } else { Code::Ok };
    RateLimitResponse {
        overall_code: code.into(),
        statuses: verdict.statuses.iter().map(|told| status(told, verdict.over)).collect(),
        response_headers_to_add: headers(verdict),
        dynamic_metadata: metadata(call, verdict),
        ..RateLimitResponse::default()
    }
}

fn status(told: &Told, denied: bool) -> DescriptorStatus {
    let code = if told.over { Code::OverLimit } else { Code::Ok };
    let mut status = DescriptorStatus {
        code: code.into(),
        limit_remaining: told.remaining,
        ..DescriptorStatus::default()
    };
    if let Some((rate, name)) = public(told, denied) {
        status.current_limit = Some(RateLimit {
            name: name.to_owned(),
            requests_per_unit: rate.cells,
            unit: named(rate.unit).into(),
        });
        status.duration_until_reset = Some(wire(told.reset));
    }
    status
}

/// The limit that clients may learn: one that models moved answers with its configured rate, and only
/// when it denies, for numbers that followed the models would tell an attacker how each trick moves it.
fn public(told: &Told, denied: bool) -> Option<(Rate, &str)> {
    if told.action.is_some() && !(told.over && denied) {
        return None;
    }
    let name = told.against.limit().map_or("", |limit| &limit.name);
    Some((told.against.rate()?, name))
}

/// The fields of the limit that is nearest to its end, as envoyproxy/ratelimit names them.
fn headers(verdict: &Verdict) -> Vec<HeaderValue> {
    let shown =
        verdict.statuses.iter().filter_map(|told| Some((told, public(told, verdict.over)?.0)));
    let nearest = shown.min_by_key(|(told, rate)| (!told.over, told.remaining, rate.cells));
    let Some((told, rate)) = nearest else { return Vec::new() };
    let reset = whole_seconds(told.reset);
    let field = |key: &str, value: u64| HeaderValue {
        key: key.to_owned(),
        value: value.to_string(),
        ..HeaderValue::default()
    };
    let mut fields = vec![
        field("RateLimit-Limit", rate.cells.into()),
        field("RateLimit-Remaining", told.remaining.into()),
        field("RateLimit-Reset", reset),
    ];
    if verdict.over {
        fields.push(field("Retry-After", reset.max(1)));
    }
    fields
}

/// What the next filters may want to know; nothing where there is nothing beyond the answer.
fn metadata(call: &RateLimitRequest, verdict: &Verdict) -> Option<Struct> {
    let limits = || {
        verdict
            .statuses
            .iter()
            .enumerate()
            .filter_map(|(at, told)| Some((at, told, told.against.limit()?)))
    };
    let worth = |told: &Told, attached: &[u8], quota_mode: bool| {
        told.action.is_some() || !attached.is_empty() || quota_mode
    };
    if !limits().any(|(_, told, limit)| worth(told, &limit.attached, limit.quota_mode)) {
        return None;
    }
    let mut all = Struct::default();
    for (_, _, limit) in limits().filter(|(_, told, _)| !told.over) {
        // Written by this program from the configuration.
        all.fields.extend(Struct::decode(&*limit.attached).unwrap_or_default().fields);
    }
    let mut add = |key: &str, kind: Kind| all.fields.insert(key.to_owned(), value(kind));
    add("domain", Kind::StringValue(call.domain.clone()));
    let descriptors = call.descriptors.iter().enumerate().map(|(at, descriptor)| {
        let entries = descriptor.entries.iter();
        let entries = entries.map(|e| value(Kind::StringValue(format!("{}={}", e.key, e.value))));
        let mut fields = Struct::default();
        fields.fields.insert("entries".into(), list(entries));
        if let Some(action) = verdict.statuses.get(at).and_then(|told| told.action) {
            let name = Kind::StringValue(action.name().to_owned());
            fields.fields.insert("action".into(), value(name));
        }
        value(Kind::StructValue(fields))
    });
    all.fields.insert("descriptors".into(), list(descriptors));
    if call.hits_addend > 0 {
        let hits = Kind::NumberValue(call.hits_addend.into());
        all.fields.insert("hitsAddend".into(), value(hits));
    }
    let quotas = limits().any(|(_, _, limit)| limit.quota_mode);
    all.fields.insert("quotaModeEnabled".into(), value(Kind::BoolValue(quotas)));
    if quotas {
        let violated = limits().filter(|(_, told, limit)| limit.quota_mode && told.over);
        #[allow(clippy::cast_precision_loss)]
        let violated = violated.map(|(at, ..)| value(Kind::NumberValue(at as f64)));
        all.fields.insert("quotaModeViolations".into(), list(violated));
    }
    Some(all)
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn list(values: impl Iterator<Item = Value>) -> Value {
    value(Kind::ListValue(ListValue { values: values.collect() }))
}

/// A map of JSON as the wire has it.
pub(crate) fn structure(fields: serde_json::Map<String, serde_json::Value>) -> Struct {
    fn of(json: serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Null => value(Kind::NullValue(0)),
            Json::Bool(one) => value(Kind::BoolValue(one)),
            Json::Number(number) => value(Kind::NumberValue(number.as_f64().unwrap_or(0.0))),
            Json::String(text) => value(Kind::StringValue(text)),
            Json::Array(all) => list(all.into_iter().map(of)),
            Json::Object(fields) => value(Kind::StructValue(structure(fields))),
        }
    }
    Struct { fields: fields.into_iter().map(|(key, json)| (key, of(json))).collect() }
}
