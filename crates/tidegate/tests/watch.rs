//! `tidegate watch` as a user runs it: a log that grows, rotates and is truncated; lists, a command and a
//! webhook that tell of it.
#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const BYSTANDER: &str = "198.51.100.9";
const SCANNER: &str = "Mozilla/5.0 zgrab/0.x";
/// What a scanner asks for.
const PATHS: [&str; 12] = [
    "/.env",
    "/.git/config",
    "/wp-login.php",
    "/phpmyadmin/index.php",
    "/backup.zip",
    "/admin/config.php",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/cgi-bin/luci",
    "/server-status",
    "/solr/admin/info/system",
    "/actuator/health",
    "/.aws/credentials",
];

/// A running watch, and all that it said.
struct Watch {
    child: Child,
    out: Arc<Mutex<Vec<String>>>,
    err: Arc<Mutex<Vec<String>>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gathered(pipe: impl std::io::Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let all = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            all.lock().unwrap().push(line);
        }
    });
    lines
}

impl Watch {
    fn start(log: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("watch").arg(log).args(args).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = gathered(child.stdout.take().unwrap());
        let err = gathered(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Changes of this client, as they were told.
    fn told(&self, client: &str) -> Vec<String> {
        let all = self.out.lock().unwrap();
        all.iter().filter(|line| line.split(' ').nth(1) == Some(client)).cloned().collect()
    }

    fn said(&self, text: &str) -> bool {
        self.err.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// Waits until something is so.
    fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !so() {
            let (out, err) = (self.out.lock().unwrap(), self.err.lock().unwrap());
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}\n{out:#?}\n{err:#?}");
            drop((out, err));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Tells it to stop and waits until it has; everything that it said on standard error.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success());
        self.until("the last word", || self.said("stopped"));
        self.err.lock().unwrap().join("\n")
    }
}

/// A request of a log, so many seconds ago.
struct Row {
    client: String,
    path: &'static str,
    status: u16,
    agent: &'static str,
    ago: i64,
}

impl Row {
    fn time(&self) -> jiff::Timestamp {
        jiff::Timestamp::now() - jiff::SignedDuration::from_secs(self.ago)
    }

    /// As nginx writes it.
    fn line(&self) -> String {
        let Self { client, path, status, agent, .. } = self;
        let time = self.time().strftime("%d/%b/%Y:%H:%M:%S +0000");
        format!("{client} - - [{time}] \"GET {path} HTTP/1.1\" {status} 153 \"-\" \"{agent}\"\n")
    }

    /// As JSON, with the client named by these fields.
    fn json(&self, client: &str) -> String {
        let Self { path, status, agent, .. } = self;
        format!(
            "{{\"time\": \"{}\", {client}, \"method\": \"GET\", \"path\": \"{path}\", \"status\": \
             {status}, \"user_agent\": \"{agent}\"}}\n",
            self.time()
        )
    }
}

/// People who look at pages for so long, until so many seconds ago; one of them is the bystander.
fn people(seconds: i64, ago: i64) -> Vec<Row> {
    let pages = ["/", "/style.css", "/articles/7", "/about"];
    let row = |n: usize| Row {
        client: if n.is_multiple_of(7) {
            BYSTANDER.to_owned()
        } else {
            format!("198.51.{}.9", n % 7)
        },
        path: pages[n / 7 % pages.len()],
        status: 200,
        agent: BROWSER,
        ago: ago + seconds - i64::try_from(n / 3).unwrap(),
    };
    // Three in a second among seven of them: nobody reads four pages a second.
    (0..usize::try_from(seconds * 3).unwrap()).map(row).collect()
}

fn scan(client: &str, ago: i64) -> Vec<Row> {
    let row = |n: usize| Row {
        client: client.to_owned(),
        path: PATHS[n % PATHS.len()],
        status: 404,
        agent: SCANNER,
        ago: ago + 4 - i64::try_from(n / 10).unwrap(),
    };
    (0..40).map(row).collect()
}

fn lines(rows: impl IntoIterator<Item = Row>) -> String {
    rows.into_iter().map(|row| row.line()).collect()
}

fn append(log: &Path, text: &str) {
    let mut file = File::options().append(true).create(true).open(log).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A folder with a configuration whose blocks last so long.
fn folder(block_for: &str, rest: &str) -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tidegate.yaml");
    let text = format!("capacity: 1000\nadaptive: {{block_for: {block_for}, jitter: 0}}\n{rest}");
    std::fs::write(&config, text).unwrap();
    let log = folder.path().join("access.log");
    (folder, log, config.display().to_string())
}

/// A receiver that fails twice, and then keeps what it is sent.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let heard = Arc::<Mutex<Vec<Value>>>::default();
    let (taken, failures) = (Arc::clone(&heard), Arc::new(Mutex::new(2)));
    let take = move |body: String| async move {
        let mut failures = failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        taken.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        StatusCode::OK
    };
    let address = serve(Router::new().route("/hook", post(take))).await;
    (format!("http://{address}/hook"), heard)
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_is_listed_while_it_is_blocked_and_a_bystander_never() {
    let (folder, log, config) = folder("6s", "");
    let (list, runs) = (folder.path().join("deny.conf"), folder.path().join("runs"));
    append(&log, &lines(people(30, 10).into_iter().chain(scan("203.0.113.1", 0))));
    let (url, heard) = receiver().await;
    let list_arg = list.display().to_string();
    let run = format!("echo run >> {}; exit 3", runs.display());
    let args = ["--config", &config, "--deny-list", &list_arg, "--run", &run, "--webhook", &url];
    let watch = Watch::start(&log, &args);
    watch.until("an empty list", || list.exists());
    append(&log, &lines(people(30, 0)));
    append(&log, "what is this?\n");
    append(&log, &lines(scan("203.0.113.66", 0)));
    watch.until("the scanner", || read(&list) == "203.0.113.66 1;\n");
    // Moved away, and another file in its place; the client is a network of IPv6.
    std::fs::rename(&log, folder.path().join("access.log.1")).unwrap();
    append(&log, &lines(people(30, 0).into_iter().chain(scan("2001:db8:0:7::1:2", 0))));
    watch.until("the second", || read(&list).contains("2001:db8:0:7::/64 1;\n"));
    // Truncated, and written to from its beginning.
    std::fs::write(&log, lines(scan("203.0.113.67", 0))).unwrap();
    watch.until("the third", || read(&list).contains("203.0.113.67 1;\n"));
    // The log is silent, for nobody who is denied comes into it: time alone ends the blocks.
    watch.until("the end of all blocks", || read(&list).is_empty());
    let told = watch.told("203.0.113.66");
    assert!(
        told.iter().any(|line| line.contains(" block risk 0.") && line.contains(": ")),
        "{told:?}"
    );
    assert!(told.last().unwrap().ends_with(": the block is over"), "{told:?}");
    for never in [BYSTANDER, "203.0.113.1"] {
        assert!(watch.told(never).is_empty(), "{:?}", watch.told(never));
    }
    // What is told at the receiver is the same, failures or not.
    let count = watch.out.lock().unwrap().len();
    watch.until("all messages", || heard.lock().unwrap().len() == count);
    let messages = heard.lock().unwrap().clone();
    let of = |action: &str| {
        let found = |m: &&Value| m["client"] == "203.0.113.66" && m["action"] == action;
        messages.iter().find(found).unwrap_or_else(|| panic!("{action}: {messages:#?}"))
    };
    let block = of("block");
    assert!(block["risk"].as_f64().unwrap() > 0.7 && !block["reasons"][0].is_null(), "{block}");
    let time = |of: &Value| of.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lasts = time(&block["until"]).duration_since(time(&block["time"])).as_secs();
    assert_eq!(lasts, 6, "{block}");
    assert!(of("allow")["until"].is_null());
    assert!(read(&runs).lines().count() >= 4, "{}", read(&runs));
    // What is blocked at the end stays in the list.
    append(&log, &lines(people(30, 0).into_iter().chain(scan("203.0.113.68", 0))));
    watch.until("the fourth", || read(&list) == "203.0.113.68 1;\n");
    let said = watch.stop();
    assert_eq!(read(&list), "203.0.113.68 1;\n");
    for text in ["lines of the log can't be read", "the command failed", "the webhook fails"] {
        assert!(said.contains(text), "{text} is not in {said}");
    }
    assert!(said.contains("\"unreadable\":1"), "{said}");
}

#[test]
fn a_pipe_is_followed_and_a_silent_one_keeps_nobody() {
    for from_start in [false, true] {
        let (folder, log, config) = folder("10m", "");
        assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
        let list = folder.path().join("deny.txt");
        let list_arg = list.display().to_string();
        let mut args = vec!["--config", &config, "--deny-list", &list_arg];
        args.extend(["--deny-format", "plain"]);
        args.extend(from_start.then_some("--from-start"));
        // Nobody has it open yet.
        let watch = Watch::start(&log, &args);
        watch.until("an empty list", || list.exists() || from_start);
        let mut pipe = File::options().write(true).open(&log).unwrap();
        pipe.write_all(lines(people(30, 0)).as_bytes()).unwrap();
        pipe.write_all(lines(scan("203.0.113.66", 0)).as_bytes()).unwrap();
        watch.until("the scanner", || read(&list) == "203.0.113.66\n");
        // Open, and nothing comes any more.
        watch.stop();
        drop(pipe);
    }
    // One that nobody opens at all.
    let (folder, log, config) = folder("10m", "");
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    let list = folder.path().join("deny.txt");
    let watch =
        Watch::start(&log, &["--config", &config, "--deny-list", &list.display().to_string()]);
    watch.until("an empty list", || list.exists());
    watch.stop();
}

#[test]
fn a_log_read_from_its_start_tells_only_what_still_holds() {
    let (folder, log, config) = folder("30s", "");
    let list = folder.path().join("deny.txt");
    let mut rows = people(100, 0);
    rows.extend(scan("203.0.113.1", 60).into_iter().chain(scan("203.0.113.2", 0)));
    rows.sort_by_key(|row| -row.ago);
    append(&log, &lines(rows));
    let list_arg = list.display().to_string();
    let args = ["--from-start", "--config", &config, "--deny-list", &list_arg];
    let watch = Watch::start(&log, &[&args[..], &["--deny-format", "plain"]].concat());
    watch.until("the list", || list.exists());
    assert_eq!(read(&list), "203.0.113.2\n");
    let told = watch.told("203.0.113.2");
    assert!(told.len() == 1 && told[0].contains(" block "), "{told:?}");
    assert!(watch.told("203.0.113.1").is_empty());
    watch.stop();
    // The other one was blocked as well, in its time.
    let decisions = folder.path().join("decisions.jsonl");
    let replay = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("replay")
        .arg(&log)
        .args(["--config", &config, "--decisions"])
        .arg(&decisions)
        .output()
        .unwrap();
    assert!(replay.status.success());
    let blocked = |line: &str| line.contains("\"203.0.113.1\"") && line.contains("\"block\"");
    assert!(read(&decisions).lines().any(blocked));
}

#[test]
fn a_client_with_a_credential_is_told_and_not_listed() {
    // The log comes later, and its format shows with its first lines.
    let (folder, log, config) = folder("10m", "allow: [203.0.113.5]\ndeny: [203.0.113.4]\n");
    let list = folder.path().join("deny.ipset");
    let list_arg = list.display().to_string();
    let args = ["--config", &config, "--deny-list", &list_arg, "--deny-format", "ipset"];
    let watch = Watch::start(&log, &args);
    watch.until("the list", || list.exists());
    let address = |row: &Row| format!("\"client_ip\": \"{}\"", row.client);
    let json = |rows: Vec<Row>| -> String { rows.iter().map(|r| r.json(&address(r))).collect() };
    append(&log, &json(people(30, 0)));
    let key = "\"client_ip\": \"203.0.113.4\", \"credential\": \"stolen-key\"";
    append(&log, &scan("203.0.113.4", 0).iter().map(|row| row.json(key)).collect::<String>());
    append(&log, &json(scan("203.0.113.5", 0)));
    append(&log, &json(scan("203.0.113.6", 0)));
    watch.until("the one without", || read(&list).contains("203.0.113.6"));
    let text = read(&list);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "create tidegate hash:net family inet maxelem 131072 timeout 0 -exist",
            "flush tidegate",
            "create tidegate6 hash:net family inet6 maxelem 131072 timeout 0 -exist",
            "flush tidegate6",
        ]
    );
    let seconds = lines[4].strip_prefix("add tidegate 203.0.113.6 timeout ").unwrap();
    assert!((1..=600).contains(&seconds.parse::<u32>().unwrap()), "{text}");
    assert_eq!(lines.len(), 5, "{text}");
    let out = watch.out.lock().unwrap().join("\n");
    assert!(out.contains(" credential #") && !out.contains("stolen-key"), "{out}");
    let said = watch.stop();
    assert_eq!(said.matches("can't be denied by address").count(), 1, "{said}");
}

