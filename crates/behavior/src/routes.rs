//! Route templates learned from traffic: `/orders/{id}`, at most [`MAX_ROUTES`] of them.
//!
//! A route is a method class and the path's segments, with values (numbers, UUIDs, digests)
//! replaced by `{id}`. A word becomes a route of its own only once a request for it has
//! *succeeded*, so a scanner's guesses make none; and a place with more than [`MAX_CHILDREN`]
//! words below it takes the rest together as `{word}`, so slugs can't fill the table.
//!
//! Look-ups take no lock: nodes are written once, under a mutex, and never removed.

use crate::operations::operation;
use crate::path::{Segment, Target};
use crate::probes::TECHNOLOGIES;
use crate::record::Method;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Most routes that are told apart; those beyond share route 0.
pub const MAX_ROUTES: usize = 2048;
/// Most words that one place of the site may have as children.
pub const MAX_CHILDREN: u32 = 64;
/// Most operations of all paths together: few sites refuse a parameter that they do not know, so whoever likes
/// could fill the table with them.
pub const MAX_OPERATIONS: u32 = 512;

const SLOTS: usize = 16_384;
const FILL: u32 = (SLOTS / 2) as u32;
const ROOT: u64 = 0x726f_6f74;
const WORD: u64 = 0x2a77;
const ID: u64 = 0x2a69;
/// What an operation is below, that it is no segment of the path.
const OPERATION: u64 = 0x3f6f;

/// The number of a route, below [`MAX_ROUTES`]; 0 is "any other".
pub type RouteId = u16;

#[derive(Default)]
struct Node {
    /// The hash of the path so far; 0 is a free slot.
    hash: AtomicU64,
    children: AtomicU32,
    /// The route that ends here, plus one; 0 while none does.
    route: AtomicU16,
    /// Whether a path that ends here was answered with content.
    served: AtomicBool,
}

impl Node {
    fn is_full(&self) -> bool {
        self.children.load(Ordering::Relaxed) >= MAX_CHILDREN
    }
}

/// Where a request belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its route.
    pub id: RouteId,
    /// Whether every word of its path has been part of a request that succeeded.
    pub known: bool,
    /// Whether its outcome could not teach another route: every word is known, or no more are
    /// taken where it stands.
    pub settled: bool,
    /// Of a path that would be a probe elsewhere: whether the site has answered that very path with
    /// content.
    pub served: bool,
}

/// The routes of a site.
pub struct RouteTable {
    nodes: Box<[Node]>,
    writer: Mutex<Writer>,
    /// How often something of each technology was answered with content, up to `USED`.
    technologies: [AtomicU8; TECHNOLOGIES],
    /// How many requests were answered with content, up to `SPEAKS`.
    answered: AtomicU8,
    /// How many operations have a place of their own.
    operations: AtomicU32,
}

/// So many answers make a technology the site's own: one may be chance, or a place that takes any name.
const USED: u8 = 3;
/// Before so many answers nothing can be said of what a site does not have: its outcomes may be told to
/// nobody, or it may be down.
const SPEAKS: u8 = 20;

/// Counts up to `most`; whoever is late loses nothing that matters.
fn count(counter: &AtomicU8, most: u8) {
    let so_far = counter.load(Ordering::Relaxed);
    if so_far < most {
        counter.store(so_far + 1, Ordering::Relaxed);
    }
}

struct Writer {
    used: u32,
    names: Vec<String>,
}

impl Default for RouteTable {
    fn default() -> Self {
        Self {
            nodes: (0..SLOTS).map(|_| Node::default()).collect(),
            technologies: Default::default(),
            answered: AtomicU8::new(0),
            operations: AtomicU32::new(0),
            writer: Mutex::new(Writer { used: 0, names: vec!["(other)".into()] }),
        }
    }
}

