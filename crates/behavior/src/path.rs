//! One pass over a request target: segments and ids, asset or page or API, and marks of a probe.

use crate::marks::Marks;
use crate::operations::operation;
use crate::probes::{is_sought, technology};
use crate::routes::{MAX_ROUTES, RouteId};
use memchr::{memchr, memmem};

/// What kind of thing a path asks for; what the three cost may differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A document that a person reads.
    #[default]
    Page,
    /// A call by a program.
    Api,
    /// A script, style sheet, image, font or other part of a page.
    Asset,
}

/// Most segments that are looked at; deeper ones count for depth alone.
pub const MAX_SEGMENTS: usize = 8;

/// What one segment is, for its route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segment {
    /// A word of the site's own.
    Literal(u64),
    /// A number, with its value.
    Number(u64),
    /// A UUID, hash, date, token or file name with a digest in it.
    #[default]
    Opaque,
}

/// What a request target says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target {
    /// The first segments.
    pub segments: [Segment; MAX_SEGMENTS],
    /// How many of them there are.
    pub len: u8,
    /// All segments, those beyond the first included.
    pub depth: u8,
    /// The operation that its query names, hashed with its name: `action=edit`.
    pub operation: Option<u64>,
    /// What it asks for.
    pub kind: Kind,
    /// A hash of the path without its query.
    pub page: u32,
    /// A hash of path and query.
    pub whole: u32,
    /// The id in it: the last number of the path, else an opaque segment's hash in the upper half, else the first
    /// number of the query above 1 that is no place in a list.
    pub id: Option<u64>,
    /// The number that the id is, or begins or ends with (`oak-table-4711.html`), so that "the next one" means
    /// something; else the query's, likewise.
    pub number: Option<u64>,
    /// Whether it looks like a probe on any site: traversal, dot files, leftovers, injection.
    pub odd: bool,
    /// Whether it attacks: leaves the folder, injects, has the server fetch or run something. Part of `odd`,
    /// without what a clumsy visitor or a broken page may write as well.
    pub attack: bool,
    /// Whether it names software that is broken into, or what is hidden; a probe where the site does not
    /// have it.
    pub sought: bool,
    /// The technology that its ending stands for; a probe where the site does not use it.
    pub technology: Option<u8>,
}

impl Target {
    /// Whether it is a probe on a site that has nothing of the kind.
    pub(crate) const fn may_probe(&self) -> bool {
        self.sought || self.technology.is_some()
    }
}

const ASSETS: [&[u8]; 28] = [
    b"js",
    b"mjs",
    b"css",
    b"map",
    b"png",
    b"jpg",
    b"jpeg",
    b"gif",
    b"svg",
    b"ico",
    b"webp",
    b"avif",
    b"bmp",
    b"woff",
    b"woff2",
    b"ttf",
    b"otf",
    b"eot",
    b"mp4",
    b"webm",
    b"mp3",
    b"ogg",
    b"wav",
    b"m4a",
    b"m3u8",
    b"ts",
    b"wasm",
    b"webmanifest",
];

/// Endings that give away a search for leftovers. A site that really
/// serves them loses nothing: the mark is one weak feature among many, and a share at that.
const ODD_ENDINGS: [&[u8]; 14] = [
    b"bak", b"sql", b"old", b"swp", b"env", b"ini", b"cfg", b"conf", b"config", b"log", b"pem",
    b"key", b"save", b"orig",
];

const ODD_PARTS: [&[u8]; 21] = [
    b"../",
    b"..%",
    b"%2e%2e",
    b"%00",
    b"/etc/",
    b"%3c",
    b"<",
    b"union",
    b"select%20",
    b"select+",
    b"${",
    b"%27",
    b"'",
    b"cmd=",
    b"{{",
    b"%7b%7b",
    b"php://",
    b"169.254.",
    b"jndi:",
    b"alert(",
    b"sleep(",
];

/// Those of them that nobody writes by mistake, some with more of what goes with them.
const ATTACKS: [&[u8]; 12] = [
    b"../",
    b"..%2f",
    b"%2e%2e",
    b"/etc/passwd",
    b"union+",
    b"union%20",
    b"%3cscript",
    b"<script",
    b"php://",
    b"169.254.169.254",
    b"jndi:",
    b"alert(",
];

