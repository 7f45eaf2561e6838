//! What a real `tidegate serve` tells of its clients by `explain --admin`, and replays for its console.
#![allow(clippy::unwrap_used)]

mod served;

use serde_json::{Value, json};
use served::Served;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

/// A server in a folder of its own.
struct Limiter {
    served: Served,
    folder: tempfile::TempDir,
}

const SCANNER: &str = "203.0.113.66";
const READER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

impl Limiter {
    fn start(rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = if rest.contains("admin:") { "" } else { "admin: {listen: '127.0.0.1:0'}\n" };
        let served = Served::start(folder.path(), &format!("{admin}{rest}\n"));
        Self { served, folder }
    }

    fn call(&self, method: &str, path: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.served.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            self.served.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.split(' ').nth(1) == Some("200"), "{method} {path}: {answer}");
        body.to_owned()
    }

    fn post(&self, path: &str, call: &Value) -> Value {
        serde_json::from_str(&self.call("POST", path, call.to_string().as_bytes())).unwrap()
    }

    /// The last line of what a replay answers.
    fn replay(&self, query: &str, log: &[u8]) -> Value {
        let answer = self.call("POST", &format!("/v1/replay?{query}"), log);
        serde_json::from_str(answer.lines().last().unwrap()).unwrap()
    }

    /// A request and its outcome.
    fn send(&self, time: f64, client: &str, path: &str, agent: &str, status: u16) {
        let call = json!({"client_ip": client, "path": path, "user_agent": agent, "time": time});
        let ticket = self.post("/v1/check", &call)["ticket"].clone();
        self.post("/v1/outcome", &json!({"ticket": ticket, "status": status, "bytes": 400}));
    }
}

fn tidegate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).current_dir(folder).output().unwrap()
}

