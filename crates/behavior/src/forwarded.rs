//! The `Forwarded` field (RFC 7239): whom each hop says it has a request from.

use std::vec;

/// Elements of one line that are read; a line with more is no good.
const MOST: usize = 100;

/// The values of `for` in a line of the field, one for each element in the order of the wire, without
/// quotes: an address for [`parse_forwarded`](crate::address::parse_forwarded), `unknown`, a name
/// like `_x`, or nothing where an element does not say.
///
/// A line that breaks the grammar (RFC 7239 §4) is one element that says nothing. Half of it must not
/// count: a client that sends an open quote would have the hop's own element end up within it. Where
/// the RFC wants quotes around an address with a port or brackets, they may be missing.
pub fn nodes(line: &str) -> vec::IntoIter<&str> {
    read(line).unwrap_or_else(|| vec![""]).into_iter()
}

/// Whether a line keeps to the grammar, so that an element may be appended to it.
#[must_use]
pub fn is_well_formed(line: &str) -> bool {
    read(line).is_some()
}

fn read(line: &str) -> Option<Vec<&str>> {
    let mut nodes = Vec::new();
    // Of the element at hand: whether it has begun, and its `for`.
    let (mut begun, mut node) = (false, None);
    let mut rest = line.trim_matches(is_space);
    loop {
        rest = rest.trim_start_matches(is_space);
        let next = rest.chars().next();
        if let None | Some(',') = next {
            // Empty elements of a list are none (RFC 9110 §5.6.1).
            if std::mem::take(&mut begun) {
                if nodes.len() == MOST {
                    return None;
                }
                nodes.push(node.take().unwrap_or(""));
            }
            if next.is_none() {
                return Some(nodes);
            }
            rest = rest.get(1..)?;
            continue;
        }
        begun = true;
        if next == Some(';') {
            rest = rest.get(1..)?;
            continue;
        }
        let (name, value) = rest.split_once('=')?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        let (value, behind) = value_of(value)?;
        if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
            // Each name once in an element.
            return None;
        }
        rest = behind.trim_start_matches(is_space);
        if !(rest.is_empty() || rest.starts_with([',', ';'])) {
            return None;
        }
    }
}

/// A value at the start of the text, and what follows it.
fn value_of(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', ' ', '\t', '"']).unwrap_or(text.len());
        return (end > 0).then(|| text.split_at(end));
    };
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // What is escaped stays so: no address needs it.
            '"' => return Some((quoted.get(..at)?, quoted.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

fn is_space(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::parse_forwarded;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn of(line: &str) -> Vec<&str> {
        nodes(line).collect()
    }

    #[test]
    fn each_element_says_whom_it_saw() {
        for (line, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60"][..]),
            ("for=192.0.2.43, for=198.51.100.17", &["192.0.2.43", "198.51.100.17"]),
            ("For=\"[2001:db8:cafe::17]:4711\"", &["[2001:db8:cafe::17]:4711"]),
            ("for=\"_gazonk\" ,\tFOR=unknown", &["_gazonk", "unknown"]),
            ("proto=https;host=\"a, for=6.6.6.6\";for=1.2.3.4", &["1.2.3.4"]),
            ("host=\"a\\\", for=6.6.6.6\", for=1.2.3.4", &["", "1.2.3.4"]),
            ("for=1.2.3.4:80", &["1.2.3.4:80"]),
            (" , ,for=1.2.3.4,", &["1.2.3.4"]),
            ("for=1.2.3.4 ; proto=http;", &["1.2.3.4"]),
            (";", &[""]),
            ("", &[]),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
    }

    #[test]
    fn half_of_a_broken_line_does_not_count() {
        for line in [
            // A quote that a client left open, and what hops in front may have added.
            "for=\"6.6.6.6, for=1.2.3.4",
            "for=6.6.6.6;host=\", for=1.2.3.4;host=\"a\"",
            "for=6.6.6.6;host=\", for=\"[2001:db8::1]\"",
            "for=6.6.6.6;x=\"\\, for=1.2.3.4;host=\"a\"",
            "for=6.6.6.6;for=7.7.7.7, for=1.2.3.4",
            "for 1.2.3.4",
            "for=",
            "=1.2.3.4",
            "f r=1.2.3.4",
            "1.2.3.4",
            "for=1.2.3.4\"x\"",
        ] {
            assert_eq!((of(line), is_well_formed(line)), (vec![""], false), "{line}");
        }
        assert_eq!(of(&"for=1.1.1.1,".repeat(MOST)).len(), MOST);
        assert_eq!(of(&"for=1.1.1.1,".repeat(MOST + 1)), [""]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(hops in proptest::collection::vec(
            (any::<IpAddr>(), proptest::option::of(any::<u16>()), "[a-z0-9 ,;=]{0,12}"), 0..8,
        )) {
            let element = |(ip, port, host): &(IpAddr, Option<u16>, String)| {
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                let ip = if ip.is_ipv4() { ip.to_string() } else { format!("[{ip}]") };
                format!("proto=http;for=\"{ip}{port}\";host=\"{host}\"")
            };
            let line = hops.iter().map(element).collect::<Vec<_>>().join(", ");
            let read: Vec<_> = nodes(&line).map(parse_forwarded).collect();
            let hops: Vec<_> =
                hops.iter().map(|(ip, ..)| Some(crate::address::canonical(*ip))).collect();
            prop_assert_eq!(read, hops);
        }

        #[test]
        fn what_a_client_sends_never_replaces_what_the_hop_adds(client in "[for=1.6,;:\"\\\\ \\[\\]_a]{0,30}") {
            // As a hop appends to the line that it got.
            let line = format!("{client}, for=192.0.2.7;host=\"a.example\";proto=http");
            let last = nodes(&line).next_back().unwrap();
            prop_assert!(last == "192.0.2.7" || last.is_empty(), "{} {}", line, last);
        }

        #[test]
        fn whatever_a_line_holds_is_read(line in "\\PC{0,200}") {
            prop_assert!(nodes(&line).count() <= MOST);
        }
    }
}
