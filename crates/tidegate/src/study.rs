//! `tidegate study`: what is left when a family, a style of site or a part of the model is not there.

use crate::cli::{LeftOut, StudyArgs};
use crate::train::progress_bar;
use miette::IntoDiagnostic;
use tidegate_lab::study::{Line, Plan, families, parts, study, styles};
use tidegate_lab::train::{self, collect};

pub(crate) fn run(args: &StudyArgs) -> miette::Result<()> {
    let training = train::Plan { rounds: args.rounds, ..train::Plan::default() };
    let seeds = (args.seed..args.seed.saturating_add(args.seeds)).collect();
    let plan = Plan { training, seeds, minutes: args.minutes };
    let bar = progress_bar("simulating");
    let corpus = collect(&plan.training, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let variants: Vec<_> = args
        .what
        .iter()
        .flat_map(|what| match what {
            LeftOut::Families => families(),
            LeftOut::Styles => styles(),
            LeftOut::Parts => parts(),
        })
        .collect();
    if !args.json {
        println!(
            "trained on {} rounds, judged on {} unseen sites (seeds {} to {}), {} minutes each\n",
            args.rounds,
            args.seeds,
            args.seed,
            args.seed.saturating_add(args.seeds) - 1,
            args.minutes
        );
        println!(
            "{:<32} {:>16} {:>9} {:>10} {:>12} {:>9}",
            "left out", "abuse denied %", "without", "difference", "harm %", "without"
        );
    }
    let lines = study(&plan, &variants, &corpus, |line| {
        if !args.json {
            print(line);
        }
    })
    .into_diagnostic()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&lines).into_diagnostic()?);
    }
    Ok(())
}

fn print(line: &Line) {
    println!(
        "{:<32} {:>16.1} {:>9.1} {:>+10.1} {:>12.3} {:>9.3}",
        line.without,
        line.whole_caught * 100.0,
        line.caught * 100.0,
        (line.caught - line.whole_caught) * 100.0,
        line.whole_harm * 100.0,
        line.harm * 100.0
    );
}
