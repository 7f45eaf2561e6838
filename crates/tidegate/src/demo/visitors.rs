//! The honest: people, apps, a partner, a robot and a monitor, each at its own pace.

use super::cast::{Actor, Group};
use super::shop::{CATEGORIES, PARTNER_KEY, PRODUCTS, password};
use super::wire::{BROWSER, Call, Client, PROGRAM, Stage};
use http::Method;
use std::sync::Arc;
use std::time::Duration;
use tidegate_lab::simulate::agents::{AgentKind, Agents};
use tidegate_lab::simulate::dice::Dice;
use tokio::task::JoinSet;

/// How many shoppers are in the shop at once; whoever leaves is followed by another.
const SHOPPERS: u64 = 24;
const APPS: u64 = 5;
const OFFICE: u64 = 5;

/// Every honest visitor, from now on.
pub(super) fn enter(stage: &Arc<Stage>, agents: &Arc<Agents>, seed: u64, tasks: &mut JoinSet<()>) {
    let dice = |n: u64| Dice::new(seed, n);
    for n in 0..SHOPPERS {
        tasks.spawn(shoppers(Arc::clone(stage), Arc::clone(agents), dice(100 + n)));
    }
    let office = stage.cast.enter(Group::Office);
    for n in 0..OFFICE {
        let (stage, agents, office) = (Arc::clone(stage), Arc::clone(agents), Arc::clone(&office));
        tasks.spawn(colleague(stage, agents, office, dice(200 + n)));
    }
    for n in 0..APPS {
        tasks.spawn(app(Arc::clone(stage), Arc::clone(agents), dice(300 + n)));
    }
    tasks.spawn(partner(Arc::clone(stage), dice(400)));
    tasks.spawn(crawler(Arc::clone(stage), dice(401)));
    tasks.spawn(monitor(Arc::clone(stage)));
}

async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.001, 60.0))).await;
}

/// One shopper after the other, each with an address and a browser of its own.
async fn shoppers(stage: Arc<Stage>, agents: Arc<Agents>, mut dice: Dice) {
    seconds(dice.between(0.0, 4.0)).await;
    loop {
        let actor = stage.cast.enter(Group::Shopper);
        let agent = agents.any(&mut dice, AgentKind::Browser);
        visit(&mut Client::new(&stage, &actor, agent, BROWSER), &mut dice).await;
        seconds(dice.between(0.2, 2.0)).await;
    }
}

/// Somebody in the office, which shares one address.
async fn colleague(stage: Arc<Stage>, agents: Arc<Agents>, office: Arc<Actor>, mut dice: Dice) {
    let agent = agents.any(&mut dice, AgentKind::Browser);
    let mut client = Client::new(&stage, &office, agent, BROWSER);
    seconds(dice.between(0.0, 3.0)).await;
    loop {
        visit(&mut client, &mut dice).await;
        seconds(dice.between(1.0, 5.0)).await;
    }
}

/// A visit to the shop, page by page, with the parts that a browser loads for each.
async fn visit(client: &mut Client, dice: &mut Dice) {
    let mut at = String::new();
    let pages = dice.count(3, 14);
    for n in 0..pages {
        let next = match (n, dice.below(10)) {
            (0, 0..=6) => "/".to_owned(),
            (_, 0..=1) => format!("/category/{}", dice.pick(&CATEGORIES)),
            (_, 2) => format!("/search?q={}", dice.pick(&["lamp", "mug", "tent", "atlas"])),
            (_, 3) => "/cart".to_owned(),
            _ => format!("/product/{}", 1 + dice.zipf(PRODUCTS, 0.9)),
        };
        client.ask(Call::get(&next).from(&at)).await;
        parts(client, dice, &next, n == 0).await;
        if next.starts_with("/product/") && dice.chance(0.2) {
            seconds(dice.between(0.5, 2.0)).await;
            client.ask(Call::post("/cart", "add=1").from(&next)).await;
            client.ask(Call::get("/cart").from(&next)).await;
        }
        at = next;
        // Hurried, so that half a minute shows something.
        seconds(dice.log_normal(1.6, 0.6)).await;
    }
    if dice.chance(0.25) {
        log_in(client, dice, &at).await;
    }
}

