//! The pages: a few files in the program, with headers that let them load nothing else.

use super::replay;
use crate::api::Door;
use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::hash::{DefaultHasher, Hasher};

/// Scripts, styles, calls and frames from here alone; no forms, nothing inline. Of what is served here only
/// the report of a replay lets itself be framed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Where it is, what it is, and what is in it.
type File = (&'static str, &'static str, &'static str);

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal $file:literal $kind:ident)*) => {
        &[$(($path, $kind, include_str!(concat!("../../console/", $file)))),*]
    };
}

const FILES: &[File] = files! {
    "/" "index.html" HTML
    "/console/style.css" "style.css" STYLE
    "/console/icon.svg" "icon.svg" IMAGE
    "/console/app.js" "app.js" SCRIPT
    "/console/charts.js" "charts.js" SCRIPT
    "/console/dom.js" "dom.js" SCRIPT
    "/console/net.js" "net.js" SCRIPT
    "/console/pages.js" "pages.js" SCRIPT
    "/console/client.js" "client.js" SCRIPT
};

/// What is there only when somebody replays logs.
const REPLAY: &[File] = files! {
    "/console/replay.js" "replay.js" SCRIPT
};

/// The routes of the pages. They hold nothing secret and need no token: a browser can't send one
/// before it has them.
pub(crate) fn routes(replays: bool) -> Router<Door> {
    let (more, router) = if replays {
        (REPLAY, Router::new().route("/console/reports/{key}", get(replay::show)))
    } else {
        (&[][..], Router::new())
    };
    FILES.iter().chain(more).fold(router, |router, &(path, kind, text)| {
        router.route(path, get(async move |headers: HeaderMap| serve(&headers, kind, text)))
    })
}

fn serve(asked: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    let tag = format!("\"{:016x}\"", hasher.finish());
    let same = asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response =
        if same { StatusCode::NOT_MODIFIED.into_response() } else { text.into_response() };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // Another version may be another page: asked for each time, sent when it has changed.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = tag.parse() {
        headers.insert(ETAG, tag);
    }
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_small_and_load_nothing_from_elsewhere() {
        let files = || FILES.iter().chain(REPLAY);
        let all: usize = files().map(|(_, _, text)| text.len()).sum();
        assert!(all < 300 * 1024, "{all} bytes");
        for (path, kind, text) in files() {
            // What names a namespace is no address that anything is loaded from.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{path}");
            assert!(!text.contains("innerHTML") && !text.contains("eval("), "{path}");
            if *kind == HTML {
                assert!(!text.contains("<style") && !text.contains(" style="), "{path}");
                assert!(!text.contains(" onclick=") && !text.contains("<script>"), "{path}");
            }
        }
    }

    #[test]
    fn a_page_that_is_known_is_not_sent_again() {
        let first = serve(&HeaderMap::new(), STYLE, "a");
        let tag = first.headers()[ETAG].clone();
        let mut asked = HeaderMap::new();
        asked.insert(IF_NONE_MATCH, tag);
        assert_eq!(serve(&asked, STYLE, "a").status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve(&asked, STYLE, "b").status(), StatusCode::OK);
        assert!(first.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("'none'"));
    }
}
