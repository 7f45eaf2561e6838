//! The decision log of a real `tidegate serve`: a line for each decision while it is on, none while not.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// A server whose log is a file, killed at the end, whatever happens.
struct Served {
    child: Child,
    folder: tempfile::TempDir,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(log: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = configure(folder.path(), log);
        let errors = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["serve", "--config"])
            .arg(&config)
            .env_remove("RUST_LOG")
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut served = Self { child, folder, address: String::new() };
        let line = served.wait_for("admin and API listen", 1);
        served.address = line["fields"]["address"].as_str().unwrap().to_owned();
        served
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        // The last one may still be written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The line that says this for the n-th time, once it is there.
    fn wait_for(&self, message: &str, n: usize) -> Value {
        for _ in 0..600 {
            let mut lines = self.lines();
            lines.retain(|line| line["fields"]["message"] == message);
            if lines.len() >= n {
                return lines.swap_remove(n - 1);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no line says {message}: {:#?}", self.lines());
    }

    /// What the log says of decisions.
    fn decisions(&self) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["target"] == "tidegate::decision");
        lines
    }

    /// Asks about a request; its line is on its way before the answer is.
    fn check(&self, call: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = call.len();
        let head = format!(
            "POST /v1/check HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n",
            self.address
        );
        stream.write_all(format!("{head}{call}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

fn configure(folder: &Path, log: &str) -> PathBuf {
    let path = folder.join("tidegate.yaml");
    let text = format!(
        "admin: {{listen: '127.0.0.1:0'}}\nrules: [{{name: two, limit: 2/h, match: {{path: /few}}}}]\n{log}\n"
    );
    // As a whole: half of a file would be a configuration as well.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, &path).unwrap();
    path
}

#[test]
fn every_decision_has_a_line_while_the_log_is_on() {
    let served = Served::start("log: {decisions: true}");
    let call = r#"{"client_ip": "203.0.113.9", "method": "POST", "path": "/few?key=secret"}"#;
    let answers: Vec<Value> = (0..3).map(|_| served.check(call)).collect();
    served.wait_for("decided", 3);
    let lines = served.decisions();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, answer) in lines.iter().zip(&answers) {
        assert_eq!(line["level"], "INFO");
        let fields = &line["fields"];
        for name in ["action", "allowed", "shadow", "rule", "limit", "remaining"] {
            assert_eq!(fields[name], answer[name], "{name}: {line} {answer}");
        }
        for (name, value) in
            [("door", "api"), ("client", "203.0.113.9"), ("method", "POST"), ("path", "/few")]
        {
            assert_eq!(fields[name], value, "{line}");
        }
        for name in ["time", "risk", "limit_per_min", "retry_after"] {
            assert!(fields[name].as_f64().unwrap() >= 0.0, "{name}: {line}");
        }
        assert!(fields["latency_us"].as_f64().unwrap() > 0.0, "{line}");
        assert!(fields["route"].is_string(), "{line}");
        assert!(fields["model"].as_str().unwrap().starts_with("built-in "), "{line}");
        assert!(!line.to_string().contains("secret"), "{line}");
    }
    assert_eq!(lines[2]["fields"]["allowed"], false);
}

#[test]
fn it_is_off_until_a_reload_turns_it_on_and_denials_are_in_every_sample() {
    let served = Served::start("");
    let few = r#"{"client_ip": "203.0.113.9", "path": "/few"}"#;
    let other = r#"{"client_ip": "203.0.113.10", "path": "/"}"#;
    (0..3).for_each(|_| drop(served.check(few)));
    configure(served.folder.path(), "log: {decisions: true, sample: 0}");
    // Lines keep their order: what is not there before this one is not coming.
    served.wait_for("configuration reloaded", 1);
    assert!(served.decisions().is_empty(), "{:#?}", served.decisions());
    (0..5).for_each(|_| drop(served.check(other)));
    assert_eq!(served.check(few)["allowed"], false);
    configure(served.folder.path(), "");
    served.wait_for("configuration reloaded", 2);
    let lines = served.decisions();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["fields"]["allowed"], false);
    served.check(few);
    configure(served.folder.path(), "on_error: closed");
    served.wait_for("configuration reloaded", 3);
    assert_eq!(served.decisions().len(), 1);
}
