//! What the parser makes of good, odd and broken lines of every format.

use super::*;
use proptest::prelude::*;
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;
use tidegate_behavior::{Method, Outcome};
use tidegate_limiter::Timestamp;

const COMMON: &str = r#"192.0.2.7 - - [18/Jul/2023:13:44:16 +0000] "GET /a?b=c HTTP/1.1" 200 512"#;
const COMBINED: &str = r#"192.0.2.7 - ann lee [18/Jul/2023:13:44:16 +0000] "GET /a?b=c HTTP/1.1" 200 512 "https://example.org/" "curl/8.0" "#;
const ENVOY: &str = r#"[2023-07-18T13:44:16.250Z] "POST /api/v1/locations HTTP/2" 204 - 154 7 226 100 "203.0.113.9, 192.0.2.7" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.0.1:80""#;
const ALB: &str = r#"h2 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.001 0.048 0.037 200 200 34 366 "GET http://www.example.com:80/a?b=c HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1" "www.example.com" "arn" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-""#;
const JSON: &str = r#"{"time":"2023-07-18T13:44:16Z","client_ip":"192.0.2.7","user":"ann","method":"GET","path":"/a?b=c","status":200,"bytes":512,"referer":"-","user_agent":"curl","duration_ms":12.5,"payload":3,"credential":"key-1","forwarded_for":"203.0.113.9","ja4":"t13d"}"#;
const TIME: Timestamp = Timestamp::from_secs(1_689_687_856);

fn parse<'a>(format: &Format, mappings: &[&str], line: &'a str) -> Result<Record<'a>, LineError> {
    let mappings: Vec<Mapping> = mappings.iter().map(|text| text.parse().unwrap()).collect();
    Parser::new(format, &mappings).unwrap().parse_line(line.as_bytes())
}

fn custom(format: &str) -> Format {
    Format::parse(format).unwrap()
}

