//! The sample shop: pages, assets, a JSON API and a log-in, as slow as small shops are.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::time::Duration;

/// How many products there are; their ids start at 1.
pub(super) const PRODUCTS: usize = 400;
/// The categories.
pub(super) const CATEGORIES: [&str; 6] =
    ["kitchen", "garden", "lights", "books", "toys", "outdoor"];
/// The key of the partner.
pub(super) const PARTNER_KEY: &str = "partner-1";

/// The password of a customer.
pub(super) fn password(user: &str) -> String {
    format!("{user}-right")
}

/// The shop's routes; whatever else is asked for gets 404.
pub(super) fn router() -> Router {
    Router::new()
        .route("/", get(async || page("Welcome", 10).await))
        .route("/category/{name}", get(category))
        .route("/product/{id}", get(product))
        .route("/search", get(search))
        .route("/cart", get(async || page("Cart", 6).await).post(async || see("/cart")))
        .route("/login", get(async || page("Log in", 4).await).post(log_in))
        .route("/account", get(async || page("Account", 8).await))
        .route("/robots.txt", get(async || "User-agent: *\nDisallow: /cart\n"))
        .route("/health", get(async || "ok\n"))
        .route("/assets/{name}", get(asset))
        .route("/api/v1/products/{id}", get(api_product))
        .route("/api/v1/recommendations", get(async || json(5, "{\"products\":[7,3,19]}").await))
        .route("/api/v1/cart", post(async || json(6, "{\"items\":1}").await))
        .route("/api/v1/stock/{id}", get(api_partner).put(api_partner))
        .route("/api/v1/orders", get(api_partner).post(api_partner))
        .fallback(async || html(StatusCode::NOT_FOUND, "Nothing here"))
}

async fn work(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

fn html(status: StatusCode, title: &str) -> Response {
    let text = format!(
        "<!doctype html><title>{title}</title><link rel=stylesheet href=/assets/shop.css>\
         <h1>{title}</h1>{}",
        "<p>Things of lasting use, made with care.</p>".repeat(40)
    );
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

async fn page(title: &str, millis: u64) -> Response {
    work(millis).await;
    html(StatusCode::OK, title)
}

async fn json(millis: u64, text: &'static str) -> Response {
    work(millis).await;
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

fn see(path: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response()
}

fn exists(id: &str) -> bool {
    id.parse().is_ok_and(|id: usize| (1..=PRODUCTS).contains(&id))
}

async fn category(Path(name): Path<String>) -> Response {
    if CATEGORIES.contains(&name.as_str()) {
        page(&name, 12).await
    } else {
        html(StatusCode::NOT_FOUND, "No such category")
    }
}

async fn product(Path(id): Path<String>) -> Response {
    if exists(&id) {
        page(&format!("Product {id}"), 8).await
    } else {
        html(StatusCode::NOT_FOUND, "No such product")
    }
}

async fn search(RawQuery(query): RawQuery) -> Response {
    match query {
        Some(_) => page("Results", 20).await,
        None => html(StatusCode::BAD_REQUEST, "Search for what?"),
    }
}

async fn asset(Path(name): Path<String>) -> Response {
    let (kind, size) = match name.rsplit('.').next() {
        Some("css") => ("text/css", 9_000),
        Some("js") => ("text/javascript", 24_000),
        Some("jpg") => ("image/jpeg", 16_000),
        Some("svg") => ("image/svg+xml", 1_200),
        _ => return html(StatusCode::NOT_FOUND, "No such file"),
    };
    let body = Body::from(Bytes::from(vec![b' '; size]));
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "max-age=3600")], body).into_response()
}

async fn log_in(form: String) -> Response {
    // A password hash takes its time.
    work(15).await;
    let field = |name: &str| {
        form.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
    };
    match (field("user"), field("password")) {
        (Some((_, user)), Some((_, given))) if given == password(user) => {
            (StatusCode::SEE_OTHER, [(LOCATION, "/account"), (SET_COOKIE, "session=1; HttpOnly")])
                .into_response()
        }
        _ => html(StatusCode::UNAUTHORIZED, "Wrong name or password"),
    }
}

async fn api_product(Path(id): Path<String>) -> Response {
    if exists(&id) {
        json(4, "{\"name\":\"Lamp\",\"price\":1900,\"stock\":7}").await
    } else {
        (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "application/json")], "{}").into_response()
    }
}

async fn api_partner(headers: HeaderMap) -> Response {
    if headers.get("x-api-key").is_some_and(|key| key == PARTNER_KEY) {
        json(5, "{\"ok\":true}").await
    } else {
        (StatusCode::UNAUTHORIZED, [(CONTENT_TYPE, "application/json")], "{}").into_response()
    }
}
