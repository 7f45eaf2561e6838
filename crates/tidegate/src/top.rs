//! `tidegate top`: what a running limiter does, in a terminal, as it happens.

use crate::admin::Admin;
use crate::cli::{TopArgs, TopOrder};
use crate::screen::{Screen, style_of};
use console::{Key, Style, Term};
use miette::IntoDiagnostic as _;
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_engine::Action;
use tokio::sync::mpsc;

/// How often it asks.
const PACE: Duration = Duration::from_secs(1);
/// Clients that are listed when this is no terminal.
const LISTED: usize = 20;

pub(crate) fn run(args: &TopArgs) -> miette::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.into_diagnostic()?.block_on(async {
        let admin = Admin::new(&args.url, args.token_file.as_deref())?;
        if args.json {
            let (overview, clients) = ask(&admin, args.order, LISTED).await?;
            println!("{}", json!({"overview": overview, "clients": clients["clients"]}));
            return Ok(());
        }
        let mut screen = Screen::new();
        if !screen.is_term() {
            let (overview, clients) = ask(&admin, args.order, LISTED).await?;
            return screen.draw(&frame(&overview, &clients, args.order)).into_diagnostic();
        }
        let end = show(&admin, &mut screen, args.order).await;
        screen.close().into_diagnostic()?;
        end
    })
}

/// Draws until somebody has seen enough.
async fn show(admin: &Admin, screen: &mut Screen, first: TopOrder) -> miette::Result<()> {
    let mut keys = keys();
    let mut order = first;
    loop {
        let (height, _) = screen.size();
        let asked = ask(admin, order, height.saturating_sub(8).max(1)).await;
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

/// How things are, and the first clients.
async fn ask(admin: &Admin, order: TopOrder, most: usize) -> miette::Result<(Value, Value)> {
    let overview = admin.get("/v1/overview?last=1").await?;
    let path = format!("/v1/clients?order={}&most={most}", order.name());
    Ok((overview, admin.get(&path).await?))
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
