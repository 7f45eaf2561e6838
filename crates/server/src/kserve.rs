//! A model behind the KServe v2 inference protocol, as Triton and MLServer speak it: one call for a
//! batch, with a deadline, and a pause after failures.
//!
//! The protocol is the REST form of the Open Inference Protocol
//! (<https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol>). Rows go as
//! one `FP32` tensor of [n, 64]; n or 2n numbers in 0..1 come back, the second of two being the
//! probability of abuse.

use crate::config;
use crate::tls::TlsError;
use crate::upstream::pool;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_behavior::Features;
use tidegate_behavior::schema::COUNT;
use tokio::time::Instant;

/// Longest answer that is read.
const MOST_BYTES: usize = 1 << 20;
/// After so many failures in a row nothing is asked for a while.
const MOST_FAILURES: u32 = 5;
/// How long at first; it doubles with every failure after that.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And how long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It did not come in time.
    #[error("no answer within the deadline")]
    Late,
    /// The server can't be spoken to.
    #[error("the server can't be reached or hung up: {0}")]
    Broken(String),
    /// The server answers with an error.
    #[error("the server answers {0}: {1}")]
    Refused(StatusCode, String),
    /// The answer is none that can be used.
    #[error("the answer can't be used: {0}")]
    Wrong(String),
}

impl Failure {
    /// The word for the metrics.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Broken(_) => "broken",
            Self::Refused(..) => "refused",
            Self::Wrong(_) => "wrong",
        }
    }
}

/// One remote model.
pub(crate) struct Kserve {
    config: config::Kserve,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// The name of its input, once it was asked for.
    input: Option<String>,
}

/// What the protocol says of a model.
#[derive(Deserialize)]
struct About {
    #[serde(default)]
    inputs: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    #[serde(default)]
    shape: Vec<i64>,
    #[serde(default)]
    data: Value,
}

impl Kserve {
    /// Opens no connection yet.
    pub(crate) fn new(config: config::Kserve) -> Result<Self, TlsError> {
        let client = pool(&config.server)?;
        Ok(Self { config, client, input: None })
    }

    /// The probabilities of a batch of rows, all told within the deadline.
    pub(crate) async fn scores(&mut self, rows: &[&Features]) -> Result<Vec<f32>, Failure> {
        let until = Instant::now() + self.config.deadline;
        match tokio::time::timeout_at(until, self.ask(rows)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Late),
        }
    }

    async fn ask(&mut self, rows: &[&Features]) -> Result<Vec<f32>, Failure> {
        let input = match &self.input {
            Some(name) => name.clone(),
            None => self.about().await?,
        };
        let data: Vec<f32> = rows.iter().flat_map(|row| row.iter().copied()).collect();
        let body = json!({"inputs": [{
            "name": input, "shape": [rows.len(), COUNT], "datatype": "FP32", "data": data,
        }]});
        let bytes = self.call(Method::POST, "/infer", Full::from(body.to_string())).await?;
        let scores = read(&bytes, rows.len());
        if scores.is_err() {
            // It may be another model by now.
            self.input = None;
        }
        scores
    }

    /// Asks for the name of the input, and checks that rows fit it.
    async fn about(&mut self) -> Result<String, Failure> {
        let bytes = self.call(Method::GET, "", Full::default()).await?;
        let about: About = parse(&bytes)?;
        let name = match about.inputs.as_slice() {
            // MLServer says nothing of models without settings of their own.
            [] => "features".to_owned(),
            [one] if one.datatype == "FP32" && fits(&one.shape) => one.name.clone(),
            [one] => {
                let (kind, shape) = (&one.datatype, &one.shape);
                return Err(Failure::Wrong(format!(
                    "the model's input `{}` is {kind} of {shape:?} and not FP32 of [-1, {COUNT}]",
                    one.name
                )));
            }
            many => return Err(Failure::Wrong(format!("the model has {} inputs", many.len()))),
        };
        self.input = Some(name.clone());
        Ok(name)
    }

    async fn call(&self, method: Method, end: &str, body: Full<Bytes>) -> Result<Bytes, Failure> {
        let broken = |e: &dyn std::fmt::Display| Failure::Broken(e.to_string());
        let uri = Uri::builder()
            .scheme(self.config.server.scheme.clone())
            .authority(self.config.server.authority.clone())
            .path_and_query(format!("/v2/models/{}{end}", self.config.model))
            .build()
            .map_err(|e| broken(&e))?;
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|e| broken(&e))?;
        let response = self.client.request(request).await.map_err(|e| broken(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        let bytes = body.map_err(|e| broken(&e))?.to_bytes();
        if status.is_success() {
            return Ok(bytes);
        }
        let said = String::from_utf8_lossy(&bytes);
        Err(Failure::Refused(status, said.chars().filter(|c| !c.is_control()).take(200).collect()))
    }
}

fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|e| Failure::Wrong(e.to_string()))
}

/// Whether a batch of rows may be of this shape; -1 is any number.
fn fits(shape: &[i64]) -> bool {
    matches!(shape, [n, width] if *n == -1 && (*width == -1 || *width == COUNT as i64))
}

