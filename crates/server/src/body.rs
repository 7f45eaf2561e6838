//! Bodies that stream through: nothing is held back, progress is watched, the end is reported.

use crate::shared::Shared;
use crate::slow::Taker;
use crate::telemetry::Span;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tidegate_behavior::Outcome;
use tidegate_engine::Ticket;
use tokio::time::Sleep;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of every response to a client.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

/// How far the body of a request has been passed on.
pub(crate) struct Progress {
    started: Instant,
    last_millis: AtomicU64,
    done: AtomicBool,
    /// The next piece is the client's to send: what does not move then is not the upstream's fault.
    client_awaited: AtomicBool,
    client_failed: AtomicBool,
    client_silent: AtomicBool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            last_millis: AtomicU64::new(0),
            done: AtomicBool::new(false),
            client_awaited: AtomicBool::new(false),
            client_failed: AtomicBool::new(false),
            client_silent: AtomicBool::new(false),
        }
    }

    fn touch(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_millis.store(millis, Ordering::Relaxed);
    }

    /// Whether the client broke off its own body.
    pub(crate) fn client_failed(&self) -> bool {
        self.client_failed.load(Ordering::Relaxed)
    }

    /// Whether the client sent nothing of its own body for too long.
    pub(crate) fn client_silent(&self) -> bool {
        self.client_silent.load(Ordering::Relaxed)
    }

    /// Returns when the upstream has moved nothing for too long: `write` while the body is under
    /// way, `read` once all of it was passed on.
    pub(crate) async fn stalled(&self, write: Duration, read: Duration) {
        loop {
            let limit = if self.done.load(Ordering::Relaxed) { read } else { write };
            if self.client_awaited.load(Ordering::Relaxed) {
                tokio::time::sleep(limit).await;
                continue;
            }
            let last = Duration::from_millis(self.last_millis.load(Ordering::Relaxed));
            let idle = self.started.elapsed().saturating_sub(last);
            match limit.checked_sub(idle) {
                // A stall may begin in a millisecond and end in the next: at least one is slept.
                Some(left) => tokio::time::sleep(left.max(Duration::from_millis(1))).await,
                None => return,
            }
        }
    }
}

/// A request's body on its way to the upstream.
pub(crate) struct RequestBody {
    inner: Incoming,
    progress: Arc<Progress>,
    idle: Duration,
    /// Runs only while the client is waited for.
    silence: Option<Pin<Box<Sleep>>>,
}

/// The client fell silent in the middle of a request.
#[derive(Debug, thiserror::Error)]
#[error("the client sent nothing for {0:?} in the middle of a request")]
struct ClientSilent(Duration);

impl RequestBody {
    pub(crate) fn new(inner: Incoming, progress: Arc<Progress>, idle: Duration) -> Self {
        progress.done.store(inner.is_end_stream(), Ordering::Relaxed);
        Self { inner, progress, idle, silence: None }
    }

    /// The next frame, or an error once the client has sent nothing for too long.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.silence = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.progress.client_awaited.store(true, Ordering::Relaxed);
        let idle = self.idle;
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(silence.as_mut().poll(cx));
        self.progress.client_silent.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(ClientSilent(idle).into())))
    }
}

impl Drop for RequestBody {
    /// What the upstream no longer asks for is not waited for either: only its answer is.
    fn drop(&mut self) {
        self.progress.done.store(true, Ordering::Relaxed);
        self.progress.client_awaited.store(false, Ordering::Relaxed);
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.next(cx));
        self.progress.touch();
        self.progress.client_awaited.store(false, Ordering::Relaxed);
        match &frame {
            Some(Err(_)) => self.progress.client_failed.store(true, Ordering::Relaxed),
            _ if self.inner.is_end_stream() => self.progress.done.store(true, Ordering::Relaxed),
            None => self.progress.done.store(true, Ordering::Relaxed),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A request that was passed on and whose outcome is not yet known; reports it when dropped, so
/// that a client that goes away is learned from as well and holds no permit.
pub(crate) struct Pending {
    shared: Arc<Shared>,
    /// `None` when deciding failed and the request passed all the same.
    ticket: Option<Ticket>,
    started: Instant,
    passed_on: bool,
    /// Ends with this.
    pub(crate) span: Span,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
}

impl Pending {
    pub(crate) fn new(shared: Arc<Shared>, ticket: Option<Ticket>, span: Span) -> Self {
        shared.metrics.in_flight.inc();
        let started = Instant::now();
        Self { shared, ticket, started, passed_on: false, span, status: 0, bytes: 0 }
    }

    pub(crate) fn passed_on(&mut self) {
        self.passed_on = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.shared.metrics.in_flight.dec();
        match StatusCode::from_u16(self.status) {
            Ok(status) => self.span.answered(status),
            // The client went away before there was any.
            Err(_) => self.span.failed("cancelled"),
        }
        let Some(ticket) = &self.ticket else { return };
        if self.passed_on {
            let duration = Some(self.started.elapsed());
            let outcome = Outcome { status: self.status, bytes: self.bytes, duration };
            self.shared.outcome(ticket, &outcome);
        } else {
            self.shared.release(ticket);
        }
    }
}

/// A response's body on its way to the client.
pub(crate) struct ResponseBody {
    inner: Incoming,
    pending: Pending,
    timeout: Duration,
    /// Runs only while the upstream is waited for: a slow client is not the upstream's fault.
    silence: Option<Pin<Box<Sleep>>>,
    taker: Option<Arc<Taker>>,
}

/// The upstream fell silent in the middle of a response.
#[derive(Debug, thiserror::Error)]
#[error("the upstream sent nothing for {0:?} in the middle of a response")]
struct Silent(Duration);

impl ResponseBody {
    pub(crate) fn new(inner: Incoming, pending: Pending, timeout: Duration) -> Self {
        Self { inner, pending, timeout, silence: None, taker: Taker::current() }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(taker) = &this.taker {
            taker.moves();
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.silence = None;
            if let (Some(taker), Some(Ok(_))) = (&this.taker, &frame) {
                taker.waits();
            }
            if let Some(Ok(frame)) = &frame {
                this.pending.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = this.timeout;
        let silence = this.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(silence.as_mut().poll(cx));
        Poll::Ready(Some(Err(Silent(timeout).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
