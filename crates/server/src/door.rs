//! The doors that gateways ask at: connections are accepted, encrypted where that is configured, and
//! handed to what speaks HTTP, gRPC or RESP.

use crate::config::Resolved;
use crate::shared::Shared;
use crate::slow::{PROBES, Patient};
use crate::tls::ServerTls;
use axum::serve::IncomingStream;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tidegate_behavior::address::canonical;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::PollSemaphore;

/// Most connections at once of those whose addresses may not ask, and at most half of all; more are
/// closed. Whoever may ask must not find all places taken by those who are going to be refused.
///
/// Where a certificate is asked for, strangers are those who have not shown it yet. They can't be told
/// from gateways that are about to: it is the oldest who is closed then, for a gateway takes a moment, and
/// who keeps a place by being silent has had it longest.
const STRANGERS: usize = 256;

/// Who is at the other end of a connection to a door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub addr: IpAddr,
    /// Whether it showed a certificate that `client_ca` has signed.
    pub certified: bool,
}

/// A listening address for gateways.
pub(crate) struct Door {
    shared: Arc<Shared>,
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    /// Handshakes run beside each other and beside accepting; they end with the door.
    handshakes: JoinSet<Option<Connection>>,
    /// Handshakes of strangers that a certificate may yet make known, the oldest first.
    unproven: VecDeque<AbortHandle>,
    header_timeout: Duration,
    pub idle_timeout: Duration,
    slots: PollSemaphore,
    /// Held for the connection that comes next.
    slot: Option<OwnedSemaphorePermit>,
    strangers: Arc<Semaphore>,
    most_strangers: usize,
    /// Runs after a connection could not be accepted.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Door {
    pub(crate) fn new(
        shared: Arc<Shared>,
        listener: TcpListener,
        tls: Option<Arc<ServerTls>>,
        resolved: &Resolved,
    ) -> Self {
        let most_strangers = STRANGERS.min(resolved.max_connections / 2).max(1);
        Self {
            shared,
            listener,
            tls,
            handshakes: JoinSet::new(),
            unproven: VecDeque::new(),
            header_timeout: resolved.header_timeout,
            idle_timeout: resolved.idle_timeout,
            slots: PollSemaphore::new(Arc::new(Semaphore::new(resolved.max_connections))),
            slot: None,
            strangers: Arc::new(Semaphore::new(most_strangers)),
            most_strangers,
            pause: None,
        }
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection that is ready for a request.
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Connection> {
        loop {
            if let Poll::Ready(Some(ended)) = self.handshakes.poll_join_next(cx) {
                match ended {
                    Ok(Some(connection)) => return Poll::Ready(connection),
                    _ => continue,
                }
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if self.slot.is_none() {
                self.slot = ready!(self.slots.poll_acquire(cx));
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, peer)) => {
                    if let Some(connection) = self.take(stream, canonical(peer.ip())) {
                        return Poll::Ready(connection);
                    }
                }
                Err(e) => {
                    // Mostly: no file descriptors left. Give others time to close theirs.
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    self.pause = Some(Box::pin(sleep(Duration::from_millis(50))));
                }
            }
        }
    }

    /// Takes in a connection; returns it when no handshake comes first.
    fn take(&mut self, stream: TcpStream, addr: IpAddr) -> Option<Connection> {
        let mut strange = None;
        let known = self.shared.trusts(addr);
        let proves = self.tls.as_ref().is_some_and(|tls| tls.files.client_ca.is_some());
        if !known && !proves {
            let Ok(place) = Arc::clone(&self.strangers).try_acquire_owned() else {
                tracing::debug!(%addr, "a stranger is closed: there are many");
                return None;
            };
            strange = Some(place);
        }
        // Neither is worth a connection: without them it is slower, or dies later.
        let _ = stream.set_nodelay(true);
        let _ = PROBES.arm(&stream);
        let stream = Patient::new(stream, self.idle_timeout);
        let slots = (self.slot.take(), strange);
        let Some(tls) = &self.tls else {
            let caller = Caller { addr, certified: false };
            return Some(Connection { io: Either::Left(stream), caller, slots });
        };
        let handshake = timeout(self.header_timeout, tls.acceptor().accept(stream));
        let handshake = self.handshakes.spawn(async move {
            match handshake.await {
                Ok(Ok(stream)) => {
                    let certified = stream.get_ref().1.peer_certificates().is_some();
                    let caller = Caller { addr, certified };
                    // Whoever is certified is no stranger.
                    let slots = (slots.0, slots.1.filter(|_| !certified));
                    return Some(Connection { io: Either::Right(Box::new(stream)), caller, slots });
                }
                Ok(Err(e)) => tracing::debug!(%addr, error = %e, "TLS handshake failed"),
                Err(_) => tracing::debug!(%addr, "TLS handshake took too long"),
            }
            None
        });
        if !known && proves {
            self.bound(handshake);
        }
        None
    }

    /// Keeps the handshakes of strangers few.
    fn bound(&mut self, newest: AbortHandle) {
        if self.unproven.len() >= self.most_strangers {
            self.unproven.retain(|handshake| !handshake.is_finished());
        }
        if self.unproven.len() >= self.most_strangers
            && let Some(oldest) = self.unproven.pop_front()
        {
            tracing::debug!("the oldest handshake of a stranger is ended: there are many");
            oldest.abort();
        }
        self.unproven.push_back(newest);
    }
}

impl axum::serve::Listener for Door {
    type Io = Connection;
    type Addr = Caller;

    async fn accept(&mut self) -> (Connection, Caller) {
        let connection = poll_fn(|cx| self.poll_connection(cx)).await;
        let caller = connection.caller;
        (connection, caller)
    }

    fn local_addr(&self) -> io::Result<Caller> {
        Ok(Caller { addr: self.address()?.ip(), certified: false })
    }
}

impl axum::extract::connect_info::Connected<IncomingStream<'_, Door>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        *stream.remote_addr()
    }
}

/// A connection to a door.
pub(crate) struct Connection {
    io: Either<Patient<TcpStream>, Box<TlsStream<Patient<TcpStream>>>>,
    caller: Caller,
    /// Places that are free again when the connection ends.
    #[expect(dead_code, reason = "held, not read")]
    slots: (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
