//! Confidence intervals over sites: how far a figure would move had other sites been drawn.

use crate::simulate::dice::Dice;
use crate::static_limits::{Counts, ratio};
use serde::Serialize;

/// Resamples of an interval.
const RESAMPLES: usize = 2000;

/// A share with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// The share itself, 0..1.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The share that `part` is of `whole` over all sites, with the percentile bootstrap interval of
/// drawing the sites anew (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993). What is
/// drawn is a site and not a request, for the requests of one site stand or fall together.
#[must_use]
pub(super) fn share(sites: &[(u64, u64)]) -> Share {
    let of = |chosen: &mut dyn Iterator<Item = (u64, u64)>| {
        let (part, whole) = chosen.fold((0, 0), |(p, w), (part, whole)| (p + part, w + whole));
        ratio(part, whole)
    };
    over(sites.len(), |chosen| of(&mut chosen.iter().map(|site| sites[*site])))
}

/// Any figure of `sites` sites, by their positions, with that interval.
pub(crate) fn over(sites: usize, figure: impl Fn(&[usize]) -> f64) -> Share {
    let mut chosen: Vec<usize> = (0..sites).collect();
    let value = figure(&chosen);
    if sites < 2 {
        return Share { value, low: value, high: value };
    }
    let mut dice = Dice::new(sites as u64, 4);
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            chosen.fill_with(|| dice.below(sites));
            figure(&chosen)
        })
        .collect();
    drawn.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| drawn[(share * (RESAMPLES - 1) as f64) as usize];
    Share { value, low: at(0.025), high: at(0.975) }
}

/// The share of legitimate requests denied, from the counts of each site.
#[must_use]
pub(super) fn harm(sites: &[Counts]) -> Share {
    share(&sites.iter().map(|site| (site.legitimate_denied, site.legitimate)).collect::<Vec<_>>())
}

/// The share of abusive requests denied, from the counts of each site.
#[must_use]
pub(super) fn caught(sites: &[Counts]) -> Share {
    share(&sites.iter().map(|site| (site.abusive_denied, site.abusive)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_share_and_narrows_with_more_sites() {
        let sites = |n: u64| (0..n).map(|i| (i % 4, 10)).collect::<Vec<_>>();
        let (few, many) = (share(&sites(8)), share(&sites(400)));
        for share in [few, many] {
            assert!((share.value - 0.15).abs() < 1e-9, "{share:?}");
            assert!(share.low <= share.value && share.value <= share.high, "{share:?}");
        }
        // The deviation of one site is 0.112, so of the mean of 400 it is 0.0056.
        assert!((many.high - many.low - 4.0 * 0.0056).abs() < 0.004, "{many:?}");
        assert!(few.high - few.low > 3.0 * (many.high - many.low), "{few:?} {many:?}");
        assert_eq!(share(&[(1, 4)]), Share { value: 0.25, low: 0.25, high: 0.25 });
        assert_eq!(share(&[]).value, 0.0);
    }

    #[test]
    fn one_bad_site_makes_the_interval_wide() {
        let mut sites = vec![(0, 1000); 20];
        sites[7] = (900, 1000);
        let share = share(&sites);
        assert!(share.low < 0.001 && share.high > 0.1, "{share:?}");
    }
}
