//! How good scores are: ranking, decisions at a threshold, and calibration.

/// The rows of three columns whose score and weight are finite and whose weight is above 0.
pub(crate) fn usable<'a>(
    scores: &'a [f32],
    labels: &'a [bool],
    weights: &'a [f32],
) -> impl Iterator<Item = (f64, bool, f64)> + 'a {
    let rows = scores.iter().zip(labels).zip(weights);
    rows.map(|((s, y), w)| (f64::from(*s), *y, f64::from(*w)))
        .filter(|(s, _, w)| s.is_finite() && w.is_finite() && *w > 0.0)
}
