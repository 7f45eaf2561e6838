//! Who may do what at the admin listener, and what a browser can't be talked into.
//!
//! There is no cookie: the console keeps its token in the page and sends it as everybody does, so
//! another site has nothing to ride on. Without a token the listener is on loopback, where the
//! operator's own browser could be made to call it: a request that another site caused is refused
//! by what browsers say of themselves, and one that came by a name that somebody else may have
//! pointed here (DNS rebinding) by its `Host`.

use crate::api::problem;
use crate::config::{Admin, Token};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Look.
    Viewer,
    /// Look and act.
    Operator,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub role: Role,
    pub address: Option<IpAddr>,
}

/// The tokens that open the listener.
#[derive(Clone)]
pub(crate) struct Tokens {
    operator: Option<Arc<Token>>,
    viewer: Option<Arc<Token>>,
}

impl Tokens {
    pub(crate) fn new(admin: &Admin) -> Self {
        let shared = |token: &Option<Token>| token.clone().map(Arc::new);
        Self { operator: shared(&admin.token), viewer: shared(&admin.viewer_token) }
    }

    /// What who sends these fields may do; `None` when it may not even look.
    fn role(&self, headers: &HeaderMap) -> Option<Role> {
        let Some(operator) = &self.operator else { return Some(Role::Operator) };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.split_once(' '));
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let given = given.map_or("", |(_, token)| token.trim());
        let is = |token: &Token| bool::from(given.as_bytes().ct_eq(token.0.as_bytes()));
        let viewer = self.viewer.as_deref().is_some_and(is);
        if is(operator) {
            Some(Role::Operator)
        } else if viewer {
            Some(Role::Viewer)
        } else {
            None
        }
    }
}

/// Lets pass who may, and tells those who answer who it is.
pub(crate) async fn authorize(
    State(tokens): State<Tokens>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(role) = tokens.role(request.headers()) else {
        let detail = "Send the admin token, or the viewer's, as a bearer token.";
        let mut response = problem(StatusCode::UNAUTHORIZED, detail);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    };
    if role == Role::Viewer && !looks(request.method()) {
        let detail = "A viewer may look and not act; send the admin token.";
        return problem(StatusCode::FORBIDDEN, detail);
    }
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let address = address.map(|ConnectInfo(address)| address.ip());
    request.extensions_mut().insert(Caller { role, address });
    next.run(request).await
}

/// Refuses what another site made a browser send.
pub(crate) async fn guard(State(tokens): State<Tokens>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = request.uri().authority().cloned().or_else(|| {
        headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok())
    });
    if tokens.operator.is_none() && host.as_ref().is_some_and(|host| !is_own(host)) {
        let detail = "Without an admin token the listener is called by its address or as \
                      localhost: another name may be a trick on your browser.";
        return problem(StatusCode::FORBIDDEN, detail);
    }
    if !looks(request.method()) && is_foreign(headers, host.as_ref()) {
        return problem(StatusCode::FORBIDDEN, "Another site caused this request.");
    }
    next.run(request).await
}

fn looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether nobody outside can have pointed this name here: an address, localhost, or a name without
/// a dot.
fn is_own(host: &Authority) -> bool {
    let name = host.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok() || name.ends_with(".localhost") || !name.contains('.')
}

/// Whether a browser says that a page of another origin sent the request.
fn is_foreign(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    !origin.is_some_and(|(_, authority)| host.is_some_and(|host| *host == *authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter();
        fields.map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn tokens_open_what_they_are_for() {
        let token = |text: &str| Some(Arc::new(Token(text.into())));
        let both = Tokens { operator: token("may-act"), viewer: token("may-look") };
        let role = |tokens: &Tokens, field: &'static str| {
            tokens.role(&headers(&[("authorization", field)]))
        };
        assert_eq!(role(&both, "Bearer may-act"), Some(Role::Operator));
        assert_eq!(role(&both, "bearer  may-look"), Some(Role::Viewer));
        for wrong in ["Bearer may-lookx", "Bearer ", "Bearer", "Basic may-act", ""] {
            assert_eq!(role(&both, wrong), None, "{wrong}");
        }
        assert_eq!(both.role(&HeaderMap::new()), None);
        let one = Tokens { operator: token("may-act"), viewer: None };
        assert_eq!(role(&one, "Bearer "), None);
        let open = Tokens { operator: None, viewer: None };
        assert_eq!(open.role(&HeaderMap::new()), Some(Role::Operator));
    }

    #[test]
    fn names_that_others_can_point_here_are_known() {
        for own in ["127.0.0.1:9901", "[::1]:9901", "localhost:1", "a.localhost", "tidegate:80"] {
            assert!(is_own(&own.parse().unwrap()), "{own}");
        }
        for other in ["example.com", "127.0.0.1.example.com:9901", "localhost.example.com"] {
            assert!(!is_own(&other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn what_another_site_caused_is_known() {
        let host: Authority = "127.0.0.1:9901".parse().unwrap();
        let foreign = |fields| is_foreign(&headers(fields), Some(&host));
        assert!(!foreign(&[]));
        assert!(!foreign(&[
            ("origin", "http://127.0.0.1:9901"),
            ("sec-fetch-site", "same-origin")
        ]));
        for fields in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "null")],
            &[("origin", "https://example.com")],
            &[("origin", "http://127.0.0.1:9902"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(foreign(fields), "{fields:?}");
        }
        assert!(is_foreign(&headers(&[("origin", "http://a")]), None));
    }
}
