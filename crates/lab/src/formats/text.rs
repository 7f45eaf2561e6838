//! Cutting and unescaping the text of log lines.

use memchr::memchr;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use tidegate_behavior::Method;

/// Cuts a piece out of a text, borrowed if the text is.
pub(crate) fn part<'a>(text: Cow<'a, str>, cut: impl Fn(&str) -> &str) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
        Cow::Owned(text) => {
            let piece = cut(&text);
            if piece.len() == text.len() { Cow::Owned(text) } else { Cow::Owned(piece.to_owned()) }
        }
    }
}

/// Undoes the escapes of Apache (`\"`, `\\`, `\t`, `\xhh`) and nginx (`\xHH`). Bytes that are not
/// UTF-8 afterwards are replaced; unknown escapes stay as they are.
#[inline]
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    match memchr(b'\\', text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(first) => Cow::Owned(unescape_from(text.as_bytes(), first)),
    }
}

#[cold]
fn unescape_from(text: &[u8], first: usize) -> String {
    let (start, mut rest) = text.split_at(first);
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(start);
    while let [byte, after @ ..] = rest {
        let escaped = if *byte == b'\\' { escape(after) } else { None };
        let (byte, tail) = escaped.unwrap_or((*byte, after));
        out.push(byte);
        rest = tail;
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into())
}

/// The byte that an escape stands for, and what follows it; `text` begins behind the backslash.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (letter, tail) = text.split_first()?;
    let byte = match letter {
        b'x' => {
            let [high, low, tail @ ..] = tail else { return None };
            return Some((hex(*high)? << 4 | hex(*low)?, tail));
        }
        b'"' | b'\\' => *letter,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'v' => 0x0b,
        _ => return None,
    };
    Some((byte, tail))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Method and target of a request line. Anything that does not begin with a method token and a
/// space is garbage: [`Method::Other`], and the whole of it is the target.
pub(crate) fn split_request(line: Cow<'_, str>) -> (Method, Cow<'_, str>) {
    let method = split(&line).0;
    (method, part(line, |line| split(line).1))
}

fn split(line: &str) -> (Method, &str) {
    // RFC 9110 §5.6.2 allows more in a token, but no method in use has it.
    let token = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    let Some((method, rest)) = line.split_once(' ') else { return (Method::Other, line) };
    if method.is_empty() || !method.bytes().all(token) {
        return (Method::Other, line);
    }
    let target = match rest.rsplit_once(' ') {
        // Envoy and AWS write a dash for the protocol of a request that they could not read.
        Some((target, protocol)) if protocol.starts_with("HTTP/") || protocol == "-" => target,
        _ => rest,
    };
    (Method::parse(method.as_bytes()), target)
}

/// The address and the host of a client field: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`,
/// `2001:db8::1`, `fe80::1%eth0`, `host.example`. IPv4 in IPv6 becomes IPv4.
#[inline]
pub(crate) fn split_client(text: &str) -> (Option<IpAddr>, &str) {
    if let Ok(addr) = text.parse::<IpAddr>() {
        return (Some(addr.to_canonical()), text);
    }
    if let Some((host, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address(host), host);
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && is_port(port) => {
            (host.parse::<Ipv4Addr>().ok().map(IpAddr::V4), host)
        }
        _ => (address(text), text),
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let host = host.split_once('%').map_or(host, |(host, _)| host);
    host.parse::<IpAddr>().ok().map(|addr| addr.to_canonical())
}

/// Whether a text can stand behind the colon of `host:port`.
pub(crate) fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The last entry of a list like `203.0.113.9, 198.51.100.1`.
pub(crate) fn last_entry(list: &str) -> &str {
    list.rsplit(',').next().unwrap_or(list).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert!(matches!(unescape("plain/ü"), Cow::Borrowed("plain/ü")));
        assert_eq!(unescape(r#"a\"b\\c\x22\x41"#), "a\"b\\c\"A");
        assert_eq!(unescape(r"\xe4\xb8\xad\n\t"), "中\n\t");
        assert_eq!(unescape(r"\xff\xzz\q\x4"), "\u{fffd}\\xzz\\q\\x4");
        assert_eq!(unescape("\\"), "\\");
    }

    #[test]
    fn request_lines() {
        let split = |line| {
            let (method, target) = split_request(Cow::Borrowed(line));
            (method, target.into_owned())
        };
        let of = |method, target: &str| (method, target.to_owned());
        assert_eq!(split("GET /a?b=c HTTP/1.1"), of(Method::Get, "/a?b=c"));
        assert_eq!(split("GET /a b HTTP/1.1"), of(Method::Get, "/a b"));
        assert_eq!(split("POST /old"), of(Method::Post, "/old"));
        assert_eq!(split("PROPFIND / HTTP/1.1"), of(Method::Other, "/"));
        assert_eq!(split("get / HTTP/1.1"), of(Method::Other, "/"));
        assert_eq!(split("- - -"), of(Method::Other, "-"));
        for garbage in ["-", "", "\u{16}\u{3}\u{1}", "\u{16} x HTTP/1.1", " GET /", "quit"] {
            assert_eq!(split(garbage), of(Method::Other, garbage));
        }
    }

    #[test]
    fn clients() {
        let addr = |text: &str| text.parse::<IpAddr>().ok();
        for (text, expected, host) in [
            ("192.0.2.1", addr("192.0.2.1"), "192.0.2.1"),
            ("192.0.2.1:8080", addr("192.0.2.1"), "192.0.2.1"),
            ("2001:db8::1", addr("2001:db8::1"), "2001:db8::1"),
            ("[2001:db8::1]:443", addr("2001:db8::1"), "2001:db8::1"),
            ("fe80::1%eth0", addr("fe80::1"), "fe80::1%eth0"),
            ("::ffff:192.0.2.1", addr("192.0.2.1"), "::ffff:192.0.2.1"),
            ("crawler.example.org", None, "crawler.example.org"),
            ("localhost:99", None, "localhost"),
            ("unix:", None, "unix:"),
            ("[", None, "["),
        ] {
            assert_eq!(split_client(text), (expected, host), "{text}");
        }
    }
}
