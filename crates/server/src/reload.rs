//! A new configuration while the server runs: from a changed file or a signal, all or nothing.

use crate::config::{self, ConfigError, Startup};
use crate::shared::{Live, Shared};
use crate::tls::ServerTls;
use crate::upstream::Upstream;
use notify::{RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Editors and Kubernetes change a file in several steps: wait until they are through.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// A reload that was refused; the configuration before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The new configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A renewed certificate can't be used.
    #[error("a listener's certificate can't be used: {0}")]
    Certificate(#[source] crate::tls::TlsError),
    /// TLS to the new upstream can't be set up.
    #[error("the upstream can't be used: {0}")]
    Upstream(#[from] crate::tls::TlsError),
}

/// Loads the configuration anew and puts it in force.
pub struct Reloader {
    path: PathBuf,
    shared: Arc<Shared>,
    /// Those of all listeners.
    certificates: Vec<Arc<ServerTls>>,
    state: Mutex<State>,
}

struct State {
    startup: Startup,
    upstream: Option<config::Upstream>,
    files: Vec<PathBuf>,
    /// The content that was tried last, so that an event without a change does nothing.
    tried: Vec<Option<Vec<u8>>>,
}

impl Reloader {
    pub(crate) fn new(
        path: PathBuf,
        resolved: &config::Resolved,
        shared: Arc<Shared>,
        certificates: Vec<Arc<ServerTls>>,
    ) -> Self {
        let state = State {
            startup: resolved.startup.clone(),
            upstream: resolved.upstream.clone(),
            files: resolved.files.clone(),
            tried: contents(&resolved.files),
        };
        Self { path, shared, certificates, state: Mutex::new(state) }
    }

    /// Loads the file again. What can't change while the server runs is logged and left as it is.
    ///
    /// # Errors
    /// When the new configuration is wrong: then nothing at all has changed.
    pub fn reload(&self) -> Result<(), ReloadError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tried = contents(&state.files);
        let result = self.apply(&mut state);
        self.shared.metrics.reload(result.is_ok());
        match &result {
            Ok(()) => {
                tracing::info!(path = %self.path.display(), "configuration reloaded");
            }
            Err(e) => {
                tracing::error!(error = %e, "configuration refused; the one before stays in force");
            }
        }
        result
    }

    fn apply(&self, state: &mut State) -> Result<(), ReloadError> {
        let resolved = config::load(&self.path)?;
        let live = self.shared.live.load();
        // The pool of connections is kept unless its settings changed.
        let upstream = if resolved.upstream == state.upstream {
            live.upstream.clone()
        } else {
            resolved.upstream.clone().map(Upstream::new).transpose()?.map(Arc::new)
        };
        // Files that are no longer named stay as they are: other ones need a restart.
        let named = |tls: &&Arc<ServerTls>| resolved.files.contains(&tls.files.cert);
        let renewed = self.certificates.iter().filter(named).map(|tls| Ok((tls, tls.read()?)));
        let renewed: Vec<_> =
            renewed.collect::<Result<_, _>>().map_err(ReloadError::Certificate)?;
        for (tls, config) in renewed {
            tls.put_in_force(config);
        }
        for key in needs_restart(&state.startup, &resolved.startup) {
            tracing::warn!(key, "this change needs a restart; the value before stays in force");
        }
        self.shared.put_in_force(Live::new(&resolved, upstream));
        self.shared.engine.reload(resolved.policy);
        state.upstream = resolved.upstream;
        if state.files != resolved.files {
            state.tried = contents(&resolved.files);
            state.files = resolved.files;
        }
        Ok(())
    }

    fn changed(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        contents(&state.files) != state.tried
    }

    /// The folders to watch: a file that is replaced by renaming is seen by its folder alone.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = |path: &Path| match path.parent() {
            _ if path.is_dir() => path.to_owned(),
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let real = state.files.iter().filter_map(|path| path.canonicalize().ok());
        // A link anywhere on the way may be turned to another place.
        let links = state.files.iter().flat_map(|path| path.ancestors());
        let links = links.filter(|path| path.is_symlink()).map(Path::to_owned);
        let parents = links.filter_map(|link| link.parent().map(Path::to_owned));
        let files = state.files.iter().cloned().chain(real).map(|path| folder(&path));
        let parents = parents.map(|path| if path == Path::new("") { ".".into() } else { path });
        files.chain(parents).collect()
    }
}

/// What is in the files, and in the files of folders.
fn contents(files: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    let all = |folder: &Path| {
        let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        let mut all = Vec::new();
        for name in names {
            all.extend_from_slice(name.as_encoded_bytes());
            // One that could not be used is not among the files, and may be put right in place.
            all.extend(std::fs::read(folder.join(&name)).unwrap_or_default());
        }
        Some(all)
    };
    files.iter().map(|path| std::fs::read(path).ok().or_else(|| all(path))).collect()
}

fn needs_restart(old: &Startup, new: &Startup) -> impl Iterator<Item = &'static str> {
    [
        ("listen", old.listen != new.listen),
        ("admin", old.admin != new.admin),
        ("gateway", old.gateway != new.gateway),
        ("capacity", old.capacity != new.capacity),
        ("model, challenger or onnxruntime", old.models != new.models),
        ("secret_env or secret_file", old.secret != new.secret),
        ("timeouts", old.timeouts != new.timeouts),
        ("max_connections", old.max_connections != new.max_connections),
        ("telemetry.otlp but its sample", old.otlp != new.otlp),
        ("telemetry.sentry", old.sentry != new.sentry),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
}

/// Watches the files and SIGHUP until stopped.
pub(crate) async fn watch(reloader: Arc<Reloader>, stop: CancellationToken) {
    let (send, mut events) = mpsc::channel(1);
    let mut watched = BTreeSet::new();
    // A full channel already holds the news that something changed.
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = send.try_send(());
        }
    })
    .map_err(|e| tracing::warn!(error = %e, "files can't be watched; send SIGHUP to reload"))
    .ok();
    let mut hangup = hangups();
    loop {
        if let Some(watcher) = &mut watcher {
            let folders = reloader.folders();
            for folder in folders.difference(&watched) {
                if let Err(e) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                    tracing::warn!(folder = %folder.display(), error = %e, "a folder can't be watched");
                }
            }
            watched = folders;
        }
        let forced = tokio::select! {
            () = stop.cancelled() => return,
            () = hangup.next() => true,
            // Without a watcher the channel is closed, and the signal alone is left.
            Some(()) = events.recv() => {
                tokio::time::sleep(DEBOUNCE).await;
                while events.try_recv().is_ok() {}
                false
            }
        };
        let reloader = Arc::clone(&reloader);
        // Reads files, and a MaxMind database takes its time.
        let _ = tokio::task::spawn_blocking(move || {
            if forced || reloader.changed() {
                // Already logged and counted.
                let _ = reloader.reload();
            }
        })
        .await;
    }
}

struct Hangups(Option<tokio::signal::unix::Signal>);

impl Hangups {
    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

fn hangups() -> Hangups {
    use tokio::signal::unix::{SignalKind, signal};
    Hangups(signal(SignalKind::hangup()).ok())
}