impl RouteTable {
    /// The route of a request, without learning anything.
    #[must_use]
    pub fn find(&self, method: Method, target: &Target) -> Route {
        let mut hash = ROOT;
        let (mut known, mut settled) = (true, true);
        for &segment in &target.segments[..usize::from(target.len)] {
            let parent = hash;
            hash = match segment {
                Segment::Number(_) | Segment::Opaque => crate::mix(parent, ID),
                Segment::Literal(word) => {
                    let (child, own) = self.place(parent, word);
                    known &= own;
                    settled &= own || self.is_full(parent);
                    child
                }
            };
        }
        let path = hash;
        if let Some(operation) = target.operation {
            let parent = crate::mix(path, OPERATION);
            let (child, own) = self.place(parent, operation);
            known &= own;
            settled &= own || self.is_full(parent) || !self.takes_operations();
            hash = child;
        }
        let end = self.node(crate::mix(hash, class(method)));
        // What is there is a matter of the path. That of an unknown word has no node that was served.
        let served = target.may_probe()
            && self.node(path).is_some_and(|node| node.served.load(Ordering::Relaxed));
        match end.map_or(0, |node| node.route.load(Ordering::Acquire)) {
            0 => Route { id: 0, known: false, settled: false, served },
            route => Route { id: route - 1, known, settled, served },
        }
    }

    /// Whether a target that names software or a technology is a probe here: the site answers, but has
    /// never answered that very path with content, and uses no such technology.
    #[must_use]
    pub fn is_probe(&self, target: &Target, route: &Route) -> bool {
        let foreign = || {
            target.technology.is_some_and(|number| {
                self.technologies[usize::from(number)].load(Ordering::Relaxed) < USED
            })
        };
        !route.served
            && (target.sought || foreign())
            && self.answered.load(Ordering::Relaxed) >= SPEAKS
    }

    /// Learns that some request was answered with content.
    pub fn answer(&self) {
        count(&self.answered, SPEAKS);
    }

    /// Learns that this path was answered with content.
    pub fn serve(&self, target: &Target) {
        if let Some(number) = target.technology {
            count(&self.technologies[usize::from(number)], USED);
        }
        let path = target.segments[..usize::from(target.len)].iter();
        let hash = path.fold(ROOT, |hash, segment| match segment {
            Segment::Number(_) | Segment::Opaque => crate::mix(hash, ID),
            Segment::Literal(word) => crate::mix(hash, *word),
        });
        if let Some(node) = self.node(hash) {
            node.served.store(true, Ordering::Relaxed);
        }
    }

    /// Learns the route of a request. `trusted` says that the request succeeded: only then do its
    /// words become part of the site; else it teaches no more than the places that hold `{word}`.
    pub fn learn(&self, method: Method, target: &Target, path: &str, trusted: bool) {
        let route = self.find(method, target);
        if route.settled || (!trusted && route.id != 0) {
            return;
        }
        let mut writer = self.writer.lock();
        let mut hash = ROOT;
        let mut name = String::new();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let words = path.split('/').filter(|word| !word.is_empty());
        for (&segment, word) in target.segments[..usize::from(target.len)].iter().zip(words) {
            name.push('/');
            let child = match segment {
                Segment::Number(_) | Segment::Opaque => {
                    name.push_str("{id}");
                    crate::mix(hash, ID)
                }
                Segment::Literal(literal) => {
                    let (child, own) = self.enter(&mut writer, hash, literal, trusted);
                    name.push_str(if own { word } else { "{word}" });
                    child
                }
            };
            if !self.insert(&mut writer, child) {
                return;
            }
            hash = child;
        }
        if name.is_empty() {
            name.push('/');
        }
        if let Some(number) = target.operation {
            let parent = crate::mix(hash, OPERATION);
            let taken = trusted && self.takes_operations();
            let (_, known) = self.place(parent, number);
            let (child, own) = self.enter(&mut writer, parent, number, taken);
            if own && !known {
                self.operations.fetch_add(1, Ordering::Relaxed);
            }
            name.push('?');
            name.push_str(if own { operation(query).unwrap_or_default() } else { "{word}" });
            if !self.insert(&mut writer, child) {
                return;
            }
            hash = child;
        }
        let end = crate::mix(hash, class(method));
        if writer.names.len() >= MAX_ROUTES || !self.insert(&mut writer, end) {
            return;
        }
        let Some(node) = self.node(end) else { return };
        if node.route.load(Ordering::Acquire) == 0
            && let Ok(number) = u16::try_from(writer.names.len() + 1)
        {
            writer.names.push(format!("{} {name}", class_name(method)));
            node.route.store(number, Ordering::Release);
        }
    }

