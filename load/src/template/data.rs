//! Data sets: rows of a CSV or JSON file, a row for each run of a flow.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use super::random::Draws;

/// Which row the next run of a flow gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The next one of the file, from the top again after the last.
    #[default]
    Sequential,
    /// Any of them.
    Random,
    /// Always the same for one user: the row of its number.
    PerUser,
}

/// Why a file is no data set.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// It is not what its name says.
    #[error("{path}: {message}")]
    Format {
        /// Which.
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// The rows of a file.
#[derive(Debug)]
pub struct DataSet {
    columns: Vec<String>,
    rows: Vec<Vec<Vec<u8>>>,
    order: Order,
    next: AtomicU64,
}

impl DataSet {
    /// Reads `path`: CSV with a line of names at its top, or a JSON array of
    /// objects. Its name's ending says which.
    ///
    /// # Errors
    /// If it cannot be read, is malformed, or has no rows.
    pub fn read(path: &Path, order: Order) -> Result<Self, DataError> {
        let shown = path.display().to_string();
        let text =
            fs::read(path).map_err(|cause| DataError::Read { path: shown.clone(), cause })?;
        let format = |message: String| DataError::Format { path: shown.clone(), message };
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let (columns, rows) = match ending.to_ascii_lowercase().as_str() {
            "csv" => csv_rows(&text).map_err(format)?,
            "json" => json_rows(&text).map_err(format)?,
            _ => return Err(format("a data set is a .csv or a .json file".into())),
        };
        if rows.is_empty() {
            return Err(format("has no rows".into()));
        }
        if u32::try_from(rows.len()).is_err() {
            return Err(format("has more rows than can be numbered".into()));
        }
        Ok(Self { columns, rows, order, next: AtomicU64::new(0) })
    }

    /// Names of its columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of its rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none; it always has.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn draw(&self, user: u64, draws: &mut Draws) -> u32 {
        let count = self.rows.len() as u64;
        let row = match self.order {
            Order::Sequential => self.next.fetch_add(1, Ordering::Relaxed) % count,
            Order::Random => draws.below(count),
            Order::PerUser => user % count,
        };
        // Fits: the number of rows was checked to.
        row as u32
    }

    pub(super) fn value(&self, row: u32, column: usize) -> &[u8] {
        &self.rows[row as usize][column]
    }
}

type Rows = (Vec<String>, Vec<Vec<Vec<u8>>>);

fn csv_rows(text: &[u8]) -> Result<Rows, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text);
    let columns: Vec<String> =
        reader.headers().map_err(|e| e.to_string())?.iter().map(str::to_owned).collect();
    let rows = reader
        .byte_records()
        .map(|record| Ok(record?.iter().map(<[u8]>::to_vec).collect()))
        .collect::<Result<_, csv::Error>>()
        .map_err(|e| e.to_string())?;
    Ok((columns, rows))
}

fn json_rows(text: &[u8]) -> Result<Rows, String> {
    type Object = serde_json::Map<String, serde_json::Value>;
    let objects: Vec<Object> =
        serde_json::from_slice(text).map_err(|e| format!("takes an array of objects: {e}"))?;
    let columns: Vec<String> =
        objects.first().map(|o| o.keys().cloned().collect()).unwrap_or_default();
    let rows = objects.iter().enumerate().map(|(at, object)| {
        let value = |column: &String| match object.get(column) {
            Some(serde_json::Value::String(text)) => Ok(text.clone().into_bytes()),
            Some(value) => Ok(value.to_string().into_bytes()),
            None => Err(format!("row {} has no {column:?}, which the first row has", at + 1)),
        };
        columns.iter().map(value).collect()
    });
    let rows = rows.collect::<Result<_, String>>()?;
    Ok((columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str, order: Order) -> Result<DataSet, DataError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        DataSet::read(&path, order)
    }

    #[test]
    fn both_formats_hold_the_same() {
        let csv = read("u.csv", "name,age\nann,31\n\"b,ob\",42\n", Order::Sequential).unwrap();
        let json = r#"[{"name": "ann", "age": 31}, {"age": 42, "name": "b,ob"}]"#;
        let json = read("u.json", json, Order::Sequential).unwrap();
        for (set, name, age) in [(csv, 0, 1), (json, 1, 0)] {
            assert_eq!((set.len(), &set.columns()[name][..]), (2, "name"));
            assert_eq!((set.value(1, name), set.value(1, age)), (&b"b,ob"[..], &b"42"[..]));
        }
    }

    #[test]
    fn rows_are_drawn_as_said() {
        let text = "n\n0\n1\n2\n";
        let mut draws = Draws::new(1, 1);
        let mut drawn = |order, user| {
            let set = read("u.csv", text, order).unwrap();
            (0..4).map(|_| set.draw(user, &mut draws)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(Order::Sequential, 5), [0, 1, 2, 0]);
        assert_eq!(drawn(Order::PerUser, 5), [2, 2, 2, 2]);
        assert!(drawn(Order::Random, 5).iter().all(|row| *row < 3));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (name, text, expected) in [
            ("u.csv", "a,b\n1\n", "found record with 1 fields"),
            ("u.csv", "a,b\n", "has no rows"),
            ("u.txt", "a\n1\n", ".csv or a .json"),
            ("u.json", "{}", "takes an array of objects"),
            ("u.json", r#"[{"a": 1}, {"b": 2}]"#, "row 2 has no \"a\""),
        ] {
            let error = read(name, text, Order::Sequential).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let missing = DataSet::read(Path::new("/nonexistent.csv"), Order::Random).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read /nonexistent.csv"), "{missing}");
    }
}
