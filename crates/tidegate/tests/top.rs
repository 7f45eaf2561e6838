//! `tidegate top` beside a real `tidegate serve`, and what both say when something is wrong.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// A server that is killed at the end, whatever happens.
struct Served {
    child: Child,
    url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server and reads from its log where it listens.
fn serve(folder: &std::path::Path, admin: &str) -> Served {
    let config = folder.join("tidegate.yaml");
    std::fs::write(&config, format!("admin: {{listen: '127.0.0.1:0'{admin}}}\n")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["serve", "--config"])
        .arg(&config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = log.find(|line| line.as_ref().unwrap().contains("listen")).unwrap().unwrap();
    // Whatever the log's format is, the address stands in it.
    let from = line.find("127.0.0.1:").unwrap();
    let address: String =
        line[from..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    std::thread::spawn(move || log.for_each(drop));
    Served { child, url: format!("http://{address}") }
}

fn top(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate")).arg("top").args(arguments).output().unwrap()
}

#[test]
fn it_tells_how_things_are() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path(), "");
    let told = top(&["--url", &served.url]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(text.contains("enforcing") && text.contains("nobody has come yet"), "{text}");
    let told = top(&["--url", &served.url, "--json", "--order", "last_seen"]);
    let json: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(json["overview"]["clients"], 0);
    assert!(json["clients"].as_array().unwrap().is_empty(), "{json}");
}

#[test]
fn a_token_is_needed_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-of-the-test\n").unwrap();
    let served = serve(folder.path(), ", token_file: token");
    let told = top(&["--url", &served.url]);
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(!told.status.success() && text.contains("--token-file"), "{text}");
    let told = top(&["--url", &served.url, "--token-file", token.to_str().unwrap()]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    // A port that was free a moment ago, and where nobody listens.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = top(&["--url", &format!("http://{free}")]);
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(!told.status.success() && text.contains("tidegate serve"), "{text}");
}
