//! `j -> '$.a'`: the parser reads an arrow behind a bare name as a lambda. Where no function takes one, it is JSON's operator.
//!
//! **Invariants**: an arrow binds tighter than whatever follows its right side, as it does behind any other expression.

use datafusion::sql::sqlparser::ast::*;
use siltstone_storage::folded_name;

/// Whether a function takes lambdas.
pub(crate) fn takes_lambdas(name: &ObjectName) -> bool {
    let name = folded_name(&name.to_string());
    let name = name.strip_prefix("list_").or_else(|| name.strip_prefix("array_")).unwrap_or(&name);
    matches!(name, "transform" | "filter" | "apply" | "any_match" | "reduce")
}

/// Where an argument's lambda lies in memory, if it is one. Arguments stay where they are while a tree is visited.
pub(crate) fn lambda_address(argument: &FunctionArg) -> Option<usize> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr @ Expr::Lambda(_))) => Some(std::ptr::from_ref(expr) as usize),
        _ => None,
    }
}

/// Makes a lambda of one name without type, written with an arrow, what it is elsewhere: a look into JSON.
pub(crate) fn to_extraction(expr: &mut Expr) {
    let Expr::Lambda(LambdaFunction { params: OneOrManyWithParens::One(name), body, syntax: LambdaSyntax::Arrow }) =
        expr
    else {
        return;
    };
    if name.data_type.is_none() {
        let json = Expr::Identifier(name.name.clone());
        let body = std::mem::replace(body.as_mut(), Expr::Value(Value::Null.into()));
        *expr = extract(json, body);
    }
}

/// `json -> path`, where `path` is the first part of what the parser took for the lambda's body.
fn extract(json: Expr, body: Expr) -> Expr {
    let into = |path: Box<Expr>, json: Expr| Box::new(extract(json, *path));
    match body {
        Expr::BinaryOp { left, op, right } => Expr::BinaryOp { left: into(left, json), op, right },
        Expr::IsNull(path) => Expr::IsNull(into(path, json)),
        Expr::IsNotNull(path) => Expr::IsNotNull(into(path, json)),
        Expr::InList { expr, list, negated } => Expr::InList { expr: into(expr, json), list, negated },
        Expr::Between { expr, negated, low, high } => Expr::Between { expr: into(expr, json), negated, low, high },
        Expr::Like { negated, any, expr, pattern, escape_char } => {
            Expr::Like { negated, any, expr: into(expr, json), pattern, escape_char }
        }
        path => Expr::BinaryOp { left: Box::new(json), op: BinaryOperator::Arrow, right: Box::new(path) },
    }
}
