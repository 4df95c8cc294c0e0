//! What a commit has of a load: which files, for which table.
//!
//! **Invariants**
//! 1. The files stay for as long as one of its clones does, and from then on if a commit took them over.
//! 2. Only what was checked against the table's columns and keys, or came from the log, becomes part of the database.

use std::sync::{Arc, OnceLock};

use roaring::RoaringBitmap;

use super::files::LoadedFiles;
use crate::catalog::Table;
use crate::delete_vector::DeleteVector;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{ByteReader, PutBytes};
use crate::ids::{ColumnId, SegmentId, SnapshotId, TableId};
use crate::io::Disk;
use crate::key_tables::SegmentKeys;
use crate::live_segment::open_segment;
use crate::logical_type::LogicalType;
use crate::manifest::SegmentEntry;
use crate::schema::TableSchema;
use crate::segment::Segment;
use crate::state::{LiveSegment, MovedSegment};

/// Segments that a commit adds to a table.
#[derive(Clone, Debug)]
pub struct Loaded {
    table: TableId,
    segments: Vec<LoadedSegment>,
    checked: Checked,
    /// `None` as it comes from the log.
    files: Option<Arc<LoadedFiles>>,
}

/// Who made sure that the rows fit the table.
#[derive(Clone, Debug)]
enum Checked {
    /// Nobody yet.
    No,
    /// The transaction that adds them, keys included. These columns of the files it has dropped since.
    Within { dropped: Vec<ColumnId> },
    /// The commit that the log has.
    Logged,
}

/// One file.
#[derive(Clone, Debug)]
pub(super) struct LoadedSegment {
    pub(super) entry: SegmentEntry,
    /// Opened; `None` as it comes from the log.
    reader: Option<Arc<Segment>>,
    /// As the transaction sees it that adds it.
    draft: Option<Arc<LiveSegment>>,
}

impl LoadedSegment {
    pub(super) fn open(entry: SegmentEntry, reader: Segment) -> Self {
        Self { entry, reader: Some(Arc::new(reader)), draft: None }
    }
}

impl PartialEq for Loaded {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table && self.entries().eq(other.entries())
    }
}

impl Loaded {
    pub(super) fn new(table: TableId, segments: Vec<LoadedSegment>, files: LoadedFiles) -> Self {
        Self { table, segments, checked: Checked::No, files: Some(Arc::new(files)) }
    }

