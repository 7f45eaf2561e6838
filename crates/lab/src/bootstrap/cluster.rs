//! Clients that behave alike: k-means over standardised features.
//!
//! Lloyd's algorithm from the seeding of Arthur & Vassilvitskii ("k-means++: The Advantages of
//! Careful Seeding", SODA 2007). It finds round clusters of similar size and fails on long or nested
//! ones; here it only has to say who looks like whom, and what has many look-alikes.

use crate::simulate::dice::Dice;
use tidegate_behavior::Features;
use tidegate_behavior::schema::{COUNT, SCHEMA};

const ROUNDS: usize = 20;
/// Centres are found on at most so many clients; the rest is then assigned.
const SAMPLE: usize = 8000;
const MOST_CLUSTERS: usize = 40;

/// Who is with whom.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    /// By client, its cluster.
    pub of: Vec<usize>,
    /// By client, how near it is to the middle of its cluster: 1 there, ½ at the usual distance.
    pub closeness: Vec<f64>,
    /// How many clients each cluster has.
    pub sizes: Vec<usize>,
    /// How far each cluster's middle is from the middle of all, in standard deviations.
    pub oddity: Vec<f64>,
    /// By cluster, its middle in standard deviations of each feature from the mean of all.
    pub middles: Vec<[f32; COUNT]>,
}

impl Clusters {
    /// The features in which the middle of a cluster is farthest from the mean of all, in words,
    /// and whether it is above it.
    pub fn apart(&self, cluster: usize, most: usize) -> impl Iterator<Item = (&'static str, bool)> {
        let middle = self.middles.get(cluster).copied().unwrap_or([0.0; COUNT]);
        let mut order: Vec<usize> = (0..COUNT).filter(|f| middle[*f].abs() > 1.0).collect();
        order.sort_by(|a, b| middle[*b].abs().total_cmp(&middle[*a].abs()));
        order.into_iter().take(most).map(move |f| (SCHEMA[f].name, middle[f] > 0.0))
    }
}

/// Clusters these rows; the same rows and seed give the same clusters.
#[must_use]
pub fn clusters(rows: &[Features], seed: u64) -> Clusters {
    if rows.is_empty() {
        return Clusters::default();
    }
    let points = standardised(rows);
    let mut dice = Dice::new(seed, 0xc1);
    let stride = points.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<&[f32; COUNT]> = points.iter().step_by(stride).collect();
    let count = ((rows.len() as f64 / 2.0).sqrt() as usize).clamp(2, MOST_CLUSTERS);
    let mut middles = seeded(&sample, count, &mut dice);
    for _ in 0..ROUNDS {
        if !step(&sample, &mut middles) {
            break;
        }
    }
    let nearest: Vec<(usize, f32)> = points.iter().map(|point| nearest(point, &middles)).collect();
    let mut sizes = vec![0; middles.len()];
    let mut sums = vec![0.0f64; middles.len()];
    for &(cluster, distance) in &nearest {
        sizes[cluster] += 1;
        sums[cluster] += f64::from(distance).sqrt();
    }
    let closeness = nearest.iter().map(|&(cluster, distance)| {
        let usual = sums[cluster] / sizes[cluster].max(1) as f64;
        usual.max(1e-6) / (usual.max(1e-6) + f64::from(distance).sqrt())
    });
    let oddity = middles.iter().map(|middle| f64::from(square(middle, &[0.0; COUNT])).sqrt());
    Clusters {
        closeness: closeness.collect(),
        of: nearest.iter().map(|(cluster, _)| *cluster).collect(),
        oddity: oddity.collect(),
        sizes,
        middles,
    }
}

