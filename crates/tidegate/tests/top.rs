//! `tidegate top` beside a real `tidegate serve`, and what both say when something is wrong.
#![allow(clippy::unwrap_used)]

mod served;

use served::Served;
use std::process::{Command, Output};

/// A server with this after its admin address, and its URL.
fn serve(folder: &std::path::Path, admin: &str) -> (Served, String) {
    let served = Served::start(folder, &format!("admin: {{listen: '127.0.0.1:0'{admin}}}\n"));
    let url = format!("http://{}", served.address);
    (served, url)
}

fn top(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate")).arg("top").args(arguments).output().unwrap()
}

#[test]
fn it_tells_how_things_are() {
    let folder = tempfile::tempdir().unwrap();
    let (_served, url) = serve(folder.path(), "");
    let told = top(&["--url", &url]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(text.contains("enforcing") && text.contains("nobody has come yet"), "{text}");
    let told = top(&["--url", &url, "--json", "--order", "last_seen"]);
    let json: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(json["overview"]["clients"], 0);
    assert!(json["clients"].as_array().unwrap().is_empty(), "{json}");
}

#[test]
fn a_token_is_needed_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-of-the-test\n").unwrap();
    let (_served, url) = serve(folder.path(), ", token_file: token");
    let told = top(&["--url", &url]);
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(!told.status.success() && text.contains("--token-file"), "{text}");
    let told = top(&["--url", &url, "--token-file", token.to_str().unwrap()]);
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
