//! Labelled rows, and how they are split without leaking one client into both halves.

use crate::ModelError;
use tidegate_behavior::schema::Features;

/// Labelled rows in four columns of equal length.
#[derive(Clone, Debug, Default)]
pub struct TrainingSet {
    /// The features of each row.
    pub rows: Vec<Features>,
    /// Whether the row was abuse.
    pub labels: Vec<bool>,
    /// How much the row counts, above 0.
    pub weights: Vec<f32>,
    /// What the row belongs to, such as its client or attack: rows of one group stay together.
    pub groups: Vec<u32>,
}

impl TrainingSet {
    /// Adds one row.
    pub fn push(&mut self, features: Features, label: bool, weight: f32, group: u32) {
        self.rows.push(features);
        self.labels.push(label);
        self.weights.push(weight);
        self.groups.push(group);
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Checks that a model can be trained on these rows.
    ///
    /// # Errors
    /// When columns differ in length, a value is not finite, a weight is not above 0, or only
    /// one of the two labels occurs.
    pub fn check(&self) -> Result<(), ModelError> {
        let problem = |problem: String| Err(ModelError::Training { problem });
        let (rows, labels) = (self.rows.len(), self.labels.len());
        let (weights, groups) = (self.weights.len(), self.groups.len());
        if [labels, weights, groups].iter().any(|n| *n != rows) {
            return problem(format!(
                "{rows} rows have {labels} labels, {weights} weights and {groups} groups; give \
                 one of each per row"
            ));
        }
        if let Some(i) = self.rows.iter().position(|row| row.iter().any(|x| !x.is_finite())) {
            return problem(format!("row {i} holds a number that is not finite; leave it out"));
        }
        if let Some(i) = self.weights.iter().position(|w| !(w.is_finite() && *w > 0.0)) {
            let weight = self.weights[i];
            return problem(format!("row {i} has weight {weight}; give a number above 0"));
        }
        let abuse = self.labels.iter().filter(|label| **label).count();
        if abuse == 0 || abuse == rows {
            return problem(format!("{abuse} of {rows} rows are abuse; give rows of both kinds"));
        }
        Ok(())
    }

    /// The weights when harmless rows count `prior` times over.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a weight of rows has no need of more digits"
    )]
    #[must_use]
    pub fn calm(&self, prior: f64) -> Vec<f32> {
        let rows = self.weights.iter().zip(&self.labels);
        rows.map(|(weight, abuse)| if *abuse { *weight } else { *weight * prior as f32 }).collect()
    }

    /// Splits by group into (rest, held out); about `share` of the groups is held out.
    ///
    /// A group's side depends on its number and the seed alone, so that it stays where it is when
    /// rows are added; but where a label has two groups or more, it has one on either side.
    #[must_use]
    pub fn split(&self, share: f64, seed: u64) -> (Self, Self) {
        let unit =
            |group: u32| (mix(seed ^ mix(u64::from(group))) >> 11) as f64 / (1u64 << 53) as f64;
        // The groups that change sides, for their label would be on one side only.
        let movers = [false, true].map(|label| {
            let of_label = || {
                let rows = self.groups.iter().zip(&self.labels);
                rows.filter(move |(_, l)| **l == label).map(|(group, _)| *group)
            };
            let by_unit = |a: &u32, b: &u32| unit(*a).total_cmp(&unit(*b));
            let first = of_label().min_by(by_unit)?;
            let last = of_label().max_by(by_unit)?;
            match (unit(first) < share, unit(last) < share) {
                _ if first == last => None,
                (true, true) => Some(last),
                (false, false) => Some(first),
                _ => None,
            }
        });
        let (mut rest, mut held) = (Self::default(), Self::default());
        for (i, &group) in self.groups.iter().enumerate() {
            let holds = (unit(group) < share) != movers.contains(&Some(group));
            let side = if holds { &mut held } else { &mut rest };
            side.push(self.rows[i], self.labels[i], self.weights[i], group);
        }
        (rest, held)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): one step of a seeded sequence.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut TrainingSet);
    use tidegate_behavior::schema::COUNT;

    fn set(groups: u32) -> TrainingSet {
        let mut set = TrainingSet::default();
        for i in 0..groups * 3 {
            set.push([i as f32; COUNT], i % 2 == 0, 1.0, i / 3);
        }
        set
    }

    #[test]
    fn a_split_keeps_groups_together_and_repeats() {
        let set = set(400);
        let (rest, held) = set.split(0.25, 7);
        assert_eq!(rest.len() + held.len(), set.len());
        assert!(rest.groups.iter().all(|g| !held.groups.contains(g)));
        assert!((240..360).contains(&held.len()), "{} of 1200 rows held out", held.len());
        assert_eq!(set.split(0.25, 7).1.groups, held.groups);
        assert_ne!(set.split(0.25, 8).1.groups, held.groups);
    }

    #[test]
    fn two_abusive_groups_are_enough_for_either_side() {
        let mut few = TrainingSet::default();
        for group in 0..40 {
            few.push([group as f32; COUNT], group == 7 || group == 23, 1.0, group);
        }
        for seed in 0..50 {
            let (rest, held) = few.split(0.25, seed);
            assert!(rest.check().is_ok() && held.check().is_ok(), "seed {seed}");
            assert_eq!(rest.len() + held.len(), few.len());
        }
        // One can't be on both.
        few.labels[23] = false;
        assert!((0..50).all(|seed| {
            let (rest, held) = few.split(0.25, seed);
            rest.check().is_ok() != held.check().is_ok()
        }));
    }

    #[test]
    fn each_flaw_is_named() {
        let message = |set: &TrainingSet| set.check().map_err(|e| e.to_string());
        let good = set(4);
        assert_eq!(message(&good), Ok(()));
        let flaws: [(Spoil, &str); 4] = [
            (|s| s.labels.truncate(3), "12 rows have 3 labels"),
            (|s| s.rows[5][2] = f32::NAN, "row 5 holds a number"),
            (|s| s.weights[7] = 0.0, "row 7 has weight 0"),
            (|s| s.labels.fill(true), "12 of 12 rows are abuse"),
        ];
        for (spoil, expected) in flaws {
            let mut bad = good.clone();
            spoil(&mut bad);
            let got = message(&bad);
            assert!(got.as_ref().is_err_and(|m| m.contains(expected)), "{got:?}");
        }
    }
}
