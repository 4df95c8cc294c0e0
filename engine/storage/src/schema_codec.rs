//! Bytes of schemas and names, as they stand in the log and in the manifest (`docs/formats/manifest.md`).
//!
//! **Invariants**: decoding checks everything that building a schema checks; it never trusts a count.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::array_codec::{decode_type, decode_value, encode_type, encode_value};
use crate::catalog::{Table, TableName};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};
use crate::ids::{ColumnId, SchemaVersion, SnapshotId, TableId};
use crate::schema::{Column, TableSchema};
use crate::view_codec::{decode_layout, decode_optional_text, encode_layout, encode_optional_text};

pub(crate) fn encode_name(name: &TableName, out: &mut Vec<u8>) {
    out.put_sized(name.database.as_bytes());
    out.put_sized(name.schema.as_bytes());
    out.put_sized(name.table.as_bytes());
}

pub(crate) fn decode_name(reader: &mut ByteReader<'_>) -> Result<TableName> {
    Ok(TableName::new(reader.text()?, reader.text()?, reader.text()?))
}

pub(crate) fn encode_schema(schema: &TableSchema, out: &mut Vec<u8>) {
    out.put_u32(schema.version().0);
    out.put_u32(schema.next_column().0);
    out.put_u32(schema.columns().len() as u32);
    for column in schema.columns() {
        out.put_u32(column.id.0);
        out.put_sized(column.name.as_bytes());
        encode_type(&column.logical_type, out);
        out.put_u8(u8::from(column.nullable));
        encode_value(column.default.as_ref(), out);
    }
    out.put_u32(schema.primary_key().len() as u32);
    for id in schema.primary_key() {
        out.put_u32(id.0);
    }
}

pub(crate) fn decode_schema(reader: &mut ByteReader<'_>) -> Result<TableSchema> {
    let version = SchemaVersion(reader.u32()?);
    let next_column = ColumnId(reader.u32()?);
    let columns = (0..reader.count(8)?)
        .map(|_| {
            Ok(Column {
                id: ColumnId(reader.u32()?),
                name: reader.text()?.to_owned(),
                logical_type: decode_type(reader)?,
                nullable: decode_flag(reader)?,
                default: decode_value(reader)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let primary_key = (0..reader.count(4)?).map(|_| reader.u32().map(ColumnId)).collect::<Result<Vec<_>>>()?;
    TableSchema::from_parts(version, columns, primary_key, next_column)
        .map_err(|error| reader.corrupt("a valid schema", error))
}

pub(crate) fn encode_table(table: &Table, out: &mut Vec<u8>) {
    out.put_u64(table.id.0);
    encode_name(&table.name, out);
    out.put_u32(table.history().len() as u32);
    for (since, schema) in table.history() {
        out.put_u64(since.0);
        encode_schema(schema, out);
    }
    encode_optional_text(table.comment.as_deref(), out);
    out.put_u32(table.column_comments().len() as u32);
    for (id, comment) in table.column_comments() {
        out.put_u32(id.0);
        out.put_sized(comment.as_bytes());
    }
    encode_layout(&table.layout, out);
}

pub(crate) fn decode_table(reader: &mut ByteReader<'_>) -> Result<Table> {
    let id = TableId(reader.u64()?);
    let name = decode_name(reader)?;
    let versions = reader.count(16)?;
    if versions == 0 {
        return Err(reader.corrupt("at least one schema version", 0));
    }
    let history = (0..versions)
        .map(|_| Ok((SnapshotId(reader.u64()?), Arc::new(decode_schema(reader)?))))
        .collect::<Result<Vec<_>>>()?;
    let mut table = Table::from_parts(id, name, history);
    let comment = decode_optional_text(reader)?;
    let columns = (0..reader.count(8)?)
        .map(|_| Ok((ColumnId(reader.u32()?), reader.text()?.to_owned())))
        .collect::<Result<BTreeMap<_, _>>>()?;
    let layout = decode_layout(reader)?;
    layout.check(table.schema()).map_err(|error| reader.corrupt("a layout of the table's columns", error))?;
    table.describe(comment, columns, layout);
    Ok(table)
}

pub(crate) fn decode_flag(reader: &mut ByteReader<'_>) -> Result<bool> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(reader.corrupt("0 or 1", other)),
    }
}
