//! A log that is sent, streamed to a file without a name.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Longest log that is taken in, as it is sent: compressed, if it is.
pub(super) const MOST_BYTES: u64 = 256 << 20;
/// A log that does not go on for so long is given up, for others wait.
const SILENCE: Duration = Duration::from_secs(30);

/// Why a log was not taken in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(
        "The log is longer than {} MiB, which is the most that the console takes. Send it compressed \
         (gzip or zstd), or run `tidegate replay --config tidegate.yaml --report report.html access.log`, \
         which reads logs of any length.",
        .0 >> 20
    )]
    TooLong(u64),
    #[error("The log is empty: send its lines as the body.")]
    Empty,
    #[error("The log did not go on for {} s: send it again.", SILENCE.as_secs())]
    Silent,
    #[error("The log broke off: {0}. Send it again.")]
    Broken(axum::Error),
    #[error(
        "The log can't be put aside in {}: {source}. Make room there, or set TMPDIR of the server to a \
         folder that it may write to and that has room.",
        std::env::temp_dir().display()
    )]
    Disk { source: io::Error },
}

impl Refused {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Silent => StatusCode::REQUEST_TIMEOUT,
            Self::Empty | Self::Broken(_) => StatusCode::BAD_REQUEST,
            Self::Disk { .. } => StatusCode::INSUFFICIENT_STORAGE,
        }
    }
}

/// Takes a log in, and hands it out from its first byte.
pub(super) async fn take(headers: &HeaderMap, body: Body) -> Result<File, Refused> {
    let told = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|told| told > MOST_BYTES) {
        return Err(Refused::TooLong(MOST_BYTES));
    }
    to_file(body, MOST_BYTES, &std::env::temp_dir()).await
}

async fn to_file(mut body: Body, most: u64, folder: &Path) -> Result<File, Refused> {
    let disk = |source| Refused::Disk { source };
    let mut file = tokio::fs::File::from_std(nameless(folder).map_err(disk)?);
    let mut length = 0;
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Refused::Silent)? else { break };
        let data: Bytes = frame.map_err(Refused::Broken)?.into_data().unwrap_or_default();
        length += data.len() as u64;
        if length > most {
            return Err(Refused::TooLong(most));
        }
        file.write_all(&data).await.map_err(disk)?;
    }
    if length == 0 {
        return Err(Refused::Empty);
    }
    // What is still on its way to the disk may yet find it full.
    file.flush().await.map_err(disk)?;
    let mut file = file.into_std().await;
    file.rewind().map_err(disk)?;
    Ok(file)
}

/// A file that only its holder can reach, and that the system removes with the last of them, however
/// the process ends.
fn nameless(folder: &Path) -> io::Result<File> {
    let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    let path = folder.join(format!(".tidegate-replay-{random:016x}"));
    let file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn left(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn a_log_is_put_aside_without_a_name_and_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = to_file(Body::from("one\ntwo\n"), 8, folder.path()).await.unwrap();
        assert_eq!(left(folder.path()), 0);
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }

    #[tokio::test]
    async fn what_is_refused_says_what_to_do_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let long = to_file(Body::from("one\ntwo\n!"), 8, folder.path()).await.unwrap_err();
        assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let said = Refused::TooLong(MOST_BYTES).to_string();
        assert!(said.contains("256 MiB") && said.contains("tidegate replay"), "{said}");
        let broken = futures_util::stream::iter([Ok("one"), Err(io::Error::other("gone"))]);
        let broken = to_file(Body::from_stream(broken), 8, folder.path()).await.unwrap_err();
        assert!(broken.to_string().contains("gone"), "{broken}");
        assert_eq!(left(folder.path()), 0);
        let empty = to_file(Body::empty(), 8, folder.path()).await.unwrap_err();
        assert_eq!(empty.status(), StatusCode::BAD_REQUEST);
        let nowhere = folder.path().join("no/folder");
        let full = to_file(Body::from("one"), 8, &nowhere).await.unwrap_err();
        assert!(full.to_string().contains("TMPDIR"), "{full}");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, (MOST_BYTES + 1).into());
        assert!(matches!(take(&headers, Body::empty()).await, Err(Refused::TooLong(_))));
    }
}
