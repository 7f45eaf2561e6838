//! Questions to the admin API of a running limiter, for the commands that show what it knows.

use http::header::{AUTHORIZATION, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// The limiter that is asked.
#[derive(Debug)]
pub(crate) struct Admin {
    authority: String,
    token: Option<String>,
}

impl Admin {
    pub(crate) fn new(url: &str, token_file: Option<&Path>) -> miette::Result<Self> {
        let uri: Uri = url
            .parse()
            .map_err(|e| miette!("`{url}` is no URL: {e}; write http://127.0.0.1:9901"))?;
        let authority = match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(authority)) if uri.path().len() <= 1 => authority,
            _ => {
                return Err(miette!(
                    "`{url}` is not the address of an admin API; write http://127.0.0.1:9901"
                ));
            }
        };
        let port = authority.port_u16().unwrap_or(80);
        let token = token_file.map(|path| {
            let text = std::fs::read_to_string(path).into_diagnostic();
            text.wrap_err_with(|| format!("the token file {} can't be read", path.display()))
        });
        let token = token.transpose()?.map(|text| text.trim().to_owned());
        Ok(Self { authority: format!("{}:{port}", authority.host()), token })
    }

    /// The object at a path.
    pub(crate) async fn get(&self, path: &str) -> miette::Result<Value> {
        self.find(path).await?.map_err(|detail| {
            miette!("{} answered {}: {detail}", self.authority, StatusCode::NOT_FOUND)
        })
    }

    /// The object at a path, or what is said of there being none.
    pub(crate) async fn find(&self, path: &str) -> miette::Result<Result<Value, String>> {
        let asked = timeout(PATIENCE, self.send(path)).await;
        let asked = asked.map_err(|_| miette!("{} does not answer", self.authority))?;
        let (status, body) = asked.map_err(|e| {
            miette!(
                help = "is `tidegate serve` running, and is this its admin address?",
                "{} can't be asked: {e}",
                self.authority
            )
        })?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() && answer.is_object() {
            return Ok(Ok(answer));
        }
        let detail = answer["detail"].as_str().unwrap_or("it is no Tidegate");
        if status == StatusCode::NOT_FOUND {
            return Ok(Err(detail.to_owned()));
        }
        let remedy = if status == StatusCode::UNAUTHORIZED {
            "; name the file of the token: --token-file"
        } else {
            ""
        };
        Err(miette!("{} answered {status}: {detail}{remedy}", self.authority))
    }

    async fn send(
        &self,
        path: &str,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::get(path).header(HOST, &self.authority);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok((status, body))
    }
}

/// A word as a segment of a path: whatever it holds, it stays one.
pub(crate) fn segment(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_admin_address_is_asked() {
        assert_eq!(Admin::new("http://[::1]:9", None).unwrap().authority, "[::1]:9");
        assert_eq!(Admin::new("http://limiter/", None).unwrap().authority, "limiter:80");
        for wrong in ["127.0.0.1:9901", "https://127.0.0.1:9901", "http://a/v1", "", "http://a b"] {
            let told = Admin::new(wrong, None).unwrap_err().to_string();
            assert!(told.contains("http://127.0.0.1:9901"), "{wrong}: {told}");
        }
    }

    #[test]
    fn a_client_of_any_name_is_one_segment() {
        for (word, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "2001%3Adb8%3A%3A1"),
            ("credential #00ff", "credential%20%2300ff"),
            ("a/../b?c", "a%2F..%2Fb%3Fc"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(segment(word), expected);
        }
    }
}
