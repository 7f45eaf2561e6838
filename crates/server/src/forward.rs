//! The head of a request and of a response as a proxy passes them on (RFC 9110 §7.6, RFC 7239).

use crate::identify::{HopField, Identity, X_FORWARDED_FOR};
use http::header::{
    CONNECTION, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Uri, Version};
use std::net::IpAddr;
use tidegate_behavior::address::IdentityRules;
use tidegate_behavior::forwarded::is_well_formed;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Why a request's head can't be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("The request names no host.")]
    NoHost,
    #[error("The request names more than one host.")]
    TwoHosts,
    #[error("The request target is not a path.")]
    Target,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop<'a> {
    /// The peer of the connection.
    pub peer: IpAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// What says whether the peer is believed.
    pub rules: &'a IdentityRules,
}

/// The protocol that a request asks to change to, in HTTP/1.1.
pub(crate) fn upgrade(head: &Parts) -> Option<HeaderValue> {
    let asks = head.version == Version::HTTP_11 && lists(&head.headers, &CONNECTION, "upgrade");
    asks.then(|| head.headers.get(UPGRADE).cloned()).flatten()
}

/// The host that a request is for (RFC 9112 §3.2: exactly one; the target's own goes first).
pub(crate) fn host(head: &Parts) -> Result<HeaderValue, HeadError> {
    let mut fields = head.headers.get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(HeadError::TwoHosts);
    }
    match (head.uri.authority(), field) {
        (Some(authority), _) => {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            HeaderValue::from_str(host).map_err(|_| HeadError::NoHost)
        }
        (None, Some(host)) if !host.is_empty() => Ok(host.clone()),
        (None, _) => Err(HeadError::NoHost),
    }
}

/// Makes the head that the upstream gets.
pub(crate) fn request(
    head: &mut Parts,
    hop: Hop<'_>,
    identity: &Identity,
    upstream: &crate::config::Upstream,
) -> Result<(), HeadError> {
    let host = host(head)?;
    let path = head.uri.path_and_query().filter(|path| path.as_str().starts_with('/'));
    let path = path.cloned().ok_or(HeadError::Target)?;
    head.uri = Uri::builder()
        .scheme(upstream.scheme.clone())
        .authority(upstream.authority.clone())
        .path_and_query(path)
        .build()
        .map_err(|_| HeadError::Target)?;
    let upgrade = upgrade(head);
    let trailers = lists(&head.headers, &TE, "trailers");
    let headers = &mut head.headers;
    strip_hop_by_hop(headers);
    headers.remove(PROXY_AUTHORIZATION);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    forwarded(headers, hop, &host, identity);
    if upstream.http2 {
        head.version = Version::HTTP_2;
        headers.remove(HOST);
    } else {
        head.version = Version::HTTP_11;
        headers.insert(HOST, host);
        if trailers {
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        if let Some(protocol) = upgrade {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol);
        }
    }
    Ok(())
}

/// Takes out of a response's head what was meant for this hop alone.
pub(crate) fn response(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    headers.remove(PROXY_AUTHENTICATE);
}

/// Adds this hop to the forwarded fields; from a peer that is not trusted they start anew.
fn forwarded(headers: &mut HeaderMap, hop: Hop<'_>, host: &HeaderValue, identity: &Identity) {
    if hop.rules.trusted.get(hop.peer).is_none() {
        for name in [
            &X_FORWARDED_FOR,
            &X_FORWARDED_HOST,
            &X_FORWARDED_PROTO,
            &X_FORWARDED_PORT,
            &X_REAL_IP,
            &FORWARDED,
            &identity.ja4,
        ] {
            headers.remove(name);
        }
    }
    retell(headers, hop, identity.forwarded);
    let proto = if hop.tls { "https" } else { "http" };
    append(headers, &X_FORWARDED_FOR, &hop.peer.to_string());
    if !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    }
    if !headers.contains_key(X_FORWARDED_HOST) {
        headers.insert(X_FORWARDED_HOST, host.clone());
    }
    // A host is a token or needs quotes; one that would break out of them is left out.
    let quoted = host
        .to_str()
        .ok()
        .filter(|host| !host.contains(['"', '\\']))
        .map_or_else(String::new, |host| format!(";host=\"{host}\""));
    append(headers, &FORWARDED, &format!("{}{quoted};proto={proto}", element(hop.peer)));
}

