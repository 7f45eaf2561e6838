//! What a configuration will do, line by line in plain words.

use super::values::show;
use super::{AccessLog, Log, OtlpProtocol, Resolved, Telemetry, Where};
use tidegate_behavior::address::Source;
use tidegate_engine::Policy;
use tidegate_engine::policy::{MAX_MATCHES, Mode, OnError, Rule, Scope};
use tidegate_limiter::{Limit, Quota};

/// Says in plain words, one fact a line, what a server with this configuration will do.
#[must_use]
pub fn check(resolved: &Resolved) -> Vec<String> {
    let mut lines = Vec::new();
    let policy = &resolved.policy;
    wire(resolved, &mut lines);
    lines.push(mode(policy));
    lines.push(clients(policy));
    lines.push(match policy.identity.trusted.len() {
        0 => "No hop is trusted: forwarded header fields of requests are thrown away.".into(),
        n => format!(
            "Forwarded header fields are believed from {n} trusted network(s); the field {} tells \
             whom they saw.",
            resolved.identity.forwarded.name()
        ),
    });
    adaptive(policy, &mut lines);
    models(resolved, &mut lines);
    lines.extend(policy.rules.iter().map(describe_rule));
    if policy.rules.iter().any(|r| r.scope == Scope::User) && resolved.identity.user.is_empty() {
        lines.push(
            "Note: a rule is per user, and identity.user names no source: only calls of /v1/check \
             that give a user are limited by it."
                .into(),
        );
    }
    overlaps(&policy.rules, &mut lines);
    lines.extend(resolved.imported.iter().cloned());
    lines.push(lists(policy));
    lines.push(match resolved.on_error {
        OnError::Open => "When deciding itself fails, requests pass.".into(),
        OnError::Closed => "When deciding itself fails, requests are answered with 503.".into(),
    });
    lines.push(format!("At most {} clients are tracked at once.", resolved.capacity));
    lines.push(log(resolved.log));
    telemetry(&resolved.telemetry, &mut lines);
    lines
}

/// Says of a policy alone, one fact a line, how it decides.
#[must_use]
pub fn policy(policy: &Policy) -> Vec<String> {
    let mut lines = vec![mode(policy), clients(policy)];
    adaptive(policy, &mut lines);
    lines.extend(policy.rules.iter().map(describe_rule));
    lines.push(lists(policy));
    lines
}

fn log(log: Log) -> String {
    let Log { decisions, sample } = log;
    let allowed = match sample {
        _ if !decisions => return "Decisions are counted, and none is written to the log.".into(),
        1.0 => "every decision".into(),
        0.0 => "every denial, and no request that is allowed,".into(),
        share => format!("every denial and {} % of the allowed requests", share * 100.0),
    };
    format!("The log has a line for {allowed} (tidegate::decision).")
}

fn telemetry(telemetry: &Telemetry, lines: &mut Vec<String>) {
    if let Some(otlp) = &telemetry.otlp {
        let protocol = match otlp.protocol {
            OtlpProtocol::Grpc => "gRPC",
            OtlpProtocol::Http => "HTTP",
        };
        lines.push(format!(
            "{} % of the requests that no caller traces are traced, and all that a trusted caller does; spans \
             go to {} over {protocol}.",
            otlp.sample * 100.0,
            otlp.endpoint
        ));
    }
    if let Some(sentry) = &telemetry.sentry {
        lines.push(format!(
            "Errors of the program are told to {} as those of `{}`.",
            sentry.dsn.server(),
            sentry.environment
        ));
    }
}

fn mode(policy: &Policy) -> String {
    match policy.mode {
        Mode::Enforce => "Mode enforce: denials are answered with 429.".into(),
        Mode::Shadow => "Mode shadow: everything is decided and counted, nothing is denied.".into(),
    }
}

fn clients(policy: &Policy) -> String {
    let names: Vec<_> = policy.identity.sources.iter().map(Source::to_string).collect();
    format!(
        "A client is named by its {} (IPv6 addresses by their first {} bits).",
        names.join(", else by its "),
        policy.identity.ipv6_prefix
    )
}

fn lists(policy: &Policy) -> String {
    format!(
        "{} network(s) allowed or denied outright, {} client(s) with a limit of their own, {} \
         network(s) with a reputation.",
        policy.addresses.len(),
        policy.overrides.len(),
        policy.reputation.len()
    )
}

