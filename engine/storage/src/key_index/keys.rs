//! Keys as hashes of a fixed width.
//!
//! **Invariants**
//! 1. *Exact*: a key of at most 64 bits is its own number, mixed by a bijection: equal hashes are equal keys, by arithmetic.
//! 2. *Wide*: any other key is encoded without ambiguity and put through SipHash-2-4 with 128 bits of output, keyed with the database's
//!    secret. SipHash is a pseudo-random function: to one who does not know the secret, two different keys get the same 128 bits with
//!    probability 2^-128, however they were chosen. Among 2^40 keys there are 2^79 pairs, so that one pair collides with probability
//!    2^-49: below that of a disk returning wrong bytes under a right checksum.
//! 3. Equality of keys: text and bytes by bytes; -0.0 is 0.0, all NaNs are one; dates, times and numbers by value.
//! 4. Equal [`KeyLayout`]s make equal hashes. A column that is widened within its kind (INTEGER to BIGINT, FLOAT to DOUBLE) keeps layout and
//!    hashes where it has 64 bits to itself: alone, or in a wide key.
//!
//! The mixing has the secret in it, too, so that nobody can choose keys that all land in one place of an index.
//! It does not know which columns of which table the keys are.

mod columns;
#[cfg(test)]
mod tests;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use hashbrown::HashTable;
use siphasher::sip128::SipHasher24;

use self::columns::{ColumnValues, numbers};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::PutBytes;
use crate::logical_type::LogicalType;

/// How a key becomes a hash. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum KeyForm {
    /// 64 bits, from which the key could be computed.
    Exact = 1,
    /// 128 bits of a keyed hash.
    Wide = 2,
}

/// What a key column holds, as far as equality goes. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum KeyKind {
    Boolean = 1,
    /// Signed or not, of any width: the value modulo 2^64. Types of one kind that are changed into each other keep their values.
    Integer = 2,
    Float = 3,
    Decimal = 4,
    Bytes = 5,
    Date = 6,
    Time = 7,
    Timestamp = 8,
    TimestampTz = 9,
    TimestampS = 10,
    TimestampMs = 11,
    TimestampNs = 12,
}

/// How one column enters the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyColumn {
    pub(super) kind: KeyKind,
    /// Bits it takes: 64 for numbers unless several share the 64 bits of an exact key, 128 for decimals, 0 for bytes.
    pub(super) bits: u8,
    /// Digits after the point of a decimal.
    pub(super) scale: u8,
}

/// All that decides which hash a key gets, but for the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyLayout {
    form: KeyForm,
    columns: Vec<KeyColumn>,
    /// Tells secrets apart without telling them.
    secret_check: u64,
}

impl KeyLayout {
    /// How its keys become hashes.
    pub(crate) fn form(&self) -> KeyForm {
        self.form
    }

    /// Appends form, secret check, number of columns, and each as kind, bits, scale.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.form as u8);
        out.put_u64(self.secret_check);
        out.put_u32(u32::try_from(self.columns.len()).expect("a table has fewer than 2^32 columns"));
        for column in &self.columns {
            out.put(&[column.kind as u8, column.bits, column.scale]);
        }
    }
}

/// Makes keys of columns.
#[derive(Clone, Debug)]
pub(crate) struct KeyHasher {
    layout: KeyLayout,
    sip: SipHasher24,
    /// Enter the mix of exact keys.
    mix: [u64; 2],
}

