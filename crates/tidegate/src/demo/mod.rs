//! `tidegate demo`: a shop, Tidegate in front of it, visitors and attacks, in one process.

mod attacks;
mod cast;
mod latency;
mod report;
mod shop;
mod table;
mod visitors;
mod wire;

use crate::cli::DemoArgs;
use crate::out::ended;
use cast::Cast;
use latency::Latency;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use table::Table;
use tidegate_behavior::address::parse_network;
use tidegate_lab::simulate::agents::Agents;
use tidegate_lab::simulate::dice::Dice;
use tidegate_server::{Resolved, Server, stop_signal};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use wire::Stage;

/// The same visitors every time; their timing is the machine's.
const SEED: u64 = 7;
/// Any free port of this machine alone.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) fn run(args: &DemoArgs) -> miette::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.into_diagnostic()?.block_on(play(args))
}

async fn play(args: &DemoArgs) -> miette::Result<()> {
    let length = Duration::from_secs(args.seconds);
    let stop = stop_signal().into_diagnostic()?;
    tokio::pin!(stop);

    let listener = TcpListener::bind(ANYWHERE).await.into_diagnostic().wrap_err("the shop")?;
    let shop = listener.local_addr().into_diagnostic()?;
    let server = Server::bind(gate(shop, args)?, None).await.into_diagnostic()?;
    let proxy = *server.proxy_addresses().first().ok_or_else(|| miette!("no proxy address"))?;
    let engine = server.engine();
    let (close, closed) = oneshot::channel::<()>();
    let mut backstage = JoinSet::new();
    backstage.spawn(async move {
        // Its end is the end of the process.
        let _ = axum::serve(listener, shop::router()).await;
    });
    let serving = tokio::spawn(server.run(async move {
        let _ = closed.await;
    }));

    let stage = Arc::new(Stage { proxy, shop, cast: Cast::default(), latency: Latency::default() });
    let agents = Arc::new(Agents::draw(&mut Dice::new(SEED, 0), "Shop"));
    let mut actors = JoinSet::new();
    attacks::enter(&stage, &agents, SEED, (length / 3, length / 10), &mut actors);
    visitors::enter(&stage, &agents, SEED, &mut actors);

    println!(
        "A small shop on {shop}, Tidegate in front of it on {proxy}, everything in this process.\n\
         Tidegate starts without knowing anybody. After {} s a flood, a scanner and password\n\
         guessers join the honest visitors; nobody tells Tidegate who is who.\n",
        (length / 3).as_secs()
    );
    let start = Instant::now();
    let mut table = Table::new();
    let mut clock = interval(table.pace());
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    clock.tick().await;
    loop {
        tokio::select! {
            _ = clock.tick() => ended(table.draw(&stage, &engine, (start.elapsed(), length))),
            () = sleep_until(start + length) => break,
            () = &mut stop => break,
        }
    }
    actors.shutdown().await;
    ended(table.draw(&stage, &engine, (start.elapsed(), length)));
    ended(table.close());
    println!("What everybody got in {} s:\n", start.elapsed().as_secs());
    print!("{}", report::summary(&stage.cast.seen(), stage.latency.medians()));
    // Nobody is left to be served: only the server's own end is waited for.
    drop(close);
    serving.await.into_diagnostic()?.into_diagnostic()
}

/// A proxy with every default, in front of the shop.
fn gate(shop: SocketAddr, args: &DemoArgs) -> miette::Result<Resolved> {
    let mut gate =
        Resolved::default_for_proxy(&format!("http://{shop}"), ANYWHERE).into_diagnostic()?;
    gate.admin.address = ANYWHERE;
    gate.drain = Duration::from_secs(1);
    gate.model = Some(crate::evaluate::model(args.model.as_deref())?);
    // The visitors are all on this machine: the load balancer that they would come through
    // tells their addresses.
    let loopback = parse_network("127.0.0.0/8").into_diagnostic()?;
    gate.policy.identity.trusted.insert(loopback, ());
    Ok(gate)
}
