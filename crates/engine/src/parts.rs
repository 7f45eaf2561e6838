//! What speaks beside the model: each part can be left out, to measure what it buys.

/// A part of decisions that is not the model's. What is none: bands and their jitter, tiers and how they are
/// earned, and anomalies, which a policy turns on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A record that speaks against what others do: the second look as if all were calm around.
    Record,
    /// The least score of who tries log-ins or paths in vain, or probes.
    Evident,
    /// The odds of a stranger are those of its company on the route.
    Company,
    /// The suspicion of a client's group speeds the rise of its risk.
    Suspicion,
    /// Those behind one address are told apart, so that the good are spared.
    Guests,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Record, Self::Evident, Self::Company, Self::Suspicion, Self::Guests];

    /// Its name in reports and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Evident => "evident",
            Self::Company => "company",
            Self::Suspicion => "suspicion",
            Self::Guests => "guests",
        }
    }
}

/// The parts in use: all, unless an ablation leaves some out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    left_out: u8,
}

impl Parts {
    /// The same without this part.
    #[must_use]
    pub const fn without(self, part: Part) -> Self {
        Self { left_out: self.left_out | 1 << part as u8 }
    }

    /// Whether this part is in use.
    #[must_use]
    pub const fn has(self, part: Part) -> bool {
        self.left_out & 1 << part as u8 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_part_is_left_out_by_itself() {
        for left in Part::ALL {
            let parts = Parts::default().without(left);
            for part in Part::ALL {
                assert!(Parts::default().has(part));
                assert_eq!(parts.has(part), part != left, "{part:?} without {left:?}");
            }
        }
        let names: BTreeSet<&str> = Part::ALL.into_iter().map(Part::name).collect();
        assert_eq!(names.len(), Part::ALL.len());
    }
}
