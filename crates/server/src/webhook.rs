//! Messages to a URL, one after the other: a bounded queue, and ever longer pauses between failed tries.

use crate::config;
use crate::tls::TlsError;
use crate::upstream::pool;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

/// Most messages that wait; more are dropped and counted.
const MOST_WAITING: usize = 1024;
/// How long the receiver may take for one.
const DEADLINE: Duration = Duration::from_secs(10);
/// A message is given up after so many tries, which take about two minutes.
const MOST_TRIES: u32 = 10;
/// The pause after the first failed try; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long what waits may take at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// So much of an answer is read, for the connection to be used again.
const MOST_ANSWER: usize = 64 << 10;

/// Why messages can't be sent to a URL.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It is none.
    #[error("`{0}` is not a URL to post to: write it like http://127.0.0.1:8000/hook")]
    Url(String),
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A receiver of JSON messages.
#[derive(Debug)]
pub struct Webhook {
    queue: Sender<Bytes>,
    counts: Arc<Counts>,
    worker: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    delivered: AtomicU64,
    /// Whether the latest message found no room.
    full: AtomicBool,
}

impl Webhook {
    /// Opens no connection yet. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the text is no URL of `http` or `https`, or TLS can't be set up.
    pub fn new(url: &str) -> Result<Self, WebhookError> {
        let wrong = || WebhookError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme().filter(|s| **s == Scheme::HTTP || **s == Scheme::HTTPS);
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let (scheme, authority) = scheme.zip(authority).ok_or_else(wrong)?;
        let client = pool(&config::Upstream::new(scheme.clone(), authority.clone()))?;
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let counts = Arc::<Counts>::default();
        let worker = Worker { client, uri, waiting, counts: Arc::clone(&counts) };
        Ok(Self { queue, counts, worker: tokio::spawn(worker.run()) })
    }

    /// Sends a message in its turn; does not wait. One that finds no room is dropped.
    pub fn send(&self, json: String) {
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        let full = self.queue.try_send(json.into()).is_err();
        // Told once for as long as it lasts.
        if !self.counts.full.swap(full, Ordering::Relaxed) && full {
            tracing::warn!(waiting = MOST_WAITING, "the webhook is too slow: messages are dropped");
        }
    }

    /// Gives what waits a little time yet; returns how many messages never arrived.
    pub async fn finish(self) -> u64 {
        let Self { queue, counts, mut worker } = self;
        drop(queue);
        if tokio::time::timeout(FAREWELL, &mut worker).await.is_err() {
            worker.abort();
        }
        let delivered = counts.delivered.load(Ordering::Relaxed);
        counts.sent.load(Ordering::Relaxed).saturating_sub(delivered)
    }
}

struct Worker {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    waiting: Receiver<Bytes>,
    counts: Arc<Counts>,
}

/// Why a try failed, and whether another one may do better.
struct Failure {
    why: String,
    again: bool,
}

impl Worker {
    async fn run(mut self) {
        while let Some(message) = self.waiting.recv().await {
            if self.deliver(&message).await {
                self.counts.delivered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Tries until the message is taken, or there is no use in it.
    async fn deliver(&self, message: &Bytes) -> bool {
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let Err(Failure { why, again }) = self.post(message).await else { return true };
            if !again || tries == MOST_TRIES {
                tracing::warn!(why, tries, "a message to the webhook is given up");
                return false;
            }
            if tries == 1 {
                tracing::warn!(why, "the webhook fails; it is tried again");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        false
    }

    async fn post(&self, message: &Bytes) -> Result<(), Failure> {
        let broken = |e: &dyn std::fmt::Display| Failure { why: e.to_string(), again: true };
        let request = Request::post(self.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .body(Full::from(message.clone()))
            .map_err(|e| broken(&e))?;
        let answer = tokio::time::timeout(DEADLINE, async {
            let response = self.client.request(request).await.map_err(|e| broken(&e))?;
            let status = response.status();
            // What it says matters to nobody.
            let _ = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
            Ok(status)
        });
        let status = answer.await.map_err(|_| broken(&"no answer within ten seconds"))??;
        if status.is_success() {
            return Ok(());
        }
        let busy = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let again = busy || status.is_server_error();
        Err(Failure { why: format!("the receiver answers {status}"), again })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::post;
    use std::sync::Mutex;
    use tokio::net::TcpListener;

    type Heard = Arc<Mutex<Vec<String>>>;

    /// A receiver that answers with these statuses first and takes what comes then.
    async fn receiver(first: Vec<u16>) -> (String, Heard) {
        let heard = Heard::default();
        let (taken, statuses) = (Arc::clone(&heard), Arc::new(Mutex::new(first.into_iter())));
        let take = move |body: String| async move {
            let status = statuses.lock().unwrap().next().unwrap_or(204);
            if status == 204 {
                taken.lock().unwrap().push(body);
            }
            StatusCode::from_u16(status).unwrap()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (url, heard)
    }

    #[tokio::test]
    async fn messages_arrive_in_order_after_failures() {
        let (url, heard) = receiver(vec![503, 429]).await;
        let webhook = Webhook::new(&url).unwrap();
        (0..5).for_each(|n| webhook.send(n.to_string()));
        assert_eq!(webhook.finish().await, 0);
        assert_eq!(*heard.lock().unwrap(), ["0", "1", "2", "3", "4"]);
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_given_up_and_counted() {
        let (url, heard) = receiver(vec![404]).await;
        let webhook = Webhook::new(&url).unwrap();
        (0..2).for_each(|n| webhook.send(n.to_string()));
        assert_eq!(webhook.finish().await, 1);
        assert_eq!(*heard.lock().unwrap(), ["1"]);
    }

    #[tokio::test]
    async fn too_many_are_dropped_and_counted_and_the_end_is_not_waited_for() {
        let webhook = Webhook::new("http://127.0.0.1:1/").unwrap();
        (0..MOST_WAITING + 9).for_each(|n| webhook.send(n.to_string()));
        assert_eq!(webhook.finish().await, MOST_WAITING as u64 + 9);
    }

    #[tokio::test]
    async fn what_is_no_url_is_refused() {
        for url in ["", "/hook", "ftp://a/", "http://a@b/", "127.0.0.1:8000"] {
            let message = Webhook::new(url).unwrap_err().to_string();
            assert!(message.contains("http://127.0.0.1:8000/hook"), "{message}");
        }
    }
}
