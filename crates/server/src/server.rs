//! The server from start to end: bind, serve, watch, drain.

use crate::api;
use crate::background::{Background, Role, Worker};
use crate::config::{AccessLog, Listen, Origin, Resolved};
use crate::console::{self, Console};
use crate::door::{Caller, Door};
use crate::gateway;
use crate::grpc;
use crate::metrics::Info;
use crate::outlook;
use crate::proxy::Proxy;
use crate::proxy_header;
use crate::reload::{self, Reloader};
use crate::replays::Replayer;
use crate::reports;
use crate::resp;
use crate::shared::{IN_LINE, Live, Shared};
use crate::slow::{PROBES, Patient, Streams};
use crate::telemetry::Tracing;
use crate::telemetry::export::Exporting;
use crate::telemetry::otlp::OtlpError;
use crate::tls::{HTTP_1, HTTP_1_AND_2, HTTP_2, ServerTls, TlsError};
use crate::upstream::Upstream;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate_behavior::address::canonical;
use tidegate_engine::{Engine, Setup};
use tidegate_models::{AnyModel, Model};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address can't be listened on.
    #[error("can't listen on {address} for the {purpose}: {source}; {remedy}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What it was for.
        purpose: &'static str,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Traces can't be sent anywhere.
    #[error(transparent)]
    Traces(#[from] OtlpError),
    /// The admin listener broke.
    #[error("the admin listener broke: {0}")]
    Admin(io::Error),
    /// Signals can't be received.
    #[error("signals can't be received: {0}")]
    Signal(io::Error),
}

/// A server that is bound to its addresses and not yet running.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<(TcpListener, Option<Arc<ServerTls>>, Listen)>,
    admin: TcpListener,
    gateway: Option<Door>,
    grpc: Option<Door>,
    resp: Option<Door>,
    syslog: Vec<UdpSocket>,
    resolved: Resolved,
    reloader: Option<Arc<Reloader>>,
    workers: Vec<Worker>,
    exporting: Option<Exporting<opentelemetry_otlp::SpanExporter>>,
    replayer: Option<Arc<dyn Replayer>>,
}

impl Server {
    /// Makes the engine and binds every address. `config_path` is what a reload reads; without it
    /// there is none.
    ///
    /// # Errors
    /// When an address is in use or not of this machine, or a certificate can't be used.
    pub async fn bind(
        mut resolved: Resolved,
        config_path: Option<PathBuf>,
    ) -> Result<Self, ServeError> {
        let (model, in_line) = in_line(&mut resolved).unzip();
        let setup = Setup {
            capacity: resolved.capacity,
            secret: resolved.secret,
            model,
            advice_for: resolved.advisor.as_ref().map(|(_, fresh_for)| *fresh_for),
            ..Setup::default()
        };
        let engine = Arc::new(Engine::new(resolved.policy.clone(), setup));
        let upstream = resolved.upstream.clone().map(Upstream::new).transpose()?.map(Arc::new);
        let advisor = resolved.advisor.take().map(|(asked, _)| (Role::Advisor, asked));
        let challenger = resolved.challenger.take().map(|asked| (Role::Challenger, asked));
        let asked: Vec<_> = advisor.into_iter().chain(challenger).collect();
        let mut infos: Vec<_> =
            asked.iter().map(|(role, asked)| (role.name(), Info::of_asked(asked))).collect();
        infos.extend(in_line.map(|info| (IN_LINE, info)));
        let (background, workers) = asked
            .into_iter()
            .map(|(role, asked)| Background::new(role, asked, &engine))
            .collect::<Result<(Vec<_>, Vec<_>), _>>()?;
        let live = Live::new(&resolved, upstream);
        let mut shared = Shared::new(engine, live, background);
        shared.console = Console::new(resolved.admin.audit_log.clone());
        let otlp = resolved.telemetry.otlp.as_ref();
        let traced = otlp.map(|otlp| Tracing::new(otlp, shared.metrics.span_counters()));
        let (tracing, exporting) = traced.transpose()?.unzip();
        shared.tracing = tracing;
        let shared = Arc::new(shared);
        infos.into_iter().for_each(|(role, info)| shared.model(role, info));
        let (mut listeners, mut certificates) = (Vec::new(), Vec::new());
        for listen in &resolved.listen {
            let protocols = if listen.http2 { HTTP_1_AND_2 } else { HTTP_1 };
            let tls =
                listen.tls.clone().map(|files| ServerTls::new(files, protocols)).transpose()?;
            certificates.extend(tls.clone());
            listeners.push((bind(listen.address, "proxy").await?, tls, listen.clone()));
        }
        let admin = bind(resolved.admin.address, "admin API").await?;
        let (mut gateway, mut grpc, mut resp, mut syslog) = (None, None, None, Vec::new());
        if let Some(config) = &resolved.gateway {
            for (door, address, purpose, protocols) in [
                (&mut gateway, config.http, "gateways", HTTP_1_AND_2),
                (&mut grpc, config.grpc, "gateways over gRPC", HTTP_2),
            ] {
                let Some(address) = address else { continue };
                let listener = bind(address, purpose).await?;
                let tls = config.tls.clone().map(|files| ServerTls::new(files, protocols));
                let tls = tls.transpose()?;
                certificates.extend(tls.clone());
                *door = Some(Door::new(Arc::clone(&shared), listener, tls, &resolved));
            }
            if let Some(address) = config.resp {
                let listener = bind(address, "Redis clients").await?;
                resp = Some(Door::new(Arc::clone(&shared), listener, None, &resolved));
            }
            for log in &config.access_logs {
                if let AccessLog::Syslog(address) = *log {
                    let socket = UdpSocket::bind(address).await;
                    syslog.push(socket.map_err(|e| unbound(address, "syslog of gateways", e))?);
                }
            }
        }
        let reloader = config_path.map(|path| {
            Arc::new(Reloader::new(path, &resolved, Arc::clone(&shared), certificates))
        });
        Ok(Self {
            shared,
            listeners,
            admin,
            gateway,
            grpc,
            resp,
            syslog,
            resolved,
            reloader,
            workers,
            exporting,
            replayer: None,
        })
    }

