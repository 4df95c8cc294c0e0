//! Runs SQL and gives its result as text, piece by piece.
//!
//! **Invariants**
//! 1. Queries run on threads of their own: a heavy one never holds up the threads that serve requests.
//! 2. A result is never held whole: pieces wait in a short queue, and the query waits for the client.
//! 3. When the receiver is dropped the query is cancelled.
//! 4. The events are: [`Event::Columns`], any number of [`Event::Rows`], then [`Event::Done`]; or [`Event::Failed`] at any point
//!    instead of what would come next. A queue that ends otherwise means a bug of ours.
//!
//! It knows no dialect: they say how rows look ([`Layout`]) and wrap the pieces.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::timezone::Tz;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::StreamExt;
use siltstone_query::{QueryEngine, QueryError, SessionSettings};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::cells::{self, Column, JsonColumns};
use crate::json;

/// Bytes after which a piece is sent, so that wide rows do not make huge pieces.
const PIECE_BYTES: usize = 128 * 1024;

/// Pieces that may wait for the client.
const PIECES_WAITING: usize = 4;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One JSON array per line.
    Arrays,
    /// One JSON object per line.
    Objects,
    /// A header line and one line per row.
    Csv,
}

/// SQL with its surroundings.
#[derive(Clone, Debug)]
pub struct SqlRequest {
    /// One statement or several.
    pub statement: String,
    /// Defaults and rights.
    pub settings: SessionSettings,
    /// Rows of the last statement that are left out at the start.
    pub offset: u64,
    /// Rows of the last statement that are given at most.
    pub limit: Option<u64>,
    /// How rows are written.
    pub layout: Layout,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    /// As SQL names it.
    pub name: String,
    /// As DuckDB names it.
    pub type_name: String,
}

/// A piece of a result.
#[derive(Debug)]
pub enum Event {
    /// What the rows hold.
    Columns(Vec<ColumnInfo>),
    /// Whole lines.
    Rows(Bytes),
    /// The end, with all rows given.
    Done,
    /// The end, by an error.
    Failed(QueryError),
}

/// Runs SQL. Cheap to clone.
#[derive(Clone)]
pub struct Sql {
    engine: QueryEngine,
    runtime: Handle,
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sql")
    }
}

impl Sql {
    /// Runs queries of this engine on that runtime.
    pub fn new(engine: QueryEngine, runtime: Handle) -> Self {
        Self { engine, runtime }
    }

    /// Starts a query; its events come out of the receiver.
    pub fn start(&self, request: SqlRequest) -> mpsc::Receiver<Event> {
        let (events, receiver) = mpsc::channel(PIECES_WAITING);
        let engine = self.engine.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                biased;
                () = events.closed() => tracing::debug!("query cancelled: its client is gone"),
                () = run(&engine, request, &events) => {}
            }
        });
        receiver
    }
}

/// Sends the events of one query. A send fails only when nobody listens any more; then there is nothing left to do.
async fn run(engine: &QueryEngine, request: SqlRequest, events: &mpsc::Sender<Event>) {
    let last = match produce(engine, request, events).await {
        Ok(()) => Event::Done,
        Err(error) => Event::Failed(error),
    };
    // See above.
    let _ = events.send(last).await;
}

async fn produce(engine: &QueryEngine, request: SqlRequest, events: &mpsc::Sender<Event>) -> Result<(), QueryError> {
    let zone = request.settings.timezone.as_deref().and_then(cells::zone).flatten();
    let mut output = engine.run(&request.statement, request.settings).await?;
    let writer = Arc::new(RowWriter::new(Arc::clone(&output.schema), zone, request.layout));
    if events.send(Event::Columns(writer.columns())).await.is_err() {
        return Ok(());
    }
    if let Some(header) = writer.header()
        && events.send(Event::Rows(header)).await.is_err()
    {
        return Ok(());
    }
    let (mut skip, mut left) = (request.offset, request.limit.unwrap_or(u64::MAX));
    while left > 0 {
        let Some(batch) = output.batches.next().await else {
            break;
        };
        let batch = batch?;
        let rows = batch.num_rows() as u64;
        let start = skip.min(rows);
        let count = (rows - start).min(left);
        skip -= start;
        left -= count;
        let (mut at, end) = (start as usize, (start + count) as usize);
        while at < end {
            let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
            at = writer.write(&batch, at, end, &mut piece);
            if events.send(Event::Rows(Bytes::from(piece))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Writes rows of one result.
#[derive(Debug)]
struct RowWriter {
    schema: SchemaRef,
    zone: Option<Tz>,
    layout: Layout,
    /// `"name":` of every column, for objects.
    keys: Vec<String>,
}

impl RowWriter {
    fn new(schema: SchemaRef, zone: Option<Tz>, layout: Layout) -> Self {
        let keys = unique_names(schema.fields().iter().map(|field| field.name().as_str()))
            .iter()
            .map(|name| {
                let mut key = String::with_capacity(name.len() + 3);
                json::push_string(&mut key, name);
                key.push(':');
                key
            })
            .collect();
        Self { schema, zone, layout, keys }
    }

    fn columns(&self) -> Vec<ColumnInfo> {
        let info = |field: &arrow::datatypes::FieldRef| ColumnInfo {
            name: field.name().clone(),
            type_name: cells::type_name(field),
        };
        self.schema.fields().iter().map(info).collect()
    }

    fn header(&self) -> Option<Bytes> {
        if self.layout != Layout::Csv {
            return None;
        }
        let mut line = Vec::new();
        for (i, field) in self.schema.fields().iter().enumerate() {
            if i > 0 {
                line.push(b',');
            }
            cells::push_csv(&mut line, field.name().as_bytes());
        }
        line.push(b'\n');
        Some(Bytes::from(line))
    }

    /// Writes rows from `at` until `end` or until the piece is full; returns the first row not written.
    fn write(&self, batch: &RecordBatch, at: usize, end: usize, piece: &mut Vec<u8>) -> usize {
        let columns: Vec<Column<'_>> = self
            .schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Column::new(field, array, self.zone, JsonColumns::Embedded))
            .collect();
        let mut scratch = Vec::new();
        for row in at..end {
            if piece.len() >= PIECE_BYTES {
                return row;
            }
            match self.layout {
                Layout::Arrays => write_array(&columns, row, piece),
                Layout::Objects => write_object(&self.keys, &columns, row, piece),
                Layout::Csv => write_csv(&columns, row, piece, &mut scratch),
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
fn unique_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
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
