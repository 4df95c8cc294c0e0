//! Column chunks to bytes: looks at the values, lets [`choose`] decide, and writes.
//!
//! **Invariant**: what is written decodes to the same values, whichever form was chosen.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, ByteViewType, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, GenericByteViewArray, ListArray, StructArray};
use arrow_schema::DataType;

use super::compress::Compressor;
use super::dictionary::Dictionary;
use super::scaled::{Scalable, Scaled};
use super::texts::Texts;
use super::{
    ALIGNMENT, ChunkForm, Compression, Encoding, bitpack, child, choose, delta, keys, nested, numbers, plain, runs,
    stepped,
};
use crate::array_codec;
use crate::byte_views;
use crate::frame::PutBytes;
use crate::logical_type::LogicalType;
use crate::maps::lists_of;
use crate::zone_map::ZoneMap;

/// Encodes chunks, one after the other, reusing its memory.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    keys: Vec<u64>,
    texts: Texts,
    compressor: Compressor,
}

/// What was written, and what is left to try on it.
struct Put {
    encoding: Encoding,
    compression: Compression,
    zone_map: ZoneMap,
}

impl Put {
    fn new(encoding: Encoding, zone_map: ZoneMap) -> Self {
        // Plain numbers and bits may still have a pattern.
        let compression =
            if matches!(encoding, Encoding::Plain | Encoding::Nested) { Compression::Lz4 } else { Compression::None };
        Self { encoding, compression, zone_map }
    }
}

impl Encoder {
    /// Appends the body of a chunk of at least one row, in the form that suits it, and says what it holds.
    pub(crate) fn encode(&mut self, ty: &LogicalType, array: &ArrayRef, out: &mut Vec<u8>) -> (ChunkForm, ZoneMap) {
        assert!(!array.is_empty(), "a chunk has rows");
        self.encode_any(ty, array, out)
    }

    /// [`Encoder::encode`] for children too, which may have no rows.
    fn encode_any(&mut self, ty: &LogicalType, array: &ArrayRef, out: &mut Vec<u8>) -> (ChunkForm, ZoneMap) {
        let null_count = array.null_count();
        if null_count == array.len() {
            let form =
                ChunkForm { encoding: Encoding::Constant, compression: Compression::None, null_count, value_bytes: 0 };
            return (form, ZoneMap { null_count: null_count as u64, ..ZoneMap::default() });
        }
        let before = out.len();
        if let Some(nulls) = array.nulls().filter(|_| null_count > 0) {
            array_codec::put_bits(nulls.inner(), out);
            out.resize(before + (out.len() - before).next_multiple_of(ALIGNMENT), 0);
        }
        let mut start = out.len();
        let put = match ty {
            ty if ty.is_nested() => {
                let put = self.encode_nested(ty, array, before, out);
                start = start.min(if put.encoding == Encoding::Nested { before } else { start });
                put
            }
            _ if null_count > 0 && choose::is_sparse(array.len(), null_count) => self.encode_sparse(ty, array, out),
            _ => self.encode_values(ty, array, out),
        };
        let value_bytes = (out.len() - start) as u64;
        let compression = match self.compressor.shrink(put.compression, start, out) {
            true => put.compression,
            false => Compression::None,
        };
        (ChunkForm { encoding: put.encoding, compression, null_count, value_bytes }, put.zone_map)
    }

    fn encode_values(&mut self, ty: &LogicalType, array: &ArrayRef, out: &mut Vec<u8>) -> Put {
        match array.data_type() {
            DataType::Utf8View => self.encode_texts(ty, array.as_string_view(), array, out),
            DataType::BinaryView => self.encode_texts(ty, array.as_binary_view(), array, out),
            _ => {
                let zone_map = ZoneMap::of(ty, array);
                Put::new(self.encode_numbers(array, &zone_map, out), zone_map)
            }
        }
    }

