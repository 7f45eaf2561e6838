//! `tidegate top`: what a running limiter does, in a terminal, as it happens.

use crate::cli::{TopArgs, TopOrder};
use crate::screen::{Screen, style_of};
use console::{Key, Style, Term};
use http::header::{AUTHORIZATION, HOST};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_engine::Action;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How often it asks.
const PACE: Duration = Duration::from_secs(1);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clients that are listed when this is no terminal.
const LISTED: usize = 20;

pub(crate) fn run(args: &TopArgs) -> miette::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.into_diagnostic()?.block_on(async {
        let source = Source::new(args)?;
        if args.json {
            let (overview, clients) = source.ask(args.order, LISTED).await?;
            println!("{}", json!({"overview": overview, "clients": clients["clients"]}));
            return Ok(());
        }
        let mut screen = Screen::new();
        if !screen.is_term() {
            let (overview, clients) = source.ask(args.order, LISTED).await?;
            return screen.draw(&frame(&overview, &clients, args.order)).into_diagnostic();
        }
        let end = show(&source, &mut screen, args.order).await;
        screen.close().into_diagnostic()?;
        end
    })
}

/// Draws until somebody has seen enough.
async fn show(source: &Source, screen: &mut Screen, first: TopOrder) -> miette::Result<()> {
    let mut keys = keys();
    let mut order = first;
    loop {
        let (height, _) = screen.size();
        let asked = source.ask(order, height.saturating_sub(8).max(1)).await;
        let lines = match asked {
            Ok((overview, clients)) => frame(&overview, &clients, order),
            // It may be on its way back: a restart ends nothing.
            Err(error) => vec![format!("{}", Style::new().red().apply_to(format!("{error:?}")))],
        };
        screen.draw(&lines).into_diagnostic()?;
        tokio::select! {
            key = keys.recv() => match key {
                Some(Key::Char('q') | Key::Escape | Key::CtrlC) => return Ok(()),
                Some(Key::Char(letter)) => order = TopOrder::of(letter).unwrap_or(order),
                Some(_) => {}
                // No keyboard: until it is interrupted.
                None => tokio::time::sleep(PACE).await,
            },
            () = tokio::time::sleep(PACE) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// What is typed, from a thread of its own: reading a key waits.
fn keys() -> mpsc::Receiver<Key> {
    let (send, receive) = mpsc::channel(8);
    std::thread::spawn(move || {
        let term = Term::stdout();
        while let Ok(key) = term.read_key() {
            if send.blocking_send(key).is_err() {
                return;
            }
        }
    });
    receive
}

/// The limiter that is asked.
struct Source {
    authority: String,
    token: Option<String>,
}

impl Source {
    fn new(args: &TopArgs) -> miette::Result<Self> {
        let uri: Uri = args
            .url
            .parse()
            .map_err(|e| miette!("`{}` is no URL: {e}; write http://127.0.0.1:9901", args.url))?;
        let authority = match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(authority)) if uri.path().len() <= 1 => authority,
            _ => {
                return Err(miette!(
                    "`{}` is not the address of an admin API; write http://127.0.0.1:9901",
                    args.url
                ));
            }
        };
        let port = authority.port_u16().unwrap_or(80);
        let token = args.token_file.as_ref().map(|path| {
            let text = std::fs::read_to_string(path).into_diagnostic();
            text.wrap_err_with(|| format!("the token file {} can't be read", path.display()))
        });
        let token = token.transpose()?.map(|text| text.trim().to_owned());
        Ok(Self { authority: format!("{}:{port}", authority.host()), token })
    }

    /// How things are, and the first clients.
    async fn ask(&self, order: TopOrder, most: usize) -> miette::Result<(Value, Value)> {
        let overview = self.get("/v1/overview").await?;
        let path = format!("/v1/clients?order={}&most={most}", order.name());
        Ok((overview, self.get(&path).await?))
    }

    async fn get(&self, path: &str) -> miette::Result<Value> {
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
            return Ok(answer);
        }
        let detail = answer["detail"].as_str().unwrap_or("it is no Tidegate");
        let remedy =
            if status.as_u16() == 401 { "; name the file of the token: --token-file" } else { "" };
        Err(miette!("{} answered {status}: {detail}{remedy}", self.authority))
    }

    async fn send(
        &self,
        path: &str,
    ) -> Result<(http::StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
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

/// What is drawn.
fn frame(overview: &Value, clients: &Value, order: TopOrder) -> Vec<String> {
    let bold = Style::new().bold();
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let every = number(&overview["history"]["every"]).max(1);
    let last = overview["history"]["samples"].as_array().and_then(|all| all.last());
    let sum = |list: &Value| list.as_array().map_or(0, |all| all.iter().map(number).sum::<u64>());
    let (rate, denied, latency) = last.map_or((0, 0, None), |sample| {
        let decided = sum(&sample["actions"]);
        let share = (number(&sample["denied"]) * 1000).checked_div(decided).unwrap_or(0);
        (decided / every, share, sample["p99_us"].as_f64())
    });
    let shadow = overview["mode"] == "shadow";
    let verb = if shadow { "would be denied" } else { "denied" };
    let mut lines = vec![
        format!(
            "{} {}   {}   model {}   up {}",
            bold.apply_to("Tidegate"),
            overview["version"].as_str().unwrap_or(""),
            if shadow { "shadow: denies nobody" } else { "enforcing" },
            overview["model"].as_str().unwrap_or("none"),
            length(overview["time"].as_f64().unwrap_or(0.0) as u64 - number(&overview["started"])),
        ),
        format!(
            "{rate} requests/s   {}.{} % {verb}   99 of 100 decided in {}   {} clients   {} incidents",
            denied / 10,
            denied % 10,
            latency.map_or_else(|| "?".into(), |us| format!("{us:.0} µs")),
            number(&overview["clients"]),
            number(&overview["incidents"]),
        ),
        String::new(),
        bold.apply_to(format!(
            "{:<42} {:>5} {:>9} {:<9} {:>8} {:>9} {:>9}",
            "client", "risk", "limit/min", "action", "now/min", "requests", "denied"
        ))
        .to_string(),
    ];
    let rows = clients["clients"].as_array().map_or(&[][..], Vec::as_slice);
    lines.extend(rows.iter().map(row));
    if rows.is_empty() {
        lines.push("nobody has come yet".into());
    }
    lines.push(String::new());
    lines.push(format!(
        "by {}; order: r risk, d denied, n requests, m a minute, l last seen; q quits",
        order.name()
    ));
    lines
}

fn row(client: &Value) -> String {
    let name = client["action"].as_str().unwrap_or("");
    let action = Action::ALL.into_iter().find(|action| action.name() == name).unwrap_or_default();
    let limit = match (action, client["limit_per_min"].as_f64()) {
        (Action::Block, _) => "0".into(),
        (_, Some(limit)) => format!("{limit:.0}"),
        (_, None) => "none".into(),
    };
    let count = |field: &str| client[field].as_u64().unwrap_or(0);
    let (allowed, denied) = (count("allowed"), count("denied"));
    // Names come from outside: nothing in them may move the cursor.
    let shown: String =
        client["name"].as_str().unwrap_or("").chars().filter(|c| !c.is_control()).collect();
    format!(
        "{shown:<42} {:>5.2} {limit:>9} {} {:>8.0} {:>9} {denied:>9}",
        client["risk"].as_f64().unwrap_or(0.0),
        style_of(action).apply_to(format!("{name:<9}")),
        client["per_minute"].as_f64().unwrap_or(0.0),
        allowed + denied,
    )
}

fn length(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str) -> TopArgs {
        TopArgs { url: url.into(), token_file: None, order: TopOrder::Risk, json: false }
    }

    #[test]
    fn only_an_admin_address_is_asked() {
        assert_eq!(Source::new(&args("http://[::1]:9")).unwrap().authority, "[::1]:9");
        assert_eq!(Source::new(&args("http://limiter/")).unwrap().authority, "limiter:80");
        for wrong in ["127.0.0.1:9901", "https://127.0.0.1:9901", "http://a/v1", "", "http://a b"] {
            let told = Source::new(&args(wrong)).err().unwrap().to_string();
            assert!(told.contains("http://127.0.0.1:9901"), "{wrong}: {told}");
        }
    }

    #[test]
    fn a_frame_says_how_things_are_and_shows_names_as_text() {
        let overview = json!({
            "version": "1.2.3", "mode": "shadow", "model": "trees", "time": 1000.5,
            "started": 700, "clients": 2, "incidents": 1,
            "history": {"every": 10, "samples": [
                {"actions": [0, 90, 0, 0, 10], "denied": 10, "p99_us": 4.4}
            ]},
        });
        let clients = json!({"clients": [
            {"name": "192.0.2.7", "risk": 0.93, "limit_per_min": 5.0, "action": "block",
             "per_minute": 60.4, "allowed": 3, "denied": 40},
            {"name": "evil\u{1b}[2J", "risk": 0.1, "limit_per_min": null, "action": "allow",
             "per_minute": 0.0, "allowed": 1, "denied": 0},
        ]});
        let text = frame(&overview, &clients, TopOrder::Denied).join("\n");
        for told in
            ["1.2.3", "shadow", "up 5 min", "10 requests/s", "10.0 % would", "4 µs", "by denied"]
        {
            assert!(text.contains(told), "{told}: {text}");
        }
        let line = text.lines().find(|line| line.starts_with("192.0.2.7")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((words[1], words[2], words[5]), ("0.93", "0", "43"), "{line}");
        assert!(text.contains("evil[2J") && text.contains("none"), "{text}");
        // Nothing that is missing stops it.
        assert!(frame(&Value::Null, &Value::Null, TopOrder::Risk).len() > 4);
    }
}