fn wire(resolved: &Resolved, lines: &mut Vec<String>) {
    if let Some(up) = &resolved.upstream {
        for listen in &resolved.listen {
            let tls = if listen.tls.is_some() { " with TLS" } else { "" };
            let versions = if listen.http2 { "HTTP/1.1 and HTTP/2" } else { "HTTP/1.1" };
            let header = if listen.proxy_protocol { " behind a PROXY header" } else { "" };
            lines.push(format!(
                "Listens on {}{header}{tls} for {versions} and passes requests to {}://{}.",
                listen.address, up.scheme, up.authority
            ));
        }
        lines.push(format!(
            "Gives the upstream {} to connect, {} to answer and {} to take a piece of a request.",
            show(up.connect_timeout),
            show(up.read_timeout),
            show(up.write_timeout)
        ));
        lines.push(format!(
            "Gives a client {} to send the head of a request, and cuts it off when it neither sends \
             nor takes anything of a request or an answer for {}.",
            show(resolved.header_timeout),
            show(resolved.idle_timeout)
        ));
        lines.push(format!(
            "At most {} connections are served at once; more wait until one ends.",
            resolved.max_connections
        ));
        if up.scheme == http::uri::Scheme::HTTPS && !up.tls_verify {
            lines.push("Warning: the upstream's certificate is not checked.".into());
        }
    } else if resolved.gateway.is_none() {
        lines.push("No proxy: decisions are served by the API alone.".into());
    }
    if let Some(gateway) = &resolved.gateway {
        let tls = match &gateway.tls {
            None => "",
            Some(files) if files.client_ca.is_none() => " with TLS",
            Some(_) => " with TLS and a certificate of their own",
        };
        if let Some(address) = gateway.http {
            lines.push(format!(
                "Gateways ask on {address}{tls}; X-Forwarded-Method, X-Forwarded-Uri and X-Forwarded-For \
                 say about what."
            ));
        }
        if let Some(address) = gateway.grpc {
            lines.push(format!(
                "Envoy asks on {address} over gRPC{tls} (ext_authz, rate limit service) and streams its access \
                 log there."
            ));
        }
        if let Some(address) = gateway.resp {
            lines.push(format!(
                "Redis clients ask on {address} about keys and quotas of their own (CL.THROTTLE); mode, \
                 lists and model have no part in it."
            ));
        }
        let logs = gateway.access_logs.iter().map(|log| match log {
            AccessLog::File(path) => format!("the file {}", path.display()),
            AccessLog::Syslog(address) => format!("syslog on {address}"),
        });
        let logs: Vec<String> = logs.collect();
        if !logs.is_empty() {
            lines.push(format!("What became of them is read from {}.", logs.join(" and ")));
        } else if gateway.grpc.is_some() {
            lines.push("Responses are learned from what Envoy streams.".into());
        } else if gateway.http.is_some() {
            lines.push(
                "Warning: no access log tells what became of these requests, so nothing is learned \
                 from their responses: set gateway.access_logs."
                    .into(),
            );
        }
    }
    let token = if resolved.admin.token.is_some() { "with a token" } else { "without a token" };
    let viewers =
        if resolved.admin.viewer_token.is_some() { ", viewers have their own" } else { "" };
    lines.push(format!(
        "Console, API, metrics and health on {} {token}{viewers}.",
        resolved.admin.address
    ));
    if let Some(path) = &resolved.admin.audit_log {
        lines.push(format!("What operators do is written down in {}.", path.display()));
    }
}

