//! Who is asking: addresses behind trusted hops, credentials, and lists of networks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

/// A map from networks to values; a look-up answers with the longest prefix that holds the address.
#[derive(Clone, Debug)]
pub struct AddressMap<T> {
    v4: PrefixMap<Ipv4Net, T>,
    v6: PrefixMap<Ipv6Net, T>,
}

impl<T> Default for AddressMap<T> {
    fn default() -> Self {
        Self { v4: PrefixMap::new(), v6: PrefixMap::new() }
    }
}

/// A network could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not an address or a network; write it like 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"
)]
pub struct NetworkError(pub String);

/// Reads an address or a network in CIDR form.
///
/// # Errors
/// When the text is neither.
pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    let text = text.trim();
    IpNet::from_str(text)
        .or_else(|_| IpAddr::from_str(text).map(IpNet::from))
        .map(|net| net.trunc())
        .map_err(|_| NetworkError(text.into()))
}

impl<T> AddressMap<T> {
    /// Sets the value of a network.
    pub fn insert(&mut self, network: IpNet, value: T) {
        match network {
            IpNet::V4(net) => drop(self.v4.insert(net, value)),
            IpNet::V6(net) => drop(self.v6.insert(net, value)),
        }
    }

    /// The value of the longest prefix that holds the address.
    #[must_use]
    pub fn get(&self, addr: IpAddr) -> Option<&T> {
        match canonical(addr) {
            IpAddr::V4(v4) => self.v4.get_lpm(&Ipv4Net::from(v4)).map(|(_, value)| value),
            IpAddr::V6(v6) => self.v6.get_lpm(&Ipv6Net::from(v6)).map(|(_, value)| value),
        }
    }

    /// Whether it holds an address or a network within this one.
    #[must_use]
    pub fn meets(&self, addr: IpAddr, bits: u8) -> bool {
        match IpNet::new(canonical(addr), bits) {
            Ok(IpNet::V4(net)) => self.v4.children(&net.trunc()).next().is_some(),
            Ok(IpNet::V6(net)) => self.v6.children(&net.trunc()).next().is_some(),
            Err(_) => false,
        }
    }

    /// How many networks it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An IPv4-mapped IPv6 address as the IPv4 address that it is.
#[must_use]
pub fn canonical(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(addr, IpAddr::V4),
        IpAddr::V4(_) => addr,
    }
}

/// The address cut to a prefix: `v4` or `v6` bits.
#[must_use]
pub fn prefix(addr: IpAddr, v4: u8, v6: u8) -> IpAddr {
    match canonical(addr) {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(v4.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(a) & mask))
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(v6.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(a) & mask))
        }
    }
}

/// One place where a client's credential may stand; the first present of a list names the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A header field with this name (lower case), such as `x-api-key`.
    Header(String),
    /// A claim of the JWT in `Authorization: Bearer`, such as `sub`. The signature is *not*
    /// checked: that is the application's work, so a forged claim only buys a fresh client.
    JwtClaim(String),
    /// A cookie with this name.
    Cookie(String),
    /// The address; a list ends with it, and does so when it is not written.
    Address,
}

/// Who a client is.
#[derive(Clone, Debug)]
pub struct IdentityRules {
    /// Where credentials stand, first come first.
    pub sources: Vec<Source>,
    /// The bits of an IPv6 address that name a client (RFC 6177: a site has a /48 to a /64).
    pub ipv6_prefix: u8,
    /// The hops whose forwarded headers are believed.
    pub trusted: AddressMap<()>,
}

impl Default for IdentityRules {
    fn default() -> Self {
        Self { sources: vec![Source::Address], ipv6_prefix: 64, trusted: AddressMap::default() }
    }
}

impl IdentityRules {
    /// The client's address: the peer, or, behind trusted hops, the last forwarded address (given in
    /// the order of the wire, one element a hop) that is not one of them. An element that is no
    /// address ends the walk: what stands before it was written by somebody who is not trusted.
    pub fn client_address<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        self.chain(peer, forwarded).last().unwrap_or(peer)
    }

    /// The addresses that are believed, from the peer back to the client.
    pub fn chain<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> impl Iterator<Item = IpAddr> {
        let mut elements = forwarded.rev();
        std::iter::successors(Some(canonical(peer)), move |hop| {
            self.trusted.get(*hop).and_then(|()| parse_forwarded(elements.next()?))
        })
    }

    /// The address as it names a client: IPv4 whole, IPv6 by prefix.
    #[must_use]
    pub fn client_prefix(&self, addr: IpAddr) -> IpAddr {
        prefix(addr, 32, self.ipv6_prefix)
    }
}

/// Reads one element of `X-Forwarded-For` or a `for=` of RFC 7239: an address, with or without
/// quotes, brackets and port, which may be obfuscated.
#[must_use]
pub fn parse_forwarded(element: &str) -> Option<IpAddr> {
    let text = element.trim().trim_matches('"');
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Some(canonical(addr));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (addr, port) = rest.split_once(']')?;
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return if port_fits { addr.parse().ok().map(canonical) } else { None };
    }
    let (addr, port) = text.rsplit_once(':')?;
    if is_port(port) { addr.parse::<Ipv4Addr>().ok().map(IpAddr::V4) } else { None }
}

