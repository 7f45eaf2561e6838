//! A reader that goes away ends every command that prints, quietly, as it ends any Unix tool.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::process::{Command, Output};

/// Runs a command whose standard output nobody reads.
fn unread(args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(args).stdout(writer).output().unwrap()
}

#[test]
fn a_closed_pipe_ends_every_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (config, log, out, model) = (path("a.yaml"), path("a.log"), path("out"), path("a.model"));
    std::fs::write(&config, "listen: 127.0.0.1:1\nupstream: http://a\n").unwrap();
    let mut lines = String::new();
    for second in 0..60 {
        let request = r#""GET / HTTP/1.1" 200 9 "-" "curl/8""#;
        writeln!(lines, "192.0.2.7 - - [18/Jul/2023:13:44:{second:02} +0000] {request}").unwrap();
    }
    std::fs::write(&log, lines).unwrap();
    for args in [
        &["check-config", &config][..],
        &["replay", &log],
        &["replay", "--json", &log],
        &["explain", &log, "--client", "192.0.2.7"],
        &["simulate", "--scenario", "quiet", "--minutes", "1", "--out", &out],
        &["bench", "--clients", "1000", "--seconds", "1"],
        &["evaluate", "--seeds", "1", "--minutes", "1", "--scenario", "quiet"],
        &["train", "--rounds", "1", "--trees", "1", "--out", &model],
        &["demo", "--seconds", "3"],
    ] {
        let output = unread(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(141), "{args:?}: {errors}");
        assert_eq!(errors, "", "{args:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/tidegate.yaml");
    let output = command.args(["check-config", path]).stdout(full).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("cannot write to standard output: "), "{errors}");
}
