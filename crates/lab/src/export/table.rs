//! Rows as a Parquet file, which pandas, Polars, DuckDB and Spark read.
//!
//! One `FLOAT` column for each feature by its name, then `label` (`BOOLEAN`, null where unknown),
//! `weight` (`FLOAT`), `client` (a hash), `group`, `sequence`, and `time` (microseconds, UTC). The
//! file's metadata hold the version of the feature schema under `tidegate.schema`.

use super::Row;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{BoolType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tidegate_behavior::schema::{COUNT, Features, SCHEMA, SCHEMA_VERSION};
use tidegate_limiter::Timestamp;
use tidegate_models::onnx::SCHEMA_PROPERTY;

/// Rows that are written together.
const GROUP: usize = 1 << 16;
/// The columns after the features.
const OTHERS: [&str; 6] = ["label", "weight", "client", "group", "sequence", "time"];

/// A file of features can't be written or read.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file can't be opened.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Parquet says what is wrong.
    #[error("{path}: {source}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: ParquetError,
    },
    /// The file is no export of features, or one of another schema.
    #[error("{path}: {problem}; write it anew with `tidegate export-features` of this version")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// A Parquet file that is being written.
pub struct Table {
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    rows: Vec<Row>,
}

impl Table {
    /// Makes the file; `source` says in words what the rows are from.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn create(path: &Path, source: &str) -> Result<Self, TableError> {
        let file = File::create(path)
            .map_err(|source| TableError::File { path: path.to_owned(), source })?;
        let wrap = |source| TableError::Parquet { path: path.to_owned(), source };
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(vec![
                KeyValue::new(SCHEMA_PROPERTY.to_owned(), SCHEMA_VERSION.to_string()),
                KeyValue::new("tidegate.source".to_owned(), source.to_owned()),
            ]))
            .build();
        let schema = schema().map_err(wrap)?;
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
            .map_err(wrap)?;
        Ok(Self { path: path.to_owned(), writer, rows: Vec::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn push(&mut self, row: Row) -> Result<(), TableError> {
        self.rows.push(row);
        if self.rows.len() >= GROUP { self.flush() } else { Ok(()) }
    }

    /// Writes what is left and ends the file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn finish(mut self) -> Result<(), TableError> {
        self.flush()?;
        self.writer.close().map(|_| ()).map_err(|e| wrong(&self.path, e))
    }

    fn flush(&mut self) -> Result<(), TableError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        self.write(&rows).map_err(|e| wrong(&self.path, e))
    }

    fn write(&mut self, rows: &[Row]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for feature in 0..COUNT {
            column::<FloatType>(&mut group, rows, |row| row.features[feature])?;
        }
        let known: Vec<i16> = rows.iter().map(|row| i16::from(row.label.is_some())).collect();
        let labels: Vec<bool> = rows.iter().filter_map(|row| row.label).collect();
        next::<BoolType>(&mut group, &labels, Some(&known))?;
        column::<FloatType>(&mut group, rows, |row| row.weight)?;
        column::<Int64Type>(&mut group, rows, |row| row.client.cast_signed())?;
        column::<Int32Type>(&mut group, rows, |row| row.group.cast_signed())?;
        column::<Int32Type>(&mut group, rows, |row| row.sequence.cast_signed())?;
        column::<Int64Type>(&mut group, rows, |row| (row.time.as_nanos() / 1000).cast_signed())?;
        group.close().map(|_| ())
    }
}

fn wrong(path: &Path, source: ParquetError) -> TableError {
    TableError::Parquet { path: path.to_owned(), source }
}

fn schema() -> Result<Type, ParquetError> {
    let column = |name: &str, physical, optional, logical| {
        let repetition = if optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let mut columns: Vec<_> = SCHEMA
        .iter()
        .map(|feature| column(feature.name, Physical::FLOAT, false, None))
        .collect::<Result<_, _>>()?;
    let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
    let kinds = [
        (Physical::BOOLEAN, true, None),
        (Physical::FLOAT, false, None),
        (Physical::INT64, false, None),
        (Physical::INT32, false, None),
        (Physical::INT32, false, None),
        (Physical::INT64, false, Some(micros)),
    ];
    for (name, (physical, optional, logical)) in OTHERS.iter().zip(kinds) {
        columns.push(column(name, physical, optional, logical)?);
    }
    Type::group_type_builder("features").with_fields(columns).build()
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: &[Row],
    value: impl Fn(&Row) -> T::T,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = rows.iter().map(value).collect();
    next::<T>(group, &values, None)
}

fn next<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema has".into()));
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// Reads the rows of an export.
///
/// # Errors
/// When the file can't be read, is of another schema, or lacks a column.
pub fn read(path: &Path) -> Result<Vec<Row>, TableError> {
    let file =
        File::open(path).map_err(|source| TableError::File { path: path.to_owned(), source })?;
    let reader = SerializedFileReader::new(file).map_err(|e| wrong(path, e))?;
    let head = reader.metadata().file_metadata();
    let properties = head.key_value_metadata().into_iter().flatten();
    let version = properties.filter(|p| p.key == SCHEMA_PROPERTY).find_map(|p| p.value.clone());
    let content = |problem: String| TableError::Content { path: path.to_owned(), problem };
    match version {
        Some(version) if version == SCHEMA_VERSION.to_string() => {}
        Some(version) => {
            let problem = format!("feature schema `{version}`, not {SCHEMA_VERSION}");
            return Err(content(problem));
        }
        None => return Err(content("no property `tidegate.schema`".into())),
    }
    let names: Vec<&str> = head.schema_descr().columns().iter().map(|c| c.name()).collect();
    let places: Vec<usize> = SCHEMA
        .iter()
        .map(|feature| feature.name)
        .chain(OTHERS)
        .map(|name| {
            let found = names.iter().position(|n| *n == name);
            found.ok_or_else(|| content(format!("there is no column `{name}`")))
        })
        .collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number).map_err(|e| wrong(path, e))?;
        let group = Group { path, names: &names, reader: group.as_ref() };
        group.rows(&places, &mut rows)?;
    }
    Ok(rows)
}

