//! `tidegate serve`, `proxy` and `check-config`: from a configuration to a running server.

use crate::cli::{CheckConfigArgs, ProxyArgs, ServeArgs};
use crate::log;
use crate::replayer::OfServer;
use miette::{IntoDiagnostic, WrapErr};
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_engine::Mode;
use tidegate_server::{Resolved, Server, config, stop_signal};

pub(crate) fn serve(args: &ServeArgs) -> miette::Result<()> {
    let resolved = config::load(&args.config)?;
    run(resolved, Some(args.config.clone()))
}

pub(crate) fn proxy(args: &ProxyArgs) -> miette::Result<()> {
    let mut resolved = Resolved::default_for_proxy(&args.upstream, args.listen)?;
    if args.shadow {
        resolved.policy.mode = Mode::Shadow;
    }
    run(resolved, None)
}

pub(crate) fn check_config(args: &CheckConfigArgs) -> miette::Result<()> {
    for file in &args.files {
        let lines = config::explain(file)?;
        println!("{}: valid", file.display());
        for line in lines {
            println!("  {line}");
        }
    }
    Ok(())
}

fn run(resolved: Resolved, file: Option<PathBuf>) -> miette::Result<()> {
    // Until the end: what is left of it is written then.
    let _logging = log::start(&resolved.telemetry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .into_diagnostic()
        .wrap_err("cannot start the runtime")?;
    let served = runtime.block_on(async {
        let mode = resolved.policy.mode;
        let stop = stop_signal().into_diagnostic()?;
        let replayer = Arc::new(OfServer::new(file.clone()));
        let server = Server::bind(resolved, file).await.into_diagnostic()?.with_replayer(replayer);
        for address in server.proxy_addresses() {
            tracing::info!(%address, "proxy listens");
        }
        tracing::info!(
            address = %server.admin_address().into_diagnostic()?,
            mode = if mode == Mode::Shadow { "shadow: nothing is denied" } else { "enforce" },
            "admin and API listen"
        );
        server.run(stop).await.into_diagnostic()
    });
    // A thread may wait for ever for a log that is a pipe, or on a disk that is gone.
    runtime.shutdown_background();
    served
}