/// The style, scripts and images of a page; what every page has is cached after the first.
async fn parts(client: &mut Client, dice: &mut Dice, page: &str, first: bool) {
    if first {
        for name in ["shop.css", "shop.js", "logo.svg", "cart.js"] {
            client.ask_and_compare(Call::get(format!("/assets/{name}")).from(page)).await;
        }
    }
    for _ in 0..dice.count(1, 5) {
        let image = Call::get(format!("/assets/item-{}.jpg", 1 + dice.zipf(PRODUCTS, 0.8)));
        client.ask_and_compare(image.from(page)).await;
    }
}

/// A customer logs in, and people mistype.
async fn log_in(client: &mut Client, dice: &mut Dice, from: &str) {
    client.ask(Call::get("/login").from(from)).await;
    let user = format!("customer{}", dice.count(1, 900));
    for _ in 0..dice.pick(&[0, 0, 0, 1, 1, 2]) {
        seconds(dice.between(1.0, 3.0)).await;
        client.ask(Call::post("/login", format!("user={user}&password=oops")).from("/login")).await;
    }
    seconds(dice.between(1.0, 3.0)).await;
    let form = format!("user={user}&password={}", password(&user));
    client.ask(Call::post("/login", form).from("/login")).await;
    client.ask(Call::get("/account").from("/login")).await;
}

/// A phone with the shop's app.
async fn app(stage: Arc<Stage>, agents: Arc<Agents>, mut dice: Dice) {
    let actor = stage.cast.enter(Group::App);
    let agent = agents.any(&mut dice, AgentKind::App);
    let mut client = Client::new(&stage, &actor, agent, PROGRAM);
    seconds(dice.between(0.0, 3.0)).await;
    loop {
        client.ask(Call::get("/api/v1/recommendations")).await;
        for _ in 0..dice.count(1, 5) {
            let id = 1 + dice.zipf(PRODUCTS, 0.9);
            client.ask(Call::get(format!("/api/v1/products/{id}"))).await;
            seconds(dice.log_normal(1.2, 0.5)).await;
        }
        if dice.chance(0.2) {
            client.ask(Call::post("/api/v1/cart", "add=1")).await;
        }
    }
}

/// A partner's warehouse: several calls a second, all day, and it is what the API is for.
async fn partner(stage: Arc<Stage>, mut dice: Dice) {
    const FIELDS: &[(&str, &str)] = &[("accept", "application/json"), ("x-api-key", PARTNER_KEY)];
    let actor = stage.cast.enter(Group::Partner);
    let mut client = Client::new(&stage, &actor, "warehouse-sync/2.4", FIELDS);
    loop {
        client.ask(Call::get("/api/v1/orders")).await;
        for _ in 0..dice.count(2, 8) {
            let path = format!("/api/v1/stock/{}", 1 + dice.zipf(PRODUCTS, 0.7));
            let call = if dice.chance(0.4) {
                Call { method: Method::PUT, ..Call::post(path, "stock=7") }
            } else {
                Call::get(path)
            };
            client.ask(call).await;
            seconds(dice.pause(0.15)).await;
        }
    }
}

/// A search engine's robot: says who it is, reads the rules, reads the products.
async fn crawler(stage: Arc<Stage>, mut dice: Dice) {
    let actor = stage.cast.enter(Group::Crawler);
    let agent = "Mozilla/5.0 (compatible; FindBot/1.3; +http://find.example/bot)";
    let mut client = Client::new(&stage, &actor, agent, PROGRAM);
    client.ask(Call::get("/robots.txt")).await;
    loop {
        let path = if dice.chance(0.15) {
            format!("/category/{}", dice.pick(&CATEGORIES))
        } else {
            format!("/product/{}", dice.count(1, PRODUCTS))
        };
        client.ask(Call::get(path)).await;
        seconds(dice.between(0.6, 1.6)).await;
    }
}

/// A service that asks every two seconds whether the shop is up.
async fn monitor(stage: Arc<Stage>) {
    let actor = stage.cast.enter(Group::Monitor);
    let mut client = Client::new(&stage, &actor, "uptime-check/1.0", PROGRAM);
    let mut clock = tokio::time::interval(Duration::from_secs(2));
    loop {
        clock.tick().await;
        client.ask(Call::get("/health")).await;
    }
}
