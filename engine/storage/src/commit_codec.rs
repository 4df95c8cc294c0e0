//! Bytes of a commit: the body of a log record (`docs/formats/commit.md`).
//!
//! **Invariants**
//! 1. A body says everything: decoding needs no catalog, so that replay decodes records in parallel.
//! 2. Decoding what [`encode`] wrote gives an equal commit, but for this: a merge comes back as the append of its batch, and deletions
//!    not at all. What a commit deletes is known only to the committer, who adds it to the record (`deletions`).

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::Field;

use crate::array_codec;
use crate::commit::{Batch, Change, Commit, CommitInfo, Merge};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};
use crate::ids::{ColumnId, TableId};
use crate::load::Loaded;
use crate::logical_type::LogicalType;
use crate::schema_codec::{decode_flag, decode_name, decode_schema, encode_name, encode_schema};
use crate::view_codec::{
    decode_commented, decode_layout, decode_optional_text, decode_view, encode_commented, encode_layout,
    encode_optional_text, encode_view,
};

/// First byte of a change. The numbers are on disk.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    CreateDatabase = 1,
    DropDatabase = 2,
    CreateSchema = 3,
    DropSchema = 4,
    CreateTable = 5,
    DropTable = 6,
    RenameTable = 7,
    SetSchema = 8,
    Append = 9,
    CreateView = 10,
    DropView = 11,
    Comment = 12,
    SetLayout = 13,
    Load = 14,
}

impl Tag {
    const ALL: [Self; 14] = [
        Self::CreateDatabase,
        Self::DropDatabase,
        Self::CreateSchema,
        Self::DropSchema,
        Self::CreateTable,
        Self::DropTable,
        Self::RenameTable,
        Self::SetSchema,
        Self::Append,
        Self::CreateView,
        Self::DropView,
        Self::Comment,
        Self::SetLayout,
        Self::Load,
    ];

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self> {
        let found = reader.u8()?;
        let tag = Self::ALL.into_iter().find(|tag| *tag as u8 == found);
        tag.ok_or_else(|| reader.corrupt("a change tag", found))
    }
}

/// # Errors
/// `Unsupported` for an array that no column type holds.
pub(crate) fn encode(commit: &Commit) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(512);
    for text in commit.info.texts() {
        encode_optional_text(text, &mut out);
    }
    let logged = || commit.changes.iter().filter(|change| !matches!(change, Change::Delete(_)));
    out.put_u32(logged().count() as u32);
    for change in logged() {
        encode_change(change, &mut out)?;
    }
    Ok(out)
}

fn encode_change(change: &Change, out: &mut Vec<u8>) -> Result<()> {
    match change {
        Change::CreateDatabase { name } => {
            out.put_u8(Tag::CreateDatabase as u8);
            out.put_sized(name.as_bytes());
        }
        Change::DropDatabase { name } => {
            out.put_u8(Tag::DropDatabase as u8);
            out.put_sized(name.as_bytes());
        }
        Change::CreateSchema { database, name } => {
            out.put_u8(Tag::CreateSchema as u8);
            out.put_sized(database.as_bytes());
            out.put_sized(name.as_bytes());
        }
        Change::DropSchema { database, name, cascade } => {
            out.put_u8(Tag::DropSchema as u8);
            out.put_sized(database.as_bytes());
            out.put_sized(name.as_bytes());
            out.put_u8(u8::from(*cascade));
        }
        Change::CreateTable { id, name, schema } => {
            out.put_u8(Tag::CreateTable as u8);
            out.put_u64(id.0);
            encode_name(name, out);
            encode_schema(schema, out);
        }
        Change::DropTable { id } => {
            out.put_u8(Tag::DropTable as u8);
            out.put_u64(id.0);
        }
        Change::RenameTable { id, name } => {
            out.put_u8(Tag::RenameTable as u8);
            out.put_u64(id.0);
            out.put_sized(name.as_bytes());
        }
        Change::SetSchema { id, schema } => {
            out.put_u8(Tag::SetSchema as u8);
            out.put_u64(id.0);
            encode_schema(schema, out);
        }
        Change::Append(batch) | Change::Merge(Merge { batch, .. }) => {
            out.put_u8(Tag::Append as u8);
            encode_batch(batch, out)?;
        }
        Change::CreateView { view, replace } => {
            out.put_u8(Tag::CreateView as u8);
            encode_view(view, out);
            out.put_u8(u8::from(*replace));
        }
        Change::DropView { name } => {
            out.put_u8(Tag::DropView as u8);
            encode_name(name, out);
        }
        Change::Comment { on, text } => {
            out.put_u8(Tag::Comment as u8);
            encode_commented(on, out);
            encode_optional_text(text.as_deref(), out);
        }
        Change::SetLayout { id, layout } => {
            out.put_u8(Tag::SetLayout as u8);
            out.put_u64(id.0);
            encode_layout(layout, out);
        }
        Change::Load(loaded) => {
            out.put_u8(Tag::Load as u8);
            loaded.encode(out);
        }
        Change::Delete(_) => {}
    }
    Ok(())
}

