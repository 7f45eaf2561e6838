//! JSON logs: one walk over a line, guided by a tree of the keys that matter.

use super::builder::Builder;
use super::error::LineError;
use super::field::{Field, JSON_ALIASES, KEYS, Mapping};
use super::record::Record;
use super::time::DateCache;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The keys to look for, as a tree; node 0 is the line's object.
#[derive(Clone, Debug)]
pub(crate) struct JsonPlan {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The field that a value here gives, and its rank among the keys of its slot; 0 is best.
    leaf: Option<(Field, u8)>,
    /// Keys below, by their length: most keys of a line are ruled out without a comparison.
    edges: Vec<Vec<(String, usize)>>,
}

impl JsonPlan {
    /// The known keys, with each mapping in place of all keys of its slot.
    pub(crate) fn new(mappings: &[Mapping]) -> Self {
        let mapped = mappings.iter().map(|mapping| (mapping.source.as_str(), mapping.field));
        let known = JSON_ALIASES.iter().take(1).chain(&KEYS).chain(JSON_ALIASES.iter().skip(1));
        let known = known.copied().filter(|(_, field)| {
            mappings.iter().all(|mapping| mapping.field.slot() != field.slot())
        });
        let mut plan = Self { nodes: vec![Node::default()] };
        let mut ranks = [0; Field::SLOTS];
        for (path, field) in mapped.chain(known) {
            let rank = &mut ranks[field.slot()];
            plan.insert(path.split('.'), field, *rank);
            // Some writers flatten objects into keys with dots in them.
            plan.insert(std::iter::once(path), field, *rank);
            *rank = rank.saturating_add(1);
        }
        plan
    }

    fn insert<'k>(&mut self, path: impl Iterator<Item = &'k str>, field: Field, rank: u8) {
        let mut node = 0;
        for key in path {
            node = match self.below(node, key) {
                Some(next) => next,
                None => {
                    let next = self.nodes.len();
                    self.nodes.push(Node::default());
                    let edges = &mut self.nodes[node].edges;
                    edges.resize(edges.len().max(key.len() + 1), Vec::new());
                    edges[key.len()].push((key.to_owned(), next));
                    next
                }
            };
        }
        self.nodes[node].leaf.get_or_insert((field, rank));
    }

    #[inline]
    fn below(&self, node: usize, key: &str) -> Option<usize> {
        let edges = self.nodes.get(node)?.edges.get(key.len())?;
        edges.iter().find(|(name, _)| name == key).map(|(_, next)| *next)
    }

    /// Reads one line.
    pub(crate) fn parse<'a>(
        &self,
        line: &'a str,
        dates: &mut DateCache,
    ) -> Result<Record<'a>, LineError> {
        let start = line.len() - line.trim_ascii_start().len();
        if line.as_bytes().get(start) != Some(&b'{') {
            return Err(LineError::new(start, "a JSON object"));
        }
        let mut state = State {
            record: Builder::default(),
            ranks: [u8::MAX; Field::SLOTS],
            dates,
            fault: None,
        };
        let mut json = serde_json::Deserializer::from_str(line);
        let walk = Walk { plan: self, node: 0, state: &mut state };
        if let Err(error) = walk.deserialize(&mut json).and_then(|()| json.end()) {
            let expected = state.fault.map_or_else(|| reason(&error), Cow::Borrowed);
            return Err(LineError::new(error.column().saturating_sub(1), expected));
        }
        if !state.record.names_client() {
            let expected = "a client: none of client_ip, credential or their known aliases is there; name one with --map client_ip=…";
            return Err(LineError::new(0, expected));
        }
        state.record.finish().ok_or_else(|| {
            LineError::new(
                0,
                "a time: neither time nor a known alias is there; name it with --map time=…",
            )
        })
    }
}

/// The parser's message without its position, which the error carries already.
fn reason(error: &serde_json::Error) -> Cow<'static, str> {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    Cow::Owned(format!("valid JSON ({message})"))
}

struct State<'a, 'd> {
    record: Builder<'a>,
    /// The rank of what each slot was read from.
    ranks: [u8; Field::SLOTS],
    dates: &'d mut DateCache,
    /// What a value should have been, when it was the value and not the JSON that is wrong.
    fault: Option<&'static str>,
}

/// Reads the value that belongs to a node.
struct Walk<'p, 's, 'a, 'd> {
    plan: &'p JsonPlan,
    node: usize,
    state: &'s mut State<'a, 'd>,
}

impl<'a> Walk<'_, '_, 'a, '_> {
    /// Gives a value to the record, unless a better key has given one before.
    #[inline]
    fn give<E: Error>(
        self,
        give: impl FnOnce(&mut Builder<'a>, Field, &mut DateCache) -> Result<(), &'static str>,
    ) -> Result<(), E> {
        let Some((field, rank)) = self.plan.nodes.get(self.node).and_then(|node| node.leaf) else {
            return Ok(());
        };
        let best = &mut self.state.ranks[field.slot()];
        if rank >= *best {
            return Ok(());
        }
        *best = rank;
        give(&mut self.state.record, field, self.state.dates).map_err(|expected| {
            self.state.fault = Some(expected);
            E::custom(expected)
        })
    }

    fn text<E: Error>(self, text: Cow<'a, str>) -> Result<(), E> {
        if matches!(&*text, "" | "-") {
            return Ok(());
        }
        self.give(|record, field, dates| record.text(field, text, dates))
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(below) = map.next_key_seed(Key { plan: self.plan, node: self.node })? {
            match below {
                Some(node) => {
                    map.next_value_seed(Walk { plan: self.plan, node, state: &mut *self.state })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    /// Of an array the first element counts: Caddy writes header fields as arrays.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        seq.next_element_seed(self)?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.text(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(Cow::Owned(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.give(|record, field, _| record.whole(field, number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.give(|record, field, _| record.fraction(field, number))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a key and finds its node.
struct Key<'p> {
    plan: &'p JsonPlan,
    node: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.plan.below(self.node, key))
    }
}
