//! Clients that dawdle: cut off when they take nothing of what is sent to them for too long.
//!
//! Three places can wait for a client to read. A full socket is seen by [`Patient`]. In HTTP/2 the
//! socket may be free and a stream's window closed (RFC 9113 §5.2): that is seen by [`Streams`],
//! which also tells when a connection has had no stream for long. A tunnel may be silent for hours;
//! whether its peers still exist is asked by the system, see [`PROBES`].

use socket2::{SockRef, TcpKeepalive};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How the system asks whether a silent peer still exists.
pub(crate) struct Probes {
    /// Silence before the first question.
    pub after: Duration,
    pub every: Duration,
    /// Questions without an answer until the connection is lost.
    pub most: u32,
}

/// A peer that vanished without a word, its machine or its network gone, is noticed after two
/// minutes of silence; the system's own default is two hours. A tunnel would hold its slot so long.
pub(crate) const PROBES: Probes =
    Probes { after: Duration::from_secs(60), every: Duration::from_secs(15), most: 4 };

impl Probes {
    /// Has the peer of `stream` probed.
    pub(crate) fn arm(&self, stream: &TcpStream) -> io::Result<()> {
        let settings = TcpKeepalive::new()
            .with_time(self.after)
            .with_interval(self.every)
            .with_retries(self.most);
        SockRef::from(stream).set_tcp_keepalive(&settings)
    }
}

/// A connection whose writes fail once the peer has taken no byte for `idle`.
pub(crate) struct Patient<S> {
    inner: S,
    idle: Duration,
    /// Runs only while the peer is waited for.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S: Unpin> Patient<S> {
    pub(crate) const fn new(inner: S, idle: Duration) -> Self {
        Self { inner, idle, stall: None }
    }

    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.inner), cx) {
            self.stall = None;
            return Poll::Ready(written);
        }
        let idle = self.idle;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |inner, cx| inner.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |inner, cx| inner.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, S::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, S::poll_shutdown)
    }
}

/// A moment that another task can read; none at first.
struct Moment {
    base: Instant,
    /// Milliseconds behind `base`, and one; 0 for none.
    millis: AtomicU64,
}

impl Moment {
    fn new() -> Self {
        Self { base: Instant::now(), millis: AtomicU64::new(0) }
    }

    fn set_now(&self) {
        let millis = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.millis.store(millis + 1, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.millis.store(0, Ordering::Relaxed);
    }

    /// Time since the moment; `None` without one.
    fn elapsed(&self) -> Option<Duration> {
        let millis = self.millis.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.base.elapsed().saturating_sub(Duration::from_millis(millis)))
    }

    /// Returns once a moment lies `length` back and `holds` is true.
    async fn reaches(&self, length: Duration, holds: impl Fn() -> bool) {
        loop {
            let left = match self.elapsed().filter(|_| holds()) {
                Some(elapsed) if elapsed >= length => return,
                Some(elapsed) => length - elapsed,
                None => length,
            };
            // Moments are cut to the millisecond: at least one is slept.
            sleep(left.max(Duration::from_millis(1))).await;
        }
    }
}

tokio::task_local! {
    /// Of the HTTP/2 stream that a task serves.
    static TAKER: Arc<Taker>;
}

/// Whether the client of a stream takes what is sent: set while a piece of the response waits.
pub(crate) struct Taker(Moment);

impl Taker {
    /// That of the stream that this task serves; `None` in HTTP/1, whose socket tells.
    pub(crate) fn current() -> Option<Arc<Self>> {
        TAKER.try_with(Arc::clone).ok()
    }

    /// A piece was handed over, and the next is not asked for yet.
    pub(crate) fn waits(&self) {
        self.0.set_now();
    }

    /// The client has room for more, or there is nothing more.
    pub(crate) fn moves(&self) {
        self.0.clear();
    }
}

/// Runs the streams of one HTTP/2 connection, and resets one whose client takes nothing for `idle`.
#[derive(Clone)]
pub(crate) struct Streams {
    idle: Duration,
    open: Arc<Open>,
}

struct Open {
    count: AtomicUsize,
    last_change: Moment,
}

impl Streams {
    pub(crate) fn new(idle: Duration) -> Self {
        let open = Open { count: AtomicUsize::new(0), last_change: Moment::new() };
        Self { idle, open: Arc::new(open) }
    }

    /// Returns once there was a stream and none has been open for `idle`.
    pub(crate) async fn unused(&self) {
        let none_open = || self.open.count.load(Ordering::Relaxed) == 0;
        self.open.last_change.reaches(self.idle, none_open).await;
    }
}

/// Counts a stream from its start to its end, however that comes.
struct Counted(Arc<Open>);

impl Counted {
    fn new(open: &Arc<Open>) -> Self {
        open.count.fetch_add(1, Ordering::Relaxed);
        open.last_change.set_now();
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.last_change.set_now();
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let (idle, counted) = (self.idle, Counted::new(&self.open));
        let taker = Arc::new(Taker(Moment::new()));
        tokio::spawn(TAKER.scope(Arc::clone(&taker), async move {
            let _counted = counted;
            tokio::select! {
                _ = stream => {}
                // Dropping what serves a stream resets it, and no other.
                () = taker.0.reaches(idle, || true) => {
                    tracing::debug!("a stream was reset: its client takes nothing");
                }
            }
        }));
    }
}
