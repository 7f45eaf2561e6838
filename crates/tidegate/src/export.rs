//! `tidegate export-features`: rows of features as Parquet, to train a model elsewhere.

use crate::cli::{ExportArgs, LogArgs};
use crate::replay::{Log, labels, start};
use crate::train::progress_bar;
use miette::{IntoDiagnostic, miette};
use tidegate_lab::export::{Plan, ROUND, Row, Sequences, Table, simulate};

pub(crate) fn run(args: &ExportArgs) -> miette::Result<()> {
    let rows = if args.simulate { simulated(args)? } else { logged(args)? };
    println!(
        "{} rows, {} of them labelled, {} abusive, in {}",
        rows.all,
        rows.labelled,
        rows.abusive,
        args.out.display()
    );
    if rows.labelled > 0 && (rows.abusive == 0 || rows.abusive == rows.labelled) {
        println!("Note: all labels are alike, and nothing can be learned from that.");
    }
    Ok(())
}

/// How many rows were written.
#[derive(Default)]
struct Rows {
    all: u64,
    labelled: u64,
    abusive: u64,
}

impl Rows {
    fn write(&mut self, table: &mut Table, row: Row) -> miette::Result<()> {
        self.all += 1;
        self.labelled += u64::from(row.label.is_some());
        self.abusive += u64::from(row.label == Some(true));
        table.push(row).into_diagnostic()
    }
}

fn simulated(args: &ExportArgs) -> miette::Result<Rows> {
    let plan = Plan { seed: args.seed, runs: args.rounds as usize * ROUND };
    let about =
        format!("simulated: {} rounds of all scenarios from seed {}", args.rounds, args.seed);
    let mut table = Table::create(&args.out, &about).into_diagnostic()?;
    let bar = progress_bar("simulating");
    let all = simulate(&plan, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let mut rows = Rows::default();
    for row in all {
        rows.write(&mut table, row)?;
    }
    table.finish().into_diagnostic()?;
    Ok(rows)
}

/// Every request of a log, as serving would have seen it.
fn logged(args: &ExportArgs) -> miette::Result<Rows> {
    let known = args.labels.as_deref().map(labels).transpose()?;
    let log =
        LogArgs { files: args.files.clone(), read: args.read.clone(), model: args.model.clone() };
    let mut replay = start(&log)?;
    let mut log = Log::open(&args.files, &args.read)?;
    let mut table = Table::create(&args.out, "a log").into_diagnostic()?;
    let mut sequences = Sequences::default();
    let mut rows = Rows::default();
    log.each(|line, record| {
        let decision = replay.feed(line, record);
        let mut row = Row::new(&decision, sequences.next(decision.ticket.client));
        row.label = known.as_ref().and_then(|known| known.get(line)).map(|label| label.abusive);
        rows.write(&mut table, row)
    })?;
    table.finish().into_diagnostic()?;
    print!("{}", log.complaints());
    if rows.all == 0 {
        return Err(miette!("no line of the log was read, so the export is empty"));
    }
    Ok(rows)
}