    /// Appends the values that are not NULL, of which there are some.
    fn encode_sparse(&mut self, ty: &LogicalType, array: &ArrayRef, out: &mut Vec<u8>) -> Put {
        let valid = array.nulls().expect("sparse values have NULLs").inner().clone();
        let dense =
            arrow_select::filter::filter(array, &BooleanArray::new(valid, None)).expect("a mask of that length");
        let start = out.len();
        let (encoding, zone_map) = child::encode(out, |out| {
            let (form, zone_map) = self.encode_any(ty, &dense, out);
            (form, (form.encoding, zone_map))
        });
        let zone_map = ZoneMap { null_count: array.null_count() as u64, ..zone_map };
        if encoding == Encoding::Constant {
            out.truncate(start);
            return Put::new(encode_constant(array, out), zone_map);
        }
        Put::new(Encoding::Sparse, zone_map)
    }

    /// Appends lists or structs as columns; in the place of all after `before` as one run of bytes, if they are too small to be read back so.
    fn encode_nested(&mut self, ty: &LogicalType, array: &ArrayRef, before: usize, out: &mut Vec<u8>) -> Put {
        let fits = match ty {
            LogicalType::List(item) | LogicalType::Array(item, _) => self.encode_list(item, array.as_list(), out),
            LogicalType::Map(parts) => self.encode_list(&LogicalType::entry(parts), &lists_of(array.as_map()), out),
            LogicalType::Struct(fields) => self.encode_struct(fields, array.as_struct(), out),
            other => unreachable!("not nested: {other}"),
        };
        if fits {
            return Put::new(Encoding::Columns, ZoneMap::of(ty, array));
        }
        out.truncate(before);
        array_codec::encode(array, out);
        Put::new(Encoding::Nested, ZoneMap::of(ty, array))
    }

    fn encode_list(&mut self, item: &LogicalType, array: &ListArray, out: &mut Vec<u8>) -> bool {
        let offsets = array.offsets();
        let mut lengths: Vec<u64> = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect();
        numbers::encode(&mut lengths, out);
        let (first, last) = (offsets[0] as usize, offsets[array.len()] as usize);
        let items = array.values().slice(first, last - first);
        let start = out.len();
        child::encode(out, |out| self.encode_any(item, &items, out));
        items.len() <= nested::items_max(array.len(), out.len() - start)
    }

    fn encode_struct(&mut self, fields: &[(String, LogicalType)], array: &StructArray, out: &mut Vec<u8>) -> bool {
        for ((_, ty), column) in fields.iter().zip(array.columns()) {
            child::encode(out, |out| self.encode_any(ty, column, out));
        }
        true
    }

    fn encode_numbers(&mut self, array: &ArrayRef, zone_map: &ZoneMap, out: &mut Vec<u8>) -> Encoding {
        if zone_map.exact && zone_map.min == zone_map.max {
            return encode_constant(array, out);
        }
        match array.data_type() {
            DataType::Float32 => self.encode_floats::<Float32Type>(array, out),
            DataType::Float64 => self.encode_floats::<Float64Type>(array, out),
            _ => self.encode_keys(array, out),
        }
    }

    fn encode_floats<T: ArrowPrimitiveType<Native: Scalable>>(
        &mut self,
        array: &ArrayRef,
        out: &mut Vec<u8>,
    ) -> Encoding {
        let scaled = Scaled::of::<T>(array.as_primitive(), &mut self.keys);
        let plain_bits = 8 * size_of::<T::Native>() as u32;
        let pays = |scaled: &Scaled<T::Native>| {
            let exception_bits = 8 * scaled.exception_bytes() / array.len();
            let sample = choose::sample_keys(&self.keys, plain_bits.saturating_sub(exception_bits as u32));
            choose::for_keys(sample) != Encoding::Plain
        };
        match scaled.filter(pays) {
            Some(scaled) => {
                scaled.encode(&mut self.keys, out);
                Encoding::Scaled
            }
            None => {
                plain::encode(array, out);
                Encoding::Plain
            }
        }
    }

