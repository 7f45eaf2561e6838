//! Everything that a report says: what is written as JSON, and what the other forms are made from.

use crate::cli::LogArgs;
use crate::replay::Reading;
use serde::Serialize;
use std::net::IpAddr;
use std::path::Path;
use tidegate_engine::{Mode, Policy};
use tidegate_lab::replay::Report;
use tidegate_limiter::Quota;

/// A whole report. Times are RFC 3339 in UTC, shares and risks 0..1.
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    /// The version that decided.
    pub tidegate_version: &'static str,
    #[serde(flatten)]
    pub reading: Reading,
    pub policy: PolicyFacts,
    #[serde(flatten)]
    pub found: &'a Report,
    /// What to do now.
    pub next_steps: Vec<NextStep>,
}

/// By what was decided.
#[derive(Serialize)]
pub(crate) struct PolicyFacts {
    /// The configuration; `None` for the default policy.
    pub config: Option<String>,
    /// Whether it is what a running server has in force: the file may have been changed since.
    #[serde(skip)]
    pub in_force: bool,
    /// Where the model is from.
    pub model: String,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// Whether limits are learned at all.
    pub adaptive: bool,
    /// The risk from which a client is throttled.
    pub throttle_from_risk: f32,
    /// The risk from which it is blocked.
    pub block_from_risk: f32,
    /// The limits between which the model moves, from the highest.
    pub tiers: Vec<Tier>,
    /// All of it in words, one fact a line.
    pub in_words: Vec<String>,
}

/// A limit that a client may have.
#[derive(Serialize)]
pub(crate) struct Tier {
    pub tier: &'static str,
    pub limit_per_min: f64,
    /// In cells.
    pub burst: u32,
}

/// Something to do, and the command for it.
#[derive(Serialize)]
pub(crate) struct NextStep {
    pub what: &'static str,
    pub command: String,
}

impl<'a> Document<'a> {
    pub(crate) fn new(
        args: &LogArgs,
        policy: &Policy,
        model: String,
        reading: Reading,
        found: &'a Report,
    ) -> Self {
        Self {
            tidegate_version: env!("CARGO_PKG_VERSION"),
            reading,
            policy: PolicyFacts::new(args, policy, model),
            next_steps: next_steps(args, found),
            found,
        }
    }

    /// Says that policy and model are those of a running server.
    pub(crate) fn in_force(mut self) -> Self {
        self.policy.in_force = true;
        self
    }

    /// The limit of a new client, a minute.
    pub(crate) fn new_client_limit(&self) -> f64 {
        self.policy.tiers.iter().find(|it| it.tier == "new").map_or(0.0, |it| it.limit_per_min)
    }
}

impl PolicyFacts {
    fn new(args: &LogArgs, policy: &Policy, model: String) -> Self {
        let (adaptive, tiers) = (&policy.adaptive, &policy.adaptive.tiers);
        let tier = |tier, quota: &Quota| Tier {
            tier,
            limit_per_min: quota.cells_per_second() * 60.0,
            burst: quota.burst().get(),
        };
        Self {
            config: args.read.config.as_ref().map(|path| path.display().to_string()),
            in_force: false,
            model,
            mode: match policy.mode {
                Mode::Enforce => "enforce",
                Mode::Shadow => "shadow",
            },
            adaptive: adaptive.enabled,
            throttle_from_risk: adaptive.bands.throttle,
            block_from_risk: adaptive.bands.block,
            tiers: vec![
                tier("trusted", &tiers.trusted),
                tier("new", &tiers.new),
                tier("throttled", &tiers.throttled),
                tier("risky", &tiers.risky),
            ],
            in_words: tidegate_server::config::describe_policy(policy),
        }
    }
}

fn next_steps(args: &LogArgs, found: &Report) -> Vec<NextStep> {
    let client = found.most_denied.iter().find_map(|row| pasteable(&row.client));
    let log = logs(args);
    let options = options(args);
    let config = args.read.config.as_deref().map(quoted).unwrap_or_default();
    // What is compressed is not written to any more.
    let rotated = |path: &Path| path.extension().is_some_and(|it| it == "gz" || it == "zst");
    let live = args.files.iter().find(|path| !rotated(path));
    let live = live.map_or_else(|| "access.log".into(), |path| file(path));
    vec![
        NextStep {
            what: "Read the whole story of a client: each change of its limit, and why",
            command: format!(
                "tidegate explain --client {}{options} {log}",
                client.unwrap_or_else(|| "CLIENT".into())
            ),
        },
        NextStep {
            what: "Watch live traffic in shadow mode: everything is decided and counted, nothing is denied",
            command: if config.is_empty() {
                "tidegate proxy --shadow --upstream http://127.0.0.1:9000".into()
            } else {
                format!("tidegate check-config {config} && tidegate serve --config {config}")
            },
        },
        NextStep {
            what: "Or change nothing in front of the site: follow the log, and keep a list of whom to deny",
            command: format!("tidegate watch{options} --deny-list deny.conf {live}"),
        },
    ]
}

/// How a client is written in a command, when nobody who names hosts could have made a command of it.
fn pasteable(client: &str) -> Option<String> {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c));
    if let Some(hash) = client.strip_prefix("credential #") {
        return plain(hash).then(|| format!("'{client}'"));
    }
    let host = plain(client) && client.starts_with(|c: char| c.is_ascii_alphanumeric());
    (host || client.parse::<IpAddr>().is_ok()).then(|| client.to_owned())
}

/// The options of reading and deciding, to be given to another command.
fn options(args: &LogArgs) -> String {
    let mut out = String::new();
    let mut option = |name: &str, value: String| {
        out.extend([" --", name, " ", value.as_str()]);
    };
    if args.read.format != "auto" {
        option("format", quoted(args.read.format.as_ref()));
    }
    for map in &args.read.map {
        option("map", quoted(map.as_ref()));
    }
    if let Some(path) = &args.read.config {
        option("config", quoted(path));
    }
    if let Some(path) = &args.model {
        option("model", quoted(path));
    }
    out
}

fn logs(args: &LogArgs) -> String {
    let files: Vec<_> = args.files.iter().map(|path| file(path)).collect();
    match files.get(..3) {
        Some(few) if files.len() > 3 => format!("{} …", few.join(" ")),
        _ => files.join(" "),
    }
}

/// A file of the command line; standard input is gone by now.
fn file(path: &Path) -> String {
    if path.as_os_str() == "-" { "access.log".into() } else { quoted(path) }
}

/// A word as a shell reads it.
fn quoted(word: &Path) -> String {
    let word = word.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "./_-:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('-') {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_names_never_becomes_a_command() {
        for (client, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("::1", Some("::1")),
            ("host-1.example", Some("host-1.example")),
            ("credential #00ff", Some("'credential #00ff'")),
            ("credential #';reboot;'", None),
            ("a;reboot", None),
            ("$(reboot)", None),
            ("--config", None),
            ("a b", None),
            ("(no address)", None),
            ("", None),
        ] {
            assert_eq!(pasteable(client).as_deref(), expected, "{client}");
        }
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        for (word, expected) in [
            ("/var/log/access.log", "/var/log/access.log"),
            ("my log", "'my log'"),
            ("it's", r"'it'\''s'"),
            ("$remote_addr \"$request\"", "'$remote_addr \"$request\"'"),
            ("-x", "'-x'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word.as_ref()), expected);
        }
    }
}
