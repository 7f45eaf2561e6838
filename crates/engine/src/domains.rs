//! Limits by descriptor: a tree of names that a gateway made up, as Envoy's rate limit service has it.
//!
//! A domain holds levels of keys and values; a descriptor is a path through them, and the limit at its
//! end applies if the path is as long as the descriptor. At each level an exact value comes first, then
//! patterns in the order they were written, then the key without a value.

use crate::ladder::Ladder;
use crate::policy::Tiers;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tidegate_limiter::Quota;

/// All domains.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    domains: HashMap<String, Level>,
    detailed: Detailed,
}

/// What is told apart at one depth of a domain.
#[derive(Clone, Debug, Default)]
pub struct Level(HashMap<String, Key>);

#[derive(Clone, Debug, Default)]
struct Key {
    exact: HashMap<String, Node>,
    patterns: Vec<(Pattern, Node)>,
    any: Option<Box<Node>>,
}

impl Key {
    /// What a value leads to, and by which pattern.
    fn node(&self, value: &str) -> Option<(&Node, Option<&str>)> {
        if let Some(node) = self.exact.get(value) {
            return Some((node, None));
        }
        match self.patterns.iter().find(|(pattern, _)| pattern.matches(value)) {
            Some((pattern, node)) => Some((node, Some(&pattern.0))),
            None => Some((self.any.as_deref()?, None)),
        }
    }
}

/// One descriptor of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its limit, if a descriptor may end here.
    pub limit: Option<Arc<DescriptorLimit>>,
    /// Whether all values that match its pattern share one count.
    pub shared: bool,
    /// Whether counts are told for each value.
    pub value_to_metric: bool,
    /// What comes after it.
    pub next: Level,
}

/// A value with `*` for anything, nothing included.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(String);

impl Pattern {
    fn matches(&self, value: &str) -> bool {
        let mut parts = self.0.split('*');
        let (first, mut rest) = match parts.next().map(|first| (first, value.strip_prefix(first))) {
            Some((first, Some(rest))) => (first, rest),
            _ => return false,
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return first == value;
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

/// A unit of time that a limit is given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
    /// 365 days.
    Year,
}

impl Unit {
    /// All of them, from the shortest.
    pub const ALL: [Self; 7] =
        [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Its name in configuration files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The unit of this name, in whatever case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name().eq_ignore_ascii_case(name))
    }

    /// Its length.
    #[must_use]
    pub const fn length(self) -> Duration {
        const DAY: u64 = 86_400;
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
            Self::Year => 365 * DAY,
        })
    }
}

/// So many cells a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Cells; 0 admits nothing.
    pub cells: u32,
    /// The unit.
    pub unit: Unit,
    /// Units in the period, at least 1.
    pub multiplier: u32,
}

impl Rate {
    /// The time in which the cells come back.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.unit.length().saturating_mul(self.multiplier)
    }

    /// The quota that `cells` in this period make: all of them at once, and back within the period.
    /// `None` when they are none.
    #[must_use]
    pub fn quota(&self, cells: u32) -> Option<Quota> {
        Quota::new(cells, self.period(), cells).ok()
    }
}

/// How far models may move a limit.
#[derive(Clone, Debug)]
pub struct Rails {
    /// The least cells a period, for who is at high risk; 0 blocks.
    pub floor: u32,
    /// The most, for who has a good record.
    pub ceiling: u32,
    pub(crate) ladder: Ladder,
}

impl Rails {
    /// Rails about `rate`; `None` unless floor ≤ rate ≤ ceiling and the rate is above zero.
    #[must_use]
    pub fn new(rate: Rate, floor: u32, ceiling: u32) -> Option<Self> {
        if !(floor..=ceiling).contains(&rate.cells) {
            return None;
        }
        let whole = NonZeroU32::new(rate.cells)?;
        // Halfway from the rate to the floor, as ratios go.
        let half = (f64::from(rate.cells) * f64::from(floor.max(1))).sqrt().round();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the root of two `u32` is one"
        )]
        let half = (half as u32).clamp(1, whole.get());
        let tiers = Tiers {
            new: rate.quota(rate.cells)?,
            trusted: rate.quota(ceiling)?,
            throttled: rate.quota(half)?,
            risky: rate.quota(floor.max(1))?,
        };
        Some(Self { floor, ceiling, ladder: Ladder::new(&tiers) })
    }
}

/// The limit at the end of a path of descriptors.
#[derive(Debug)]
pub struct DescriptorLimit {
    /// Domain, keys and values in one word, for people and metrics.
    pub path: String,
    /// By what other limits may replace it; may be empty.
    pub name: String,
    /// Names of limits that do not count beside this one.
    pub replaces: Vec<String>,
    /// The rate; `None` is unlimited.
    pub rate: Option<Rate>,
    /// Counted, and never enforced.
    pub shadow: bool,
    /// A request is denied only when all limits of this kind are used up.
    pub quota_mode: bool,
    /// Whether counts are told for each path of values.
    pub detailed: bool,
    /// How far models may move it.
    pub rails: Option<Rails>,
    /// What the operator wants handed on with an answer; the engine does not look into it.
    pub attached: Arc<[u8]>,
    /// What came of requests.
    pub counts: Arc<Counts>,
}