    /// Lets operators replay logs in the console, by whoever can: the server itself reads none. Without
    /// it there is no such page.
    #[must_use]
    pub fn with_replayer(self, replayer: Arc<dyn Replayer>) -> Self {
        Self { replayer: Some(replayer), ..self }
    }

    /// The addresses that the proxy is bound to, in the order of the configuration.
    #[must_use]
    pub fn proxy_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|(listener, ..)| listener.local_addr().ok()).collect()
    }

    /// The address that the admin API is bound to.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// The address that gateways ask at, if there is one.
    #[must_use]
    pub fn gateway_address(&self) -> Option<SocketAddr> {
        self.gateway.as_ref()?.address().ok()
    }

    /// The address that Envoy asks at over gRPC, if there is one.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc.as_ref()?.address().ok()
    }

    /// The addresses that syslog is received at, in the order of the configuration.
    #[must_use]
    pub fn syslog_addresses(&self) -> Vec<SocketAddr> {
        self.syslog.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// The engine that decides.
    #[must_use]
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.shared.engine)
    }

    /// What reloads the configuration, when there is a file.
    #[must_use]
    pub fn reloader(&self) -> Option<Arc<Reloader>> {
        self.reloader.clone()
    }

    /// Serves until `shutdown` is ready, then drains: nothing new is accepted, `/readyz` answers
    /// 503, requests in flight finish within the time that the configuration gives them.
    ///
    /// # Errors
    /// When the admin listener breaks.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let stop = CancellationToken::new();
        let kill = CancellationToken::new();
        let closed = CancellationToken::new();
        let tasks = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(self.resolved.max_connections));
        for (listener, tls, listen) in self.listeners {
            let front = Front {
                shared: Arc::clone(&self.shared),
                tls,
                http2: listen.http2,
                proxy_protocol: listen.proxy_protocol,
                header_timeout: self.resolved.header_timeout,
                idle_timeout: self.resolved.idle_timeout,
                slots: Arc::clone(&slots),
                tasks: tasks.clone(),
                stop: stop.clone(),
                kill: kill.clone(),
            };
            tasks.spawn(front.accept(listener));
        }
        let asking: Vec<_> =
            self.workers.into_iter().map(|it| tokio::spawn(it.run(stop.clone()))).collect();
        // Spans end with their requests, and the last ones are sent after those.
        let exporting = self.exporting.map(|it| tokio::spawn(it.run(closed.clone())));
        let forecasting = tokio::spawn(outlook::run(Arc::clone(&self.shared), stop.clone()));
        let logs = self.resolved.gateway.iter().flat_map(|gateway| &gateway.access_logs);
        let files = logs.filter_map(|log| match log {
            AccessLog::File(path) => Some(path.clone()),
            AccessLog::Syslog(_) => None,
        });
        let following =
            files.map(|path| reports::follow(Arc::clone(&self.shared), path, stop.clone()));
        let mut reading: Vec<_> = following.map(tokio::spawn).collect();
        reading.extend(self.syslog.into_iter().map(|socket| {
            tokio::spawn(reports::listen(Arc::clone(&self.shared), socket, stop.clone()))
        }));
        if let Some(listener) = self.grpc {
            let served = grpc::serve(Arc::clone(&self.shared), listener, stop.clone());
            let kill = kill.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = served => {}
                    () = kill.cancelled() => {}
                }
            });
        }
        if let Some(door) = self.resp {
            let until = (stop.clone(), kill.clone());
            tasks.spawn(resp::serve(Arc::clone(&self.shared), door, tasks.clone(), until));
        }
        if let Some(listener) = self.gateway {
            let router = gateway::router(Arc::clone(&self.shared));
            let service = router.into_make_service_with_connect_info::<Caller>();
            // Gateways keep their connections: what is idle when all else is drained is dropped.
            let until = stop.clone().cancelled_owned();
            let asked = axum::serve(listener, service).with_graceful_shutdown(until);
            let asked = asked.into_future();
            let kill = kill.clone();
            tasks.spawn(async move {
                tokio::select! {
                    _ = asked => {}
                    () = kill.cancelled() => {}
                }
            });
        }
        let watching = self.reloader.map(|it| tokio::spawn(reload::watch(it, stop.clone())));
        let looking = tokio::spawn(console::follow(Arc::clone(&self.shared), stop.clone()));
        let shared = Arc::clone(&self.shared);
        let router = api::router(shared, &self.resolved.admin, stop.clone(), self.replayer);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let until = closed.clone().cancelled_owned();
        let mut admin = tokio::spawn(
            axum::serve(self.admin, service).with_graceful_shutdown(until).into_future(),
        );

        let broken = tokio::select! {
            () = shutdown => None,
            ended = &mut admin => Some(admin_result(ended)),
        };
        tracing::info!("draining");
        self.shared.draining.store(true, Ordering::Relaxed);
        stop.cancel();
        tasks.close();
        if tokio::time::timeout(self.resolved.drain, tasks.wait()).await.is_err() {
            tracing::warn!("requests were still in flight at the end of the drain");
            kill.cancel();
            tasks.wait().await;
        }
        closed.cancel();
        let tasks = asking.into_iter().chain(watching).chain([forecasting, looking]);
        for task in tasks.chain(exporting).chain(reading) {
            let _ = task.await;
        }
        match broken {
            Some(result) => result,
            // An admin client that keeps its connection open must not keep the process.
            None => match tokio::time::timeout(Duration::from_secs(1), &mut admin).await {
                Ok(ended) => admin_result(ended),
                Err(_) => {
                    admin.abort();
                    Ok(())
                }
            },
        }
    }
}

