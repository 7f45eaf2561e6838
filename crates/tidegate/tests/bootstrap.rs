//! `tidegate label` and `train --from-logs` as a user runs them, on a small simulated log.

use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

static LOG: LazyLock<(TempDir, String)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("scan");
    let out = out.to_str().expect("UTF-8");
    let made = tidegate(
        &["simulate", "--scenario", "scan", "--seed", "8", "--minutes", "5", "--out", out],
        "",
    );
    assert!(made.status.success());
    let log = format!("{out}/traffic.jsonl");
    (folder, log)
});

fn tidegate(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tidegate runs");
    // One that fails at once need not read its input.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn ok(args: &[&str], input: &str) -> String {
    let output = tidegate(args, input);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn fails(args: &[&str]) -> String {
    let output = tidegate(args, "");
    assert!(!output.status.success(), "{args:?} must fail");
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn next(labels: &str, most: &str) -> Vec<String> {
    let text = ok(&["label", &LOG.1, "--labels", labels, "--next", most, "--json"], "");
    let rows: Value = serde_json::from_str(&text).expect("JSON");
    let rows = rows.as_array().expect("a list");
    rows.iter().map(|row| row["client"].as_str().expect("a client").to_owned()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn clients_are_asked_about_answered_and_not_asked_about_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("labels.csv");
    let labels = text(&path);
    let first = next(labels, "4");
    assert_eq!(first.len(), 4);
    assert!(!path.exists(), "a list writes nothing");

    let answer = format!("{}=abusive", first[0]);
    ok(&["label", &LOG.1, "--labels", labels, "--answer", &answer], "");
    let said = format!("client,abusive\n{},true\n", first[0]);
    assert_eq!(std::fs::read_to_string(&path).expect("labels"), said);
    let second = next(labels, "1")[0].clone();
    assert_ne!(second, first[0]);

    // A word that is none is asked for again; the end of the input is the end.
    let told = ok(&["label", &LOG.1, "--labels", labels], "what\nharmless\ns\nq\n");
    assert!(told.contains(&second) && told.contains("in the end: "), "{told}");
    let said = std::fs::read_to_string(&path).expect("labels");
    let rows: Vec<&str> = said.lines().collect();
    assert_eq!((rows.len(), rows[2]), (4, format!("{second},false").as_str()), "{said}");
    assert!(rows[3].ends_with(",unknown"), "{said}");
    let open = next(labels, "100000");
    assert!(!open.contains(&second) && !open.contains(&first[0]));

    for (wrong, named) in [
        ("192.0.2.1", "is no answer"),
        ("192.0.2.1=bad", "`bad` says nothing"),
        ("192.0.2.1=abusive", "no request of `192.0.2.1`"),
    ] {
        let error = fails(&["label", &LOG.1, "--labels", labels, "--answer", wrong]);
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("labels"), said, "a wrong answer is not kept");
    assert!(fails(&["label", "-"]).contains("standard input"));
}

#[test]
fn a_model_is_trained_from_a_log_and_the_same_one_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = |name: &str, more: &[&str]| {
        let path = folder.path().join(name);
        let args = ["train", "--from-logs", &LOG.1, "--out", text(&path), "--trees", "8"];
        let told = ok(&[&args, more].concat(), "");
        (told, std::fs::read(&path).expect("a model"), path)
    };
    let (told, bytes, path) = model("a.tgmd", &["--logs-only"]);
    for part in ["heuristics", "most suspicious", "from logs alone", "clusters least like"] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    assert_eq!(model("b.tgmd", &["--logs-only"]).1, bytes);
    ok(&["replay", &LOG.1, "--model", text(&path)], "");

    let client = next(text(&folder.path().join("none.csv")), "1")[0].clone();
    let labels = folder.path().join("labels.csv");
    std::fs::write(&labels, format!("client,abusive\n{client},false\n")).expect("labels");
    let (told, _, _) =
        model("c.tgmd", &["--labels", text(&labels), "--rounds", "1", "--honeypot", "/trap"]);
    let answered = told.lines().find(|line| line.starts_with("a person")).expect("a row");
    assert_eq!(answered.split_whitespace().collect::<Vec<_>>(), ["a", "person", "0", "1", "0"]);
    assert!(told.contains("rows of the logs weigh"), "{told}");
}

#[test]
fn what_can_not_be_learned_from_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, out) = (folder.path().join("a.log"), folder.path().join("x.tgmd"));
    let line = r#"192.0.2.1 - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#;
    std::fs::write(&log, format!("{line}\n")).expect("a log");
    let train = ["train", "--out", text(&out), "--from-logs", text(&log)];
    let error = fails(&train);
    assert!(error.contains("1 clients") && error.contains("at least 30"), "{error}");
    let error = fails(&[&train[..], &["--labels", "/no/such.csv"]].concat());
    assert!(error.contains("no such file of labels"), "{error}");
    let wrong = folder.path().join("wrong.csv");
    std::fs::write(&wrong, "line,actor,family,abusive\n").expect("a file");
    let error = fails(&[&train[..], &["--labels", text(&wrong)]].concat());
    assert!(error.contains("expected the header `client,abusive`"), "{error}");
    let error = fails(&["train", "--out", text(&out), "--labels", text(&wrong)]);
    assert!(error.contains("--from-logs"), "{error}");
}
