//! The binary: one match that names every command.

// First, so that its macros hold in the others.
#[macro_use]
mod out;

mod admin;
mod bench;
mod bootstrap;
mod cli;
mod demo;
mod evaluate;
mod explain;
mod export;
mod label;
mod log;
mod manual;
mod models;
mod prober;
mod replay;
mod replayer;
mod report;
mod screen;
mod series;
mod serve;
mod simulate;
mod study;
mod top;
mod train;
mod watch;

use clap::Parser;
use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> miette::Result<()> {
    match Cli::parse().command {
        Command::Replay(args) => replay::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Proxy(args) => serve::proxy(&args),
        Command::Top(args) => top::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Manual(args) => manual::pages(&args),
        Command::CheckConfig(args) => serve::check_config(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Label(args) => label::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Study(args) => study::run(&args),
        Command::ExportFeatures(args) => export::run(&args),
        Command::Models(command) => models::run(&command),
        Command::Series(command) => series::run(&command),
        Command::Prober(args) => prober::run(&args),
    }
}
