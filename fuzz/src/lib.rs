//! One function for each reader of outside bytes: what must hold of it, whatever the bytes are.
//!
//! Each is run by libFuzzer (`fuzz_targets/`) on nightly Rust, and on stable Rust by a test of the
//! main workspace (`crates/tidegate/tests/fuzz_seeds.rs`) that includes this file.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tidegate_behavior::Method;
use tidegate_behavior::address::{
    AddressMap, IdentityRules, canonical, cookie, jwt_claim, parse_forwarded, parse_network,
};
use tidegate_behavior::forwarded::nodes;
use tidegate_behavior::path::{MAX_SEGMENTS, read, referer_page};
use tidegate_behavior::routes::{MAX_ROUTES, RouteTable};
use tidegate_behavior::schema::COUNT;
use tidegate_engine::Ticket;
use tidegate_engine::pattern::PathPattern;
use tidegate_lab::bootstrap::answers::Answers;
use tidegate_lab::formats::{Format, Parser, detect};
use tidegate_lab::replay::Labels;
use tidegate_models::{Model, file};
use tidegate_server::{config, fuzzing};

/// The text up to the first line break, and what follows it.
fn halves(data: &[u8]) -> (String, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    (String::from_utf8_lossy(&data[..end]).into_owned(), data.get(end + 1..).unwrap_or_default())
}

/// A log line, in every named format: a record or an error, and the same again at a second try.
pub fn log_line(data: &[u8]) {
    for format in [Format::Common, Format::Combined, Format::Json, Format::Envoy, Format::Alb] {
        let Ok(mut parser) = Parser::new(&format, &[]) else { panic!("{format} does not compile") };
        let first = parser.parse_line(data).map(|record| format!("{record:?}"));
        // The parser remembers the last date: that must not change what a line says.
        let again = parser.parse_line(data).map(|record| format!("{record:?}"));
        assert_eq!(first.ok(), again.ok(), "{format}");
        if let Ok(record) = parser.parse_line(data) {
            let _ = record.request();
        }
    }
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').take(50).collect();
    let _ = detect(&lines);
}

/// A `log_format` string on the first line, and a log line for it on the second.
pub fn log_format(data: &[u8]) {
    let (text, line) = halves(data);
    let Ok(format) = Format::parse(&text) else { return };
    assert_eq!(Format::parse(&format.to_string()).ok().as_ref(), Some(&format));
    if let Ok(mut parser) = Parser::new(&format, &[]) {
        let _ = parser.parse_line(line);
    }
}

/// A model file, as it is and with its length and checksum put right: it is refused, or gives a
/// model that keeps the contract of models and survives its own file.
pub fn model_file(data: &[u8]) {
    sound(data);
    let mut forged = data.to_vec();
    if let Some(body) = forged.len().checked_sub(4).filter(|body| *body >= 16) {
        let length = u32::try_from(forged.len()).unwrap_or(u32::MAX);
        forged[12..16].copy_from_slice(&length.to_le_bytes());
        let sum = crc32(&forged[..body]).to_le_bytes();
        forged[body..].copy_from_slice(&sum);
        sound(&forged);
    }
}

fn sound(data: &[u8]) {
    let Ok((model, about)) = file::load(data) else { return };
    for row in [[0.0; COUNT], [1.0; COUNT], [f32::MAX; COUNT], [f32::MIN; COUNT]] {
        let score = model.score_one(&row);
        assert!((0.0..=1.0).contains(&score), "{score}");
        assert_eq!(model.score_one(&row).to_bits(), score.to_bits());
        let _ = model.explain(&row);
    }
    let Ok(bytes) = file::save(&model, &about) else { panic!("a loaded model can't be saved") };
    assert!(file::load(&bytes).is_ok_and(|(again, text)| again == model && text == about));
}

/// CRC-32 (ISO-HDLC), a bit at a time.
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

thread_local! {
    /// Where a configuration is written: its reader takes a path.
    static FILE: RefCell<PathBuf> = RefCell::new(std::env::temp_dir().join(format!(
        "tidegate-fuzz-{}-{:?}.yaml", std::process::id(), std::thread::current().id()
    )));
}

