//! Literals and VALUES lists with the types that DuckDB gives them, made explicit as casts before planning.
//!
//! **Invariants**
//! 1. A number with an exponent, or with more digits than DECIMAL has, is a DOUBLE; one beyond DOUBLE is an error. A whole number beyond
//!    64 bits is a HUGEINT.
//! 2. A column of a VALUES list has one type: typed texts (UUID, JSON, BIT, ENUM) give theirs to NULLs and string literals beside
//!    them; beside anything else they are plain text.
//! 3. Nothing is IN a list without entries, and NULL neither.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;
use siltstone_storage::{LogicalType, interval};

use crate::QueryError;
use crate::error::Result;
use crate::types::{DECIMAL_DIGITS_MAX, logical_type};

/// Makes the types of a statement's or an expression's literals explicit.
///
/// # Errors
/// `Conversion Error` for a number that no DOUBLE holds.
pub(crate) fn make_explicit<N: VisitMut>(node: &mut N) -> Result<()> {
    match VisitMut::visit(node, &mut Typing::default()) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

#[derive(Default)]
struct Typing {
    /// Addresses of the lambdas that are arguments of functions which take some.
    lambdas: Vec<usize>,
}

impl VisitorMut for Typing {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<QueryError> {
        type_values(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        if let Expr::Function(function) = expr
            && let FunctionArguments::List(list) = &function.args
            && crate::arrows::takes_lambdas(&function.name)
        {
            self.lambdas.extend(list.args.iter().filter_map(crate::arrows::lambda_address));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        if matches!(expr, Expr::Lambda(_)) && !self.lambdas.contains(&(std::ptr::from_ref(expr) as usize)) {
            crate::arrows::to_extraction(expr);
            return ControlFlow::Continue(());
        }
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            access_chain.iter_mut().for_each(name_field);
            return ControlFlow::Continue(());
        }
        if let Expr::InList { expr: value, list, negated } = expr
            && list.is_empty()
        {
            *expr = in_nothing(std::mem::replace(value, Box::new(Expr::Value(Value::Null.into()))), *negated);
            return ControlFlow::Continue(());
        }
        crate::idioms::lower(expr);
        if let Expr::Cast { expr: value, .. } = expr {
            without_name(value);
            return ControlFlow::Continue(());
        }
        if let Expr::Interval(interval) = expr {
            return match spell_interval(interval) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            };
        }
        let Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) = expr else {
            return ControlFlow::Continue(());
        };
        if is_huge(text) {
            let literal = std::mem::replace(expr, Expr::Value(Value::Null.into()));
            *expr = cast(literal, DataType::HugeInt);
            return ControlFlow::Continue(());
        }
        if !is_double(text) {
            return ControlFlow::Continue(());
        }
        let digits = text.replace('_', "");
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let literal = Expr::Value(Value::SingleQuotedString(digits).into());
                *expr = cast(literal, DataType::Double(ExactNumberInfo::None));
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(QueryError::conversion(format_args!("{text} is out of range for DOUBLE"))),
        }
    }
}

/// `value IN ()`: false, even for NULL.
fn in_nothing(value: Box<Expr>, negated: bool) -> Expr {
    let (op, constant) = if negated { (BinaryOperator::Or, true) } else { (BinaryOperator::And, false) };
    let constant = Expr::Value(Value::Boolean(constant).into());
    let tested = Expr::BinaryOp { left: Box::new(Expr::IsNull(value)), op, right: Box::new(constant) };
    Expr::Nested(Box::new(tested))
}

/// `.field` as the planner knows it: by a text.
fn name_field(access: &mut AccessExpr) {
    if let AccessExpr::Dot(field) = access
        && let Expr::Identifier(name) = field
    {
        *field = Expr::Value(Value::SingleQuotedString(std::mem::take(&mut name.value)).into());
    }
}

/// An interval that is text alone, in units that DataFusion reads as we do.
fn spell_interval(interval: &mut Interval) -> Result<()> {
    let Interval { value, leading_field: None, .. } = interval else {
        return Ok(());
    };
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = value.as_mut() else {
        return Ok(());
    };
    let parts = interval::parse(text)
        .ok_or_else(|| QueryError::conversion(format_args!("Could not convert string '{text}' to INTERVAL")))?;
    *text = format!("{} months {} days {} nanoseconds", parts.months, parts.days, parts.nanoseconds);
    Ok(())
}

/// Takes back what made a number a HUGEINT: a cast says itself what it is to be.
fn without_name(expr: &mut Expr) {
    match expr {
        Expr::Nested(value) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: value } => {
            without_name(value);
        }
        Expr::Cast { expr: value, data_type: DataType::HugeInt, .. } if is_huge_literal(value) => {
            *expr = std::mem::replace(value.as_mut(), Expr::Value(Value::Null.into()));
        }
        _ => {}
    }
}

