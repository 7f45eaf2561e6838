//! The log of a server, which nobody waits for, and who else hears of its errors.

use miette::{IntoDiagnostic, WrapErr};
use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;
use tidegate_server::config::Telemetry;
use tidegate_server::telemetry::{CONTAINED, Errors, Flush, Lines, PANIC, Report};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt as format, registry};

/// Keeps the log; what is left of it is written, and told, when this is dropped.
pub(crate) struct Logging {
    errors: Option<Arc<Errors>>,
    _flush: Flush,
}

impl Drop for Logging {
    fn drop(&mut self) {
        if let Some(errors) = &self.errors {
            errors.flush();
        }
    }
}

/// Logs go to standard error: text for a terminal, JSON for a collector. `RUST_LOG` filters them, and not what
/// Sentry is told.
pub(crate) fn start(telemetry: &Telemetry) -> miette::Result<Logging> {
    let (lines, flush) =
        Lines::start(std::io::stderr()).into_diagnostic().wrap_err("cannot start the log")?;
    let errors = telemetry.sentry.as_ref().map(Errors::start).transpose();
    let errors = errors.into_diagnostic().wrap_err("errors can't be told to Sentry")?.map(Arc::new);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = format::layer().with_writer(move || lines.clone());
    let log = if std::io::stderr().is_terminal() { log.boxed() } else { log.json().boxed() };
    let told = errors.clone().map(|errors| Told(errors).with_filter(LevelFilter::ERROR));
    // A second start in one process (tests) keeps the first subscriber, which is as good.
    let _ = registry().with(log.with_filter(filter)).with(told).try_init();
    log_panics();
    Ok(Logging { errors, _flush: flush })
}

/// Makes a line of the log of every panic: like others it waits for no reader, and Sentry hears of it.
fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !tracing::enabled!(target: PANIC, tracing::Level::ERROR) {
            before(info);
            return;
        }
        let payload = info.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        // Only with RUST_BACKTRACE, as always.
        let stack = std::backtrace::Backtrace::capture();
        let captured = stack.status() == std::backtrace::BacktraceStatus::Captured;
        tracing::error!(
            target: PANIC,
            place = info.location().map(tracing::field::display),
            stack = captured.then(|| tracing::field::display(&stack)),
            "{}",
            message.unwrap_or("a panic without words")
        );
    }));
}

/// Tells Sentry of errors.
struct Told(Arc<Errors>);

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if target == CONTAINED {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let Said { message, cause } = said;
        self.0.report(Report { message: &message, target, cause: cause.as_deref() });
    }
}

/// Of a line's fields, what it says and what caused it; no other leaves the process.
#[derive(Default)]
struct Said {
    message: String,
    cause: Option<String>,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "error" | "place" => self.cause = Some(format!("{value:?}")),
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use tidegate_server::config;

    /// Takes so many reports as Sentry does; returns them.
    fn take(listener: &TcpListener, count: usize) -> Vec<String> {
        let take_one = |_| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                length =
                    line.strip_prefix("content-length: ").map_or(length, |n| n.parse().unwrap());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            String::from_utf8(body).unwrap()
        };
        (0..count).map(take_one).collect()
    }

    #[test]
    fn sentry_hears_of_a_panic_with_its_stack_and_of_errors_and_of_neither_twice() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidegate.yaml");
        let dsn = format!("http://key@{}/7", listener.local_addr().unwrap());
        std::fs::write(&path, format!("telemetry: {{sentry: '{dsn}'}}\n")).unwrap();
        let telemetry = config::load(&path).unwrap().telemetry;
        let errors = Arc::new(Errors::start(telemetry.sentry.as_ref().unwrap()).unwrap());
        let told = Told(errors).with_filter(LevelFilter::ERROR);
        let _default = tracing::subscriber::set_default(registry().with(told));
        log_panics();

        let panicked = std::panic::catch_unwind(|| panic!("no `/users/7` at 203.0.113.9"));
        assert!(panicked.is_err());
        tracing::error!(target: CONTAINED, "the engine failed");
        tracing::warn!("it goes on");
        let client = "203.0.113.9";
        tracing::error!(client, error = "203.0.113.9 hung up", "it is broken");
        let reports = take(&listener, 2);
        for part in ["\"panic\"", "no `…` at <address>", "log::tests", env!("CARGO_PKG_VERSION")]
        {
            assert!(reports[0].contains(part), "{part}: {}", reports[0]);
        }
        for part in ["it is broken", "<address> hung up", "production"] {
            assert!(reports[1].contains(part), "{part}: {}", reports[1]);
        }
        let all = reports.concat();
        assert!(!all.contains("203.0.113.9") && !all.contains("/users/7"), "{all}");
    }
}