/// A configuration file: an error with a text, or something that can be described.
pub fn config(data: &[u8]) {
    // A configuration may name other files; those of the system may never end.
    if [&b"/dev"[..], b"/proc", b"/sys"]
        .iter()
        .any(|dir| data.windows(dir.len()).any(|w| w == *dir))
    {
        return;
    }
    let path = FILE.with_borrow(Clone::clone);
    if std::fs::write(&path, data).is_ok() {
        match config::load(&path) {
            Ok(resolved) => assert!(!config::check(&resolved).is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let _ = std::fs::remove_file(&path);
    }
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = config::Resolved::default_for_proxy(text, listen);
    }
}

/// A file of labels of lines, or of answers about clients: refused, or the same at a second try.
pub fn labels(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(answers) = Answers::parse(&text, Path::new("labels.csv")) {
        assert!(
            Answers::parse(&text, Path::new("")).is_ok_and(|again| again.len() == answers.len())
        );
    }
    if let Ok(labels) = Labels::read(data) {
        assert!(Labels::read(data).is_ok_and(|again| again.get(1) == labels.get(1)));
    }
}

/// The text of a ticket: refused, or the same ticket after another round.
pub fn ticket(data: &[u8]) {
    if let Ok(ticket) = String::from_utf8_lossy(data).parse::<Ticket>() {
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
    }
}

/// What a Redis client sends: the same commands in whatever pieces it comes, and again when they are
/// written as arrays.
pub fn resp(data: &[u8]) {
    let whole = fuzzing::commands(data);
    assert!(whole.1 <= data.len());
    for cut in [data.len() / 3, data.len() / 2, data.len().saturating_sub(1)] {
        let (mut all, mut at, mut wrong) = fuzzing::commands(&data[..cut]);
        if !wrong {
            let more = fuzzing::commands(&data[at..]);
            all.extend(more.0);
            (at, wrong) = (at + more.1, more.2);
        }
        assert_eq!((all, at, wrong), whole, "cut at {cut}");
    }
    for args in whole.0.iter().filter(|args| !args.is_empty()) {
        let mut array = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            array.extend(format!("${}\r\n", arg.len()).bytes());
            array.extend(arg);
            array.extend(b"\r\n");
        }
        assert_eq!(fuzzing::commands(&array), (vec![args.clone()], array.len(), false));
    }
}

/// A line of a gateway's access log: no report, or one that the plainest of lines says as well.
pub fn report_line(data: &[u8]) {
    let Some((ticket, outcome)) = fuzzing::report(data) else { return };
    assert!((100..1000).contains(&outcome.status));
    let mut plain = format!("{ticket} {} {}", outcome.status, outcome.bytes);
    if let Some(duration) = outcome.duration {
        plain += &format!(" {}", duration.as_secs_f64());
    }
    let Some((same, again)) = fuzzing::report(plain.as_bytes()) else { panic!("{plain}") };
    assert_eq!((same, again.status, again.bytes), (ticket, outcome.status, outcome.bytes));
    assert_eq!(again.duration.is_some(), outcome.duration.is_some(), "{plain}");
}

/// A request target on the first line, the pattern of a rule on the second.
pub fn path(data: &[u8]) {
    let (text, rest) = halves(data);
    let target = read(&text);
    assert!(usize::from(target.len) <= MAX_SEGMENTS && target.len <= target.depth);
    let _ = referer_page(&text);

    let routes = RouteTable::default();
    routes.learn(Method::Get, &target, &text, true);
    let route = routes.find(Method::Get, &target);
    assert!(usize::from(route.id) < MAX_ROUTES && routes.len() <= MAX_ROUTES);
    assert!(!routes.name(route.id).is_empty());

    let pattern = String::from_utf8_lossy(rest);
    if let Ok(pattern) = pattern.parse::<PathPattern>() {
        let _ = pattern.matches(text.split('?').next().unwrap_or(""));
    }
}

/// What names a client: networks, forwarded addresses, tokens, cookies.
pub fn address(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(network) = parse_network(&text) {
        let mut map = AddressMap::default();
        map.insert(network, 1);
        // A mapped IPv4 network is looked up as the IPv4 network that it stands for.
        if canonical(network.addr()) == network.addr() {
            assert_eq!(map.get(network.addr()), Some(&1), "{network}");
        }
    }
    if let Some(addr) = parse_forwarded(&text) {
        assert_eq!(canonical(addr), addr);
    }
    let stranger = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let nobody_trusted = IdentityRules::default();
    assert_eq!(nobody_trusted.client_address(stranger, text.split(',')), stranger);
    let mut everybody_trusted = IdentityRules::default();
    if let (Ok(v4), Ok(v6)) = (parse_network("0.0.0.0/0"), parse_network("::/0")) {
        everybody_trusted.trusted.insert(v4, ());
        everybody_trusted.trusted.insert(v6, ());
    }
    let _ = everybody_trusted.client_address(stranger, text.split(','));
    let _ = everybody_trusted.client_address(stranger, nodes(&text));
    let _ = jwt_claim(&text, "sub");
    let _ = jwt_claim(&format!("Bearer e30.{text}.x"), "sub");
    let _ = cookie(&text, "session");
}
