//! What people said of clients, and how decisions look beside that.

use serde::Serialize;
use std::collections::VecDeque;
use std::fmt::Write as _;
use tidegate_limiter::Key;

/// Labels that are kept; of more the oldest go.
const MOST: usize = 10_000;

/// What somebody said of a client.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Label {
    #[serde(serialize_with = "crate::console::as_hex")]
    pub client: Key,
    pub name: String,
    pub abusive: bool,
    /// When it was said, seconds since the Unix epoch.
    pub time: u64,
    /// The client's risk then.
    pub risk: f32,
    /// Whether it was held back then, or requests of it had been denied by the model.
    pub held_back: bool,
}

/// How often decisions were right, by what people said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Confusion {
    pub true_positives: u64,
    pub false_positives: u64,
    pub true_negatives: u64,
    pub false_negatives: u64,
    /// Of those held back, the share that are abusive; `None` of none.
    pub precision: Option<f64>,
    /// Of the abusive, the share that are held back; `None` of none.
    pub recall: Option<f64>,
}

/// All labels, one for each client.
#[derive(Default)]
pub(crate) struct Labels(VecDeque<Label>);

impl Labels {
    /// Takes a label in, in place of an earlier one of the same client.
    pub(crate) fn put(&mut self, label: Label) {
        self.0.retain(|old| old.client != label.client);
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(label);
    }

    pub(crate) fn of(&self, client: Key) -> Option<bool> {
        self.0.iter().find(|label| label.client == client).map(|label| label.abusive)
    }

    /// Latest first.
    pub(crate) fn list(&self) -> Vec<Label> {
        self.0.iter().rev().cloned().collect()
    }

    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn confusion(&self) -> Confusion {
        let count = |abusive: bool, held: bool| {
            let of = |label: &&Label| (label.abusive, label.held_back) == (abusive, held);
            self.0.iter().filter(of).count() as u64
        };
        let (tp, fp) = (count(true, true), count(false, true));
        let (tn, fal) = (count(false, false), count(true, false));
        let share =
            |part: u64, rest: u64| (part + rest > 0).then(|| part as f64 / (part + rest) as f64);
        Confusion {
            true_positives: tp,
            false_positives: fp,
            true_negatives: tn,
            false_negatives: fal,
            precision: share(tp, fp),
            recall: share(tp, fal),
        }
    }

    /// As a file that `tidegate train --labels` reads: a client and what it is, a line each.
    pub(crate) fn csv(&self) -> String {
        let mut text = String::from("client,abusive\n");
        for label in &self.0 {
            let _ = writeln!(text, "{},{}", label.name, label.abusive);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(client: u64, abusive: bool, held_back: bool) -> Label {
        let name = format!("192.0.2.{client}");
        Label { client: Key(client), name, abusive, time: 0, risk: 0.5, held_back }
    }

    #[test]
    fn the_last_word_on_a_client_counts() {
        let mut labels = Labels::default();
        assert_eq!(labels.confusion(), Confusion::default());
        labels.put(label(1, true, true));
        labels.put(label(2, false, true));
        labels.put(label(3, true, false));
        labels.put(label(4, false, false));
        labels.put(label(2, true, true));
        assert_eq!(labels.of(Key(2)), Some(true));
        assert_eq!(labels.of(Key(9)), None);
        let confusion = labels.confusion();
        assert_eq!((confusion.true_positives, confusion.false_positives), (2, 0));
        assert_eq!((confusion.precision, confusion.recall), (Some(1.0), Some(2.0 / 3.0)));
        assert_eq!(labels.list()[0].client, Key(2));
        assert!(labels.csv().ends_with("192.0.2.2,true\n"));
    }

    #[test]
    fn labels_are_bounded() {
        let mut labels = Labels::default();
        (0..MOST as u64 + 3).for_each(|n| labels.put(label(n, true, true)));
        assert_eq!(labels.list().len(), MOST);
        assert_eq!(labels.of(Key(2)), None);
    }
}
