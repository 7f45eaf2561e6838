//! How an attacker behaves: a few numbers, each in 0..1, that can be crossed and mutated.

use crate::simulate::dice::Dice;
use serde::Serialize;

/// How many numbers a strategy has.
const GENES: usize = 9;
/// How far a mutation moves a number, as a standard deviation, and how often it does.
const STEP: f64 = 0.15;
const MUTATES: f64 = 0.5;

/// A way to behave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strategy {
    /// Requests a second of each address.
    pub rate: f64,
    /// How unevenly they are spaced: the deviation of the logarithm of a pause; 0 is a machine.
    pub unevenness: f64,
    /// Of all requests, the share that loads assets.
    pub assets: f64,
    /// Of all requests, the share with a referer of the site.
    pub referers: f64,
    /// After so many requests an address is given up.
    pub life: f64,
    /// So many harmless pages are read by each address before anything else.
    pub warm_up: f64,
    /// The longest time to wait that is borne when denied, seconds; above it the address is given up.
    pub patience: f64,
    /// Whether what is asked for comes in order.
    pub in_order: bool,
    /// An address is given up when the limit that answers tell falls below this share of the first
    /// one told; only of use where answers tell it.
    pub heeds: f64,
    #[serde(skip)]
    genes: [f64; GENES],
}

impl Strategy {
    /// Any strategy.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Self {
        Self::of(std::array::from_fn(|_| dice.unit()))
    }

    /// A mixture of two, changed a little.
    #[must_use]
    pub fn offspring(&self, other: &Self, dice: &mut Dice) -> Self {
        Self::of(std::array::from_fn(|n| {
            let gene = if dice.chance(0.5) { self.genes[n] } else { other.genes[n] };
            let moved = if dice.chance(MUTATES) { dice.log_normal(1.0, STEP).ln() } else { 0.0 };
            (gene + moved).clamp(0.0, 1.0)
        }))
    }

    fn of(genes: [f64; GENES]) -> Self {
        let spread = |gene: f64, low: f64, high: f64| low * (high / low).powf(gene);
        let [rate, unevenness, assets, referers, life, warm_up, patience, order, heeds] = genes;
        Self {
            rate: spread(rate, 0.02, 20.0),
            unevenness: unevenness * 1.5,
            assets: assets * 0.9,
            referers,
            life: spread(life, 3.0, 1000.0),
            warm_up: (warm_up * 20.0).floor(),
            patience: spread(patience, 1.0, 400.0),
            in_order: order < 0.5,
            heeds,
            genes,
        }
    }
}
