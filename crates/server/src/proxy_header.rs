//! The PROXY protocol, versions 1 and 2: a hop tells whom it has the connection from.
//!
//! Source: HAProxy's `proxy-protocol.txt`. Read from the stream a piece at a time, for what comes
//! behind the header belongs to TLS or HTTP: not a byte of it may be taken.

use crate::shared::Shared;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What version 2 begins with; the shortest header of version 1 is longer than this.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1, with the line's end.
const LONGEST_LINE: usize = 107;
/// Bytes that two endpoints take in version 2: of IPv4, of IPv6, and of Unix sockets.
const INET: usize = 12;
const INET6: usize = 36;
const UNIX: usize = 216;

/// Why a connection has no usable header.
#[derive(Debug, thiserror::Error)]
enum HeaderError {
    #[error(
        "it begins with no PROXY header: have the hop in front send one, or take proxy_protocol away"
    )]
    Missing,
    #[error("its PROXY header is malformed: {0}")]
    Malformed(&'static str),
    #[error("it ended within its PROXY header: {0}")]
    Ended(#[from] io::Error),
}

/// Whom a connection comes from that has to begin with a header, and whether forwarded fields in it can be
/// those of a hop; `None`, counted, when no header comes that may be believed. From others than trusted hops it is not even read: anybody could choose an
/// address with it.
pub(crate) async fn source<S: AsyncRead + Unpin>(
    shared: &Shared,
    stream: &mut S,
    peer: SocketAddr,
    patience: Duration,
) -> Option<(SocketAddr, bool)> {
    let (reason, error) = if shared.trusts(peer.ip()) {
        match tokio::time::timeout(patience, read(stream)).await {
            Ok(Ok(Source::Client(source))) => return Some((source, true)),
            Ok(Ok(Source::Hop)) => return Some((peer, true)),
            Ok(Ok(Source::Unknown)) => return Some((peer, false)),
            Ok(Err(e @ HeaderError::Missing)) => ("missing", e.to_string()),
            Ok(Err(e @ HeaderError::Malformed(_))) => ("malformed", e.to_string()),
            Ok(Err(e @ HeaderError::Ended(_))) => ("ended", e.to_string()),
            Err(_) => ("late", "its PROXY header took too long".to_owned()),
        }
    } else {
        ("untrusted", "its peer is none of identity.trusted_hops".to_owned())
    };
    shared.metrics.refuse(reason);
    tracing::debug!(%peer, reason, error, "a connection was refused");
    None
}

/// Whom a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The address and port that the hop has the connection from.
    Client(SocketAddr),
    /// The hop itself (`LOCAL`).
    Hop,
    /// A client without an address of TCP or UDP (`UNKNOWN`, `UNSPEC`, Unix): not the hop, so what it
    /// says of others is not to be believed.
    Unknown,
}

/// Takes the header off a connection.
///
/// # Errors
/// When the connection begins otherwise, or ends before the header does.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Source, HeaderError> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        binary(stream).await
    } else if start.starts_with(b"PROXY ") {
        line(stream, &start).await
    } else {
        Err(HeaderError::Missing)
    }
}

/// Version 1 from behind its first bytes: a line.
async fn line<S: AsyncRead + Unpin>(stream: &mut S, start: &[u8]) -> Result<Source, HeaderError> {
    let mut line = [0; LONGEST_LINE];
    let mut length = start.len();
    for (place, byte) in line.iter_mut().zip(start) {
        *place = *byte;
    }
    for place in line.iter_mut().skip(start.len()) {
        *place = stream.read_u8().await?;
        length += 1;
        if *place == b'\n' {
            break;
        }
    }
    let text = line
        .get(..length)
        .and_then(|line| line.strip_suffix(b"\r\n"))
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(HeaderError::Malformed("no end of the line in 107 bytes, or no text"))?;
    let mut words = text.split(' ').skip(1);
    let source = match words.next() {
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => return Ok(Source::Unknown),
        Some("TCP4") => endpoints::<Ipv4Addr>(words),
        Some("TCP6") => endpoints::<Ipv6Addr>(words),
        _ => return Err(HeaderError::Malformed("a protocol other than TCP4, TCP6 and UNKNOWN")),
    };
    source.map(Source::Client).ok_or(HeaderError::Malformed("not two addresses and two ports"))
}

/// The first of two addresses with the first of two ports.
fn endpoints<'a, A: std::str::FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<SocketAddr> {
    let (source, _): (A, A) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (port, _) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then(|| SocketAddr::new(source.into(), port))
}

