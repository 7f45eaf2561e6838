//! What Envoy's access log stream says: of a request that was asked about, what became of it; of any
//! other, the request as well.
//!
//! Who enforces limits by the rate limit service alone tells models nothing but names. The stream then
//! is what they learn clients from.

use crate::decisions::Via;
use crate::door::Caller;
use crate::envoy::{Envoy, duration};
use crate::gateway::TICKET;
use crate::identify::{Forwarded, Seen, X_FORWARDED_FOR};
use crate::shared::Shared;
use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;
use std::time::Duration;
use tidegate_behavior::Outcome;
use tidegate_behavior::address::canonical;
use tidegate_engine::Ticket;
use tidegate_envoy::envoy::config::core::v3::address::Address;
use tidegate_envoy::envoy::config::core::v3::{Address as AnyAddress, RequestMethod};
use tidegate_envoy::envoy::data::accesslog::v3::{
    AccessLogCommon, HttpAccessLogEntry, HttpRequestProperties,
};
use tidegate_envoy::envoy::service::accesslog::v3::access_log_service_server::AccessLogService;
use tidegate_envoy::envoy::service::accesslog::v3::stream_access_logs_message::LogEntries;
use tidegate_envoy::envoy::service::accesslog::v3::{
    StreamAccessLogsMessage, StreamAccessLogsResponse,
};
use tidegate_limiter::Timestamp;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl AccessLogService for Envoy {
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        let caller: Option<&Caller> = request.extensions().get();
        let Some(from) = caller.map(|caller| caller.addr) else {
            return Err(Status::internal("nobody knows where this stream comes from"));
        };
        let mut stream = request.into_inner();
        // Said by the first message alone.
        let mut node = String::new();
        // A stream that is cut leaves what it has said.
        loop {
            let message = tokio::select! {
                () = self.stop.cancelled() => break,
                message = stream.message() => message?,
            };
            let Some(message) = message else { break };
            if let Some(named) = message.identifier.and_then(|identifier| identifier.node) {
                node = named.id.chars().take(LONGEST_NODE).collect();
            }
            if let Some(LogEntries::HttpLogs(logs)) = message.log_entries {
                for entry in logs.log_entry {
                    self.shared.metrics.report(self.take(entry, (from, &node)));
                }
            }
        }
        Ok(Response::new(StreamAccessLogsResponse {}))
    }
}

impl Envoy {
    /// Learns what an entry of somebody's log says; returns what that was.
    fn take(&self, entry: HttpAccessLogEntry, (from, node): (IpAddr, &str)) -> &'static str {
        let request = entry.request.unwrap_or_default();
        let common = entry.common_properties.unwrap_or_default();
        let Some(response) = entry.response else { return "unreadable" };
        let status = response.response_code.and_then(|code| u16::try_from(code).ok());
        let duration = common.time_to_last_downstream_tx_byte.as_ref().and_then(duration);
        let bytes = response.response_body_bytes;
        // Without a status the client went away before there was an answer.
        let status = status.filter(|status| (100..1000).contains(status));
        let outcome = status.map(|status| Outcome { status, bytes, duration });
        let learn = |ticket: &Ticket, kind| match &outcome {
            Some(outcome) => {
                self.shared.outcome(ticket, outcome);
                kind
            }
            None => {
                self.shared.release(ticket);
                "unanswered"
            }
        };
        let ticket = request.request_headers.get(TICKET.as_str()).map(|text| text.parse());
        let now = self.shared.now();
        // Where nobody is asked a ticket is what a client made up, or of a gateway before.
        if let Some(Ok(ticket)) = &ticket
            && self.askers.any(now)
            && self.shared.engine.knows(ticket)
        {
            self.askers.showed(from, node, now);
        }
        let asks = self.askers.asks(from, node, now);
        match ticket.filter(|_| asks) {
            Some(Ok(ticket)) => learn(&ticket, "learned"),
            Some(Err(_)) => "unreadable",
            // This Envoy asks about requests: the one was denied, or nobody was to be asked.
            None if asks => "without_ticket",
            None => match observe(&self.shared, &common, &request) {
                Some(ticket) => learn(&ticket, "observed"),
                None => "unreadable",
            },
        }
    }
}

/// Takes in a request that nobody asked about.
fn observe(
    shared: &Shared,
    common: &AccessLogCommon,
    request: &HttpRequestProperties,
) -> Option<Ticket> {
    let peer = address(common.downstream_remote_address.as_ref())?;
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: &str| {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    };
    add(USER_AGENT, &request.user_agent);
    add(REFERER, &request.referer);
    add(X_FORWARDED_FOR, &request.forwarded_for);
    for (name, value) in &request.request_headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            add(name, value);
        }
    }
    let method = RequestMethod::try_from(request.request_method).unwrap_or_default();
    let path = match request.original_path.as_str() {
        "" => request.path.as_str(),
        original => original,
    };
    let (live, policy) = (shared.live.load(), shared.engine.policy());
    let hops: Vec<&str> = live.identity.forwarded.hops(&headers).collect();
    // The log has neither all fields nor their order.
    let forwarded =
        Forwarded { method: method.as_str_name(), uri: path, hops: &hops, names: Some("") };
    let seen = Seen::forwarded(&policy.identity, &live.identity, peer, &headers, forwarded);
    let now = shared.now();
    // A batch of entries is of seconds that have passed, and requests are told apart by when they came.
    let time = common.start_time.and_then(|start| {
        let whole = u64::try_from(start.seconds).ok()?.checked_mul(1_000_000_000)?;
        whole.checked_add(u64::try_from(start.nanos).ok()?).map(Timestamp::from_nanos)
    });
    let time = time.unwrap_or(now).min(now);
    let time = if now.since(time) > OLDEST { now } else { time };
    Some(shared.check(&seen.request(time), Via::AccessLog)?.ticket)
}

/// The longest name of a node, in characters; of a longer one this is the name.
const LONGEST_NODE: usize = 256;

/// What claims to be older came from another clock.
const OLDEST: Duration = Duration::from_secs(600);

/// The IP address of a peer.
pub(crate) fn address(address: Option<&AnyAddress>) -> Option<IpAddr> {
    match address?.address.as_ref()? {
        Address::SocketAddress(socket) => socket.address.parse().ok().map(canonical),
        _ => None,
    }
}