    /// The template of a route, as a person writes it.
    #[must_use]
    pub fn name(&self, route: RouteId) -> String {
        let writer = self.writer.lock();
        writer.names.get(usize::from(route)).cloned().unwrap_or_default()
    }

    /// How many routes are told apart, "any other" included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writer.lock().names.len()
    }

    /// Whether no route was learned yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    fn node(&self, hash: u64) -> Option<&Node> {
        let mut slot = start(hash);
        loop {
            let node = &self.nodes[slot % SLOTS];
            match node.hash.load(Ordering::Acquire) {
                0 => return None,
                found if found == hash => return Some(node),
                _ => slot += 1,
            }
        }
    }

    fn takes_operations(&self) -> bool {
        self.operations.load(Ordering::Relaxed) < MAX_OPERATIONS
    }

    fn is_full(&self, parent: u64) -> bool {
        self.node(parent).is_some_and(Node::is_full)
    }

    /// The place that a word leads to from `parent`, and whether it is the word's own: where it has none it
    /// is that of any word.
    fn place(&self, parent: u64, word: u64) -> (u64, bool) {
        let child = crate::mix(parent, word);
        let own = self.node(child).is_some();
        (if own { child } else { crate::mix(parent, WORD) }, own)
    }

    /// The same, where a word that is `trusted` gets a place of its own if there is room.
    fn enter(&self, writer: &mut Writer, parent: u64, word: u64, trusted: bool) -> (u64, bool) {
        let (child, own) = self.place(parent, word);
        if !own && trusted && self.adopt(writer, parent) {
            return (crate::mix(parent, word), true);
        }
        (child, own)
    }

    /// Counts one more word below `parent`, if it may have one.
    fn adopt(&self, writer: &mut Writer, parent: u64) -> bool {
        if !self.insert(writer, parent) {
            return false;
        }
        let Some(node) = self.node(parent) else { return false };
        node.children.fetch_add(1, Ordering::Relaxed) < MAX_CHILDREN
    }

    fn insert(&self, writer: &mut Writer, hash: u64) -> bool {
        if self.node(hash).is_some() {
            return true;
        }
        // Half of the slots stay free, so a probe is short and always ends.
        if writer.used >= FILL {
            return false;
        }
        let mut slot = start(hash);
        while self.nodes[slot % SLOTS].hash.load(Ordering::Acquire) != 0 {
            slot += 1;
        }
        self.nodes[slot % SLOTS].hash.store(hash, Ordering::Release);
        writer.used += 1;
        true
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a part of a hash is one")]
const fn start(hash: u64) -> usize {
    hash as usize % SLOTS
}

const fn class(method: Method) -> u64 {
    match method {
        Method::Get | Method::Head => 1,
        Method::Post => 2,
        Method::Put | Method::Patch => 3,
        Method::Delete => 4,
        Method::Options | Method::Other => 5,
    }
}

const fn class_name(method: Method) -> &'static str {
    match method {
        Method::Get | Method::Head => "GET",
        Method::Post => "POST",
        Method::Put | Method::Patch => "PUT",
        Method::Delete => "DELETE",
        Method::Options | Method::Other => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::read;

    fn learn(table: &RouteTable, path: &str, ok: bool) -> RouteId {
        table.learn(Method::Get, &read(path), path, ok);
        table.find(Method::Get, &read(path)).id
    }

    #[test]
    fn values_share_a_template() {
        let table = RouteTable::default();
        let a = learn(&table, "/orders/17", true);
        assert_eq!(learn(&table, "/orders/9000?x=1", true), a);
        assert_eq!(table.name(a), "GET /orders/{id}");
        assert_ne!(learn(&table, "/orders/17/items", true), a);
        let post = table.find(Method::Post, &read("/orders/17"));
        assert_eq!(post.id, 0, "another method is another route");
    }

    #[test]
    fn an_operation_is_a_word_more() {
        let table = RouteTable::default();
        let edit = learn(&table, "/index.php?title=Red&action=edit", true);
        let history = learn(&table, "/index.php?action=history&title=Blue", true);
        let plain = learn(&table, "/index.php?title=Red", true);
        assert_eq!(table.name(edit), "GET /index.php?action=edit");
        assert_eq!(table.name(history), "GET /index.php?action=history");
        assert_eq!(table.name(plain), "GET /index.php");
        assert_eq!(learn(&table, "/index.php?action=edit&title=Green", true), edit);
        let guess = learn(&table, "/index.php?action=shell", false);
        assert_eq!(table.name(guess), "GET /index.php?{word}");
        assert!(!table.find(Method::Get, &read("/index.php?action=shell")).known);
        assert_ne!(
            learn(&table, "/index.php/action=edit", true),
            edit,
            "a segment is another place"
        );
    }

    #[test]
    fn made_up_operations_do_not_fill_the_table() {
        let table = RouteTable::default();
        let word = |i: usize| -> String {
            (0..4).map(|k| char::from(b'a' + ((i / 26usize.pow(k)) % 26) as u8)).collect()
        };
        let real = learn(&table, "/index.php?action=edit", true);
        for page in 0..20 {
            for i in 0..100 {
                learn(&table, &format!("/{}?action={}", word(page), word(i)), true);
            }
        }
        let most = MAX_OPERATIONS as usize + 20 * 2 + 3;
        assert!(table.len() <= most, "{}", table.len());
        assert_eq!(learn(&table, "/index.php?action=edit", true), real);
        let late = table.find(Method::Get, &read(&format!("/{}?action=late", word(19))));
        assert!(late.settled && !late.known, "nobody asks for the lock again");
        assert_ne!(learn(&table, "/a/place/of/its/own", true), 0);
    }

    #[test]
    fn whoever_names_an_operation_asks_for_what_the_site_has() {
        let table = RouteTable::default();
        let served = |target: &str| table.find(Method::Get, &read(target)).served;
        table.learn(Method::Get, &read("/wp-login.php"), "/wp-login.php", true);
        table.serve(&read("/wp-login.php"));
        assert!(served("/wp-login.php?action=lostpassword"), "the path is the site's own");
        assert!(!served("/wp-admin.php?action=lostpassword"));
    }

    #[test]
    fn guesses_make_no_routes() {
        let table = RouteTable::default();
        learn(&table, "/shop", true);
        let before = table.len();
        for i in 0..1000 {
            let guess = format!(
                "/guess-{}",
                char::from(b'a' + (i % 26) as u8).to_string().repeat(1 + i / 26)
            );
            learn(&table, &guess, false);
            assert!(!table.find(Method::Get, &read(&guess)).known);
        }
        assert_eq!(table.len(), before + 1, "all guesses share /{{word}}");
        assert!(table.find(Method::Get, &read("/shop")).known);
    }

    #[test]
    fn slugs_collapse_and_the_table_is_bounded() {
        let table = RouteTable::default();
        let word = |i: usize| -> String {
            (0..6).map(|k| char::from(b'a' + ((i / 26usize.pow(k)) % 26) as u8)).collect()
        };
        for i in 0..1000 {
            learn(&table, &format!("/p/{}", word(i)), true);
        }
        let slug = table.find(Method::Get, &read(&format!("/p/{}", word(999))));
        assert_eq!(table.name(slug.id), "GET /p/{word}");
        assert!(table.len() < 100, "{}", table.len());
        for i in 0..100 {
            for j in 0..100 {
                for k in 0..10 {
                    learn(&table, &format!("/{}/{}/{}", word(i), word(j), word(k)), true);
                }
            }
        }
        assert!(table.len() <= MAX_ROUTES);
        assert!(table.find(Method::Get, &read("/never/seen/before/by/anybody")).id < 2048);
    }
}
