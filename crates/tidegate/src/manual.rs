//! Completions for shells and manual pages, made from the command line itself.

use crate::cli::{Cli, CompletionsArgs, ManualArgs};
use clap::CommandFactory as _;
use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use std::io::Write as _;
use std::path::Path;

pub(crate) fn completions(args: &CompletionsArgs) -> miette::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tidegate", &mut text);
    // Whoever reads may have read enough.
    let _ = std::io::stdout().write_all(&text);
    Ok(())
}

pub(crate) fn pages(args: &ManualArgs) -> miette::Result<()> {
    if !args.folder.is_dir() {
        return Err(miette!("{} is no folder; make it first", args.folder.display()));
    }
    let mut command = Cli::command();
    command.build();
    write(&command, "tidegate", &args.folder)
}

/// A page for the command and one for each below it: tidegate.1, tidegate-serve.1 and so on.
fn write(command: &clap::Command, name: &str, folder: &Path) -> miette::Result<()> {
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).into_diagnostic()?;
    let written = std::fs::write(&path, page).into_diagnostic();
    written.wrap_err_with(|| format!("{} can't be written", path.display()))?;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        write(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        pages(&ManualArgs { folder: folder.path().into() }).unwrap();
        for name in ["tidegate", "tidegate-serve", "tidegate-series-nab"] {
            let page = std::fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
            assert!(page.contains(".SH NAME") && page.contains("SYNOPSIS"), "{name}");
        }
        let nowhere = ManualArgs { folder: folder.path().join("none") };
        assert!(pages(&nowhere).unwrap_err().to_string().contains("make it first"));
    }
}
