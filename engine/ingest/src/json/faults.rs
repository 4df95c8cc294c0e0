//! The faults of the row at hand, until it is known whether they stand.
//!
//! **Invariants**
//! 1. A field has at most one fault per row; a later value of the same field takes the earlier one's fault back.
//! 2. Words are made only while someone will read them.

use siltstone_storage::LogicalType;

use super::fields::Target;
use super::scanner::Token;
use crate::Policy;
use crate::error_vector::{ErrorCode, ErrorVectors, RowError};

/// Faults without a field of their own that one row may list; more of them say nothing new.
const UNBOUND_MAX: usize = 1_000;

/// Characters kept of a value, and of a name that is no column's.
const VALUE_CHARS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 255;
/// Characters kept of a type's name.
const TYPE_CHARS_MAX: usize = 400;

/// Whose fault it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Owner {
    Field(Target),
    /// A name that cannot be a column's.
    Name(String),
    Row,
}

#[derive(Debug)]
struct Fault {
    owner: Owner,
    code: ErrorCode,
    words: Option<Words>,
}

/// What people are told.
#[derive(Debug)]
pub(crate) struct Words {
    pub message: String,
    pub value: Option<String>,
}

/// A field's place among the row's faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FaultId(usize);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RowFaults {
    /// `None` where a fault was taken back.
    faults: Vec<Option<Fault>>,
    standing: usize,
    unbound: usize,
}

impl RowFaults {
    pub(crate) fn is_empty(&self) -> bool {
        self.standing == 0
    }

    /// Whether the row is refused as a whole.
    pub(crate) fn is_not_a_row(&self) -> bool {
        self.faults.first().and_then(Option::as_ref).is_some_and(|fault| fault.owner == Owner::Row)
    }

    /// Notes a fault of a field; `earlier` is the place of the one it had in this row.
    pub(crate) fn note(
        &mut self,
        earlier: Option<FaultId>,
        target: Target,
        code: ErrorCode,
        words: Option<Words>,
    ) -> FaultId {
        let fault = Fault { owner: Owner::Field(target), code, words };
        let Some(place) = earlier else {
            self.standing += 1;
            self.faults.push(Some(fault));
            return FaultId(self.faults.len() - 1);
        };
        if self.faults[place.0].replace(fault).is_none() {
            self.standing += 1;
        }
        place
    }

    /// Notes a fault of the row, or of a name that is no field's.
    pub(crate) fn note_unbound(&mut self, owner: Owner, code: ErrorCode, words: Option<Words>) {
        if self.unbound < UNBOUND_MAX {
            self.unbound += 1;
            self.standing += 1;
            self.faults.push(Some(Fault { owner, code, words }));
        }
    }

    /// Takes a field's fault back, unless it is about the field's very repetition.
    pub(crate) fn take_back(&mut self, place: FaultId) {
        let fault = &mut self.faults[place.0];
        if fault.as_ref().is_some_and(|fault| fault.code != ErrorCode::AmbiguousField) {
            *fault = None;
            self.standing -= 1;
        }
    }

    /// Whether the field is refused for its repetition.
    pub(crate) fn is_ambiguous(&self, place: Option<FaultId>) -> bool {
        let fault = place.and_then(|place| self.faults[place.0].as_ref());
        fault.is_some_and(|fault| fault.code == ErrorCode::AmbiguousField)
    }

    /// Whether words for another fault are of use.
    pub(crate) fn wants_words(&self, errors: &ErrorVectors) -> bool {
        errors.keeps_words() && self.faults.len() < UNBOUND_MAX
    }

    /// Hands the standing faults on, in the order in which they were found.
    pub(crate) fn commit<'n>(&mut self, row: u32, errors: &mut ErrorVectors, name: impl Fn(Target) -> &'n str) {
        for fault in self.faults.drain(..).flatten() {
            let field = match &fault.owner {
                Owner::Field(target) => Some(name(*target)),
                Owner::Name(name) => Some(name.as_str()),
                Owner::Row => None,
            };
            let words = fault.words.map(|words| RowError {
                row: row as usize,
                field: field.map(str::to_owned),
                code: fault.code,
                message: words.message,
                value: words.value,
            });
            errors.insert(row, field, fault.code, words);
        }
        self.clear();
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
        self.standing = 0;
        self.unbound = 0;
    }
}

