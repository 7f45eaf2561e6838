//! `tidegate study`: what is left when a family, a style of site or a part of the model is not there.

use crate::cli::{LeftOut, StudyArgs};
use crate::train::progress_bar;
use miette::IntoDiagnostic;
use tidegate_lab::evaluate::Share;
use tidegate_lab::study::{Line, Plan, engine, families, parts, study, styles};
use tidegate_lab::train::{self, collect};

pub(crate) fn run(args: &StudyArgs) -> miette::Result<()> {
    let training = train::Plan { rounds: args.rounds, ..train::Plan::default() };
    let sites = usize::try_from(args.seeds).unwrap_or(usize::MAX);
    let plan = Plan { training, seed: args.seed, sites, minutes: args.minutes };
    let variants: Vec<_> = args
        .what
        .iter()
        .flat_map(|what| match what {
            LeftOut::Families => families(),
            LeftOut::Styles => styles(),
            LeftOut::Parts => parts(),
            LeftOut::Engine => engine(),
        })
        .collect();
    if !args.json {
        println!(
            "{} unseen sites (from seed {} on; where a style is left out, of that style), {} minutes \
             each; models trained\non {} rounds, parts of the engine beside the model built in; [95 % \
             interval over sites]\n",
            args.seeds, args.seed, args.minutes, args.rounds
        );
        println!(
            "{:<32} {:>15} {:>8} {:>21} {:>7} {:>8} {:>24}",
            "left out",
            "abuse denied %",
            "without",
            "difference",
            "harm %",
            "without",
            "difference"
        );
    }
    let simulate = || {
        let bar = progress_bar("simulating");
        let corpus = collect(&plan.training, |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        corpus
    };
    let lines = study(&plan, &variants, simulate, |line| {
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
        "{:<32} {:>15.1} {:>8.1} {:>21} {:>7.3} {:>8.3} {:>24}",
        line.without,
        line.whole_caught * 100.0,
        line.caught * 100.0,
        difference(line.difference, 1),
        line.whole_harm * 100.0,
        line.harm * 100.0,
        difference(line.harm_difference, 3)
    );
}

/// A difference in points with its confidence interval.
fn difference(share: Share, digits: usize) -> String {
    let [value, low, high] = [share.value, share.low, share.high].map(|x| x * 100.0);
    format!("{value:+.digits$} [{low:+.digits$} {high:+.digits$}]")
}
