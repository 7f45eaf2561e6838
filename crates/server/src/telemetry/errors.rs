//! Errors and panics of the program, told to Sentry or what speaks its protocol (GlitchTip, Bugsink).
//!
//! What is told names the program's own code, files and settings, and nobody who sent a request (`scrub.rs`).

use super::{PANIC, backtrace, scrub};
use crate::config;
use crate::tls::TlsError;
use crate::upstream::pool;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use parking_lot::Mutex;
use sentry_core::protocol::{Event, Exception, Level};
use sentry_core::types::Dsn;
use sentry_core::{Client, ClientOptions, Envelope, Transport};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Most reports that wait to be sent.
const MOST_WAITING: usize = 32;
/// Most reports of a minute; a fault that every request meets is one that thirty of them show.
const MOST_A_MINUTE: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);
/// How long one may take to be sent, and how long the end of the process waits for all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How the program names itself.
const AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// What came of reports since the process began: there is one place that they go to.
static SENT: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Reports since the process began by what came of them.
pub(crate) fn counts() -> [(&'static str, u64); 3] {
    [("sent", &SENT), ("dropped", &DROPPED), ("failed", &FAILED)]
        .map(|(result, count)| (result, count.load(Ordering::Relaxed)))
}

/// Where errors are told.
pub struct Errors {
    client: Client,
    bound: Mutex<Bound>,
}

/// An error of the program's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report<'a> {
    /// What happened, in words that are the same each time.
    pub message: &'a str,
    /// The part of the program, or [`PANIC`].
    pub target: &'a str,
    /// What caused it, if that is known.
    pub cause: Option<&'a str>,
}

/// How many were told in this minute.
struct Bound {
    since: Instant,
    told: u32,
}

impl Bound {
    /// Whether there is room for one more at this time.
    fn admits(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= MINUTE {
            *self = Self { since: now, told: 0 };
        }
        self.told += 1;
        self.told <= MOST_A_MINUTE
    }
}

impl Errors {
    /// Starts the thread that sends reports; opens no connection yet.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn start(config: &config::Sentry) -> Result<Self, TlsError> {
        let post = Post::start(&config.dsn.0)?;
        let mut options = ClientOptions::new()
            .release(env!("CARGO_PKG_VERSION"))
            .environment(config.environment.clone())
            .sample_rate(config.sample)
            .send_default_pii(false);
        options.dsn = Some(config.dsn.0.clone());
        options.transport = Some(Arc::new(Arc::new(post)));
        let bound = Mutex::new(Bound { since: Instant::now(), told: 0 });
        Ok(Self { client: Client::with_options(options), bound })
    }

    /// Tells of an error, unless this minute had enough of them. Called from a panic hook, it tells the stack.
    pub fn report(&self, report: Report<'_>) {
        if !self.bound.lock().admits(Instant::now()) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let event = event(report, backtrace::of_panic);
        self.client.capture_event(event, None);
    }

    /// Waits until all that was told is sent, and not for long.
    pub fn flush(&self) {
        self.client.flush(Some(PATIENCE));
    }
}

fn event(
    Report { message, target, cause }: Report<'_>,
    stack: impl FnOnce() -> Option<sentry_core::protocol::Stacktrace>,
) -> Event<'static> {
    let mut event = Event { level: Level::Error, logger: Some(target.to_owned()), ..Event::new() };
    if target == PANIC {
        event.exception.values.push(Exception {
            ty: "panic".to_owned(),
            value: Some(scrub::panic(message)),
            stacktrace: stack(),
            ..Exception::default()
        });
    } else {
        event.message = Some(scrub::message(message));
    }
    if let Some(cause) = cause {
        event.extra.insert("cause".to_owned(), scrub::message(cause).into());
    }
    event
}

/// Sends reports from a thread of its own, which waits for nobody else's runtime.
struct Post {
    jobs: SyncSender<Job>,
}

enum Job {
    Send(Box<Envelope>),
    /// Answered when all before it was sent.
    Flush(SyncSender<()>),
}

impl Post {
    fn start(dsn: &Dsn) -> Result<Self, TlsError> {
        let sender = Sender::new(dsn)?;
        let (jobs, received) = sync_channel(MOST_WAITING);
        let started = std::thread::Builder::new().name("errors".to_owned()).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => sender.work(&runtime, &received),
                Err(error) => tracing::warn!(%error, "nothing can be told to Sentry"),
            }
        });
        if let Err(error) = started {
            tracing::warn!(%error, "nothing can be told to Sentry");
        }
        Ok(Self { jobs })
    }
}