/// Each feature in standard deviations from its mean, no further than three.
fn standardised(rows: &[Features]) -> Vec<[f32; COUNT]> {
    let count = rows.len() as f64;
    let mut points = vec![[0.0f32; COUNT]; rows.len()];
    for feature in 0..COUNT {
        let column = || rows.iter().map(|row| f64::from(row[feature]));
        let mean = column().sum::<f64>() / count;
        let deviation = (column().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        if deviation < 1e-9 {
            continue;
        }
        for (point, x) in points.iter_mut().zip(column()) {
            point[feature] = ((x - mean) / deviation).clamp(-3.0, 3.0) as f32;
        }
    }
    points
}

fn square(a: &[f32; COUNT], b: &[f32; COUNT]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn nearest(point: &[f32; COUNT], middles: &[[f32; COUNT]]) -> (usize, f32) {
    let mut best = (0, f32::INFINITY);
    for (at, middle) in middles.iter().enumerate() {
        let distance = square(point, middle);
        if distance < best.1 {
            best = (at, distance);
        }
    }
    best
}

/// Centres to begin with: each drawn by its squared distance from those before it.
fn seeded(sample: &[&[f32; COUNT]], count: usize, dice: &mut Dice) -> Vec<[f32; COUNT]> {
    let mut middles = vec![*sample[dice.below(sample.len())]];
    let mut distances: Vec<f64> = vec![f64::INFINITY; sample.len()];
    while middles.len() < count {
        let last = middles[middles.len() - 1];
        for (distance, point) in distances.iter_mut().zip(sample) {
            *distance = distance.min(f64::from(square(point, &last)));
        }
        if distances.iter().sum::<f64>() <= 0.0 {
            break; // Fewer different points than clusters.
        }
        middles.push(*sample[dice.weighted(distances.iter().copied())]);
    }
    middles
}

/// Moves each centre to the mean of its points; false when nothing moved.
fn step(sample: &[&[f32; COUNT]], middles: &mut [[f32; COUNT]]) -> bool {
    let mut sums = vec![([0.0f64; COUNT], 0usize); middles.len()];
    for point in sample {
        let (sum, count) = &mut sums[nearest(point, middles).0];
        sum.iter_mut().zip(*point).for_each(|(sum, x)| *sum += f64::from(*x));
        *count += 1;
    }
    let mut moved = false;
    for (middle, (sum, count)) in middles.iter_mut().zip(sums).filter(|(_, (_, n))| *n > 0) {
        for (x, sum) in middle.iter_mut().zip(sum) {
            let mean = (sum / count as f64) as f32;
            moved |= (*x - mean).abs() > 1e-4;
            *x = mean;
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_kinds_are_told_apart_and_the_odd_one_is_seen() {
        let mut dice = Dice::new(3, 0);
        let mut rows = Vec::new();
        for n in 0..300 {
            let kind = if n % 100 == 99 { 2 } else { n % 2 };
            let row: Features = std::array::from_fn(|f| {
                (if f % 3 == kind { 5.0 } else { 0.0 }) + dice.unit() as f32
            });
            rows.push((kind, row));
        }
        let features: Vec<Features> = rows.iter().map(|(_, row)| *row).collect();
        let found = clusters(&features, 7);
        for (n, (kind, _)) in rows.iter().enumerate() {
            for (m, (other, _)) in rows.iter().enumerate() {
                if kind != other {
                    assert_ne!(found.of[n], found.of[m], "{n} and {m}");
                }
            }
        }
        assert_eq!(found.sizes.iter().sum::<usize>(), 300);
        let odd = found.of[99];
        let most = found.oddity.iter().copied().fold(0.0, f64::max);
        assert_eq!(found.oddity[odd], most, "the rare kind is the farthest from all");
        assert_eq!(clusters(&features, 7).of, found.of);
    }

    #[test]
    fn equal_rows_and_no_rows_are_no_trouble() {
        let same = clusters(&[[1.0; COUNT]; 50], 1);
        assert!(same.of.iter().all(|c| *c == same.of[0]));
        assert!(same.closeness.iter().all(|c| c.is_finite()));
        assert!(clusters(&[], 1).of.is_empty());
    }
}
