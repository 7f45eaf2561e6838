//! Which client to ask a person about: active learning over the pool of a log's clients.
//!
//! A question is worth what its answer changes: uncertainty (Lewis & Gale, SIGIR 1994), plus how far
//! the votes and the trees disagree (query by committee; Seung, Opper & Sompolinsky, COLT 1992),
//! times how many others the client stands for (information density; Settles & Craven, EMNLP 2008),
//! times how much it sends. Each question lowers the worth of further ones about the same cluster,
//! so that a batch of them is about different things.

use super::Assessment;
use super::gather::Seen;
use super::votes::HEURISTICS;

/// The clients to ask about, as positions, most informative first; those who were asked about are
/// left out.
#[must_use]
pub fn order(assessment: &Assessment, clients: &[Seen], most: usize) -> Vec<usize> {
    let clusters = &assessment.clusters;
    let mut asked = vec![0usize; clusters.sizes.len()];
    for (at, _) in assessment.asked.iter().enumerate().filter(|(_, asked)| **asked) {
        asked[clusters.of[at]] += 1;
    }
    let mut worth: Vec<(usize, f64)> = (0..clients.len())
        .filter(|at| !assessment.asked[*at] && !clients[*at].name.contains(['\n', '\r']))
        .map(|at| (at, own_worth(assessment, &clients[at], at)))
        .collect();
    let mut order = Vec::new();
    while order.len() < most && !worth.is_empty() {
        let shared = |at: usize| {
            let cluster = clusters.of[at];
            (clusters.sizes[cluster] as f64).sqrt() / (1.0 + asked[cluster] as f64)
        };
        let best = (0..worth.len()).max_by(|&a, &b| {
            let of = |place: usize| worth[place].1 * shared(worth[place].0);
            // Of equals the one that came first.
            of(a).total_cmp(&of(b)).then(worth[b].0.cmp(&worth[a].0))
        });
        let Some(best) = best else { break };
        let (at, _) = worth.swap_remove(best);
        asked[clusters.of[at]] += 1;
        order.push(at);
    }
    order
}

/// What an answer about this client alone would change.
fn own_worth(assessment: &Assessment, client: &Seen, at: usize) -> f64 {
    let abuse = assessment.abuse[at];
    let uncertainty = 4.0 * abuse * (1.0 - abuse);
    let volume = f64::from(client.requests).ln_1p();
    (uncertainty + disagreement(assessment, at)) * assessment.clusters.closeness[at] * volume
}

/// How far opinions about a client are apart, 0..1.
#[must_use]
pub fn disagreement(assessment: &Assessment, at: usize) -> f64 {
    let weight = |abusive: bool| -> f64 {
        let votes = assessment.votes[at].iter().filter(|v| HEURISTICS[**v].abusive == abusive);
        votes.map(|v| assessment.consensus.odds[*v].ln()).sum()
    };
    let (against, for_it) = (weight(true), weight(false));
    let split = against.min(for_it) / (against.max(for_it)).max(1e-9);
    let apart = match &assessment.learned {
        Some(learned) if !assessment.votes[at].is_empty() => {
            (learned.abuse[at] - assessment.consensus.abuse[at]).abs()
        }
        _ => 0.0,
    };
    split.max(apart)
}
