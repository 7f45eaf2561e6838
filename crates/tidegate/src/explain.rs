//! `tidegate explain`: the story of one client, out of a replay; or why it is where it is, out of a limiter
//! that runs.

mod running;

use crate::cli::{ExplainArgs, LogArgs};
use crate::replay::{Log, count, limit, nothing, shown, start};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use tidegate_engine::{Action, Decision, Engine, RuleRef};
use tidegate_lab::formats::Record;
use tidegate_lab::replay::{name, rfc3339};
use tidegate_limiter::Key;

/// Steps that are shown; a client that goes to and fro for days has more.
const STEPS: usize = 200;
/// How many clients an error suggests.
const NEAR: usize = 5;

pub(crate) fn run(args: &ExplainArgs) -> miette::Result<()> {
    if let Some(url) = &args.admin {
        return running::run(args, url);
    }
    // The command line wants it where there is no limiter to ask.
    let client = args.client.as_deref().unwrap_or_default();
    let args =
        LogArgs { files: args.words.clone(), read: args.read.clone(), model: args.model.clone() };
    let mut replay = start(&args)?;
    let mut log = Log::open(&args.files, &args.read)?;
    let wanted = Wanted::new(client, replay.engine());
    let mut stories: HashMap<Key, Story> = HashMap::new();
    let mut order = Vec::new();
    log.each(|line, record| {
        let decision = replay.feed(line, record);
        let key = decision.ticket.client;
        if wanted.is(record, &decision, replay.engine()) {
            let story = stories.entry(key).or_insert_with(|| {
                order.push(key);
                Story::new(name(record, &decision), STEPS)
            });
            story.tell(line, record, &decision, replay.engine());
        }
        Ok(())
    })?;
    if order.is_empty() {
        let what = format!("no request of `{}` in the log", shown(client));
        let near = nearest(client, replay.names());
        let what = if near.is_empty() {
            what
        } else {
            format!("{what}; the nearest clients are {}", near.join(", "))
        };
        return Err(nothing(&log, &what));
    }
    let mut out = log.complaints();
    for story in order.iter().filter_map(|key| stories.get(key)) {
        story.write(&mut out);
    }
    print!("{out}");
    Ok(())
}

/// Whose story is wanted: an address, a host, a credential, or the hash that stands for one.
struct Wanted {
    text: String,
    prefix: Option<IpAddr>,
}

impl Wanted {
    fn new(text: &str, engine: &Engine) -> Self {
        let rules = &engine.policy().identity;
        let prefix = text.parse().ok().map(|addr| rules.client_prefix(addr));
        Self { text: text.to_owned(), prefix }
    }

    fn is(&self, record: &Record<'_>, decision: &Decision, engine: &Engine) -> bool {
        record.client == self.text.as_str()
            || record.credential.as_deref() == Some(self.text.as_str())
            || self.prefix.is_some()
                && record.addr.map(|addr| engine.policy().identity.client_prefix(addr))
                    == self.prefix
            || self.text.contains('#') && name(record, decision) == self.text
    }
}

/// What became of one client.
#[derive(Default)]
pub(crate) struct Story {
    name: String,
    /// Most steps that are kept.
    most: usize,
    requests: u64,
    denied: u64,
    peak: f32,
    last: Option<Standing>,
    steps: Vec<String>,
    changes: u64,
}

/// Everything whose change is a step.
#[derive(Clone, Copy, PartialEq)]
struct Standing {
    action: Action,
    limit: f32,
    rule: Option<RuleRef>,
    risk: f32,
}

impl Story {
    pub(crate) fn new(name: String, most: usize) -> Self {
        Self { name, most, ..Self::default() }
    }

    pub(crate) fn tell(
        &mut self,
        line: u64,
        record: &Record<'_>,
        decision: &Decision,
        engine: &Engine,
    ) {
        self.requests += 1;
        self.denied += u64::from(!decision.allowed);
        self.peak = self.peak.max(decision.risk);
        let now = Standing {
            action: decision.action,
            limit: decision.limit_per_min,
            rule: (!decision.allowed).then_some(decision.rule),
            risk: decision.risk,
        };
        let before = self.last.replace(now);
        let changed = before.is_none_or(|was| (was.action, was.limit) != (now.action, now.limit));
        let first_denial = self.denied == 1 && !decision.allowed;
        if !changed && !first_denial {
            return;
        }
        self.changes += 1;
        if self.steps.len() >= self.most {
            return;
        }
        let verdict = if decision.allowed { "passes" } else { "denied" };
        let mut step = format!(
            "{}  request {:<6} {:<8} {:>6}/min  risk {:.2}  {verdict}  line {line}: {} {}\n",
            rfc3339(decision.time),
            self.requests,
            now.action.name(),
            limit(now.limit.is_finite().then_some(now.limit)),
            now.risk,
            record.method.name(),
            shown(&record.path.chars().take(100).collect::<String>())
        );
        // Reasons are what speaks for abuse; where nothing is done about it they would mislead.
        if !decision.allowed || !matches!(now.action, Action::Allow | Action::Raise) {
            for reason in engine.reasons(decision) {
                let _ = writeln!(step, "    {reason}");
            }
        }
        self.steps.push(step);
    }

    pub(crate) fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "{}: {}, {} denied, peak risk {:.2}\n",
            shown(&self.name),
            count(self.requests, "request"),
            self.denied,
            self.peak
        );
        out.extend(self.steps.iter().map(String::as_str));
        let hidden = self.changes - self.steps.len() as u64;
        if hidden > 0 {
            let _ = writeln!(out, "… and {} after that", count(hidden, "change"));
        }
        if let Some(last) = self.last {
            let _ = writeln!(
                out,
                "\nin the end: {}, {}/min, risk {:.2}\n",
                last.action.name(),
                limit(last.limit.is_finite().then_some(last.limit)),
                last.risk
            );
        }
    }
}

/// The names most like this one, nearest first.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut near: Vec<(usize, &str)> = Vec::with_capacity(NEAR + 1);
    for name in names {
        let found = (strsim::levenshtein(wanted, name), name);
        let at = near.partition_point(|other| *other < found);
        near.insert(at, found);
        near.truncate(NEAR);
    }
    near.into_iter().map(|(_, name)| shown(name)).collect()
}