/// A port, or a name for one that is kept secret (RFC 7239 §6).
fn is_port(text: &str) -> bool {
    let secret = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.parse::<u16>().is_ok()
        || text.strip_prefix('_').is_some_and(|name| !name.is_empty() && name.bytes().all(secret))
}

/// The value of a cookie in a `Cookie` field (RFC 6265 §4.2).
#[must_use]
pub fn cookie<'a>(field: &'a str, name: &str) -> Option<&'a str> {
    field.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name && !value.trim().is_empty()).then(|| value.trim())
    })
}

/// A claim of the JWT (RFC 7519) in an `Authorization` field: a string or a number. Not verified.
#[must_use]
pub fn jwt_claim(field: &str, claim: &str) -> Option<String> {
    let token =
        field.get(..7).filter(|s| s.eq_ignore_ascii_case("bearer ")).map(|_| &field[7..])?;
    let payload = token.trim().split('.').nth(1)?;
    let bytes = base64url(payload)?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    match value.get(claim)? {
        serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::JwtClaim(name) => write!(f, "jwt claim {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Address => f.write_str("address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn behind(trusted: &[&str]) -> IdentityRules {
        let mut rules = IdentityRules::default();
        for net in trusted {
            rules.trusted.insert(parse_network(net).unwrap(), ());
        }
        rules
    }

    #[test]
    fn an_untrusted_peer_cannot_forward() {
        let rules = behind(&["10.0.0.0/8"]);
        let forged = ["1.2.3.4"];
        assert_eq!(rules.client_address(ip("9.9.9.9"), forged.into_iter()), ip("9.9.9.9"));
    }

    #[test]
    fn the_last_hop_that_is_not_trusted_is_the_client() {
        let rules = behind(&["10.0.0.0/8", "2001:db8::/32"]);
        let chain = ["6.6.6.6", "1.2.3.4:5678", "[2001:db8::1]:443", "10.1.1.1"];
        assert_eq!(rules.client_address(ip("10.0.0.1"), chain.into_iter()), ip("1.2.3.4"));
        for hidden in ["unknown", "_hidden", "_x:1", "", "1.2.3.4:_", "1.2.3.4:_a b"] {
            let garbage = ["1.2.3.4", hidden, "10.1.1.1"];
            assert_eq!(rules.client_address(ip("10.0.0.1"), garbage.into_iter()), ip("10.1.1.1"));
        }
        let secret_port = ["1.2.3.4:_http"];
        assert_eq!(rules.client_address(ip("10.0.0.1"), secret_port.into_iter()), ip("1.2.3.4"));
        let hops: Vec<_> = rules.chain(ip("10.0.0.1"), chain.into_iter()).collect();
        assert_eq!(hops, ["10.0.0.1", "10.1.1.1", "2001:db8::1", "1.2.3.4"].map(ip));
    }

    #[test]
    fn mapped_addresses_are_one_client() {
        let rules = IdentityRules::default();
        assert_eq!(rules.client_prefix(ip("::ffff:1.2.3.4")), ip("1.2.3.4"));
        assert_eq!(rules.client_prefix(ip("2001:db8:1:2:3::4")), ip("2001:db8:1:2::"));
    }

    #[test]
    fn longest_prefix_wins() {
        let mut map = AddressMap::default();
        map.insert(parse_network("10.0.0.0/8").unwrap(), 1);
        map.insert(parse_network("10.9.0.0/16").unwrap(), 2);
        assert_eq!(map.get(ip("10.9.1.1")), Some(&2));
        assert_eq!(map.get(ip("::ffff:10.8.1.1")), Some(&1));
        assert_eq!(map.get(ip("11.0.0.0")), None);
        assert!(parse_network("10.0.0.0/33").is_err());
    }

    #[test]
    fn credentials_are_found() {
        assert_eq!(cookie("a=1; session=xyz ; b=", "session"), Some("xyz"));
        assert_eq!(cookie("sessionx=1", "session"), None);
        let token = "Bearer e30.eyJzdWIiOiJhbm4iLCJuIjo3fQ.sig";
        assert_eq!(jwt_claim(token, "sub").as_deref(), Some("ann"));
        assert_eq!(jwt_claim(token, "n").as_deref(), Some("7"));
        assert_eq!(jwt_claim("Bearer e30.!!.x", "sub"), None);
        assert_eq!(jwt_claim("Basic abc", "sub"), None);
    }

    proptest! {
        #[test]
        fn nothing_sent_from_outside_panics(text in "\\PC*", name in "[a-z]{0,4}") {
            let _ = parse_forwarded(&text);
            let _ = jwt_claim(&text, &name);
            let _ = jwt_claim(&format!("Bearer {text}"), &name);
            let _ = cookie(&text, &name);
            let _ = parse_network(&text);
        }
    }
}
