//! Where the server listens and where requests go.

use super::error::{ConfigError, Source};
use super::raw::{self, At, OneOrMany, Raw, Short};
use super::resolve::{Files, place, secret_text, time};
use super::{AccessLog, Admin, Gateway, Listen, TlsFiles, Token, Upstream};
use serde_saphyr::Location;
use std::net::SocketAddr;

fn socket(source: &Source<'_>, text: &str, at: Location) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        source.error(
            at,
            format!("`{text}` is not an address to listen on"),
            "write an address and a port, like 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080",
        )
    })
}

pub(super) fn listens(
    source: &Source<'_>,
    files: &mut Files,
    raw: &Raw,
) -> Result<Vec<Listen>, ConfigError> {
    let Some(at) = &raw.listen else { return Ok(Vec::new()) };
    let trusted = !raw.identity.trusted_hops.is_empty();
    match &at.value {
        OneOrMany::One(one) => Ok(vec![listen(source, files, one, at.referenced, trusted)?]),
        OneOrMany::Many(many) if many.is_empty() => Err(source.error(
            at.referenced,
            "an empty list of addresses to listen on",
            "write listen: 127.0.0.1:8080",
        )),
        OneOrMany::Many(many) => many
            .iter()
            .map(|item| listen(source, files, &item.value.0, item.referenced, trusted))
            .collect(),
    }
}

fn listen(
    source: &Source<'_>,
    files: &mut Files,
    raw: &raw::Listen,
    outer: Location,
    anybody_trusted: bool,
) -> Result<Listen, ConfigError> {
    let address = socket(source, &raw.address.value, place(raw.address.referenced, outer))?;
    let tls = match &raw.tls {
        None => None,
        Some(at) => Some(tls(source, files, (&at.value.cert, &at.value.key, None), at.referenced)?),
    };
    let proxy_protocol = raw.proxy_protocol.as_ref().is_some_and(|at| at.value);
    if let Some(at) = raw.proxy_protocol.as_ref().filter(|at| at.value)
        && !address.ip().is_loopback()
        && !anybody_trusted
    {
        return Err(source.error(
            at.referenced,
            format!("nobody that reaches {address} may send a PROXY header"),
            "name the hops in front in identity.trusted_hops, or listen on 127.0.0.1",
        ));
    }
    Ok(Listen { address, tls, http2: raw.http2.unwrap_or(true), proxy_protocol })
}

/// Files that speak TLS together: certificate, key, and the authority of clients' certificates.
fn tls(
    source: &Source<'_>,
    files: &mut Files,
    (cert, key, client_ca): (&At<String>, &At<String>, Option<&At<String>>),
    at: Location,
) -> Result<TlsFiles, ConfigError> {
    let (cert, _) = files.read_bytes(source, cert)?;
    let (key, _) = files.read_bytes(source, key)?;
    let client_ca = client_ca.map(|file| files.read_bytes(source, file)).transpose()?;
    let tls = TlsFiles { cert, key, client_ca: client_ca.map(|(path, _)| path) };
    crate::tls::server_config(&tls, crate::tls::HTTP_2).map_err(|e| {
        let help = "name a certificate chain, its private key and an authority, all in PEM";
        source.error(at, e.to_string(), help)
    })?;
    Ok(tls)
}

pub(super) fn upstream(
    source: &Source<'_>,
    at: &At<Short<raw::Upstream>>,
) -> Result<Upstream, ConfigError> {
    let Short(raw) = &at.value;
    let url_at = place(raw.url.referenced, at.referenced);
    let (scheme, authority) = server(source, "upstream", &raw.url.value, url_at)?;
    let base = Upstream::new(scheme, authority);
    Ok(Upstream {
        connect_timeout: time(source, raw.connect_timeout.as_ref(), base.connect_timeout)?,
        read_timeout: time(source, raw.read_timeout.as_ref(), base.read_timeout)?,
        write_timeout: time(source, raw.write_timeout.as_ref(), base.write_timeout)?,
        idle_timeout: time(source, raw.idle_timeout.as_ref(), base.idle_timeout)?,
        max_idle: raw.max_idle.unwrap_or(base.max_idle),
        tls_verify: raw.tls_verify.unwrap_or(base.tls_verify),
        http2: raw.http2.unwrap_or(base.http2),
        ..base
    })
}