impl DescriptorLimit {
    /// A limit with no more than its rate.
    #[must_use]
    pub fn new(path: String, rate: Option<Rate>) -> Self {
        Self {
            path,
            name: String::new(),
            replaces: Vec::new(),
            rate,
            shadow: false,
            quota_mode: false,
            detailed: false,
            rails: None,
            attached: Arc::default(),
            counts: Arc::default(),
        }
    }
}

/// Hits on one limit since the start.
#[derive(Debug, Default)]
pub struct Counts {
    hits: [AtomicU64; Counts::NAMES.len()],
    /// Whether somebody peeked at it: then it is charged after the fact, when refusing is too late.
    pub(crate) settled_later: AtomicBool,
}

/// Which of the counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Total,
    Within,
    Near,
    Over,
    Shadow,
}

impl Counts {
    /// What is counted: all hits, those admitted, of these the ones beyond 0.8 of the limit, those over
    /// the limit, and of these the ones that shadow mode let pass.
    pub const NAMES: [&'static str; 5] =
        ["total_hits", "within_limit", "near_limit", "over_limit", "shadow_mode"];

    pub(crate) fn add(&self, count: Count, hits: u64) {
        if hits > 0 {
            self.hits[count as usize].fetch_add(hits, Ordering::Relaxed);
        }
    }

    /// The counts in the order of [`Counts::NAMES`].
    #[must_use]
    pub fn read(&self) -> [u64; Self::NAMES.len()] {
        std::array::from_fn(|at| self.hits[at].load(Ordering::Relaxed))
    }
}

/// Counts of values that nobody wrote down, so bounded.
type Detailed = Arc<Mutex<HashMap<String, Arc<Counts>>>>;

/// Most values with counts of their own; more go to the limit's.
const MOST_DETAILED: usize = 1000;

/// The longest path with values that is counted by itself, in bytes.
const LONGEST_DETAILED: usize = 256;

/// What a descriptor leads to.
pub(crate) struct Found<'a> {
    pub limit: &'a Arc<DescriptorLimit>,
    /// For each entry the pattern whose count it shares.
    pub shared: smallvec::SmallVec<[Option<&'a str>; 4]>,
    /// The limit's path with values in it, where they are to be told.
    pub told: Option<String>,
}

impl Domains {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Whether there is a domain of this name.
    #[must_use]
    pub fn has(&self, domain: &str) -> bool {
        self.domains.contains_key(domain)
    }

    /// The top level of a domain, made if there is none.
    pub fn domain(&mut self, name: &str) -> &mut Level {
        self.domains.entry(name.to_owned()).or_default()
    }

    /// Every limit, in no order.
    pub fn for_each(&self, mut f: impl FnMut(&DescriptorLimit)) {
        self.domains.values().for_each(|level| level.for_each(&mut f));
    }

    /// Every path that is counted, with its counts.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, [u64; Counts::NAMES.len()])> {
        let mut all = Vec::new();
        self.for_each(|limit| all.push((limit.path.clone(), limit.counts.read())));
        all.extend(self.detailed.lock().iter().map(|(path, counts)| (path.clone(), counts.read())));
        all
    }

    /// Goes on with the counts of the domains before.
    pub(crate) fn inherit(&mut self, before: &Self) {
        let mut known: HashMap<String, Arc<Counts>> = HashMap::new();
        before.for_each(|limit| {
            known.insert(limit.path.clone(), Arc::clone(&limit.counts));
        });
        self.detailed = Arc::clone(&before.detailed);
        let take = |limit: &mut Arc<DescriptorLimit>| {
            let Some(counts) = known.get(&limit.path) else { return };
            if let Some(limit) = Arc::get_mut(limit) {
                limit.counts = Arc::clone(counts);
            }
        };
        self.domains.values_mut().for_each(|level| level.for_each_mut(&take));
    }

    /// Where what came of a descriptor is counted.
    pub(crate) fn counted(&self, found: &Found<'_>) -> Arc<Counts> {
        let told = found.told.as_deref();
        let told = told.filter(|path| *path != found.limit.path && path.len() <= LONGEST_DETAILED);
        told.and_then(|path| self.detailed(path)).unwrap_or_else(|| Arc::clone(&found.limit.counts))
    }

    /// The counts of a path with values in it.
    fn detailed(&self, path: &str) -> Option<Arc<Counts>> {
        let mut detailed = self.detailed.lock();
        if let Some(counts) = detailed.get(path) {
            return Some(Arc::clone(counts));
        }
        if detailed.len() >= MOST_DETAILED {
            return None;
        }
        Some(Arc::clone(detailed.entry(path.to_owned()).or_default()))
    }

