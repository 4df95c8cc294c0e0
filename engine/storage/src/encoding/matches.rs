//! Which rows of a column chunk meet a condition, found on the encoded values where that saves decoding them.
//!
//! | encoding | what is looked at |
//! |---|---|
//! | constant | the one value |
//! | packed | the range of each block; keys only of blocks that the range does not decide |
//! | delta, run-length, stepped | keys, never made into values |
//! | dictionary | each entry once, then the codes, unless all entries or none qualify |
//! | plain text and bytes | lengths, and bytes where they lie |
//! | symbols | the number of codes, and each value by itself unless that tells |
//! | UUIDs, asked for by equality | their 16 bytes |
//! | any other | decoded values |
//!
//! **Invariants**
//! 1. [`matches`] says what the condition says of the decoded array.
//! 2. Bytes of any origin end in an answer or in `Corrupt`. Text is not checked to be UTF-8: reading the rows found will do that.
//!
//! It does not know zone maps; who calls has asked them first.

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer, NullBuffer};

use super::{
    ChunkForm, Encoding, Opened, bitpack, decode_constant, decode_nulls, delta, dictionary, keys, numbers, plain, runs,
    stepped, symbols, uuid,
};
use crate::condition::{Condition, KeyTest, Wanted, with_nulls};
use crate::error::Result;
use crate::frame::ByteReader;
use crate::logical_type::LogicalType;

/// Which rows qualify.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Matches {
    None,
    All,
    /// One bit per row; neither all are set nor none.
    Some(BooleanBuffer),
}

impl Matches {
    /// Of one bit per row.
    pub(crate) fn of(bits: BooleanBuffer) -> Self {
        match bits.count_set_bits() {
            0 => Self::None,
            count if count == bits.len() => Self::All,
            _ => Self::Some(bits),
        }
    }
}

/// The rows that meet `condition`, which was made for `ty`, among the `rows` rows of a chunk.
///
/// # Errors
/// `Corrupt` as [`decode`](super::decode), but damage that does not bear on the answer may go unseen.
pub(crate) fn matches(
    condition: &Condition,
    ty: &LogicalType,
    rows: usize,
    form: &ChunkForm,
    body: &Buffer,
    file: &str,
    offset: u64,
) -> Result<Matches> {
    let null_alone = matches!(condition, Condition::IsNull | Condition::IsNotNull);
    if form.is_null(rows) {
        ByteReader::new(file, offset, body).finish()?;
        return Ok(if matches!(condition, Condition::IsNull) { Matches::All } else { Matches::None });
    }
    if null_alone && form.encoding != Encoding::Nested {
        let nulls = decode_nulls(rows, form.null_count, body, &mut ByteReader::new(file, offset, body))?;
        let valid = nulls.map_or_else(|| BooleanBuffer::new_set(rows), |nulls| nulls.into_inner());
        return Ok(Matches::of(if matches!(condition, Condition::IsNull) { !&valid } else { valid }));
    }
    let on_values = match (form.encoding, condition) {
        (Encoding::Constant, _) => !ty.is_nested(),
        (
            Encoding::Packed | Encoding::Delta | Encoding::RunLength | Encoding::Stepped,
            Condition::Key(_) | Condition::Decimal(..),
        ) => keys::has_keys(&ty.arrow()),
        (Encoding::Dictionary | Encoding::Plain | Encoding::Symbols, Condition::Bytes(_)) => true,
        (Encoding::Uuid, Condition::Bytes(_)) => condition.wanted_bytes().is_some(),
        _ => false,
    };
    if !on_values {
        let array = super::decode(ty, rows, form, body, file, offset)?;
        return Ok(Matches::of(condition.test(&array)));
    }
    let opened = Opened::new(rows, form, body, file, offset)?;
    let mut reader = opened.reader(file);
    let bits = match (form.encoding, condition) {
        (Encoding::Packed, Condition::Key(test) | Condition::Decimal(test, _)) => packed(test, rows, &mut reader)?,
        (encoding, Condition::Key(test) | Condition::Decimal(test, _)) if encoding != Encoding::Constant => {
            let mut bits = BooleanBufferBuilder::new(rows);
            let each = |keys: &[u64]| bits.append_buffer(&test.mask(keys.len(), |i| keys[i]));
            match encoding {
                Encoding::RunLength => runs::decode(rows, &mut reader, each)?,
                Encoding::Stepped => stepped::decode(rows, &mut reader, each)?,
                _ => delta::decode(rows, &mut reader, each)?,
            }
            bits.finish()
        }
        (Encoding::Dictionary, _) => match entries(condition, ty, rows, &opened.values, &mut reader)? {
            Some(bits) => bits,
            None => return Ok(Matches::None),
        },
        (Encoding::Plain, Condition::Bytes(wanted)) => texts(wanted, rows, &opened.values, &mut reader)?,
        (Encoding::Symbols, Condition::Bytes(wanted)) => symbols::matches(wanted, rows, &mut reader)?,
        (Encoding::Uuid, _) => uuids(condition.wanted_bytes().unwrap_or_default(), rows, &mut reader)?,
        _ => return constant(condition, ty, rows, opened.nulls.as_ref(), reader),
    };
    reader.finish()?;
    Ok(Matches::of(with_nulls(bits, opened.nulls.as_ref())))
}

