//! Rows into columns: the one pass.
//!
//! **Invariants**
//! 1. A column's builder never runs ahead of the row at hand by more than that row; it lags behind while rows do not
//!    mention it, and catches up at the next mention or at the end.
//! 2. What a row's earlier values left behind (faults, roundings, values) is undone when a key comes again: last wins.
//! 3. Whether a row is accepted is decided once, at its end.
//!
//! It knows an object as a row; where rows are found in a body is `json::mod`'s part.

use std::collections::BTreeSet;

use arrow_array::ArrayRef;
use siltstone_storage::{ColumnId, TableSchema};

use super::builders::Builder;
use super::faults::{Owner, RowFaults, Words, cut_name};
use super::fields::{FieldId, Fields, ROW_START, Target};
use super::fresh::FreshFields;
use super::scanner::{Scanner, Stop, Token, compact_len, unescape};
use super::slot::{Notes, Sight, Slot};
use crate::coerce::Context;
use crate::error_vector::{ErrorCode, ErrorVectors};
use crate::infer::Kinds;
use crate::{CaseTwins, Decoded, Policy, UnknownFields, Warning};

/// Rows that room is made for at once; past it builders grow as they go.
const RESERVED_ROWS_MAX: usize = 65_536;

/// Names of ignored fields that are told apart.
const IGNORED_MAX: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    scanner: Scanner<'a>,
    policy: &'a Policy,
    table: Option<&'a TableSchema>,
    slots: Vec<Slot<'a>>,
    /// Columns that every row must mention.
    required: Vec<usize>,
    /// Columns of the key to merge by.
    keys: Vec<usize>,
    fields: Fields<'a>,
    fresh: FreshFields,
    faults: RowFaults,
    /// Columns rounded in the row at hand.
    rounded: Vec<usize>,
    errors: ErrorVectors,
    ignored: BTreeSet<String>,
    context: Context,
    scratch: String,
    row: usize,
    /// Containers open around a value.
    depth: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        scanner: Scanner<'a>,
        table: Option<&'a TableSchema>,
        key: &[ColumnId],
        policy: &'a Policy,
    ) -> Self {
        let columns = table.map_or(&[][..], TableSchema::columns);
        let slots: Vec<_> = columns.iter().map(|column| Slot::new(column, key.contains(&column.id))).collect();
        Self {
            scanner,
            policy,
            table,
            required: (0..slots.len()).filter(|i| slots[*i].is_required()).collect(),
            keys: (0..slots.len()).filter(|i| key.contains(&slots[*i].column.id)).collect(),
            slots,
            fields: Fields::new(columns),
            fresh: FreshFields::new(policy.new_columns_max.min(TableSchema::COLUMNS_MAX.saturating_sub(columns.len()))),
            faults: RowFaults::default(),
            rounded: Vec::new(),
            errors: ErrorVectors::default(),
            ignored: BTreeSet::new(),
            context: Context::new(policy.fractions),
            scratch: String::new(),
            row: 0,
            depth: 0,
        }
    }

    pub(crate) fn scanner(&mut self) -> &mut Scanner<'a> {
        &mut self.scanner
    }

    /// Rows read.
    pub(crate) fn count(&self) -> usize {
        self.row
    }

    /// Reads the value at the cursor as the next row. `depth` containers are open around it.
    pub(crate) fn read(&mut self, depth: usize) -> Result<(), Stop> {
        self.depth = depth + 1;
        let start = self.scanner.at();
        if self.scanner.next_byte() == Some(b'{') {
            self.object()?;
        } else {
            let token = self.scanner.value(depth, &mut self.scratch)?;
            let words = self.faults.wants_words(&self.errors).then(|| Words::not_an_object(&token));
            self.faults.note_unbound(Owner::Row, ErrorCode::NotAnObject, words);
        }
        self.end_row();
        if self.row == 1 {
            self.reserve(self.scanner.at() - start);
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(), Stop> {
        self.scanner.advance(1);
        if self.scanner.next_byte() == Some(b'}') {
            self.scanner.advance(1);
            return Ok(());
        }
        let mut previous = ROW_START;
        loop {
            previous = self.member(previous)?;
            match self.scanner.next_byte() {
                Some(b',') => self.scanner.advance(1),
                Some(b'}') => {
                    self.scanner.advance(1);
                    return Ok(());
                }
                _ => return Err(self.scanner.syntax("expected ',' or '}'")),
            }
        }
    }

    /// Reads one member; the field it was, else `previous`.
    #[inline]
    fn member(&mut self, previous: FieldId) -> Result<FieldId, Stop> {
        if self.scanner.next_byte() != Some(b'"') {
            return Err(self.scanner.syntax("expected a member name in quotes"));
        }
        let key_at = self.scanner.at();
        let field = match self.fields.guess(previous, self.scanner.rest()) {
            Some((field, key_bytes)) => {
                self.scanner.advance(key_bytes);
                Some(field)
            }
            None => self.look_up(previous)?,
        };
        self.scanner.expect(b':', "expected ':' after a member name")?;
        let Some(field) = field else {
            self.scanner.skip_value(self.depth)?;
            return Ok(previous);
        };
        match self.fields.target(field) {
            Target::Column(i) => self.column_value(i, key_at)?,
            Target::Fresh(i) => self.fresh_value(i, key_at)?,
        }
        Ok(field)
    }

    /// Finds the field of the key at the cursor by its name, or adds it; `None` if it cannot be one.
    #[cold]
    fn look_up(&mut self, previous: FieldId) -> Result<Option<FieldId>, Stop> {
        let raw = self.scanner.string()?;
        let name = if raw.escaped { unescaped(raw.text, &mut self.scratch) } else { raw.text };
        let found = self.fields.find(name);
        if let Some(field) = found.or_else(|| add_field(&mut self.fields, &mut self.fresh, name)) {
            self.fields.learn(previous, field, raw.text);
            return Ok(Some(field));
        }
        let (code, words): (_, fn() -> Words) = match self.policy.unknown_fields {
            _ if !is_column_name(name) => (ErrorCode::InvalidFieldName, Words::bad_name),
            UnknownFields::Ignore => return Ok(None),
            UnknownFields::Reject => (ErrorCode::UnknownField, Words::unknown_field),
            UnknownFields::Add => (ErrorCode::TooManyColumns, || Words::too_many_columns(TableSchema::COLUMNS_MAX)),
        };
        let words = self.faults.wants_words(&self.errors).then(words);
        self.faults.note_unbound(Owner::Name(cut_name(name)), code, words);
        Ok(None)
    }

    #[inline]
    fn column_value(&mut self, i: usize, key_at: usize) -> Result<(), Stop> {
        let token = self.scanner.value(self.depth, &mut self.scratch)?;
        let slot = &mut self.slots[i];
        let builder = slot.builder.get_or_insert_with(|| Builder::new(&slot.column.logical_type));
        if slot.filled > self.row {
            builder.truncate(self.row);
            slot.rounded = false;
            let twins = self.policy.case_twins;
            repeat(&mut slot.sight, key_at, &self.scanner, twins, &mut self.faults, Target::Column(i));
        } else {
            if slot.filled < self.row {
                builder.push_default(slot.default, self.row - slot.filled);
            }
            slot.sight = Sight { row_end: self.row + 1, key_at, fault: None };
        }
        slot.filled = self.row + 1;
        let outcome = match over_limit(&token, self.policy) {
            None => match slot.null_fault {
                Some(code) if matches!(token, Token::Null) => Err(code),
                _ => builder.push(&token, &mut self.context),
            },
            Some(code) => Err(code),
        };
        if let Err(code) = outcome {
            let target = Target::Column(i);
            let notes = Notes { target, faults: &mut self.faults, errors: &self.errors, policy: self.policy };
            slot.refuse(code, &token, self.row, notes);
        }
        if self.context.rounded || !self.context.dropped.is_empty() {
            self.note_losses(i);
        }
        Ok(())
    }

    /// Notes what coercion left out of a column's value.
    #[cold]
    fn note_losses(&mut self, i: usize) {
        let slot = &mut self.slots[i];
        if std::mem::take(&mut self.context.rounded) && !std::mem::replace(&mut slot.rounded, true) {
            self.rounded.push(i);
        }
        for member in self.context.dropped.drain(..) {
            if self.ignored.len() < IGNORED_MAX {
                self.ignored.insert(format!("{}.{member}", slot.column.name));
            }
        }
    }

    fn fresh_value(&mut self, i: usize, key_at: usize) -> Result<(), Stop> {
        self.scanner.next_byte();
        let at = self.scanner.at();
        let token = self.scanner.value(self.depth, &mut self.scratch)?;
        if self.fresh.fields[i].sight.row_end > self.row {
            let sight = &mut self.fresh.fields[i].sight;
            repeat(sight, key_at, &self.scanner, self.policy.case_twins, &mut self.faults, Target::Fresh(i));
        } else {
            self.fresh.first_sight(i);
            self.fresh.fields[i].sight = Sight { row_end: self.row + 1, key_at, fault: None };
        }
        let outcome = match (self.policy.unknown_fields, over_limit(&token, self.policy)) {
            (UnknownFields::Reject, _) => Err(ErrorCode::UnknownField),
            (_, Some(code)) => Err(code),
            (UnknownFields::Ignore, None) => Ok(Kinds::default()),
            (UnknownFields::Add, None) => Kinds::of(&token),
        };
        match outcome {
            Ok(kinds) => self.fresh.stage(i, at, kinds),
            Err(code) => {
                let ty = &siltstone_storage::LogicalType::Double;
                let words = self.faults.wants_words(&self.errors).then(|| match code {
                    ErrorCode::UnknownField => Words::unknown_field(),
                    _ => Words::refused_value(code, &token, ty, self.policy),
                });
                self.fresh_fault(i, code, words);
            }
        }
        Ok(())
    }

    fn fresh_fault(&mut self, i: usize, code: ErrorCode, words: Option<Words>) {
        let sight = &mut self.fresh.fields[i].sight;
        if !self.faults.is_ambiguous(sight.fault) {
            sight.fault = Some(self.faults.note(sight.fault, Target::Fresh(i), code, words));
        }
    }

    /// Decides whether the row is accepted.
    fn end_row(&mut self) {
        if !self.faults.is_not_a_row() {
            self.check_required();
        }
        if self.faults.is_empty() {
            self.check_new_columns();
        }
        // Positions are 32-bit: the rows of a body are limited to Batch::ROWS_MAX.
        let row = self.row as u32;
        let accepted = self.faults.is_empty();
        if accepted {
            self.fresh.accept(row);
        } else {
            self.fresh.reject();
            self.drop_ambiguous_keys();
            let (slots, fresh) = (&self.slots, &self.fresh);
            self.faults.commit(row, &mut self.errors, |target| match target {
                Target::Column(i) => &slots[i].column.name,
                Target::Fresh(i) => &fresh.fields[i].name,
            });
        }
        for column in self.rounded.drain(..) {
            let slot = &mut self.slots[column];
            slot.rounded_values += usize::from(std::mem::take(&mut slot.rounded) && accepted);
        }
        self.faults.clear();
        self.row += 1;
    }

    /// Refuses the row for each column that it must mention and does not.
    fn check_required(&mut self) {
        for column in self.required.iter().copied() {
            let slot = &self.slots[column];
            if let Some(code) = slot.null_fault.filter(|_| slot.filled <= self.row) {
                let words = self.faults.wants_words(&self.errors).then(|| Words::missing_value(code));
                self.faults.note(None, Target::Column(column), code, words);
            }
        }
    }

    /// Takes the key from a rejected row that named it twice: there is no telling which one was meant.
    fn drop_ambiguous_keys(&mut self) {
        for key in &self.keys {
            let slot = &mut self.slots[*key];
            if slot.filled > self.row && self.faults.is_ambiguous(slot.sight.fault) {
                slot.forget_value(self.row);
            }
        }
    }

    /// Refuses the row if it would bring too many columns.
    fn check_new_columns(&mut self) {
        if let Some(field) = self.fresh.one_too_many() {
            let limit = self.fresh.columns_max();
            let words = self.faults.wants_words(&self.errors).then(|| Words::too_many_columns(limit));
            self.fresh_fault(field, ErrorCode::TooManyColumns, words);
        }
    }

    /// Makes room for the rest of the body, guessing that all rows are like the first one, which took `row_bytes`.
    fn reserve(&mut self, row_bytes: usize) {
        let rest = self.scanner.rest().len();
        let rows = (rest / row_bytes.max(1)).min(self.policy.rows_max).min(RESERVED_ROWS_MAX);
        if rows > 1 {
            for builder in self.slots.iter_mut().filter_map(|slot| slot.builder.as_mut()) {
                builder.reserve(rows, rest);
            }
        }
    }

    /// The body as columns.
    pub(crate) fn finish(mut self) -> Result<Decoded, Stop> {
        let rows = self.row;
        let mut warnings = Vec::new();
        let mut columns = Vec::new();
        for slot in &mut self.slots {
            if let Some(mut builder) = slot.builder.take() {
                builder.push_default(slot.default, rows - slot.filled);
                columns.push((slot.column.id, builder.finish()));
            }
            if slot.rounded_values > 0 {
                let column = slot.column.name.clone();
                warnings.push(Warning::Rounded { column, values: slot.rounded_values });
            }
        }
        let schema = match self.policy.unknown_fields {
            UnknownFields::Add => self.add_columns(&mut columns, &mut warnings)?,
            UnknownFields::Ignore => {
                self.ignored.extend(self.fresh.fields.drain(..).take(IGNORED_MAX).map(|field| field.name));
                None
            }
            UnknownFields::Reject => None,
        };
        warnings.extend(self.ignored.into_iter().map(|field| Warning::FieldIgnored { field }));
        Ok(Decoded { rows, columns, schema, errors: self.errors, warnings })
    }

    fn add_columns(
        &mut self,
        columns: &mut Vec<(ColumnId, ArrayRef)>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<TableSchema>, Stop> {
        let (fields, added): (Vec<_>, Vec<_>) = self.fresh.columns(self.table.is_none()).into_iter().unzip();
        if added.is_empty() {
            return Ok(None);
        }
        let before = self.slots.len();
        let schema = match self.table {
            Some(table) => table.with_columns(added),
            None => TableSchema::new(added, &[]),
        }
        .expect("names, their number and their distinctness were checked as they came");
        for (field, column) in fields.into_iter().zip(&schema.columns()[before..]) {
            let ty = &column.logical_type;
            let builder = self.fresh.build(field, ty, self.row, &self.scanner, &mut self.context)?;
            columns.push((column.id, builder.finish()));
            warnings.push(Warning::ColumnAdded { column: column.name.clone(), logical_type: ty.clone() });
        }
        Ok(Some(schema))
    }
}

/// A field named again in the same row: last wins, unless the spellings differ and the policy minds.
#[cold]
fn repeat(
    sight: &mut Sight,
    key_at: usize,
    body: &Scanner<'_>,
    twins: CaseTwins,
    faults: &mut RowFaults,
    target: Target,
) {
    let (first, second) = (key_text(body, sight.key_at), key_text(body, key_at));
    if twins == CaseTwins::Reject && first != second && !faults.is_ambiguous(sight.fault) {
        let words = Some(Words::ambiguous(&cut_name(&first), &cut_name(&second)));
        sight.fault = Some(faults.note(sight.fault, target, ErrorCode::AmbiguousField, words));
    } else if let Some(fault) = sight.fault {
        faults.take_back(fault);
    }
    sight.key_at = key_at;
}

/// The key that stands somewhere in the body, unescaped.
fn key_text(body: &Scanner<'_>, at: usize) -> String {
    let mut name = String::new();
    if let Ok(raw) = body.moved_to(at).string() {
        unescape(raw.text, &mut name);
    }
    name
}

fn add_field(fields: &mut Fields<'_>, fresh: &mut FreshFields, name: &str) -> Option<FieldId> {
    let index = if is_column_name(name) { fresh.add(name)? } else { return None };
    Some(fields.add(name, Target::Fresh(index)))
}

fn is_column_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0') && name.chars().nth(TableSchema::NAME_CHARS_MAX).is_none()
}

fn unescaped<'s>(raw: &str, scratch: &'s mut String) -> &'s str {
    scratch.clear();
    unescape(raw, scratch);
    scratch
}

/// Which limit a value breaks.
#[inline]
fn over_limit(token: &Token<'_>, policy: &Policy) -> Option<ErrorCode> {
    let max = policy.field_bytes_max;
    let too_large = match token {
        Token::Text(text) => text.len() > max,
        Token::Number(number) => number.text.len() > max,
        Token::Array(container) | Token::Object(container) => {
            // The row itself is the first level.
            if container.depth + 1 > policy.row_depth_max {
                return Some(ErrorCode::NestingTooDeep);
            }
            container.text.len() > max && compact_len(container.text) > max
        }
        Token::Null | Token::Bool(_) | Token::NonFinite(_) => false,
    };
    too_large.then_some(ErrorCode::FieldTooLarge)
}
