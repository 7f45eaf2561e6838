//! The demo from outside: it ends by itself, and the attacks got nowhere while the honest passed.

use std::process::Command;

/// The part and the whole of a summary line such as `attack requests denied  3 of 4 (75.00 %)`.
fn shares(summary: &str, line: &str) -> (u64, u64) {
    let rest = summary.lines().find_map(|text| text.strip_prefix(line));
    let rest = rest.unwrap_or_else(|| panic!("no line `{line}` in\n{summary}"));
    let numbers: Vec<u64> =
        rest.split_whitespace().filter_map(|word| word.parse().ok()).take(2).collect();
    assert_eq!(numbers.len(), 2, "{rest}");
    (numbers[0], numbers[1])
}

#[test]
fn the_demo_denies_attacks_and_lets_the_honest_pass() {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["demo", "--seconds", "8"])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains('\u{1b}'), "escape codes where there is no terminal");

    let (live, summary) = text.split_once("What everybody got").unwrap();
    // A snapshot after five seconds and one at the end.
    assert!(live.matches("limit/min").count() >= 2, "{live}");
    assert!(live.contains("requests/s") && live.contains("attack blocked"), "{live}");
    for group in ["shopper", "office of five", "partner's program", "flood", "scanner"] {
        assert!(summary.lines().any(|line| line.starts_with(group)), "{group} in\n{summary}");
    }
    assert!(summary.contains("added latency p50"), "{summary}");

    // The bounds leave room for a slow machine: only who is denied is checked, not how soon.
    let (denied, attack) = shares(summary, "attack requests denied");
    assert!(attack > 100 && denied * 3 > attack, "{summary}");
    let (denied, honest) = shares(summary, "legitimate requests denied");
    assert!(honest > 100 && denied * 50 < honest, "{summary}");
    let (harmed, clients) = shares(summary, "legitimate clients harmed");
    assert!(clients > 20 && harmed * 10 <= clients, "{summary}");
}
