//! Why a score is what it is, in plain words.

use crate::Explanation;
use tidegate_behavior::schema::{Features, SCHEMA};

/// The `n` features that speak loudest for abuse, each as `words (name value)`.
///
/// A feature that speaks against abuse is no reason, so there may be fewer.
#[must_use]
pub fn reasons(explanation: &Explanation, features: &Features, n: usize) -> Vec<String> {
    explanation
        .top(SCHEMA.len())
        .filter(|(_, contribution)| *contribution > 0.0)
        .take(n)
        .map(|(i, _)| {
            let (feature, value) = (&SCHEMA[i], features[i]);
            // Two digits of a share matter, and none of a rate of a thousand a minute.
            let digits = if value.abs() < 10.0 { 2 } else { 0 };
            format!("{} ({} {value:.digits$})", feature.words, feature.name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_behavior::schema::{COUNT, index};

    #[test]
    fn reasons_name_what_speaks_for_abuse_loudest_first() {
        let mut contributions = [0.0; COUNT];
        contributions[index::MISSING_EXCESS] = 1.5;
        contributions[index::RATE_1M] = 0.5;
        contributions[index::ASSET_SHARE] = -3.0;
        let mut features = [0.0; COUNT];
        features[index::MISSING_EXCESS] = 0.62;
        features[index::RATE_1M] = 1234.0;
        let explanation = Explanation { bias: 0.0, contributions, margin: -1.0 };
        let expected = [
            "asking for what does not exist, beyond others (missing_excess 0.62)",
            "request rate (rate_1m 1234)",
        ];
        assert_eq!(reasons(&explanation, &features, 9), expected);
        assert_eq!(reasons(&explanation, &features, 1), expected[..1]);
    }
}
