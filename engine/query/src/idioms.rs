//! Expressions that DuckDB's users write and the planner knows otherwise, or reads otherwise.
//!
//! **Invariants**
//! 1. `a IS [NOT] DISTINCT FROM b AND c` is an AND: the parser crate takes all that follows for the right side.
//! 2. An expression keeps its meaning; what is not listed here is left alone.

use datafusion::sql::sqlparser::ast::*;
use siltstone_storage::folded_name;

use crate::syntax;

/// Gives an expression, whose parts have been visited, the form that is planned.
pub(crate) fn lower(expr: &mut Expr) {
    regroup(expr);
    let lowered = match expr {
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr } => Some(call("bitwise_not", taken(expr))),
        Expr::Extract { field, expr, .. } => part_function(&field.to_string()).map(|name| call(name, taken(expr))),
        Expr::Function(function) => date_part(function),
        Expr::Cast { expr: value, data_type: DataType::Timestamp(..) | DataType::Date, .. } if is_epoch(value) => {
            **value = Expr::Value(Value::SingleQuotedString("1970-01-01 00:00:00".to_owned()).into());
            None
        }
        _ => None,
    };
    if let Some(lowered) = lowered {
        *expr = lowered;
    }
}

fn taken(expr: &mut Box<Expr>) -> Expr {
    std::mem::replace(expr.as_mut(), Expr::Value(Value::Null.into()))
}

fn call(name: &str, argument: Expr) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn is_epoch(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) if text.eq_ignore_ascii_case("epoch"))
}

/// The function for a part of a time that `date_part` does not know.
fn part_function(part: &str) -> Option<&'static str> {
    const PARTS: [&str; 9] =
        ["dayofyear", "dayofweek", "weekday", "weekofyear", "isoyear", "yearweek", "decade", "century", "millennium"];
    let part = folded_name(part.trim_matches('\''));
    PARTS.into_iter().find(|known| *known == part)
}

/// `date_part('dayofyear', t)` as `dayofyear(t)`.
fn date_part(function: &Function) -> Option<Expr> {
    let name = folded_name(&function.name.to_string());
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.as_slice() {
        [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan {
                value: Value::SingleQuotedString(part),
                ..
            }))),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(time)),
        ] if name == "date_part" || name == "datepart" => part_function(part).map(|name| call(name, time.clone())),
        _ => None,
    }
}

/// Takes the ANDs and ORs behind a comparison with `IS DISTINCT FROM` out of its right side, and what stands before it into their
/// first part. Right sides in parentheses are [`Expr::Nested`] and stay.
fn regroup(expr: &mut Expr) {
    match expr {
        Expr::IsDistinctFrom(left, right) if is_connective(right) => {
            let (left, right) = (taken(left), taken(right));
            *expr = at_first(right, is_connective, |first| Expr::IsDistinctFrom(Box::new(left), Box::new(first)));
        }
        Expr::IsNotDistinctFrom(left, right) if is_connective(right) => {
            let (left, right) = (taken(left), taken(right));
            *expr = at_first(right, is_connective, |first| Expr::IsNotDistinctFrom(Box::new(left), Box::new(first)));
        }
        // The parser itself puts neither of these below the other without parentheses.
        Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } if is_connective(inner) => {
            let inner = taken(inner);
            *expr =
                at_first(inner, is_connective, |first| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(first) });
        }
        Expr::BinaryOp { left, op: BinaryOperator::And, right } if is_or(right) => {
            let (left, right) = (taken(left), taken(right));
            *expr = at_first(right, is_or, |first| syntax::and(left, first));
        }
        _ => {}
    }
}

fn is_connective(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

fn is_or(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::Or, .. })
}

/// Changes the leftmost part of a chain of operators.
fn at_first(expr: Expr, is_chain: fn(&Expr) -> bool, change: impl FnOnce(Expr) -> Expr) -> Expr {
    if !is_chain(&expr) {
        return change(expr);
    }
    match expr {
        Expr::BinaryOp { left, op, right } => {
            Expr::BinaryOp { left: Box::new(at_first(*left, is_chain, change)), op, right }
        }
        other => change(other),
    }
}
