//! The others: a flood from one source, a scanner, and password guessing from four addresses.
//!
//! None of them reacts to a denial: what counts is what they would have got.

use super::cast::Group;
use super::wire::{BROWSER, Call, Client, PROGRAM, Stage};
use std::sync::Arc;
use std::time::Duration;
use tidegate_lab::simulate::agents::{AgentKind, Agents};
use tidegate_lab::simulate::dice::Dice;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

/// Requests a second of the flood, over this many connections.
const FLOOD: u32 = 400;
const FLOOD_CONNECTIONS: u32 = 10;
/// Requests a second of the scanner.
const SCAN: u32 = 12;
/// Log-ins a second of each guesser.
const GUESSES: u32 = 3;
const GUESSERS: u64 = 4;

/// Starts the attacks after `quiet`, one after the other within `spread`.
pub(super) fn enter(
    stage: &Arc<Stage>,
    agents: &Arc<Agents>,
    seed: u64,
    (quiet, spread): (Duration, Duration),
    tasks: &mut JoinSet<()>,
) {
    let mut dice = Dice::new(seed, 1);
    let source = stage.cast.enter(Group::Flood);
    let agent = agents.any(&mut dice, AgentKind::Browser);
    for n in 0..FLOOD_CONNECTIONS {
        let client = Client::new(stage, &source, Arc::clone(&agent), BROWSER);
        tasks.spawn(flood(client, Dice::new(seed, 10 + u64::from(n)), quiet));
    }
    let source = stage.cast.enter(Group::Scanner);
    let agent = agents.any(&mut dice, AgentKind::Browser);
    let client = Client::new(stage, &source, agent, PROGRAM);
    tasks.spawn(scan(client, Dice::new(seed, 30), quiet + spread / 2));
    for n in 0..GUESSERS {
        let source = stage.cast.enter(Group::Stuffing);
        let agent = agents.any(&mut dice, AgentKind::Browser);
        let client = Client::new(stage, &source, agent, BROWSER);
        tasks.spawn(guess(client, Dice::new(seed, 40 + n), quiet + spread));
    }
}

fn every(per_second: u32) -> Interval {
    let mut clock = interval(Duration::from_secs(1) / per_second.max(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    clock
}

/// The dearest page of the shop, over and over, by something that claims to be a browser.
async fn flood(mut client: Client, mut dice: Dice, quiet: Duration) {
    sleep(quiet).await;
    let mut clock = every(FLOOD / FLOOD_CONNECTIONS);
    loop {
        clock.tick().await;
        client.ask(Call::get(format!("/search?q={:x}", dice.bits() >> 40))).await;
    }
}

/// Places where something forgotten might lie.
async fn scan(mut client: Client, mut dice: Dice, quiet: Duration) {
    const PLACES: [&str; 16] = [
        "/.env",
        "/.git/config",
        "/wp-login.php",
        "/phpmyadmin/index.php",
        "/backup.sql",
        "/admin/",
        "/config.bak",
        "/actuator/env",
        "/server-status",
        "/.aws/credentials",
        "/cgi-bin/luci",
        "/api/v1/users",
        "/old/index.php",
        "/dump.tar.gz",
        "/console/",
        "/product/1'%20OR%201=1",
    ];
    sleep(quiet).await;
    let mut clock = every(SCAN);
    for n in 0usize.. {
        clock.tick().await;
        let place = dice.pick(&PLACES);
        let prefix = if n < PLACES.len() { String::new() } else { format!("/{}", dice.below(99)) };
        client.ask(Call::get(format!("{prefix}{place}"))).await;
    }
}

/// Names and passwords from a leak, one pair after the other.
async fn guess(mut client: Client, mut dice: Dice, quiet: Duration) {
    sleep(quiet + Duration::from_secs_f64(dice.unit())).await;
    let mut clock = every(GUESSES);
    loop {
        clock.tick().await;
        let form = format!("user=customer{}&password=leaked{:x}", dice.below(900), dice.bits());
        client.ask(Call::post("/login", form).from("/login")).await;
    }
}
