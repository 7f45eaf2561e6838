//! `tidegate models`: a folder of models made elsewhere, each checked, calibrated and measured.
//!
//! A model is one file as `tidegate train` writes it, with the ONNX graph, its calibration and a
//! checksum in it, and beside it a manifest in JSON that says what was measured at its import.

use crate::cli::{ImportArgs, ListArgs, ModelsCommand, ShowArgs};
use crate::evaluate::any_model;
use crate::train::progress_bar;
use miette::{IntoDiagnostic, WrapErr, miette};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tidegate_engine::Engine;
use tidegate_lab::export::{FIRST_HELD_OUT_SEED, Plan, ROUND, Row, read, simulate};
use tidegate_lab::judge::{Judgement, Latency, Quality, glance, judge};
use tidegate_models::onnx::Signature;
use tidegate_models::{AnyModel, Calibration, Onnx, file};

pub(crate) fn run(command: &ModelsCommand) -> miette::Result<()> {
    match command {
        ModelsCommand::Import(args) => import(args),
        ModelsCommand::List(args) => list(args),
        ModelsCommand::Show(args) => show(args),
    }
}

/// What is kept of an import beside the model.
#[derive(Serialize)]
struct Manifest<'a> {
    name: &'a str,
    imported_from: String,
    /// Seconds since the Unix epoch.
    imported_at: u64,
    rows_from: String,
    bytes: usize,
    producer: &'a str,
    opset: i64,
    operators: &'a [String],
    quantised: bool,
    steps: usize,
    judgement: Judgement,
}

fn import(args: &ImportArgs) -> miette::Result<()> {
    let name = name(args)?;
    let bytes = std::fs::read(&args.file)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read {}", args.file.display()))?;
    // First what costs nothing: a model that does not fit is refused before anything is simulated.
    let model = Onnx::new(bytes, Calibration::default(), [0.0; tidegate_behavior::schema::COUNT])
        .into_diagnostic()
        .wrap_err_with(|| format!("{} can't be imported", args.file.display()))?;
    quick_enough(args, &model)?;
    let (rows, rows_from) = rows(args)?;
    let built_in = Engine::default_model().into_diagnostic().wrap_err("the built-in model")?;
    let (model, judgement) = judge(model, &built_in, &rows).into_diagnostic()?;
    let signature = model.signature().clone();
    let about = format!("imported from {}, calibrated on {rows_from}", args.file.display());
    let about = about.get(..about.len().min(file::MAX_METADATA)).unwrap_or_default();
    let saved = file::save(&AnyModel::Onnx(model), about).into_diagnostic()?;
    let manifest = Manifest {
        name: &name,
        imported_from: args.file.display().to_string(),
        imported_at: SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        rows_from,
        bytes: saved.len(),
        producer: &signature.producer,
        opset: signature.opset,
        operators: &signature.operators,
        quantised: signature.quantised,
        steps: signature.steps,
        judgement,
    };
    let manifest = serde_json::to_value(&manifest).into_diagnostic()?;
    std::fs::create_dir_all(&args.dir)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot make the folder {}", args.dir.display()))?;
    let path = file_of(&args.dir, &name, "tgmd");
    write(&path, &saved)?;
    let text = serde_json::to_string_pretty(&manifest).into_diagnostic()? + "\n";
    write(&file_of(&args.dir, &name, "json"), text.as_bytes())?;
    if args.json {
        print!("{text}");
        return Ok(());
    }
    println!("{}: accepted", args.file.display());
    describe(&signature);
    table(&judgement);
    println!(
        "\n{}: {} bytes. Run it as a challenger with\n  challenger: {{file: {}}}",
        path.display(),
        saved.len(),
        path.display()
    );
    Ok(())
}

/// Whether the model keeps up with what it would have to score.
fn quick_enough(args: &ImportArgs, model: &Onnx) -> miette::Result<()> {
    let latency = glance(model).into_diagnostic()?;
    if latency.p50_ns <= args.slowest.saturating_mul(1000) {
        return Ok(());
    }
    Err(miette!(
        "{} can't be imported: its median row takes {:.1} µs, more than {} µs; make it smaller (fewer or \
         flatter trees, narrower layers, quantised weights), or allow it by --slowest",
        args.file.display(),
        latency.p50_ns as f64 / 1000.0,
        args.slowest
    ))
}

/// What to call the model: letters, digits, `-`, `_` and `.`, for it becomes a file's name.
fn name(args: &ImportArgs) -> miette::Result<String> {
    let stem = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = args.name.as_deref().unwrap_or(stem);
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(sound) {
        return Err(miette!(
            "`{name}` can't be the name of a model; give one of letters, digits, - and _ by --name"
        ));
    }
    Ok(name.to_owned())
}

