//! Rows as JSON.

use std::rc::Rc;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, RowDescriptionBody};

use super::wrong;
use crate::{measure::Failure, protocol::tcp::too_long};

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name as a key in JSON, with what surrounds it: `"id":`.
    key: Vec<u8>,
    form: Form,
}

/// How a value's text becomes JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `t` or `f`.
    Bool,
    /// As it is: whole numbers, json and jsonb.
    Verbatim,
    /// As it is, apart from NaN and the infinities.
    Float,
    /// As a string: what a number in JSON would lose digits of (numeric), and all the rest.
    Text,
}

impl Form {
    /// By the type's number in the catalogue pg_type, which is the same in all versions.
    fn of(oid: u32) -> Self {
        match oid {
            16 => Self::Bool,
            // int8, int2, int4, oid, json, jsonb
            20 | 21 | 23 | 26 | 114 | 3802 => Self::Verbatim,
            700 | 701 => Self::Float,
            _ => Self::Text,
        }
    }
}

/// The columns that the server announced.
pub fn columns(body: &RowDescriptionBody) -> Result<Rc<[Column]>, Failure> {
    let columns = body.fields().map(|field| {
        let mut key = serde_json::Value::from(field.name()).to_string().into_bytes();
        key.push(b':');
        Ok(Column { key, form: Form::of(field.type_oid()) })
    });
    columns.collect::<Vec<_>>().map(Into::into).map_err(|e| wrong(&e))
}

/// Rows of a result, as a JSON list of objects.
#[derive(Debug)]
pub struct Rows {
    keep: bool,
    limit: usize,
    text: Vec<u8>,
    overflowed: bool,
}

impl Rows {
    /// None yet. Kept only if `keep`, and up to `limit` bytes.
    pub fn new(keep: bool, limit: usize) -> Self {
        Self { keep, limit, text: Vec::new(), overflowed: false }
    }

    /// Adds one.
    ///
    /// # Errors
    /// It is not as the server announced.
    pub fn add(&mut self, columns: &[Column], row: &DataRowBody) -> Result<(), Failure> {
        if !self.keep || self.overflowed {
            return Ok(());
        }
        self.text.extend_from_slice(if self.text.is_empty() { b"[{" } else { b",{" });
        let mut ranges = row.ranges();
        for (at, column) in columns.iter().enumerate() {
            let range = ranges.next().map_err(|e| wrong(&e))?;
            let range = range.ok_or_else(|| wrong(&"a row has fewer values than columns"))?;
            if at > 0 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(&column.key);
            match range {
                None => self.text.extend_from_slice(b"null"),
                Some(range) => {
                    let value = row.buffer().get(range);
                    let value = value.ok_or_else(|| wrong(&"a value is longer than its row"))?;
                    write_value(&mut self.text, column.form, value);
                }
            }
        }
        self.text.push(b'}');
        self.overflowed = self.text.len() > self.limit;
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    /// There were more than are kept.
    pub fn finish(mut self) -> Result<Vec<u8>, Failure> {
        if self.overflowed {
            return Err(too_long());
        }
        if self.keep {
            self.text.extend_from_slice(if self.text.is_empty() { b"[]" } else { b"]" });
        }
        Ok(self.text)
    }
}

fn write_value(out: &mut Vec<u8>, form: Form, value: &[u8]) {
    let plain = match form {
        Form::Bool => Some(if value == b"t" { &b"true"[..] } else { b"false" }),
        Form::Verbatim => Some(value),
        // NaN, Infinity, -Infinity
        Form::Float => value.last().is_some_and(u8::is_ascii_digit).then_some(value),
        Form::Text => None,
    };
    match plain {
        Some(plain) => out.extend_from_slice(plain),
        None => {
            let text = serde_json::Value::from(String::from_utf8_lossy(value));
            out.extend_from_slice(text.to_string().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_the_json_that_they_are() {
        for (oid, value, expected) in [
            (16, "t", "true"),
            (16, "f", "false"),
            (23, "-7", "-7"),
            (20, "9223372036854775807", "9223372036854775807"),
            (701, "1e+20", "1e+20"),
            (701, "0.5", "0.5"),
            (701, "NaN", r#""NaN""#),
            (701, "-Infinity", r#""-Infinity""#),
            (1700, "12345678901234567890.10", r#""12345678901234567890.10""#),
            (3802, r#"{"a": [1]}"#, r#"{"a": [1]}"#),
            (25, "a\"b\n", r#""a\"b\n""#),
            (1184, "2024-01-01 00:00:00+00", r#""2024-01-01 00:00:00+00""#),
        ] {
            let mut out = Vec::new();
            write_value(&mut out, Form::of(oid), value.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
