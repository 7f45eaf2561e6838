//! What speaks beside the model: each part can be left out, to measure what it buys.

/// Parts of a decision that are not the model's. All are in use; an ablation leaves some out. What is no
/// part of this: bands and their jitter, tiers and how they are earned, and anomalies, which a policy turns on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// A record that speaks against what others do: the second look as if all were calm around.
    pub record: bool,
    /// The least score of who tries log-ins or paths in vain, or probes.
    pub evident: bool,
    /// The odds of a stranger are those of its company on the route.
    pub company: bool,
    /// The suspicion of a client's group speeds the rise of its risk.
    pub suspicion: bool,
    /// Lasting doubt narrows a limit.
    pub doubt: bool,
    /// Those behind one address are told apart, so that the good are spared.
    pub guests: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            record: true,
            evident: true,
            company: true,
            suspicion: true,
            doubt: true,
            guests: true,
        }
    }
}

impl Parts {
    /// The name of each part.
    pub const NAMES: [&'static str; 6] =
        ["record", "evident", "company", "suspicion", "doubt", "guests"];

    fn all(&mut self) -> [&mut bool; 6] {
        [
            &mut self.record,
            &mut self.evident,
            &mut self.company,
            &mut self.suspicion,
            &mut self.doubt,
            &mut self.guests,
        ]
    }

    /// Leaves out the part of this name; `false` when there is none.
    #[must_use]
    pub fn leave_out(&mut self, name: &str) -> bool {
        let at = Self::NAMES.iter().position(|known| *known == name);
        at.is_some_and(|at| {
            *self.all()[at] = false;
            true
        })
    }

    /// The names of those that are left out.
    pub fn left_out(mut self) -> impl Iterator<Item = &'static str> {
        let used = self.all().map(|part| *part);
        Self::NAMES.into_iter().zip(used).filter(|(_, used)| !used).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_part_of_its_own() {
        let left: Vec<Parts> = Parts::NAMES
            .iter()
            .map(|name| {
                let mut parts = Parts::default();
                assert!(parts.leave_out(name), "{name}");
                assert_eq!(parts.left_out().collect::<Vec<_>>(), [*name]);
                parts
            })
            .collect();
        for (n, parts) in left.iter().enumerate() {
            assert!(*parts != Parts::default() && !left[..n].contains(parts));
        }
        assert!(!Parts::default().leave_out("everything"));
    }
}
