//! Reads the benchmark's files: series as CSV from a folder or a tar archive, windows as JSON.

use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a corpus could not be read.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The windows are not an object of lists of pairs.
    #[error(
        "{path} is not a list of windows such as {{\"a/b.csv\": [[\"2014-04-10 07:15:00\", \"2014-04-11 16:45:00\"]]}}: {source}"
    )]
    Windows {
        /// The file.
        path: PathBuf,
        /// Where and what is wrong.
        source: serde_json::Error,
    },
    /// A time that is none.
    #[error("{place}: '{text}' is no time; expected one like 2014-04-10 07:15:00")]
    Time {
        /// File and line, or the series that the window belongs to.
        place: String,
        /// What stands there.
        text: String,
    },
    /// A line that is no time and number.
    #[error("{file}:{line}: {problem}; expected a line such as 2014-04-10 07:15:00,20.5")]
    Row {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A window that ends before it begins, overlaps the one before it or lies outside.
    #[error("the windows of {series} overlap, are reversed or lie outside the series")]
    Order {
        /// The series.
        series: String,
    },
    /// Windows of a series that is not there.
    #[error("there are windows of {series}, but no such file in {data}; is it the right folder?")]
    Missing {
        /// The series.
        series: String,
        /// Where it was looked for.
        data: PathBuf,
    },
    /// The windows name no series at all.
    #[error("{path} names no series")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// One series with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// As in the windows: `category/file.csv`.
    pub name: String,
    /// Seconds since 1970, as the file says them, without a time zone.
    pub times: Vec<i64>,
    /// The values, as many as times.
    pub values: Vec<f64>,
    /// Rows that are anomalous, ascending.
    pub windows: Vec<RangeInclusive<usize>>,
}

impl Series {
    /// The folder that the benchmark has it in.
    #[must_use]
    pub fn category(&self) -> &str {
        self.name.split_once('/').map_or("", |(category, _)| category)
    }
}

/// Reads every series that `windows` names from `data`, a folder or a `.tgz` or `.tar` file in which
/// the series lie as `category/file.csv`, at whatever depth; in the order of their names.
///
/// # Errors
/// When something can't be read or a series is missing.
pub fn read(data: &Path, windows: &Path) -> Result<Vec<Series>, CorpusError> {
    fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> CorpusError {
        let path = path.to_owned();
        move |source| CorpusError::Read { path, source }
    }
    let text = std::fs::read_to_string(windows).map_err(unreadable(windows))?;
    let labels: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(&text)
        .map_err(|source| CorpusError::Windows { path: windows.to_owned(), source })?;
    if labels.is_empty() {
        return Err(CorpusError::Empty { path: windows.to_owned() });
    }
    let mut files = BTreeMap::new();
    if data.is_dir() {
        for name in labels.keys() {
            let beneath = [data.join(name), data.join("data").join(name)];
            if let Some(path) = beneath.iter().find(|path| path.is_file()) {
                let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
                files.insert(name.clone(), text);
            }
        }
    } else {
        files = unpack(data, &labels).map_err(unreadable(data))?;
    }
    labels
        .into_iter()
        .map(|(name, limits)| match files.get(&name) {
            Some(text) => series(name, text, &limits),
            None => Err(CorpusError::Missing { series: name, data: data.to_owned() }),
        })
        .collect()
}

/// The wanted files of an archive.
fn unpack<V>(path: &Path, wanted: &BTreeMap<String, V>) -> io::Result<BTreeMap<String, String>> {
    let file = BufReader::new(File::open(path)?);
    let plain = path.extension().is_some_and(|extension| extension == "tar");
    let bytes: Box<dyn Read> = if plain { Box::new(file) } else { Box::new(GzDecoder::new(file)) };
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut parts = path.rsplitn(3, '/');
        let (Some(file), Some(category)) = (parts.next(), parts.next()) else { continue };
        let name = format!("{category}/{file}");
        if wanted.contains_key(&name) {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            files.insert(name, text);
        }
    }
    Ok(files)
}

fn series(name: String, text: &str, limits: &[[String; 2]]) -> Result<Series, CorpusError> {
    let (times, values) = rows(&name, text)?;
    let mut windows: Vec<RangeInclusive<usize>> = Vec::new();
    for limit in limits {
        let [start, end] = limit.each_ref().map(|text| {
            seconds(text).ok_or_else(|| CorpusError::Time {
                place: format!("windows of {name}"),
                text: text.clone(),
            })
        });
        let (start, end) = (start?, end?);
        let first = times.partition_point(|time| *time < start);
        let after = times.partition_point(|time| *time <= end);
        if after <= first || windows.last().is_some_and(|before| *before.end() >= first) {
            return Err(CorpusError::Order { series: name });
        }
        windows.push(first..=after - 1);
    }
    Ok(Series { name, times, values, windows })
}

/// Times and values of a CSV whose lines are a time and a number, with or without a heading.
///
/// # Errors
/// When a line is neither.
pub fn rows(file: &str, text: &str) -> Result<(Vec<i64>, Vec<f64>), CorpusError> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let heading = index == 0 && !line.starts_with(|c: char| c.is_ascii_digit());
        if line.is_empty() || heading {
            continue;
        }
        let at = index + 1;
        let wrong = |problem| CorpusError::Row { file: file.to_owned(), line: at, problem };
        let (time, value) = line.split_once(',').ok_or_else(|| wrong("there is no comma"))?;
        let value: f64 = value.trim().parse().map_err(|_| wrong("the value is no number"))?;
        if !value.is_finite() {
            return Err(wrong("the value is not finite"));
        }
        let time = seconds(time).ok_or_else(|| CorpusError::Time {
            place: format!("{file}:{at}"),
            text: time.to_owned(),
        })?;
        times.push(time);
        values.push(value);
    }
    Ok((times, values))
}

fn seconds(text: &str) -> Option<i64> {
    let time: jiff::civil::DateTime = text.trim().parse().ok()?;
    Some(jiff::tz::Offset::UTC.to_timestamp(time).ok()?.as_second())
}
