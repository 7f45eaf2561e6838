//! What one line of a log says about one request and its response.

use std::borrow::Cow;
use std::net::IpAddr;
use tidegate_behavior::{Method, Outcome, Request};
use tidegate_limiter::Timestamp;

/// One line of an access log. Text is unescaped and borrowed from the line where it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The time as logged. nginx, Caddy and AWS write the end of a request, others its beginning.
    pub time: Timestamp,
    /// The client's address; `None` when the log has a host name or nothing.
    pub addr: Option<IpAddr>,
    /// The client as written, without its port; empty when absent.
    pub client: Cow<'a, str>,
    /// The user that was logged in.
    pub user: Option<Cow<'a, str>>,
    /// The API key, token or session that came with the request.
    pub credential: Option<Cow<'a, str>>,
    /// The method; [`Method::Other`] when the request line is missing or garbage.
    pub method: Method,
    /// The request target: path and query. The whole request line when that is garbage.
    pub path: Cow<'a, str>,
    /// The `Referer` field; empty when absent.
    pub referer: Cow<'a, str>,
    /// The `User-Agent` field; empty when absent.
    pub user_agent: Cow<'a, str>,
    /// Bytes of the request; 0 when unknown. Some formats count the body, some the header too.
    pub payload: u64,
    /// What came of the request; `None` in formats that say nothing of the response.
    pub outcome: Option<Outcome>,
    /// The `X-Forwarded-For` field as written.
    pub forwarded_for: Option<Cow<'a, str>>,
    /// The JA4 fingerprint of the TLS client.
    pub ja4: Option<Cow<'a, str>>,
}

impl Record<'_> {
    /// The part of the record that is known before the response.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request {
            time: self.time,
            addr: self.addr,
            credential: self.credential.as_deref(),
            user: self.user.as_deref(),
            method: self.method,
            path: &self.path,
            user_agent: &self.user_agent,
            referer: &self.referer,
            header_shape: 0,
            ja4: self.ja4.as_deref(),
            payload: self.payload,
        }
    }

    /// The record on its own, free of the line.
    #[must_use]
    pub fn into_owned<'b>(self) -> Record<'b> {
        fn own<'b>(text: Cow<'_, str>) -> Cow<'b, str> {
            Cow::Owned(text.into_owned())
        }
        Record {
            time: self.time,
            addr: self.addr,
            client: own(self.client),
            user: self.user.map(own),
            credential: self.credential.map(own),
            method: self.method,
            path: own(self.path),
            referer: own(self.referer),
            user_agent: own(self.user_agent),
            payload: self.payload,
            outcome: self.outcome,
            forwarded_for: self.forwarded_for.map(own),
            ja4: self.ja4.map(own),
        }
    }
}
