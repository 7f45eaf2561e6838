//! The label model: how far each heuristic is to be believed, found from how they agree.
//!
//! The observer-error model of Dawid & Skene ("Maximum Likelihood Estimation of Observer
//! Error-Rates Using the EM Algorithm", Applied Statistics 28, 1979), as data programming uses it
//! for functions that may abstain (Ratner et al. 2016): each heuristic speaks of abusive clients
//! with one probability and of harmless ones with another. Expectation–maximisation finds both for
//! each, and the probability of abuse for every client, without a single label. A single
//! abstention is no evidence. Prior beliefs enter as so many imagined clients, so that a small log does not turn a
//! heuristic round.
//!
//! It fails when heuristics that make the same mistake are many: the model takes them for
//! independent. That is why the posterior is held within bounds, and what is disputed is asked of a person.

use super::votes::Heuristic;

/// How many clients' worth of evidence the prior belief in a heuristic is.
const BELIEF: f64 = 40.0;
/// How many clients' worth of evidence the prior share of abusive clients is, and that share.
const PRIOR: (f64, f64) = (50.0, 0.1);
/// The share of abusive clients of which no heuristic speaks, as we believe. Without such a belief
/// the silent majority would take on the share of abuse among those who are spoken of.
const UNHEARD: f64 = 0.3;
/// A heuristic counts for its side by at least this factor of odds, and by at most so many times
/// what it was believed to count.
const ODDS: (f64, f64) = (1.2, 2.0);
/// No client is more certain than this by heuristics alone, nor less.
const SURE: f64 = 0.995;
const ROUNDS: usize = 40;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Consensus {
    /// The probability of abuse of each client, by its votes alone.
    pub abuse: Vec<f64>,
    /// The share of abusive clients.
    pub prior: f64,
    /// By heuristic, the factor by which its vote moves the odds towards its side.
    pub odds: Vec<f64>,
}

/// Combines votes: by client, the heuristics that speak of it, as positions in `heuristics`;
/// `known` is what people said of it.
#[must_use]
pub fn combine(
    votes: &[Vec<usize>],
    known: &[Option<bool>],
    heuristics: &[Heuristic],
) -> Consensus {
    let mut prior = PRIOR.1;
    let mut odds: Vec<f64> = heuristics.iter().map(|h| h.belief.0 / h.belief.1).collect();
    let mut abuse = vec![prior; votes.len()];
    for _ in 0..ROUNDS {
        for ((abuse, votes), known) in abuse.iter_mut().zip(votes).zip(known) {
            *abuse = match known {
                Some(true) => 1.0,
                Some(false) => 0.0,
                None if votes.is_empty() => UNHEARD * prior / (UNHEARD * prior + 1.0 - prior),
                None => probability(log_odds(prior, votes, heuristics, &odds)),
            };
        }
        let (mut abusive, mut all) = (PRIOR.0 * PRIOR.1, PRIOR.0);
        for abuse in &abuse {
            abusive += abuse;
            all += 1.0;
        }
        odds = judged(prior, votes, known, heuristics, &odds);
        prior = abusive / all;
    }
    Consensus { abuse, prior, odds }
}

/// Judges every heuristic by the others: over the clients of which another one speaks as well, by what is thought of them without its own vote. Otherwise a heuristic that mostly
/// speaks alone would be believed because it agrees with itself.
fn judged(
    prior: f64,
    votes: &[Vec<usize>],
    known: &[Option<bool>],
    heuristics: &[Heuristic],
    odds: &[f64],
) -> Vec<f64> {
    // Weights of abusive and harmless clients, all that could be judged and those spoken of.
    let mut all = vec![[0.0; 2]; heuristics.len()];
    let mut spoken = vec![[0.0; 2]; heuristics.len()];
    // Whoever is asked about is in dispute: answers would condemn whatever spoke of them.
    for (votes, _) in votes.iter().zip(known).filter(|(_, known)| known.is_none()) {
        let whole = log_odds(prior, votes, heuristics, odds);
        for (at, heuristic) in heuristics.iter().enumerate() {
            let speaks = votes.contains(&at);
            if votes.len() <= usize::from(speaks) {
                continue;
            }
            let own = if speaks { signed(heuristic, odds[at]) } else { 0.0 };
            let abuse = probability(whole - own);
            for (side, share) in [(0, abuse), (1, 1.0 - abuse)] {
                all[at][side] += share;
                spoken[at][side] += if speaks { share } else { 0.0 };
            }
        }
    }
    let judge = |(at, heuristic): (usize, &Heuristic)| {
        let (own, other) = if heuristic.abusive { (0, 1) } else { (1, 0) };
        let rate = |side: usize, belief: f64| {
            (spoken[at][side] + BELIEF * belief) / (all[at][side] + BELIEF)
        };
        let odds = rate(own, heuristic.belief.0) / rate(other, heuristic.belief.1);
        odds.clamp(ODDS.0, ODDS.1 * heuristic.belief.0 / heuristic.belief.1)
    };
    heuristics.iter().enumerate().map(judge).collect()
}

