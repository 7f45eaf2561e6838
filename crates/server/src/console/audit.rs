//! Who did what: every action of an operator, kept in memory and, if there is one, in a file.

use crate::access::Caller;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;

/// Entries that are kept in memory.
const MOST: usize = 1000;
/// Longest note that is kept, characters.
const NOTE: usize = 200;

/// One action.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    /// Seconds since the Unix epoch.
    pub time: u64,
    /// The caller's role and address.
    pub role: &'static str,
    pub from: String,
    /// What was done, and to whom.
    pub action: String,
    pub subject: String,
    /// What the caller wrote beside it.
    pub note: String,
}

impl Entry {
    pub(crate) fn new(time: u64, caller: Caller, action: &str, subject: &str, note: &str) -> Self {
        Self {
            time,
            role: caller.role.name(),
            from: caller.address.map_or_else(|| "unknown".into(), |from| from.to_string()),
            action: action.to_owned(),
            subject: subject.to_owned(),
            note: note.chars().take(NOTE).collect(),
        }
    }
}

/// The audit log.
pub(crate) struct Audit {
    file: Option<PathBuf>,
    last: Mutex<VecDeque<Entry>>,
}

impl Audit {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file, last: Mutex::default() }
    }

    /// Takes an action in. What it says when the file can't be written is for the caller to read: the
    /// action is done all the same, for a full disk must not keep anybody from ending a mistake.
    pub(crate) fn take(&self, entry: Entry) -> Option<String> {
        tracing::info!(
            role = entry.role,
            from = entry.from,
            action = entry.action,
            subject = entry.subject,
            note = entry.note,
            "an operator acted"
        );
        let problem = self.file.as_ref().and_then(|path| {
            let error = append(path, &entry).err()?;
            tracing::error!(path = %path.display(), %error, "the audit log can't be written");
            Some(format!(
                "done, but the audit log {} can't be written: {error}; make room or mend its rights",
                path.display()
            ))
        });
        let mut last = self.last.lock();
        if last.len() >= MOST {
            last.pop_front();
        }
        last.push_back(entry);
        problem
    }

    /// Latest first.
    pub(crate) fn list(&self) -> Vec<Entry> {
        self.last.lock().iter().rev().cloned().collect()
    }
}

/// Opened for each line, so that the file can be rotated.
fn append(path: &PathBuf, entry: &Entry) -> io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    #[test]
    fn every_action_is_a_line_and_a_full_disk_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let caller = Caller { role: Role::Operator, address: "127.0.0.1".parse().ok() };
        let audit = Audit::new(Some(path.clone()));
        let long = "x".repeat(1000);
        assert_eq!(audit.take(Entry::new(7, caller, "block", "192.0.2.7", "\"quoted\"\n")), None);
        assert_eq!(audit.take(Entry::new(8, caller, "release", "192.0.2.7", &long)), None);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["note"], "\"quoted\"\n");
        assert_eq!(lines[1]["note"].as_str().unwrap().len(), NOTE);
        assert_eq!(audit.list()[0].action, "release");

        let nowhere = Audit::new(Some(folder.path().join("no/such/folder")));
        let told = nowhere.take(Entry::new(9, caller, "block", "192.0.2.8", "")).unwrap();
        assert!(told.contains("no/such/folder") && told.contains("done"), "{told}");
        assert_eq!(nowhere.list().len(), 1);
    }
}
