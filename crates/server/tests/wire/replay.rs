//! Logs that operators have replayed, by whoever the server was given for it.

use crate::common::{Gate, client, field, nobody, text};
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tidegate_engine::Mode;
use tidegate_server::replays::{Progress, Replayed, Replayer, Task, Unparsable};

/// Says what it was given.
#[derive(Default)]
pub(crate) struct Told {
    asked: AtomicU32,
    /// When set it goes on until somebody stops it, and tells when it began and ended.
    endless: Option<mpsc::SyncSender<&'static str>>,
    stubborn: AtomicBool,
}

impl Replayer for Told {
    fn formats(&self) -> Vec<&'static str> {
        vec!["json", "common"]
    }

    fn replay(
        &self,
        mut task: Task,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Replayed, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut log = String::new();
        task.log.read_to_string(&mut log).map_err(|e| e.to_string())?;
        if let Some(endless) = &self.endless {
            endless.send("began").unwrap();
            while progress(Progress { read: 1, of: 2 }).is_continue() {
                std::thread::sleep(Duration::from_millis(1));
            }
            endless.send("ended").unwrap();
            return Err("stopped".into());
        }
        assert!(!self.stubborn.load(Ordering::Relaxed), "on purpose");
        if log == "wrong" {
            return Err("byte 3: expected a date\nchoose another format".into());
        }
        let mode = if task.policy.mode == Mode::Shadow { "shadow" } else { "enforce" };
        let reason = format!("byte {}: expected more", log.len());
        Ok(Replayed {
            format: task.format,
            lines: log.lines().count() as u64,
            unparsable: 1,
            first_unparsable: vec![Unparsable { line: 2, reason }],
            requests: 4,
            denied: 3,
            clients: 2,
            clients_denied: 1,
            words: vec![format!("{mode}, {} clients at most", task.capacity)],
            html: format!("<!DOCTYPE html><title>{}</title>", task.name),
        })
    }
}

async fn gate(rest: &str, told: Told) -> (Gate, Arc<Told>) {
    let told = Arc::new(told);
    (Gate::start_with(nobody().await, rest, Some(Arc::clone(&told) as _)).await, told)
}

