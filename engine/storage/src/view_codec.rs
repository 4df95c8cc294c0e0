//! Bytes of views, comments and layouts, as they stand in the log and in the manifest (`docs/formats/manifest.md`).
//!
//! **Invariants**: decoding never trusts a count; what the catalog refuses is refused there.

use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};
use crate::ids::{ColumnId, TableId};
use crate::schema_codec::{decode_flag, decode_name, encode_name};
use crate::view::{Commented, Layout, PartitionKey, SortKey, Transform, View, ViewColumn};

pub(crate) fn encode_optional_text(text: Option<&str>, out: &mut Vec<u8>) {
    out.put_u8(u8::from(text.is_some()));
    out.put_sized(text.unwrap_or_default().as_bytes());
}

pub(crate) fn decode_optional_text(reader: &mut ByteReader<'_>) -> Result<Option<String>> {
    let there = decode_flag(reader)?;
    let text = reader.text()?.to_owned();
    if !there && !text.is_empty() {
        return Err(reader.corrupt("no text where none is", text));
    }
    Ok(there.then_some(text))
}

pub(crate) fn encode_view(view: &View, out: &mut Vec<u8>) {
    encode_name(&view.name, out);
    out.put_sized(view.query.as_bytes());
    out.put_sized(view.home_database.as_bytes());
    out.put_sized(view.home_schema.as_bytes());
    encode_optional_text(view.comment.as_deref(), out);
    out.put_u8(u8::from(view.columns_named));
    out.put_u32(view.columns.len() as u32);
    for column in &view.columns {
        out.put_sized(column.name.as_bytes());
        out.put_sized(column.type_name.as_bytes());
        encode_optional_text(column.comment.as_deref(), out);
    }
}

pub(crate) fn decode_view(reader: &mut ByteReader<'_>) -> Result<View> {
    let name = decode_name(reader)?;
    let mut text = || reader.text().map(str::to_owned);
    let (query, home_database, home_schema) = (text()?, text()?, text()?);
    let comment = decode_optional_text(reader)?;
    let columns_named = decode_flag(reader)?;
    let columns = (0..reader.count(13)?)
        .map(|_| {
            let (name, type_name) = (reader.text()?.to_owned(), reader.text()?.to_owned());
            Ok(ViewColumn { name, type_name, comment: decode_optional_text(reader)? })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(View { name, query, home_database, home_schema, columns_named, columns, comment })
}

pub(crate) fn encode_commented(on: &Commented, out: &mut Vec<u8>) {
    match on {
        Commented::Schema { database, name } => {
            out.put_u8(1);
            out.put_sized(database.as_bytes());
            out.put_sized(name.as_bytes());
        }
        Commented::Table(id) => {
            out.put_u8(2);
            out.put_u64(id.0);
        }
        Commented::Column(id, column) => {
            out.put_u8(3);
            out.put_u64(id.0);
            out.put_u32(column.0);
        }
    }
}

pub(crate) fn decode_commented(reader: &mut ByteReader<'_>) -> Result<Commented> {
    Ok(match reader.u8()? {
        1 => Commented::Schema { database: reader.text()?.to_owned(), name: reader.text()?.to_owned() },
        2 => Commented::Table(TableId(reader.u64()?)),
        3 => Commented::Column(TableId(reader.u64()?), ColumnId(reader.u32()?)),
        other => return Err(reader.corrupt("something to comment on, 1 to 3", other)),
    })
}

pub(crate) fn encode_layout(layout: &Layout, out: &mut Vec<u8>) {
    out.put_u32(layout.partitioned_by.len() as u32);
    for key in &layout.partitioned_by {
        let (transform, buckets) = match key.transform {
            Transform::Identity => (0, 0),
            Transform::Year => (1, 0),
            Transform::Month => (2, 0),
            Transform::Day => (3, 0),
            Transform::Hour => (4, 0),
            Transform::Bucket(buckets) => (5, buckets),
        };
        out.put_u32(key.column.0);
        out.put_u8(transform);
        out.put_u32(buckets);
    }
    out.put_u32(layout.sorted_by.len() as u32);
    for key in &layout.sorted_by {
        out.put_u32(key.column.0);
        out.put_u8(u8::from(key.descending));
        out.put_u8(u8::from(key.nulls_first));
    }
}

pub(crate) fn decode_layout(reader: &mut ByteReader<'_>) -> Result<Layout> {
    let partitioned_by = (0..reader.count(9)?)
        .map(|_| {
            let column = ColumnId(reader.u32()?);
            let transform = match (reader.u8()?, reader.u32()?) {
                (0, 0) => Transform::Identity,
                (1, 0) => Transform::Year,
                (2, 0) => Transform::Month,
                (3, 0) => Transform::Day,
                (4, 0) => Transform::Hour,
                (5, buckets) => Transform::Bucket(buckets),
                (other, _) => return Err(reader.corrupt("a partition transform, 0 to 5", other)),
            };
            Ok(PartitionKey { column, transform })
        })
        .collect::<Result<Vec<_>>>()?;
    let sorted_by = (0..reader.count(6)?)
        .map(|_| {
            let column = ColumnId(reader.u32()?);
            Ok(SortKey { column, descending: decode_flag(reader)?, nulls_first: decode_flag(reader)? })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Layout { partitioned_by, sorted_by })
}

#[cfg(test)]
mod tests;