fn addr(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn outcome(status: u16, bytes: u64, duration: Option<Duration>) -> Option<Outcome> {
    Some(Outcome { status, bytes, duration })
}

#[test]
fn common_and_combined() {
    let record = parse(&Format::Common, &[], COMMON).unwrap();
    assert_eq!(record.time, TIME);
    assert_eq!(record.addr, addr("192.0.2.7"));
    assert_eq!((record.user, record.method, &*record.path), (None, Method::Get, "/a?b=c"));
    assert_eq!(record.outcome, outcome(200, 512, None));

    let record = parse(&Format::Combined, &[], COMBINED).unwrap();
    assert_eq!(record.user.as_deref(), Some("ann lee"));
    assert_eq!((&*record.referer, &*record.user_agent), ("https://example.org/", "curl/8.0"));
    assert!(matches!(record.path, Cow::Borrowed(_)) && matches!(record.client, Cow::Borrowed(_)));
    let request = record.request();
    assert_eq!(
        (request.time, request.user, request.user_agent),
        (TIME, Some("ann lee"), "curl/8.0")
    );
}

#[test]
fn combined_tolerates_what_servers_write() {
    let cases = [
        (
            r#"2001:db8::1 - - [18/Jul/2023:13:44:16 +0000] "HEAD / HTTP/1.0" 304 - "-" "-" 0.003"#,
            "2001:db8::1",
            addr("2001:db8::1"),
            Method::Head,
            "/",
            "",
        ),
        (
            r#"host.example - - [18/Jul/2023:13:44:16 +0000] "-" 408 - "-" "-""#,
            "host.example",
            None,
            Method::Other,
            "-",
            "",
        ),
        (
            r#"shop.example:443 192.0.2.7 - - [18/Jul/2023:13:44:16 +0000] "GET / HTTP/1.1" 200 1 "-" "x""#,
            "192.0.2.7",
            addr("192.0.2.7"),
            Method::Get,
            "/",
            "x",
        ),
        (
            r#"192.0.2.7 - - [18/Jul/2023:13:44:16 +0000] "\x16\x03\x01" 400 150 "-" "-""#,
            "192.0.2.7",
            addr("192.0.2.7"),
            Method::Other,
            "\u{16}\u{3}\u{1}",
            "",
        ),
        (
            r#"192.0.2.7 - - [18/Jul/2023:13:44:16 +0000] "quit" 400 150 "-" "-""#,
            "192.0.2.7",
            addr("192.0.2.7"),
            Method::Other,
            "quit",
            "",
        ),
        (
            r#"192.0.2.7 - - [18/Jul/2023:13:44:16 +0000] "" 400 0 "-" "a \"b\" \\""#,
            "192.0.2.7",
            addr("192.0.2.7"),
            Method::Other,
            "",
            "a \"b\" \\",
        ),
        (
            r#"192.0.2.7 - - [18/Jul/2023:13:44:16 +0000] "GET /\x22\xe4\xb8\xad" 200 0 "-" "raw "quotes" too""#,
            "192.0.2.7",
            addr("192.0.2.7"),
            Method::Get,
            "/\"中",
            "raw ",
        ),
        (
            r#"192.0.2.7 ident "" [18/Jul/2023:15:44:16 +0200] "GET / HTTP/1.1" - - "-" "x""#,
            "192.0.2.7",
            addr("192.0.2.7"),
            Method::Get,
            "/",
            "x",
        ),
    ];
    for (line, client, addr, method, path, agent) in cases {
        let record = parse(&Format::Combined, &[], line).unwrap();
        assert_eq!((&*record.client, record.addr, record.method), (client, addr, method), "{line}");
        assert_eq!(
            (&*record.path, &*record.user_agent, record.time),
            (path, agent, TIME),
            "{line}"
        );
    }
}

#[test]
fn bytes_that_are_not_utf8_are_replaced() {
    let line = COMBINED.replace("curl/8.0", "curl/\u{1}").into_bytes();
    let line: Vec<u8> = line.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    let mut parser = Parser::new(&Format::Combined, &[]).unwrap();
    assert_eq!(parser.parse_line(&line).unwrap().user_agent, "curl/\u{fffd}");
}

#[test]
fn faults_say_where() {
    let at = |line: &str| parse(&Format::Combined, &[], line).unwrap_err().to_string();
    assert_eq!(
        at(&COMBINED.replace("18/Jul", "31/Jun")),
        "byte 21: expected a date like 18/Jul/2023:13:44:16 +0000, an RFC 3339 time or epoch seconds"
    );
    assert_eq!(
        at(&COMBINED.replace(" 200 ", " 2x0 ")),
        "byte 71: expected a status code from 0 to 999, or -"
    );
    assert_eq!(at(COMMON), "byte 69: expected $body_bytes_sent and then ` \"`");
    assert_eq!(at(""), "byte 0: expected $remote_addr and then ` `");
    let json = parse(&Format::Json, &[], r#"{"time":5,"client_ip":"a","status":"bad"}"#);
    assert!(json.unwrap_err().to_string().contains("a status code"));
    let json = parse(&Format::Json, &[], r#"{"time":5,"client_ip":"#).unwrap_err().to_string();
    assert_eq!(json, "byte 21: expected valid JSON (EOF while parsing a value)");
    assert!(parse(&Format::Json, &[], r#"{"time":5}"#).unwrap_err().expected.contains("client"));
    assert!(
        parse(&Format::Json, &[], r#"{"client_ip":"a"}"#).unwrap_err().expected.contains("time")
    );
    assert_eq!(parse(&Format::Json, &[], "[1]").unwrap_err().expected, "a JSON object");
}

#[test]
fn envoy() {
    let record = parse(&Format::Envoy, &[], ENVOY).unwrap();
    assert_eq!((&*record.client, record.addr), ("192.0.2.7", addr("192.0.2.7")));
    assert_eq!(record.forwarded_for.as_deref(), Some("203.0.113.9, 192.0.2.7"));
    assert_eq!((record.method, &*record.path), (Method::Post, "/api/v1/locations"));
    assert_eq!((record.payload, &*record.user_agent), (154, "nsq2http"));
    assert_eq!(record.outcome, outcome(204, 7, Some(Duration::from_millis(226))));
    assert_eq!(record.time.nanos_since(TIME), 250_000_000);

    let unknown = ENVOY.replace("203.0.113.9, 192.0.2.7", "-");
    let record = parse(&Format::Envoy, &[], &unknown).unwrap();
    assert_eq!((&*record.client, record.addr), ("", None));
}

#[test]
fn alb() {
    let record = parse(&Format::Alb, &[], ALB).unwrap();
    assert_eq!((&*record.client, record.addr), ("192.0.2.7", addr("192.0.2.7")));
    assert_eq!((record.method, &*record.path, record.payload), (Method::Get, "/a?b=c", 34));
    assert_eq!(record.outcome, outcome(200, 366, Some(Duration::from_millis(86))));
    assert_eq!(record.time.as_secs(), 1_530_570_180);

    let unread = ALB
        .replace("GET http://www.example.com:80/a?b=c HTTP/1.1", "- http://www.example.com:80- - ")
        .replace("0.001 0.048 0.037 200 200", "-1 -1 -1 400 -");
    let record = parse(&Format::Alb, &[], &unread).unwrap();
    assert_eq!((record.method, &*record.path), (Method::Other, "/"));
    assert_eq!(record.outcome, outcome(400, 366, None));
}

#[test]
fn json_with_own_keys() {
    let record = parse(&Format::Json, &[], JSON).unwrap();
    assert_eq!((record.time, record.addr, record.payload), (TIME, addr("192.0.2.7"), 3));
    assert_eq!((record.method, &*record.path, &*record.referer), (Method::Get, "/a?b=c", ""));
    assert_eq!(record.outcome, outcome(200, 512, Some(Duration::from_micros(12_500))));
    let request = record.request();
    assert_eq!(
        (request.user, request.credential, request.ja4),
        (Some("ann"), Some("key-1"), Some("t13d"))
    );

    let least = parse(&Format::Json, &[], r#"{"time":1689687856.5,"credential":17}"#).unwrap();
    assert_eq!((least.credential.as_deref(), least.outcome), (Some("17"), None));
    assert_eq!(least.time.nanos_since(TIME), 500_000_000);
    let escaped = r#"{"time":1689687856000,"client_ip":"a","path":"\/\u00fc\"","status":null}"#;
    let escaped = parse(&Format::Json, &[], escaped).unwrap();
    assert_eq!((&*escaped.path, escaped.time, escaped.outcome), ("/ü\"", TIME, None));
}

#[test]
fn json_of_well_known_servers() {
    let caddy = r#"{"level":"info","ts":1689687856.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.0.0.1","remote_port":"4242","client_ip":"192.0.2.7","proto":"HTTP/2.0","method":"GET","host":"example.org","uri":"/a?b=c","headers":{"User-Agent":["curl/7.82.0"],"Authorization":["REDACTED"],"Accept":["*/*","x"]},"tls":{"resumed":false}},"bytes_read":4,"user_id":"","duration":0.000929675,"size":10900,"status":200,"resp_headers":{"Server":["Caddy"]}}"#;
    let traefik = r#"{"ClientAddr":"192.0.2.7:50038","ClientHost":"192.0.2.7","ClientUsername":"-","DownstreamContentSize":10900,"DownstreamStatus":200,"Duration":929675,"RequestContentSize":4,"RequestMethod":"GET","RequestPath":"/a?b=c","StartUTC":"2023-07-18T13:44:16.25Z","level":"info","request_User-Agent":"curl/7.82.0","time":"2023-07-18T15:44:17+02:00"}"#;
    let nginx = r#"{"remote_addr":"192.0.2.7","remote_user":"","time_iso8601":"2023-07-18T13:44:16.250+00:00","request_method":"GET","request_uri":"/a?b=c","request":"GET /ignored HTTP/1.1","status":"200","body_bytes_sent":"10900","request_time":"0.000929675","request_length":"4","http_user_agent":"curl/7.82.0"}"#;
    for line in [caddy, traefik, nginx] {
        let record = parse(&Format::Json, &[], line).unwrap();
        assert_eq!(record.addr, addr("192.0.2.7"), "{line}");
        assert_eq!((record.method, &*record.path), (Method::Get, "/a?b=c"), "{line}");
        assert_eq!((&*record.user_agent, record.payload), ("curl/7.82.0", 4), "{line}");
        assert_eq!(
            record.outcome,
            outcome(200, 10_900, Some(Duration::from_nanos(929_675))),
            "{line}"
        );
        assert_eq!(
            (record.time.nanos_since(TIME), record.user, record.credential),
            (250_000_000, None, None),
            "{line}"
        );
    }
    let envoy = r#"{"start_time":"2023-07-18T13:44:16.250Z","downstream_remote_address":"[2001:db8::1]:7000","method":"GET","path":"/a","response_code":503,"bytes_sent":91,"bytes_received":0,"duration":12,"x_forwarded_for":"192.0.2.7","user_agent":null}"#;
    let record = parse(&Format::Json, &[], envoy).unwrap();
    assert_eq!(
        (&*record.client, record.forwarded_for.as_deref()),
        ("2001:db8::1", Some("192.0.2.7"))
    );
    assert_eq!(record.outcome, outcome(503, 91, Some(Duration::from_millis(12))));
}

#[test]
fn mappings() {
    let line = r#"{"when":1689687856,"http":{"remote":{"addr":"192.0.2.7"}},"net.took":3,"client_ip":"10.0.0.1","request":"PUT /x HTTP/1.1"}"#;
    let maps = ["time=when", "client_ip=http.remote.addr", "duration_us=net.took"];
    let record = parse(&Format::Json, &maps, line).unwrap();
    assert_eq!((record.time, &*record.client), (TIME, "192.0.2.7"));
    assert_eq!((record.method, &*record.path), (Method::Put, "/x"));
    assert_eq!(record.outcome, outcome(0, 0, Some(Duration::from_micros(3))));

    let format = custom("$remote_addr $http_cf_connecting_ip [$time_local]");
    let line = "10.0.0.1 192.0.2.7 [18/Jul/2023:13:44:16 +0000]";
    let record = parse(&format, &["client_ip=$http_cf_connecting_ip"], line).unwrap();
    assert_eq!(record.client, "192.0.2.7");

    let unknown = "client=x".parse::<Mapping>().unwrap_err().to_string();
    assert!(
        unknown.contains("unknown key `client`") && unknown.contains("client_ip, user,"),
        "{unknown}"
    );
    assert!(matches!("client_ip".parse::<Mapping>(), Err(FormatError::Mapping(_))));
    let nowhere =
        Parser::new(&format, &["user=cookie_x".parse().unwrap()]).unwrap_err().to_string();
    assert_eq!(
        nowhere,
        "cannot map user: the format has no variable $cookie_x; it has $remote_addr, $http_cf_connecting_ip, $time_local"
    );
}

#[test]
fn log_format_strings() {
    let format = custom(
        r#"$host ${msec} $remote_addr,$http_x_forwarded_for; $request_method $uri$is_args$args "$http_user_agent" $status:$bytes_sent:$request_length key=$http_x_api_key $http_x_ja4 $upstream $request_time"#,
    );
    let line = r#"example.org 1689687856.250 192.0.2.7,203.0.113.9, 10.0.0.1; GET /a?b=c "x \" y" 200:9:81 key=k-1 t13d - 0.125"#;
    let record = parse(&format, &[], line).unwrap();
    assert_eq!(
        (&*record.client, record.forwarded_for.as_deref()),
        ("192.0.2.7", Some("203.0.113.9, 10.0.0.1"))
    );
    assert_eq!(
        (record.method, &*record.path, &*record.user_agent),
        (Method::Get, "/a?b=c", "x \" y")
    );
    assert_eq!(
        (record.credential.as_deref(), record.ja4.as_deref(), record.payload),
        (Some("k-1"), Some("t13d"), 81)
    );
    assert_eq!(record.outcome, outcome(200, 9, Some(Duration::from_millis(125))));
    assert_eq!(record.time.nanos_since(TIME), 250_000_000);

    let split = custom("$time_iso8601|$remote_addr|$uri|$args");
    let line = "2023-07-18T13:44:16+00:00|192.0.2.7|/a|b=c";
    assert_eq!(parse(&split, &[], line).unwrap().path, "/a?b=c");
    assert_eq!(parse(&split, &[], &line.replace("b=c", "-")).unwrap().path, "/a");
    let both = custom("$time_iso8601|$remote_addr|$uri|$request|$args");
    let line = "2023-07-18T13:44:16+00:00|192.0.2.7|/index.php|GET /a?b=c HTTP/1.1|b=c";
    assert_eq!(parse(&both, &[], line).unwrap().path, "/a?b=c");
}

#[test]
fn faulty_log_format_strings() {
    let fault = |format| Format::parse(format).unwrap_err().to_string();
    assert_eq!(
        fault("$remote_addr$status [$time_local]"),
        "log_format, byte 12: no text between $remote_addr and the next variable: their values can't be told apart; put a separator between them"
    );
    assert_eq!(
        fault("$remote_addr [$] x"),
        "log_format, byte 14: expected a variable name after `$`"
    );
    assert_eq!(fault("${remote_addr"), "log_format, byte 0: expected a variable name after `$`");
    assert!(fault("apache").contains("unknown log format `apache`"));
    let missing = |format| Parser::new(&custom(format), &[]).unwrap_err().to_string();
    assert!(missing("$remote_addr $status").starts_with("the log format has no time"));
    assert!(missing("[$time_local] $status").starts_with("the log format has no client"));
}

#[test]
fn a_megabyte_of_anything_ends_soon() {
    let seeds =
        ["\"", "\\", "\\\"", " ", "[", "{\"a\":", "\0", ",", ":", "é", "1", "{\"time\":[", "\" "];
    for (mut parser, line) in specimens() {
        for seed in seeds {
            let trash = seed.repeat((1 << 20) / seed.len());
            let _ = parser.parse_line(trash.as_bytes());
            let at = line.len() / 2;
            let _ = parser.parse_line([&line[..at], &trash, &line[at..]].concat().as_bytes());
        }
    }
    let line = r#"{"time":1e300,"client_ip":"a"}"#;
    assert!(parse(&Format::Json, &[], line).unwrap_err().expected.contains("epoch seconds"));
    let line = r#"{"time":1,"client_ip":"a","bytes":1e300,"duration_s":1e300,"status":-4}"#;
    let expected = outcome(0, u64::MAX, Some(Duration::from_nanos(u64::MAX)));
    assert_eq!(parse(&Format::Json, &[], line).unwrap().outcome, expected);
}

#[test]
fn names_round_trip() {
    for (name, format) in NAMED {
        assert_eq!(Format::parse(name).as_ref(), Ok(&format));
        assert_eq!(format.to_string(), name);
    }
}

#[test]
fn detection() {
    let cases = [
        (COMMON, Format::Common),
        (COMBINED, Format::Combined),
        (ENVOY, Format::Envoy),
        (ALB, Format::Alb),
        (JSON, Format::Json),
    ];
    for (line, format) in cases {
        let sample = [b"".as_slice(), line.as_bytes(), b"trash", line.as_bytes()];
        assert_eq!(detect(&sample), Ok(format.clone()));
        assert_eq!(Format::choose("auto", &sample), Ok(format));
    }
    assert_eq!(Format::choose("alb", &[]), Ok(Format::Alb));
    assert_eq!(detect(&[b" "]), Err(FormatError::EmptySample));
    let error = detect(&[b"Jul 18 host kernel: \x1b[31m"]).unwrap_err().to_string();
    assert!(error.contains("line: Jul 18 host kernel: \\u{1b}[31m"), "{error}");
    assert!(error.contains("json: byte 0: expected a JSON object"), "{error}");
}

/// Every format with a line of it.
fn specimens() -> Vec<(Parser, &'static str)> {
    let custom =
        custom(r#"$msec "$request" $http_referer $remote_addr,$request_time $http_user_agent"#);
    let line = r#"1689687856.250 "GET /a HTTP/1.1" - 192.0.2.7,0.5 curl \x22 8"#;
    [
        (Format::Common, COMMON),
        (Format::Combined, COMBINED),
        (Format::Envoy, ENVOY),
        (Format::Alb, ALB),
        (Format::Json, JSON),
        (custom, line),
    ]
    .map(|(format, line)| (Parser::new(&format, &[]).unwrap(), line))
    .into()
}

/// Writes a text as Apache does between quotes.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            0x20..=0x7e => out.push(char::from(byte)),
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// A record that any of the formats can carry.
fn records() -> impl Strategy<Value = Record<'static>> {
    let method = prop::sample::select(vec![
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
        Method::Options,
    ]);
    let text = "[^-]\\PC{0,30}|[ -~\\n]{2,20}|";
    let target = "/[!-~ü]{0,30}";
    (0_u64..4_000_000_000, any::<IpAddr>(), method, target, text, text, 0_u16..1000, any::<u32>())
        .prop_map(|(time, addr, method, path, referer, user_agent, status, bytes)| Record {
            time: Timestamp::from_secs(time),
            addr: Some(addr.to_canonical()),
            client: addr.to_string().into(),
            user: None,
            credential: None,
            method,
            path: path.into(),
            referer: referer.into(),
            user_agent: user_agent.into(),
            payload: 0,
            outcome: outcome(status, bytes.into(), None),
            forwarded_for: None,
            ja4: None,
        })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(line in prop::collection::vec(any::<u8>(), 0..300)) {
        for (mut parser, _) in specimens() {
            let _ = parser.parse_line(&line);
        }
    }

    #[test]
    fn mutated_lines_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6),
        cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        for (mut parser, line) in specimens() {
            let mut line = line.as_bytes().to_vec();
            for (index, byte, edit) in &edits {
                let at = index.index(line.len());
                match edit {
                    0 => line[at] = *byte,
                    1 => line.insert(at, *byte),
                    _ => { line.remove(at); }
                }
            }
            if truncate { line.truncate(cut.index(line.len())); }
            if let Err(error) = parser.parse_line(&line) {
                prop_assert!(error.offset <= String::from_utf8_lossy(&line).len());
            }
        }
    }

    #[test]
    fn combined_round_trips(record in records(), zone in -23_i64..=23) {
        prop_assume!(record.time.as_secs() > 86_400);
        let local = Timestamp::from_secs(record.time.as_secs().saturating_add_signed(zone * 3600));
        let sign = if zone < 0 { '-' } else { '+' };
        let outcome = record.outcome.unwrap_or_default();
        let line = format!(
            "{} - - [{} {sign}{:02}00] \"{} {} HTTP/1.1\" {} {} \"{}\" \"{}\"",
            record.client, clf(local), zone.abs(), record.method.name(), escape(&record.path),
            outcome.status, outcome.bytes, escape(dash(&record.referer)),
            escape(dash(&record.user_agent)),
        );
        let mut parser = Parser::new(&Format::Combined, &[]).unwrap();
        prop_assert_eq!(parser.parse_line(line.as_bytes()), Ok(record));
    }

    #[test]
    fn json_round_trips(record in records(), millis in any::<u32>(), payload in any::<u64>()) {
        let duration = Some(Duration::from_millis(millis.into()));
        let outcome = record.outcome.map(|outcome| Outcome { duration, ..outcome });
        let record = Record { outcome, payload, ..record };
        let outcome = outcome.unwrap_or_default();
        let line = serde_json::json!({
            "time": record.time.as_secs(), "client_ip": &*record.client,
            "method": record.method.name(), "path": &*record.path, "referer": &*record.referer,
            "user_agent": &*record.user_agent, "status": outcome.status, "bytes": outcome.bytes,
            "duration_ms": millis, "payload": payload, "extra": {"status": [1, {"bytes": 2}]},
        });
        let line = line.to_string();
        let mut parser = Parser::new(&Format::Json, &[]).unwrap();
        prop_assert_eq!(parser.parse_line(line.as_bytes()), Ok(record));
    }

    #[test]
    fn envoy_and_alb_round_trip(record in records(), millis in any::<u16>(), payload in any::<u32>()) {
        let outcome = record.outcome.map(|outcome| Outcome {
            duration: Some(Duration::from_millis(millis.into())),
            ..outcome
        });
        let record = Record { outcome, payload: payload.into(), referer: "".into(), ..record };
        let outcome = outcome.unwrap_or_default();
        let agent = escape(dash(&record.user_agent));
        let (method, path, client) = (record.method.name(), escape(&record.path), &record.client);
        let (status, bytes) = (outcome.status, outcome.bytes);
        let time = format!("{}.000000Z", rfc3339(record.time));

        let line = format!(
            "[{time}] \"{method} {path} HTTP/2\" {status} - {payload} {bytes} {millis} - \"{client}\" \"{agent}\" \"-\" \"-\" \"-\"",
        );
        let mut parser = Parser::new(&Format::Envoy, &[]).unwrap();
        let forwarded = Record { forwarded_for: Some(record.client.clone()), ..record.clone() };
        prop_assert_eq!(parser.parse_line(line.as_bytes()), Ok(forwarded));

        let host = if client.contains(':') { format!("[{client}]") } else { client.to_string() };
        let line = format!(
            "https {time} app/x {host}:4242 - 0.000 {}.{:03} 0.000 {status} - {payload} {bytes} \"{method} https://a.example:443{path} HTTP/2.0\" \"{agent}\" - - -",
            millis / 1000, millis % 1000,
        );
        let mut parser = Parser::new(&Format::Alb, &[]).unwrap();
        prop_assert_eq!(parser.parse_line(line.as_bytes()), Ok(record));
    }
}

/// Year, month and day of a time, by walking the calendar.
fn civil(time: Timestamp) -> (u64, usize, u64) {
    let (mut day, mut year) = (time.as_secs() / 86_400, 1970);
    let leap = |y: u64| (y.is_multiple_of(4) && !y.is_multiple_of(100)) || y.is_multiple_of(400);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    (year, month, day + 1)
}

fn clock(time: Timestamp) -> String {
    let second = time.as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

fn clf(time: Timestamp) -> String {
    let (year, month, day) = civil(time);
    let names =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    format!("{day:02}/{}/{year}:{}", names[month], clock(time))
}

fn rfc3339(time: Timestamp) -> String {
    let (year, month, day) = civil(time);
    format!("{year}-{:02}-{day:02}T{}", month + 1, clock(time))
}