fn signed(heuristic: &Heuristic, odds: f64) -> f64 {
    if heuristic.abusive { odds.ln() } else { -odds.ln() }
}

fn log_odds(prior: f64, votes: &[usize], heuristics: &[Heuristic], odds: &[f64]) -> f64 {
    let heard = votes.iter().filter_map(|at| Some(signed(heuristics.get(*at)?, *odds.get(*at)?)));
    (prior / (1.0 - prior)).ln() + heard.sum::<f64>()
}

fn probability(log_odds: f64) -> f64 {
    (1.0 / (1.0 + (-log_odds).exp())).clamp(1.0 - SURE, SURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::votes::HEURISTICS;

    fn at(name: &str) -> usize {
        HEURISTICS.iter().position(|h| h.name == name).expect("a heuristic")
    }

    /// Two hundred harmless clients, twenty scanners, and `alone` of whom `suspect` speaks alone.
    fn log(suspect: &str, harmless: bool) -> Vec<Vec<usize>> {
        let mut votes = vec![vec![at("loads-assets"), at("reads-like-a-person")]; 150];
        votes.extend(vec![Vec::new(); 50]);
        votes.extend(vec![vec![at("honeypot"), at("probing"), at("dead-ends")]; 20]);
        let mut disputed = vec![at(suspect)];
        if harmless {
            disputed.extend([at("loads-assets"), at("reads-like-a-person")]);
        }
        disputed.sort_unstable();
        votes.extend(vec![disputed; 40]);
        votes
    }

    fn combined(votes: &[Vec<usize>], known: &[Option<bool>]) -> Consensus {
        combine(votes, known, HEURISTICS)
    }

    #[test]
    fn scanners_are_found_and_the_silent_stay_in_doubt() {
        let votes = log("clockwork", false);
        let found = combined(&votes, &vec![None; votes.len()]);
        assert!(found.abuse[200..220].iter().all(|p| *p > 0.98), "{:?}", &found.abuse[200..202]);
        assert!(found.abuse[..150].iter().all(|p| *p < 0.02), "{:?}", &found.abuse[..2]);
        assert!((0.001..0.2).contains(&found.abuse[170]), "{}", found.abuse[170]);
    }

    #[test]
    fn a_heuristic_that_others_contradict_is_believed_less() {
        let odds = |harmless: bool| {
            let votes = log("clockwork", harmless);
            combined(&votes, &vec![None; votes.len()]).odds[at("clockwork")]
        };
        assert!(odds(true) < odds(false) / 3.0, "{} and {}", odds(true), odds(false));
        let belief = HEURISTICS[at("clockwork")].belief;
        let kept = odds(false) / (belief.0 / belief.1);
        assert!((0.5..=2.0).contains(&kept), "alone it is neither praised nor blamed much: {kept}");
    }

    #[test]
    fn an_answer_holds_and_condemns_no_heuristic() {
        let votes = log("clockwork", false);
        let mut known = vec![None; votes.len()];
        let before = combined(&votes, &known);
        known[220..225].fill(Some(false));
        let after = combined(&votes, &known);
        assert_eq!((after.abuse[222], after.abuse[200] > 0.98), (0.0, true));
        assert!((after.abuse[259] / before.abuse[259] - 1.0).abs() < 0.2);
    }
}
