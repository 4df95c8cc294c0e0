//! LIST, `T[n]`, STRUCT and MAP columns: a container's text is taken apart a second time, now that the types inside are known.
//!
//! **Invariants**
//! 1. Recursion follows the column's type, whose depth the schema bounds; never the text.
//! 2. One bad element spoils the whole value: its parts are taken back out of the children.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields};
use siltstone_storage::{LogicalType, folded_name};

use super::builders::Builder;
use super::scanner::{Container, RawString, Scanner, Token, unescape};
use crate::coerce::Context;
use crate::error_vector::ErrorCode;

/// Walks the values of a checked container. `visit` gets the member's name (none in an array) and the value.
fn for_each_value(
    container: &Container<'_>,
    mut visit: impl FnMut(Option<RawString<'_>>, &Token<'_>) -> Result<(), ErrorCode>,
) -> Result<(), ErrorCode> {
    let mut scanner = Scanner::new(container.text, true);
    let mut scratch = String::new();
    let object = scanner.peek() == Some(b'{');
    scanner.advance(1);
    // The text was scanned before, so that nothing below can stop; if it does, the value is refused.
    let refused = |_| ErrorCode::InvalidCast;
    loop {
        match scanner.next_byte() {
            Some(b'}' | b']') | None => return Ok(()),
            Some(b',') => scanner.advance(1),
            Some(_) => {}
        }
        let name = if object { Some(scanner.name().map_err(refused)?) } else { None };
        let token = scanner.value(1, &mut scratch).map_err(refused)?;
        visit(name, &token)?;
    }
}

/// The container that a value is, or that a string spells.
fn container_of<'t>(token: &Token<'t>, open: u8) -> Result<Container<'t>, ErrorCode> {
    match token {
        Token::Array(container) if open == b'[' => Ok(*container),
        Token::Object(container) if open == b'{' => Ok(*container),
        Token::Text(text) => {
            let mut scanner = Scanner::new(text, false);
            let spelled = (scanner.next_byte() == Some(open)).then(|| scanner.container(0).ok()).flatten();
            spelled.filter(|_| scanner.next_byte().is_none()).ok_or(ErrorCode::InvalidCast)
        }
        _ => Err(ErrorCode::InvalidCast),
    }
}