fn encode_batch(batch: &Batch, out: &mut Vec<u8>) -> Result<()> {
    out.put_u64(batch.table().0);
    out.put_u32(batch.rows() as u32);
    out.put_u32(batch.columns().len() as u32);
    for (id, array) in batch.columns() {
        out.put_u32(id.0);
        // The Arrow form is all that decoding needs: UUID and JSON come back as the text they are.
        let logical_type = LogicalType::from_field(&Field::new("", array.data_type().clone(), true))?;
        array_codec::encode_type(&logical_type, out);
        array_codec::encode(array, out);
    }
    Ok(())
}

/// # Errors
/// `Corrupt` for anything that [`encode`] does not write.
pub(crate) fn decode(file: &str, raw: &[u8]) -> Result<Commit> {
    let mut reader = ByteReader::new(file, 0, raw);
    let mut text = || decode_optional_text(&mut reader);
    let [author, message, extra] = [text()?, text()?, text()?];
    let changes = (0..reader.count(1)?).map(|_| decode_change(&mut reader)).collect::<Result<Vec<_>>>()?;
    reader.finish()?;
    Ok(Commit { info: CommitInfo { author, message, extra }, ..Commit::new(changes) })
}

fn decode_change(reader: &mut ByteReader<'_>) -> Result<Change> {
    Ok(match Tag::decode(reader)? {
        Tag::CreateDatabase => Change::CreateDatabase { name: reader.text()?.to_owned() },
        Tag::DropDatabase => Change::DropDatabase { name: reader.text()?.to_owned() },
        Tag::CreateSchema => {
            Change::CreateSchema { database: reader.text()?.to_owned(), name: reader.text()?.to_owned() }
        }
        Tag::DropSchema => Change::DropSchema {
            database: reader.text()?.to_owned(),
            name: reader.text()?.to_owned(),
            cascade: decode_flag(reader)?,
        },
        Tag::CreateTable => Change::CreateTable {
            id: TableId(reader.u64()?),
            name: decode_name(reader)?,
            schema: Arc::new(decode_schema(reader)?),
        },
        Tag::DropTable => Change::DropTable { id: TableId(reader.u64()?) },
        Tag::RenameTable => Change::RenameTable { id: TableId(reader.u64()?), name: reader.text()?.to_owned() },
        Tag::SetSchema => Change::SetSchema { id: TableId(reader.u64()?), schema: Arc::new(decode_schema(reader)?) },
        Tag::Append => Change::Append(decode_batch(reader)?),
        Tag::CreateView => Change::CreateView { view: Arc::new(decode_view(reader)?), replace: decode_flag(reader)? },
        Tag::DropView => Change::DropView { name: decode_name(reader)? },
        Tag::Comment => Change::Comment { on: decode_commented(reader)?, text: decode_optional_text(reader)? },
        Tag::SetLayout => Change::SetLayout { id: TableId(reader.u64()?), layout: decode_layout(reader)? },
        Tag::Load => Change::Load(Loaded::decode(reader)?),
    })
}

fn decode_batch(reader: &mut ByteReader<'_>) -> Result<Batch> {
    let table = TableId(reader.u64()?);
    let rows = reader.u32()? as usize;
    if rows > Batch::ROWS_MAX {
        return Err(reader.corrupt(format_args!("at most {} rows", Batch::ROWS_MAX), rows));
    }
    let columns = (0..reader.count(5)?)
        .map(|_| {
            let id = ColumnId(reader.u32()?);
            let logical_type = array_codec::decode_type(reader)?;
            Ok((id, array_codec::decode(&logical_type, rows, reader)?))
        })
        .collect::<Result<Vec<(ColumnId, ArrayRef)>>>()?;
    Batch::new(table, rows, columns).map_err(|error| reader.corrupt("a well-formed batch", error))
}

#[cfg(test)]
mod tests;
