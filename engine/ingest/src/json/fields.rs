//! From a key's bytes to the field it names.
//!
//! Rows of one sender have their keys in one order, so each field remembers which one came after it: the next key is
//! compared with that one's bytes, and only a surprise costs a lookup by folded name.
//!
//! **Invariants**
//! 1. A guess is taken only if the raw bytes, quotes included, are those under which the field was found before.
//! 2. Names that fold alike are one field.
//!
//! It does not know what is done with a field.

use std::collections::HashMap;

use siltstone_storage::folded_name;

/// Where a field's values go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A column of the table, by position.
    Column(usize),
    /// A field that the table has no column for, by order of appearance.
    Fresh(usize),
}

/// A field, as an index into [`Fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldId(usize);

/// Stands before the first field of a row.
pub(crate) const ROW_START: FieldId = FieldId(0);

/// How many fields in a row may be left out before a lookup is cheaper than guessing on.
const GUESSES_MAX: usize = 4;

/// No key begins so: a key begins with a quote.
const NO_KEY: &[u8] = b"\0";

#[derive(Debug)]
struct Field {
    target: Target,
    /// Raw, with quotes.
    key: Vec<u8>,
    /// What came after it last time.
    next: FieldId,
}

/// All fields seen or expected.
#[derive(Debug)]
pub(crate) struct Fields {
    fields: Vec<Field>,
    /// Built at the first lookup: a body whose keys are as guessed needs none.
    by_name: HashMap<String, FieldId, ahash::RandomState>,
    columns: Vec<String>,
    folded: String,
}

impl Fields {
    /// The fields of a table's columns, expected in their order.
    pub(crate) fn new<'n>(columns: impl Iterator<Item = &'n str>) -> Self {
        let start = Field { target: Target::Column(usize::MAX), key: NO_KEY.to_vec(), next: FieldId(1) };
        let mut fields = vec![start];
        let mut names = Vec::new();
        for (i, name) in columns.enumerate() {
            fields.push(Field { target: Target::Column(i), key: plain_key(name), next: FieldId(i + 2) });
            names.push(name.to_owned());
        }
        fields[names.len()].next = ROW_START;
        Self { fields, by_name: HashMap::default(), columns: names, folded: String::new() }
    }

    pub(crate) fn target(&self, field: FieldId) -> Target {
        self.fields[field.0].target
    }

    /// The field whose key stands at the start of `rest`, if it is one of those expected after `previous`; and the key's
    /// length.
    #[inline]
    pub(crate) fn guess(&self, previous: FieldId, rest: &[u8]) -> Option<(FieldId, usize)> {
        let mut guess = self.fields[previous.0].next;
        for _ in 0..GUESSES_MAX {
            let field = &self.fields[guess.0];
            if rest.starts_with(&field.key) {
                return Some((guess, field.key.len()));
            }
            guess = field.next;
        }
        None
    }

    /// The field of that name.
    pub(crate) fn find(&mut self, name: &str) -> Option<FieldId> {
        for (i, column) in self.columns.drain(..).enumerate() {
            self.by_name.insert(folded_name(&column), FieldId(i + 1));
        }
        self.folded.clear();
        if name.is_ascii() {
            self.folded.push_str(name);
            self.folded.make_ascii_lowercase();
        } else {
            self.folded.push_str(&folded_name(name));
        }
        self.by_name.get(&self.folded).copied()
    }

    /// Adds a field that [`Self::find`] did not find.
    pub(crate) fn add(&mut self, name: &str, target: Target) -> FieldId {
        let id = FieldId(self.fields.len());
        self.fields.push(Field { target, key: NO_KEY.to_vec(), next: ROW_START });
        self.by_name.insert(folded_name(name), id);
        id
    }

    /// Remembers that `field` came after `previous`, written as `key` (raw, with quotes).
    pub(crate) fn learn(&mut self, previous: FieldId, field: FieldId, key: &str) {
        self.fields[previous.0].next = field;
        let known = &mut self.fields[field.0].key;
        known.clear();
        known.extend_from_slice(key.as_bytes());
    }
}

/// A column's key as a sender writes it, unless it would need escapes.
fn plain_key(name: &str) -> Vec<u8> {
    if name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)) {
        return NO_KEY.to_vec();
    }
    [b"\"", name.as_bytes(), b"\""].concat()
}