/// Where the parts of each row's value end.
#[derive(Debug)]
struct Ends {
    /// One more than there are rows.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Ends {
    fn new() -> Self {
        Self { offsets: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Parts of all rows.
    fn parts(&self) -> usize {
        self.offsets[self.len()] as usize
    }

    /// A value whose parts end after so many.
    ///
    /// # Errors
    /// `OutOfRange` for more parts than a column has; there is no such row then.
    fn push(&mut self, parts: usize) -> Result<(), ErrorCode> {
        self.offsets.push(i32::try_from(parts).map_err(|_| ErrorCode::OutOfRange)?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_nulls(&mut self, count: usize) {
        let end = self.offsets[self.len()];
        self.offsets.resize(self.offsets.len() + count, end);
        self.nulls.append_n_nulls(count);
    }

    fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        self.nulls.truncate(len);
    }

    fn finish(mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        (OffsetBuffer::new(ScalarBuffer::from(self.offsets)), self.nulls.finish())
    }
}

/// A LIST or `T[n]` column.
#[derive(Debug)]
pub(crate) struct Lists {
    item: Builder,
    field: Arc<Field>,
    /// How many items each value has, if that is fixed.
    items: Option<u32>,
    ends: Ends,
}

impl Lists {
    pub(crate) fn new(item: &LogicalType, items: Option<u32>) -> Self {
        Self { items, item: Builder::new(item), field: Arc::new(item.field("item", true)), ends: Ends::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn push(&mut self, token: &Token<'_>, context: &mut Context) -> Result<(), ErrorCode> {
        let outcome = self.push_items(token, context).and_then(|()| self.ends.push(self.item.len()));
        if outcome.is_err() {
            self.item.truncate(self.ends.parts());
            self.push_nulls(1);
        }
        outcome
    }

    fn push_items(&mut self, token: &Token<'_>, context: &mut Context) -> Result<(), ErrorCode> {
        let before = self.item.len();
        for_each_value(&container_of(token, b'[')?, |_, value| self.item.push(value, context))?;
        if self.items.is_some_and(|items| items as usize != self.item.len() - before) {
            return Err(ErrorCode::InvalidCast);
        }
        Ok(())
    }

    pub(crate) fn push_nulls(&mut self, count: usize) {
        self.ends.push_nulls(count);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.item.truncate(self.ends.parts());
    }

    pub(crate) fn finish(self) -> ArrayRef {
        let (offsets, nulls) = self.ends.finish();
        Arc::new(ListArray::new(self.field, offsets, self.item.finish(), nulls))
    }
}

/// A MAP column.
#[derive(Debug)]
pub(crate) struct Maps {
    keys: Builder,
    values: Builder,
    /// The Arrow form.
    arrow: DataType,
    ends: Ends,
}

impl Maps {
    /// Of a type, with its parts.
    pub(crate) fn new(ty: &LogicalType, parts: &(LogicalType, LogicalType)) -> Self {
        Self { keys: Builder::new(&parts.0), values: Builder::new(&parts.1), arrow: ty.arrow(), ends: Ends::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn push(&mut self, token: &Token<'_>, context: &mut Context) -> Result<(), ErrorCode> {
        let outcome = self.push_entries(token, context).and_then(|()| self.ends.push(self.keys.len()));
        if outcome.is_err() {
            self.keys.truncate(self.ends.parts());
            self.values.truncate(self.ends.parts());
            self.push_nulls(1);
        }
        outcome
    }

    fn push_entries(&mut self, token: &Token<'_>, context: &mut Context) -> Result<(), ErrorCode> {
        let before = self.keys.len();
        let mut name = String::new();
        for_each_value(&container_of(token, b'{')?, |raw, value| {
            name.clear();
            unescape(raw.map_or("", |raw| raw.text), &mut name);
            self.keys.push(&Token::Text(&name), context)?;
            self.values.push(value, context)
        })?;
        if self.keys.has_repeated(before) {
            return Err(ErrorCode::InvalidCast);
        }
        Ok(())
    }

    pub(crate) fn push_nulls(&mut self, count: usize) {
        self.ends.push_nulls(count);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.keys.truncate(self.ends.parts());
        self.values.truncate(self.ends.parts());
    }

    pub(crate) fn finish(self) -> ArrayRef {
        let (offsets, nulls) = self.ends.finish();
        let (DataType::Map(entries, _), parts) = (&self.arrow, vec![self.keys.finish(), self.values.finish()]) else {
            unreachable!("the Arrow form of a MAP");
        };
        let DataType::Struct(fields) = entries.data_type() else { unreachable!("the entries of a MAP") };
        let pairs = StructArray::new(fields.clone(), parts, None);
        Arc::new(MapArray::new(Arc::clone(entries), offsets, pairs, nulls, false))
    }
}

/// A STRUCT column.
#[derive(Debug)]
pub(crate) struct Structs {
    children: Vec<Child>,
    fields: Fields,
    rows: usize,
    nulls: NullBufferBuilder,
}

#[derive(Debug)]
struct Child {
    folded: String,
    values: Builder,
    /// What was wrong with its value in the row at hand.
    fault: Option<ErrorCode>,
}

impl Structs {
    pub(crate) fn new(fields: &[(String, LogicalType)]) -> Self {
        Self {
            children: fields
                .iter()
                .map(|(name, ty)| Child { folded: folded_name(name), values: Builder::new(ty), fault: None })
                .collect(),
            fields: fields.iter().map(|(name, ty)| ty.field(name, true)).collect(),
            rows: 0,
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn push(&mut self, token: &Token<'_>, context: &mut Context) -> Result<(), ErrorCode> {
        let outcome = self.push_members(token, context);
        match outcome {
            Ok(()) => {
                let rows = self.rows + 1;
                for child in self.children.iter_mut().filter(|child| child.values.len() < rows) {
                    child.values.push_nulls(1);
                }
                self.rows = rows;
                self.nulls.append_non_null();
            }
            Err(_) => {
                self.truncate(self.rows);
                self.push_nulls(1);
            }
        }
        outcome
    }

    /// Pushes each member to its child; of a name given twice only the last counts.
    fn push_members(&mut self, token: &Token<'_>, context: &mut Context) -> Result<(), ErrorCode> {
        let rows = self.rows;
        let mut name = String::new();
        for child in &mut self.children {
            child.fault = None;
        }
        for_each_value(&container_of(token, b'{')?, |raw, value| {
            name.clear();
            unescape(raw.map_or("", |raw| raw.text), &mut name);
            let folded = folded_name(&name);
            match self.children.iter_mut().find(|child| child.folded == folded) {
                Some(child) => {
                    child.values.truncate(rows);
                    child.fault = child.values.push(value, context).err();
                }
                None => context.drop_member(&name),
            }
            Ok(())
        })?;
        self.children.iter().find_map(|child| child.fault).map_or(Ok(()), Err)
    }

    pub(crate) fn push_nulls(&mut self, count: usize) {
        for child in &mut self.children {
            child.values.push_nulls(count);
        }
        self.rows += count;
        self.nulls.append_n_nulls(count);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        for child in &mut self.children {
            child.values.truncate(len);
        }
        self.rows = len;
        self.nulls.truncate(len);
    }

    pub(crate) fn finish(mut self) -> ArrayRef {
        if self.children.is_empty() {
            return Arc::new(StructArray::new_empty_fields(self.rows, self.nulls.finish()));
        }
        let children = self.children.into_iter().map(|child| child.values.finish()).collect();
        Arc::new(StructArray::new(self.fields, children, self.nulls.finish()))
    }
}