/// Digits without a leading zero, as the specification wants them.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Version 2 from behind its signature: fixed fields, addresses, and TLVs that are skipped.
async fn binary<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Source, HeaderError> {
    let (version, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    let local = match version {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderError::Malformed("neither LOCAL nor PROXY of version 2")),
    };
    let addresses = match family {
        // A hop that speaks for itself may say what it likes.
        _ if local => 0,
        0x00 => 0,
        0x11 | 0x12 => INET,
        0x21 | 0x22 => INET6,
        0x31 | 0x32 => UNIX,
        _ => return Err(HeaderError::Malformed("an unspecified address family or protocol")),
    };
    if length < addresses {
        return Err(HeaderError::Malformed("it is shorter than its addresses"));
    }
    let (source, read): (Option<(IpAddr, u16)>, _) = match addresses {
        INET => {
            let source = Ipv4Addr::from(stream.read_u32().await?);
            skip(stream, 4).await?;
            (Some((source.into(), stream.read_u16().await?)), 10)
        }
        INET6 => {
            let source = Ipv6Addr::from(stream.read_u128().await?);
            skip(stream, 16).await?;
            (Some((source.into(), stream.read_u16().await?)), 34)
        }
        _ => (None, 0),
    };
    skip(stream, length - read).await?;
    Ok(match source {
        Some(source) => Source::Client(source.into()),
        None if local => Source::Hop,
        None => Source::Unknown,
    })
}