/// Scheme, host and port of a server; `what` names it in errors.
pub(super) fn server(
    source: &Source<'_>,
    what: &str,
    url: &str,
    at: Location,
) -> Result<(http::uri::Scheme, http::uri::Authority), ConfigError> {
    let wrong = |why: &str| {
        source.error(
            at,
            format!("{what} `{url}` {why}"),
            "write only scheme, host and port, like http://127.0.0.1:9000",
        )
    };
    let uri: http::Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
    let parts = uri.into_parts();
    let scheme = parts
        .scheme
        .filter(|s| *s == http::uri::Scheme::HTTP || *s == http::uri::Scheme::HTTPS)
        .ok_or_else(|| wrong("has no scheme http or https"))?;
    let authority = parts.authority.ok_or_else(|| wrong("has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("holds a user name"));
    }
    if parts.path_and_query.is_some_and(|path| path != "/") {
        return Err(wrong("has a path"));
    }
    Ok((scheme, authority))
}

pub(super) fn admin(
    source: &Source<'_>,
    files: &mut Files,
    raw: Option<&At<raw::Admin>>,
) -> Result<Admin, ConfigError> {
    let Some(at) = raw else {
        return Ok(Admin {
            address: SocketAddr::from(([127, 0, 0, 1], 9901)),
            token: None,
            viewer_token: None,
            audit_log: None,
        });
    };
    let address = socket(source, &at.value.listen.value, at.value.listen.referenced)?;
    let token =
        secret_text(source, files, at.value.token_env.as_ref(), at.value.token_file.as_ref())?;
    if token.is_none() && !address.ip().is_loopback() {
        return Err(source.error(
            at.value.listen.referenced,
            format!("the admin address {address} can be reached from outside and has no token"),
            "add token_env or token_file, or listen on 127.0.0.1",
        ));
    }
    let viewer = at.value.viewer_token_env.as_ref().or(at.value.viewer_token_file.as_ref());
    let viewer_token = secret_text(
        source,
        files,
        at.value.viewer_token_env.as_ref(),
        at.value.viewer_token_file.as_ref(),
    )?;
    if let (Some(place), Some(text)) = (viewer, &viewer_token) {
        let problem = match &token {
            None => "there is a token for viewers and none for operators: anybody could act",
            Some(token) if token == text => "viewers and operators have the same token",
            Some(_) => "",
        };
        if !problem.is_empty() {
            let remedy = "add token_env or token_file with another secret";
            return Err(source.error(place.referenced, problem, remedy));
        }
    }
    let audit_log = at.value.audit_log.as_ref().map(|path| files.path(&path.value));
    Ok(Admin { address, token: token.map(Token), viewer_token: viewer_token.map(Token), audit_log })
}

pub(super) fn gateway(
    source: &Source<'_>,
    files: &mut Files,
    raw: Option<&At<Short<raw::Gateway>>>,
    anybody_trusted: bool,
) -> Result<Option<Gateway>, ConfigError> {
    let Some(at) = raw else { return Ok(None) };
    let Short(raw) = &at.value;
    if raw.listen.is_none() && raw.grpc.is_none() && raw.resp.is_none() {
        return Err(source.error(
            at.referenced,
            "gateways have nowhere to ask",
            "write listen: 127.0.0.1:9902 (HTTP), grpc: 127.0.0.1:9904 (Envoy) or resp: \
             127.0.0.1:6380 (Redis clients)",
        ));
    }
    let tls = raw.tls.as_ref().map(|at| {
        let raw::GatewayTls { cert, key, client_ca } = &at.value;
        tls(source, files, (cert, key, client_ca.as_ref()), at.referenced)
    });
    let tls = tls.transpose()?;
    let anybody_trusted =
        anybody_trusted || tls.as_ref().is_some_and(|files| files.client_ca.is_some());
    let door = |written: &At<String>| {
        let listen_at = place(written.referenced, at.referenced);
        let address = socket(source, &written.value, listen_at)?;
        if address.ip().is_loopback() || anybody_trusted {
            return Ok(address);
        }
        Err(source.error(
            listen_at,
            format!("gateways can reach {address} from outside, and none of them is trusted"),
            "name their addresses in identity.trusted_hops, have them show certificates \
             (tls.client_ca), or listen on 127.0.0.1",
        ))
    };
    if let (None, Some(name)) = (&raw.grpc, raw.ratelimit.first()) {
        return Err(source.error(
            name.referenced,
            "limits by descriptor, and nowhere for Envoy to ask about them",
            "add grpc: 127.0.0.1:9904 beside ratelimit",
        ));
    }
    let http = raw.listen.as_ref().map(door).transpose()?;
    let grpc = raw.grpc.as_ref().map(door).transpose()?;
    let resp = raw.resp.as_ref().map(door).transpose()?;
    let log = |at: &At<raw::AccessLog>| match &at.value {
        raw::AccessLog::File(name) => Ok(AccessLog::File(files.path(name))),
        raw::AccessLog::Syslog(text) => {
            let address = socket(source, text, at.referenced)?;
            if address.ip().is_loopback() {
                return Ok(AccessLog::Syslog(address));
            }
            Err(source.error(
                at.referenced,
                format!("anybody could tell {address} what became of requests"),
                "receive syslog on 127.0.0.1 and have the machine's own syslog pass it on",
            ))
        }
    };
    let access_logs = raw.access_logs.iter().map(log).collect::<Result<_, _>>()?;
    Ok(Some(Gateway { http, grpc, resp, tls, access_logs }))
}
