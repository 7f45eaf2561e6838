//! Who asks and how: from the head of an HTTP request to the record that the engine decides on.

use http::header::{AUTHORIZATION, COOKIE, FORWARDED, HeaderMap, HeaderName, REFERER, USER_AGENT};
use http::request::Parts;
use std::borrow::Cow;
use std::net::IpAddr;
use tidegate_behavior::address::{IdentityRules, Source, cookie, jwt_claim};
use tidegate_behavior::forwarded::nodes;
use tidegate_behavior::{Method, Request};
use tidegate_limiter::Timestamp;

/// Identity beyond what the policy says: only the wire needs it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where the user that a request acts for stands, first come first; may be empty.
    pub user: Vec<Source>,
    /// The field in which a trusted hop gives the JA4 fingerprint of the client's TLS.
    pub ja4: HeaderName,
    /// The field in which trusted hops say whom they saw.
    pub forwarded: HopField,
}

/// The field in which hops say whom they saw. One alone is believed: what hops write they write over
/// or append to, and the other one comes as the client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopField {
    /// `X-Forwarded-For`: addresses.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): elements with `for=`.
    Forwarded,
}

impl HopField {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
        }
    }

    /// Whom the hops saw, in the order of the wire.
    pub(crate) fn hops(self, headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &str> {
        let name = match self {
            Self::XForwardedFor => X_FORWARDED_FOR,
            Self::Forwarded => FORWARDED,
        };
        let lines = headers.get_all(name).into_iter();
        lines.flat_map(move |line| {
            // What a client wrote before it must not take along what the hop appended.
            let elements = line.as_bytes().split(|byte| *byte == b',');
            let elements =
                elements.map(|element| std::str::from_utf8(element).unwrap_or("").trim());
            // One of the two is empty.
            let (list, nodes) = match self {
                Self::XForwardedFor => (Some(elements), None),
                Self::Forwarded => (None, Some(nodes(line.to_str().unwrap_or("")))),
            };
            list.into_iter().flatten().chain(nodes.into_iter().flatten())
        })
    }
}

/// Takes away what only a hop may say: the peer passes connections on and has written none of it.
pub(crate) fn forget(headers: &mut HeaderMap, identity: &Identity) {
    for name in [&X_FORWARDED_FOR, &FORWARDED, &identity.ja4] {
        headers.remove(name);
    }
    for name in ["x-forwarded-proto", "x-forwarded-host"] {
        headers.remove(name);
    }
}

/// A request's head as the engine sees it.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// The client's address behind the trusted hops.
    pub addr: IpAddr,
    credential: Option<Cow<'a, str>>,
    user: Option<Cow<'a, str>>,
    method: Method,
    path: &'a str,
    user_agent: &'a str,
    referer: &'a str,
    header_shape: u64,
    ja4: Option<&'a str>,
    payload: u64,
}

