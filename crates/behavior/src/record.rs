//! The two records that everything learns from: a request before its response, and its outcome.

use std::net::IpAddr;
use std::time::Duration;
use tidegate_limiter::Timestamp;

/// An HTTP method, as far as behaviour tells methods apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET.
    #[default]
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
    /// Anything else: CONNECT, TRACE, extension methods, nonsense.
    Other,
}

impl Method {
    /// Reads a method token; case matters (RFC 9110 §9.1).
    #[must_use]
    pub fn parse(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    /// The method's name; `OTHER` for those not told apart.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "OTHER",
        }
    }

    /// Whether the method asks for a change (POST, PUT, PATCH, DELETE).
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch | Self::Delete)
    }
}

/// A request as it is known *before* its response. Borrowed from a log line or from the wire.
///
/// Nothing here may come from the response: that is [`Outcome`], which is learned afterwards.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// When the request arrived.
    pub time: Timestamp,
    /// The address of the client, behind the hops that are trusted. `None` in logs without one.
    pub addr: Option<IpAddr>,
    /// The credential that names the client (API key, token subject, cookie), if one was sent.
    pub credential: Option<&'a str>,
    /// The user that the request claims to act for (log-in name, session), if known.
    pub user: Option<&'a str>,
    /// The method.
    pub method: Method,
    /// The request target as sent: path and query.
    pub path: &'a str,
    /// The `User-Agent` field; empty when absent.
    pub user_agent: &'a str,
    /// The `Referer` field; empty when absent.
    pub referer: &'a str,
    /// A hash of the names and order of the header fields; 0 when unknown (logs).
    pub header_shape: u64,
    /// The JA4 fingerprint of the TLS client, where a gateway gives one.
    pub ja4: Option<&'a str>,
    /// The size of the request's payload in bytes; 0 when none or unknown.
    pub payload: u64,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            time: Timestamp::EPOCH,
            addr: None,
            credential: None,
            user: None,
            method: Method::Get,
            path: "/",
            user_agent: "",
            referer: "",
            header_shape: 0,
            ja4: None,
            payload: 0,
        }
    }
}

/// What came of a request, learned after its decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The response's status code; 0 when unknown.
    pub status: u16,
    /// The size of the response in bytes; 0 when unknown.
    pub bytes: u64,
    /// Time from request to the end of the response, when known.
    pub duration: Option<Duration>,
}

/// What a status says of the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody told the status.
    Unknown,
    /// Anything below 400.
    Fine,
    /// 401 and 403: the site knows the client not, or lets it not.
    Refused,
    /// 404, 405 and 410: there is nothing of that kind.
    Missing,
    /// 429: a limit was reached, which is no behaviour of the client's.
    Limited,
    /// Another of 400 to 499.
    Wrong,
    /// 500 and above.
    Failed,
}

impl Answer {
    /// What this status says.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            0 => Self::Unknown,
            401 | 403 => Self::Refused,
            404 | 405 | 410 => Self::Missing,
            429 => Self::Limited,
            _ if status < 400 => Self::Fine,
            _ if status < 500 => Self::Wrong,
            _ => Self::Failed,
        }
    }

    /// Whether the request was at fault.
    #[must_use]
    pub const fn client_error(self) -> bool {
        matches!(self, Self::Refused | Self::Missing | Self::Wrong)
    }
}

impl Outcome {
    /// What the status says.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        Answer::of(self.status)
    }
}
