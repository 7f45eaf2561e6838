//! What a learned limit is compared with: a count, a rate, how unusual that is on its site, and a logistic
//! model of all that is known of a client.

use serde::Serialize;
use std::sync::LazyLock;
use tidegate_behavior::Features;
use tidegate_behavior::schema::index;
use tidegate_models::{AnyModel, Logistic, Model, file};

/// The harm that a rule's threshold may do, as a share of legitimate requests.
pub const RULE_HARM: f64 = 0.001;

/// Logistic regression on the features of the built-in classifier, made by
/// `tidegate train --logistic --rounds 60`: sixty-four weights need no more.
static LOGISTIC: LazyLock<Option<Logistic>> =
    LazyLock::new(|| match file::load(include_bytes!("../../model/logistic.tgmd")) {
        Ok((AnyModel::Logistic(model), _)) => Some(*model),
        _ => None,
    });

/// Bins of a histogram; a threshold is one of their edges.
const BINS: usize = 256;

/// The requests of one rule's score, by label.
#[derive(Clone, Debug)]
struct Histogram([[u64; BINS]; 2]);

impl Histogram {
    fn merge(&mut self, more: &Self) {
        let sums = self.0.iter_mut().flatten();
        sums.zip(more.0.iter().flatten()).for_each(|(sum, more)| *sum += more);
    }

    /// The most abuse that any threshold stops while it denies at most [`RULE_HARM`].
    fn best(&self) -> f64 {
        let [legitimate, abusive] = &self.0;
        let whole = |counts: &[u64; BINS]| counts.iter().sum::<u64>().max(1) as f64;
        let (all_good, all_bad) = (whole(legitimate), whole(abusive));
        let (mut good, mut bad) = (0, 0);
        for bin in (0..BINS).rev() {
            if (good + legitimate[bin]) as f64 > RULE_HARM * all_good {
                break;
            }
            good += legitimate[bin];
            bad += abusive[bin];
        }
        bad as f64 / all_bad
    }
}

/// Classic rules on how much one client asks for, each with the threshold that is best in hindsight.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    count: Histogram,
    ewma: Histogram,
    z_score: Histogram,
    logistic: Histogram,
    mean: f64,
    square: f64,
    seen: f64,
}

/// What the rules would have stopped, 0..1, with at most [`RULE_HARM`] of legitimate requests
/// denied and the threshold chosen afterwards on the very traffic: more than they would in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RulesCaught {
    /// A limit on how many requests a client has sent so far.
    pub count: f64,
    /// A limit on the exponentially weighted request rate of a minute.
    pub ewma: f64,
    /// A limit on how many standard deviations the logarithm of that rate lies above the mean of
    /// the site's requests.
    pub z_score: f64,
    /// A limit on the probability that logistic regression gives, by what the client does and by what is
    /// around it.
    pub logistic: f64,
}

impl Default for Rules {
    fn default() -> Self {
        let empty = || Histogram([[0; BINS]; 2]);
        Self {
            count: empty(),
            ewma: empty(),
            z_score: empty(),
            logistic: empty(),
            mean: 0.0,
            square: 0.0,
            seen: 0.0,
        }
    }
}

fn bin(unit: f64) -> usize {
    (unit.clamp(0.0, 1.0) * (BINS - 1) as f64) as usize
}

impl Rules {
    /// Takes in a request with its features.
    pub(super) fn add(&mut self, features: &Features, abusive: bool) {
        let rate = f64::from(features[index::RATE_1M]).ln_1p();
        // Welford's running moments, as far as a detector at this request would know them.
        let deviation = (self.square / self.seen.max(1.0)).sqrt();
        let z = if self.seen > 30.0 { (rate - self.mean) / deviation.max(0.1) } else { 0.0 };
        self.seen += 1.0;
        let delta = rate - self.mean;
        self.mean += delta / self.seen;
        self.square += delta * (rate - self.mean);
        let label = usize::from(abusive);
        self.count.0[label][bin(f64::from(features[index::REQUESTS]) / 14.0)] += 1;
        self.ewma.0[label][bin(rate / 12.0)] += 1;
        self.z_score.0[label][bin((z + 4.0) / 16.0)] += 1;
        // The log-odds, for thresholds lie where probabilities are next to 1.
        let odds = LOGISTIC.as_ref().map_or(0.0, |model| f64::from(model.margin(features)));
        self.logistic.0[label][bin((odds + 12.0) / 24.0)] += 1;
    }

    pub(super) fn merge(&mut self, more: &Self) {
        self.count.merge(&more.count);
        self.ewma.merge(&more.ewma);
        self.z_score.merge(&more.z_score);
        self.logistic.merge(&more.logistic);
    }

    pub(super) fn caught(&self) -> RulesCaught {
        RulesCaught {
            count: self.count.best(),
            ewma: self.ewma.best(),
            z_score: self.z_score.best(),
            logistic: self.logistic.best(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_rate(rate: f32) -> Features {
        let mut features = [0.0; tidegate_behavior::schema::COUNT];
        features[index::RATE_1M] = rate;
        features
    }

    #[test]
    fn a_rule_stops_what_is_quick_and_nothing_that_is_slow() {
        let (mut quick, mut slow) = (Rules::default(), Rules::default());
        for i in 0..10_000u32 {
            let person = at_rate(5.0 + (i % 40) as f32);
            for (rules, rate) in [(&mut quick, 3000.0), (&mut slow, 9.0)] {
                rules.add(&person, false);
                rules.add(&at_rate(rate), true);
            }
        }
        assert!(quick.caught().ewma > 0.99 && quick.caught().z_score < 1.1, "{:?}", quick.caught());
        assert!(slow.caught().ewma < 0.01, "{:?}", slow.caught());
        // Two sites merged are judged by one threshold.
        quick.merge(&slow);
        assert!((quick.caught().ewma - 0.5).abs() < 0.01, "{:?}", quick.caught());
    }

    #[test]
    fn a_count_stops_what_asks_for_more_than_anybody() {
        let mut rules = Rules::default();
        for i in 0..10_000u32 {
            for (label, requests) in [(false, (i % 100) as f32), (true, (i % 1000) as f32)] {
                let mut features = at_rate(10.0);
                features[index::REQUESTS] = requests.ln_1p();
                rules.add(&features, label);
            }
        }
        let caught = rules.caught();
        assert!((0.85..0.92).contains(&caught.count) && caught.ewma == 0.0, "{caught:?}");
    }

    #[test]
    fn the_logistic_model_is_of_this_schema() {
        assert!(LOGISTIC.is_some(), "train it anew with `tidegate train --logistic --rounds 60`");
    }

    #[test]
    fn a_threshold_denies_at_most_its_harm() {
        let mut rules = Rules::default();
        for i in 0..10_000 {
            // One in a hundred is as quick as the abuse: to stop that costs too much.
            rules.add(&at_rate(if i % 100 == 0 { 3000.0 } else { 10.0 }), false);
            rules.add(&at_rate(3000.0), true);
        }
        assert_eq!(rules.caught().ewma, 0.0);
    }
}
