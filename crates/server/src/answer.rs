//! Answers that the server itself gives: problem documents (RFC 9457) and rate-limit fields.
//!
//! A client learns the name and the numbers of *static* rules alone. The learned limit answers under
//! the name `default` with the limit of a new client, and only when it denies: fields that followed
//! the learned limit would tell an attacker how each trick changes it.

use crate::body::{Body, full};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;
use std::time::Duration;
use tidegate_engine::policy::{Mode, Policy, Rule};
use tidegate_engine::{Decision, RuleRef};
use tidegate_limiter::Limit;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Registered by draft-ietf-httpapi-ratelimit-headers.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// A problem document with no more in it than the status says.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    document(
        status,
        &json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": detail,
        }),
    )
}

fn document(status: StatusCode, document: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(document.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a denied request.
pub(crate) fn denial(policy: &Policy, decision: &Decision) -> Response<Body> {
    if decision.rule == RuleRef::DenyList {
        return problem(StatusCode::FORBIDDEN, "Access from this address is not allowed.");
    }
    let retry = whole_seconds(decision.retry_after).max(1);
    let (name, quota) = match static_rule(policy, decision) {
        Some(rule) => (rule.name.as_str(), quota_item(&rule.limit)),
        None => {
            let new = &policy.adaptive.tiers.new;
            ("default", format!("q={};w={}", new.cells(), whole_seconds(new.period()).max(1)))
        }
    };
    let mut response = document(
        StatusCode::TOO_MANY_REQUESTS,
        &json!({
            "type": QUOTA_EXCEEDED,
            "title": "Request cannot be satisfied as assigned quota has been exceeded",
            "status": 429,
            "detail": format!("Try again in {retry} s."),
            "violated-policies": [name],
        }),
    );
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(retry));
    insert(headers, RATE_LIMIT, &format!("\"{name}\";r=0;t={retry}"));
    insert(headers, RATE_LIMIT_POLICY, &format!("\"{name}\";{quota}"));
    response
}

/// Adds the rate-limit fields of the static rule nearest to its limit to a response that passed.
pub(crate) fn annotate(policy: &Policy, decision: &Decision, headers: &mut HeaderMap) {
    let Some(rule) = static_rule(policy, decision) else { return };
    if rule.mode == Mode::Shadow || policy.mode == Mode::Shadow {
        return;
    }
    let (name, reset) = (&rule.name, whole_seconds(decision.reset_after));
    insert(headers, RATE_LIMIT, &format!("\"{name}\";r={};t={reset}", decision.remaining));
    insert(headers, RATE_LIMIT_POLICY, &format!("\"{name}\";{}", quota_item(&rule.limit)));
}

fn static_rule<'a>(policy: &'a Policy, decision: &Decision) -> Option<&'a Rule> {
    match decision.rule {
        RuleRef::Static(at) => policy.rules.get(usize::from(at)),
        _ => None,
    }
}

fn quota_item(limit: &Limit) -> String {
    match limit {
        Limit::TokenBucket(quota) | Limit::LeakyBucket { quota, .. } => {
            format!("q={};w={}", quota.cells(), whole_seconds(quota.period()).max(1))
        }
        Limit::SlidingWindow(window) => {
            format!("q={};w={}", window.cells(), whole_seconds(window.length()).max(1))
        }
        Limit::Concurrency { max, .. } => format!("q={max};qu=\"concurrent-requests\""),
    }
}

/// Rounded up: a client that comes back earlier would only be denied again.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
