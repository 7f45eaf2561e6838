//! What the command line takes; every default is said in its help.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use tidegate_engine::Part;
use tidegate_lab::train::Plan;

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
    /// Tell the story of one client of a log: each change of its limit, and why. Or, with --admin, why a
    /// client of a running limiter is where it is.
    Explain(ExplainArgs),
    /// Decide the requests of a live access log, and publish whom to deny: as a list of addresses, by a
    /// command, to a URL.
    Watch(WatchArgs),
    /// Watch a sample shop being visited and attacked behind Tidegate: no set-up, no network.
    Demo(DemoArgs),
    /// Run the reverse proxy and the API that a configuration file describes.
    Serve(ServeArgs),
    /// Show what a running limiter does, as it happens: rates, clients, incidents.
    Top(TopArgs),
    /// Write completions for a shell.
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder.
    Manual(ManualArgs),
    /// Run the reverse proxy in front of one upstream, with the default policy.
    Proxy(ProxyArgs),
    /// Read configuration files, those of envoyproxy/ratelimit too, and say line by line what they will do.
    CheckConfig(CheckConfigArgs),
    /// Write labelled synthetic traffic as a log and its labels.
    Simulate(SimulateArgs),
    /// Measure decisions a second and memory a client on this machine.
    Bench(BenchArgs),
    /// Train the abuse classifier on simulated traffic and, if you like, on your logs, reproducibly
    /// from its seed.
    Train(TrainArgs),
    /// Say of clients of a log what they are, the most informative ones first.
    Label(LabelArgs),
    /// Measure decisions on simulated traffic that nobody trained on.
    Evaluate(EvaluateArgs),
    /// Measure what an attacker who learns gets past the limiter, with each hardening on and off.
    Prober(ProberArgs),
    /// Train again without a family of attackers, a style of site or a group of features, or decide
    /// without a part of the engine, and measure what is lost.
    Study(StudyArgs),
    /// Write features of a log or of simulated sites as Parquet, to train a model elsewhere.
    ExportFeatures(ExportArgs),
    /// Take in models made elsewhere, and see those that were.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Anomalies and forecasts of time series such as a site's requests a minute.
    #[command(subcommand)]
    Series(SeriesCommand),
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// The limiter's admin address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901")]
    pub(crate) url: String,
    /// The file with the admin token, or a viewer's.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// What clients are ordered by, largest first.
    #[arg(long, value_enum, default_value_t = TopOrder::Risk)]
    pub(crate) order: TopOrder,
    /// Print how things are once, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What clients are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum TopOrder {
    Risk,
    Denied,
    Requests,
    PerMinute,
    LastSeen,
}

