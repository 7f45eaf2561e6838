//! The benchmark's files as written by hand, and detectors on series made here.

use super::corpus::{CorpusError, read, rows};
use super::*;
use flate2::write::GzEncoder;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// A series of noise with a spike at row 700, as CSV, every five minutes.
fn csv(seed: u64) -> String {
    let mut text = String::from("timestamp,value\n");
    let start: jiff::civil::DateTime = "2014-04-01T00:00:00".parse().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for row in 0..1000i64 {
        let noise = random.next_u32() % 1000;
        let value = if row == 700 { 900.0 } else { 50.0 + f64::from(noise) / 100.0 };
        let time = start.saturating_add(jiff::Span::new().minutes(5 * row));
        writeln!(text, "{},{value}", time.strftime("%Y-%m-%d %H:%M:%S")).unwrap();
    }
    text
}

/// Two categories of two series, as a folder and as an archive of the same.
fn corpus() -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let (data, windows) = (home.path().join("data"), home.path().join("windows.json"));
    let archive = home.path().join("data.tgz");
    let bytes = fs::File::create(&archive).unwrap();
    let mut tar = tar::Builder::new(GzEncoder::new(bytes, flate2::Compression::fast()));
    let mut labels = String::from("{");
    for (index, name) in ["a/one.csv", "a/two.csv", "b/one.csv", "b/two.csv"].iter().enumerate() {
        let path = data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, csv(index as u64)).unwrap();
        tar.append_path_with_name(&path, format!("nab/data/{name}")).unwrap();
        let comma = if index == 0 { "" } else { "," };
        let window = r#"["2014-04-03 08:20:00.000000", "2014-04-03 16:35:00.000000"]"#;
        write!(labels, "{comma}\"{name}\": [{window}]").unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    fs::write(&windows, labels + "}").unwrap();
    (home, data, archive, windows)
}

#[test]
fn a_folder_and_its_archive_hold_the_same() {
    let (_home, data, archive, windows) = corpus();
    let series = read(&data, &windows).unwrap();
    assert_eq!(read(&archive, &windows).unwrap(), series);
    assert_eq!((series.len(), series[0].values.len()), (4, 1000));
    assert_eq!(series[0].windows, [676..=775]);
    assert_eq!((series[2].name.as_str(), series[2].category()), ("b/one.csv", "b"));
    assert_eq!(series[0].times[1] - series[0].times[0], 300);
}

#[test]
fn the_detector_beats_the_baselines_and_says_by_how_much() {
    let (_home, data, _, windows) = corpus();
    let report = measure(&read(&data, &windows).unwrap(), true);
    assert_eq!((report.series, report.values, report.windows), (4, 4000, 4));
    assert_eq!(report.categories, ["a", "b"]);
    let [series, ewma, random, null] = &report.fixed[..] else { panic!("{:?}", report.fixed) };
    // Row 700 is a quarter into the window.
    let spike = 100.0 * (1.0 + score::scaled_sigmoid(-0.76) / score::scaled_sigmoid(-1.0)) / 2.0;
    let best = series.scores[0].unwrap();
    assert!(series.found == 4 && best > spike - 8.0 && best <= spike + 1e-9, "{series:?}");
    assert!(ewma.scores[0].unwrap() > random.scores[0].unwrap(), "{ewma:?} {random:?}");
    assert_eq!((null.scores, null.false_alarms), ([Some(0.0); 3], 0));
    assert_eq!(report.chosen.len(), 2);
    assert!(report.chosen.iter().all(|line| line.found == 4), "{:?}", report.chosen);
    assert_eq!(series.categories.len(), 2);
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let (home, data, _, windows) = corpus();
    let wrong = |text: &str| rows("x.csv", text).unwrap_err().to_string();
    assert!(wrong("timestamp,value\n2014-04-01 00:00:00\n").contains("x.csv:2: there is no comma"));
    assert!(wrong("2014-04-01 00:00:00,much\n").contains("x.csv:1: the value is no number"));
    assert!(wrong("2014-04-01 00:00:00,NaN\n").contains("not finite"));
    assert!(wrong("2014-13-01 00:00:00,1\n").contains("'2014-13-01 00:00:00' is no time"));

    let with = |labels: &str| {
        fs::write(&windows, labels).unwrap();
        read(&data, &windows).unwrap_err()
    };
    let missing = with(r#"{"a/none.csv": []}"#);
    assert!(matches!(&missing, CorpusError::Missing { series, .. } if series == "a/none.csv"));
    assert!(matches!(with("{}"), CorpusError::Empty { .. }));
    assert!(with("[1]").to_string().contains("is not a list of windows"));
    let reversed = r#"{"a/one.csv": [["2014-04-03 09:00:00", "2014-04-03 08:00:00"]]}"#;
    assert!(with(reversed).to_string().contains("the windows of a/one.csv"));
    let odd = r#"{"a/one.csv": [["soon", "2014-04-03 08:00:00"]]}"#;
    assert!(with(odd).to_string().contains("windows of a/one.csv: 'soon' is no time"));
    let nowhere = read(&home.path().join("none.tgz"), &windows).unwrap_err();
    assert!(nowhere.to_string().contains("none.tgz"), "{nowhere}");
}
