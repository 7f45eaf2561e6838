//! Who a client is: sources of credentials and trusted hops.

use super::addresses;
use super::error::{ConfigError, Source};
use super::raw::{self, At};
use super::resolve::Files;
use crate::identify::{HopField, Identity};
use serde_saphyr::Location;
use std::net::IpAddr;
use tidegate_behavior::address::{AddressMap, Source as Credential};

pub(super) type Who = (Identity, Vec<Credential>, AddressMap<()>, u8);

pub(super) fn identity(
    source: &Source<'_>,
    files: &mut Files,
    raw: &raw::Identity,
) -> Result<Who, ConfigError> {
    let mut sources = Vec::new();
    for at in &raw.credentials {
        sources.push(credential(source, at)?);
    }
    if sources.last() != Some(&Credential::Address) {
        sources.push(Credential::Address);
    }
    if let Some(position) = sources.iter().position(|s| *s == Credential::Address)
        && position + 1 < sources.len()
    {
        let at = raw.credentials.get(position + 1).map_or(Location::UNKNOWN, |at| at.referenced);
        return Err(source.error(
            at,
            "this source is never reached: every request has an address",
            "write `address` last, or leave it out",
        ));
    }
    let mut user = Vec::new();
    for at in &raw.user {
        user.push(credential(source, at)?);
    }
    let ipv6_prefix = match &raw.ipv6_prefix {
        None => 64,
        Some(at) => {
            u8::try_from(at.value).ok().filter(|n| (32..=128).contains(n)).ok_or_else(|| {
                source.error(
                    at.referenced,
                    format!("an IPv6 prefix of {} bits is out of range", at.value),
                    "write a number from 32 to 128; a household or server has 64 or 56",
                )
            })?
        }
    };
    let mut trusted = AddressMap::default();
    addresses::insert(source, files, &raw.trusted_hops, (), &mut trusted)?;
    let strangers = [[1, 1, 1, 1], [8, 8, 8, 8], [192, 0, 2, 1]];
    if strangers.iter().all(|addr| trusted.get(IpAddr::from(*addr)).is_some()) {
        let at = raw.trusted_hops.first().map_or(Location::UNKNOWN, |at| at.referenced);
        return Err(source.error(
            at,
            "the trusted hops hold the whole Internet, so any client could choose its address",
            "list the networks of your own load balancers, such as 10.0.0.0/8",
        ));
    }
    let ja4 = match &raw.ja4_header {
        None => http::HeaderName::from_static("x-ja4"),
        Some(at) => header_name(source, &at.value, at.referenced)?,
    };
    let forwarded = match &raw.forwarded_header {
        None => HopField::XForwardedFor,
        Some(at) => match at.value.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => HopField::XForwardedFor,
            "forwarded" => HopField::Forwarded,
            _ => {
                return Err(source.error(
                    at.referenced,
                    format!("`{}` is no field that hops are read from", at.value),
                    "write x-forwarded-for, or forwarded (RFC 7239): the one that your hops write",
                ));
            }
        },
    };
    Ok((Identity { user, ja4, forwarded }, sources, trusted, ipv6_prefix))
}

fn header_name(
    source: &Source<'_>,
    name: &str,
    at: Location,
) -> Result<http::HeaderName, ConfigError> {
    http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        source.error(
            at,
            format!("`{name}` is not the name of a header field"),
            "write it like x-api-key",
        )
    })
}

fn credential(source: &Source<'_>, at: &At<raw::Source>) -> Result<Credential, ConfigError> {
    Ok(match &at.value {
        raw::Source::Header(name) => {
            Credential::Header(header_name(source, name, at.referenced)?.as_str().to_owned())
        }
        raw::Source::Jwt(claim) => Credential::JwtClaim(claim.clone()),
        raw::Source::Cookie(name) => Credential::Cookie(name.clone()),
        raw::Source::Address => Credential::Address,
    })
}