fn constant(
    condition: &Condition,
    ty: &LogicalType,
    rows: usize,
    nulls: Option<&NullBuffer>,
    reader: ByteReader<'_>,
) -> Result<Matches> {
    let value = decode_constant(ty, 1, None, reader)?;
    Ok(match (condition.test(&value).value(0), nulls) {
        (false, _) => Matches::None,
        (true, None) => Matches::All,
        (true, Some(nulls)) => Matches::of(with_nulls(BooleanBuffer::new_set(rows), Some(nulls))),
    })
}

fn packed(test: &KeyTest, rows: usize, reader: &mut ByteReader<'_>) -> Result<BooleanBuffer> {
    let mut bits = BooleanBufferBuilder::new(rows);
    let mut keys = [0; bitpack::BLOCK_KEYS];
    bitpack::blocks(rows, reader, |_, block| {
        let (min, max) = block.bounds();
        match test.decide(min, max) {
            Some(all) => bits.append_n(block.len(), all),
            None => {
                let keys = block.unpack(&mut keys);
                bits.append_buffer(&test.narrowed(min, max).mask(keys.len(), |i| keys[i]));
            }
        }
    })?;
    Ok(bits.finish())
}

/// `None` if no entry qualifies: then the codes are not read.
fn entries(
    condition: &Condition,
    ty: &LogicalType,
    rows: usize,
    values: &Buffer,
    reader: &mut ByteReader<'_>,
) -> Result<Option<BooleanBuffer>> {
    let entries = dictionary::entries(ty, rows, values, reader)?;
    let good = condition.test(&entries);
    if good.count_set_bits() == 0 {
        return Ok(None);
    }
    let codes = numbers::decode_u32(rows, reader)?;
    if codes.iter().any(|code| *code as usize >= good.len()) {
        return Err(reader.corrupt(format_args!("codes below {}", good.len()), "a greater one"));
    }
    Ok(Some(BooleanBuffer::collect_bool(rows, |row| good.value(codes[row] as usize))))
}

fn texts(wanted: &Wanted<Vec<u8>>, rows: usize, values: &Buffer, reader: &mut ByteReader<'_>) -> Result<BooleanBuffer> {
    let (lengths, data) = plain::lengths_and_data(rows, values, reader)?;
    let mut rest = data.as_slice();
    // Often most are empty. To compare no bytes with no bytes is slow where the library's comparison meets an address that is none.
    let of_empty = wanted.holds::<[u8]>(&[]);
    Ok(BooleanBuffer::collect_bool(rows, |row| {
        // The lengths sum up to the data.
        let (text, later) = rest.split_at(lengths[row] as usize);
        rest = later;
        if text.is_empty() { of_empty } else { wanted.holds(text) }
    }))
}

fn uuids(wanted: &[Vec<u8>], rows: usize, reader: &mut ByteReader<'_>) -> Result<BooleanBuffer> {
    // What is no UUID is equal to none.
    let wanted: Vec<_> = wanted.iter().filter_map(|text| uuid::parse(text)).collect();
    let values = uuid::values(rows, reader)?;
    Ok(BooleanBuffer::collect_bool(rows, |row| wanted.contains(&values[row])))
}

#[cfg(test)]
mod tests;