/// What a gateway says of the request that it asks about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarded<'a> {
    pub method: &'a str,
    pub uri: &'a str,
    /// The addresses before the one that the gateway saw, in the order of the wire.
    pub hops: &'a [&'a str],
    /// The names of the request's fields in their order, separated by commas, if they are not those
    /// of the headers at hand; empty when nobody knows it.
    pub names: Option<&'a str>,
}

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl<'a> Seen<'a> {
    /// Reads the head of a request that came from `peer`.
    pub(crate) fn new(
        rules: &IdentityRules,
        identity: &Identity,
        peer: IpAddr,
        head: &'a Parts,
    ) -> Self {
        let addr = rules.client_address(peer, identity.forwarded.hops(&head.headers));
        let uri = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let method = Method::parse(head.method.as_str().as_bytes());
        Self::of(rules, identity, (peer, addr), &head.headers, (method, uri))
    }

    /// Reads a request that came to a gateway from `peer`.
    pub(crate) fn forwarded(
        rules: &IdentityRules,
        identity: &Identity,
        peer: IpAddr,
        headers: &'a HeaderMap,
        forwarded: Forwarded<'a>,
    ) -> Self {
        let addr = rules.client_address(peer, forwarded.hops.iter().copied());
        let method = Method::parse(forwarded.method.as_bytes());
        let seen = Self::of(rules, identity, (peer, addr), headers, (method, forwarded.uri));
        match forwarded.names {
            Some("") => Self { header_shape: 0, ..seen },
            Some(names) => Self { header_shape: shape(names.split(',').map(str::trim)), ..seen },
            None => seen,
        }
    }

    fn of(
        rules: &IdentityRules,
        identity: &Identity,
        (peer, addr): (IpAddr, IpAddr),
        headers: &'a HeaderMap,
        (method, path): (Method, &'a str),
    ) -> Self {
        let trusted = rules.trusted.get(peer).is_some();
        Self {
            addr,
            credential: rules.sources.iter().find_map(|source| find(source, headers)),
            user: identity.user.iter().find_map(|source| find(source, headers)),
            method,
            path,
            user_agent: text(headers, &USER_AGENT).unwrap_or(""),
            referer: text(headers, &REFERER).unwrap_or(""),
            header_shape: shape(headers.keys().map(HeaderName::as_str)),
            ja4: if trusted { text(headers, &identity.ja4) } else { None },
            payload: text(headers, &http::header::CONTENT_LENGTH)
                .and_then(|length| length.parse().ok())
                .unwrap_or(0),
        }
    }

    /// The record for the engine.
    pub(crate) fn request(&self, time: Timestamp) -> Request<'_> {
        Request {
            time,
            addr: Some(self.addr),
            credential: self.credential.as_deref(),
            user: self.user.as_deref(),
            method: self.method,
            path: self.path,
            user_agent: self.user_agent,
            referer: self.referer,
            header_shape: self.header_shape,
            ja4: self.ja4,
            payload: self.payload,
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn find<'a>(source: &Source, headers: &'a HeaderMap) -> Option<Cow<'a, str>> {
    match source {
        Source::Header(name) => {
            let value = headers.get(name.as_str())?.to_str().ok()?.trim();
            (!value.is_empty()).then_some(Cow::Borrowed(value))
        }
        Source::JwtClaim(claim) => jwt_claim(text(headers, &AUTHORIZATION)?, claim).map(Cow::Owned),
        // HTTP/2 clients may split the field (RFC 9113 §8.2.3).
        Source::Cookie(name) => headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(|field| cookie(field, name))
            .map(Cow::Borrowed),
        Source::Address => None,
    }
}

/// A hash of the names of header fields and their order: FNV-1a of 64 bits, never 0.
///
/// Fields that come and go with the single request, and not with the program that sends it, are
/// left out, as JA4H leaves out `Cookie` and `Referer`.
pub(crate) fn shape<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    const PASSING: [&str; 20] = [
        "authorization",
        "cache-control",
        "content-length",
        "content-type",
        "cookie",
        "forwarded",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "origin",
        "pragma",
        "range",
        "referer",
        "x-forwarded-for",
        "x-forwarded-header-names",
        "x-forwarded-host",
        "x-forwarded-method",
        "x-forwarded-proto",
        "x-forwarded-uri",
    ];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for name in names {
        let name = name.to_ascii_lowercase();
        if PASSING.binary_search(&name.as_str()).is_ok() {
            continue;
        }
        for byte in name.bytes().chain([b'\n']) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_behavior::address::parse_network;

    fn head(fields: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/a?b=1");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn identity() -> Identity {
        let forwarded = HopField::XForwardedFor;
        Identity { user: vec![], ja4: HeaderName::from_static("x-ja4"), forwarded }
    }

    #[test]
    fn the_first_present_source_names_the_client() {
        let rules = IdentityRules {
            sources: vec![
                Source::Header("x-api-key".into()),
                Source::Cookie("session".into()),
                Source::Address,
            ],
            ..IdentityRules::default()
        };
        let peer = IpAddr::from([192, 0, 2, 1]);
        for (fields, expected) in [
            (vec![("x-api-key", "k"), ("cookie", "session=s")], Some("k")),
            (vec![("x-api-key", " "), ("cookie", "a=b"), ("cookie", "session=s")], Some("s")),
            (vec![], None),
        ] {
            let head = head(&fields);
            let seen = Seen::new(&rules, &identity(), peer, &head);
            assert_eq!(seen.request(Timestamp::EPOCH).credential, expected);
            assert_eq!(seen.request(Timestamp::EPOCH).path, "/a?b=1");
        }
    }

    #[test]
    fn what_a_client_wrote_takes_nothing_along_that_a_hop_appended() {
        let mut rules = IdentityRules::default();
        rules.trusted.insert(parse_network("10.0.0.0/8").unwrap(), ());
        let mut headers = HeaderMap::new();
        let line = http::HeaderValue::from_bytes(b"\xff, 203.0.113.9").unwrap();
        headers.insert(X_FORWARDED_FOR, line);
        let hops = HopField::XForwardedFor.hops(&headers);
        let client = rules.client_address("10.0.0.1".parse().unwrap(), hops);
        assert_eq!(client, "203.0.113.9".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn only_trusted_hops_forward() {
        let mut rules = IdentityRules::default();
        rules.trusted.insert(parse_network("10.0.0.0/8").unwrap(), ());
        let head = head(&[("x-forwarded-for", "203.0.113.9"), ("x-ja4", "t13d")]);
        let seen = Seen::new(&rules, &identity(), IpAddr::from([192, 0, 2, 1]), &head);
        assert_eq!((seen.addr, seen.ja4), (IpAddr::from([192, 0, 2, 1]), None));
        let seen = Seen::new(&rules, &identity(), IpAddr::from([10, 0, 0, 1]), &head);
        assert_eq!((seen.addr, seen.ja4), (IpAddr::from([203, 0, 113, 9]), Some("t13d")));
    }

    #[test]
    fn one_field_alone_is_believed_whatever_the_other_says() {
        let mut rules = IdentityRules::default();
        rules.trusted.insert(parse_network("10.0.0.0/8").unwrap(), ());
        let (old, new) = (HopField::XForwardedFor, HopField::Forwarded);
        for (fields, field, expected) in [
            (&[("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=2.2.2.2")][..], old, "1.1.1.1"),
            (&[("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=2.2.2.2")], new, "2.2.2.2"),
            (&[("forwarded", "for=2.2.2.2")], old, "10.0.0.1"),
            (&[("x-forwarded-for", "1.1.1.1")], new, "10.0.0.1"),
            // The last line is that of the nearest hop; each hop that is trusted names the one before.
            (
                &[("forwarded", "for=6.6.6.6"), ("forwarded", "for=\"[2001:db8::7]:443\"")],
                new,
                "2001:db8::7",
            ),
            (&[("forwarded", "for=2.2.2.2, for=\"10.7.7.7:_x\"")], new, "2.2.2.2"),
            (
                &[("forwarded", "for=\"6.6.6.6"), ("forwarded", "for=10.7.7.7;proto=http")],
                new,
                "10.7.7.7",
            ),
            (&[("forwarded", "for=2.2.2.2, for=_hidden, for=10.7.7.7")], new, "10.7.7.7"),
            (&[("forwarded", "for=2.2.2.2, for=unknown")], new, "10.0.0.1"),
            (&[("forwarded", "for=2.2.2.2, proto=https")], new, "10.0.0.1"),
        ] {
            let identity = Identity { forwarded: field, ..identity() };
            let head = head(fields);
            let seen = Seen::new(&rules, &identity, IpAddr::from([10, 0, 0, 1]), &head);
            assert_eq!(seen.addr, expected.parse::<IpAddr>().unwrap(), "{fields:?}");
            let seen = Seen::new(&rules, &identity, IpAddr::from([192, 0, 2, 1]), &head);
            assert_eq!(seen.addr, IpAddr::from([192, 0, 2, 1]));
        }
    }

    #[test]
    fn shape_is_names_and_order_without_passing_fields() {
        let of = |names: &[&str]| shape(names.iter().copied());
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_eq!(of(&["a", "Cookie", "b"]), of(&["A", "b", "referer"]));
    }
}
