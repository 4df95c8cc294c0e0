//! Which parts of a filter storage evaluates by itself, on encoded data.
//!
//! **Invariants**
//! 1. A part and its translation let through the same rows; a part that has none stays with the caller.
//! 2. Together, the translated parts and the rest are the filter: both have to hold.
//!
//! It does not know units, or when a filter is evaluated.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::utils::{conjunction_opt, split_conjunction};
use datafusion::physical_plan::PhysicalExpr;
use siltstone_storage::{ColumnId, Comparison, LogicalType, Predicate, Value};

use crate::pruning::ScanColumn;

/// Longest list of an IN that storage gets: past it, a hash table of the query engine is as good.
const LIST_VALUES_MAX: usize = 1024;

/// A filter in two parts.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    /// What storage evaluates.
    pub(crate) predicates: Vec<Predicate>,
    /// The expressions those are made of.
    pub(crate) translated: Vec<Arc<dyn PhysicalExpr>>,
    /// What is left.
    pub(crate) rest: Option<Arc<dyn PhysicalExpr>>,
}

/// Splits a filter; `columns` are those it speaks of, by position.
pub(crate) fn split(filter: &Arc<dyn PhysicalExpr>, columns: &[&ScanColumn]) -> Split {
    let (mut predicates, mut translated, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for part in split_conjunction(filter) {
        match translate(part, columns) {
            Some(predicate) => {
                predicates.push(predicate);
                translated.push(Arc::clone(part));
            }
            None => rest.push(Arc::clone(part)),
        }
    }
    Split { predicates, translated, rest: conjunction_opt(rest) }
}

fn translate(expr: &Arc<dyn PhysicalExpr>, columns: &[&ScanColumn]) -> Option<Predicate> {
    if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
        return Some(Predicate::IsNull(column(null.arg(), columns)?.id));
    }
    if let Some(value) = expr.downcast_ref::<IsNotNullExpr>() {
        return Some(Predicate::IsNotNull(column(value.arg(), columns)?.id));
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return is_boolean(column(not.arg(), columns)?, false);
    }
    if let Some(flag) = column(expr, columns) {
        return is_boolean(flag, true);
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() != Operator::Or) {
        return comparison(binary, columns);
    }
    let (column, values) = alternatives(expr, columns)?;
    // A list of floats finds them bit by bit, unlike `=`; storage knows only the one way.
    let float = matches!(column.logical_type, LogicalType::Real | LogicalType::Double);
    (!float).then_some(Predicate::In { column: column.id, values })
}

fn is_boolean(column: &ScanColumn, value: bool) -> Option<Predicate> {
    let value = Value::Bool(value);
    let found = Predicate::Compare { column: column.id, op: Comparison::Equal, value };
    (column.logical_type == LogicalType::Boolean).then_some(found)
}

fn comparison(binary: &BinaryExpr, columns: &[&ScanColumn]) -> Option<Predicate> {
    if let (Some(column), Some(literal)) = (column(binary.left(), columns), literal(binary.right())) {
        let value = value(&column.logical_type, literal)?;
        return Some(Predicate::Compare { column: column.id, op: operator(*binary.op())?, value });
    }
    let (column, literal) = (column(binary.right(), columns)?, literal(binary.left())?);
    let value = value(&column.logical_type, literal)?;
    Some(Predicate::Compare { column: column.id, op: operator(binary.op().swap()?)?, value })
}

fn operator(op: Operator) -> Option<Comparison> {
    Some(match op {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::LessOrEqual,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// The column and its values of `c IN (…)` or of `c = … OR c = …`. A NULL among them lets nothing through.
fn alternatives<'a>(expr: &Arc<dyn PhysicalExpr>, columns: &[&'a ScanColumn]) -> Option<(&'a ScanColumn, Vec<Value>)> {
    let (mut found, mut values): (Option<&ScanColumn>, _) = (None, Vec::new());
    // No recursion: a chain of ORs may be as long as the statement.
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        let either = expr.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() == Operator::Or);
        if let Some(either) = either {
            open.extend([either.left(), either.right()]);
            continue;
        }
        let (column, more) = listed(expr, columns).or_else(|| equal(expr, columns))?;
        if found.is_some_and(|found| found.id != column.id) || values.len() + more.len() > LIST_VALUES_MAX {
            return None;
        }
        found = Some(column);
        values.extend(more);
    }
    Some((found?, values))
}

/// The column and the values of `c IN (…)`.
fn listed<'a>(expr: &Arc<dyn PhysicalExpr>, columns: &[&'a ScanColumn]) -> Option<(&'a ScanColumn, Vec<Value>)> {
    let list = expr.downcast_ref::<InListExpr>().filter(|list| !list.negated())?;
    let column = column(list.expr(), columns)?;
    let literals = list.list().iter().map(literal).collect::<Option<Vec<_>>>()?;
    let present = literals.into_iter().filter(|literal| !literal.is_null());
    let values = present.map(|literal| value(&column.logical_type, literal)).collect::<Option<_>>()?;
    Some((column, values))
}

/// The column and the value of `c = …`.
fn equal<'a>(expr: &Arc<dyn PhysicalExpr>, columns: &[&'a ScanColumn]) -> Option<(&'a ScanColumn, Vec<Value>)> {
    match comparison(expr.downcast_ref::<BinaryExpr>()?, columns)? {
        Predicate::Compare { column, op: Comparison::Equal, value } => {
            Some((columns.iter().find(|candidate| candidate.id == column)?, vec![value]))
        }
        _ => None,
    }
}

fn column<'a>(expr: &Arc<dyn PhysicalExpr>, columns: &[&'a ScanColumn]) -> Option<&'a ScanColumn> {
    let column = columns.get(expr.downcast_ref::<Column>()?.index()).copied()?;
    // Addresses are made by reading; nothing is stored of them.
    (column.id != ColumnId::ADDRESS).then_some(column)
}

fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    Some(expr.downcast_ref::<Literal>()?.value())
}

/// A literal as a value of a column of type `ty`; `None` for NULL and for a literal of another type.
fn value(ty: &LogicalType, literal: &ScalarValue) -> Option<Value> {
    if ty.is_text() {
        return Some(Value::Text(literal.try_as_str()??.to_owned()));
    }
    // Storage does not compare intervals.
    if literal.data_type() != ty.arrow() || *ty == LogicalType::Interval {
        return None;
    }
    crate::value::value(ty, &literal.to_array().ok()?, 0)
}