impl KeyHasher {
    /// For keys of these columns, in this order. `secret` is the database's: another one makes other hashes.
    ///
    /// # Errors
    /// `Unsupported` for a type that cannot be a key (LIST, STRUCT, JSON, INTERVAL), `Invalid` without columns.
    pub(crate) fn new(types: &[LogicalType], secret: [u8; 16]) -> Result<Self> {
        if types.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a key needs at least one column"));
        }
        let columns = types.iter().map(columns::key_column).collect::<Result<Vec<_>>>()?;
        let packed: u32 = columns.iter().map(|column| u32::from(column.bits)).sum();
        let fits = packed <= 64 && columns.iter().all(|column| column.kind != KeyKind::Bytes);
        let form = if fits { KeyForm::Exact } else { KeyForm::Wide };
        let share = form == KeyForm::Exact && columns.len() > 1;
        let columns = columns.into_iter().map(|column| if share { column } else { column.alone() }).collect();
        let sip = SipHasher24::new_with_key(&secret);
        let mix = sip.hash(b"siltstone exact keys");
        let secret_check = sip.hash(b"siltstone secret check").h1;
        Ok(Self { layout: KeyLayout { form, columns, secret_check }, sip, mix: [mix.h1, mix.h2] })
    }

    /// What decides the hashes.
    pub(crate) fn layout(&self) -> &KeyLayout {
        &self.layout
    }

    /// The keys of some rows, a column at a time where they are exact. Columns may be of any type of the right kind (an INTEGER array for a
    /// BIGINT key), unless several share the 64 bits of an exact key.
    ///
    /// # Errors
    /// `Internal` if the columns are not those of this key: other kinds, another number of them, different lengths.
    pub(crate) fn hash(&self, columns: &[ArrayRef]) -> Result<Keys> {
        let rows = columns.first().map_or(0, |column| column.len());
        let fits = columns.len() == self.layout.columns.len() && columns.iter().all(|column| column.len() == rows);
        if !fits {
            let lengths: Vec<usize> = columns.iter().map(|column| column.len()).collect();
            let expected = self.layout.columns.len();
            return Err(Error::new(
                ErrorKind::Internal,
                format!("not the columns of the key: expected={expected} of equal length, found={lengths:?}"),
            ));
        }
        let nulls = columns.iter().fold(None, |nulls, column| NullBuffer::union(nulls.as_ref(), column.nulls()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let (hashes, second) = match self.layout.form {
            KeyForm::Exact => (self.hash_exact(columns)?, Vec::new()),
            KeyForm::Wide => self.hash_wide(rows, columns, nulls.as_ref())?,
        };
        Ok(Keys { form: self.layout.form, nulls, hashes, second })
    }

    fn hash_exact(&self, columns: &[ArrayRef]) -> Result<Vec<u64>> {
        let mut images = numbers(&self.layout.columns[0], &columns[0])?;
        for (spec, column) in self.layout.columns.iter().zip(columns).skip(1) {
            let mask = u64::MAX >> (64 - u32::from(spec.bits));
            for (image, next) in images.iter_mut().zip(numbers(spec, column)?) {
                *image = (*image << spec.bits) | (next & mask);
            }
        }
        let [before, between] = self.mix;
        images.iter_mut().for_each(|image| *image = mix(*image, before, between));
        Ok(images)
    }

    fn hash_wide(&self, rows: usize, columns: &[ArrayRef], nulls: Option<&NullBuffer>) -> Result<(Vec<u64>, Vec<u64>)> {
        let values = self.layout.columns.iter().zip(columns);
        let values = values.map(|(spec, column)| ColumnValues::of(spec, column)).collect::<Result<Vec<_>>>()?;
        let (mut first, mut second) = (vec![0; rows], vec![0; rows]);
        let mut encoded = Vec::new();
        for row in 0..rows {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            encoded.clear();
            values.iter().for_each(|column| column.encode(row, &mut encoded));
            let hash = self.sip.hash(&encoded);
            (first[row], second[row]) = (hash.h1, hash.h2);
        }
        Ok((first, second))
    }
}

/// A bijection of 64-bit numbers for given constants: each step can be undone (xor with a constant or with the number's own higher bits, a
/// product with an odd number, a sum), and the steps are enough for every input bit to reach every output bit. The multipliers are those of
/// the splitmix64 and MurmurHash3 finalisers.
#[inline]
fn mix(value: u64, before: u64, between: u64) -> u64 {
    let value = value ^ before;
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let value = (value ^ (value >> 31)).wrapping_add(between);
    let value = (value ^ (value >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^ (value >> 32)
}

/// The keys of some rows, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    form: KeyForm,
    /// Rows without a key, if there are any: NULL in one of its columns. Their hashes mean nothing.
    nulls: Option<NullBuffer>,
    hashes: Vec<u64>,
    /// The other half of wide hashes; empty for exact ones.
    second: Vec<u64>,
}

impl Keys {
    /// No rows.
    pub(crate) fn empty(form: KeyForm) -> Self {
        Self { form, nulls: None, hashes: Vec::new(), second: Vec::new() }
    }

    /// Adds the rows of `other` after its own.
    ///
    /// # Panics
    /// If the forms differ.
    pub(crate) fn append(&mut self, other: &Self) {
        assert_eq!(self.form, other.form, "keys of one index have one form");
        if self.nulls.is_some() || other.nulls.is_some() {
            let valid = |keys: &Self, row| !keys.is_null(row as u32);
            let own = (0..self.rows()).map(|row| valid(self, row));
            self.nulls = Some(own.chain((0..other.rows()).map(|row| valid(other, row))).collect());
        }
        self.hashes.extend_from_slice(&other.hashes);
        self.second.extend_from_slice(&other.second);
    }

    /// How the hashes were made.
    pub(crate) fn form(&self) -> KeyForm {
        self.form
    }

    /// Number of rows, those without a key included.
    pub(crate) fn rows(&self) -> usize {
        self.hashes.len()
    }

    /// Which rows have no key because of a NULL; `None` if all have one.
    pub(crate) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// Whether a row has no key.
    #[inline]
    pub(crate) fn is_null(&self, row: u32) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row as usize))
    }

    /// The 64 bits that say where in an index the key is, and all of it if it is exact.
    #[inline]
    pub(super) fn first(&self, row: u32) -> u64 {
        self.hashes[row as usize]
    }

    /// The same keys as if all shared the first bits of the hash: what never happens by itself.
    #[cfg(test)]
    pub(super) fn with_first_halves(&self, first: u64) -> Self {
        Self { hashes: vec![first; self.rows()], ..self.clone() }
    }

    /// All that tells a key from others.
    pub(crate) fn whole(&self, row: u32) -> u128 {
        u128::from(self.first(row)) << 64 | u128::from(self.second(row))
    }

    /// What tells apart wide keys that share the first bits; 0 for exact ones.
    #[inline]
    pub(super) fn second(&self, row: u32) -> u64 {
        self.second.get(row as usize).copied().unwrap_or(0)
    }
}

/// Rows whose key an earlier row has, with the first row of that key: (first row, repeated row), by repeated row.
pub(crate) fn duplicates(keys: &Keys) -> Vec<(u32, u32)> {
    let rows = u32::try_from(keys.rows()).expect("a batch has fewer than 2^32 rows");
    let mut firsts: HashTable<u32> = HashTable::with_capacity(keys.rows());
    let mut repeated = Vec::new();
    for row in (0..rows).filter(|row| !keys.is_null(*row)) {
        let (first, second) = (keys.first(row), keys.second(row));
        let same = |other: &u32| keys.first(*other) == first && keys.second(*other) == second;
        match firsts.entry(first, same, |other| keys.first(*other)) {
            hashbrown::hash_table::Entry::Occupied(entry) => repeated.push((*entry.get(), row)),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(row);
            }
        }
    }
    repeated
}