impl TopOrder {
    /// As the API has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::Denied => "denied",
            Self::Requests => "requests",
            Self::PerMinute => "per_minute",
            Self::LastSeen => "last_seen",
        }
    }

    /// The order that a key chooses.
    pub(crate) const fn of(letter: char) -> Option<Self> {
        match letter {
            'r' => Some(Self::Risk),
            'd' => Some(Self::Denied),
            'n' => Some(Self::Requests),
            'm' => Some(Self::PerMinute),
            'l' => Some(Self::LastSeen),
            _ => None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManualArgs {
    /// The folder, which must be there.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// What is done with time series.
#[derive(Debug, Subcommand)]
pub(crate) enum SeriesCommand {
    /// Hold the anomaly detector against the Numenta Anomaly Benchmark, beside simpler ones.
    Nab(NabArgs),
    /// Forecast a rate for days ahead, with intervals, and say how wrong such forecasts were.
    Forecast(ForecastArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ForecastArgs {
    /// Lines of time and value, such as `1995-07-01 00:00:00,42`; plain, gzip or zstd.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How many hours ahead.
    #[arg(long, default_value_t = 168, value_parser = clap::value_parser!(u16).range(1..=2000))]
    pub(crate) horizon: u16,
    /// From how many earlier days to forecast, to measure the error.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) origins: u16,
    /// Print the whole forecast and its errors as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NabArgs {
    /// The benchmark's series: a folder or a .tgz that holds category/file.csv.
    #[arg(long, value_name = "DIR|TGZ")]
    pub(crate) data: PathBuf,
    /// Its labelled windows (combined_windows.json); the series named there are read.
    #[arg(long, value_name = "FILE")]
    pub(crate) windows: PathBuf,
    /// Measure as well with settings chosen on the other folds, and on the other categories.
    #[arg(long)]
    pub(crate) cross_validate: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
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
    /// How often to simulate every scenario, each time on a site of its own, for 3 to 60 minutes.
    #[arg(long, default_value_t = Plan::default().rounds, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rounds: u64,
    /// The first site's seed. Below 1000000 it overlaps with what `evaluate` uses.
    #[arg(long, default_value_t = Plan::default().seed)]
    pub(crate) seed: u64,
    /// How many trees.
    #[arg(long, default_value_t = Plan::default().params.trees)]
    pub(crate) trees: usize,
    /// How deep a tree may become.
    #[arg(long, default_value_t = Plan::default().params.depth)]
    pub(crate) depth: usize,
    /// Learn from these access logs as well, which nobody need have labelled.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) from_logs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// What people said of the log's clients, as `tidegate label` writes it.
    #[arg(long, value_name = "FILE", requires = "from_logs")]
    pub(crate) labels: Option<PathBuf>,
    /// A path that nobody should ask for, and all that begins with it (may be given several times).
    #[arg(long, value_name = "PATH", requires = "from_logs")]
    pub(crate) honeypot: Vec<String>,
    /// Learn from the logs alone, without simulated traffic: the model then knows nothing of what
    /// did not happen in them.
    #[arg(long, requires = "from_logs")]
    pub(crate) logs_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// Access logs, plain, gzip or zstd. They are read more than once.
    #[arg(required_unless_present = "benchmark", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// The file of answers; made if it does not exist, and gone on with if it does.
    #[arg(long, value_name = "FILE", default_value = "labels.csv")]
    pub(crate) labels: PathBuf,
    /// A path that nobody should ask for, and all that begins with it (may be given several times).
    #[arg(long, value_name = "PATH")]
    pub(crate) honeypot: Vec<String>,
    /// Only list the N clients that would be asked about next.
    #[arg(long, value_name = "N", conflicts_with = "benchmark", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) next: Option<u32>,
    /// Only record what is known of a client: abusive, harmless or unknown (may be given several
    /// times).
    #[arg(long, value_name = "CLIENT=ANSWER", conflicts_with_all = ["next", "benchmark"])]
    pub(crate) answer: Vec<String>,
    /// Print the list, or the measurement, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Measure labels and questions on simulated traffic, where the truth is known.
    #[arg(long, conflicts_with = "files")]
    pub(crate) benchmark: bool,
    /// How many sites to measure on.
    #[arg(long, default_value_t = 10, requires = "benchmark", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// The first site's seed.
    #[arg(long, default_value_t = 20_001, requires = "benchmark")]
    pub(crate) seed: u64,
    /// Minutes of traffic a site; the first three fifths are the log.
    #[arg(long, default_value_t = 20, requires = "benchmark", value_parser = clap::value_parser!(u32).range(1..=MOST_MINUTES))]
    pub(crate) minutes: u32,
    /// How many answers a site to measure with.
    #[arg(long, default_value_t = 100, requires = "benchmark", value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub(crate) answers: u32,
    /// Rounds of all scenarios to mix the logs with, for the comparison of models.
    #[arg(long, default_value_t = 20, requires = "benchmark", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rounds: u64,
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
    /// With `adaptive.anomaly` on: who is odd, or new where something is odd, has less room.
    #[arg(long)]
    pub(crate) anomaly: bool,
    /// Leave out a part of decisions that is not the model's (may be given several times).
    #[arg(long, value_name = "PART", value_parser = clap::builder::PossibleValuesParser::new(Part::ALL.map(Part::name)))]
    pub(crate) without: Vec<String>,
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
    /// Each part of a decision that is not the model's, of the model built in: what does it buy?
    Engine,
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
    /// The first site's seed. Models are trained on seeds from 1000000 on.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..900_000))]
    pub(crate) seed: u64,
    /// Minutes of traffic a run.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MOST_MINUTES))]
    pub(crate) minutes: u32,
    /// Print the lines as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProberArgs {
    /// On how many sites it learns, each time anew.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// The first site's seed.
    #[arg(long, default_value_t = 30_001)]
    pub(crate) seed: u64,
    /// Another model than the one built in.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Print the rows as JSON.
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
    #[arg(long, value_name = "NAME", help = crate::evaluate::scenarios())]
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

/// How logs are read.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReadArgs {
    /// How lines are written: auto, common, combined, json, envoy, alb, or an nginx `log_format`
    /// string such as '$remote_addr [$time_local] "$request" $status'.
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub(crate) format: String,
    /// Read a key from another field of the log, such as client_ip=http.remote.addr (may be given
    /// several times).
    #[arg(long, value_name = "KEY=FIELD")]
    pub(crate) map: Vec<String>,
    /// Take clients, lists and whatever else the command uses of a policy from this configuration
    /// instead of the defaults; replay, explain and watch also its limits and model.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Which logs, and how they are decided.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Access logs, plain, gzip or zstd; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
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
    /// Write the report here: .html for people, in one file that needs no other; .md for a ticket or a
    /// review; .json for programs (may be given several times).
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Vec<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a list of addresses is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// `ADDRESS 1;` a line, for `geo` of nginx.
    Nginx,
    /// An address a line.
    Plain,
    /// A script for `ipset restore`: sets `tidegate` and `tidegate6`, each entry with its timeout.
    Ipset,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WatchArgs {
    /// The access log. It is followed through rotation and truncation, and waited for if it is not
    /// there yet.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Another model than the one of the configuration or the one built in.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Read what stands in the log already, so that clients are known from it; of what was done about
    /// them only what still holds is told.
    #[arg(long)]
    pub(crate) from_start: bool,
    /// Keep the addresses of blocked clients in this file: replaced as a whole, when somebody comes or
    /// goes, at most once a second.
    #[arg(long, value_name = "PATH")]
    pub(crate) deny_list: Option<PathBuf>,
    /// How the list is written.
    #[arg(long, value_name = "FORMAT", default_value = "nginx", requires = "deny_list")]
    pub(crate) deny_format: ListFormat,
    /// Run this by `sh -c` after each change of the list, such as 'nginx -s reload'; when it fails it is
    /// tried again.
    #[arg(long, value_name = "COMMAND", requires = "deny_list")]
    pub(crate) run: Option<String>,
    /// Post each change of what is done about a client to this URL, as JSON; failed ones are tried
    /// again.
    #[arg(long, value_name = "URL")]
    pub(crate) webhook: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Where to write the Parquet file.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Simulate labelled sites instead of reading a log.
    #[arg(long, conflicts_with_all = ["files", "labels", "config", "model", "map"])]
    pub(crate) simulate: bool,
    /// How often to simulate every scenario, each time on a site of its own, for 3 to 60 minutes.
    #[arg(long, default_value_t = 10, requires = "simulate", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds: u32,
    /// The first simulated site's seed. Below 1000000 it overlaps with what `evaluate` and `models
    /// import` judge on.
    #[arg(long, default_value_t = Plan::default().seed, requires = "simulate")]
    pub(crate) seed: u64,
    /// What is known of the lines of the log, as CSV: line,actor,family,abusive.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Access logs, plain, gzip or zstd; `-` is standard input.
    #[arg(required_unless_present = "simulate", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Another model than the one of the configuration or the one built in.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Check an ONNX model, calibrate it, measure it beside the built-in one, and keep it.
    Import(ImportArgs),
    /// List the models that were imported.
    List(ListArgs),
    /// Say everything that is known of an imported model, or of a model file.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The ONNX file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What to call it; the file's own name when left out.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The folder of imported models; made if it does not exist.
    #[arg(long, value_name = "DIR", default_value = "models")]
    pub(crate) dir: PathBuf,
    /// Calibrate and judge it on these labelled rows, as `export-features` writes them, instead of on
    /// simulated sites.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// How often to simulate every scenario when there are no rows.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Refuse a model whose median row takes longer: one that scores in a millisecond is a challenger
    /// of a thousand requests a second, and no more.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) slowest: u64,
    /// Print what was found as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The folder of imported models.
    #[arg(long, value_name = "DIR", default_value = "models")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The name of an imported model, or a model file.
    pub(crate) name: String,
    /// The folder of imported models.
    #[arg(long, value_name = "DIR", default_value = "models")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Access logs, plain, gzip or zstd; `-` is standard input. With --admin the client instead.
    #[arg(required_unless_present_all = ["admin", "client"], value_name = "FILE|CLIENT")]
    pub(crate) words: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Another model than the one of the configuration or the one built in.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// The client: an address or host as logged, a credential, or `credential #…` as reports say it.
    #[arg(long, value_name = "CLIENT", required_unless_present = "admin")]
    pub(crate) client: Option<String>,
    /// Ask the running limiter with this admin address, such as http://127.0.0.1:9901, instead of reading
    /// logs.
    #[arg(long, value_name = "URL", conflicts_with_all = ["format", "map", "config", "model"])]
    pub(crate) admin: Option<String>,
    /// The file with the admin token, or a viewer's.
    #[arg(long, value_name = "FILE", requires = "admin")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print what is known and why as JSON.
    #[arg(long, requires = "admin")]
    pub(crate) json: bool,
}