fn adaptive(policy: &Policy, lines: &mut Vec<String>) {
    let adaptive = &policy.adaptive;
    let tiers = &adaptive.tiers;
    if !adaptive.enabled {
        lines.push(format!("The learned limit is off: every client has {}.", quota(&tiers.new)));
        return;
    }
    lines.push(format!("A new client has {}.", quota(&tiers.new)));
    lines.push(format!(
        "A client that kept a low risk for {} requests rises to at most {}.",
        adaptive.proven_after,
        quota(&tiers.trusted)
    ));
    let bands = &adaptive.bands;
    lines.push(format!(
        "A client that looks suspicious by a little for hundreds of requests has less, down to {}.",
        quota(&tiers.throttled)
    ));
    lines.push(format!(
        "Risk from {} to {}: throttled to {}.",
        bands.throttle,
        bands.block,
        quota(&tiers.throttled)
    ));
    lines.push(format!(
        "Risk from {}: blocked while it stays high and for {} at the longest, then {} until forgiven; \
         risk halves every {} of good behaviour.",
        bands.block,
        show(adaptive.block_for),
        quota(&tiers.risky),
        show(adaptive.forgive)
    ));
    if adaptive.delay > 0 {
        lines.push(format!("A penalty begins up to {} requests after its reason.", adaptive.delay));
    }
    lines.push(if adaptive.anomaly {
        "Anomalies tighten limits: a client without a record that is unlike all others, or comes \
         within five minutes of a sudden rise of requests or errors, has less room, and nobody is \
         blocked for it."
            .into()
    } else {
        "Anomalies of the site, its routes and its clients are told and change no limit.".into()
    });
    let cells = |milli: u32| f64::from(milli) / 1000.0;
    lines.push(format!(
        "A page costs {}, an API call {}, an asset {}.",
        cells(adaptive.costs.page),
        cells(adaptive.costs.api),
        cells(adaptive.costs.asset)
    ));
}

fn models(resolved: &Resolved, lines: &mut Vec<String>) {
    if let Some((advisor, fresh_for)) = &resolved.advisor {
        lines.push(format!(
            "The model {} is asked in the background{}; what it says of a client holds for {}, and \
             without it the model in the program decides.",
            advisor.origin.name,
            within(&advisor.model),
            show(*fresh_for)
        ));
    }
    if let Some(challenger) = &resolved.challenger {
        lines.push(format!(
            "The challenger {} is asked in the background{} and compared; it changes nothing.",
            challenger.origin.name,
            within(&challenger.model)
        ));
    }
}

fn within(model: &Where) -> String {
    match model {
        Where::File(_) => String::new(),
        Where::Kserve(kserve) => format!(", with {} for an answer", show(kserve.deadline)),
    }
}

fn quota(quota: &Quota) -> String {
    let period = match quota.period().as_secs() {
        1 => "s".into(),
        60 => "min".into(),
        3600 => "h".into(),
        86_400 => "day".into(),
        _ => show(quota.period()),
    };
    format!("{}/{period} (burst {})", quota.cells(), quota.burst())
}

fn describe_rule(rule: &Rule) -> String {
    let methods = if rule.methods.is_empty() {
        "any method".into()
    } else {
        rule.methods.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ")
    };
    let whose = match rule.scope {
        Scope::Client => "each client",
        Scope::Address => "each address",
        Scope::Network => "each network",
        Scope::Credential => "each credential",
        Scope::User => "each user",
        Scope::ClientRoute => "each client on each route",
        Scope::Route => "each route",
        Scope::Site => "all clients together",
    };
    let limit = match &rule.limit {
        Limit::TokenBucket(q) => format!("has {}", quota(q)),
        Limit::LeakyBucket { quota: q, max_wait } => {
            format!("has {}, and waits up to {} over it", quota(q), show(*max_wait))
        }
        Limit::SlidingWindow(w) => format!("has {} in any {}", w.cells(), show(w.length())),
        Limit::Concurrency { max, .. } => format!("has {max} at once"),
    };
    let cost = match rule.cost_milli {
        1000 => String::new(),
        milli => format!("; a request costs {}", f64::from(milli) / 1000.0),
    };
    let shadow = if rule.mode == Mode::Shadow { " (shadow: only counted)" } else { "" };
    format!("Rule `{}`: {methods} on {}: {whose} {limit}{cost}{shadow}.", rule.name, rule.path)
}

/// Warns where more rules match one request than it is held against.
fn overlaps(rules: &[Rule], lines: &mut Vec<String>) {
    for rule in rules {
        // A path that the rule's own pattern matches stands for all of them.
        let path = rule.path.to_string().replace("**", "x").replace('*', "x");
        let method = rule.methods.first().copied().unwrap_or_default();
        let matching: Vec<_> = rules.iter().filter(|other| other.matches(method, &path)).collect();
        if let Some(ignored) = matching.get(MAX_MATCHES) {
            lines.push(format!(
                "Warning: {} rules match {} {path}, and a request is held against the first \
                 {MAX_MATCHES} alone: `{}` is not among them. Join rules or narrow their paths.",
                matching.len(),
                method.name(),
                ignored.name
            ));
            return;
        }
    }
}