fn told(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Three minutes of readers, and in the last of them somebody who asks for what is not there.
fn log() -> String {
    let mut log = String::new();
    for second in 0..180u32 {
        let clock = format!("18/Jul/2023:13:{:02}:{:02} +0000", 44 + second / 60, second % 60);
        let mut line = |client: &str, path: &str, status: u16, agent: &str| {
            let rest = format!("[{clock}] \"GET {path} HTTP/1.1\" {status} 400 \"-\" \"{agent}\"");
            writeln!(log, "{client} - - {rest}").unwrap();
        };
        line(&format!("198.18.0.{}", second % 40), "/prices", 200, READER);
        if second >= 120 {
            for probe in [".git/config", "wp-admin/", "old/.env.bak", "backup.zip"] {
                line(SCANNER, &format!("/{second}/{probe}"), 404, "curl/8.5");
            }
        }
    }
    log
}

#[test]
fn a_log_in_the_console_gets_the_report_that_the_command_makes() {
    let limiter =
        Limiter::start("mode: shadow\nrules: [{name: two, limit: 2/h, match: {path: /prices}}]");
    let folder = limiter.folder.path();
    std::fs::write(folder.join("access.log"), log()).unwrap();
    let by_command =
        tidegate(folder, &["replay", "--json", "--config", "tidegate.yaml", "access.log"]);
    let by_command: Value = serde_json::from_slice(&by_command.stdout).unwrap();

    let packed = {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(log().as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    for bytes in [log().into_bytes(), packed] {
        let answer = limiter.replay("format=auto&name=access.log", &bytes);
        let report = &answer["report"];
        for name in
            ["requests", "denied", "clients", "clients_denied", "lines", "unparsable", "format"]
        {
            assert_eq!(report[name], by_command[name], "{name}");
        }
        assert!(report["denied"].as_u64() > Some(100), "{}", report["denied"]);
        let words = report["words"][0].as_str().unwrap();
        assert!(words.starts_with("Tidegate would have denied"), "{words}");
        let page = report["html"].as_str().unwrap();
        for part in [
            "in force in the server that made this report, by the configuration <code>tidegate.yaml</code>",
            "in use by the server (trees)",
            "The policy is in shadow mode",
            "tidegate explain --client 203.0.113.66 --config tidegate.yaml access.log",
        ] {
            assert!(page.contains(part), "{part} not in {page}");
        }
        assert_eq!(limiter.call("GET", report["view"].as_str().unwrap(), b""), page);
    }
    // Nothing was learned from it, and nothing of the logs is left.
    let clients: Value = serde_json::from_str(&limiter.call("GET", "/v1/clients", b"")).unwrap();
    assert_eq!(clients["matched"], 0);
    let mut left: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["access.log", "tidegate.yaml"]);
}

#[test]
fn what_is_wrong_with_a_log_is_told_as_the_command_tells_it() {
    let limiter = Limiter::start("");
    let folder = limiter.folder.path();
    for (format, log) in [
        ("auto", "no log at all\n"),
        ("auto", "\n\n"),
        ("apache", "x\n"),
        ("$remote_addr$status", "x\n"),
    ] {
        std::fs::write(folder.join("some.log"), log).unwrap();
        let command = told(&tidegate(folder, &["replay", "--format", format, "some.log"]));
        let format = format.replace('$', "%24");
        let answer = limiter.replay(&format!("format={format}&name=some.log"), log.as_bytes());
        let error = answer["error"].as_str().unwrap();
        for part in error.split_whitespace() {
            assert!(command.contains(part), "{part} of {error} not in {command}");
        }
        assert!(error.contains("format"), "{error}");
    }
    // Lines that do not fit: where, and what was expected there.
    let mut broken = log();
    broken.insert_str(0, "192.0.2.1 - - yesterday\n");
    let answer = limiter.replay("name=some.log", broken.as_bytes());
    let first = &answer["report"]["first_unparsable"][0];
    assert_eq!(first["line"], 1);
    assert!(first["reason"].as_str().unwrap().starts_with("byte 12: expected"), "{first}");
    let answer = limiter.replay("format=json", b"one\ntwo\n");
    let words = answer["report"]["words"].to_string();
    assert!(words.contains("No line was read as json") && words.contains("--format"), "{words}");
}

#[test]
fn a_client_of_a_running_limiter_is_explained() {
    let limiter = Limiter::start("");
    let url = format!("http://{}", limiter.served.address);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let start = now.as_secs_f64() - 181.0;
    for second in 0..180u32 {
        let time = start + f64::from(second);
        limiter.send(time, &format!("198.18.0.{}", second % 40), "/prices", READER, 200);
        if second >= 120 {
            for (at, probe) in [".git/config", "wp-admin/", "old/.env.bak"].iter().enumerate() {
                let time = time + 0.2 * at as f64;
                limiter.send(time, SCANNER, &format!("/{second}/{probe}"), "curl/8.5", 404);
            }
        }
    }
    let folder = limiter.folder.path();
    let explained = tidegate(folder, &["explain", SCANNER, "--admin", &url]);
    let text = String::from_utf8(explained.stdout.clone()).unwrap();
    assert!(explained.status.success(), "{}", told(&explained));
    for part in [
        "203.0.113.66: block, nothing passes",
        " by adaptive, block, ",
        "what speaks against it\n",
        "what moved the score",
        "; with that the score would be ",
        "model trees built-in ",
        ", features of schema ",
    ] {
        assert!(text.contains(part), "{part:?} not in\n{text}");
    }
    let explained = tidegate(folder, &["explain", "--client", SCANNER, "--admin", &url, "--json"]);
    let answer: Value = serde_json::from_slice(&explained.stdout).unwrap();
    assert_eq!(answer["client"]["name"], SCANNER);
    assert_eq!(answer["explanation"]["model_version"]["name"], "built-in");
    assert!(!answer["explanation"]["contributions"].as_array().unwrap().is_empty(), "{answer}");

    for (arguments, part) in [
        (&["explain", "192.0.2.250", "--admin", &url][..], "No such client is known"),
        (&["explain", SCANNER, "other", "--admin", &url], "one client is explained"),
        (&["explain", "--admin", &url], "<FILE|CLIENT>"),
        (&["explain", "access.log"], "--client"),
        (&["explain", "--client", SCANNER], "<FILE|CLIENT>"),
        (&["explain", SCANNER, "--admin", &url, "--format", "json"], "cannot be used with"),
        (&["explain", SCANNER, "--admin", "127.0.0.1:1"], "http://127.0.0.1:9901"),
    ] {
        let output = tidegate(folder, arguments);
        let text = told(&output);
        assert!(!output.status.success() && text.contains(part), "{arguments:?}: {text}");
    }
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-of-the-test\n").unwrap();
    let token = token.to_str().unwrap();
    let limiter =
        Limiter::start(&format!("admin: {{listen: '127.0.0.1:0', token_file: '{token}'}}"));
    let url = format!("http://{}", limiter.served.address);
    let ask = |more: &[&str]| {
        told(&tidegate(folder.path(), &[&["explain", SCANNER, "--admin", &url], more].concat()))
    };
    assert!(ask(&[]).contains("--token-file"));
    assert!(ask(&["--token-file", token]).contains("No such client is known"));
}
