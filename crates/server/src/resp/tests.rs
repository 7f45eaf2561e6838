//! Replies to every command, and what a connection does with bytes that are none.

use super::*;
use crate::config::Resolved;
use crate::shared::Live;
use proptest::prelude::*;
use tidegate_engine::{Engine, Setup};
use tidegate_limiter::Timestamp;
use tokio::net::{TcpListener, TcpStream};

fn shared() -> Arc<Shared> {
    let resolved = Resolved::defaults().unwrap();
    let setup = Setup { capacity: 1000, ..Setup::default() };
    let engine = Arc::new(Engine::new(resolved.policy.clone(), setup));
    Arc::new(Shared::new(engine, Live::new(&resolved, None), Vec::new()))
}

/// Replies to inline commands of one connection, at a time in seconds.
struct Told(Arc<Shared>, Session);

impl Told {
    fn new() -> Self {
        Self(shared(), Session::new(7))
    }

    fn at(&mut self, seconds: f64, line: &str) -> String {
        let now = Timestamp::from_secs(1_000_000).plus(Duration::from_secs_f64(seconds));
        let line = format!("{line}\r\n");
        let (args, used) = parse::parse(line.as_bytes()).unwrap().unwrap();
        assert_eq!(used, line.len());
        let mut out = Vec::new();
        self.1.run(&self.0, now, &args, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn throttle(&mut self, seconds: f64, rest: &str) -> [i64; 5] {
        let reply = self.at(seconds, &format!("CL.THROTTLE {rest}"));
        let mut lines = reply.split("\r\n");
        assert_eq!(lines.next(), Some("*5"), "{reply}");
        [(); 5].map(|()| lines.next().unwrap().strip_prefix(':').unwrap().parse().unwrap())
    }
}

#[test]
fn keys_are_charged_as_redis_cell_does() {
    let mut told = Told::new();
    for (seconds, rest, expected) in [
        // The example of its README: 30 tokens in 60 s, and 15 more than one at once.
        (0.0, "user123 15 30 60 1", [0, 16, 15, -1, 2]),
        (0.0, "user123 15 30 60", [0, 16, 14, -1, 4]),
        (0.0, "user123 15 30 60 14", [0, 16, 0, -1, 32]),
        (0.0, "user123 15 30 60", [1, 16, 0, 2, 32]),
        // Its end-to-end test: one token in two seconds.
        (0.0, "e2e 0 1 2 1", [0, 1, 0, -1, 2]),
        (0.0, "e2e 0 1 2 1", [1, 1, 0, 2, 2]),
        (2.0, "e2e 0 1 2 1", [0, 1, 0, -1, 2]),
        // Part of a second left is a whole one: who waits so long is not too early.
        (3.5, "e2e 0 1 2 1", [1, 1, 0, 1, 1]),
        (3.999_999, "e2e 0 1 2 1", [1, 1, 0, 1, 1]),
        (4.0, "e2e 0 1 2 1", [0, 1, 0, -1, 2]),
        // Asking is free, also of a key that nobody has used.
        (0.0, "asked 4 5 10 0", [0, 5, 5, -1, 0]),
        (0.0, "asked 4 5 10 2", [0, 5, 3, -1, 4]),
        (0.0, "asked 4 5 10 0", [0, 5, 3, -1, 4]),
        (0.0, "asked 4 5 10 4", [1, 5, 3, 2, 4]),
        (1.9, "asked 4 5 10 0", [0, 5, 3, -1, 3]),
        // More than ever fits at once: there is no time at which it would.
        (0.0, "much 4 5 10 6", [1, 5, 5, -1, 0]),
        // Keys are bytes, and each has a state of its own.
        (0.0, "\u{e9}t\u{e9} 0 1 3600", [0, 1, 0, -1, 3600]),
        (0.0, "ete 0 1 3600", [0, 1, 0, -1, 3600]),
        // The edges of what can be asked.
        (0.0, "edge 4294967294 4294967295 1 4294967295", [0, 4_294_967_295, 0, -1, 1]),
        (0.0, "slow 0 1 4294967295", [0, 1, 0, -1, 4_294_967_295]),
    ] {
        assert_eq!(told.throttle(seconds, rest), expected, "{rest} at {seconds}");
    }
}

#[test]
fn a_quota_that_changes_takes_the_debt_along_in_cells() {
    let mut told = Told::new();
    assert_eq!(told.throttle(0.0, "k 9 100 60 10"), [0, 10, 0, -1, 6]);
    assert_eq!(told.throttle(0.0, "k 9 10 60"), [1, 10, 0, 6, 60]);
}

#[test]
fn what_can_not_be_charged_says_what_to_write() {
    let mut told = Told::new();
    for (rest, expected) in [
        ("", "-ERR wrong number of arguments: write CL.THROTTLE key max_burst"),
        ("k 1 1", "-ERR wrong number of arguments"),
        ("k 1 1 1 1 1", "-ERR wrong number of arguments"),
        ("k many 1 60", "-ERR max_burst is 'many': write a whole number from 0 to 4294967294"),
        ("k 4294967295 1 60", "-ERR max_burst is '4294967295'"),
        ("k -1 1 60", "-ERR max_burst is '-1'"),
        ("k 1 0 60", "-ERR count_per_period is '0': write a whole number from 1"),
        ("k 1 1.5 60", "-ERR count_per_period is '1.5'"),
        ("k 1 1 0", "-ERR period is '0': write a whole number of seconds from 1"),
        ("k 1 1 99999999999999999999", "-ERR period is '9999"),
        ("k 1 1 60 -1", "-ERR quantity is '-1': write a whole number from 0"),
        ("k 1 1 60 \u{1}", "-ERR quantity is '?'"),
    ] {
        let reply = told.at(0.0, &format!("cl.throttle {rest}"));
        assert!(reply.starts_with(expected), "{rest}: {reply}");
        assert_eq!(reply.matches("\r\n").count(), 1, "{reply:?}");
    }
}

#[test]
fn what_clients_send_at_their_start_is_answered() {
    let mut told = Told::new();
    for (line, expected) in [
        ("", ""),
        ("ping", "+PONG\r\n"),
        ("PING a", "$1\r\na\r\n"),
        ("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n"),
        ("ECHO a", "$1\r\na\r\n"),
        ("ECHO", "-ERR wrong number of arguments for 'echo' command\r\n"),
        ("HELLO 4", "-NOPROTO "),
        ("HELLO 3 AUTH default x", "-ERR AUTH called without any password configured"),
        ("HELLO 3 SETNAME", "-ERR syntax error in HELLO option 'SETNAME'"),
        ("CLIENT GETNAME", "$-1\r\n"),
        ("HELLO 2 SETNAME ours", "*14\r\n$6\r\nserver\r\n$8\r\ntidegate\r\n"),
        ("CLIENT GETNAME", "$4\r\nours\r\n"),
        ("HELLO 3", "%7\r\n$6\r\nserver\r\n"),
        ("HELLO", "%7\r\n"),
        ("CLIENT SETNAME theirs", "+OK\r\n"),
        ("CLIENT SETNAME \u{e9}", "-ERR a client's name"),
        ("CLIENT GETNAME", "$6\r\ntheirs\r\n"),
        ("COMMAND DOCS", "%0\r\n"),
        ("reset", "+RESET\r\n"),
        ("CLIENT GETNAME", "$-1\r\n"),
        ("CLIENT SETINFO LIB-NAME x", "+OK\r\n"),
        ("CLIENT SETINFO LIB-NAME", "-ERR wrong number of arguments for 'setinfo' command\r\n"),
        ("CLIENT ID", ":7\r\n"),
        ("CLIENT KILL x", "-ERR unknown subcommand 'KILL' of CLIENT\r\n"),
        ("CLIENT", "-ERR wrong number of arguments for 'client' command\r\n"),
        ("SELECT 0", "+OK\r\n"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("COMMAND", "*0\r\n"),
        ("COMMAND DOCS", "*0\r\n"),
        ("COMMAND COUNT", ":0\r\n"),
        ("INFO", "$"),
        ("AUTH x", "-ERR AUTH called without any password configured"),
        ("GET a", "-ERR unknown command 'GET': there is CL.THROTTLE"),
        ("QUIT", "+OK\r\n"),
        ("POST / HTTP/1.1", "-ERR this is not HTTP\r\n"),
    ] {
        let reply = told.at(0.0, line);
        assert!(
            reply.starts_with(expected) && reply.is_empty() == line.is_empty(),
            "{line}: {reply}"
        );
    }
}

/// A connection whose peer is said to have this address, and the client's end of it.
async fn connected(peer: &str) -> (TcpStream, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let caller = Caller { addr: peer.parse().unwrap(), certified: false };
    let connection = Connection::new(shared(), stream, caller, 1, Duration::from_secs(60));
    let stop = CancellationToken::new();
    (client, tokio::spawn(async move { connection.serve(&stop).await }))
}

/// All that comes back for bytes that are sent in pieces, and the end of the connection.
async fn sent(pieces: &[&[u8]]) -> String {
    let (mut client, serving) = connected("127.0.0.1").await;
    client.set_nodelay(true).unwrap();
    for piece in pieces {
        client.write_all(piece).await.unwrap();
    }
    client.shutdown().await.unwrap();
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).await.unwrap();
    serving.await.unwrap();
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn whoever_may_not_ask_is_told_and_sent_away() {
    let (mut client, serving) = connected("192.0.2.1").await;
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("-NOPERM ") && reply.contains("trusted_hops"), "{reply}");
    drop(client);
    serving.await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_command_end_the_connection_after_what_came_before() {
    let long = format!("*1\r\n$65537\r\n{}", "a".repeat(1 << 17));
    for (bytes, expected) in [
        ("PING\r\n*1\r\n:1\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: expected '$'"),
        (long.as_str(), "-ERR Protocol error: invalid bulk length"),
        ("QUIT\r\nPING\r\n", "+OK\r\n"),
    ] {
        let reply = sent(&[bytes.as_bytes()]).await;
        assert!(reply.starts_with(expected) && !reply.ends_with("PONG\r\n"), "{reply}");
    }
    // The longest that is taken, and what is not whole when the client goes has no answer.
    let longest = "a".repeat(1 << 16);
    let whole = format!("*2\r\n$4\r\nECHO\r\n$65536\r\n{longest}\r\n*1\r\n$4\r\nPIN");
    assert_eq!(sent(&[whole.as_bytes()]).await, format!("$65536\r\n{longest}\r\n"));
}

#[tokio::test]
async fn a_batch_is_answered_in_order_however_it_is_cut() {
    let mut batch = String::new();
    let mut expected = String::new();
    for n in 0..40 {
        batch += "*5\r\n$11\r\nCL.THROTTLE\r\n$1\r\nk\r\n$2\r\n40\r\n$1\r\n1\r\n$6\r\n";
        batch += &format!("360000\r\nPING {n}\r\n");
        let digits = n.to_string().len();
        expected += &format!("*5\r\n:0\r\n:41\r\n:{}\r\n:-1\r\n:RESET\r\n", 40 - n);
        expected += &format!("${digits}\r\n{n}\r\n");
    }
    // The last number falls with the time that passes.
    let without_reset = |reply: &str| {
        let mut lines: Vec<&str> = reply.split("\r\n").collect();
        for at in 0..lines.len() {
            if lines[at] == "*5" {
                lines[at + 5] = ":RESET";
            }
        }
        lines.join("\r\n")
    };
    let bytes = batch.as_bytes();
    assert_eq!(without_reset(&sent(&[bytes]).await), expected);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(without_reset(&sent(&single).await), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_sent_is_answered_by_whole_replies(
        words in proptest::collection::vec(any::<Vec<u8>>(), 1..6), command in 0usize..10
    ) {
        let names = [
            "CL.THROTTLE", "PING", "ECHO", "HELLO", "CLIENT", "SELECT", "COMMAND", "INFO", "AUTH", "X",
        ];
        let mut args: Args<'_> = words.iter().map(Vec::as_slice).collect();
        args.insert(0, names[command].as_bytes());
        let (shared, mut session, mut out) = (known(), Session::new(1), Vec::new());
        session.run(&shared, Timestamp::from_secs(1), &args, &mut out);
        prop_assert!(out.ends_with(b"\r\n"), "{:?}", out);
        if out[0] == b'-' {
            prop_assert_eq!(out.iter().filter(|byte| **byte < b' ').count(), 2);
        }
    }
}

use parse::Args;

/// One for all cases: an engine is costly to make.
fn known() -> Arc<Shared> {
    static SHARED: std::sync::LazyLock<Arc<Shared>> = std::sync::LazyLock::new(shared);
    Arc::clone(&SHARED)
}