/// A part of each of them, such as few other paths have; all eight sets are in use.
static ODD_MARKS: Marks = Marks::new(&[
    (b"", b"%<'$({"),
    (b".", b"."),
    (b"t", b"c+"),
    (b"n", b"i"),
    (b"m", b"d"),
    (b":", b"/"),
    (b"4", b"."),
    (b"i", b":"),
]);

impl Target {
    /// What targets that differ by their items alone have in common, up to the item and with the operation: a number
    /// that no route has.
    #[must_use]
    pub fn shape(&self) -> RouteId {
        let read = &self.segments[..usize::from(self.len)];
        let is_value = |segment: &Segment| !matches!(segment, Segment::Literal(_));
        let item = read.iter().rposition(is_value).map_or(read.len(), |at| at + 1);
        let start = self.operation.unwrap_or(0);
        let hash = read[..item].iter().fold(start, |hash, segment| match segment {
            Segment::Literal(word) => crate::mix(hash, *word),
            Segment::Number(_) | Segment::Opaque => crate::mix(hash, 1),
        });
        const SHAPES: usize = RouteId::MAX as usize - MAX_ROUTES;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a part of a hash is one, and below all that a route can be"
        )]
        let shape = (MAX_ROUTES + hash as usize % SHAPES) as RouteId;
        shape
    }
}

/// Reads the path (and query) of a request target; anything at all is accepted.
#[must_use]
pub fn read(target: &str) -> Target {
    let bytes = target.as_bytes();
    let end = memchr(b'?', bytes).unwrap_or(bytes.len());
    let (path, query) = bytes.split_at(end);
    let page = low(crate::hash(path));
    let mut out = Target { page, whole: page, ..Target::default() };

    let (mut api, mut numeric) = (false, false);
    let mut last: &[u8] = b"";
    for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
        let before = std::mem::replace(&mut last, part);
        out.depth = out.depth.saturating_add(1);
        api |= is_api_word(part);
        let hidden = part[0] == b'.' && part != b".well-known";
        out.odd |= hidden;
        out.sought |= hidden || is_sought(part);
        if usize::from(out.len) < MAX_SEGMENTS {
            let segment = read_segment(part);
            match segment {
                // People leaf through lists.
                Segment::Number(n) if LEAVES.contains(&before) && n < FEW => {}
                Segment::Number(n) => (out.id, out.number, numeric) = (Some(n), Some(n), true),
                Segment::Opaque if !numeric => {
                    (out.id, out.number) = (Some(crate::hash(part) | 1 << 63), number_of(part));
                }
                Segment::Opaque | Segment::Literal(_) => {}
            }
            out.segments[usize::from(out.len)] = segment;
            out.len += 1;
        }
    }
    if !query.is_empty() {
        let asked = read_query(&query[1..]);
        // A question that says but when or how often it is asked is the one before.
        out.whole = low(crate::mix(u64::from(page), asked.hash));
        if out.number.is_none() {
            out.number = asked.number;
            out.id = out.id.or(out.number);
        }
        out.operation = operation(&target[end + 1..]).map(|pair| crate::hash(pair.as_bytes()));
    }
    let ending = memchr::memrchr(b'.', last).map_or(&b""[..], |dot| &last[dot + 1..]);
    let asset = !ending.is_empty() && ASSETS.iter().any(|a| a.eq_ignore_ascii_case(ending));
    out.kind = match (asset, api) {
        (true, _) => Kind::Asset,
        (false, true) => Kind::Api,
        (false, false) if ending.eq_ignore_ascii_case(b"json") => Kind::Api,
        (false, false) => Kind::Page,
    };
    if asset {
        // Pictures of a plugin are where the plugin is.
        out.sought = false;
    } else {
        out.technology = technology(ending);
        out.odd |=
            !ending.is_empty() && ODD_ENDINGS.iter().any(|odd| odd.eq_ignore_ascii_case(ending));
        out.odd |= last.last() == Some(&b'~');
        out.odd |= bytes.first() != Some(&b'/') && !bytes.starts_with(b"http");
        if ODD_MARKS.any(bytes) {
            out.odd |= ODD_PARTS.iter().any(|odd| contains(bytes, odd));
            out.attack = ATTACKS.iter().any(|attack| contains(bytes, attack));
        }
    }
    out
}

