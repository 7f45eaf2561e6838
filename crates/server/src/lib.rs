//! The wire: reverse proxy, HTTP API, admin endpoints, metrics and configuration files; no algorithms.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | a YAML file, read, resolved and explained |
//! | `server` | the life of a server: bind, serve, watch, drain |
//! | `proxy` | one request: identify, decide, deny or pass on, learn |
//! | `identify` | from an HTTP head to the record that the engine decides on |
//! | `proxy_header` | the PROXY protocol: whom a hop has a connection from |
//! | `forward` | heads as a proxy passes them on |
//! | `body` | bodies that stream through, and outcomes reported at their end |
//! | `slow` | clients that take nothing of what is sent to them |
//! | `answer` | denials and errors as problem documents |
//! | `gateway` | gateways that ask about each request over HTTP |
//! | `decisions` | the decision log: a line for each decision, on demand |
//! | `door` | what gateways connect to, with TLS or without |
//! | `grpc` | the connections of the gRPC door, and which service answers |
//! | `envoy` | Envoy, over gRPC: its questions about requests |
//! | `ratelimit` | Envoy, over gRPC: its rate limit service |
//! | `quota` | Envoy, over gRPC: its rate limit quota service |
//! | `process` | Envoy, over gRPC: its external processor |
//! | `streamed` | Envoy, over gRPC: its access log |
//! | `askers` | which Envoys ask about their requests, and which only log them |
//! | `resp` | Redis clients that ask about keys of their own: `CL.THROTTLE` |
//! | [`follow`] | a file that others write to, through rotation and truncation |
//! | [`webhook`] | messages to a URL, with patience |
//! | `reflection` | what the gRPC door serves, told to tools |
//! | `reports` | what became of requests, from access logs that are followed or come by syslog |
//! | [`telemetry`] | traces, errors and the log, told to others without waiting for them |
//! | [`layer`] | the same decisions inside of a Rust service, as a tower layer |
//! | `outlook` | what the site's rate should be, made anew each hour |
//! | `background` | models that are asked in the background: challengers and advisors |
//! | `kserve` | a remote model, by the KServe v2 protocol |
//! | `api` | decisions for a gateway, health, metrics, clients |
//! | `extract` | bodies and paths of its calls; what can't be read is a problem document |
//! | `openapi` | what it is, for programs |
//! | `fuzzing` | readers of bytes from outside, for the fuzz targets alone |
//! | [`replays`] | what the console asks of whoever can replay a log |
//! | `reload` | a new configuration while the server runs |

mod access;
mod answer;
mod api;
mod askers;
mod background;
mod body;
pub mod config;
mod console;
mod decisions;
mod door;
mod envoy;
mod extract;
pub mod follow;
mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
mod grpc;
mod identify;
mod kserve;
pub mod layer;
mod metrics;
mod openapi;
mod outlook;
mod process;
mod proxy;
mod proxy_header;
mod quota;
mod ratelimit;
mod reflection;
mod reload;
pub mod replays;
mod reports;
mod resp;
mod server;
mod shared;
mod slow;
mod streamed;
pub mod telemetry;
mod tls;
mod upstream;
pub mod webhook;

pub use config::{ConfigError, Resolved};
pub use identify::{HopField, Identity};
pub use reload::{ReloadError, Reloader};
pub use server::{ServeError, Server, serve, stop_signal};
pub use tls::TlsError;
