//! `tidegate replay` and `explain` as a user runs them: logs in, decisions and reports out.

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn tidegate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate")).args(args).output().expect("tidegate runs")
}

fn ok(args: &[&str]) -> String {
    let output = tidegate(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    assert_eq!(errors, "", "no progress bar where there is no terminal");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn fails(args: &[&str]) -> String {
    let output = tidegate(args);
    assert!(!output.status.success(), "{args:?} must fail");
    // Long messages are wrapped to the width of a terminal, behind a bar.
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn report(args: &[&str]) -> Value {
    serde_json::from_str(&ok(&[&["replay", "--json"], args].concat())).expect("JSON")
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("written");
        text(&path)
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn decisions(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("decisions");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

const SCANNER: &str = "198.51.100.9";

/// Three minutes of a site that thirty visitors read, and a scanner that asks for `pace` things a
/// second in the last of them.
fn combined(pace: u64) -> String {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
                          (KHTML, like Gecko) Version/17.4 Safari/605.1.15";
    let mut log = String::new();
    for second in 0..180 {
        let clock = format!("18/Jul/2023:13:{:02}:{:02} +0000", 44 + second / 60, second % 60);
        let mut line = |addr: &str, path: &str, status: u16, referer: &str, agent: &str| {
            writeln!(
                log,
                "{addr} - - [{clock}] \"GET {path} HTTP/1.1\" {status} 4321 \"{referer}\" \"{agent}\""
            )
            .expect("a string");
        };
        let visitor = second * 7 % 30;
        let addr = format!("192.0.2.{}", 10 + visitor);
        let agent = if visitor % 2 == 0 { FIREFOX } else { SAFARI };
        let page = format!("/article/{}", second * 13 % 25);
        line(&addr, &page, 200, "-", agent);
        for asset in ["/static/site.css", "/static/site.js", "/static/logo.png"] {
            line(&addr, asset, 200, &page, agent);
        }
        for n in (0..pace).filter(|_| second >= 120) {
            line(SCANNER, &format!("/wp-{second}-{n}.php"), 404, "-", "python-requests/2.31");
        }
    }
    log
}

/// Lines of [`combined`] that are not the scanner's.
const READ: u64 = 720;

#[test]
fn a_flood_is_denied_and_a_visitor_is_not() {
    let folder = Folder::new();
    let log = folder.write("access.log", combined(30));
    let found = report(&[&log]);
    assert_eq!(found["format"], "combined");
    assert_eq!(found["requests"], READ + 1800);
    assert_eq!(found["clients"], 31);
    assert_eq!(found["from"], "2023-07-18T13:44:00Z");
    assert_eq!(found["span_seconds"], 179);
    let denied = found["most_denied"].as_array().expect("rows");
    assert_eq!(denied.len(), 1, "{found:#}");
    assert_eq!(denied[0]["client"], SCANNER);
    assert!(denied[0]["denied"].as_u64() > Some(1600), "{found:#}");
    assert!(!denied[0]["why"].as_array().expect("reasons").is_empty());
    assert_eq!(found["denied"], denied[0]["denied"]);
    let fixed = found["fixed"].as_array().expect("rows");
    let fixed = fixed.iter().find(|row| row["limit_per_min"] == 60).expect("60 a minute");
    assert_eq!((fixed["clients"].as_u64(), fixed["denied_harmless"].as_u64()), (Some(1), Some(0)));
    let denied = fixed["denied"].as_u64().expect("a count");
    assert!((1680..=1740).contains(&denied), "a minute of 30 a second against 60: {denied}");

    let text = ok(&["replay", &log]);
    for part in ["2520 requests of 31 clients", SCANNER, "limit/min", "combined"] {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour where there is no terminal");
}

#[test]
fn decisions_are_written_in_order_and_repeat_byte_by_byte() {
    let folder = Folder::new();
    let log = folder.write("access.log", combined(20));
    let (one, two) = (folder.path("1.jsonl"), folder.path("2.jsonl"));
    let stripped = |args: &[&str]| {
        let mut found = report(args);
        let fields = found.as_object_mut().expect("an object");
        assert!(fields.remove("seconds").is_some() && fields.remove("lines_per_second").is_some());
        found.to_string()
    };
    let first = stripped(&[&log, "--decisions", &text(&one)]);
    assert_eq!(first, stripped(&[&log, "--decisions", &text(&two)]));
    let bytes = |path| std::fs::read(path).expect("decisions");
    assert!(bytes(&one) == bytes(&two), "two runs of one log differ");

    let rows = decisions(&one);
    assert_eq!(rows.len() as u64, READ + 1200);
    for (line, row) in (1u64..).zip(&rows) {
        assert_eq!(row["line"], line);
        let action = row["action"].as_str().expect("an action");
        assert!(["allow", "raise", "throttle", "block", "degrade"].contains(&action));
        assert!((0.0..=1.0).contains(&row["risk"].as_f64().expect("a risk")));
        assert!(row["anomaly"].is_null() || row["anomaly"].is_f64());
        assert!(row["limit_per_min"].is_number() && row["rule"].is_string());
        let allowed = row["allowed"].as_bool().expect("a verdict");
        let mild = ["allow", "raise"].contains(&action);
        let reasons = row["reasons"].as_array().expect("reasons");
        assert_eq!(reasons.is_empty(), allowed && mild, "{row}");
        assert_eq!(row.as_object().expect("an object").len(), 10, "{row}");
    }
    assert_eq!(rows[0]["time"], "2023-07-18T13:44:00Z");
    assert_eq!(rows[0]["client"], "192.0.2.10");
    assert!(rows.iter().any(|row| row["allowed"] == false));
}

#[test]
fn the_last_response_changes_no_decision() {
    let folder = Folder::new();
    let of = |status: u16, bytes: u64, seconds: f64| {
        let mut log = String::new();
        for i in 0..400 {
            let (status, bytes, seconds) =
                if i == 399 { (status, bytes, seconds) } else { (404, 90, 0.1) };
            writeln!(
                log,
                r#"{{"time":"2024-05-01T10:00:{:02}.{:03}Z","client_ip":"192.0.2.{}","method":"GET","path":"/x/{i}","status":{status},"bytes":{bytes},"duration_s":{seconds}}}"#,
                i / 20, i % 20 * 50, i % 3
            )
            .expect("a string");
        }
        let name = format!("{status}.log");
        let log = folder.write(&name, log);
        let out = folder.path(&format!("{name}.jsonl"));
        ok(&["replay", &log, "--decisions", &text(&out)]);
        std::fs::read_to_string(out).expect("decisions")
    };
    let usual = of(404, 90, 0.1);
    assert_eq!(usual.lines().count(), 400);
    assert!(usual == of(200, 1_000_000, 0.0) && usual == of(503, 0, 59.5));
}

#[test]
fn compressed_logs_several_files_and_standard_input_say_the_same() {
    let folder = Folder::new();
    let log = combined(10);
    let plain = folder.write("a.log", &log);
    let expected = report(&[&plain])["denied"].clone();

    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(log.as_bytes()).expect("compressed");
    let gz = folder.write("a.log.gz", gz.finish().expect("compressed"));
    assert_eq!(report(&[&gz])["denied"], expected);

    let (head, tail) = log.split_at(log.match_indices('\n').nth(299).expect("a line").0 + 1);
    let (head, tail) = (folder.write("1.log", head), folder.write("2.log", tail));
    let out = folder.path("d.jsonl");
    assert_eq!(report(&[&head, &tail, "--decisions", &text(&out)])["denied"], expected);
    let lines: Vec<_> = decisions(&out).iter().map(|row| row["line"].as_u64()).collect();
    assert_eq!(lines, (1..=READ + 600).map(Some).collect::<Vec<_>>(), "lines count over all files");

    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["replay", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tidegate runs");
    child.stdin.take().expect("a pipe").write_all(log.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an end");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["denied"], expected);
}

#[test]
fn json_hosts_and_mapped_keys_are_read() {
    let folder = Folder::new();
    let log = folder.write(
        "a.json",
        "{\"when\":\"2024-05-01T10:00:00.25Z\",\"who\":\"a.example\",\"method\":\"GET\",\"path\":\"/\"}\n\
         {\"when\":\"2024-05-01T10:00:01Z\",\"who\":\"b.example\",\"method\":\"GET\",\"path\":\"/\"}\n\
         {\"when\":\"2024-05-01T10:00:02Z\",\"who\":\"192.0.2.1\",\"api_key\":\"s3cret\",\"method\":\"GET\",\"path\":\"/\"}\n",
    );
    let out = folder.path("d.jsonl");
    let maps = ["--format", "json", "--map", "time=when", "--map", "client_ip=who"];
    let found = report(&[&maps[..], &[&log, "--decisions", &text(&out)]].concat());
    assert_eq!(found["clients"], 3, "a host name is a client of its own");
    let rows = decisions(&out);
    assert_eq!(rows[0]["time"], "2024-05-01T10:00:00.25Z");
    assert_eq!(rows[0]["client"], "a.example");
    let story = ok(&[&["explain", "--client", "s3cret"], &maps[..], &[&log]].concat());
    assert!(story.contains("credential #") && !story.contains("s3cret"), "{story}");
    assert!(fails(&["replay", &log, "--map", "nonsense"]).contains("write key=field"));
}

#[test]
fn lines_that_cannot_be_read_are_counted_and_shown() {
    let folder = Folder::new();
    let mut log = combined(1);
    for n in 0..12 {
        writeln!(log, "garbage {n} \u{1b}[31m").expect("a string");
    }
    writeln!(log).expect("a string");
    log += &combined(1).lines().next().expect("a line").replace("13:44:00", "13:47:00");
    let name = folder.write("bad.log", &log);
    let found = report(&[&name]);
    assert_eq!(
        (found["requests"].as_u64(), found["unparsable"].as_u64()),
        (Some(READ + 61), Some(12))
    );
    let shown = found["first_unparsable"].as_array().expect("rows");
    assert_eq!(shown.len(), 10);
    assert_eq!(shown[0]["line"], READ + 61);
    assert_eq!(shown[0]["file"], name.as_str());
    let text = ok(&["replay", &name]);
    assert!(text.contains("12 lines could not be read, the first of them:"), "{text}");
    assert!(text.contains("bad.log:781: byte ") && !text.contains('\u{1b}'), "{text}");
    assert!(!text.contains("bad.log:791:"), "only ten are shown\n{text}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = Folder::new();
    let log = folder.write("a.log", combined(1));
    assert!(fails(&["replay", &log, "/no/such.log"]).contains("/no/such.log"));
    assert!(fails(&["replay", &log, "--labels", "/no/labels.csv"]).contains("/no/labels.csv"));
    assert!(
        fails(&["replay", &log, "--config", "/no/tidegate.yaml"]).contains("/no/tidegate.yaml")
    );
    assert!(fails(&["replay", &log, "--decisions", "/no/d.jsonl"]).contains("/no/d.jsonl"));
    assert!(fails(&["replay", &log, "--format", "clf"]).contains("unknown log format"));
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(combined(9).as_bytes()).expect("compressed");
    let mut cut = gz.finish().expect("compressed");
    cut.truncate(cut.len() / 2);
    let cut = folder.write("cut.gz", cut);
    assert!(fails(&["replay", &cut]).contains("cut.gz"));
}

#[test]
fn labels_give_precision_and_recall() {
    let folder = Folder::new();
    let log = combined(30);
    let mut labels = "line,actor,family,abusive\n".to_owned();
    for (line, text) in (1..).zip(log.lines()) {
        let (actor, family, abusive) =
            if text.starts_with(SCANNER) { (1, "scanner", true) } else { (0, "reader", false) };
        if line != 2 {
            writeln!(labels, "{line},{actor},{family},{abusive}").expect("a string");
        }
    }
    let log = folder.write("a.log", log);
    let path = folder.write("labels.csv", &labels);
    let found = report(&[&log, "--labels", &path]);
    let scores = &found["labels"];
    assert_eq!(scores["lines"], READ + 1799, "line 2 has no label");
    let denied = found["denied"].as_u64().expect("a count");
    assert_eq!(scores["false_positives"], 0, "{scores:#}");
    assert_eq!(scores["false_negatives"].as_u64(), Some(1800 - denied), "{scores:#}");
    assert_eq!(scores["precision"], 1.0);
    let recall = scores["recall"].as_f64().expect("a share");
    assert!((recall - denied as f64 / 1800.0).abs() < 1e-9);
    assert_eq!(scores["best_fixed"][0], 10, "eight requests a minute pass at ten");
    let families = scores["families"].as_array().expect("rows");
    assert_eq!(families.len(), 2);
    assert_eq!((&families[1]["family"], &families[1]["actors"]), (&"scanner".into(), &1.into()));
    let text = ok(&["replay", &log, "--labels", &path]);
    assert!(text.contains("precision 1.0000") && text.contains("scanner"), "{text}");

    let bad = folder.write("bad.csv", labels + "seven,1,x,true\n");
    let error = fails(&["replay", &log, "--labels", &bad]);
    assert!(error.contains("bad.csv") && error.contains("row 2521"), "{error}");
}

#[test]
fn a_configuration_is_respected() {
    let folder = Folder::new();
    let log = folder.write("a.log", combined(1));
    let out = folder.path("d.jsonl");
    for mode in ["enforce", "shadow"] {
        let config = folder.write("tidegate.yaml", format!("mode: {mode}\ndeny: [192.0.2.10]\n"));
        let found = report(&[&log, "--config", &config, "--decisions", &text(&out)]);
        assert_eq!(found["shadow"], mode == "shadow");
        let rows = decisions(&out);
        let visitor: Vec<_> = rows.iter().filter(|row| row["client"] == "192.0.2.10").collect();
        assert_eq!(visitor.len(), 24);
        for row in visitor {
            assert_eq!(row["allowed"], false, "what enforcement would say: {row}");
            assert_eq!(row["rule"], "deny-list");
            assert_eq!(row["reasons"][0], "the address is on the deny list");
        }
    }
}

#[test]
fn explain_tells_the_story_of_one_client() {
    let folder = Folder::new();
    let log = folder.write("a.log", combined(30));
    let story = ok(&["explain", "--client", SCANNER, &log]);
    assert!(story.starts_with("198.51.100.9: 1800 requests, "), "{story}");
    for part in ["request 1 ", "line 485: GET /wp-120-0.php", "throttle", "denied", "in the end: "]
    {
        assert!(story.contains(part), "`{part}` is missing in\n{story}");
    }
    let error = fails(&["explain", "--client", "192.0.2.9", &log]);
    assert!(error.contains("no request of `192.0.2.9`"), "{error}");
    assert!(
        error.contains("the nearest clients are 192.0.2.19, 192.0.2.29, 192.0.2.39"),
        "{error}"
    );
}

#[test]
fn a_log_of_another_format_is_told_as_that() {
    let folder = Folder::new();
    let log = folder.write("a.log", "one\ntwo\n");
    let told = ok(&["replay", "--format", "combined", &log]);
    assert!(told.contains("a.log:1: ") && told.contains("a.log:2: "), "{told}");
    assert!(told.contains("No line was read as combined"), "{told}");
    let good = r#"192.0.2.1 - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#;
    let log = folder.write("b.log", format!("one\n{good}\n"));
    let told = ok(&["replay", "--format", "combined", &log]);
    assert!(told.contains("b.log:1: ") && !told.contains("No line"), "{told}");
}
