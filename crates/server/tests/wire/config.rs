//! Every mistake in a configuration is told with its line and its remedy.

use std::path::{Path, PathBuf};
use tidegate_server::config::{self, check, load};

fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.yaml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

const PROXY: &str = "listen: 127.0.0.1:8080\nupstream: http://127.0.0.1:9000\n";

#[test]
fn mistakes_are_told_with_line_and_remedy() {
    // The text after two good lines, the line of the mistake, and a part of message and remedy.
    for (text, line, message, remedy) in [
        ("mood: shadow", 3, "mood", "examples/tidegate.yaml"),
        ("mode: maybe", 3, "maybe", "examples"),
        ("capacity: 5", 3, "5", "1000"),
        ("capacity: many", 3, "many", "examples"),
        ("timeouts:\n  drain: soon", 4, "`soon`", "500ms"),
        ("timeouts: {drain: 0s}", 3, "zero", "5s"),
        ("timeouts:\n  idle: never", 4, "`never`", "2m"),
        ("max_connections: 0", 3, "0 connections", "from 1"),
        ("max_connections: 2000000", 3, "2000000", "1000000"),
        ("admin: {listen: '0.0.0.0:9901'}", 3, "no token", "token_file"),
        ("log: {sample: 5}", 3, "5", "0 to 1"),
        ("log: {decisions: all}", 3, "all", "examples"),
        ("telemetry: {otlp: {sample: 1}}", 3, "no collector", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("telemetry:\n  otlp: collector:4317", 4, "collector:4317", "http://127.0.0.1:4317"),
        ("telemetry:\n  otlp: {endpoint: http://c/x, protocol: grpc}", 4, "has a path", "4318"),
        ("telemetry:\n  otlp:\n    endpoint: http://c\n    sample: 2", 6, "2", "0 to 1"),
        ("telemetry: {otlp: {endpoint: http://c, protocol: udp}}", 3, "udp", "examples"),
        ("telemetry:\n  sentry: https://nowhere", 4, "the DSN is none", "https://key@host/1"),
        ("telemetry:\n  sentry: {dsn_env: TIDEGATE_NOT_SET}", 4, "not set", "set it"),
        (
            "telemetry:\n  sentry:\n    dsn: https://k@h/1\n    dsn_env: HOME",
            5,
            "both",
            "keep dsn or dsn_env",
        ),
        ("admin: {listen: here}", 3, "`here`", "127.0.0.1:8080"),
        ("admin:\n  listen: 127.0.0.1:1\n  token_env: TIDEGATE_NOT_SET", 5, "not set", "file"),
        ("allow: [10.0.0.0/8, 300.1.1.1]", 3, "`300.1.1.1`", "file"),
        ("deny: [{file: nowhere.txt}]", 3, "nowhere.txt", "relative"),
        ("identity: {ipv6_prefix: 8}", 3, "8 bits", "64"),
        ("identity: {forwarded_header: x-real-ip}", 3, "`x-real-ip`", "forwarded"),
        ("identity: {trusted_hops: [0.0.0.0/0]}", 3, "whole Internet", "load balancers"),
        (
            "identity:\n  credentials:\n    - address\n    - header: x-api-key",
            6,
            "never reached",
            "last",
        ),
        ("identity: {credentials: [header: 'x key']}", 3, "`x key`", "x-api-key"),
        ("adaptive:\n  throttle_above: 0.9\n  block_above: 0.8", 4, "0.9", "smaller"),
        ("adaptive:\n  delay: 300", 4, "300", "from 0 (at once) to 100"),
        ("adaptive: {block_above: 8}", 3, "8", "0 to 1"),
        ("adaptive: {hysteresis: 0.7}", 3, "0.7", "smaller"),
        ("adaptive: {jitter: 0.2}", 3, "0.2", "half"),
        ("adaptive:\n  new: 10 per minute", 4, "`10 per minute`", "10/min"),
        ("adaptive:\n  new: 10", 4, "`10`", "10/min"),
        ("adaptive:\n  trusted:\n    limit: 10/min", 5, "`trusted`", "rise"),
        (
            "adaptive:\n  costs: {page: 5}\n  risky: {limit: 5/min, burst: 2}",
            5,
            "burst of 2",
            "at least 5",
        ),
        ("adaptive:\n  costs:\n    page: -1", 5, "-1", "0 to 1000"),
        (
            "rules:\n  - {name: a, limit: 1/s}\n  - {name: a, limit: 2/s}",
            5,
            "line 4",
            "name of its own",
        ),
        ("rules:\n  - name: a", 4, "no limit", "10/min"),
        ("rules:\n  - name: a b\n    limit: 1/s", 4, "`a b`", "letters"),
        ("rules:\n  - {name: default, limit: 1/s}", 4, "learned limit", "another name"),
        ("rules:\n  - name: a\n    limit: 0/s", 5, "`0/s`", "at least 1"),
        ("rules:\n  - name: a\n    limit: 10/fortnight", 5, "fortnight", "2/day"),
        ("rules:\n  - name: a\n    limit: 1/s\n    cost: 3", 6, "never pass", "at least 3"),
        ("rules:\n  - name: a\n    limit: 1/s\n    burst: 0", 6, "burst of 0", "at least 1"),
        ("rules:\n  - name: a\n    match: {path: login}\n    limit: 1/s", 5, "`login`", "/login"),
        (
            "rules:\n  - name: a\n    match: {methods: [post]}\n    limit: 1/s",
            5,
            "`post`",
            "capitals",
        ),
        ("rules:\n  - name: a\n    limit: 1/s\n    max_wait: 1s", 6, "max_wait", "leaky_bucket"),
        ("rules:\n  - name: a\n    algorithm: concurrency", 4, "at once", "max: 20"),
        (
            "rules:\n  - name: a\n    algorithm: concurrency\n    max: 2\n    limit: 1/s",
            7,
            "limit",
            "token_bucket",
        ),
        ("rules:\n  - name: a\n    algorithm: luck\n    limit: 1/s", 5, "luck", "examples"),
        ("rules:\n  - name: a\n    per: planet\n    limit: 1/s", 5, "planet", "examples"),
        ("rules:\n  - name: a\n    limt: 1/s", 5, "limt", "examples"),
        ("overrides:\n  1.2.3.4: lots", 4, "`lots`", "10/min"),
        ("reputation:\n  - {file: a.txt}", 4, "neither", "hostile"),
        ("reputation:\n  - {maxmind: a.mmdb, hosting_asns: [1]}", 4, "a.mmdb", "readable"),
        ("model: nothing.model", 3, "nothing.model", "relative"),
        ("onnxruntime: /nowhere", 3, "no ONNX Runtime at /nowhere", "folder"),
        ("model: {}", 3, "neither file nor kserve", "kserve"),
        ("challenger:\n  file: a\n  kserve: {url: http://a, model: m}", 5, "both", "keep one"),
        ("challenger:\n  kserve: {url: ftp://a, model: m}", 4, "scheme", "http://"),
        ("challenger:\n  kserve:\n    url: http://a\n    model: a b", 6, "`a b`", "versions"),
        ("challenger:\n  kserve: {url: http://a, model: m, deadline: soon}", 4, "soon", "500ms"),
        ("challenger:\n  kserve: {url: http://a, model: m}\n  fresh_for: 5s", 5, "no say", "model"),
        ("model:\n  kserve: {url: http://a, model: m}\n  fresh_for: 0s", 5, "zero", "5s"),
        ("secret_env: TIDEGATE_NOT_SET", 3, "TIDEGATE_NOT_SET", "file"),
        ("rules: [", 3, "", "examples"),
        ("listen: 127.0.0.1:1", 3, "listen", "examples"),
    ] {
        let (_folder, path) = write(&format!("{PROXY}{text}\n"));
        let error = load(&path).expect_err(text);
        assert!(
            (error.line() == Some(line)) || (text == "rules: [" && error.line() >= Some(line)),
            "{text}: {error}"
        );
        assert!(error.message().contains(message), "{text}: {error}");
        assert!(error.remedy().contains(remedy), "{text}: {error}");
        assert!(error.to_string().contains("tidegate.yaml:"), "{error}");
    }
}

#[test]
fn mistakes_of_the_wire() {
    for (text, line, message) in [
        ("listen: 127.0.0.1:8080", 1, "no upstream"),
        ("upstream: http://a", 1, "listens nowhere"),
        ("listen: 8080\nupstream: http://a", 1, "`8080`"),
        ("listen: [127.0.0.1:1, here]\nupstream: http://a", 1, "`here`"),
        ("listen: []\nupstream: http://a", 1, "empty"),
        ("listen: 127.0.0.1:1\nupstream: 127.0.0.1:9000", 2, "scheme"),
        ("listen: 127.0.0.1:1\nupstream: ftp://a", 2, "scheme"),
        ("listen: 127.0.0.1:1\nupstream: http://a/b", 2, "path"),
        ("listen: 127.0.0.1:1\nupstream:\n  url: http://a\n  read_timeout: 5", 4, "`5`"),
        (
            "listen:\n  address: 127.0.0.1:1\n  tls: {cert: c, key: k}\nupstream: http://a",
            3,
            "can't be read",
        ),
        (
            "upstream: http://a\nlisten:\n  address: 0.0.0.0:1\n  proxy_protocol: true",
            4,
            "nobody that reaches 0.0.0.0:1",
        ),
        (
            "upstream: http://a\nlisten:\n  - address: 127.0.0.1:1\n    proxy_protocol: maybe",
            4,
            "maybe",
        ),
    ] {
        let (_folder, path) = write(text);
        let error = load(&path).expect_err(text);
        assert_eq!(error.line(), Some(line), "{text}: {error}");
        assert!(error.message().contains(message), "{text}: {error}");
    }
    let error = load(Path::new("/nowhere/tidegate.yaml")).unwrap_err();
    assert!(error.line().is_none() && error.to_string().contains("/nowhere/tidegate.yaml"));
}

#[test]
fn a_line_of_an_included_file_is_named() {
    let (folder, path) = write(&format!("{PROXY}deny: [{{file: bad.txt}}]\n"));
    std::fs::write(folder.path().join("bad.txt"), "# ours\n10.0.0.0/8\nten\n").unwrap();
    let error = load(&path).unwrap_err();
    assert_eq!(error.line(), Some(3));
    assert!(error.message().contains("bad.txt:3") && error.message().contains("`ten`"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let (folder, path) =
        write(&format!("{PROXY}reputation: [{{maxmind: asn.mmdb, hosting_asns: [64496]}}]\n"));
    std::fs::write(folder.path().join("asn.mmdb"), [0xab; 64]).unwrap();
    let error = load(&path).unwrap_err();
    assert_eq!(error.line(), Some(3));
    assert!(error.message().contains("asn.mmdb: not a MaxMind"), "{error}");
}

/// A MaxMind database (format 2.0) that gives IPv4 networks of 24 bits a number each.
fn asn_database(networks: &[([u8; 3], u32)]) -> Vec<u8> {
    // Data: one map a network, `{"autonomous_system_number": n}`.
    let text = |out: &mut Vec<u8>, s: &str| {
        match s.len() {
            n @ 0..29 => out.push(2 << 5 | n as u8),
            n => out.extend([2 << 5 | 29, (n - 29) as u8]),
        }
        out.extend(s.as_bytes());
    };
    let number = |out: &mut Vec<u8>, kind: u8, bytes: &[u8]| {
        out.push(kind << 5 | bytes.len() as u8);
        out.extend(bytes);
    };
    let (mut data, mut places) = (Vec::new(), Vec::new());
    for (_, asn) in networks {
        places.push(data.len());
        data.push(7 << 5 | 1);
        text(&mut data, "autonomous_system_number");
        number(&mut data, 6, &asn.to_be_bytes());
    }
    // The tree: two records of 24 bits a node; a child, a place in the data, or `None`.
    let mut nodes: Vec<[Option<Result<usize, usize>>; 2]> = vec![[None; 2]];
    for ((prefix, _), place) in networks.iter().zip(places) {
        let mut at = 0;
        for bit in 0..24 {
            let side = usize::from(prefix[bit / 8] >> (7 - bit % 8) & 1);
            if bit == 23 {
                nodes[at][side] = Some(Err(place));
            } else if let Some(Ok(child)) = nodes[at][side] {
                at = child;
            } else {
                nodes[at][side] = Some(Ok(nodes.len()));
                at = nodes.len();
                nodes.push([None; 2]);
            }
        }
    }
    let count = nodes.len();
    let mut out = Vec::new();
    for record in nodes.iter().flatten() {
        let value = match record {
            None => count,
            Some(Ok(child)) => *child,
            Some(Err(place)) => count + 16 + place,
        };
        out.extend(&(value as u32).to_be_bytes()[1..]);
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    out.push(7 << 5 | 9);
    text(&mut out, "build_epoch");
    out.extend([1, 2, 1]); // 1, in one byte, of the extended kind 9: an unsigned number of 64 bits
    text(&mut out, "languages");
    out.extend([0, 4]); // no member, of the extended kind 11: an array
    text(&mut out, "description");
    out.push(7 << 5);
    text(&mut out, "binary_format_major_version");
    number(&mut out, 5, &2u16.to_be_bytes());
    text(&mut out, "binary_format_minor_version");
    number(&mut out, 5, &0u16.to_be_bytes());
    text(&mut out, "database_type");
    text(&mut out, "GeoLite2-ASN");
    text(&mut out, "ip_version");
    number(&mut out, 5, &4u16.to_be_bytes());
    text(&mut out, "node_count");
    number(&mut out, 6, &(count as u32).to_be_bytes());
    text(&mut out, "record_size");
    number(&mut out, 5, &24u16.to_be_bytes());
    out
}

#[test]
fn networks_of_hosting_companies_come_from_a_database() {
    let (folder, path) = write(&format!(
        "{PROXY}reputation:\n  - {{maxmind: asn.mmdb, hosting_asns: [64496, 64499]}}\n  \
         - {{file: good.txt, value: good}}\n"
    ));
    let networks = [
        ([192, 0, 2], 64496),
        ([198, 51, 100], 64497),
        ([203, 0, 113], 64499),
        ([192, 0, 3], 64496),
    ];
    std::fs::write(folder.path().join("asn.mmdb"), asn_database(&networks)).unwrap();
    std::fs::write(folder.path().join("good.txt"), "192.0.3.7 # a partner\n").unwrap();
    let policy = load(&path).unwrap().policy;
    let of = |addr: &str| policy.reputation.get(addr.parse().unwrap()).copied();
    assert_eq!(
        (of("192.0.2.1"), of("192.0.2.255"), of("203.0.113.9")),
        (Some(1), Some(1), Some(1))
    );
    assert_eq!((of("198.51.100.1"), of("192.0.1.255"), of("192.0.4.0")), (None, None, None));
    assert_eq!((of("192.0.3.6"), of("192.0.3.7")), (Some(1), Some(-1)), "the longest prefix wins");
}

#[test]
fn crawlers_are_known_by_their_published_ranges_unless_told_otherwise() {
    let of = |text: &str| {
        let (_folder, path) = write(&format!("{PROXY}{text}"));
        let policy = load(&path).unwrap().policy;
        policy.reputation.get([66, 249, 66, 1].into()).copied()
    };
    assert_eq!(of(""), Some(-1));
    assert_eq!(of("known_crawlers: true\n"), Some(-1));
    assert_eq!(of("known_crawlers: false\n"), None);
}

#[test]
fn the_offending_line_is_shown() {
    let (_folder, path) =
        write(&format!("{PROXY}rules:\n  - name: a\n    limit: lots # of them\n"));
    let mut shown = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut shown, &load(&path).unwrap_err())
        .unwrap();
    assert!(shown.contains("limit: lots # of them"), "{shown}");
    assert!(shown.contains("10/min") && shown.contains("5 │"), "{shown}");
}

#[test]
fn lists_files_and_overrides_are_taken_in() {
    let (folder, path) = write(&format!(
        "{PROXY}allow: [10.0.0.0/8, {{file: ours.txt}}]\noverrides: {{1.2.3.4: unlimited, key: 9/s}}\n\
         reputation: [{{file: bad.txt, value: hostile}}, {{file: good.txt, value: good}}]\n"
    ));
    std::fs::write(folder.path().join("ours.txt"), "192.0.2.0/24 # office\n\n2001:db8::/32\n")
        .unwrap();
    std::fs::write(folder.path().join("bad.txt"), "198.51.100.0/24\n").unwrap();
    std::fs::write(folder.path().join("good.txt"), "198.51.100.7\n").unwrap();
    let resolved = load(&path).unwrap();
    assert_eq!(resolved.policy.addresses.len(), 3);
    assert_eq!(resolved.policy.reputation.get([198, 51, 100, 1].into()), Some(&2));
    assert_eq!(resolved.policy.reputation.get([198, 51, 100, 7].into()), Some(&-1));
    assert!(resolved.policy.overrides["1.2.3.4"].quota.is_none());
    assert_eq!(resolved.policy.overrides["key"].quota.unwrap().cells().get(), 9);
    assert_eq!(resolved.files.len(), 4);
}

#[test]
fn the_examples_are_good_and_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["tidegate.yaml", "literal.yaml", "pages.yaml", "api.yaml"] {
        let resolved = load(&folder.join(name)).unwrap_or_else(|e| panic!("{e}"));
        let lines = check(&resolved);
        assert!(lines.iter().any(|line| line.contains("Listens on")), "{name}: {lines:#?}");
        assert!(lines.iter().all(|line| line.ends_with('.')), "{name}: {lines:#?}");
    }
    let literal = load(&folder.join("literal.yaml")).unwrap().policy.adaptive;
    let per_minute = |quota: tidegate_limiter::Quota| (quota.cells_per_second() * 60.0).round();
    assert_eq!((literal.bands.throttle, literal.bands.block), (0.5, 0.8));
    assert_eq!(per_minute(literal.tiers.new), 20.0);
    assert_eq!(per_minute(literal.tiers.trusted), 1000.0);
    assert_eq!(per_minute(literal.tiers.risky), 5.0);
    assert_eq!(per_minute(literal.tiers.throttled), 10.0);
}

#[test]
fn the_full_example_states_the_defaults() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let written = load(&folder.join("tidegate.yaml")).unwrap();
    let address = written.listen[0].address;
    let default = config::Resolved::default_for_proxy("http://127.0.0.1:9000", address).unwrap();
    assert_eq!(check(&written), check(&default));
}

#[test]
fn what_is_written_to_the_log_is_told() {
    for (log, told) in [
        ("", "none is written"),
        ("log: {sample: 0.5}", "none is written"),
        ("log: {decisions: true}", "a line for every decision"),
        ("log: {decisions: true, sample: 0}", "every denial, and no request"),
        ("log: {decisions: true, sample: 0.25}", "every denial and 25 % of"),
    ] {
        let (_folder, path) = write(&format!("{PROXY}{log}\n"));
        let lines = check(&load(&path).unwrap());
        assert!(lines.iter().any(|line| line.contains(told)), "{log}: {lines:#?}");
    }
}

#[test]
fn the_check_warns_of_rules_that_are_never_reached() {
    let rules: String = (0..9).map(|n| format!("  - {{name: r{n}, limit: 1/s}}\n")).collect();
    let (_folder, path) = write(&format!("{PROXY}rules:\n{rules}"));
    let lines = check(&load(&path).unwrap());
    assert!(
        lines.iter().any(|line| line.starts_with("Warning: 9 rules") && line.contains("`r8`")),
        "{lines:#?}"
    );
}

#[test]
fn a_gateway_may_ask_from_where_nobody_else_can() {
    for (text, expected) in [
        ("gateway: 9902", "not an address to listen on"),
        ("gateway: 0.0.0.0:9902", "none of them is trusted"),
        ("gateway: {access_logs: []}", "nowhere to ask"),
        ("gateway: {grpc: 0.0.0.0:9904}", "none of them is trusted"),
        ("gateway: {resp: 0.0.0.0:6380}", "none of them is trusted"),
        ("gateway: {resp: 6380}", "`6380` is not an address to listen on"),
        ("gateway: {listen: 127.0.0.1:9902, access_logs: [{syslog: 514}]}", "not an address"),
        (
            "gateway: {listen: 127.0.0.1:9902, access_logs: [{syslog: 0.0.0.0:514}]}",
            "anybody could",
        ),
        ("gateway: {listen: 127.0.0.1:9902, access_logs: [{pipe: x}]}", "pipe"),
        ("gateway: {grpc: 127.0.0.1:9904, tls: {cert: c, key: k}}", "can't be read"),
        ("gateway: {grpc: 127.0.0.1:9904, tls: {cert: c}}", "key"),
        ("gateway: {grpc: 127.0.0.1:9904, tls: {cert: c, key: k, ca: x}}", "ca"),
    ] {
        let (_folder, path) = write(text);
        let message = load(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
    let (_folder, path) = write("gateway: {resp: 127.0.0.1:6380}");
    let lines = check(&load(&path).unwrap());
    assert!(lines.iter().any(|line| line.starts_with("Redis clients ask on 127.0.0.1:6380")));
    assert!(!lines.iter().any(|line| line.starts_with("Warning")), "{lines:#?}");
    let ours = crate::common::certs::Authority::new("ours");
    let (folder, path) = write("");
    ours.write(folder.path(), "ca.pem");
    ours.signs().write(folder.path(), "own");
    let files = "cert: own.pem, key: own.key.pem";
    for (tls, expected) in [
        (format!("{files}, client_ca: ca.pem"), Ok("with TLS and a certificate of their own")),
        (files.to_owned(), Err("none of them is trusted")),
        (
            format!("{files}, client_ca: own.key.pem"),
            Err("own.key.pem: no certificates of an auth"),
        ),
        ("cert: own.pem, key: own.pem".to_owned(), Err("own.pem: no private key")),
    ] {
        std::fs::write(&path, format!("gateway: {{grpc: 0.0.0.0:9904, tls: {{{tls}}}}}")).unwrap();
        match (load(&path), expected) {
            (Ok(resolved), Ok(line)) => {
                assert!(check(&resolved).iter().any(|said| said.contains(line)));
                assert_eq!(resolved.files.len(), 4, "all of them are watched");
            }
            (Err(e), Err(message)) => {
                assert!(e.line() == Some(1) && e.to_string().contains(message), "{tls}: {e}");
            }
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{tls}"),
        }
    }
    let trusted = "gateway: 0.0.0.0:9902\nidentity: {trusted_hops: [10.0.0.0/8]}";
    let (_folder, path) = write(trusted);
    let lines = check(&load(&path).unwrap());
    assert!(lines.iter().any(|line| line.starts_with("Warning: no access log")), "{lines:#?}");
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gateways/tidegate.yaml");
    let lines = check(&load(&example).unwrap());
    assert!(
        lines.iter().any(|line| line.starts_with("Gateways ask on 127.0.0.1:9902")),
        "{lines:#?}"
    );
}

#[test]
fn an_empty_file_serves_the_api_alone() {
    let (_folder, path) = write("# nothing yet\n");
    let resolved = load(&path).unwrap();
    assert!(resolved.listen.is_empty() && resolved.admin.address.ip().is_loopback());
}