/// The lines of an answer.
async fn lines(gate: &Gate, path: &str, log: &str) -> Vec<Value> {
    let (status, answer) = gate.admin_text("POST", path, log, None).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_log_is_replayed_by_the_policy_in_force_and_its_report_can_be_looked_at() {
    let (gate, _) = gate("mode: shadow", Told::default()).await;
    let (_, able) = gate.admin("GET", "/v1/replay", "").await;
    assert_eq!(able["formats"], json!(["json", "common"]));
    assert_eq!((&able["running"], able["most_bytes"].as_u64()), (&json!(false), Some(256 << 20)));
    let (_, overview) = gate.admin("GET", "/v1/overview", "").await;
    assert_eq!(overview["replays"], true);

    let all = lines(&gate, "/v1/replay?format=common&name=a%3Cb.log", "one\ntwo\nthree\n").await;
    let report = &all.last().unwrap()["report"];
    assert_eq!((&report["name"], &report["format"]), (&json!("a<b.log"), &json!("common")));
    assert_eq!((&report["lines"], &report["denied"]), (&json!(3), &json!(3)));
    assert_eq!(report["words"], json!(["shadow, 1000 clients at most"]));
    assert_eq!(
        report["first_unparsable"],
        json!([{"line": 2, "reason": "byte 14: expected more"}])
    );
    assert_eq!(report["warning"], Value::Null);

    // Nothing runs in it, nothing is loaded, and nobody else frames it.
    let view = report["view"].as_str().unwrap();
    let look = |path: &str| {
        let url = format!("http://{}{path}", gate.admin);
        client().request(Request::get(url).body(Full::default()).unwrap())
    };
    let page = look(view).await.unwrap();
    let policy = field(&page, "content-security-policy").to_owned();
    for part in ["default-src 'none'", "frame-ancestors 'self'", "sandbox"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("script") && field(&page, "cache-control") == "no-store", "{policy}");
    assert_eq!(text(page).await, report["html"].as_str().unwrap());
    // There is one, and only who had it made knows where.
    let (status, _) =
        gate.admin("GET", "/console/reports/00000000000000000000000000000000", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    lines(&gate, "/v1/replay", "another\n").await;
    assert_eq!(look(view).await.unwrap().status(), StatusCode::NOT_FOUND);

    let (_, audit) = gate.admin("GET", "/v1/audit", "").await;
    assert_eq!(
        (&audit[1]["action"], &audit[1]["subject"]),
        (&json!("replay a log as common"), &json!("a<b.log"))
    );
    assert_eq!(
        (&audit[0]["subject"], &audit[0]["role"]),
        (&json!("access.log"), &json!("operator"))
    );
    gate.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_told_and_the_next_log_is_replayed() {
    let (gate, told) = gate("", Told::default()).await;
    let wrong = lines(&gate, "/v1/replay", "wrong").await;
    assert_eq!(wrong, [json!({"error": "byte 3: expected a date\nchoose another format"})]);
    for (path, log, told) in [("/v1/replay?from=x", "one\n", "from"), ("/v1/replay", "", "empty")] {
        let (status, answer) = gate.admin("POST", path, log).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["detail"].as_str().unwrap().contains(told), "{answer}");
    }

    // A longer log than is taken is refused before it is sent.
    let long = Request::post(format!("http://{}/v1/replay", gate.admin));
    let long = long.header("content-length", (256u64 << 20) + 1).body(Full::<Bytes>::default());
    let refused = raw(gate.admin, long.unwrap()).await;
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    assert!(refused.contains("256 MiB") && refused.contains("tidegate replay"), "{refused}");

    told.stubborn.store(true, Ordering::Relaxed);
    let fault = lines(&gate, "/v1/replay", "one\n").await;
    assert!(fault[0]["error"].as_str().unwrap().contains("fault of Tidegate"), "{fault:?}");
    told.stubborn.store(false, Ordering::Relaxed);
    assert!(lines(&gate, "/v1/replay", "one\n").await.last().unwrap()["report"].is_object());
    assert_eq!(told.asked.load(Ordering::Relaxed), 3);
    gate.stop().await;
}

/// What is answered to the head of a request, whose body never comes.
async fn raw(address: SocketAddr, request: Request<Full<Bytes>>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let length = request.headers()["content-length"].to_str().unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
        request.uri().path()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn there_is_one_at_a_time_and_it_ends_when_its_page_goes_away() {
    let (tell, hear) = mpsc::sync_channel(8);
    let (gate, _) = gate("", Told { endless: Some(tell), ..Told::default() }).await;
    let hear = Arc::new(std::sync::Mutex::new(hear));
    let next = || {
        let hear = Arc::clone(&hear);
        async {
            let heard = tokio::task::spawn_blocking(move || {
                hear.lock().unwrap().recv_timeout(Duration::from_secs(60))
            });
            heard.await.unwrap().unwrap()
        }
    };
    let mut response = ask(gate.admin, "one\n").await;
    assert_eq!(next().await, "began");
    // It says how far it is.
    let frame = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&frame[..], b"{\"progress\":{\"read\":1,\"of\":2}}\n");
    assert_eq!(gate.admin("GET", "/v1/replay", "").await.1["running"], true);
    let (status, answer) = gate.admin("POST", "/v1/replay", "two\n").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(answer["detail"].as_str().unwrap().contains("one at a time"), "{answer}");
    drop(response);
    assert_eq!(next().await, "ended");

    // Somebody who waits is told that the server stops, and does not keep it.
    while gate.admin("GET", "/v1/replay", "").await.1["running"] == true {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let response = ask(gate.admin, "three\n").await;
    assert_eq!(next().await, "began");
    let (last, ()) = tokio::join!(text(response), gate.stop());
    assert_eq!(next().await, "ended");
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert!(last["error"].as_str().unwrap().contains("server stops"), "{last}");
}

/// Sends a log over a connection of its own, in pieces.
async fn ask(address: SocketAddr, log: &'static str) -> Response<Incoming> {
    let pieces = log
        .split_inclusive(|_| true)
        .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))));
    let body = StreamBody::new(stream::iter(pieces));
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    let request = Request::post(format!("http://{address}/v1/replay")).body(body).unwrap();
    client.request(request).await.unwrap()
}

#[tokio::test]
async fn a_viewer_and_another_site_have_nothing_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let (act, look) = (folder.path().join("act"), folder.path().join("look"));
    std::fs::write(&act, "a-token-to-act-with").unwrap();
    std::fs::write(&look, "a-token-to-look-with").unwrap();
    let admin = format!(
        "admin: {{listen: '127.0.0.1:0', token_file: {}, viewer_token_file: {}}}",
        act.display(),
        look.display()
    );
    let (gate, told) = gate(&admin, Told::default()).await;
    for (token, status) in [(None, 401), (Some("a-token-to-look-with"), 403)] {
        let (got, answer) = gate.admin_text("POST", "/v1/replay", "one\n", token).await;
        assert_eq!(got.as_u16(), status, "{answer}");
    }
    let request = Request::post(format!("http://{}/v1/replay", gate.admin))
        .header("authorization", "Bearer a-token-to-act-with")
        .header("origin", "https://example.com")
        .body(Full::from("one\n"));
    let refused = client().request(request.unwrap()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(told.asked.load(Ordering::Relaxed), 0);
    let (got, _) =
        gate.admin_text("POST", "/v1/replay", "one\n", Some("a-token-to-act-with")).await;
    assert_eq!((got, told.asked.load(Ordering::Relaxed)), (StatusCode::OK, 1));
    gate.stop().await;
}

#[tokio::test]
async fn where_nobody_replays_there_is_no_page() {
    let gate = Gate::start(nobody().await, "").await;
    for (method, path) in [
        ("GET", "/v1/replay"),
        ("POST", "/v1/replay"),
        ("GET", "/console/replay.js"),
        ("GET", "/console/reports/00000000000000000000000000000000"),
    ] {
        assert_eq!(gate.admin(method, path, "").await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(gate.admin("GET", "/v1/overview", "").await.1["replays"], false);
    gate.stop().await;
}
