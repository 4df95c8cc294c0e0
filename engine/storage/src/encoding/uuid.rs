//! UUIDs in their usual text form as 16 bytes each.
//!
//! **Invariants**
//! 1. Only texts of 36 characters, lower-case, with the four dashes in their places, are encoded so.
//! 2. Any 16 bytes decode to such a text.

use arrow_array::ArrayRef;
use arrow_buffer::{Buffer, NullBuffer};

use crate::byte_views::{Data, Views};
use crate::error::Result;
use crate::frame::ByteReader;

/// Bytes of a UUID as text.
pub(crate) const TEXT_BYTES: usize = 36;
const BYTES: usize = 16;

/// Where the two digits of each byte are in the text.
const PLACES: [usize; BYTES] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
const DASHES: [usize; 4] = [8, 13, 18, 23];
const DIGITS: &[u8; 16] = b"0123456789abcdef";
const NO_DIGIT: u8 = 0xff;

/// The value of each lower-case digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        values[DIGITS[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// The digits of each byte.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Appends the values that lie one after the other in `data`, an empty one as zeros; `false`, and nothing, if one is no UUID.
pub(crate) fn encode(lengths: &[u64], data: &[u8], out: &mut Vec<u8>) -> bool {
    let before = out.len();
    out.reserve(lengths.len() * BYTES);
    let mut texts = data.as_chunks::<TEXT_BYTES>().0.iter();
    for length in lengths {
        let parsed = match *length {
            0 => Some([0; BYTES]),
            36 => texts.next().and_then(parse_array),
            _ => None,
        };
        match parsed {
            Some(bytes) => out.extend_from_slice(&bytes),
            None => {
                out.truncate(before);
                return false;
            }
        }
    }
    true
}

/// The bytes of a text that is encoded so; `None` for any other.
pub(crate) fn parse(text: &[u8]) -> Option<[u8; BYTES]> {
    parse_array(text.try_into().ok()?)
}

fn parse_array(text: &[u8; TEXT_BYTES]) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let mut odd = 0;
    for (byte, place) in bytes.iter_mut().zip(PLACES) {
        let (high, low) = (VALUES[usize::from(text[place])], VALUES[usize::from(text[place + 1])]);
        odd |= high | low;
        *byte = high << 4 | (low & 15);
    }
    let dashes = DASHES.into_iter().all(|place| text[place] == b'-');
    (dashes && odd < 16).then_some(bytes)
}

/// Reads `rows` values.
///
/// # Errors
/// `Corrupt` if there are not 16 bytes for each.
pub(crate) fn decode(
    rows: usize,
    nulls: Option<NullBuffer>,
    text: bool,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let values = values(rows, &mut reader)?;
    array(values.iter(), nulls, text, reader)
}

/// The bytes of `rows` values; those of a NULL are zeros.
///
/// # Errors
/// As [`decode`].
pub(crate) fn values<'a>(rows: usize, reader: &mut ByteReader<'a>) -> Result<&'a [[u8; BYTES]]> {
    Ok(reader.take(rows.saturating_mul(BYTES))?.as_chunks().0)
}

/// As [`decode`], the values at `positions` alone, with their NULLs.
pub(crate) fn take(
    rows: usize,
    positions: &[u32],
    nulls: Option<NullBuffer>,
    text: bool,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let values = values(rows, &mut reader)?;
    array(positions.iter().map(|position| &values[*position as usize]), nulls, text, reader)
}

fn array<'a>(
    uuids: impl ExactSizeIterator<Item = &'a [u8; BYTES]>,
    nulls: Option<NullBuffer>,
    text: bool,
    reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let rows = uuids.len();
    let mut data = vec![b'-'; rows * TEXT_BYTES];
    for (uuid, text) in uuids.zip(data.as_chunks_mut::<TEXT_BYTES>().0) {
        for (byte, place) in uuid.iter().zip(PLACES) {
            text[place..place + 2].copy_from_slice(&PAIRS[usize::from(*byte)]);
        }
    }
    let data = Buffer::from_vec(data);
    let views = Views::new(std::iter::repeat_n(TEXT_BYTES, rows), Data::Shared(&data), text)
        .map_err(|error| reader.corrupt("UUIDs", error))?;
    reader.finish()?;
    Ok(views.into_array(nulls))
}
