//! Static rules: which requests, whose state, which limit.

use super::error::{ConfigError, Source};
use super::raw::{self, Algorithm, At};
use super::resolve::{milli, mode, on_error, quota, time};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate_behavior::Method;
use tidegate_engine::pattern::PathPattern;
use tidegate_engine::policy::{Rule, Scope};
use tidegate_limiter::{Limit, Window};

/// Most rules in a file; each of them is tried for each request.
const MAX_RULES: usize = 1000;

/// How long a permit of a concurrency rule counts when its request never ends.
const LEASE: Duration = Duration::from_secs(600);

pub(super) fn rules(source: &Source<'_>, raw: &[At<raw::Rule>]) -> Result<Vec<Rule>, ConfigError> {
    if let Some(at) = raw.get(MAX_RULES) {
        return Err(source.error(
            at.referenced,
            format!("more than {MAX_RULES} rules"),
            "join rules with the same limit by a pattern such as /api/**",
        ));
    }
    let mut seen = HashMap::new();
    let mut rules = Vec::with_capacity(raw.len());
    for at in raw {
        let name = &at.value.name;
        if let Some(line) = seen.insert(name.value.as_str(), name.referenced.line()) {
            return Err(source.error(
                name.referenced,
                format!("a second rule named `{}`; the first is in line {line}", name.value),
                "give each rule a name of its own: state and metrics go by it",
            ));
        }
        rules.push(rule(source, &at.value)?);
    }
    Ok(rules)
}

fn rule(source: &Source<'_>, raw: &raw::Rule) -> Result<Rule, ConfigError> {
    let name = &raw.name;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.value.is_empty() || name.value.len() > 64 || !name.value.chars().all(plain) {
        return Err(source.error(
            name.referenced,
            format!("`{}` can't name a rule", name.value),
            "write 1 to 64 letters, digits, `-`, `_` or `.`: the name stands in header fields",
        ));
    }
    if name.value == "default" {
        return Err(source.error(
            name.referenced,
            "`default` names the learned limit",
            "give the rule another name",
        ));
    }
    let path = match &raw.matches.path {
        None => PathPattern::any(),
        Some(at) => at.value.parse().map_err(|e: tidegate_engine::pattern::PatternError| {
            source.error(
                at.referenced,
                e.to_string(),
                "patterns look like /login, /orders/* or /api/**",
            )
        })?,
    };
    let mut methods = Vec::new();
    for at in &raw.matches.methods {
        match Method::parse(at.value.as_bytes()) {
            Method::Other => {
                return Err(source.error(
                    at.referenced,
                    format!("`{}` is not a method that rules tell apart", at.value),
                    "write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, in capitals",
                ));
            }
            method => methods.push(method),
        }
    }
    let cost_milli = milli(source, raw.cost.as_ref(), 1000)?;
    let (limit, most) = limit(source, raw)?;
    if u64::from(most) * 1000 < u64::from(cost_milli) {
        let at =
            raw.burst.as_ref().map(|a| a.referenced).or(raw.cost.as_ref().map(|a| a.referenced));
        return Err(source.error(
            at.unwrap_or(name.referenced),
            format!(
                "rule `{}` can never pass: a request costs {} and at most {most} fit at once",
                name.value,
                f64::from(cost_milli) / 1000.0
            ),
            format!("write a burst of at least {}, or a lower cost", cost_milli.div_ceil(1000)),
        ));
    }
    Ok(Rule {
        name: name.value.clone(),
        path,
        methods,
        scope: match raw.per.unwrap_or(raw::Scope::Client) {
            raw::Scope::Client => Scope::Client,
            raw::Scope::Address => Scope::Address,
            raw::Scope::Network => Scope::Network,
            raw::Scope::Credential => Scope::Credential,
            raw::Scope::User => Scope::User,
            raw::Scope::ClientRoute => Scope::ClientRoute,
            raw::Scope::Route => Scope::Route,
            raw::Scope::Site => Scope::Site,
        },
        limit,
        cost_milli,
        mode: mode(raw.mode),
        on_error: on_error(raw.on_error),
    })
}

/// The limit, and how many cells fit into it at once.
fn limit(source: &Source<'_>, raw: &raw::Rule) -> Result<(Limit, u32), ConfigError> {
    let algorithm = raw.algorithm.as_ref().map_or(Algorithm::TokenBucket, |at| at.value);
    let name = &raw.name;
    // What a key is for: naming a key of another algorithm is a misunderstanding worth a word.
    for (at, key, owners) in [
        (raw.max_wait.as_ref().map(|a| a.referenced), "max_wait", &[Algorithm::LeakyBucket][..]),
        (raw.max.as_ref().map(|a| a.referenced), "max", &[Algorithm::Concurrency]),
        (raw.lease.as_ref().map(|a| a.referenced), "lease", &[Algorithm::Concurrency]),
        (
            raw.burst.as_ref().map(|a| a.referenced),
            "burst",
            &[Algorithm::TokenBucket, Algorithm::LeakyBucket],
        ),
        (
            raw.limit.as_ref().map(|a| a.referenced),
            "limit",
            &[Algorithm::TokenBucket, Algorithm::LeakyBucket, Algorithm::SlidingWindow],
        ),
    ] {
        if let Some(at) = at
            && !owners.contains(&algorithm)
        {
            return Err(source.error(
                at,
                format!("`{key}` means nothing to the algorithm {}", word(algorithm)),
                format!("take it away, or write algorithm: {}", word(owners[0])),
            ));
        }
    }
    if algorithm == Algorithm::Concurrency {
        let max =
            raw.max.as_ref().and_then(|at| u32::try_from(at.value).ok()).and_then(NonZeroU32::new);
        let max = max.ok_or_else(|| {
            source.error(
                raw.max.as_ref().map_or(name.referenced, |at| at.referenced),
                format!("rule `{}` does not say how many requests may run at once", name.value),
                "write max: 20, a number of at least 1",
            )
        })?;
        let lease = time(source, raw.lease.as_ref(), LEASE)?;
        return Ok((Limit::Concurrency { max, lease }, max.get()));
    }
    let Some(written) = &raw.limit else {
        return Err(source.error(
            name.referenced,
            format!("rule `{}` has no limit", name.value),
            "write limit: 10/min",
        ));
    };
    let quota = quota(source, written, raw.burst.as_ref(), written.referenced)?;
    Ok(match algorithm {
        Algorithm::SlidingWindow => {
            let window = Window::new(quota.cells().get(), quota.period()).map_err(|e| {
                source.error(written.referenced, e.to_string(), "write it like 10/min")
            })?;
            (Limit::SlidingWindow(window), window.cells().get())
        }
        Algorithm::LeakyBucket => {
            let max_wait = time(source, raw.max_wait.as_ref(), Duration::from_secs(1))?;
            (Limit::LeakyBucket { quota, max_wait }, quota.burst().get())
        }
        Algorithm::TokenBucket | Algorithm::Concurrency => {
            (Limit::TokenBucket(quota), quota.burst().get())
        }
    })
}

fn word(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::TokenBucket => "token_bucket",
        Algorithm::LeakyBucket => "leaky_bucket",
        Algorithm::SlidingWindow => "sliding_window",
        Algorithm::Concurrency => "concurrency",
    }
}