impl Transport for Post {
    fn send_envelope(&self, envelope: Envelope) {
        if self.jobs.try_send(Job::Send(Box::new(envelope))).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let (done, wait) = sync_channel(1);
        let mut job = Job::Flush(done);
        loop {
            match self.jobs.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < until => job = back,
                Err(_) => return false,
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        wait.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// Posts envelopes one after the other.
struct Sender {
    client: hyper_util::client::legacy::Client<
        hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>,
        Full<Bytes>,
    >,
    url: String,
    auth: String,
}

impl Sender {
    fn new(dsn: &Dsn) -> Result<Self, TlsError> {
        let scheme = match dsn.scheme() {
            sentry_core::types::Scheme::Http => http::uri::Scheme::HTTP,
            sentry_core::types::Scheme::Https => http::uri::Scheme::HTTPS,
        };
        // The pool goes by the scheme; the address stands in each request.
        let place = http::uri::Authority::from_static("localhost");
        let mut server = config::Upstream::new(scheme, place);
        // Errors are rare: a connection that is kept would be closed by then.
        server.max_idle = 0;
        Ok(Self {
            client: pool(&server)?,
            url: dsn.envelope_api_url().to_string(),
            auth: dsn.to_auth(Some(AGENT)).to_string(),
        })
    }

    fn work(&self, runtime: &tokio::runtime::Runtime, jobs: &Receiver<Job>) {
        let mut quiet_until = Instant::now();
        while let Ok(job) = jobs.recv() {
            let envelope = match job {
                Job::Send(envelope) => envelope,
                Job::Flush(done) => {
                    let _ = done.try_send(());
                    continue;
                }
            };
            if Instant::now() < quiet_until {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            // Inside, for its timer is of the runtime.
            let sent = async { tokio::time::timeout(PATIENCE, self.post(&envelope)).await };
            match runtime.block_on(sent) {
                Ok(Ok(status)) if status.is_success() => SENT.fetch_add(1, Ordering::Relaxed),
                Ok(Ok(status)) => {
                    if status == StatusCode::TOO_MANY_REQUESTS {
                        quiet_until = Instant::now() + MINUTE;
                    }
                    tracing::warn!(%status, "Sentry refuses a report");
                    FAILED.fetch_add(1, Ordering::Relaxed)
                }
                Ok(Err(error)) => {
                    tracing::warn!(error = ?error, "Sentry can't be reached");
                    FAILED.fetch_add(1, Ordering::Relaxed)
                }
                Err(_) => {
                    tracing::warn!("Sentry does not answer");
                    FAILED.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
    }

    async fn post(
        &self,
        envelope: &Envelope,
    ) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
        let mut body = Vec::new();
        envelope.to_writer(&mut body)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header("x-sentry-auth", &self.auth)
            .header("user-agent", AGENT)
            .header("content-type", "application/x-sentry-envelope")
            .body(Full::from(body))?;
        Ok(self.client.request(request).await?.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_room_for_so_many() {
        let start = Instant::now();
        let mut bound = Bound { since: start, told: 0 };
        let told = (0..100).filter(|_| bound.admits(start)).count();
        assert_eq!(told, 30);
        assert!(!bound.admits(start + MINUTE - Duration::from_millis(1)));
        assert!(bound.admits(start + MINUTE));
    }

    #[test]
    fn a_panic_is_an_exception_with_its_stack_and_no_quotes() {
        let report = Report { message: "no `/users/7` here", target: PANIC, ..Report::default() };
        let told = event(report, backtrace::of_panic);
        let exception = &told.exception.values[0];
        assert_eq!(exception.value.as_deref(), Some("no `…` here"));
        assert!(exception.stacktrace.is_some());
        assert_eq!((told.message, told.user, told.request), (None, None, None));
    }

    #[test]
    fn an_error_is_told_in_the_same_words_each_time_and_its_cause_beside_them() {
        let report = Report {
            message: "it can't be reached",
            target: "tidegate_server::x",
            cause: Some("203.0.113.9:80 hung up on /a?key=1"),
        };
        let told = event(report, || panic!("nobody panicked"));
        assert_eq!(told.message.as_deref(), Some("it can't be reached"));
        assert_eq!(told.extra["cause"], "<address> hung up on /a?…");
        assert_eq!(told.logger.as_deref(), Some("tidegate_server::x"));
        assert_eq!(told.server_name, None);
    }
}
