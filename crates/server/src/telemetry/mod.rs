//! What watches the server from outside: traces over OTLP, errors to Sentry, and a log that nobody waits for.
//!
//! Whatever is told to others waits in a queue with a bound; what does not fit is dropped and counted, and no
//! request waits for it.

pub(crate) mod backtrace;
pub(crate) mod errors;
pub(crate) mod export;
pub(crate) mod lines;
pub(crate) mod otlp;
pub(crate) mod scrub;
pub(crate) mod trace;

pub use errors::{Errors, Report};
pub use lines::{Flush, Lines};
pub(crate) use trace::{Span, Tracing};

/// The target of the log line that a panic becomes.
pub const PANIC: &str = "tidegate::panic";
/// The target of log lines that tell what came of a panic: it has been reported with its place already.
pub const CONTAINED: &str = "tidegate::contained";