#[test]
fn in_shadow_mode_changes_are_told_and_nobody_is_listed() {
    let (folder, log, config) = folder("2s", "mode: shadow\n");
    let list = folder.path().join("deny.conf");
    append(&log, &lines(people(30, 0)));
    let list_arg = list.display().to_string();
    let watch = Watch::start(&log, &["--config", &config, "--deny-list", &list_arg]);
    watch.until("the list", || list.exists());
    append(&log, &lines(people(30, 0).into_iter().chain(scan("203.0.113.66", 0))));
    watch.until("the end of a block", || {
        watch.told("203.0.113.66").last().is_some_and(|line| line.ends_with("the block is over"))
    });
    assert_eq!(read(&list), "");
    watch.stop();
}

#[test]
fn mistakes_are_told_at_the_start() {
    let (folder, log, config) = folder("10m", "");
    append(&log, &lines(people(30, 0)));
    let nowhere = folder.path().join("nowhere/deny.conf").display().to_string();
    let log = log.display().to_string();
    for (log, args, expected) in [
        (&*log, vec!["--deny-list", nowhere.as_str()], "cannot write the deny list"),
        (&*log, vec!["--webhook", "ftp://a/"], "is not a URL to post to"),
        (&*log, vec!["--format", "combine"], "unknown log format"),
        (&*log, vec!["--run", "true"], "--deny-list"),
        ("-", vec![], "name the file that the server writes"),
        ("/", vec!["--format", "json"], "name the file that the server writes"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(["watch", log, "--config", &config]).args(&args);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).replace('│', " ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!output.status.success() && said.contains(expected), "{args:?}: {said}");
    }
}

/// nginx itself, from `examples/gateways/nginx-deny.conf`: its own access log leads to its own list.
#[tokio::test(flavor = "multi_thread")]
async fn nginx_denies_whom_its_log_gave_away() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let nginx = folders.map(|folder| folder.join("nginx")).find(|file| file.is_file());
    let nginx =
        nginx.expect("nginx is not found: install Debian's package nginx, or run scripts/test");
    let (folder, log, config) = folder("10m", "");
    let list = folder.path().join("deny.conf");
    let upstream = serve(Router::new().route("/", get(|| async { "hello" }))).await;
    let front = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/gateways/nginx-deny.conf");
    let mut text = read(Path::new(example));
    for (from, to) in [
        ("127.0.0.1:8080", front.to_string()),
        ("127.0.0.1:9000", upstream.to_string()),
        ("access_log /var/log/nginx/access.log", format!("access_log {}", log.display())),
        ("include /var/lib/tidegate/deny.conf", format!("include {}", list.display())),
        ("events {}", "events {}\npid nginx.pid;\ndaemon off;\nerror_log stderr;".to_owned()),
        (
            "http {",
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {name};"))
                .iter()
                .fold("http {".to_owned(), |text, line| text + "\n" + line),
        ),
    ] {
        assert!(text.contains(from), "{from} is not in the example");
        text = text.replace(from, &to);
    }
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let of_nginx = format!(
        "{} -p {} -c {} -e stderr",
        nginx.display(),
        folder.path().display(),
        file.display()
    );
    let list_arg = list.display().to_string();
    let run = format!("{of_nginx} -s reload");
    std::fs::write(&list, "").unwrap();
    append(&log, &lines(people(30, 0)));
    let args = ["--from-start", "--config", &config, "--deny-list", &list_arg, "--run", &run];
    let mut gateway = Command::new("sh");
    gateway.arg("-c").arg(format!("exec {of_nginx}")).stdin(Stdio::null());
    let gateway = gateway.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let gateway = Watch { child: gateway, out: Arc::default(), err: Arc::default() };
    let ask = |from: &str, path: &str, agent: &str| -> Option<u16> {
        let from: SocketAddr = format!("{from}:0").parse().unwrap();
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
        socket.bind(&from.into()).ok()?;
        socket.connect(&front.into()).ok()?;
        let mut stream = std::net::TcpStream::from(socket);
        let head = format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nuser-agent: {agent}\r\n");
        stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).ok()?;
        let mut first = String::new();
        BufReader::new(stream).read_line(&mut first).ok()?;
        first.split(' ').nth(1)?.parse().ok()
    };
    gateway.until("nginx", || ask("127.0.9.1", "/", BROWSER) == Some(200));
    let watch = Watch::start(&log, &args);
    watch.until("the watch", || watch.said("the log is read"));
    let mut paths = PATHS.iter().cycle();
    watch.until("the denial", || {
        // The bystander goes on all the time.
        assert_eq!(ask("127.0.9.1", "/", BROWSER), Some(200));
        (0..5).any(|_| ask("127.0.66.1", paths.next().unwrap(), SCANNER) == Some(403))
    });
    assert_eq!(read(&list), "127.0.66.1 1;\n");
    watch.stop();
}