fn admin_result(ended: Result<io::Result<()>, tokio::task::JoinError>) -> Result<(), ServeError> {
    ended.unwrap_or_else(|e| Err(io::Error::other(e))).map_err(ServeError::Admin)
}

/// Binds, serves and drains: the whole life of a server.
///
/// # Errors
/// When it can't start, or the admin listener breaks.
pub async fn serve(
    resolved: Resolved,
    config_path: Option<PathBuf>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let server = Server::bind(resolved, config_path).await?;
    for address in server.proxy_addresses() {
        tracing::info!(%address, "the proxy listens");
    }
    if let Ok(address) = server.admin_address() {
        tracing::info!(%address, "the admin API listens");
    }
    server.run(shutdown).await
}

/// Is ready when the process is told to stop: SIGTERM or SIGINT.
///
/// # Errors
/// When signals can't be received.
pub fn stop_signal() -> Result<impl Future<Output = ()>, ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The model that scores in line, that of the configuration or the one in the binary, and how the
/// metrics name it.
pub(crate) fn in_line(resolved: &mut Resolved) -> Option<(AnyModel, Info)> {
    let Some(model) = resolved.model.take() else {
        let model = embedded_model()?;
        let info = Info::built_in(&model);
        return Some((model, info));
    };
    let unnamed = || Origin { name: "of the program".to_owned(), checksum: None };
    let info = Info::of(model.kind(), resolved.origin.take().unwrap_or_else(unnamed));
    Some((model, info))
}

/// The model in the binary; without it the static limits alone are left, which is better than
/// nothing.
fn embedded_model() -> Option<AnyModel> {
    Engine::default_model()
        .map_err(|e| tracing::error!(error = %e, "the embedded model can't be used: static limits alone"))
        .ok()
}

async fn bind(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| unbound(address, purpose, source))
}

