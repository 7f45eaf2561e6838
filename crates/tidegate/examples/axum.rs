//! An axum service with limits: `cargo run -p tidegate --example axum`, then ask it quickly.

use axum::Router;
use axum::routing::{get, post};
use std::net::SocketAddr;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = tidegate::Layer::with_defaults()?;
    let metrics = limits.clone();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/login", post(|| async { (axum::http::StatusCode::UNAUTHORIZED, "no") }))
        .layer(limits)
        // What stands outside of the layer is not limited.
        .route("/metrics", get(|| async move { metrics.metrics().unwrap_or_default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
