//! A rate limiter that learns, inside of a Rust service.
//!
//! [`Layer`] is a [tower](https://docs.rs/tower) layer: it decides each request before the handler
//! sees it, denies with 429 and the fields that tell a client when to come back, and learns from the
//! handler's responses. Every client gets its own limit, by how it behaves; rules, lists and the
//! bounds of what may be learned come from the same file that `tidegate serve` reads.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use std::net::SocketAddr;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = tidegate::Layer::load("tidegate.yaml".as_ref())?;
//! let app = Router::new().route("/", get(|| async { "hello" })).layer(limits);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! // The layer has to know who connects.
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Any service whose responses are [`http::Response`](https://docs.rs/http) will do, and any place
//! that knows the peer's address, see [`Layer::with_peer`]:
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use tower::ServiceExt as _;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = tidegate::Layer::with_defaults()?.with_peer(|_| Some([203, 0, 113, 9].into()));
//! let app = Router::new().route("/", get(|| async { "hello" })).layer(limits.clone());
//! let response = app.oneshot(Request::get("/").body(Body::empty())?).await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(limits.engine().clients(10)[0].name, "203.0.113.9");
//! # Ok(())
//! # }
//! ```
//!
//! Put the layer outside of whatever answers from a cache or compresses, so that it sees what clients
//! see. What it knows is in memory: it is gone after a restart, and several processes do not share it.
//! Without the default feature `cli` the program's own dependencies are left out.

pub use tidegate_engine::{Action, Engine, Policy, Stats};
pub use tidegate_server::config::{ConfigError, Resolved, load};
pub use tidegate_server::layer::{Layer, LayerError, Limited, LimitedBody, Peer};