/// The probabilities in an answer about `rows` rows.
fn read(bytes: &[u8], rows: usize) -> Result<Vec<f32>, Failure> {
    let answer: Answer = parse(bytes)?;
    let wrong = |what: String| Err(Failure::Wrong(what));
    let mut floats =
        answer.outputs.iter().filter(|t| matches!(t.datatype.as_str(), "FP32" | "FP64"));
    let (first, second) = (floats.next(), floats.next());
    let named = answer.outputs.iter().find(|t| t.name.contains("prob"));
    let Some(output) = (if second.is_none() { first } else { named }) else {
        let names: Vec<_> = answer.outputs.iter().map(|t| t.name.as_str()).collect();
        return wrong(format!("none of the outputs {names:?} is sure to be the probability"));
    };
    let mut numbers = Vec::with_capacity(2 * rows);
    if !flatten(&output.data, &mut numbers) {
        return wrong(format!("`{}` holds something else than numbers", output.name));
    }
    let scores: Vec<f32> = match numbers.len() {
        n if n == rows => numbers,
        n if n == 2 * rows => numbers.as_chunks::<2>().0.iter().map(|[_, yes]| *yes).collect(),
        n => return wrong(format!("`{}` has {n} numbers for {rows} rows", output.name)),
    };
    match scores.iter().find(|score| !(0.0..=1.0).contains(*score)) {
        Some(score) => wrong(format!("`{}` is {score}, which is no probability", output.name)),
        None => Ok(scores),
    }
}

/// Numbers in order, however they are nested; `false` when something else is among them.
fn flatten(data: &Value, numbers: &mut Vec<f32>) -> bool {
    match data {
        Value::Array(items) => items.iter().all(|item| flatten(item, numbers)),
        Value::Number(number) => {
            numbers.push(number.as_f64().unwrap_or(f64::NAN) as f32);
            true
        }
        _ => false,
    }
}

/// Stops asking for a while when nothing comes of it.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    closed_until: Option<Instant>,
}

impl Breaker {
    /// Whether to ask now.
    pub(crate) fn asks(&self, now: Instant) -> bool {
        self.closed_until.is_none_or(|until| now >= until)
    }

    /// Takes in how a call went.
    pub(crate) fn heard(&mut self, answered: bool, now: Instant) {
        if answered {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= MOST_FAILURES {
            let doubled = 1u32 << (self.failures - MOST_FAILURES).min(5);
            self.closed_until = Some(now + (FIRST_PAUSE * doubled).min(LONGEST_PAUSE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outputs: &str, rows: usize) -> Result<Vec<f32>, String> {
        let text = format!("{{\"model_name\": \"m\", \"outputs\": {outputs}}}");
        read(text.as_bytes(), rows).map_err(|e| e.to_string())
    }

    #[test]
    fn answers_of_every_shape_are_read() {
        let one = r#"[{"name": "p", "datatype": "FP32", "shape": [2], "data": [0.25, 1]}]"#;
        assert_eq!(answer(one, 2), Ok(vec![0.25, 1.0]));
        let nested =
            r#"[{"name": "p", "datatype": "FP64", "shape": [2, 1], "data": [[0.25], [1]]}]"#;
        assert_eq!(answer(nested, 2), Ok(vec![0.25, 1.0]));
        let two = r#"[{"name": "label", "datatype": "INT64", "shape": [1], "data": [0]},
            {"name": "p", "datatype": "FP32", "shape": [1, 2], "data": [0.9, 0.1]}]"#;
        assert_eq!(answer(two, 1), Ok(vec![0.1]));
        let named = r#"[{"name": "score", "datatype": "FP32", "shape": [1], "data": [9]},
            {"name": "probabilities", "datatype": "FP32", "shape": [1, 2], "data": [0.9, 0.1]}]"#;
        assert_eq!(answer(named, 1), Ok(vec![0.1]));
    }

    #[test]
    fn answers_that_are_none_say_why() {
        let p = |data: &str| {
            format!(r#"[{{"name": "p", "datatype": "FP32", "shape": [1], "data": {data}}}]"#)
        };
        for (outputs, expected) in [
            ("[]", "none of the outputs"),
            (r#"[{"name": "p", "datatype": "INT64", "data": [1]}]"#, "none of the outputs"),
            (&p("[0.5, 0.5, 0.5]"), "3 numbers for 1 rows"),
            (&p("[1.5]"), "no probability"),
            (&p("[1e99]"), "no probability"),
            (&p("[null]"), "something else than numbers"),
            (&p("\"high\""), "something else than numbers"),
            (&p("[NaN]"), "expected"),
            ("7", "invalid type"),
        ] {
            let message = answer(outputs, 1).unwrap_err();
            assert!(message.contains(expected), "{expected:?} is not in {message:?}");
        }
    }

    #[test]
    fn the_breaker_pauses_ever_longer_and_forgets_at_success() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 1..MOST_FAILURES {
            breaker.heard(false, start);
            assert!(breaker.asks(start));
        }
        let mut now = start;
        for pause in [1, 2, 4, 8, 16, 30, 30, 30] {
            breaker.heard(false, now);
            assert!(!breaker.asks(now + Duration::from_secs(pause) - Duration::from_millis(1)));
            now += Duration::from_secs(pause);
            assert!(breaker.asks(now), "after {pause} s");
        }
        breaker.heard(true, now);
        breaker.heard(false, now);
        assert!(breaker.asks(now));
    }
}
