//! Fields that the table has no column for: their values wait in the body until all rows are read and a type is known.
//!
//! **Invariants**
//! 1. Only values of accepted rows are kept, and only where they stand in the body.
//! 2. No accepted row brings the columns to be added past the limit.

use siltstone_storage::{LogicalType, NewColumn};

use super::builders::Builder;
use super::scanner::{Scanner, Stop};
use super::slot::Sight;
use crate::coerce::Context;
use crate::infer::{Kinds, infer};

/// Names told apart in one body. Far above what a table can hold; below what would make names a burden.
const FIELDS_MAX: usize = 16_384;

/// A field without a column.
#[derive(Debug)]
pub(crate) struct FreshField {
    pub name: String,
    pub sight: Sight,
    /// Its place in `staged`, if it has one in the row at hand.
    staged_at: Option<usize>,
    kinds: Kinds,
    kept: Vec<Kept>,
    appeared: bool,
}

/// Where a value stands.
#[derive(Debug)]
struct Kept {
    row: u32,
    at: usize,
}

/// A value of the row at hand.
#[derive(Debug)]
struct Staged {
    field: usize,
    at: usize,
    kinds: Kinds,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct FreshFields {
    pub fields: Vec<FreshField>,
    staged: Vec<Staged>,
    /// Fields in the order in which accepted rows brought them.
    appearance: Vec<usize>,
    /// Fields with a value so far, each of which becomes a column.
    columns: usize,
    columns_max: usize,
}

impl FreshFields {
    pub(crate) fn new(columns_max: usize) -> Self {
        Self { fields: Vec::new(), staged: Vec::new(), appearance: Vec::new(), columns: 0, columns_max }
    }

    pub(crate) fn columns_max(&self) -> usize {
        self.columns_max
    }

    /// Adds a name; its index, or `None` if there are too many.
    pub(crate) fn add(&mut self, name: &str) -> Option<usize> {
        if self.fields.len() == FIELDS_MAX {
            return None;
        }
        self.fields.push(FreshField {
            name: name.to_owned(),
            sight: Sight::default(),
            staged_at: None,
            kinds: Kinds::default(),
            kept: Vec::new(),
            appeared: false,
        });
        Some(self.fields.len() - 1)
    }

    /// Forgets the field's value of an earlier row.
    pub(crate) fn first_sight(&mut self, field: usize) {
        self.fields[field].staged_at = None;
    }

    /// Sets the field's value in the row at hand.
    pub(crate) fn stage(&mut self, field: usize, at: usize, kinds: Kinds) {
        let staged = Staged { field, at, kinds };
        match self.fields[field].staged_at {
            Some(place) => self.staged[place] = staged,
            None => {
                self.fields[field].staged_at = Some(self.staged.len());
                self.staged.push(staged);
            }
        }
    }

    /// The first field of the row at hand that would be a column too many.
    pub(crate) fn one_too_many(&self) -> Option<usize> {
        let adds = |staged: &&Staged| !staged.kinds.is_empty() && self.fields[staged.field].kinds.is_empty();
        self.staged.iter().filter(adds).nth(self.columns_max - self.columns).map(|staged| staged.field)
    }

    /// Keeps the values of an accepted row.
    pub(crate) fn accept(&mut self, row: u32) {
        for Staged { field, at, kinds } in self.staged.drain(..) {
            let fresh = &mut self.fields[field];
            if !std::mem::replace(&mut fresh.appeared, true) {
                self.appearance.push(field);
            }
            if kinds.is_empty() {
                continue;
            }
            if fresh.kinds.is_empty() {
                self.columns += 1;
            }
            fresh.kinds = fresh.kinds.and(kinds);
            fresh.kept.push(Kept { row, at });
        }
    }

    /// Drops the values of a rejected row.
    pub(crate) fn reject(&mut self) {
        self.staged.clear();
    }

    /// The columns to add, with the fields they come from. A new table that would have no column gets one for each name.
    pub(crate) fn columns(&self, new_table: bool) -> Vec<(usize, NewColumn)> {
        let column = |field: usize, ty| (field, NewColumn::new(self.fields[field].name.clone(), ty));
        let typed = |field: &usize| infer(self.fields[*field].kinds).map(|ty| column(*field, ty));
        let columns: Vec<_> = self.appearance.iter().filter_map(typed).collect();
        if columns.is_empty() && new_table {
            let named = self.appearance.iter().take(self.columns_max);
            return named.map(|field| column(*field, LogicalType::Varchar)).collect();
        }
        columns
    }

    /// The values of one field as a column of `rows` rows.
    pub(crate) fn build(
        &self,
        field: usize,
        ty: &LogicalType,
        rows: usize,
        body: &Scanner<'_>,
        context: &mut Context,
    ) -> Result<Builder, Stop> {
        let mut builder = Builder::new(ty);
        let mut scratch = String::new();
        for Kept { row, at } in &self.fields[field].kept {
            builder.push_nulls(*row as usize - builder.len());
            let token = body.moved_to(*at).value(0, &mut scratch)?;
            let outcome = builder.push(&token, context);
            assert!(outcome.is_ok(), "a value does not fit the type inferred from it: type={ty}, outcome={outcome:?}");
        }
        builder.push_nulls(rows - builder.len());
        Ok(builder)
    }
}
