//! What people said of clients: a CSV file that grows by one row an answer.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The first line of the file.
pub const HEADER: &str = "client,abusive";

/// What somebody said of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It abuses.
    Abusive,
    /// It does not.
    Harmless,
    /// Nobody can tell; it is not asked about again.
    Unknown,
}

impl Answer {
    /// As the file has it.
    #[must_use]
    pub const fn written(self) -> &'static str {
        match self {
            Self::Abusive => "true",
            Self::Harmless => "false",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is abuse, if the answer says so.
    #[must_use]
    pub const fn abusive(self) -> Option<bool> {
        match self {
            Self::Abusive => Some(true),
            Self::Harmless => Some(false),
            Self::Unknown => None,
        }
    }
}

/// A file of answers can't be used.
#[derive(Debug, Error)]
pub enum AnswersError {
    /// It can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not begin with the header.
    #[error("{path}, row 1: expected the header `{HEADER}`, found `{found}`")]
    Header {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
    },
    /// A row is no answer.
    #[error(
        "{path}, row {row}: expected a client and `true`, `false` or `unknown`, found `{found}`; \
         write such as 192.0.2.7,true"
    )]
    Row {
        /// The file.
        path: PathBuf,
        /// Counted from 1, the header included.
        row: usize,
        /// The row.
        found: String,
    },
    /// A client's name can't stand in a row.
    #[error("the client `{0}` has a line break in its name and can't be written to a row")]
    Name(String),
}

/// Answers by client; of several about one client the last one holds.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    by_client: HashMap<String, Answer>,
    text: String,
}

impl Answers {
    /// Reads a file; one that does not exist yet has no answers.
    ///
    /// # Errors
    /// When it can't be read, or the first row that is none.
    pub fn read(path: &Path) -> Result<Self, AnswersError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(AnswersError::File { path: path.to_owned(), source }),
        };
        Self::parse(&text, path)
    }

    /// Reads the text of a file. `path` is for errors.
    ///
    /// # Errors
    /// The first row that is no answer.
    pub fn parse(text: &str, path: &Path) -> Result<Self, AnswersError> {
        let shown = |text: &str| text.chars().take(80).collect::<String>();
        let mut rows = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let header = rows.next().unwrap_or_default();
        if header != HEADER {
            let found = shown(header);
            return Err(AnswersError::Header { path: path.to_owned(), found });
        }
        let mut answers = Self { text: format!("{HEADER}\n"), ..Self::default() };
        for (row, text) in (2..).zip(rows).filter(|(_, text)| !text.is_empty()) {
            let wrong = || AnswersError::Row { path: path.to_owned(), row, found: shown(text) };
            // The name of a client may hold commas, an answer none.
            let (client, answer) = text.rsplit_once(',').ok_or_else(wrong)?;
            let answer = match answer.trim() {
                "true" => Answer::Abusive,
                "false" => Answer::Harmless,
                "unknown" => Answer::Unknown,
                _ => return Err(wrong()),
            };
            if client.is_empty() {
                return Err(wrong());
            }
            answers.take(client, answer);
        }
        Ok(answers)
    }

    /// Adds an answer.
    ///
    /// # Errors
    /// When the client's name can't be written.
    pub fn add(&mut self, client: &str, answer: Answer) -> Result<(), AnswersError> {
        if client.trim().is_empty() || client.contains(['\n', '\r']) {
            return Err(AnswersError::Name(client.escape_debug().to_string()));
        }
        self.take(client, answer);
        Ok(())
    }

    fn take(&mut self, client: &str, answer: Answer) {
        self.by_client.insert(client.to_owned(), answer);
        if self.text.is_empty() {
            self.text = format!("{HEADER}\n");
        }
        self.text.push_str(&format!("{client},{}\n", answer.written()));
    }

    /// What was said of a client.
    #[must_use]
    pub fn get(&self, client: &str) -> Option<Answer> {
        self.by_client.get(client).copied()
    }

    /// How many clients have an answer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_client.len()
    }

    /// Whether nobody has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// Writes all answers: first beside the file, then in its place, so that the file is whole at
    /// any moment.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, path: &Path) -> Result<(), AnswersError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let written = (|| {
            let mut file = std::fs::File::create(&beside)?;
            file.write_all(self.text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        })();
        written.map_err(|source| AnswersError::File { path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_survive_their_file_and_the_last_one_holds() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("labels.csv");
        assert!(Answers::read(&path).expect("no file yet").is_empty());
        let mut answers = Answers::default();
        answers.add("192.0.2.7", Answer::Abusive).expect("a name");
        answers.add("host, with comma", Answer::Harmless).expect("a name");
        answers.add("192.0.2.7", Answer::Unknown).expect("a name");
        answers.write(&path).expect("written");
        let read = Answers::read(&path).expect("read");
        assert_eq!(read.len(), 2);
        assert_eq!(read.get("192.0.2.7"), Some(Answer::Unknown));
        assert_eq!(read.get("host, with comma"), Some(Answer::Harmless));
        assert_eq!(std::fs::read_to_string(&path).expect("text").lines().count(), 4);
        assert!(answers.add("a\nb", Answer::Harmless).is_err());
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let refused =
            |text: &str| Answers::parse(text, Path::new("x.csv")).expect_err("refused").to_string();
        assert!(refused("").contains("row 1: expected the header"));
        assert!(refused("line,actor,family,abusive\n").contains("x.csv, row 1"));
        assert!(refused("client,abusive\n\n192.0.2.1,maybe\n").contains("row 3"));
        assert!(refused("client,abusive\nnobody\n").contains("found `nobody`"));
        assert!(refused("client,abusive\n,true\n").contains("row 2"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(client,abusive\n)?\\PC{0,60}(\n\\PC{0,20},true\n)?") {
            let _ = Answers::parse(&text, Path::new("x.csv"));
        }
    }
}
