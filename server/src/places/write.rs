//! Rows as a new file of the folder.
//!
//! **Invariants**
//! 1. A file is written under another name and renamed when it is whole and synced; one that is given up is removed.
//! 2. Writing stops before the disk has less free space than the database needs for itself.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::array::timezone::Tz;
use arrow::datatypes::SchemaRef;
use siltstone_query::{FileFormat, FileWriter, FileWriting, QueryError, QueryErrorKind};
use siltstone_storage::io::{Disk, OsDisk};
use tempfile::NamedTempFile;

use super::{FilesFolder, error, forbidden, unreadable};
use crate::cells::{self, Column, JsonColumns};
use crate::lines::{LineForm, LineWriter, PIECE_BYTES};
use crate::parquet_file::ParquetFile;
use crate::pieces::unwritable;

/// Begins the names of files that are not whole.
const UNFINISHED: &str = ".siltstone-";
/// Bytes between two looks at the free space.
const LOOK_EVERY_BYTES: u64 = 16 << 20;

/// A file that is being written.
pub(super) struct NewFile {
    /// What SQL calls it.
    name: String,
    /// Where it is going to be.
    path: PathBuf,
    sink: Sink,
    rows: Form,
}

enum Form {
    Csv(CsvRows),
    Json(JsonRows),
    Parquet { file: Box<ParquetFile>, schema: SchemaRef },
}

impl NewFile {
    /// # Errors
    /// `Permission Error`, `IO Error`; `Not implemented Error` if the format has no form for the schema.
    pub(super) fn create(
        folder: &FilesFolder,
        path: &str,
        writing: FileWriting,
        schema: &SchemaRef,
        zone: Tz,
    ) -> Result<Self, QueryError> {
        let target = target(folder, path)?;
        let rows = match writing.format {
            FileFormat::Csv => Form::Csv(CsvRows { schema: schema.clone(), zone, delimiter: writing.delimiter }),
            FileFormat::Json => {
                let form = if writing.array { LineForm::Element } else { LineForm::Object };
                let lines = LineWriter::new(schema.clone(), Some(zone), form, JsonColumns::Embedded);
                Form::Json(JsonRows { lines, array: writing.array, any: false })
            }
            FileFormat::Parquet => {
                let file = Box::new(ParquetFile::new(schema, Some(zone)).map_err(unwritable)?);
                Form::Parquet { file, schema: schema.clone() }
            }
        };
        let sink = Sink::create(&target, folder.disk_reserve_bytes).map_err(|cause| unwritten(path, &cause))?;
        let mut file = Self { name: path.to_owned(), path: target, sink, rows };
        let mut start = Vec::new();
        match &file.rows {
            Form::Csv(rows) if writing.header => {
                let names = schema.fields().iter().map(|field| Some(field.name().as_bytes()));
                push_line(&mut start, names, rows.delimiter);
            }
            Form::Json(rows) if rows.array => start.extend_from_slice(b"[\n"),
            _ => {}
        }
        file.sink.put(&start).map_err(|cause| unwritten(path, &cause))?;
        Ok(file)
    }
}

/// The rows of a batch, a piece at a time.
struct CsvRows {
    schema: SchemaRef,
    zone: Tz,
    delimiter: u8,
}

impl CsvRows {
    fn write(&self, batch: &RecordBatch, sink: &mut Sink) -> io::Result<()> {
        let columns = self.schema.fields().iter().zip(batch.columns());
        let columns: Vec<Column<'_>> =
            columns.map(|(field, array)| Column::new(field, array, Some(self.zone), JsonColumns::Embedded)).collect();
        let mut cells = vec![Vec::new(); columns.len()];
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        for row in 0..batch.num_rows() {
            let line = columns.iter().zip(&mut cells).map(|(column, cell)| {
                cell.clear();
                column.text(row, cell).then_some(cell.as_slice())
            });
            push_line(&mut piece, line, self.delimiter);
            if piece.len() >= PIECE_BYTES {
                sink.put(&piece)?;
                piece.clear();
            }
        }
        sink.put(&piece)
    }
}

/// Objects as lines, or as the elements of one array.
struct JsonRows {
    lines: LineWriter,
    array: bool,
    /// Whether there is an element yet, which the next one needs a comma after.
    any: bool,
}

impl JsonRows {
    fn write(&mut self, batch: &RecordBatch, sink: &mut Sink) -> io::Result<()> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let mut at = 0;
        while at < batch.num_rows() {
            piece.clear();
            at = self.lines.write(batch, at, batch.num_rows(), &mut piece);
            let is_first = self.array && !std::mem::replace(&mut self.any, true);
            sink.put(&piece[usize::from(is_first)..])?;
        }
        Ok(())
    }
}

