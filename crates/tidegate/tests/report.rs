//! `tidegate replay --report` as a user runs it: what the three forms say, and that the page is one
//! sound file that asks nobody for anything.

use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// What a page of any log may weigh, in bytes.
const HEAVIEST: usize = 300_000;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }

    fn names(&self) -> HashSet<PathBuf> {
        let entries = std::fs::read_dir(self.0.path()).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn tidegate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate")).args(args).output().expect("tidegate runs")
}

fn ok(args: &[&str]) -> String {
    let output = tidegate(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn fails(args: &[&str]) -> String {
    let output = tidegate(args);
    assert!(!output.status.success(), "{args:?} must fail");
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn thin(n: &Value) -> String {
    let digits = n.as_u64().expect("a count").to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join("\u{202f}")
}

/// An element, or the text between two.
enum Piece<'a> {
    Open(&'a str, Vec<(&'a str, &'a str)>),
    Close(&'a str),
    Text(&'a str),
}

/// Takes a page apart, and panics at whatever a browser would have to guess about.
fn pieces(page: &str) -> Vec<Piece<'_>> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let at = rest.find('<').unwrap_or(rest.len());
        let (text, tag) = rest.split_at(at);
        assert!(!text.contains('>'), "a stray > in {text:?}");
        for after in text.split('&').skip(1) {
            let (name, _) =
                after.split_once(';').unwrap_or_else(|| panic!("a stray & in {text:?}"));
            assert!(["amp", "lt", "gt", "quot"].contains(&name), "&{name}; in {text:?}");
        }
        pieces.push(Piece::Text(text));
        let Some(tag) = tag.strip_prefix('<') else { break };
        let (inside, after) = tag.split_once('>').expect("an end of a tag");
        if let Some(name) = inside.strip_prefix('/') {
            pieces.push(Piece::Close(name));
            rest = after;
            continue;
        }
        let (name, mut attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "the tag {inside:?}");
        let mut found = Vec::new();
        while !attributes.is_empty() {
            let (key, value) = attributes.split_once("=\"").expect("a quoted value");
            let (value, next) = value.split_once('"').expect("an end of a value");
            assert!(key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-'), "{key:?}");
            assert!(
                !value.contains('<') && found.iter().all(|(known, _)| *known != key),
                "{inside:?}"
            );
            found.push((key, value));
            attributes = next.strip_prefix(' ').unwrap_or(next);
        }
        pieces.push(Piece::Open(name, found));
        // The text of a style sheet ends with its tag alone.
        rest = match name {
            "style" => {
                let (style, _) = after.split_once("</style").expect("an end of the style sheet");
                pieces.push(Piece::Text(""));
                after.get(style.len()..).expect("a tag")
            }
            _ => after,
        };
    }
    pieces
}

/// Checks that a page is well-formed, stands on its own and can be read without seeing it.
fn check(page: &str) {
    const VOID: [&str; 3] = ["meta", "br", "link"];
    assert!(page.len() <= HEAVIEST, "{} bytes", page.len());
    let (mut open, mut seen, mut ids, mut links) =
        (Vec::new(), Vec::new(), HashSet::new(), Vec::new());
    for piece in pieces(page) {
        match piece {
            Piece::Text(text) => assert!(
                !text.chars().any(|c| c.is_control() && c != '\n'),
                "a control character in {text:?}"
            ),
            Piece::Close(name) => assert_eq!(open.pop(), Some(name), "closed out of turn"),
            Piece::Open(name, attributes) => {
                let of = |key| attributes.iter().find(|(name, _)| *name == key).map(|(_, v)| *v);
                for (key, value) in &attributes {
                    assert!(!key.starts_with("on"), "{key} on {name}");
                    assert!(!["src", "srcset", "style", "action", "data"].contains(key), "{key}");
                    if *key == "id" {
                        assert!(ids.insert(*value), "the id {value} stands twice");
                    }
                    if *key == "href" {
                        links.push(value.strip_prefix('#').expect("a link within the page"));
                    }
                }
                if name == "th" {
                    assert!(["row", "col"].contains(&of("scope").expect("a scope")));
                }
                if of("role") == Some("img") {
                    assert!(!of("aria-label").expect("words for an image").is_empty());
                }
                if name == "section" {
                    links.push(of("aria-labelledby").expect("a heading"));
                }
                assert!(
                    !["script", "iframe", "object", "embed", "img", "base", "form"].contains(&name)
                );
                if !VOID.contains(&name) {
                    open.push(name);
                }
                // A part of a chart may have a title too.
                if name != "title" || !open.contains(&"svg") {
                    seen.push(name);
                }
            }
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    for link in links {
        assert!(ids.contains(link), "#{link} leads nowhere");
    }
    for name in ["html", "head", "title", "body", "header", "nav", "main", "footer", "h1"] {
        assert_eq!(seen.iter().filter(|it| **it == name).count(), 1, "{name}");
    }
    assert!(page.contains("<html lang=\"en\">") && page.contains("Content-Security-Policy"));
    for outside in ["url(", "@import", "javascript:"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for needed in ["prefers-color-scheme: dark", "@media print", "name=\"viewport\""] {
        assert!(page.contains(needed), "{needed}");
    }
}

#[test]
fn the_three_forms_say_the_same_and_repeat_byte_by_byte() {
    let folder = Folder::new();
    ok(&[
        "simulate",
        "--scenario",
        "mixed",
        "--seed",
        "7",
        "--minutes",
        "4",
        "--out",
        &folder.path(""),
    ]);
    let (log, labels) = (folder.path("traffic.jsonl"), folder.path("labels.csv"));
    let run = |name: &str| {
        let [page, text, json] =
            ["html", "md", "json"].map(|form| folder.path(&format!("{name}.{form}")));
        let reports = ["--report", &page, "--report", &text, "--report", &json];
        let said = ok(&[&["replay", &log, "--labels", &labels], &reports[..]].concat());
        assert!(said.contains(&format!("The report is in {page}")), "{said}");
        ["html", "md", "json"].map(|form| folder.read(&format!("{name}.{form}")))
    };
    let [page, text, json] = run("a");
    assert!([&page, &text, &json] == run("b").each_ref(), "two runs of one log differ");
    check(&page);

    let found: Value = serde_json::from_str(&json).expect("JSON");
    let array = |key: &str| found[key].as_array().expect(key).clone();
    let sum = |values: &Value| {
        values.as_array().expect("counts").iter().filter_map(Value::as_u64).sum::<u64>()
    };
    assert_eq!(found["lines"], found["requests"]);
    assert_eq!(Some(sum(&found["timeline"]["requests"])), found["requests"].as_u64());
    assert_eq!(Some(sum(&found["timeline"]["denied"])), found["denied"].as_u64());
    let of = |key: &str, field: &str| -> u64 {
        array(key).iter().filter_map(|row| row[field].as_u64()).sum()
    };
    assert_eq!(Some(of("risk", "clients")), found["clients"].as_u64());
    assert_eq!(Some(of("risk", "requests")), found["requests"].as_u64());
    assert!(of("groups", "denied") <= found["denied"].as_u64().expect("a count"));
    assert_eq!(found["policy"]["tiers"][1]["limit_per_min"], 1200.0);
    let denied = array("most_denied");
    assert!(!denied.is_empty() && !array("groups").is_empty() && !array("routes").is_empty());
    for row in &denied {
        assert_eq!(sum(&row["timeline"]["requests"]), row["requests"], "{row}");
        assert_eq!(sum(&row["timeline"]["denied"]), row["denied"], "{row}");
        assert!(row["first_denied"].as_str() <= row["last_denied"].as_str());
        assert!(!row["routes"].as_array().expect("routes").is_empty());
    }
    for row in array("fixed") {
        let parts = ["denied_of_denied_clients", "denied_of_spared_clients"];
        let parts = parts.map(|key| row[key].as_u64().expect(key));
        assert_eq!(Some(parts[0] + parts[1]), row["denied"].as_u64(), "{row}");
    }

    let first = denied[0]["client"].as_str().expect("a name");
    let headline = format!(
        "Tidegate would have denied {} of {} requests",
        thin(&found["denied"]),
        thin(&found["requests"])
    );
    for form in [&page, &text] {
        for part in [
            headline.as_str(),
            first,
            &thin(&denied[0]["denied"]),
            "would have noticed nothing",
            "Incidents",
            "A fixed limit instead",
            "Against the labels",
            "recall",
            "What to do next",
            &format!("tidegate explain --client {first} "),
            "throttled to 10/min",
        ] {
            assert!(form.to_lowercase().contains(&part.to_lowercase()), "`{part}` is missing");
        }
    }
    assert_eq!(page.matches("<tbody role=\"rowgroup\">").count(), denied.len());
    assert_eq!(page.matches("class=\"little\"").count(), denied.len());
}

#[test]
fn what_a_log_holds_stays_text() {
    let folder = Folder::new();
    let mut log = String::new();
    let bad = [
        "/<script>alert(1)</script>",
        "/\\\"onmouseover=alert(1)//",
        "/a|b`c`&lt;&amp;",
        "/\u{202e}gpj.exe",
        "/]](javascript:alert(1))",
    ];
    for n in 0..4000u32 {
        let path = bad[n as usize % bad.len()];
        let line = serde_json::json!({
            "time": format!("2024-05-01T10:00:{:02}.{:03}Z", n / 400, n % 400 * 2),
            "client_ip": "\"><img src=x onerror=alert(1)>;$(reboot)",
            "method": "GET",
            "path": format!("{path}{}", n / 5),
            "status": 404,
            "user_agent": "</td></style><script src=//evil.example/x.js></script>\u{1b}[31m",
        });
        writeln!(log, "{line}").expect("a string");
    }
    log += "<script>not a line</script>\n";
    let log = folder.write("a<b>&c.log", &log);
    let names = ["r.html", "r.md", "r.json"].map(|name| folder.path(name));
    ok(&[
        "replay", "--format", "json", &log, "--report", &names[0], "--report", &names[1],
        "--report", &names[2],
    ]);
    let page = folder.read("r.html");
    check(&page);
    assert!(
        page.contains("onerror=alert(1)&gt;") && page.contains("a&lt;b&gt;&amp;c.log"),
        "shown as text"
    );
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));
    assert!(page.contains("tidegate explain --client CLIENT "), "no command is made of a name");
    let text = folder.read("r.md");
    assert!(text.contains("--client CLIENT "), "{text}");
    // Outside of code spans there is no tag and no link.
    for line in text.lines().filter(|line| !line.starts_with("tidegate ")) {
        let outside: String = line.split('`').step_by(2).collect();
        let tags = outside.replace("\\<", "").replace("\\[", "");
        assert!(!tags.contains('<') && !tags.contains('['), "{line}");
    }
    let found: Value = serde_json::from_str(&folder.read("r.json")).expect("JSON");
    assert_eq!(found["unparsable"], 1);
    assert_eq!(found["clients_denied"], 1);
}

#[test]
fn many_clients_make_no_heavier_page() {
    let folder = Folder::new();
    let mut log = String::new();
    let long = "long-".repeat(60);
    for n in 0..50_000u32 {
        let (second, [_, a, b, c]) = (n / 100, n.to_be_bytes());
        let clock = format!("18/Jul/2023:13:{:02}:{:02} +0000", second / 60, second % 60);
        writeln!(
            log,
            "10.{a}.{b}.{c} - - [{clock}] \"GET /page/{} HTTP/1.1\" 200 4321 \"-\" \"{long}{}\"",
            n % 500,
            n % 7
        )
        .expect("a string");
        if n % 10 == 0 {
            writeln!(
                log,
                "198.51.{}.9 - - [{clock}] \"GET /{long}{n}.php HTTP/1.1\" 404 0 \"-\" \"{long}\"",
                n / 10 % 100
            )
            .expect("a string");
        }
    }
    let log = folder.write("access.log", &log);
    let page = folder.path("r.html");
    let config = folder.write("tidegate.yaml", "deny: [198.51.0.0/16]\n");
    let said = ok(&["replay", "--json", &log, "--config", &config, "--report", &page]);
    let found: Value = serde_json::from_str(&said).expect("JSON alone");
    let of = |key: &str| found[key].as_u64().expect(key);
    let [clients, denied] = ["clients", "clients_denied"].map(of);
    assert!(clients == 50_100 && denied >= 100, "{denied} of {clients} clients denied");
    let page = folder.read("r.html");
    check(&page);
    assert_eq!(page.matches("class=\"little\"").count(), 50);
    assert!(page.contains("The 50 clients denied most often"));
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_log_is_read() {
    let folder = Folder::new();
    let log = folder
        .write("a.log", "192.0.2.1 - - [18/Jul/2023:13:44:16 +0000] \"GET / HTTP/1.1\" 200 5\n");
    let before = folder.names();
    let error = fails(&["replay", &log, "--report", &folder.path("r.pdf")]);
    assert!(error.contains("r.pdf") && error.contains(".html, .md or .json"), "{error}");
    let error = fails(&["replay", "/no/such.log", "--report", &folder.path("none/r.html")]);
    assert!(error.contains("there is no folder") && error.contains("none"), "{error}");
    assert_eq!(folder.names(), before, "nothing is left behind");

    std::fs::create_dir(folder.path("taken.html")).expect("a folder");
    let error = fails(&["replay", &log, "--report", &folder.path("taken.html")]);
    assert!(error.contains("cannot write the report") && error.contains("taken.html"), "{error}");

    let page = folder.write("r.html", "an old report");
    ok(&["replay", &log, "--report", &page]);
    let page = folder.read("r.html");
    check(&page);
    assert!(page.contains("The only client would have noticed nothing."), "{page}");
    assert!(!folder.names().iter().any(|name| name.extension().is_some_and(|it| it == "new")));
}