/// Rows to calibrate and judge on, and in words where they are from.
fn rows(args: &ImportArgs) -> miette::Result<(Vec<Row>, String)> {
    if let Some(path) = &args.data {
        let mut rows = read(path).into_diagnostic()?;
        // A log is in the order of time, and windows are taken client by client.
        rows.sort_by_key(|row| (row.group, row.client, row.sequence));
        return Ok((rows, path.display().to_string()));
    }
    let runs = args.rounds as usize * ROUND;
    let bar = progress_bar("simulating");
    let plan = Plan { seed: FIRST_HELD_OUT_SEED, runs };
    let rows = simulate(&plan, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok((rows, format!("{runs} simulated sites from seed {FIRST_HELD_OUT_SEED}")))
}

fn file_of(dir: &Path, name: &str, kind: &str) -> PathBuf {
    dir.join(format!("{name}.{kind}"))
}

/// Writes a file whole or not at all: a server may be reading it.
fn write(path: &Path, bytes: &[u8]) -> miette::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    std::fs::write(&next, bytes).into_diagnostic().wrap_err_with(cannot)?;
    std::fs::rename(&next, path).into_diagnostic().wrap_err_with(cannot)
}

fn describe(signature: &Signature) {
    let shape = match signature.steps {
        1 => "one row of 64 features".to_owned(),
        steps => format!("{steps} requests of a client, 64 features each"),
    };
    println!("  input     {}: {shape}", signature.input);
    let kind = if signature.logit { "log-odds" } else { "a probability" };
    println!("  output    {}: {kind}", signature.output);
    let set = match signature.opset {
        0 => "operators of trees alone".to_owned(),
        opset => format!("operator set {opset}"),
    };
    println!("  made by   {}, {set}", signature.producer);
    let integers = if signature.quantised { " (quantised)" } else { "" };
    println!("  operators {}{integers}", signature.operators.join(", "));
}

fn table(judgement: &Judgement) {
    println!(
        "\ncalibrated on {} rows, judged on {} rows of other sites, {} of them abusive",
        judgement.calibrated_on, judgement.quality.rows, judgement.quality.abusive
    );
    println!(
        "\n{:<10} {:>8} {:>8} {:>14} {:>12} {:>12} {:>9} {:>9}",
        "model",
        "ROC-AUC",
        "PR-AUC",
        "TPR at 0.1 %",
        "TPR at 1 %",
        "calib. error",
        "p50 µs",
        "p99 µs"
    );
    let number = |x: Option<f64>| x.map_or_else(|| "–".into(), |x| format!("{x:.4}"));
    let percent = |x: Option<f64>| x.map_or_else(|| "–".into(), |x| format!("{:.1} %", x * 100.0));
    let micros = |ns: u64| format!("{:.1}", ns as f64 / 1000.0);
    let row = |name: &str, quality: &Quality, latency: &Latency| {
        println!(
            "{name:<10} {:>8} {:>8} {:>14} {:>12} {:>12} {:>9} {:>9}",
            number(quality.roc_auc),
            number(quality.pr_auc),
            percent(quality.tpr_at.0),
            percent(quality.tpr_at.1),
            number(quality.ece),
            micros(latency.p50_ns),
            micros(latency.p99_ns)
        );
    };
    row("imported", &judgement.quality, &judgement.latency);
    row("built in", &judgement.built_in, &judgement.built_in_latency);
}

fn list(args: &ListArgs) -> miette::Result<()> {
    let entries = std::fs::read_dir(&args.dir)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read the folder {}", args.dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "tgmd"));
    paths.sort();
    if paths.is_empty() {
        println!("no models in {}; `tidegate models import FILE` adds one", args.dir.display());
        return Ok(());
    }
    println!(
        "{:<24} {:>10} {:>8} {:>14} {:>9}   made by",
        "name", "bytes", "ROC-AUC", "TPR at 0.1 %", "p50 µs"
    );
    for path in paths {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let known = manifest(&path).unwrap_or(Value::Null);
        let of = |at: &str| known.pointer(at).and_then(Value::as_f64);
        let show = |x: Option<f64>, digits: usize| {
            x.map_or_else(|| "–".to_owned(), |x| format!("{x:.digits$}"))
        };
        println!(
            "{name:<24} {:>10} {:>8} {:>14} {:>9}   {}",
            known["bytes"].to_string(),
            show(of("/judgement/quality/roc_auc"), 4),
            show(of("/judgement/quality/tpr_at/0").map(|x| x * 100.0), 1),
            show(of("/judgement/latency/p50_ns").map(|x| x / 1000.0), 1),
            known["producer"].as_str().unwrap_or("–")
        );
    }
    Ok(())
}

fn manifest(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path.with_extension("json")).ok()?;
    serde_json::from_str(&text).ok()
}

fn show(args: &ShowArgs) -> miette::Result<()> {
    let kept = file_of(&args.dir, &args.name, "tgmd");
    let path = if kept.is_file() { kept } else { PathBuf::from(&args.name) };
    if !path.is_file() {
        return Err(miette!(
            "there is neither a model `{}` in {} nor a file of that name; `tidegate models list` names \
             those that are there",
            args.name,
            args.dir.display()
        ));
    }
    let model = any_model(&path)?;
    println!("{}: {}", path.display(), tidegate_models::Model::kind(&model));
    if let AnyModel::Onnx(onnx) = &model {
        describe(onnx.signature());
    }
    let known =
        manifest(&path).unwrap_or_else(|| json!({"note": "there is no manifest beside it"}));
    println!("{}", serde_json::to_string_pretty(&known).into_diagnostic()?);
    Ok(())
}
