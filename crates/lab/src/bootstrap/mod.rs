//! A first training set out of a log that nobody labelled.
//!
//! Heuristics vote on each client ([`votes`]), a label model weighs them ([`consensus`]), look-alikes
//! share what is known of one of them ([`cluster`]), and boosted trees learn from the labelled and
//! the unlabelled to judge the rest ([`unlabelled`]). What stays doubtful is asked of a person, the
//! most informative client first ([`questions`]); an answer outweighs every heuristic. The rows,
//! weighed by how certain their labels are, join simulated ones ([`rows`]), so that a small log
//! teaches the site's own ways without making the model forget what it has not seen there.

pub mod answers;
pub mod cluster;
pub mod consensus;
pub mod gather;
pub mod measure;
pub mod questions;
pub mod rows;
pub mod unlabelled;
pub mod votes;

use answers::Answers;
use cluster::{Clusters, clusters};
use consensus::{Consensus, combine};
use gather::Gathered;
use thiserror::Error;
use tidegate_behavior::Features;
use tidegate_models::ModelError;
use unlabelled::{Side, estimate};
use votes::{HEURISTICS, Site};

/// A log with fewer clients teaches nothing.
pub const FEWEST_CLIENTS: usize = 30;
/// From this probability on votes alone make a client abusive for learning, and below the other
/// harmless.
const SURE: (f64, f64) = (0.8, 0.03);
/// A cluster speaks for its members when so many of them are labelled, and so evenly.
const LABELLED: usize = 5;
const PURE: f64 = 0.9;
/// How close to the middle of its cluster a client must be to share its label.
const CLOSE: f64 = 0.45;
/// What an answer weighs in learning, and a label that was taken from look-alikes.
const ANSWER_WORTH: f32 = 8.0;
const LOOK_ALIKE_WORTH: f32 = 0.4;

/// A log can't be bootstrapped from.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// It has too few clients.
    #[error(
        "the log has {clients} clients, and at least {FEWEST_CLIENTS} are needed to tell what is \
         usual; give a longer log, or several files"
    )]
    TooFew {
        /// How many it has.
        clients: usize,
    },
    /// Nothing in it is abuse, and nothing else is to be learned from.
    #[error(
        "no client of the log is taken for abusive, so the log alone teaches nothing; mix in \
         simulated traffic (without --logs-only), or label some clients with `tidegate label`"
    )]
    NoAbuse,
    /// Trees can't be trained.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Where a client's label comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A person said so.
    Answer,
    /// Heuristics agree.
    Heuristics,
    /// Its look-alikes are labelled so.
    LookAlikes,
    /// The trees judged it.
    Learned,
}

/// What is thought of every client of a log, by its position in [`Gathered::clients`].
pub struct Assessment {
    /// The heuristics that spoke, as positions in [`HEURISTICS`].
    pub votes: Vec<Vec<usize>>,
    /// What they say together.
    pub consensus: Consensus,
    /// Who looks like whom.
    pub clusters: Clusters,
    /// What the trees say, if there was enough to learn from.
    pub learned: Option<unlabelled::Estimate>,
    /// The probability of abuse, all told.
    pub abuse: Vec<f64>,
    /// Where it comes from.
    pub source: Vec<Source>,
    /// What people said.
    pub known: Vec<Option<bool>>,
    /// Whom people were asked about, also where they could not tell.
    pub asked: Vec<bool>,
}

/// The part of an assessment that does not depend on answers.
pub struct Prepared {
    votes: Vec<Vec<usize>>,
    clusters: Clusters,
    means: Vec<Features>,
    seed: u64,
}

impl Prepared {
    /// Has every heuristic vote on every client, and clusters them.
    ///
    /// # Errors
    /// When there are too few clients.
    pub fn new(log: &Gathered, seed: u64) -> Result<Self, BootstrapError> {
        let count = log.clients.len();
        if count < FEWEST_CLIENTS {
            return Err(BootstrapError::TooFew { clients: count });
        }
        let site = Site::of(&log.clients);
        let speak = |client| {
            let heard = HEURISTICS.iter().enumerate().filter(|(_, h)| h.speaks(client, &site));
            heard.map(|(at, _)| at).collect()
        };
        let means: Vec<Features> = log.clients.iter().map(gather::Seen::mean).collect();
        Ok(Self {
            votes: log.clients.iter().map(speak).collect(),
            clusters: clusters(&means, seed),
            means,
            seed,
        })
    }

