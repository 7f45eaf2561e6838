//! The door for Redis clients with a client that is one: the crate `redis`, in both versions of the
//! protocol.

use crate::common::{Gate, free_port, nobody};
use redis::aio::MultiplexedConnection;
use std::net::SocketAddr;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

async fn gate(rest: &str) -> (Gate, SocketAddr) {
    let asked = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = format!("gateway: {{resp: '{asked}'}}\n{rest}");
    (Gate::start(nobody().await, &text).await, asked)
}

async fn connect(asked: SocketAddr, query: &str) -> MultiplexedConnection {
    let client = redis::Client::open(format!("redis://{asked}/{query}")).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

fn throttle(key: &str, numbers: [i64; 3]) -> redis::Cmd {
    let mut command = redis::cmd("CL.THROTTLE");
    command.arg(key).arg(&numbers);
    command
}

#[tokio::test]
async fn a_client_asks_and_is_limited_in_both_versions_of_the_protocol() {
    let (gate, asked) = gate("").await;
    for (query, key) in [("", "two"), ("?protocol=resp3", "three")] {
        let mut redis = connect(asked, query).await;
        let pong: String = redis::cmd("PING").query_async(&mut redis).await.unwrap();
        assert_eq!(pong, "PONG");
        let mut ask = async || -> Vec<i64> {
            throttle(key, [1, 1, 86_400]).query_async(&mut redis).await.unwrap()
        };
        assert_eq!(ask().await[..4], [0, 2, 1, -1]);
        assert_eq!(ask().await[..4], [0, 2, 0, -1]);
        let limited = ask().await;
        assert_eq!(limited[..3], [1, 2, 0]);
        assert!((1..=86_400).contains(&limited[3]) && limited[4] <= 172_800, "{limited:?}");
    }
    // Whoever connects later, and by whichever version, finds the same keys.
    let mut redis = connect(asked, "").await;
    let known: Vec<i64> =
        throttle("three", [1, 1, 86_400]).arg(0).query_async(&mut redis).await.unwrap();
    assert_eq!(known[..4], [0, 2, 0, -1]);
    gate.stop().await;
}

#[tokio::test]
async fn a_pipeline_is_answered_in_order_and_errors_leave_the_rest() {
    let (gate, asked) = gate("").await;
    let mut redis = connect(asked, "").await;
    let mut pipe = redis::pipe();
    for n in 0..500 {
        pipe.add_command(throttle(&format!("k{}", n % 50), [4, 1, 86_400]));
    }
    let answers: Vec<[i64; 5]> = pipe.query_async(&mut redis).await.unwrap();
    for (n, answer) in answers.iter().enumerate() {
        let round = i64::try_from(n / 50).unwrap();
        assert_eq!(answer[0], i64::from(round > 4), "{n}");
        assert_eq!(answer[2], (4 - round).max(0), "{n}");
    }
    let error = throttle("k", [1, 0, 60]).query_async::<Vec<i64>>(&mut redis).await.unwrap_err();
    assert!(error.to_string().contains("count_per_period"), "{error}");
    let error =
        redis::cmd("SET").arg("a").arg("b").query_async::<()>(&mut redis).await.unwrap_err();
    assert!(error.to_string().contains("unknown command"), "{error}");
    let pong: String = redis::cmd("PING").query_async(&mut redis).await.unwrap();
    assert_eq!(pong, "PONG");
    let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
    for (answer, count) in [("allowed", 250), ("limited", 250), ("refused", 2)] {
        let line = format!("tidegate_resp_commands_total{{answer=\"{answer}\"}} {count}");
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn keys_do_not_meet_rules_or_clients() {
    let (gate, asked) = gate("rules: [{name: one, per: site, limit: 1/day}]").await;
    let mut redis = connect(asked, "").await;
    for key in ["one", "127.0.0.1", ""] {
        for expected in [0, 1] {
            let answer: Vec<i64> =
                throttle(key, [0, 1, 86_400]).query_async(&mut redis).await.unwrap();
            assert_eq!(answer[0], expected, "{key}");
        }
    }
    let (status, answer) =
        gate.admin("POST", "/v1/check", r#"{"client_ip": "127.0.0.1", "path": "/"}"#).await;
    assert_eq!((status.as_u16(), &answer["allowed"]), (200, &true.into()), "{answer}");
    gate.stop().await;
}

#[tokio::test]
async fn quiet_connections_are_kept_and_end_with_the_server() {
    let (gate, asked) = gate("timeouts: {header: 100ms, idle: 100ms, drain: 60s}").await;
    let mut redis = connect(asked, "").await;
    let mut quiet = TcpStream::connect(asked).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let answer: Vec<i64> = throttle("k", [0, 1, 60]).query_async(&mut redis).await.unwrap();
    assert_eq!(answer[0], 0);
    gate.stop().await;
    let mut rest = Vec::new();
    assert_eq!(quiet.read_to_end(&mut rest).await.unwrap(), 0);
    assert!(throttle("k", [0, 1, 60]).query_async::<Vec<i64>>(&mut redis).await.is_err());
    assert!(TcpStream::connect(asked).await.is_err());
}
