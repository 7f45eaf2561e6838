//! How good scores are: as a ranking, as decisions at a threshold, and as probabilities.
//!
//! All are weighted by row and handle ties exactly: rows of one score are passed together, so no
//! figure depends on the order of rows. Rows whose score or weight is no finite number, or whose
//! weight is not above 0, are left out.

/// The rows of three columns that count; short columns end all.
pub(crate) fn usable<'a>(
    scores: &'a [f32],
    labels: &'a [bool],
    weights: &'a [f32],
) -> impl Iterator<Item = (f64, bool, f64)> + 'a {
    let rows = scores.iter().zip(labels).zip(weights);
    rows.map(|((s, y), w)| (f64::from(*s), *y, f64::from(*w)))
        .filter(|(s, _, w)| s.is_finite() && w.is_finite() && *w > 0.0)
}

/// Scores sorted from the highest down, from which every ranking figure is read.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Each distinct score with the (positive, negative) weight at it, highest first.
    steps: Vec<(f64, f64, f64)>,
    positive: f64,
    negative: f64,
}

/// What flagging every score at or above a threshold does, in weight (rows, when all weigh 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confusion {
    /// Abuse that was flagged.
    pub true_positives: f64,
    /// Good that was flagged.
    pub false_positives: f64,
    /// Abuse that was missed.
    pub false_negatives: f64,
    /// Good that was let through.
    pub true_negatives: f64,
}

