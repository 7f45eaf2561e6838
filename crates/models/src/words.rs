//! Why a score is what it is, in plain words.

use crate::Explanation;
use tidegate_behavior::schema::{Features, SCHEMA};

/// The `n` features that speak loudest for abuse, each as `words (name value)`.
#[must_use]
pub fn reasons(explanation: &Explanation, features: &Features, n: usize) -> Vec<String> {
    explanation
        .top(SCHEMA.len())
        .filter(|(_, contribution)| *contribution > 0.0)
        .take(n)
        .map(|(i, _)| {
            let feature = &SCHEMA[i];
            format!("{} ({} {:.2})", feature.words, feature.name, features[i])
        })
        .collect()
}