    /// Whose rows these are.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.entries().map(|entry| entry.rows).sum()
    }

    /// The files.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &SegmentEntry> {
        self.segments.iter().map(|segment| &segment.entry)
    }

    /// Whether the rows fit the table as it is named and typed now.
    ///
    /// # Errors
    /// `Conflict` for a column that is not there or has another type, `Invalid` if the table declares a primary key.
    pub(crate) fn check(&self, table: &Table) -> Result<()> {
        let schema = table.schema();
        let dropped: &[ColumnId] = match &self.checked {
            Checked::Logged => return Ok(()),
            Checked::Within { dropped } => dropped,
            Checked::No if schema.primary_key().is_empty() => &[],
            Checked::No => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("a table with a primary key takes no loads: table={}", table.name),
                ));
            }
        };
        let fits = |(id, ty): &(ColumnId, LogicalType)| {
            dropped.contains(id) || schema.column_by_id(*id).is_some_and(|column| column.logical_type == *ty)
        };
        match self.columns().find(|column| !fits(column)) {
            None => Ok(()),
            Some((id, _)) => Err(Error::new(
                ErrorKind::Conflict,
                format!("loaded rows do not fit the table: table={}, column id={id}", table.name),
            )),
        }
    }

    /// The columns of the files.
    fn columns(&self) -> impl Iterator<Item = &(ColumnId, LogicalType)> {
        self.segments.iter().filter_map(|segment| segment.reader.as_ref()).flat_map(|reader| reader.columns())
    }

    /// As a transaction commits it that has checked the rows against its own schema of the table, which this is in the end.
    pub(crate) fn within(&self, schema: &TableSchema) -> Self {
        let dropped = self.columns().map(|(id, _)| *id).filter(|id| schema.column_by_id(*id).is_none()).collect();
        Self { checked: Checked::Within { dropped }, ..self.clone() }
    }

    /// The segments as a transaction sees them that adds them; it bears the snapshot `base`.
    ///
    /// # Errors
    /// As [`Loaded::segments`].
    pub(crate) fn draft(&mut self, base: SnapshotId) -> Result<Vec<Arc<LiveSegment>>> {
        let drafts = self.segments(base)?;
        for (segment, draft) in self.segments.iter_mut().zip(&drafts) {
            segment.draft = Some(Arc::clone(draft));
        }
        Ok(drafts)
    }

    /// Opens the files.
    ///
    /// # Errors
    /// Those of opening a segment.
    pub(crate) fn open(&mut self, disk: &dyn Disk) -> Result<()> {
        for segment in &mut self.segments {
            segment.reader = Some(Arc::new(open_segment(disk, segment.entry.clone())?.reader));
        }
        Ok(())
    }

    /// The segments as parts of the database, once it is known which commit they come with.
    ///
    /// # Errors
    /// `Corrupt` if the rows of a file know another commit; `Internal` before [`Loaded::open`].
    pub(crate) fn segments(&self, commit: SnapshotId) -> Result<Vec<Arc<LiveSegment>>> {
        let live = |segment: &LoadedSegment| {
            let reader = segment
                .reader
                .as_ref()
                .ok_or_else(|| Error::new(ErrorKind::Internal, "a loaded segment is not open"))?;
            let live = Arc::new(LiveSegment {
                entry: SegmentEntry { commit: Some(commit), ..segment.entry.clone() },
                reader: reader.of_commit(commit)?,
                deletes: DeleteVector::new(),
                keys: SegmentKeys::default(),
                deletes_bytes: 0.into(),
                moved: OnceLock::new(),
                chunks: OnceLock::new(),
            });
            if let Some(draft) = &segment.draft {
                // Rows that were picked from the draft are found here. Whoever adds it does so once.
                let moved = MovedSegment { segment: Some(Arc::clone(&live)), first: 0, dropped: RoaringBitmap::new() };
                drop(draft.moved.set(moved));
            }
            Ok(live)
        };
        self.segments.iter().map(live).collect()
    }

    /// Reads every byte of the files.
    ///
    /// # Errors
    /// `Corrupt` naming the file; `Internal` before [`Loaded::open`].
    pub(crate) fn verify(&self) -> Result<()> {
        self.segments.iter().filter_map(|segment| segment.reader.as_ref()).try_for_each(|reader| reader.verify())
    }

    /// Its files, until a commit has them.
    ///
    /// # Errors
    /// `Internal` for what came from the log.
    pub(super) fn files(&self) -> Result<&LoadedFiles> {
        self.files.as_deref().ok_or_else(|| Error::new(ErrorKind::Internal, "a load from the log is not committed"))
    }

    /// Appends what the log has of it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.table.0);
        out.put_u32(self.segments.len() as u32);
        for entry in self.entries() {
            out.put_u64(entry.id.0);
            out.put_u64(entry.rows);
            out.put_u64(entry.bytes);
            out.put_u32(entry.checksum);
        }
    }

    /// # Errors
    /// `Corrupt` for what [`Loaded::encode`] does not write.
    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self> {
        let table = TableId(reader.u64()?);
        let segment = |reader: &mut ByteReader<'_>| {
            let (id, rows) = (SegmentId(reader.u64()?), reader.u64()?);
            let (bytes, checksum) = (reader.u64()?, reader.u32()?);
            let entry = SegmentEntry { id, table, rows, bytes, checksum, first_row: None, commit: None, deletes: None };
            Ok(LoadedSegment { entry, reader: None, draft: None })
        };
        let segments = (0..reader.count(LOADED_BYTES)?).map(|_| segment(reader)).collect::<Result<_>>()?;
        Ok(Self { table, segments, checked: Checked::Logged, files: None })
    }
}

/// Bytes of a segment in the log.
const LOADED_BYTES: usize = 28;