    /// An order in which these names are a path to a limit, as their places.
    pub(crate) fn order(&self, domain: &str, names: &[(String, String)]) -> Option<Vec<usize>> {
        fn go(level: &Level, names: &[(String, String)], order: &mut Vec<usize>) -> bool {
            for (at, (key, value)) in names.iter().enumerate() {
                if order.contains(&at) {
                    continue;
                }
                let Some((node, _)) = level.0.get(key).and_then(|key| key.node(value)) else {
                    continue;
                };
                order.push(at);
                let last = order.len() == names.len();
                if (last && node.limit.is_some()) || (!last && go(&node.next, names, order)) {
                    return true;
                }
                order.pop();
            }
            false
        }
        let mut order = Vec::new();
        go(self.domains.get(domain)?, names, &mut order).then_some(order)
    }

    /// The limit that a descriptor leads to; `None` for an unknown domain, a path that is not
    /// configured, or one that goes on beyond its limit.
    pub(crate) fn find(&self, domain: &str, entries: &[(&str, &str)]) -> Option<Found<'_>> {
        let mut level = self.domains.get(domain)?;
        let mut shared = smallvec::SmallVec::new();
        let mut told: Option<String> = None;
        let mut limit = None;
        for (depth, (key, value)) in entries.iter().enumerate() {
            let (node, pattern) = level.0.get(*key)?.node(value)?;
            shared.push(pattern.filter(|_| node.shared));
            if let Some(told) = &mut told {
                told.push('.');
                told.push_str(key);
                let value = if node.shared { pattern } else { Some(*value) };
                if let (true, Some(value)) = (node.value_to_metric, value) {
                    told.push('_');
                    told.push_str(value);
                }
            } else if node.value_to_metric {
                told = Some(words(domain, &entries[..=depth]));
            }
            limit = node.limit.as_ref();
            level = &node.next;
        }
        let limit = limit?;
        if limit.detailed {
            told = Some(words(domain, entries));
        }
        Some(Found { limit, shared, told })
    }
}

/// Domain, keys and values in one word.
fn words(domain: &str, entries: &[(&str, &str)]) -> String {
    let mut words = domain.to_owned();
    for (key, value) in entries {
        words.push('.');
        words.push_str(key);
        if !value.is_empty() {
            words.push('_');
            words.push_str(value);
        }
    }
    words
}

impl Level {
    /// Adds a descriptor; an empty value stands for any. `None` when it is there already.
    pub fn add(&mut self, key: &str, value: &str, node: Node) -> Option<()> {
        let key = self.0.entry(key.to_owned()).or_default();
        if value.is_empty() {
            let free = key.any.is_none();
            key.any.get_or_insert_with(|| Box::new(node));
            return free.then_some(());
        }
        if value.contains('*') {
            let pattern = Pattern(value.to_owned());
            if key.patterns.iter().any(|(other, _)| *other == pattern) {
                return None;
            }
            key.patterns.push((pattern, node));
            return Some(());
        }
        if key.exact.contains_key(value) {
            return None;
        }
        key.exact.insert(value.to_owned(), node);
        Some(())
    }

    fn for_each(&self, f: &mut impl FnMut(&DescriptorLimit)) {
        for key in self.0.values() {
            let nodes = key.exact.values().chain(key.patterns.iter().map(|(_, node)| node));
            for node in nodes.chain(key.any.as_deref()) {
                node.limit.iter().for_each(|limit| f(limit));
                node.next.for_each(f);
            }
        }
    }

    fn for_each_mut(&mut self, f: &impl Fn(&mut Arc<DescriptorLimit>)) {
        for key in self.0.values_mut() {
            let nodes = key.exact.values_mut().chain(key.patterns.iter_mut().map(|(_, node)| node));
            for node in nodes.chain(key.any.as_deref_mut()) {
                node.limit.iter_mut().for_each(f);
                node.next.for_each_mut(f);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_anything() {
        let matches = |pattern: &str, value: &str| Pattern(pattern.into()).matches(value);
        for (pattern, value) in [
            ("foo*", "foo"),
            ("foo*", "foobar"),
            ("*", ""),
            ("*bar", "foobar"),
            ("/api*v1", "/api/users/v1"),
            ("a*b*c", "a1b2b3c"),
            ("a**c", "abc"),
        ] {
            assert!(matches(pattern, value), "{pattern} {value}");
        }
        for (pattern, value) in [
            ("foo*", "fo"),
            ("ab*ba", "aba"),
            ("/api*v1", "/api/v2"),
            ("a*b*c", "acb"),
            ("a*", "ba"),
        ] {
            assert!(!matches(pattern, value), "{pattern} {value}");
        }
    }

    #[test]
    fn rails_hold_the_rate_between_them() {
        let rate = Rate { cells: 100, unit: Unit::Hour, multiplier: 1 };
        assert!(Rails::new(rate, 101, 200).is_none());
        assert!(Rails::new(rate, 1, 99).is_none());
        assert!(Rails::new(Rate { cells: 0, ..rate }, 0, 1).is_none());
        let rails = Rails::new(rate, 4, 1000).unwrap();
        let cells = |share| rails.ladder.rung(share).cells().get();
        assert_eq!((cells(0.0), cells(1.0)), (100, 1000));
        assert!((300..330).contains(&cells(0.5)), "{}", cells(0.5));
        assert_eq!(rails.ladder.rung(0.5).period(), Duration::from_secs(3600));
    }
}