impl FileWriter for NewFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let Self { name, sink, rows, .. } = self;
        let written = match rows {
            Form::Csv(rows) => rows.write(batch, sink),
            Form::Json(rows) => rows.write(batch, sink),
            Form::Parquet { file, schema } => match file.write(schema, batch).map_err(unwritable)? {
                Some(bytes) => sink.put(&bytes),
                None => Ok(()),
            },
        };
        written.map_err(|cause| unwritten(name, &cause))
    }

    fn finish(self: Box<Self>) -> Result<(), QueryError> {
        let Self { name, path, mut sink, rows } = *self;
        let end = match rows {
            Form::Json(rows) if rows.array => b"]\n".to_vec(),
            Form::Csv(_) | Form::Json(_) => Vec::new(),
            Form::Parquet { file, .. } => file.finish().map_err(unwritable)?.to_vec(),
        };
        sink.put(&end).and_then(|()| sink.finish(&path)).map_err(|cause| unwritten(&name, &cause))
    }
}

/// Fields between delimiters; `None` is NULL, which is nothing at all.
fn push_line<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = Option<&'a [u8]>>, delimiter: u8) {
    let start = out.len();
    let mut count = 0;
    for field in fields {
        if count > 0 {
            out.push(delimiter);
        }
        count += 1;
        if let Some(field) = field {
            cells::push_csv(out, field, delimiter);
        }
    }
    // A line of one NULL would be blank, and so none.
    if out.len() == start && count == 1 {
        out.extend_from_slice(b"\"\"");
    }
    out.push(b'\n');
}

/// Where a file of this path is to be.
fn target(folder: &FilesFolder, path: &str) -> Result<PathBuf, QueryError> {
    let relative = folder.relative(path)?;
    let joined = folder.root.join(relative);
    let (Some(home), Some(name)) = (joined.parent(), joined.file_name()) else { return Err(forbidden(path)) };
    if relative.is_empty() || relative.ends_with('/') || name.as_encoded_bytes().starts_with(b".") {
        return Err(error(
            QueryErrorKind::User,
            format!("IO Error: Cannot open file \"{path}\": it is no name of a file"),
        ));
    }
    let home = home.canonicalize().map_err(|cause| unreadable(path, &cause))?;
    if !home.starts_with(&folder.root) {
        return Err(forbidden(path));
    }
    let target = home.join(name);
    match target.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => Err(error(
            QueryErrorKind::User,
            format!("IO Error: Cannot open file \"{path}\": there is no file but something else"),
        )),
        _ => Ok(target),
    }
}

fn unwritten(path: &str, cause: &io::Error) -> QueryError {
    tracing::warn!(path, %cause, "a file of SQL's cannot be written");
    let kind = match cause.kind() {
        io::ErrorKind::StorageFull => QueryErrorKind::Unavailable,
        _ => QueryErrorKind::User,
    };
    error(kind, format!("IO Error: Cannot write file \"{path}\": {}", cause.kind()))
}

/// The bytes on their way to the disk.
struct Sink {
    file: BufWriter<NamedTempFile>,
    disk: OsDisk,
    disk_reserve_bytes: u64,
    length: u64,
    /// The length at which to look at the free space again.
    look_at: u64,
}

impl Sink {
    fn create(target: &Path, disk_reserve_bytes: u64) -> io::Result<Self> {
        let home = target.parent().ok_or(io::ErrorKind::NotFound)?;
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(home)?;
        let file = BufWriter::with_capacity(PIECE_BYTES, file);
        Ok(Self { file, disk: OsDisk::open(home)?, disk_reserve_bytes, length: 0, look_at: 0 })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        if self.length > self.look_at {
            self.look_at = self.length + LOOK_EVERY_BYTES;
            if self.disk.free_bytes()? < self.disk_reserve_bytes.saturating_add(bytes.len() as u64 + LOOK_EVERY_BYTES) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        self.file.write_all(bytes)
    }

    /// Gives the file its name, once its bytes are on the disk.
    fn finish(self, path: &Path) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        set_mode(file.as_file())?;
        file.persist(path).map_err(|failed| failed.error)?;
        match path.parent() {
            Some(home) => std::fs::File::open(home)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Temporary files are for their owner alone; finished ones are as those that other programs make.
fn set_mode(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
