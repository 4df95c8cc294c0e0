//! Rows of a result as lines of text: JSON arrays, JSON objects, CSV.
//!
//! **Invariants**
//! 1. A piece holds whole lines.
//! 2. Columns keep their names, duplicates too, but where a name is a key: there repeated names are told apart.
//!
//! It knows nothing of where the lines go.

use arrow::array::RecordBatch;
use arrow::array::timezone::Tz;
use arrow::datatypes::{FieldRef, SchemaRef};
use bytes::Bytes;

use crate::cells::{self, Column, JsonColumns};
use crate::json;

/// Bytes after which a piece is sent, so that wide rows do not make huge pieces.
pub const PIECE_BYTES: usize = 128 * 1024;

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineForm {
    /// A JSON array.
    Array,
    /// A JSON object.
    Object,
    /// A JSON object after a comma: an element of an array, whose first comma is the caller's to leave out.
    Element,
    /// CSV, below a header line.
    Csv,
}

/// Writes rows of one result.
#[derive(Debug)]
pub struct LineWriter {
    schema: SchemaRef,
    zone: Option<Tz>,
    form: LineForm,
    json_columns: JsonColumns,
    /// `"name":` of every column, for objects.
    keys: Vec<String>,
}

impl LineWriter {
    /// A writer for rows of this schema. `zone` is where `TIMESTAMP WITH TIME ZONE` is shown; `None` is UTC.
    pub fn new(schema: SchemaRef, zone: Option<Tz>, form: LineForm, json_columns: JsonColumns) -> Self {
        let keys = unique_names(schema.fields().iter().map(|field: &FieldRef| field.name().as_str()))
            .iter()
            .map(|name| {
                let mut key = String::with_capacity(name.len() + 3);
                json::push_string(&mut key, name);
                key.push(':');
                key
            })
            .collect();
        Self { schema, zone, form, json_columns, keys }
    }

    /// The line above the rows, if the form has one.
    pub fn header(&self) -> Option<Bytes> {
        if self.form != LineForm::Csv {
            return None;
        }
        let mut line = Vec::new();
        for (i, field) in self.schema.fields().iter().enumerate() {
            if i > 0 {
                line.push(b',');
            }
            cells::push_csv(&mut line, field.name().as_bytes(), b',');
        }
        line.push(b'\n');
        Some(Bytes::from(line))
    }

    /// Writes rows from `at` until `end` or until the piece is full; returns the first row not written.
    pub fn write(&self, batch: &RecordBatch, at: usize, end: usize, piece: &mut Vec<u8>) -> usize {
        let columns: Vec<Column<'_>> = self
            .schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Column::new(field, array, self.zone, self.json_columns))
            .collect();
        let mut scratch = Vec::new();
        for row in at..end {
            if piece.len() >= PIECE_BYTES {
                return row;
            }
            match self.form {
                LineForm::Array => write_array(&columns, row, piece),
                LineForm::Object => write_object(&self.keys, &columns, row, piece),
                LineForm::Element => {
                    piece.push(b',');
                    write_object(&self.keys, &columns, row, piece);
                }
                LineForm::Csv => write_csv(&columns, row, piece, &mut scratch),
            }
        }
        end
    }
}

fn write_array(columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        column.json(row, out);
    }
    out.extend_from_slice(b"]\n");
}

fn write_object(keys: &[String], columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (key, column)) in keys.iter().zip(columns).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key.as_bytes());
        column.json(row, out);
    }
    out.extend_from_slice(b"}\n");
}

fn write_csv(columns: &[Column<'_>], row: usize, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        column.csv(row, out, scratch);
    }
    out.push(b'\n');
}

/// Names made distinct by `_1`, `_2` where they repeat.
pub fn unique_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    names
        .map(|name| {
            let numbered = (1..).map(|n| format!("{name}_{n}"));
            let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
            let free = free.unwrap_or_else(|| name.to_owned());
            taken.insert(free.clone());
            free
        })
        .collect()
}
