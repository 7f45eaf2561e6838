//! A real `tidegate serve` for tests that ask its admin API.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that is killed at the end, whatever happens.
pub(crate) struct Served {
    child: Child,
    /// Where its admin API listens.
    pub(crate) address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Starts a server in this folder, which is its folder for temporary files too, and reads from its log
    /// where it listens.
    pub(crate) fn start(folder: &Path, config: &str) -> Self {
        std::fs::write(folder.join("tidegate.yaml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["serve", "--config", "tidegate.yaml"])
            .current_dir(folder)
            .env("TMPDIR", folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = log.find(|line| line.as_ref().unwrap().contains("listen")).unwrap().unwrap();
        // Whatever the log's format is, the address stands in it.
        let from = line.find("127.0.0.1:").unwrap();
        let address =
            line[from..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        std::thread::spawn(move || log.for_each(drop));
        Self { child, address }
    }
}