/// Of the two fields that tell hops, makes the one that is not believed say what is believed: it came
/// as the client wrote it, and a later hop may read that one.
fn retell(headers: &mut HeaderMap, hop: Hop<'_>, believed: HopField) {
    let chain: Vec<IpAddr> = hop.rules.chain(hop.peer, believed.hops(headers)).skip(1).collect();
    let hops = chain.into_iter().rev();
    let (name, told): (_, Vec<String>) = match believed {
        HopField::XForwardedFor => (FORWARDED, hops.map(element).collect()),
        HopField::Forwarded => {
            // What is appended to a broken line would be lost in it.
            let whole: Vec<HeaderValue> = headers
                .get_all(FORWARDED)
                .into_iter()
                .filter(|line| line.to_str().is_ok_and(is_well_formed))
                .cloned()
                .collect();
            headers.remove(FORWARDED);
            for line in whole {
                headers.append(FORWARDED, line);
            }
            (X_FORWARDED_FOR, hops.map(|hop| hop.to_string()).collect())
        }
    };
    headers.remove(&name);
    if let Ok(value) = HeaderValue::try_from(told.join(", "))
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

/// An element of `Forwarded` that says from whom (RFC 7239 §6: IPv6 in brackets and quotes).
fn element(from: IpAddr) -> String {
    match from {
        IpAddr::V4(v4) => format!("for={v4}"),
        IpAddr::V6(v6) => format!("for=\"[{v6}]\""),
    }
}

/// Appends an element to a list field, in one field line.
fn append(headers: &mut HeaderMap, name: &HeaderName, element: &str) {
    let mut list: Vec<u8> = Vec::new();
    for value in headers.get_all(name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        // A peer must not be able to take away what later hops decide by.
        .filter(|name| *name != HOST && *name != X_FORWARDED_FOR && *name != FORWARDED)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|element| element.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::uri::{Authority, Scheme};
    use tidegate_behavior::address::parse_network;

    fn pass(fields: &[(&str, &str)], uri: &str, trusted: bool) -> Result<Parts, HeadError> {
        pass_by(HopField::XForwardedFor, fields, uri, trusted)
    }

    fn pass_by(
        forwarded: HopField,
        fields: &[(&str, &str)],
        uri: &str,
        trusted: bool,
    ) -> Result<Parts, HeadError> {
        let mut builder = http::Request::builder().uri(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let (mut head, ()) = builder.body(()).unwrap().into_parts();
        let upstream =
            crate::config::Upstream::new(Scheme::HTTP, Authority::from_static("10.0.0.9:80"));
        let mut rules = IdentityRules::default();
        if trusted {
            rules.trusted.insert(parse_network("192.0.2.0/24").unwrap(), ());
        }
        let hop = Hop { peer: IpAddr::from([192, 0, 2, 1]), tls: true, rules: &rules };
        let identity = Identity { user: vec![], ja4: HeaderName::from_static("x-ja4"), forwarded };
        request(&mut head, hop, &identity, &upstream)?;
        Ok(head)
    }

    fn get<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
        head.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn forwarded_fields_start_anew_or_grow() {
        let fields = [
            ("host", "example.org"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "gopher"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("x-ja4", "forged"),
        ];
        let head = pass(&fields, "/a?b", false).unwrap();
        assert_eq!(head.uri, "http://10.0.0.9:80/a?b");
        assert_eq!(get(&head, "x-forwarded-for"), Some("192.0.2.1"));
        assert_eq!(get(&head, "x-forwarded-proto"), Some("https"));
        assert_eq!(get(&head, "x-forwarded-host"), Some("example.org"));
        assert_eq!(get(&head, "forwarded"), Some("for=192.0.2.1;host=\"example.org\";proto=https"));
        assert_eq!((get(&head, "x-real-ip"), get(&head, "x-ja4")), (None, None));

        let head = pass(&fields, "/", true).unwrap();
        assert_eq!(get(&head, "x-forwarded-for"), Some("6.6.6.6, 192.0.2.1"));
        assert_eq!(get(&head, "x-forwarded-proto"), Some("gopher"));
        assert_eq!(
            get(&head, "forwarded"),
            Some("for=6.6.6.6, for=192.0.2.1;host=\"example.org\";proto=https")
        );
    }

    #[test]
    fn the_field_that_is_not_believed_says_what_the_other_says() {
        let own = "for=192.0.2.1;host=\"a\";proto=https";
        for (field, lines, addresses, elements) in [
            (
                HopField::XForwardedFor,
                &[
                    ("x-forwarded-for", "6.6.6.6, 2001:db8::7, 192.0.2.9"),
                    ("forwarded", "for=9.9.9.9"),
                ][..],
                "6.6.6.6, 2001:db8::7, 192.0.2.9, 192.0.2.1",
                "for=\"[2001:db8::7]\", for=192.0.2.9, ",
            ),
            (HopField::XForwardedFor, &[("forwarded", "for=9.9.9.9")], "192.0.2.1", ""),
            (
                HopField::Forwarded,
                &[("x-forwarded-for", "9.9.9.9"), ("forwarded", "for=7.7.7.7;proto=http")],
                "7.7.7.7, 192.0.2.1",
                "for=7.7.7.7;proto=http, ",
            ),
            (
                HopField::Forwarded,
                &[("forwarded", "for=\"9.9.9.9"), ("forwarded", "for=192.0.2.8")],
                "192.0.2.8, 192.0.2.1",
                "for=192.0.2.8, ",
            ),
            (HopField::Forwarded, &[("forwarded", "for=\"9.9.9.9")], "192.0.2.1", ""),
            (HopField::Forwarded, &[("x-forwarded-for", "9.9.9.9")], "192.0.2.1", ""),
        ] {
            let fields = [&[("host", "a")], lines].concat();
            let head = pass_by(field, &fields, "/", true).unwrap();
            assert_eq!(get(&head, "x-forwarded-for"), Some(addresses), "{lines:?}");
            assert_eq!(get(&head, "forwarded"), Some(&*format!("{elements}{own}")), "{lines:?}");
            let head = pass_by(field, &fields, "/", false).unwrap();
            assert_eq!(get(&head, "x-forwarded-for"), Some("192.0.2.1"));
            assert_eq!(get(&head, "forwarded"), Some(own));
        }
    }

    #[test]
    fn fields_of_one_hop_stay_there() {
        let head = pass(
            &[
                ("host", "a"),
                ("connection", "keep-alive, X-Secret, x-forwarded-for"),
                ("keep-alive", "timeout=5"),
                ("x-secret", "1"),
                ("te", "trailers, deflate"),
                ("upgrade", "websocket"),
                ("proxy-authorization", "Basic x"),
                ("x-kept", "1"),
            ],
            "/",
            false,
        )
        .unwrap();
        for gone in ["keep-alive", "x-secret", "upgrade", "proxy-authorization"] {
            assert_eq!(get(&head, gone), None, "{gone}");
        }
        assert_eq!(get(&head, "te"), Some("trailers"));
        assert_eq!(get(&head, "connection"), Some("te"));
        assert_eq!(get(&head, "x-kept"), Some("1"));
        assert_eq!(get(&head, "x-forwarded-for"), Some("192.0.2.1"));

        let head =
            pass(&[("host", "a"), ("connection", "Upgrade"), ("upgrade", "websocket")], "/", false)
                .unwrap();
        assert_eq!(
            (get(&head, "connection"), get(&head, "upgrade")),
            (Some("upgrade"), Some("websocket"))
        );
    }

    #[test]
    fn a_request_has_one_host_and_a_path() {
        assert_eq!(pass(&[], "/", false).unwrap_err(), HeadError::NoHost);
        assert_eq!(
            pass(&[("host", "a"), ("host", "b")], "/", false).unwrap_err(),
            HeadError::TwoHosts
        );
        assert_eq!(pass(&[("host", "a")], "*", false).unwrap_err(), HeadError::Target);
        let head = pass(&[("host", "a")], "http://b.example/x", false).unwrap();
        assert_eq!(get(&head, "host"), Some("b.example"));
    }
}