fn is_huge_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) if is_huge(text))
}

/// Whether a whole number needs a HUGEINT: it is none of 64 bits, and not too long.
fn is_huge(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_err() && !is_double(text)
}

fn is_double(text: &str) -> bool {
    let has_exponent = text.contains(['e', 'E']);
    let digits = text.bytes().skip_while(|byte| *byte == b'0').filter(u8::is_ascii_digit).count();
    has_exponent || digits as u64 > DECIMAL_DIGITS_MAX
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn type_values(body: &mut SetExpr) {
    match body {
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            for column in 0..width {
                type_column(values, column);
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            type_values(left);
            type_values(right);
        }
        // A query in parentheses is visited itself.
        _ => {}
    }
}

/// What an entry of a VALUES list says about its column.
#[derive(Clone, PartialEq, Eq)]
enum Entry {
    /// A text of this type, which is not VARCHAR.
    Typed(DataType),
    Huge,
    /// A whole number of at most 64 bits.
    Whole,
    /// NULL or a string literal.
    Untyped,
    Other,
}

/// Casts the entries of one column to a common type if some, but not all, are typed texts of one kind.
fn type_column(values: &mut Values, column: usize) {
    let mut kinds = values.rows.iter().filter_map(|row| row.content.get(column)).map(entry);
    let Some(first) = kinds.next() else {
        return;
    };
    let mut typed = if let Entry::Typed(ty) = &first { Some(ty.clone()) } else { None };
    let mut uniform = true;
    let mut plain = matches!(first, Entry::Other | Entry::Whole | Entry::Huge);
    let (mut any_huge, mut any_other) = (first == Entry::Huge, matches!(first, Entry::Other));
    for kind in kinds {
        uniform &= kind == first;
        any_huge |= kind == Entry::Huge;
        any_other |= !matches!(kind, Entry::Huge | Entry::Whole | Entry::Untyped);
        match kind {
            Entry::Untyped => {}
            Entry::Other | Entry::Whole | Entry::Huge => plain = true,
            Entry::Typed(ty) => plain |= typed.replace(ty.clone()).is_some_and(|before| before != ty),
        }
    }
    if any_huge && typed.is_none() && !uniform {
        return type_huge(values, column, any_other);
    }
    let Some(typed) = typed.filter(|_| !uniform) else {
        return;
    };
    let target = if plain { DataType::Varchar(None) } else { typed };
    for slot in values.rows.iter_mut().filter_map(|row| row.content.get_mut(column)) {
        match entry(slot) {
            Entry::Typed(_) => retype(slot, &target),
            Entry::Untyped if !plain => {
                let expr = std::mem::replace(slot, Expr::Value(Value::Null.into()));
                *slot = cast(expr, target.clone());
            }
            _ => {}
        }
    }
}

/// Gives the entries of a column of which some are HUGEINT that type; beside anything else than whole numbers and NULL it is a decimal.
fn type_huge(values: &mut Values, column: usize, beside_others: bool) {
    let target = match beside_others {
        true => DataType::Decimal(ExactNumberInfo::PrecisionAndScale(LogicalType::HUGEINT_DIGITS.into(), 0)),
        false => DataType::HugeInt,
    };
    for slot in values.rows.iter_mut().filter_map(|row| row.content.get_mut(column)) {
        if !beside_others || entry(slot) == Entry::Huge {
            let expr = std::mem::replace(slot, Expr::Value(Value::Null.into()));
            *slot = cast(expr, target.clone());
        }
    }
}

/// Gives a typed entry another type.
fn retype(expr: &mut Expr, target: &DataType) {
    match expr {
        Expr::Nested(inner) => retype(inner, target),
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
            data_type.clone_from(target);
        }
        _ => {}
    }
}

fn entry(expr: &Expr) -> Entry {
    match expr {
        Expr::Nested(inner) => entry(inner),
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
            match logical_type(data_type) {
                Ok(LogicalType::Uuid) => Entry::Typed(DataType::Uuid),
                Ok(LogicalType::Json) => Entry::Typed(DataType::JSON),
                Ok(LogicalType::Bit | LogicalType::Enum(_)) => Entry::Typed(data_type.clone()),
                Ok(LogicalType::HugeInt) => Entry::Huge,
                // A wrong type is the planner's to report.
                _ => Entry::Other,
            }
        }
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => match entry(expr) {
            number @ (Entry::Huge | Entry::Whole) => number,
            _ => Entry::Other,
        },
        number if is_huge_literal(number) => Entry::Huge,
        Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. })
            if text.bytes().all(|byte| byte.is_ascii_digit()) && !is_double(text) =>
        {
            Entry::Whole
        }
        Expr::Value(ValueWithSpan { value: Value::Null | Value::SingleQuotedString(_), .. }) => Entry::Untyped,
        _ => Entry::Other,
    }
}
