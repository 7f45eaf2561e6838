//! What is known of the lines of a log, and how decisions fare against it.

use super::report::{LabelFamily, LabelReport};
use crate::evaluate::STATIC_HARM;
use crate::static_limits::{Counts, LIMITS, best, ratio};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};
use thiserror::Error;

/// What is known of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Who sent it: a number for each actor of the file.
    pub actor: u32,
    /// What that is: a position in the file's families.
    family: u32,
    /// Whether it is abuse.
    pub abusive: bool,
}

/// A file of labels can't be used.
#[derive(Debug, Error)]
pub enum LabelsError {
    /// It can't be read.
    #[error("row {row}: {source}")]
    Read {
        /// Counted from 1, the header included.
        row: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It does not begin with the header.
    #[error("row 1: expected the header `{HEADER}`, found `{0}`")]
    Header(String),
    /// A row says something else than a label.
    #[error("row {row}: {what}; write line,actor,family,abusive such as 17,4,scraper,true")]
    Row {
        /// Counted from 1, the header included.
        row: u64,
        /// What is wrong.
        what: String,
    },
}

const HEADER: &str = "line,actor,family,abusive";

/// Labels by line; a line may have none.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    lines: HashMap<u64, Label, foldhash::fast::FixedState>,
    families: Vec<String>,
}

impl Labels {
    /// Reads `line,actor,family,abusive`, as [`crate::simulate::write`] writes it: lines count from
    /// 1, `abusive` is `true` or `false`, actor and family are any words without a comma.
    ///
    /// # Errors
    /// The first row that is no label, or that labels a line twice.
    pub fn read(input: impl BufRead) -> Result<Self, LabelsError> {
        let mut labels = Self::default();
        let mut names = (Names::default(), Names::default());
        let mut headed = false;
        for (row, text) in (1u64..).zip(input.lines()) {
            let text = text.map_err(|source| LabelsError::Read { row, source })?;
            let text = text.trim_start_matches('\u{feff}').trim();
            if !headed {
                if text != HEADER {
                    return Err(LabelsError::Header(text.chars().take(80).collect()));
                }
                headed = true;
            } else if !text.is_empty() {
                let (line, label) = parse(text, &mut names)
                    .map_err(|what| LabelsError::Row { row, what: what.to_owned() })?;
                if labels.lines.insert(line, label).is_some() {
                    let what = format!("line {line} already has a label");
                    return Err(LabelsError::Row { row, what });
                }
            }
        }
        if !headed {
            return Err(LabelsError::Header(String::new()));
        }
        labels.families = names.1.all;
        Ok(labels)
    }

    /// What is known of a line.
    #[must_use]
    pub fn get(&self, line: u64) -> Option<Label> {
        self.lines.get(&line).copied()
    }

    /// How many lines have a label.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether no line has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Words, numbered as they come.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, u32>,
    all: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.to_owned(), number);
        self.all.push(name.to_owned());
        number
    }
}

fn parse(text: &str, names: &mut (Names, Names)) -> Result<(u64, Label), &'static str> {
    let mut cells = text.split(',').map(str::trim);
    let (Some(line), Some(actor), Some(family), Some(abusive), None) =
        (cells.next(), cells.next(), cells.next(), cells.next(), cells.next())
    else {
        return Err("expected four values");
    };
    let line =
        line.parse().ok().filter(|line| *line > 0).ok_or("the line is not a number from 1")?;
    let abusive = abusive.parse().map_err(|_| "abusive is neither `true` nor `false`")?;
    if actor.is_empty() || family.is_empty() {
        return Err("the actor or the family is empty");
    }
    let (actor, family) = (names.0.number(actor), names.1.number(family));
    Ok((line, Label { actor, family, abusive }))
}

/// Requests, denials, and the number of the first denied request of an actor.
#[derive(Default)]
struct Actor {
    requests: u64,
    denied: u64,
    first: u64,
}

/// Decisions on labelled lines.
#[derive(Default)]
pub(super) struct Scoring {
    own: Counts,
    fixed: [Counts; LIMITS.len()],
    /// By family, whether it abuses, and actor.
    actors: BTreeMap<(u32, bool, u32), Actor>,
}

impl Scoring {
    pub(super) fn add(&mut self, label: Label, denied: bool, over: u16) {
        self.own.add(label.abusive, denied);
        for (i, counts) in self.fixed.iter_mut().enumerate() {
            counts.add(label.abusive, over >> i & 1 == 1);
        }
        let actor = self.actors.entry((label.family, label.abusive, label.actor)).or_default();
        actor.requests += 1;
        if denied {
            actor.denied += 1;
            if actor.first == 0 {
                actor.first = actor.requests;
            }
        }
    }

    pub(super) fn report(&self, labels: &Labels) -> LabelReport {
        let mut families: BTreeMap<(&str, bool), (LabelFamily, Vec<u64>)> = BTreeMap::new();
        for (&(family, abusive, _), actor) in &self.actors {
            let name = labels.families.get(family as usize).map_or("", String::as_str);
            let (row, firsts) = families.entry((name, abusive)).or_default();
            (row.family, row.abusive) = (name.to_owned(), abusive);
            row.actors += 1;
            row.requests += actor.requests;
            row.denied += actor.denied;
            row.harmed += u64::from(actor.denied * 50 > actor.requests);
            if actor.first > 0 {
                firsts.push(actor.first);
            }
        }
        let own = &self.own;
        LabelReport {
            lines: own.legitimate + own.abusive,
            precision: ratio(own.abusive_denied, own.abusive_denied + own.legitimate_denied),
            recall: own.caught(),
            false_positives: own.legitimate_denied,
            false_negatives: own.abusive - own.abusive_denied,
            harm: own.harm(),
            best_fixed: best(&self.fixed, STATIC_HARM)
                .and_then(|at| Some((*LIMITS.get(at)?, *self.fixed.get(at)?)))
                .map(|(limit, counts)| (limit, counts.harm(), counts.caught())),
            families: families
                .into_values()
                .map(|(mut row, mut firsts)| {
                    firsts.sort_unstable();
                    row.median_first_denial = firsts.get(firsts.len() / 2).copied();
                    row
                })
                .collect(),
        }
    }
}
