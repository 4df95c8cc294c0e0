//! A query's events as one JSON document, within a bound.
//!
//! **Invariants**
//! 1. A document never takes more than the bound it was given, and room for it is taken from the shared budget before it grows.
//! 2. Names of columns are distinct, in the list and in the rows alike.

use bytes::Bytes;
use siltstone_query::OutputKind;
use siltstone_storage::SnapshotId;

use crate::json;
use crate::limits::{Limits, Room};
use crate::lines::unique_names;
use crate::sql::{ColumnInfo, Event, Running, SqlError};

/// Bytes by which room is taken ahead of what is needed.
const STEP_BYTES: usize = 1 << 20;

/// Why there is no document.
#[derive(Debug)]
pub enum Stopped {
    /// The query failed.
    Failed(SqlError),
    /// It would be larger than allowed.
    TooLarge,
    /// There was no room for it among all others.
    NoRoom,
    /// The query ended without saying how.
    Lost,
}

/// See the module.
#[derive(Debug)]
pub struct Document {
    columns: Vec<ColumnInfo>,
    kind: OutputKind,
    text: Vec<u8>,
    rows: u64,
    room: Room,
}

/// The bytes of a document, and the room they take until they are sent.
struct Sized {
    text: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Sized {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Document {
    /// Takes in all events of a query.
    ///
    /// # Errors
    /// [`Stopped`]; the query is cancelled then.
    pub async fn collect(mut query: Running, limits: &Limits, bytes_max: usize) -> Result<Self, Stopped> {
        let mut document = None;
        loop {
            match (query.next().await, &mut document) {
                (Some(Event::Columns(columns, kind)), None) => document = Some(Self::new(columns, kind)),
                (Some(Event::Rows(rows)), Some(document)) => document.add(&rows, limits, bytes_max).await?,
                (Some(Event::Done), Some(_)) => return document.take().ok_or(Stopped::Lost),
                (Some(Event::Failed(error)), _) => return Err(Stopped::Failed(error)),
                _ => return Err(Stopped::Lost),
            }
        }
    }

    fn new(mut columns: Vec<ColumnInfo>, kind: OutputKind) -> Self {
        if kind == OutputKind::Nothing {
            columns.clear();
        }
        let names = unique_names(columns.iter().map(|column| column.name.as_str()));
        let mut text = Vec::with_capacity(1024);
        text.extend_from_slice(b"{\"success\":true,\"columns\":");
        json::push_strings(&mut text, &names);
        text.extend_from_slice(b",\"data\":[");
        Self { columns, kind, text, rows: 0, room: Room::default() }
    }

    /// Whether the last statement read; else it changed something.
    pub fn is_read(&self) -> bool {
        self.kind == OutputKind::Rows
    }

    /// Adds lines with an object each.
    async fn add(&mut self, lines: &[u8], limits: &Limits, bytes_max: usize) -> Result<(), Stopped> {
        let needed = self.text.len() + lines.len();
        if needed > bytes_max {
            return Err(Stopped::TooLarge);
        }
        if needed > self.text.capacity() {
            let wanted = (needed + needed / 2 + STEP_BYTES).min(bytes_max + STEP_BYTES);
            if !limits.reserve(&mut self.room, wanted).await {
                return Err(Stopped::NoRoom);
            }
            self.text.reserve_exact(wanted - self.text.len());
        }
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if self.rows > 0 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
            self.rows += 1;
        }
        Ok(())
    }

    /// The whole text. `snapshot`: one that shows what was changed.
    pub fn finish(mut self, request_id: &str, snapshot: Option<SnapshotId>) -> Bytes {
        let types: Vec<&str> = self.columns.iter().map(|column| column.type_name.as_str()).collect();
        let text = &mut self.text;
        text.extend_from_slice(b"],\"types\":");
        json::push_strings(text, &types);
        text.extend_from_slice(b",\"row_count\":");
        json::push_integer(text, self.rows);
        text.extend_from_slice(b",\"request_id\":");
        json::push_string(text, request_id);
        if let Some(snapshot) = snapshot {
            text.extend_from_slice(b",\"snapshot_id\":");
            json::push_integer(text, snapshot.0);
        }
        text.push(b'}');
        Bytes::from_owner(Sized { text: self.text, _room: self.room })
    }
}