fn unbound(address: SocketAddr, purpose: &'static str, source: io::Error) -> ServeError {
    let remedy = match source.kind() {
        io::ErrorKind::AddrInUse => "another process has the port: stop it or choose another",
        io::ErrorKind::PermissionDenied => {
            "choose a port from 1024, or allow the process CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
        _ => "check the address",
    };
    ServeError::Bind { address, purpose, source, remedy }
}

/// A connection that counts until its last part ends: a tunnel outlives the connection's task.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    fn new(shared: Arc<Shared>, permit: OwnedSemaphorePermit) -> Self {
        shared.metrics.connections.inc();
        Self { shared, _permit: permit }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.metrics.connections.dec();
    }
}

/// One listening address and what its connections need.
#[derive(Clone)]
struct Front {
    shared: Arc<Shared>,
    tls: Option<Arc<ServerTls>>,
    http2: bool,
    proxy_protocol: bool,
    header_timeout: Duration,
    idle_timeout: Duration,
    /// One for each connection that may yet be accepted, on whichever address.
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Front {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = self.next(&listener) => accepted,
            };
            match accepted {
                Ok((permit, stream, peer)) => {
                    let slot = Arc::new(Slot::new(Arc::clone(&self.shared), permit));
                    let front = self.clone();
                    self.tasks.spawn(front.connection(stream, peer, slot));
                }
                Err(e) => {
                    // Mostly: no file descriptors left. Give others time to close theirs.
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// The next connection, once there is a slot for it. Those behind it wait in the system's
    /// queue, as behind HAProxy's maxconn: a crowd is served later instead of refused.
    async fn next(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
        let (stream, peer) = listener.accept().await?;
        if self.slots.available_permits() == 0 {
            self.shared.metrics.connections_full.inc();
        }
        let permit = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        Ok((permit, stream, peer))
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, slot: Arc<Slot>) {
        // Neither is worth a connection: without them it is slower, or dies later.
        let _ = stream.set_nodelay(true);
        let _ = PROBES.arm(&stream);
        let mut stream = Patient::new(stream, self.idle_timeout);
        let (peer, believed) = if self.proxy_protocol {
            let source = proxy_header::source(&self.shared, &mut stream, peer, self.header_timeout);
            let told = tokio::select! {
                told = source => told,
                () = self.stop.cancelled() => None,
            };
            let Some(told) = told else { return };
            told
        } else {
            (peer, true)
        };
        match self.tls.as_ref().map(|tls| tls.acceptor()) {
            None => self.serve(stream, (peer, believed), slot).await,
            Some(tls) => tokio::select! {
                stream = tokio::time::timeout(self.header_timeout, tls.accept(stream)) => match stream {
                    Ok(Ok(stream)) => self.serve(stream, (peer, believed), slot).await,
                    Ok(Err(e)) => tracing::debug!(%peer, error = %e, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                },
                () = self.stop.cancelled() => {}
            },
        }
    }

    async fn serve<S>(&self, stream: S, (peer, believed): (SocketAddr, bool), slot: Arc<Slot>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let proxy = Proxy {
            shared: Arc::clone(&self.shared),
            peer: canonical(peer.ip()),
            believed,
            tls: self.tls.is_some(),
            idle: self.idle_timeout,
            slot,
            tasks: self.tasks.clone(),
            kill: self.kill.clone(),
        };
        let spoke = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&spoke);
        let service = service_fn(move |request| {
            heard.store(true, Ordering::Relaxed);
            let proxy = proxy.clone();
            async move { Ok::<_, Infallible>(proxy.serve(request).await) }
        });
        let streams = Streams::new(self.idle_timeout);
        let mut builder = auto::Builder::new(streams.clone());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.header_timeout);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(60));
        let builder = if self.http2 { builder } else { builder.http1_only() };
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // Until the first request, neither version nor head have a timer of their own.
        let deadline = tokio::time::sleep(self.header_timeout);
        tokio::pin!(deadline);
        let (mut waiting, mut stopping, mut unused) = (true, false, false);
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(e) = result {
                        tracing::debug!(%peer, error = %e, "connection ended");
                    }
                    return;
                }
                () = &mut deadline, if waiting => {
                    waiting = false;
                    if unused || !spoke.load(Ordering::Relaxed) {
                        tracing::debug!(%peer, "no request, or no end of a connection, in time");
                        return;
                    }
                }
                () = streams.unused(), if !stopping => {
                    (waiting, stopping, unused) = (true, true, true);
                    // Time to take what is still under way, and no more.
                    deadline.as_mut().reset(Instant::now() + self.idle_timeout);
                    connection.as_mut().graceful_shutdown();
                }
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = self.kill.cancelled() => return,
            }
        }
    }
}