    /// What is thought of every client, given what people said of some.
    ///
    /// # Errors
    /// When trees can't be trained.
    pub fn assess(&self, known: &[Option<bool>]) -> Result<Assessment, BootstrapError> {
        let consensus = combine(&self.votes, known, HEURISTICS);
        let mut sides: Vec<Side> = consensus
            .abuse
            .iter()
            .zip(&self.votes)
            .zip(known)
            .map(|((&abuse, votes), known)| side(abuse, votes, *known))
            .collect();
        let shared = share(&self.clusters, &mut sides);
        let learned = estimate(&self.means, &sides, self.seed)?;
        let (mut abuse, mut source) = (Vec::new(), Vec::new());
        for (at, votes) in self.votes.iter().enumerate() {
            let voted = consensus.abuse[at];
            let judged = learned.as_ref().map(|learned| learned.abuse[at]);
            let (probability, from) = match (known[at], judged) {
                (Some(known), _) => (if known { 1.0 } else { 0.0 }, Source::Answer),
                (None, _) if shared[at] && judged.is_none() => {
                    let abusive = matches!(sides[at], Side::Abusive(_));
                    (if abusive { 0.7 } else { 0.1 }, Source::LookAlikes)
                }
                (None, Some(judged)) if votes.is_empty() => {
                    (judged, if shared[at] { Source::LookAlikes } else { Source::Learned })
                }
                (None, Some(judged)) => (middle(voted, judged), Source::Heuristics),
                (None, None) => (voted, Source::Heuristics),
            };
            abuse.push(probability);
            source.push(from);
        }
        Ok(Assessment {
            votes: self.votes.clone(),
            consensus,
            clusters: self.clusters.clone(),
            learned,
            abuse,
            source,
            known: known.to_vec(),
            asked: known.iter().map(Option::is_some).collect(),
        })
    }
}

/// Assesses every client of a log, by heuristics, look-alikes, learning and these answers.
///
/// # Errors
/// When there are too few clients, or trees can't be trained.
pub fn assess(log: &Gathered, answers: &Answers, seed: u64) -> Result<Assessment, BootstrapError> {
    let said: Vec<_> = log.clients.iter().map(|client| answers.get(&client.name)).collect();
    let known: Vec<_> = said.iter().map(|said| said.and_then(answers::Answer::abusive)).collect();
    let mut assessment = Prepared::new(log, seed)?.assess(&known)?;
    assessment.asked = said.iter().map(Option::is_some).collect();
    Ok(assessment)
}

/// What votes and answers make of a client for learning.
fn side(abuse: f64, votes: &[usize], known: Option<bool>) -> Side {
    match known {
        Some(true) => Side::Abusive(ANSWER_WORTH),
        Some(false) => Side::Harmless(ANSWER_WORTH),
        None if votes.is_empty() => Side::Unknown,
        None if abuse >= SURE.0 => Side::Abusive(abuse as f32),
        None if abuse <= SURE.1 => Side::Harmless((1.0 - abuse) as f32),
        None => Side::Unknown,
    }
}

/// Lets clusters of one side label those in their midst; answers whom.
fn share(clusters: &Clusters, sides: &mut [Side]) -> Vec<bool> {
    let mut counts = vec![(0usize, 0usize); clusters.sizes.len()];
    for (side, &cluster) in sides.iter().zip(&clusters.of) {
        match side {
            Side::Abusive(_) => counts[cluster].0 += 1,
            Side::Harmless(_) => counts[cluster].1 += 1,
            Side::Unknown => {}
        }
    }
    let mut shared = vec![false; sides.len()];
    for (at, side) in sides.iter_mut().enumerate() {
        let (abusive, harmless) = counts[clusters.of[at]];
        let labelled = abusive + harmless;
        if *side != Side::Unknown || labelled < LABELLED || clusters.closeness[at] < CLOSE {
            continue;
        }
        let purity = abusive as f64 / labelled as f64;
        if purity >= PURE {
            *side = Side::Abusive(LOOK_ALIKE_WORTH * purity as f32);
        } else if purity <= 1.0 - PURE {
            *side = Side::Harmless(LOOK_ALIKE_WORTH * (1.0 - purity) as f32);
        } else {
            continue;
        }
        shared[at] = true;
    }
    shared
}

/// The mean of two probabilities in log-odds.
fn middle(a: f64, b: f64) -> f64 {
    let logit = |p: f64| {
        let p = p.clamp(1e-4, 1.0 - 1e-4);
        (p / (1.0 - p)).ln()
    };
    1.0 / (1.0 + (-(logit(a) + logit(b)) / 2.0).exp())
}

#[cfg(test)]
mod tests;