impl Words {
    fn of(message: String) -> Self {
        Self { message, value: None }
    }

    /// A value that does not fit a type, or breaks a limit.
    pub(crate) fn refused_value(code: ErrorCode, token: &Token<'_>, ty: &LogicalType, policy: &Policy) -> Self {
        let value = cut(value_text(token), VALUE_CHARS_MAX);
        let ty = type_name(ty);
        let described = match token {
            Token::Text(_) => format!("string '{value}'"),
            _ => format!("{} {value}", kind(token)),
        };
        let message = match code {
            ErrorCode::OutOfRange => format!("{described} is out of range for {ty}"),
            ErrorCode::NotNullViolation => "the column does not allow NULL".to_owned(),
            ErrorCode::NullPrimaryKey => "the primary key must not be null".to_owned(),
            ErrorCode::FieldTooLarge => format!("the field is larger than {} bytes", policy.field_bytes_max),
            ErrorCode::NestingTooDeep => format!("nesting deeper than {}", policy.row_depth_max),
            _ => format!("cannot convert {described} to {ty}"),
        };
        Self { message, value: Some(value) }
    }

    pub(crate) fn missing_value(code: ErrorCode) -> Self {
        let message = match code {
            ErrorCode::NullPrimaryKey => "the row has no value for the primary key",
            _ => "the column does not allow NULL, and the row has no value for it",
        };
        Self::of(message.to_owned())
    }

    pub(crate) fn not_an_object(token: &Token<'_>) -> Self {
        let value = Some(cut(value_text(token), VALUE_CHARS_MAX));
        Self { message: format!("expected an object, found {}", a_kind(token)), value }
    }

    pub(crate) fn ambiguous(first: &str, second: &str) -> Self {
        Self::of(format!("keys '{first}' and '{second}' name the same column"))
    }

    pub(crate) fn unknown_field() -> Self {
        Self::of("the table has no such column".to_owned())
    }

    pub(crate) fn bad_name() -> Self {
        Self::of(format!("a field name has 1 to {NAME_CHARS_MAX} characters and no NUL"))
    }

    pub(crate) fn too_many_columns(limit: usize) -> Self {
        Self::of(format!("the body may add no more than {limit} columns"))
    }
}

/// A name as it is kept.
pub(crate) fn cut_name(name: &str) -> String {
    cut(name, NAME_CHARS_MAX)
}

/// A type by its name, of which the values of a long ENUM are left out.
fn type_name(ty: &LogicalType) -> String {
    let name = ty.to_string();
    match name.char_indices().nth(TYPE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

fn value_text<'t>(token: &Token<'t>) -> &'t str {
    match token {
        Token::Null => "null",
        Token::Bool(true) => "true",
        Token::Bool(false) => "false",
        Token::Number(number) => number.text,
        Token::NonFinite(value) => value.token(),
        Token::Text(text) => text,
        Token::Array(container) | Token::Object(container) => container.text,
    }
}

fn kind(token: &Token<'_>) -> &'static str {
    match token {
        Token::Null => "value",
        Token::Bool(_) => "boolean",
        Token::Number(_) | Token::NonFinite(_) => "number",
        Token::Text(_) => "string",
        Token::Array(_) => "array",
        Token::Object(_) => "object",
    }
}

/// What a value is, in a sentence.
pub(crate) fn a_kind(token: &Token<'_>) -> &'static str {
    match token {
        Token::Null => "null",
        Token::Bool(_) => "a boolean",
        Token::Number(_) | Token::NonFinite(_) => "a number",
        Token::Text(_) => "a string",
        Token::Array(_) => "an array",
        Token::Object(_) => "an object",
    }
}
