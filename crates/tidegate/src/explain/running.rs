//! `tidegate explain --admin`: why a client of a running limiter is where it is.

use crate::admin::{Admin, segment};
use crate::cli::ExplainArgs;
use crate::replay::{count, limit, shown, span};
use jiff::Timestamp;
use miette::{IntoDiagnostic as _, miette};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Least that a feature must have added to be told, in log-odds.
const LEAST: f64 = 0.05;
/// Most features that are told.
const MOST: usize = 8;

pub(super) fn run(args: &ExplainArgs, url: &str) -> miette::Result<()> {
    let client = wanted(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (facts, why) = runtime.into_diagnostic()?.block_on(async {
        let admin = Admin::new(url, args.token_file.as_deref())?;
        let path = format!("/v1/clients/{}", segment(&client));
        let facts = admin.find(&path).await?;
        let facts = facts.map_err(|detail| miette!("`{}`: {detail}", shown(&client)))?;
        // It may be evicted, or kept for the first time, between the two.
        Ok::<_, miette::Report>((facts, admin.find(&format!("{path}/explain")).await?))
    })?;
    if args.json {
        let all = json!({"client": facts, "explanation": why.ok()});
        println!("{}", serde_json::to_string_pretty(&all).into_diagnostic()?);
    } else {
        print!("{}", text(&facts, why.as_ref()));
    }
    Ok(())
}

/// The client that is asked about: one, by the option or as a word.
fn wanted(args: &ExplainArgs) -> miette::Result<String> {
    match (&args.client, args.words.as_slice()) {
        (Some(client), []) => Ok(client.clone()),
        (None, [client]) => Ok(client.to_string_lossy().into_owned()),
        _ => Err(miette!(
            "with --admin one client is explained and no log is read: write \
             `tidegate explain CLIENT --admin URL`"
        )),
    }
}

/// What is known of the client and why, or what is said of there being no why.
fn text(facts: &Value, why: Result<&Value, &String>) -> String {
    let mut out = String::new();
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let whole = |value: &Value| value.as_u64().unwrap_or(0);
    let word = |value: &Value| shown(value.as_str().unwrap_or("?"));
    let (allowed, denied) = (whole(&facts["allowed"]), whole(&facts["denied"]));
    let room = match (facts["action"].as_str(), whole(&facts["blocked_for"])) {
        (Some("block"), 0) => "nothing passes".to_owned(),
        (Some("block"), left) => format!("nothing passes for {}", span(left)),
        _ => limited(&facts["limit_per_min"]),
    };
    let _ = writeln!(
        out,
        "{}: {}, {room}, risk {:.2}",
        word(&facts["name"]),
        word(&facts["action"]),
        number(&facts["risk"]),
    );
    let _ = writeln!(
        out,
        "{}, {denied} denied, {:.0} in the last minute",
        count(allowed + denied, "request"),
        number(&facts["per_minute"]),
    );
    if let Some(set) = facts["by_hand"].as_object() {
        let what = set.get("do").map_or_else(String::new, word);
        let until = set.get("until").map_or(0.0, number);
        let _ = writeln!(out, "set by hand: {what}, until {}", time(until));
    }
    let why = match why {
        Ok(why) => why,
        Err(detail) => {
            let _ = writeln!(out, "\n{}", shown(detail));
            return out;
        }
    };
    let moment = &why["moment"];
    let verdict = match (moment["allowed"].as_bool(), moment["shadow"].as_bool()) {
        (Some(true), _) => "passed",
        (_, Some(true)) => "passed in shadow mode, would be denied",
        _ => "denied",
    };
    let _ = writeln!(
        out,
        "\nrequest {} at {}: {verdict} by {}, {}, {}, risk {:.2}\n  on {}",
        whole(&moment["requests"]),
        time(number(&moment["time"])),
        word(&moment["rule"]),
        word(&moment["action"]),
        limited(&moment["limit_per_min"]),
        number(&moment["risk"]),
        word(&moment["route"]),
    );
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let reasons: Vec<_> = list(&why["reasons"]).iter().map(word).collect();
    if !reasons.is_empty() {
        let _ = writeln!(out, "\nwhat speaks against it");
        reasons.iter().for_each(|reason| {
            let _ = writeln!(out, "  {reason}");
        });
    }
    let contributions = list(&why["contributions"]);
    let told = contributions.iter().filter(|one| number(&one["added"]).abs() >= LEAST);
    for (at, one) in told.take(MOST).enumerate() {
        if at == 0 {
            let score = moment["score"].as_f64();
            let score = score.map_or_else(String::new, |score| format!(" of {score:.2}"));
            let _ =
                writeln!(out, "\nwhat moved the score{score}, in log-odds, against it if above 0");
        }
        let _ = write!(
            out,
            "  {:+.2}  {}: {}",
            number(&one["added"]),
            word(&one["words"]),
            few(&one["value"])
        );
        if one["usual"].is_number() {
            let _ = write!(out, ", usual here {}", few(&one["usual"]));
        }
        if let Some(score) = one["score_with_usual"].as_f64() {
            let _ = write!(out, "; with that the score would be {score:.2}");
        }
        out.push('\n');
    }
    let other = &why["counterfactual"];
    if other.is_object() {
        let names: Vec<_> = list(&other["words"]).iter().map(word).collect();
        let _ = writeln!(
            out,
            "\nwere these as is usual here, the score would be {:.2}, too low to be throttled\n  {}",
            number(&other["score"]),
            names.join("; ")
        );
    }
    let version = &why["model_version"];
    let model = match (why["model"].as_str(), version["name"].as_str()) {
        (Some(kind), Some(name)) => {
            format!("{} {} {}", shown(kind), shown(name), word(&version["checksum"]))
        }
        (Some(kind), None) => shown(kind),
        (None, _) => "none".to_owned(),
    };
    let _ = writeln!(out, "\nmodel {model}, features of schema {}", whole(&why["schema"]));
    out
}

#[allow(clippy::cast_possible_truncation)]
fn limited(per_minute: &Value) -> String {
    format!("{}/min", limit(per_minute.as_f64().map(|limit| limit as f32)))
}

/// A value with as many digits as say something.
fn few(value: &Value) -> String {
    let value = value.as_f64().unwrap_or(0.0);
    if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// A time in UTC, to the second.
#[allow(clippy::cast_possible_truncation)]
fn time(seconds: f64) -> String {
    Timestamp::from_second(seconds as i64).map_or_else(
        |_| format!("{seconds}"),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Value {
        json!({
            "name": "203.0.113.66", "action": "throttle", "risk": 0.61, "limit_per_min": 12.0,
            "allowed": 30, "denied": 4, "per_minute": 20.4, "blocked_for": 0, "by_hand": null,
        })
    }

    #[test]
    fn a_client_is_told_with_its_decision_its_reasons_and_what_would_be_otherwise() {
        let why = json!({
            "moment": {"time": 1_689_687_856.5, "requests": 34, "allowed": false, "shadow": false,
                "rule": "adaptive", "action": "throttle", "risk": 0.6, "score": 0.72,
                "limit_per_min": 12.0, "route": "GET /orders/{id}"},
            "model": "trees", "model_version": {"name": "built-in", "checksum": "0a1b2c3d"}, "schema": 6,
            "reasons": ["sends no referers (referer_share 0.00)"],
            "contributions": [
                {"feature": "referer_share", "words": "sends referers", "value": 0.0, "added": 1.25,
                 "usual": 0.8, "score_with_usual": 0.31},
                {"feature": "rate", "words": "requests a minute", "value": 120.0, "added": -0.5,
                 "usual": null, "score_with_usual": null},
                {"feature": "x", "words": "next to nothing", "value": 1.0, "added": 0.01,
                 "usual": null, "score_with_usual": null},
            ],
            "counterfactual": {"features": ["referer_share"], "words": ["sends referers"], "score": 0.31},
        });
        let told = text(&facts(), Ok(&why));
        for part in [
            "203.0.113.66: throttle, 12/min, risk 0.61\n34 requests, 4 denied, 20 in the last minute\n",
            "request 34 at 2023-07-18 13:44:16 UTC: denied by adaptive, throttle, 12/min, risk 0.60\n",
            "  on GET /orders/{id}\n",
            "what speaks against it\n  sends no referers (referer_share 0.00)\n",
            "what moved the score of 0.72,",
            "  +1.25  sends referers: 0.00, usual here 0.80; with that the score would be 0.31\n",
            "  -0.50  requests a minute: 120\n",
            "the score would be 0.31, too low to be throttled\n  sends referers\n",
            "model trees built-in 0a1b2c3d, features of schema 6\n",
        ] {
            assert!(told.contains(part), "{part:?} not in\n{told}");
        }
        assert!(!told.contains("next to nothing"), "{told}");
    }

    #[test]
    fn what_is_not_known_is_said_and_nothing_from_outside_moves_the_cursor() {
        let mut facts = facts();
        facts["name"] = json!("evil\u{1b}[2J");
        facts["action"] = json!("block");
        facts["blocked_for"] = json!(125);
        facts["by_hand"] = json!({"do": "block", "until": 1_689_687_856});
        let told = text(&facts, Err(&"Nothing is kept of this client yet.".to_owned()));
        assert!(told.contains("nothing passes for 2 min 5 s"), "{told}");
        assert!(told.contains("set by hand: block, until 2023-07-18 13:44:16 UTC"), "{told}");
        assert!(told.contains("Nothing is kept") && !told.contains('\u{1b}'), "{told}");
        // Whatever is missing stops nothing.
        assert!(text(&Value::Null, Ok(&Value::Null)).contains("model none"));
    }
}
