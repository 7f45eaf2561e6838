//! The door for clients of Redis: `CL.THROTTLE`, by which an application asks about keys of its own.
//!
//! The caller says key and quota, as with redis-cell; policy, mode and model have no part in it.

mod command;
mod parse;
mod reply;

use crate::door::{Caller, Door};
use crate::gateway::may_ask;
use crate::shared::Shared;
use axum::serve::Listener;
use bytes::{Buf, BytesMut};
use command::{Done, Session};
use reply::Reply;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Room for what comes next on a quiet connection: one command of the usual length.
const ROOM: usize = 512;
/// Room where that was too little: a batch.
const MORE_ROOM: usize = 16 << 10;
/// Replies are written when they are so many bytes, or when no command is left.
const BATCH: usize = 64 << 10;
/// How long a client that is told to go may take to hear it.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves clients until told to stop; what each of them has sent is answered first.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    mut door: Door,
    tasks: TaskTracker,
    (stop, kill): (CancellationToken, CancellationToken),
) {
    let mut id = 0;
    loop {
        let (stream, caller) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = door.accept() => accepted,
        };
        id += 1;
        let patience = door.idle_timeout;
        let connection = Connection::new(Arc::clone(&shared), stream, caller, id, patience);
        let (stop, kill) = (stop.clone(), kill.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = connection.serve(&stop) => {}
                () = kill.cancelled() => {}
            }
        });
    }
}

/// The whole commands of these bytes, how many of them they take, and whether what follows can't be one.
pub(crate) fn commands(bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, usize, bool) {
    let (mut all, mut at) = (Vec::new(), 0);
    loop {
        match parse::parse(bytes.get(at..).unwrap_or_default()) {
            Ok(Some((args, used))) => {
                all.push(args.iter().map(|arg| arg.to_vec()).collect());
                at += used;
            }
            Ok(None) => return (all, at, false),
            Err(_) => return (all, at, true),
        }
    }
}

/// One client, which may be quiet for as long as it likes.
struct Connection<S> {
    shared: Arc<Shared>,
    stream: S,
    caller: Caller,
    session: Session,
    /// How long the client may take nothing of what is sent to it.
    patience: Duration,
    /// What was read and not yet answered.
    bytes: BytesMut,
    out: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(shared: Arc<Shared>, stream: S, caller: Caller, id: i64, patience: Duration) -> Self {
        let (bytes, out) = (BytesMut::new(), Vec::new());
        Self { shared, stream, caller, session: Session::new(id), patience, bytes, out }
    }

    async fn serve(mut self, stop: &CancellationToken) {
        if !self.admitted().await {
            return;
        }
        let stopped = stop.cancelled();
        tokio::pin!(stopped);
        let mut room = ROOM;
        loop {
            if self.bytes.is_empty() && self.bytes.capacity() > room {
                self.bytes = BytesMut::new();
            }
            self.bytes.reserve(room);
            let read = tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.bytes) => read,
                () = &mut stopped => return self.part().await,
            };
            if !read.is_ok_and(|count| count > 0) {
                return;
            }
            room = if self.bytes.len() == self.bytes.capacity() { MORE_ROOM } else { ROOM };
            // A reload may have taken the peer off the list.
            if !self.admitted().await || !self.answer().await {
                return;
            }
        }
    }

    /// Whether the peer may ask; tells one that may not, and sends it away.
    async fn admitted(&mut self) -> bool {
        if may_ask(&self.shared, self.caller) {
            return true;
        }
        let mut reply = Reply { resp3: self.session.resp3, out: &mut self.out };
        reply.error(
            "NOPERM only gateways may ask here: name this one's address in identity.trusted_hops",
        );
        self.part().await;
        false
    }

    /// Answers every whole command that was read; `false` when the connection is to end.
    async fn answer(&mut self) -> bool {
        let now = self.shared.now();
        let (mut at, mut goes_on) = (0, true);
        while goes_on {
            match parse::parse(self.bytes.get(at..).unwrap_or_default()) {
                Ok(None) => break,
                Ok(Some((args, used))) => {
                    let done = self.session.run(&self.shared, now, &args, &mut self.out);
                    at += used;
                    goes_on = done != Done::Quit;
                    if !args.is_empty() {
                        self.shared.metrics.command(done.name());
                    }
                }
                Err(why) => {
                    let mut reply = Reply { resp3: self.session.resp3, out: &mut self.out };
                    reply.error(format_args!("ERR Protocol error: {why}"));
                    self.shared.metrics.command(Done::Refused.name());
                    goes_on = false;
                }
            }
            if self.out.len() > BATCH && !self.write().await {
                return false;
            }
        }
        self.bytes.advance(at);
        if goes_on {
            return self.out.is_empty() || self.write().await;
        }
        self.part().await;
        false
    }

    async fn write(&mut self) -> bool {
        let written = tokio::time::timeout(self.patience, self.stream.write_all(&self.out)).await;
        self.out.clear();
        // Thousands of quiet connections should not each keep the room of their longest batch.
        self.out.shrink_to(ROOM);
        matches!(written, Ok(Ok(())))
    }

    /// Writes what there is to say and hangs up. What the client still sends is thrown away: the
    /// system would otherwise tell it of a broken connection before it has read the last reply.
    async fn part(&mut self) {
        if !self.write().await || self.stream.shutdown().await.is_err() {
            return;
        }
        let mut rest = [0; 64];
        let _ = tokio::time::timeout(GOODBYE, async {
            while self.stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
        })
        .await;
    }
}

#[cfg(test)]
mod tests;
