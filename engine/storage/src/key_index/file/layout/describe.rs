//! A key index in words, without the segment that it was made of.

use super::{BUCKET_BITS_MAX, DESCRIPTION_OFFSET, Description, HEADER};
use crate::error::Result;
use crate::frame::ByteReader;
use crate::inspect::Page;
use crate::key_index::keys::KeyForm;

/// Describes a whole file and checks its checksums, taking its own word for what it belongs to.
///
/// # Errors
/// `Corrupt` and `Unsupported` for damage that can be seen without the segment.
pub(crate) fn describe(file: &str, buffer: &[u8], page: &mut Page<'_>) -> Result<()> {
    HEADER.check(file, buffer)?;
    let bytes = &buffer[DESCRIPTION_OFFSET..];
    let mut reader = ByteReader::new(file, DESCRIPTION_OFFSET as u64, bytes);
    let subject = reader.sized()?;
    let (rows, bucket_bits) = (reader.u32()?, reader.u8()?);
    let checksums = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
    let found = crc32fast::hash(&bytes[..reader.position()]);
    let checksum = reader.u32()?;
    if found != checksum {
        return Err(reader.corrupt(format_args!("checksum {checksum:#010x}"), format_args!("{found:#010x}")));
    }
    if bucket_bits > BUCKET_BITS_MAX {
        return Err(reader.corrupt(format_args!("at most {BUCKET_BITS_MAX} bucket bits"), bucket_bits));
    }
    let form = describe_subject(ByteReader::new(file, DESCRIPTION_OFFSET as u64 + 4, subject), rows, page)?;
    let description = Description { form, subject: subject.to_vec(), rows, bucket_bits, checksums };
    description.bodies().check(file, buffer, &description)
}

fn describe_subject(mut reader: ByteReader<'_>, rows: u32, page: &mut Page<'_>) -> Result<KeyForm> {
    let (segment, segment_rows, segment_checksum) = (reader.u64()?, reader.u32()?, reader.u32()?);
    let form = match reader.u8()? {
        1 => KeyForm::Exact,
        2 => KeyForm::Wide,
        found => return Err(reader.corrupt("key form 1 or 2", found)),
    };
    reader.u64()?;
    // A kind, bits and scale for each column, then the ids.
    let columns = reader.count(7)?;
    reader.take(columns * 3)?;
    let columns = (0..columns).map(|_| reader.u32().map(|id| id.to_string())).collect::<Result<Vec<_>>>()?;
    reader.finish()?;
    let columns = columns.join(" ");
    page.indented(|page| {
        page.line(format_args!("{rows} rows by columns {columns}, {form:?} keys"));
        page.line(format_args!(
            "of segment {segment} with {segment_rows} rows, footer checksum {segment_checksum:#010x}"
        ));
    });
    Ok(form)
}