/// The hash of the page that a `Referer` names (its path, without host and query); `None` when
/// the field names none.
#[must_use]
pub fn referer_page(referer: &str) -> Option<u32> {
    let bytes = referer.as_bytes();
    if bytes.is_empty() || bytes == b"-" {
        return None;
    }
    let after_scheme = memmem::find(bytes, b"://").map_or(bytes, |at| {
        let rest = &bytes[at + 3..];
        memchr(b'/', rest).map_or(&b"/"[..], |slash| &rest[slash..])
    });
    let end = memchr::memchr2(b'?', b'#', after_scheme).unwrap_or(after_scheme.len());
    Some(low(crate::hash(&after_scheme[..end])))
}

#[allow(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
const fn low(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

/// What follows the name of a program that a server runs.
const PROGRAMS: [&[u8]; 7] = [b"php", b"cgi", b"jsp", b"aspx", b"ashx", b"asmx", b"svc"];

/// Whether a word says that programs are spoken to here, as in `/api/items` or `/w/api.php`.
fn is_api_word(part: &[u8]) -> bool {
    let program = |at: &usize| PROGRAMS.contains(&&part[at + 1..]);
    match memchr(b'.', part).filter(program).map_or(part, |at| &part[..at]) {
        b"api" | b"graphql" | b"rpc" | b"rest" | b"ajax" | b"_api" => true,
        [b'v', digits @ ..] => {
            !digits.is_empty() && digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

const DIGIT: u8 = 1;
const DASH: u8 = 2;
const OTHER: u8 = 4;

/// What each byte counts as; a hexadecimal letter is none of them.
static KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_digit() {
            kinds[byte] = DIGIT;
        } else if b == b'-' || b == b'_' {
            kinds[byte] = DASH;
        } else if b.is_ascii_hexdigit() {
            kinds[byte] = 0;
        }
        byte += 1;
    }
    kinds
};

/// A segment is a value and no word when it is a number, or long and full of digits, or a UUID.
fn read_segment(part: &[u8]) -> Segment {
    let (mut digits, mut dashes, mut others) = (0usize, 0usize, 0usize);
    for &b in part {
        let kind = KINDS[usize::from(b)];
        digits += usize::from(kind & DIGIT);
        dashes += usize::from(kind >> 1 & 1);
        others += usize::from(kind >> 2);
    }
    if digits == part.len() {
        let value = || part.iter().fold(0u64, |n, b| n.wrapping_mul(10) + u64::from(b - b'0'));
        return if digits <= 19 { Segment::Number(value()) } else { Segment::Opaque };
    }
    let hex = others == 0;
    let letters = part.len() - digits - dashes;
    let opaque = (hex && digits > 0 && part.len() >= 8 && (letters > 0 || digits >= 8))
        || (part.len() >= 16 && digits >= 4 && dashes * 6 < part.len())
        || (part.len() >= 6 && digits * 3 >= part.len() * 2)
        || part.len() > 48;
    if opaque { Segment::Opaque } else { Segment::Literal(crate::hash(part)) }
}

/// The number at the end of a segment, but for an ending such as `.html`, or at its beginning.
fn number_of(part: &[u8]) -> Option<u64> {
    let part = memchr::memrchr(b'.', part).map_or(part, |dot| &part[..dot]);
    let dash = |&b: &u8| b == b'-' || b == b'_';
    let last = part.rsplit(dash).next().and_then(number);
    last.or_else(|| part.split(dash).next().and_then(number))
}

/// These digits as a number; `None` when there is something else, nothing, or too much.
fn number(digits: &[u8]) -> Option<u64> {
    let known = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    known.then(|| digits.iter().fold(0, |n, b| n * 10 + u64::from(b - b'0')))
}

/// Whether this would be a word of the site's own as a segment.
pub(crate) fn is_word(part: &[u8]) -> bool {
    matches!(read_segment(part), Segment::Literal(_))
}

/// What a query asks for.
struct Asked {
    /// Of all but what differs from one time to the next by itself.
    hash: u64,
    /// The number that is a whole value, of an id or the first, neither a switch nor a place in a list: `?id=12&x=y`,
    /// not `?error=1` or `?page=7`.
    number: Option<u64>,
}

/// Reads a query without its `?`.
fn read_query(query: &[u8]) -> Asked {
    let (mut hash, mut first, mut of_id) = (0, None, None);
    for pair in query.splitn(MOST_PAIRS + 1, |&b| b == b'&') {
        let end = memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = (&pair[..end], pair.get(end + 1..).unwrap_or_default());
        if passes(name, value) {
            continue;
        }
        hash = crate::mix(hash, crate::hash(pair));
        let Some(n) = number(value).filter(|&n| n > 1 && !pages(name, n)) else { continue };
        // Whoever makes up others before it hides nothing by it.
        if is_id(name) {
            of_id = of_id.or(Some(n));
        }
        first = first.or(Some(n));
    }
    Asked { hash, number: of_id.or(first) }
}

/// So many pairs of a query are read one by one.
const MOST_PAIRS: usize = 16;

/// Whether a parameter of this name and value says but when or how often one asks, as those who poll do, those who
/// want no copy of a cache, and those who say what they have seen already. Servers give names their meaning, so
/// nobody hides an item by it.
fn passes(name: &[u8], value: &[u8]) -> bool {
    const NAMES: [&[u8]; 13] = [
        b"_",
        b"ts",
        b"since",
        b"timestamp",
        b"nocache",
        b"cachebust",
        b"cachebuster",
        b"cb",
        b"rnd",
        b"rand",
        b"random",
        b"nonce",
        b"lasteventid",
    ];
    // Forums number threads by `t`, and nobody letters them; elsewhere it is the time, or as good as random.
    let spelled = name == b"t" && !value.iter().all(u8::is_ascii_digit);
    spelled
        || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
        || (!is_id(name) && is_moment(value))
}

/// Whether this reads like the time of now, in seconds or milliseconds since 1970.
fn is_moment(value: &[u8]) -> bool {
    let whole = memchr(b'.', value).map_or(value, |dot| &value[..dot]);
    matches!(whole.len(), 10 | 13)
        && matches!(whole[..2], [b'1', b'5'..=b'9'])
        && value.iter().all(|b| b.is_ascii_digit() || *b == b'.')
}

/// Whether a parameter of this name says which item is asked for.
fn is_id(name: &[u8]) -> bool {
    name.len() >= 2 && name[name.len() - 2..].eq_ignore_ascii_case(b"id")
}

/// A list has fewer pages than this.
const FEW: u64 = 1000;
/// Segments behind which stands where in a list one is.
const LEAVES: [&[u8]; 5] = [b"page", b"pages", b"seite", b"p", b"pg"];

/// Whether a parameter of this name and value says where in a list one is: people leaf through lists, and programs
/// ask for what came after what they have.
fn pages(name: &[u8], value: u64) -> bool {
    const NAMES: [&[u8]; 40] = [
        b"pg",
        b"offset",
        b"start",
        b"skip",
        b"limit",
        b"cursor",
        b"seite",
        b"pagina",
        b"size",
        b"count",
        b"rows",
        b"per",
        b"top",
        b"startindex",
        b"start-index",
        b"startat",
        b"limitstart",
        b"first",
        b"from",
        b"after",
        b"before",
        b"until",
        b"last",
        b"seq",
        b"rev",
        b"revision",
        b"version",
        b"v",
        b"afterid",
        b"beforeid",
        b"sinceid",
        b"maxid",
        b"minid",
        b"lastid",
        b"after_id",
        b"before_id",
        b"since_id",
        b"max_id",
        b"min_id",
        b"last_id",
    ];
    let name = &name[usize::from(name.starts_with(b"$") || name.starts_with(b"_"))..];
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    // Some number posts by `p`, far fewer pages.
    NAMES.into_iter().any(is)
        || (is(b"p") && value < FEW)
        || (!is_id(name) && contains(name, b"page"))
}

fn contains(haystack: &[u8], lower: &[u8]) -> bool {
    let Some(&first) = lower.first() else { return true };
    let upper = first.to_ascii_uppercase();
    let mut from = 0;
    while let Some(at) = memchr::memchr2(first, upper, &haystack[from..]) {
        let start = from + at;
        match haystack.get(start..start + lower.len()) {
            Some(part) if part.eq_ignore_ascii_case(lower) => return true,
            Some(_) => from = start + 1,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_by_its_item_alone_has_one_shape() {
        let same = |a: &str, b: &str| read(a).shape() == read(b).shape();
        for (a, b) in [
            ("/items/7", "/items/8"),
            ("/items/7/reviews", "/items/8/reviews"),
            ("/questions/4711/how-to-x", "/questions/4712/other-title"),
            ("/a?id=7", "/a?id=8"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in
            [("/items/7", "/users/7"), ("/a?action=item&t=7", "/a?action=user&t=7"), ("/a", "/a/7")]
        {
            assert!(!same(a, b), "{a} {b}");
        }
        assert!(usize::from(read("/items/7").shape()) >= MAX_ROUTES, "no route has it");
    }

    #[test]
    fn the_number_is_that_of_the_item() {
        for (target, number) in [
            ("/items/7", Some(7)),
            ("/a?z=5&id=12", Some(12)),
            ("/a?z=5&a=1&b=2&c=3&d=4&e=5&f=6&postId=12", Some(12)),
            ("/a?z=5", Some(5)),
            ("/blog/page/7", None),
            ("/blog/seite/7?id=9", Some(9)),
            ("/p/4711", Some(4711)),
            ("/items/7/page/2", Some(7)),
            ("/a?limitstart=40", None),
        ] {
            assert_eq!(read(target).number, number, "{target}");
        }
    }

    #[test]
    fn kinds() {
        for (path, kind) in [
            ("/", Kind::Page),
            ("/about.html", Kind::Page),
            ("/app.9f8e7d.js", Kind::Asset),
            ("/x/logo.PNG?v=3", Kind::Asset),
            ("/api/orders/7", Kind::Api),
            ("/v2/orders", Kind::Api),
            ("/data.json", Kind::Api),
            ("/w/api.php", Kind::Api),
            ("/api.html", Kind::Page),
            ("/static/api.js", Kind::Asset),
            ("/vote", Kind::Page),
        ] {
            assert_eq!(read(path).kind, kind, "{path}");
        }
    }

    #[test]
    fn items_are_counted_by_number() {
        for (path, number) in [
            ("/orders/17", Some(17)),
            ("/orders/17/lines/3", Some(3)),
            ("/news/storm-over-the-harbour-20417.html", Some(20_417)),
            ("/news/20417-storm-over-the-harbour", Some(20_417)),
            ("/wiki/harbour_and_harvest_20417?page=2", Some(20_417)),
            ("/t/a1b2c3d4e5f6a7b8?page=2", None),
            ("/list?page=2", None),
            ("/list?pageNumber=2&PER_PAGE=50&cat=7", Some(7)),
            ("/list?offset=40&limit=20", None),
            ("/list?$skip=40&$top=20&_start=3", None),
            ("/?p=12", None),
            ("/login?error=1&user=12", Some(12)),
            ("/?p=12000", Some(12_000)),
            ("/?page_id=12", Some(12)),
            ("/viewtopic.php?t=4711&start=20", Some(4711)),
            ("/files/550e8400-e29b-41d4-a716-44665544000f", None),
            ("/news/storm-over-the-harbour-99999999999999999999", None),
            ("/poll?since=4711", None),
            ("/changes?seq=4711", None),
            ("/timeline?since_id=4711&user_id=12", Some(12)),
            ("/poll?t=1764400000123&topic=12", Some(12)),
            ("/poll?last=1764400000.25", None),
            ("/items?id=1764400000", Some(1_764_400_000)),
            ("/news", None),
        ] {
            assert_eq!(read(path).number, number, "{path}");
        }
    }

    #[test]
    fn who_polls_asks_for_the_same() {
        let same = |a: &str, b: &str| read(a).whole == read(b).whole;
        for (a, b) in [
            ("/poll?since=17", "/poll?since=18"),
            ("/poll?EIO=4&t=PAx3f2", "/poll?EIO=4&t=PAx3g7"),
            ("/a?x=1&_=1764400000123", "/a?x=1&_=1764400009999"),
            ("/a?after=1764400000", "/a?after=1764400004"),
            ("/a?rnd=0.1773", "/a?rnd=0.9"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("/poll?topic=1&since=17", "/poll?topic=2&since=17"),
            ("/viewtopic.php?t=17", "/viewtopic.php?t=18"),
            ("/items?id=1764400000", "/items?id=1764400001"),
            ("/a?after=9876543210", "/a?after=9876543211"),
            ("/a?cursor=abc", "/a?cursor=abd"),
            ("/a", "/a?x"),
            ("/a?x=1", "/b?x=1"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn ids_are_values_and_words_are_words() {
        let opaque = |path| read(path).segments[1] == Segment::Opaque;
        assert!(opaque("/o/550e8400-e29b-41d4-a716-446655440000"));
        assert!(opaque("/o/d41d8cd98f00b204e9800998ecf8427e"));
        assert!(opaque("/o/2024-05-17"));
        assert!(!opaque("/o/red-wool-jumper"));
        assert!(!opaque("/o/v2"));
        assert!(!opaque("/o/checkout"));
        assert_eq!(read("/o/1234").segments[1], Segment::Number(1234));
        assert_eq!(read("/o/1234/items").id, Some(1234));
        assert_eq!(read("/list?item=7").id, Some(7));
        assert!(read("/list?page=7").id.is_none());
        assert!(read("/list?q=shoes").id.is_none());
    }

    #[test]
    fn every_odd_part_has_a_mark() {
        for odd in ODD_PARTS {
            assert!(ODD_MARKS.any(odd), "{odd:?}");
        }
        for attack in ATTACKS {
            assert!(ODD_PARTS.iter().any(|odd| contains(attack, odd)), "{attack:?}");
        }
    }

    #[test]
    fn probes_are_odd_and_pages_are_not() {
        for path in [
            "/.env",
            "/a/../../etc/passwd",
            "/x?id=1%27+or",
            "/backup.sql",
            "/?a=${jndi}",
            "/?name={{7*7}}",
            "/?page=php://input",
            "/?url=http://169.254.169.254/",
        ] {
            assert!(read(path).odd, "{path}");
        }
        for path in ["/", "/.well-known/security.txt", "/search?q=red+shoes", "/a.b/c.js"] {
            assert!(!read(path).odd, "{path}");
        }
    }

    #[test]
    fn what_a_visitor_may_write_is_no_attack() {
        for path in ["/x?id=1+UNION+SELECT+2", "/?q=%3Cscript%3E", "/a/../../etc/passwd"] {
            assert!(read(path).attack, "{path}");
        }
        for path in ["/search?q=O%27Brien", "/credit-union/rates", "/{{item.url}}", "/?q=a<b"] {
            assert!(!read(path).attack, "{path}");
        }
    }

    #[test]
    fn software_and_technologies_are_named() {
        assert!(read("/blog/wp-login.php").sought && read("/Autodiscover/").sought);
        assert!(!read("/wp-content/themes/x/style.css").sought);
        assert!(read("/index.php?id=1").technology.is_some());
        assert_eq!(read("/items/7").technology, None);
    }

    #[test]
    fn a_referer_names_the_page_that_it_came_from() {
        let page = |path| Some(read(path).page);
        assert_eq!(referer_page("https://shop.example/cart?x=1"), page("/cart?y=2"));
        assert_eq!(referer_page("https://shop.example"), page("/"));
        assert_eq!(referer_page("-"), None);
        assert_eq!(referer_page(""), None);
    }

    proptest! {
        #[test]
        fn anything_is_read(path in "\\PC{0,200}") {
            let target = read(&path);
            prop_assert!(usize::from(target.len) <= MAX_SEGMENTS);
            let _ = referer_page(&path);
        }
    }
}
