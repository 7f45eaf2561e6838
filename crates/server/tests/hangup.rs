//! SIGHUP reloads. In a process of its own: the signal reaches every server in it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Gate, nobody};
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn a_hangup_reloads_the_file() {
    let gate = Gate::start(nobody().await, "").await;
    let count = async || gate.admin_text("GET", "/metrics", "", None).await.1;
    let line = "tidegate_config_reloads_total{result=\"accepted\"} 1\n";
    assert!(!count().await.contains(line));
    // The handler stands once the watcher runs: before, the signal would end the process.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pid = std::process::id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let mut metrics = String::new();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        metrics = count().await;
        if metrics.contains(line) {
            break;
        }
    }
    assert!(metrics.contains(line), "{metrics}");
    gate.stop().await;
}
