//! A segment in words: every column chunk, with what is damaged.

use arrow_buffer::Buffer;

use super::footer::{Chunk, RowGroup, decode_tail};
use super::reader::Segment;
use crate::encoding::Compression;
use crate::error::Result;
use crate::inspect::{Page, shown};

/// Describes a whole file; a damaged body is reported in its place.
///
/// # Errors
/// `Corrupt` and `Unsupported` if header, tail or footer cannot be read, and for damage between bodies.
pub(crate) fn describe(path: &str, buffer: Buffer, page: &mut Page<'_>) -> Result<()> {
    super::HEADER.check(path, &buffer)?;
    let (footer_offset, checksum) = decode_tail(path, &buffer)?;
    let bytes = buffer.len() as u64;
    let segment = Segment::open(path, buffer, bytes, checksum)?;
    let groups = segment.row_groups();
    page.indented(|page| {
        page.line(format_args!(
            "{} rows in {groups} row groups, footer at {footer_offset} with checksum {checksum:#010x}",
            segment.total_rows()
        ));
        (0..groups).for_each(|row_group| print_group(&segment, row_group, page));
        let gaps = segment.verify_gaps();
        page.check(gaps);
    });
    Ok(())
}

fn print_group(segment: &Segment, row_group: usize, page: &mut Page<'_>) {
    let footer = segment.footer();
    let RowGroup { rows, first_snapshot, last_snapshot, commits, chunks } = &footer.row_groups[row_group];
    page.line(format_args!("row group {row_group}: {rows} rows of commits {first_snapshot} to {last_snapshot}"));
    page.indented(|page| {
        for (place, chunk) in chunks.iter().enumerate() {
            let (column, ty) = &footer.columns[place];
            page.line(format_args!("column {column} {ty}: {}", chunk_text(chunk)));
            let whole = segment.verify_chunk(row_group, place);
            page.check(whole);
        }
        if commits.bytes > 0 {
            page.line(format_args!("commits of rows: {} bytes at {}", commits.bytes, commits.offset));
        }
        let whole = segment.verify_commits(row_group);
        page.check(whole);
    });
}

fn chunk_text(chunk: &Chunk) -> String {
    let Chunk { form, extent, filter, zone_map } = chunk;
    let compression = match form.compression {
        Compression::None => "",
        Compression::Lz4 => " and lz4",
        Compression::Zstd => " and zstd",
    };
    let filter = filter.map(|filter| format!(", filter of {} bytes at {}", filter.bytes, filter.offset));
    let exact = if zone_map.exact { "" } else { " (loose)" };
    format!(
        "{:?}{compression}, {} bytes at {}, {} NULLs, from {} to {}{exact}{}",
        form.encoding,
        extent.bytes,
        extent.offset,
        form.null_count,
        shown(zone_map.min.as_ref()),
        shown(zone_map.max.as_ref()),
        filter.unwrap_or_default(),
    )
}
