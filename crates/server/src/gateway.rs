//! The door for gateways that ask about each request by a request of their own: nginx
//! (`auth_request`), Caddy (`forward_auth`), Traefik (ForwardAuth), HAProxy (Lua).
//!
//! The gateway sends the fields of its client's request on, and says in `X-Forwarded-Method`,
//! `X-Forwarded-Uri` and `X-Forwarded-For` what the request line and the address were. 200 lets the
//! request pass, with a ticket in `X-Tidegate-Ticket` by which the access log can tell what came of
//! it (`reports.rs`); 429 with its rate-limit fields is for the client. nginx makes an error of any
//! status but 401 and 403, so on the path `/nginx` a denial is 403. A gateway that does not keep the order
//! of fields names them in `X-Forwarded-Header-Names`.

use crate::answer;
use crate::body::Body;
use crate::decisions::Via;
use crate::door::Caller;
use crate::identify::{Forwarded, HopField, Seen};
use crate::shared::{Shared, Verdict};
use crate::telemetry::Span;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_behavior::address::parse_forwarded;
use tidegate_engine::Ticket;

/// Where the ticket of a request that passes stands.
pub(crate) const TICKET: HeaderName = HeaderName::from_static("x-tidegate-ticket");
const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const NAMES: HeaderName = HeaderName::from_static("x-forwarded-header-names");

/// What answers gateways.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(check).with_state(shared)
}

async fn check(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(gateway): ConnectInfo<Caller>,
    request: Request,
) -> Response<axum::body::Body> {
    let (head, _) = request.into_parts();
    let nginx = head.uri.path() == "/nginx";
    let mut response = decide(&shared, gateway, &head).await;
    if nginx && response.status() == StatusCode::TOO_MANY_REQUESTS {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response.map(axum::body::Body::new)
}

async fn decide(shared: &Shared, gateway: Caller, head: &http::request::Parts) -> Response<Body> {
    if !may_ask(shared, gateway) {
        return answer::problem(
            StatusCode::FORBIDDEN,
            "Only gateways may ask here: name this one's address in identity.trusted_hops.",
        );
    }
    let field = shared.live.load().identity.forwarded;
    let Some((client, hops)) = client(&head.headers, field) else {
        return answer::problem(
            StatusCode::BAD_REQUEST,
            "The gateway has to say who asks: set the field X-Forwarded-For to the client's address.",
        );
    };
    let uri = lossy(&head.headers, &URI).unwrap_or_else(|| head.uri.to_string());
    let method = lossy(&head.headers, &METHOD).unwrap_or_else(|| head.method.to_string());
    let names = lossy(&head.headers, &NAMES);
    let forwarded = Forwarded { method: &method, uri: &uri, hops: &hops, names: names.as_deref() };
    let span = shared.span("check", Via::Http, &[&head.headers], || true);
    match answer(shared, client, &head.headers, forwarded, (Via::Http, span)).await {
        Verdict::Deny(response) => response,
        Verdict::Pass { ticket, fields, .. } => {
            let mut response = Response::new(crate::body::full(String::new()));
            *response.headers_mut() = fields;
            if let Some(Ok(ticket)) =
                ticket.map(|ticket| HeaderValue::from_str(&ticket.to_string()))
            {
                response.headers_mut().insert(TICKET, ticket);
            }
            response
        }
    }
}

/// Whether somebody may ask about others: by a certificate, or by its address.
pub(crate) fn may_ask(shared: &Shared, gateway: Caller) -> bool {
    gateway.certified || shared.trusts(gateway.addr)
}

/// Decides the request of a client that a gateway saw at this address, and tells the span of it; returns when
/// it may pass.
pub(crate) async fn answer(
    shared: &Shared,
    client: IpAddr,
    headers: &HeaderMap,
    forwarded: Forwarded<'_>,
    (via, span): (Via, Span),
) -> Verdict {
    let (live, policy) = (shared.live.load_full(), shared.engine.policy());
    let seen = Seen::forwarded(&policy.identity, &live.identity, client, headers, forwarded);
    let verdict = shared.verdict(&live, &policy, &seen, via, &span);
    span.answered(match &verdict {
        Verdict::Pass { .. } => StatusCode::OK,
        Verdict::Deny(response) => response.status(),
    });
    if let Verdict::Pass { ticket, wait, .. } = &verdict
        && !wait.is_zero()
    {
        // Whoever gives up meanwhile holds on to nothing.
        let held = Held { shared, ticket: *ticket };
        tokio::time::sleep(*wait).await;
        held.keep();
    }
    verdict
}

/// What a request holds while it waits; given back when dropped.
struct Held<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl Held<'_> {
    fn keep(mut self) {
        self.ticket = None;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.shared.release(ticket);
        }
    }
}

/// The last address that the gateway names, which is whom it saw, and those that this one named: by
/// whichever field, the gateway itself has the other one from its client.
pub(crate) fn client(headers: &HeaderMap, field: HopField) -> Option<(IpAddr, Vec<&str>)> {
    let mut hops: Vec<&str> = HopField::XForwardedFor.hops(headers).collect();
    let client = parse_forwarded(hops.pop()?)?;
    if field == HopField::Forwarded {
        hops = field.hops(headers).collect();
    }
    Some((client, hops))
}

/// A field as text; what is no UTF-8 is replaced, for it has to be decided all the same.
fn lossy(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::X_FORWARDED_FOR;

    #[test]
    fn a_certificate_counts_whatever_the_address() {
        let resolved = crate::Resolved::defaults().unwrap();
        let engine = tidegate_engine::Engine::new(resolved.policy.clone(), Default::default());
        let live = crate::shared::Live::new(&resolved, None);
        let shared = Shared::new(Arc::new(engine), live, Vec::new());
        for (addr, certified, may) in [
            ([192, 0, 2, 1], true, true),
            ([192, 0, 2, 1], false, false),
            ([127, 0, 0, 1], false, true),
        ] {
            assert_eq!(may_ask(&shared, Caller { addr: addr.into(), certified }), may);
        }
    }

    #[test]
    fn the_gateway_names_whom_it_saw_last() {
        let read = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_str(field).unwrap());
            }
            client(&headers, HopField::XForwardedFor)
                .map(|(client, hops)| (client.to_string(), hops.join("|")))
        };
        let of = |client: &str, hops: &str| Some((client.to_owned(), hops.to_owned()));
        assert_eq!(read(&["203.0.113.9"]), of("203.0.113.9", ""));
        assert_eq!(
            read(&["6.6.6.6, 10.0.0.1", "203.0.113.9"]),
            of("203.0.113.9", "6.6.6.6|10.0.0.1")
        );
        assert_eq!(read(&["[2001:db8::1]:443"]), of("2001:db8::1", ""));
        assert_eq!(read(&["6.6.6.6, unknown"]), None);
        assert_eq!((read(&[]), read(&[""])), (None, None));
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("6.6.6.6, 10.0.0.1"));
        headers.append("forwarded", HeaderValue::from_static("for=203.0.113.9"));
        let told = client(&headers, HopField::Forwarded).unwrap();
        assert_eq!(told, (IpAddr::from([10, 0, 0, 1]), vec!["203.0.113.9"]));
    }
}