struct Group<'a> {
    path: &'a Path,
    names: &'a [&'a str],
    reader: &'a dyn RowGroupReader,
}

impl Group<'_> {
    fn rows(&self, places: &[usize], rows: &mut Vec<Row>) -> Result<(), TableError> {
        let count = usize::try_from(self.reader.metadata().num_rows()).unwrap_or(0);
        let (features, others) = places.split_at(COUNT);
        let &[label, weight, client, group, sequence, time] = others else { return Ok(()) };
        let mut table: Vec<Features> = vec![[0.0; COUNT]; count];
        for (feature, place) in features.iter().enumerate() {
            let values = self.whole::<FloatType>(*place, count)?;
            table.iter_mut().zip(values).for_each(|(row, x)| row[feature] = x);
        }
        let (labels, known) = self.column::<BoolType>(label, count)?;
        let mut labels = labels.into_iter();
        let labels = known.iter().map(|known| if *known == 0 { None } else { labels.next() });
        let weights = self.whole::<FloatType>(weight, count)?;
        let clients = self.whole::<Int64Type>(client, count)?;
        let groups = self.whole::<Int32Type>(group, count)?;
        let sequences = self.whole::<Int32Type>(sequence, count)?;
        let times = self.whole::<Int64Type>(time, count)?;
        for (at, (features, label)) in table.into_iter().zip(labels).enumerate() {
            let micros = u64::try_from(times[at]).unwrap_or(0);
            rows.push(Row {
                features,
                label,
                weight: weights[at],
                client: clients[at].cast_unsigned(),
                group: groups[at].cast_unsigned(),
                sequence: sequences[at].cast_unsigned(),
                time: Timestamp::EPOCH.plus(Duration::from_micros(micros)),
            });
        }
        Ok(())
    }

    /// A column without nulls.
    fn whole<T: DataType>(&self, place: usize, count: usize) -> Result<Vec<T::T>, TableError> {
        let (values, _) = self.column::<T>(place, count)?;
        if values.len() == count {
            return Ok(values);
        }
        let missing = count - values.len();
        let name = self.names.get(place).copied().unwrap_or_default();
        let problem = format!("{missing} rows have no `{name}`");
        Err(TableError::Content { path: self.path.to_owned(), problem })
    }

    /// The values of a column that are there, and for each row whether it is (1) or not (0).
    fn column<T: DataType>(
        &self,
        place: usize,
        count: usize,
    ) -> Result<(Vec<T::T>, Vec<i16>), TableError> {
        let described = self.reader.metadata().column(place).column_descr();
        if described.physical_type() != T::get_physical_type() || described.max_rep_level() > 0 {
            let name = described.name();
            let (found, wanted) = (described.physical_type(), T::get_physical_type());
            let problem = format!("the column `{name}` is of {found}, not of {wanted}");
            return Err(TableError::Content { path: self.path.to_owned(), problem });
        }
        let (mut values, mut levels) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let reader = self.reader.get_column_reader(place).map_err(|e| wrong(self.path, e))?;
        let mut reader = get_typed_column_reader::<T>(reader);
        let mut read = 0;
        while read < count {
            let (records, ..) = reader
                .read_records(count - read, Some(&mut levels), None, &mut values)
                .map_err(|e| wrong(self.path, e))?;
            if records == 0 {
                break;
            }
            read += records;
        }
        if described.max_def_level() == 0 {
            levels = vec![1; read];
        }
        Ok((values, levels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: u32) -> Vec<Row> {
        (0..count)
            .map(|i| Row {
                features: std::array::from_fn(|f| i as f32 + f as f32 / 100.0),
                label: [None, Some(true), Some(false)][i as usize % 3],
                weight: 0.5 + i as f32,
                client: u64::MAX - u64::from(i),
                group: u32::MAX - i,
                sequence: i,
                time: Timestamp::from_secs(1_700_000_000 + u64::from(i)),
            })
            .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let rows = rows(GROUP as u32 + 7);
        let mut table = Table::create(&path, "a test").unwrap();
        rows.iter().for_each(|row| table.push(row.clone()).unwrap());
        table.finish().unwrap();
        assert_eq!(read(&path).unwrap(), rows);
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let message = |path: &Path| read(path).unwrap_err().to_string();
        assert!(message(&path).contains("rows.parquet"));
        std::fs::write(&path, b"PAR1 and no more").unwrap();
        assert!(message(&path).contains("rows.parquet"));
        let column = Type::primitive_type_builder("x", Physical::FLOAT);
        let column = Arc::new(column.with_repetition(Repetition::REQUIRED).build().unwrap());
        let schema = Type::group_type_builder("other").with_fields(vec![column]).build().unwrap();
        let current = SCHEMA_VERSION.to_string();
        for (version, expected) in [
            (None, "no property"),
            (Some("2"), "feature schema `2`"),
            (Some(current.as_str()), "no column `rate_10s`"),
        ] {
            let version =
                version.map(|v| vec![KeyValue::new(SCHEMA_PROPERTY.into(), v.to_owned())]);
            let properties = WriterProperties::builder().set_key_value_metadata(version).build();
            let file = File::create(&path).unwrap();
            let (schema, properties) = (Arc::new(schema.clone()), Arc::new(properties));
            SerializedFileWriter::new(file, schema, properties).unwrap().close().unwrap();
            assert!(message(&path).contains(expected), "{}", message(&path));
        }
    }
}
