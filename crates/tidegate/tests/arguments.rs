//! Numbers on the command line that make no sense are refused by name, not silently made others.

use std::process::Command;

fn refused(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate")).args(args).output().expect("runs");
    assert_eq!(output.status.code(), Some(2), "{args:?} must be refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn nothing_and_far_too_much_are_refused() {
    for (command, option) in [
        (&["simulate", "--scenario", "quiet", "--out", "x"][..], "--minutes"),
        (&["evaluate"], "--minutes"),
        (&["evaluate"], "--seeds"),
        (&["train", "--out", "x"], "--rounds"),
        (&["bench"], "--clients"),
        (&["bench"], "--seconds"),
        (&["demo"], "--seconds"),
    ] {
        for value in ["0", "-1", "4294967295"] {
            let told = refused(&[command, &[&format!("{option}={value}")]].concat());
            assert!(told.contains(option) && told.contains(value), "{command:?}: {told}");
        }
    }
}
