//! From a key's bytes to the field it names.
//!
//! Rows of one sender have their keys in one order, so each field remembers which one came after it: the next key is
//! compared with that one's bytes, and only a surprise costs a lookup by folded name.
//!
//! **Invariants**
//! 1. A guess is taken only if the raw bytes between the quotes are those under which the field was found before.
//! 2. Names that fold alike are one field.
//!
//! It does not know what is done with a field.

use std::collections::HashMap;

use siltstone_storage::{Column, folded_name};

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

#[derive(Debug)]
struct Field<'a> {
    target: Target,
    /// As last written, between its quotes; `None` if no row has shown it and its name alone does not tell.
    key: Option<&'a [u8]>,
    /// What came after it last time.
    next: FieldId,
}

/// All fields seen or expected.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    fields: Vec<Field<'a>>,
    /// Built at the first lookup: a body whose keys are as guessed needs none.
    by_name: HashMap<String, FieldId, ahash::RandomState>,
    /// Not yet in `by_name`.
    columns: &'a [Column],
    folded: String,
}

impl<'a> Fields<'a> {
    /// The fields of a table's columns, expected in their order.
    pub(crate) fn new(columns: &'a [Column]) -> Self {
        let mut fields = Vec::with_capacity(columns.len() + 1);
        fields.push(Field { target: Target::Column(usize::MAX), key: None, next: FieldId(1) });
        fields.extend(columns.iter().enumerate().map(|(i, column)| Field {
            target: Target::Column(i),
            key: plain_key(&column.name),
            next: FieldId(i + 2),
        }));
        fields[columns.len()].next = ROW_START;
        Self { fields, by_name: HashMap::default(), columns, folded: String::new() }
    }

    pub(crate) fn target(&self, field: FieldId) -> Target {
        self.fields[field.0].target
    }

    /// The field whose key stands at the start of `rest`, if it is one of those expected after `previous`; and the key's
    /// length, quotes included. The first byte of `rest` is the opening quote.
    #[inline]
    pub(crate) fn guess(&self, previous: FieldId, rest: &[u8]) -> Option<(FieldId, usize)> {
        let mut guess = self.fields[previous.0].next;
        for _ in 0..GUESSES_MAX {
            let field = &self.fields[guess.0];
            if let Some(key) = field.key
                && rest.get(key.len() + 1) == Some(&b'"')
                && rest[1..].starts_with(key)
            {
                return Some((guess, key.len() + 2));
            }
            guess = field.next;
        }
        None
    }

    /// The field of that name.
    pub(crate) fn find(&mut self, name: &str) -> Option<FieldId> {
        for (i, column) in std::mem::take(&mut self.columns).iter().enumerate() {
            self.by_name.insert(folded_name(&column.name), FieldId(i + 1));
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
        self.fields.push(Field { target, key: None, next: ROW_START });
        self.by_name.insert(folded_name(name), id);
        id
    }

    /// Remembers that `field` came after `previous`, its key written as `key` between the quotes.
    pub(crate) fn learn(&mut self, previous: FieldId, field: FieldId, key: &'a str) {
        self.fields[previous.0].next = field;
        self.fields[field.0].key = Some(key.as_bytes());
    }
}

/// A column's key as a sender writes it, unless it would need escapes.
fn plain_key(name: &str) -> Option<&[u8]> {
    let plain = !name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
    plain.then_some(name.as_bytes())
}