impl Confusion {
    /// The share of what was flagged that is abuse; none when nothing was flagged.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// The share of abuse that was flagged (true positive rate); none without abuse.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// The share of good that was flagged; none without good rows.
    #[must_use]
    pub fn false_positive_rate(&self) -> Option<f64> {
        share(self.false_positives, self.false_positives + self.true_negatives)
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

impl Ranking {
    /// Ranks rows; `weights` may be shorter than the rows only if those without are to be left out.
    #[must_use]
    pub fn new(scores: &[f32], labels: &[bool], weights: &[f32]) -> Self {
        let mut rows: Vec<_> = usable(scores, labels, weights).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut ranking = Self { steps: Vec::new(), positive: 0.0, negative: 0.0 };
        for (score, label, weight) in rows {
            // `==`, so that 0.0 and −0.0 are one score.
            if ranking.steps.last().is_none_or(|step| step.0 != score) {
                ranking.steps.push((score, 0.0, 0.0));
            }
            if let Some(step) = ranking.steps.last_mut() {
                let side = if label { &mut step.1 } else { &mut step.2 };
                *side += weight;
                *(if label { &mut ranking.positive } else { &mut ranking.negative }) += weight;
            }
        }
        ranking
    }

    /// The same with every row of weight 1.
    #[must_use]
    pub fn unweighted(scores: &[f32], labels: &[bool]) -> Self {
        Self::new(scores, labels, &vec![1.0; scores.len()])
    }

    /// The probability that a random abusive row scores above a random good one, ties by half
    /// (Mann–Whitney); none without rows of both kinds.
    #[must_use]
    pub fn roc_auc(&self) -> Option<f64> {
        let (mut above, mut area) = (0.0, 0.0);
        for (_, positive, negative) in &self.steps {
            area += negative * (above + positive / 2.0);
            above += positive;
        }
        share(area, self.positive * self.negative)
    }

    /// Average precision: the mean over abuse of the precision at its score; none without abuse.
    #[must_use]
    pub fn average_precision(&self) -> Option<f64> {
        let (mut flagged, mut hits, mut sum) = (0.0, 0.0, 0.0);
        for (_, positive, negative) in &self.steps {
            hits += positive;
            flagged += positive + negative;
            sum += positive * hits / flagged;
        }
        share(sum, self.positive)
    }

    /// The largest true positive rate whose false positive rate is at most `rate`, with the score
    /// to flag from (infinite when nothing can be flagged); none without rows of both kinds.
    #[must_use]
    pub fn recall_at(&self, rate: f64) -> Option<(f64, f64)> {
        if self.positive == 0.0 || self.negative == 0.0 {
            return None;
        }
        // Sums of weights carry rounding; a hair above the rate is at the rate.
        let allowed = rate * self.negative * (1.0 + 1e-12);
        let (mut hits, mut alarms) = (0.0, 0.0);
        let mut best = (0.0, f64::INFINITY);
        for (score, positive, negative) in &self.steps {
            hits += positive;
            alarms += negative;
            if alarms > allowed {
                break;
            }
            best = (hits / self.positive, *score);
        }
        Some(best)
    }

    /// What flagging every score at or above `threshold` does.
    #[must_use]
    pub fn at(&self, threshold: f64) -> Confusion {
        let flagged = self.steps.iter().take_while(|step| step.0 >= threshold);
        let (true_positives, false_positives) =
            flagged.fold((0.0, 0.0), |(t, f), step| (t + step.1, f + step.2));
        Confusion {
            true_positives,
            false_positives,
            false_negatives: self.positive - true_positives,
            true_negatives: self.negative - false_positives,
        }
    }
}

/// One bar of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The mean score.
    pub score: f64,
    /// The share of abuse.
    pub rate: f64,
    /// The weight.
    pub weight: f64,
}

/// Scores in `bins` equal parts of 0..=1, empty parts left out.
#[must_use]
pub fn reliability(scores: &[f32], labels: &[bool], weights: &[f32], bins: usize) -> Vec<Bin> {
    let mut sums = vec![(0.0, 0.0, 0.0); bins];
    for (score, label, weight) in usable(scores, labels, weights) {
        let place = (score * bins as f64).max(0.0) as usize;
        if let Some(sum) = sums.get_mut(place.min(bins.saturating_sub(1))) {
            sum.0 += weight * score;
            sum.1 += if label { weight } else { 0.0 };
            sum.2 += weight;
        }
    }
    let full = sums.into_iter().filter(|(.., weight)| *weight > 0.0);
    full.map(|(s, p, weight)| Bin { score: s / weight, rate: p / weight, weight }).collect()
}

/// Expected calibration error: how far the bars of [`reliability`] are from the diagonal, on
/// average over rows; none without rows.
#[must_use]
pub fn calibration_error(
    scores: &[f32],
    labels: &[bool],
    weights: &[f32],
    bins: usize,
) -> Option<f64> {
    let bars = reliability(scores, labels, weights, bins);
    let total = bars.iter().map(|b| b.weight).sum();
    share(bars.iter().map(|b| b.weight * (b.score - b.rate).abs()).sum(), total)
}

/// The mean squared distance of scores from labels (Brier 1950); none without rows.
#[must_use]
pub fn brier(scores: &[f32], labels: &[bool], weights: &[f32]) -> Option<f64> {
    let (mut sum, mut total) = (0.0, 0.0);
    for (score, label, weight) in usable(scores, labels, weights) {
        sum += weight * (score - f64::from(u8::from(label))).powi(2);
        total += weight;
    }
    share(sum, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCORES: [f32; 6] = [0.9, 0.8, 0.8, 0.6, 0.3, 0.1];
    const LABELS: [bool; 6] = [true, true, false, false, true, false];

    fn close(a: Option<f64>, b: f64) {
        assert!(a.is_some_and(|a| (a - b).abs() < 1e-6), "{a:?} is not {b}");
    }

    #[test]
    fn ranking_figures_by_hand() {
        let ranking = Ranking::unweighted(&SCORES, &LABELS);
        // Of 9 pairs: 0.9 beats 3; 0.8 beats 2 and ties 1; 0.3 beats 1.
        close(ranking.roc_auc(), 6.5 / 9.0);
        // 0.9: 1/1; 0.8 (with its tie): 2/3; 0.3: 3/5.
        close(ranking.average_precision(), (1.0 + 2.0 / 3.0 + 3.0 / 5.0) / 3.0);
        let at = |rate| ranking.recall_at(rate).unwrap();
        assert_eq!(at(0.0), (1.0 / 3.0, f64::from(0.9f32)));
        // The tie at 0.8 is taken whole or not at all.
        assert_eq!(at(0.33).0, 1.0 / 3.0);
        assert_eq!(at(1.0 / 3.0).0, 2.0 / 3.0);
        assert_eq!(at(1.0).0, 1.0);
    }

    #[test]
    fn confusion_by_hand() {
        let confusion = Ranking::unweighted(&SCORES, &LABELS).at(f64::from(0.8f32));
        assert_eq!(
            confusion,
            Confusion {
                true_positives: 2.0,
                false_positives: 1.0,
                false_negatives: 1.0,
                true_negatives: 2.0
            }
        );
        close(confusion.precision(), 2.0 / 3.0);
        close(confusion.recall(), 2.0 / 3.0);
        close(confusion.false_positive_rate(), 1.0 / 3.0);
    }

    #[test]
    fn probability_figures_by_hand() {
        let (scores, labels, weights) =
            ([0.25, 0.25, 0.75, 1.0], [false, true, true, true], [1.0; 4]);
        close(brier(&scores, &labels, &weights), (0.0625 + 0.5625 + 0.0625) / 4.0);
        let bars = reliability(&scores, &labels, &weights, 2);
        assert_eq!(bars[0], Bin { score: 0.25, rate: 0.5, weight: 2.0 });
        assert_eq!(bars[1], Bin { score: 0.875, rate: 1.0, weight: 2.0 });
        close(calibration_error(&scores, &labels, &weights, 2), (0.25 + 0.125) / 2.0);
    }

    #[test]
    fn one_label_or_no_rows_give_none() {
        let good = Ranking::unweighted(&[0.5, 0.6], &[false, false]);
        assert_eq!(
            (good.roc_auc(), good.average_precision(), good.recall_at(0.1)),
            (None, None, None)
        );
        assert_eq!(brier(&[], &[], &[]), None);
        assert_eq!(calibration_error(&[0.5], &[true], &[1.0], 0), None);
        assert_eq!(Ranking::unweighted(&[f32::NAN], &[true]).at(0.0).true_positives, 0.0);
    }

    proptest! {
        #[test]
        fn auc_is_the_share_of_ordered_pairs_and_weights_are_repeats(
            rows in prop::collection::vec((0u8..6, any::<bool>(), 1u8..4), 2..40)
        ) {
            let scores: Vec<f32> = rows.iter().map(|r| f32::from(r.0)).collect();
            let labels: Vec<bool> = rows.iter().map(|r| r.1).collect();
            let weights: Vec<f32> = rows.iter().map(|r| f32::from(r.2)).collect();
            let repeats: Vec<_> =
                rows.iter().flat_map(|r| vec![(f32::from(r.0), r.1); usize::from(r.2)]).collect();
            let (mut pairs, mut won) = (0.0, 0.0);
            for p in repeats.iter().filter(|r| r.1) {
                for n in repeats.iter().filter(|r| !r.1) {
                    pairs += 1.0;
                    won += if p.0 > n.0 { 1.0 } else if p.0 == n.0 { 0.5 } else { 0.0 };
                }
            }
            let ranking = Ranking::new(&scores, &labels, &weights);
            match ranking.roc_auc() {
                Some(auc) => prop_assert!((auc - won / pairs).abs() < 1e-9),
                None => prop_assert_eq!(pairs, 0.0),
            }
            let (s, l): (Vec<f32>, Vec<bool>) = repeats.into_iter().unzip();
            let repeated = Ranking::unweighted(&s, &l);
            prop_assert_eq!(ranking.average_precision(), repeated.average_precision());
            prop_assert_eq!(ranking.at(2.0), repeated.at(2.0));
        }
    }
}
