//! A manifest in words.

use super::{Manifest, codec, deletes_path, segment_path};
use crate::catalog::Table;
use crate::error::Result;
use crate::ids::TableId;
use crate::inspect::{Page, utc};

/// Describes a whole file. Its body has one checksum: either all of it can be read or nothing.
///
/// # Errors
/// `Corrupt` and `Unsupported` as for any reader.
pub(crate) fn describe(path: &str, bytes: &[u8], page: &mut Page<'_>) -> Result<()> {
    let manifest = codec::decode(path, bytes)?;
    page.indented(|page| print(&manifest, page));
    Ok(())
}

fn print(manifest: &Manifest, page: &mut Page<'_>) {
    let Manifest { generation, checkpoint, next_table, next_segment, .. } = manifest;
    page.line(format_args!(
        "manifest {generation}, checkpoint: snapshot {checkpoint} at {}",
        utc(manifest.checkpoint_time_us)
    ));
    page.line(format_args!("next table {next_table}, next segment {next_segment}"));
    let (horizon, through) = (manifest.horizon, manifest.deletes_through);
    page.line(format_args!("snapshots from {horizon}; compacted segments reflect deletions up to {through}"));
    for database in manifest.catalog.databases() {
        let schemas: Vec<&str> = database.schemas().map(|schema| schema.name()).collect();
        page.line(format_args!("database {} with schemas {}", database.name(), schemas.join(", ")));
    }
    if manifest.segments.iter().any(|segment| segment.table == TableId::HISTORY) {
        page.line(format_args!("table {}: the list of commits", TableId::HISTORY));
        page.indented(|page| print_segments(TableId::HISTORY, manifest, page));
    }
    manifest.catalog.tables().for_each(|table| print_table(table, manifest, page));
}

fn print_table(table: &Table, manifest: &Manifest, page: &mut Page<'_>) {
    let schema = table.schema();
    page.line(format_args!("table {}: {}, schema {}", table.id, table.name, schema.version()));
    page.indented(|page| {
        for column in schema.columns() {
            let key = if schema.primary_key().contains(&column.id) { ", in the primary key" } else { "" };
            let null = if column.nullable { "" } else { " NOT NULL" };
            page.line(format_args!("column {}: {} {}{null}{key}", column.id, column.name, column.logical_type));
        }
        print_segments(table.id, manifest, page);
    });
}

fn print_segments(table: TableId, manifest: &Manifest, page: &mut Page<'_>) {
    for segment in manifest.segments.iter().filter(|segment| segment.table == table) {
        let (path, rows, bytes, checksum) = (segment_path(segment.id), segment.rows, segment.bytes, segment.checksum);
        page.line(format_args!("{path}: {rows} rows, {bytes} bytes, footer checksum {checksum:#010x}"));
        if let Some(commit) = segment.commit {
            page.indented(|page| page.line(format_args!("loaded by commit {commit}")));
        }
        if let Some(deletes) = &segment.deletes {
            let (path, bytes, through) = (deletes_path(segment.id, deletes.file), deletes.bytes, deletes.through);
            page.indented(|page| page.line(format_args!("{path}: {bytes} bytes, deletions up to {through}")));
        }
    }
}