    fn encode_keys(&mut self, array: &ArrayRef, out: &mut Vec<u8>) -> Encoding {
        let Some(plain_bits) = keys::keys_of(array, &mut self.keys) else {
            plain::encode(array, out);
            return Encoding::Plain;
        };
        if let Some((min, step)) = stepped::step(&self.keys) {
            stepped::encode(min, step, &mut self.keys, out);
            return Encoding::Stepped;
        }
        let encoding = choose::for_keys(choose::sample_keys(&self.keys, plain_bits));
        match encoding {
            Encoding::Packed => bitpack::pack(&self.keys, out),
            Encoding::Delta => delta::encode(&mut self.keys, out),
            Encoding::RunLength => runs::encode(&self.keys, out),
            _ => plain::encode(array, out),
        }
        encoding
    }

    fn encode_texts<T: ByteViewType>(
        &mut self,
        ty: &LogicalType,
        texts: &GenericByteViewArray<T>,
        array: &ArrayRef,
        out: &mut Vec<u8>,
    ) -> Put {
        let Some(mut dictionary) = dictionary_that_pays(texts) else {
            self.texts.load(texts);
            let (encoding, compression) = self.texts.encode(&mut self.compressor, out);
            return Put { encoding, compression, zone_map: ZoneMap::of(ty, array) };
        };
        let zone_map = ZoneMap::of_distinct(ty, texts, dictionary.entries.iter().map(|row| *row as usize));
        if dictionary.entries.len() == 1 {
            return Put::new(encode_constant(array, out), zone_map);
        }
        out.put_u32(dictionary.entries.len() as u32);
        self.texts.load(&dictionary.distinct(texts));
        child::encode(out, |out| {
            let start = out.len();
            let (encoding, compression) = self.texts.encode(&mut self.compressor, out);
            let value_bytes = (out.len() - start) as u64;
            let shrunk = self.compressor.shrink(compression, start, out);
            let compression = if shrunk { compression } else { Compression::None };
            (ChunkForm { encoding, compression, null_count: 0, value_bytes }, ())
        });
        numbers::encode(&mut dictionary.codes, out);
        Put::new(Encoding::Dictionary, zone_map)
    }
}

/// Appends the first value that is not NULL, for all of them.
fn encode_constant(array: &ArrayRef, out: &mut Vec<u8>) -> Encoding {
    let first = array.nulls().map_or(Some(0), |nulls| nulls.valid_indices().next());
    let first = first.expect("a chunk of NULLs alone has been told apart before");
    array_codec::encode(&array.slice(first, 1), out);
    Encoding::Constant
}

/// Most entries of a dictionary: its views stay within a processor's caches.
const DICTIONARY_ENTRIES_MAX: usize = 1 << 15;

fn dictionary_that_pays<T: ByteViewType>(texts: &GenericByteViewArray<T>) -> Option<Dictionary> {
    let rows = texts.len();
    let entries_max = rows.div_ceil(2).min(DICTIONARY_ENTRIES_MAX);
    if rows > 2 * choose::TEXT_SAMPLE_ROWS {
        let step = rows / choose::TEXT_SAMPLE_ROWS;
        let sampled = (0..choose::TEXT_SAMPLE_ROWS).map(|i| i * step);
        let sample = Dictionary::build(texts, sampled, choose::TEXT_SAMPLE_ROWS)?;
        let distinct = sample.entries.len();
        if !choose::for_texts(choose::TextSample { rows: choose::TEXT_SAMPLE_ROWS, distinct, entries_max }) {
            return None;
        }
    }
    let built = Dictionary::build(texts, 0..rows, entries_max)?;
    let length = |row: &u32| byte_views::view_length(texts.views()[*row as usize]);
    let size = choose::DictionarySize {
        rows,
        entries: built.entries.len(),
        entry_bytes: built.entries.iter().map(length).sum(),
        bytes: byte_views::lengths(texts).sum(),
    };
    choose::dictionary_pays(size).then_some(built)
}
