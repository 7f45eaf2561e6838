//! What the admin API is, for programs: an OpenAPI document that is kept by hand.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

/// The document; tests hold it against the routes, the version and a server that runs.
const DOCUMENT: &str = include_str!("openapi.json");

/// Answers it.
pub(crate) async fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn parsed() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn what_is_served_is_what_is_documented() {
        let document = parsed();
        let documented: BTreeSet<&str> =
            document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let all = crate::api::guarded().into_iter().chain(crate::api::replaying());
        let guarded = all.map(|(path, _)| path);
        let served: BTreeSet<&str> =
            guarded.chain(crate::api::open().into_iter().map(|(path, _)| path)).collect();
        assert_eq!(served, documented);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn every_reference_leads_somewhere_and_nothing_is_left_over() {
        fn references<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
            match value {
                Value::Object(fields) => {
                    into.extend(fields.get("$ref").and_then(Value::as_str));
                    fields.values().for_each(|field| references(field, into));
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, into)),
                _ => {}
            }
        }
        let document = parsed();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let mut there = BTreeSet::new();
        for kind in ["parameters", "responses", "schemas"] {
            let names = document["components"][kind].as_object().unwrap().keys();
            there.extend(names.map(|name| format!("#/components/{kind}/{name}")));
        }
        assert_eq!(used, there.iter().map(String::as_str).collect());
    }

    /// Who may do what is by the method (`access.rs`), and so it stands in the document.
    #[test]
    fn reads_are_for_viewers_and_all_else_for_operators() {
        for (path, item) in parsed()["paths"].as_object().unwrap() {
            for (method, call) in item.as_object().unwrap() {
                let open = crate::api::open().iter().any(|(known, _)| known == path);
                let role = match (method.as_str(), &call["security"]) {
                    ("parameters", _) => continue,
                    ("get", Value::Null) => "viewer",
                    (_, Value::Array(any)) if any.is_empty() => "anybody",
                    (_, any) => any[0]["token"][0].as_str().unwrap(),
                };
                let right = match method.as_str() {
                    "get" if open => "anybody",
                    "get" => "viewer",
                    _ => "operator",
                };
                assert_eq!(role, right, "{method} {path}");
            }
        }
    }
}
