//! What the command line takes; every default is said in its help.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use tidegate_lab::train::Plan;
use tidegate_models::train::Params;

/// A rate limiter that learns each client's own limit from how the client behaves.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Everything that tidegate does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Decide recorded requests as serving would have: who would have been limited, when and why.
    Replay(ReplayArgs),
    /// Tell the story of one client of a log: each change of its limit, and why.
    Explain(ExplainArgs),
    /// Watch a sample shop being visited and attacked behind Tidegate: no set-up, no network.
    Demo(DemoArgs),
    /// Run the reverse proxy and the API that a configuration file describes.
    Serve(ServeArgs),
    /// Run the reverse proxy in front of one upstream, with the default policy.
    Proxy(ProxyArgs),
    /// Read configuration files and say, line by line, what they will do.
    CheckConfig(CheckConfigArgs),
    /// Write labelled synthetic traffic as a log and its labels.
    Simulate(SimulateArgs),
    /// Measure decisions a second and memory a client on this machine.
    Bench(BenchArgs),
    /// Train the abuse classifier on simulated traffic, reproducibly from its seed.
    Train(TrainArgs),
    /// Measure decisions on simulated traffic that nobody trained on.
    Evaluate(EvaluateArgs),
    /// Train again without a family of attackers, a style of site or a group of features, and
    /// measure what is lost.
    Study(StudyArgs),
}

/// A week. The whole of a run's traffic is in memory.
const MOST_MINUTES: i64 = 7 * 24 * 60;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long it lasts; the attacks begin after a third of it.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(3..=3600))]
    pub(crate) seconds: u64,
    /// Another model than the one built in.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Where to write the model.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Train the plain logistic baseline instead of boosted trees.
    #[arg(long)]
    pub(crate) logistic: bool,
    /// How often to simulate every scenario, each time on a site of its own, for 2 to 45 minutes.
    #[arg(long, default_value_t = Plan::default().rounds, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rounds: u64,
    /// The first site's seed. Below 1000000 it overlaps with what `evaluate` uses.
    #[arg(long, default_value_t = Plan::default().seed)]
    pub(crate) seed: u64,
    /// How many trees.
    #[arg(long, default_value_t = Params::default().trees)]
    pub(crate) trees: usize,
    /// How deep a tree may become.
    #[arg(long, default_value_t = Params::default().depth)]
    pub(crate) depth: usize,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// How many unseen sites to draw.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) seeds: u64,
    /// The first site's seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Minutes of traffic a run.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MOST_MINUTES))]
    pub(crate) minutes: u32,
    /// Only these scenarios (may be given several times); all when none is given.
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Vec<String>,
    /// Another model than the one built in.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Fail when a scenario denies too much that is harmless, or lets too much of a flood, a scan
    /// or a scraper pass: the guard against a change that makes decisions worse.
    #[arg(long)]
    pub(crate) gate: bool,
}

/// What a study leaves out, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LeftOut {
    /// Each family of attackers: how well is one met that nobody knew?
    Families,
    /// Each style of site: pages, API, mixed.
    Styles,
    /// Each group of features, and the trees: what does it buy?
    Parts,
}

#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    /// What is left out.
    #[arg(required = true, value_name = "WHAT")]
    pub(crate) what: Vec<LeftOut>,
    /// How often to simulate every scenario for training.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rounds: u64,
    /// How many unseen sites to judge on.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) seeds: u64,
    /// The first site's seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Minutes of traffic a run.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MOST_MINUTES))]
    pub(crate) minutes: u32,
    /// Print the lines as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file; a change of it is taken over while running.
    #[arg(short, long, value_name = "FILE", default_value = "tidegate.yaml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// The server to protect, such as http://127.0.0.1:9000.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: String,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Evaluate and count, deny nothing.
    #[arg(long)]
    pub(crate) shadow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// What happens: quiet, flash-crowd, office, outage, deploy, flood, botnet, scan, scrape,
    /// stuffing, enumeration, bruteforce, hoarding, carding, headless, slow-scrape, slow-stuffing,
    /// keys, ramp, mixed or crowd-attack.
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: String,
    /// Draws the site, the visitors and the attackers.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Minutes of traffic.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MOST_MINUTES))]
    pub(crate) minutes: u32,
    /// The folder for traffic.jsonl and labels.csv; made if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Live clients.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) clients: u32,
    /// Seconds for each of the two runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// Print one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which logs, and how they are decided.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Access logs, plain, gzip or zstd; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How lines are written: auto, common, combined, json, envoy, alb, or an nginx `log_format`
    /// string such as '$remote_addr [$time_local] "$request" $status'.
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub(crate) format: String,
    /// Read a key from another field of the log, such as client_ip=http.remote.addr (may be given
    /// several times).
    #[arg(long, value_name = "KEY=FIELD")]
    pub(crate) map: Vec<String>,
    /// Decide by this configuration's policy and model instead of the defaults.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Another model than the one of the configuration or the one built in.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// What is known of the lines, as CSV: line,actor,family,abusive. Lines count from 1 over all
    /// files; those without a label are left out of the comparison.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Write one JSON object for each request here, in the order of the log. A client without a
    /// limit has `limit_per_min` null; reasons are given where something is done about a client.
    #[arg(long, value_name = "FILE")]
    pub(crate) decisions: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// The client: an address or host as logged, a credential, or `credential #…` as reports say it.
    #[arg(long, value_name = "CLIENT")]
    pub(crate) client: String,
}