async fn skip<S: AsyncRead + Unpin>(stream: &mut S, mut left: usize) -> io::Result<()> {
    let mut buffer = [0; 256];
    while left > 0 {
        let most = left.min(buffer.len());
        let Some(piece) = buffer.get_mut(..most) else { return Ok(()) };
        left -= stream.read_exact(piece).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read of these bytes when they come in two pieces, and what is left behind it.
    fn read_in_two(bytes: &[u8], at: usize) -> (Result<Source, String>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            let mut stream = first.chain(second);
            let read = read(&mut stream).await.map_err(|e| e.to_string());
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            (read, rest)
        })
    }

    fn v2(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version, family], &length, body].concat()
    }

    fn told(bytes: &[u8]) -> Source {
        let (read, rest) = read_in_two(&[bytes, b"GET"].concat(), 3);
        assert_eq!(rest, b"GET", "{bytes:?}");
        read.unwrap()
    }

    #[test]
    fn the_client_of_each_kind_of_header() {
        let v4 = Source::Client("203.0.113.9:56324".parse().unwrap());
        let v6 = Source::Client("[2001:db8::9]:443".parse().unwrap());
        assert_eq!(told(b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n"), v4);
        assert_eq!(told(b"PROXY TCP6 2001:db8::9 ::1 443 0\r\n"), v6);
        assert_eq!(told(b"PROXY UNKNOWN\r\n"), Source::Unknown);
        assert_eq!(told(b"PROXY UNKNOWN ffff::1 whatever it is\r\n"), Source::Unknown);
        let inet = [203, 0, 113, 9, 192, 0, 2, 1, 0xdc, 0x04, 1, 187];
        assert_eq!(told(&v2(0x21, 0x11, &inet)), v4);
        // TLVs follow: as long as they please.
        assert_eq!(told(&v2(0x21, 0x11, &[&inet[..], &[4; 60_000]].concat())), v4);
        let mut inet6 = [0; 36];
        inet6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        (inet6[15], inet6[32], inet6[33]) = (9, 1, 187);
        assert_eq!(told(&v2(0x21, 0x21, &inet6)), v6);
        assert_eq!(told(&v2(0x21, 0x31, &[0; 216])), Source::Unknown);
        assert_eq!(told(&v2(0x21, 0x00, b"")), Source::Unknown);
        assert_eq!(told(&v2(0x20, 0x11, &inet)), Source::Hop);
        assert_eq!(told(&v2(0x20, 0xff, b"xyz")), Source::Hop);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (bytes, error) in [
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "no PROXY header"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00".to_vec(), "no PROXY header"),
            (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n".to_vec(), "a protocol"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n".to_vec(), "two ports"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 01\r\n".to_vec(), "two ports"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n".to_vec(), "two ports"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n".to_vec(), "two ports"),
            (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n".to_vec(), "two addresses"),
            (b"PROXY TCP4 ::1 ::1 1 1\r\n".to_vec(), "two addresses"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n".to_vec(), "two ports"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n".to_vec(), "no end"),
            ([&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(), "107 bytes"),
            (b"PROXY TCP4 1.2.3.4".to_vec(), "ended within"),
            (b"".to_vec(), "ended within"),
            (v2(0x11, 0x11, &[0; 12]), "version 2"),
            (v2(0x22, 0x11, &[0; 12]), "version 2"),
            (v2(0x21, 0x13, &[0; 12]), "family"),
            (v2(0x21, 0x41, &[0; 300]), "family"),
            (v2(0x21, 0x11, &[0; 11]), "shorter"),
            (v2(0x21, 0x21, &[0; 35]), "shorter"),
            (v2(0x21, 0x31, &[0; 215]), "shorter"),
            (v2(0x21, 0x11, &[0; 40])[..50].to_vec(), "ended within"),
        ] {
            let refused = read_in_two(&bytes, 5).0.unwrap_err();
            assert!(refused.contains(error), "{bytes:?}: {refused}");
        }
    }

    #[test]
    fn only_trusted_hops_and_this_machine_may_send_it() {
        let mut resolved = crate::Resolved::defaults().unwrap();
        let trusted = tidegate_behavior::address::parse_network("10.0.0.0/8").unwrap();
        resolved.policy.identity.trusted.insert(trusted, ());
        let engine = tidegate_engine::Engine::new(resolved.policy.clone(), Default::default());
        let live = crate::shared::Live::new(&resolved, None);
        let shared = Shared::new(std::sync::Arc::new(engine), live, Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let told = Some(("203.0.113.9:1".parse().unwrap(), true));
        for (peer, expected) in [
            ("127.0.0.1:9", told),
            ("[::ffff:127.0.0.1]:9", told),
            ("[::1]:9", told),
            ("10.1.2.3:9", told),
            ("192.0.2.1:9", None),
            ("[2001:db8::1]:9", None),
        ] {
            let mut bytes = &b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n"[..];
            let peer = peer.parse().unwrap();
            let source = source(&shared, &mut bytes, peer, Duration::from_secs(5));
            assert_eq!(runtime.block_on(source), expected, "{peer}");
        }
        let text = shared.metrics.text().unwrap();
        let line = "tidegate_connections_refused_total{reason=\"untrusted\"} 2";
        assert!(text.lines().any(|l| l == line), "{text}");
    }

    fn header() -> impl Strategy<Value = (Vec<u8>, Source)> {
        let line = (any::<SocketAddr>(), any::<u16>()).prop_map(|(source, port)| {
            let (word, ip) = (if source.is_ipv4() { "TCP4" } else { "TCP6" }, source.ip());
            let line = format!("PROXY {word} {ip} {ip} {} {port}\r\n", source.port());
            (line.into_bytes(), Source::Client(SocketAddr::new(ip, source.port())))
        });
        let tlvs = proptest::collection::vec(any::<u8>(), 0..600);
        let binary =
            (any::<SocketAddr>(), any::<bool>(), tlvs).prop_map(|(source, local, tlvs)| {
                let (ip, port) = match source.ip() {
                    IpAddr::V4(ip) => (ip.octets().to_vec(), source.port().to_be_bytes()),
                    IpAddr::V6(ip) => (ip.octets().to_vec(), source.port().to_be_bytes()),
                };
                let body = [&ip[..], &ip, &port, &port, &tlvs].concat();
                let family = if source.is_ipv4() { 0x11 } else { 0x21 };
                let told = SocketAddr::new(source.ip(), source.port());
                (
                    v2(if local { 0x20 } else { 0x21 }, family, &body),
                    if local { Source::Hop } else { Source::Client(told) },
                )
            });
        prop_oneof![line, binary]
    }

    proptest! {
        #[test]
        fn a_header_is_read_wherever_it_is_split_and_nothing_behind_it(
            (header, source) in header(),
            behind in proptest::collection::vec(any::<u8>(), 0..40),
            at in 0usize..700,
        ) {
            let bytes = [&header[..], &behind].concat();
            prop_assert_eq!(read_in_two(&bytes, at), (Ok(source), behind));
        }

        #[test]
        fn any_bytes_have_one_answer_wherever_they_are_split(
            start in prop_oneof![
                Just(&b""[..]), Just(&b"PROXY "[..]), Just(&b"PROXY TCP4 1.2.3.4 "[..]),
                Just(&SIGNATURE[..]), Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20"[..]),
            ],
            rest in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                "[ 0-9.:\r\nA-Z]{0,120}".prop_map(String::into_bytes),
            ],
            at in 0usize..300,
        ) {
            let bytes = [start, &rest].concat();
            let whole = read_in_two(&bytes, bytes.len());
            prop_assert_eq!(&read_in_two(&bytes, at), &whole);
            prop_assert!(bytes.ends_with(&whole.1), "what is left is the end of what came");
        }
    }
}
