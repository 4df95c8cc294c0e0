//! `SUMMARIZE t` and `SUMMARIZE query`: one row per column, in DuckDB's shape.
//!
//! **Invariants**: the rows are read once, however many columns there are.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::sql::sqlparser::ast::{Ident, Query, SetExpr, Statement, TableAlias, TableAliasColumnDef};
use futures::StreamExt;

use crate::error::Result;
use crate::session::Session;
use crate::statement::{check_is_query, one_batch};
use crate::{Output, QueryError, syntax};

/// Most columns: each takes nine aggregates.
const COLUMNS_MAX: usize = 512;
/// What each column is asked for, text but for the two numbers: the results are columns of one row.
const TEXTS: [&str; 7] = ["min", "max", "avg", "std", "q25", "q50", "q75"];

/// Runs a SUMMARIZE of what this query gives.
pub(crate) async fn run(session: &Session, query: &Query) -> Result<Output> {
    check_is_query(&query.body)?;
    let source = Statement::Query(Box::new(query.clone()));
    let schema = session.plan(session.snapshot(), source).await?.schema;
    if schema.fields().len() > COLUMNS_MAX {
        return Err(QueryError::not_implemented(format_args!("SUMMARIZE takes up to {COLUMNS_MAX} columns")));
    }
    let planned = session.plan(session.snapshot(), Statement::Query(aggregates(&schema, query)?)).await?;
    let mut rows = planned.execute()?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 {
            return Ok(one_batch(summary(&schema, &batch)?));
        }
    }
    Err(QueryError::internal("aggregates without a row"))
}

/// One SELECT with all aggregates of all columns, which are called `c0`, `c1` … in it.
fn aggregates(schema: &Schema, query: &Query) -> Result<Box<Query>> {
    let mut items = vec!["count(*) AS n".to_owned()];
    for (i, field) in schema.fields().iter().enumerate() {
        let [min, max] = match orders(field.data_type()) {
            true => [format!("CAST(min(c{i}) AS VARCHAR)"), format!("CAST(max(c{i}) AS VARCHAR)")],
            false => ["CAST(NULL AS VARCHAR)".to_owned(), "CAST(NULL AS VARCHAR)".to_owned()],
        };
        let quantile = |part: &str| format!("CAST(approx_percentile_cont(CAST(c{i} AS DOUBLE), {part}) AS VARCHAR)");
        let [avg, std, q25, q50, q75] = match field.data_type().is_numeric() {
            true => [
                format!("CAST(avg(c{i}) AS VARCHAR)"),
                format!("CAST(stddev(CAST(c{i} AS DOUBLE)) AS VARCHAR)"),
                quantile("0.25e0"),
                quantile("0.5e0"),
                quantile("0.75e0"),
            ],
            false => [const { "CAST(NULL AS VARCHAR)" }; 5].map(str::to_owned),
        };
        let unique = match orders(field.data_type()) {
            true => format!("CAST(approx_distinct(CAST(c{i} AS VARCHAR)) AS BIGINT)"),
            false => "CAST(NULL AS BIGINT)".to_owned(),
        };
        for (what, expression) in TEXTS.iter().zip([min, max, avg, std, q25, q50, q75]) {
            items.push(format!("{expression} AS {what}_{i}"));
        }
        items.push(format!("{unique} AS unique_{i}"));
        items.push(format!("count(c{i}) AS count_{i}"));
    }
    let mut all = crate::dialect::parse_query(&format!("SELECT {}", items.join(", ")))?;
    if let SetExpr::Select(select) = all.body.as_mut() {
        let column = |i| TableAliasColumnDef { name: Ident::new(format!("c{i}")), data_type: None };
        let columns = (0..schema.fields().len()).map(column).collect();
        let alias = TableAlias { columns, ..syntax::table_alias(Ident::new("\0summarized")) };
        select.from = vec![syntax::alone(syntax::derived(query.clone(), alias))];
    }
    Ok(all)
}

/// Whether values of a type have a least one, and a text.
fn orders(ty: &DataType) -> bool {
    !ty.is_nested() && !matches!(ty, DataType::Null | DataType::Interval(_))
}

/// The row of aggregates, turned.
fn summary(schema: &Schema, aggregates: &RecordBatch) -> Result<RecordBatch> {
    let number = |place: usize| -> Option<i64> {
        let array = aggregates.columns().get(place)?.as_primitive_opt::<Int64Type>()?;
        array.is_valid(0).then(|| array.value(0))
    };
    let text = |place: usize| -> Result<Option<String>> {
        let array = aggregates.columns().get(place).ok_or_else(|| QueryError::internal("an aggregate is missing"))?;
        let array = cast(array, &DataType::Utf8View)?;
        Ok(array.as_string_view().iter().next().flatten().map(str::to_owned))
    };
    let total = number(0).unwrap_or(0);
    let width = TEXTS.len() + 2;
    let (mut names, mut types, mut uniques, mut nulls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut texts: Vec<Vec<Option<String>>> = vec![Vec::new(); TEXTS.len()];
    for (i, field) in schema.fields().iter().enumerate() {
        let first = 1 + i * width;
        names.push(field.name().clone());
        types.push(crate::show::type_name(field)?);
        for (which, column) in texts.iter_mut().enumerate() {
            column.push(text(first + which)?);
        }
        uniques.push(number(first + TEXTS.len()));
        let missing = total - number(first + TEXTS.len() + 1).unwrap_or(0);
        // In hundredths of a percent, rounded.
        nulls.push((total > 0).then(|| (i128::from(missing) * 20_000 / i128::from(total) + 1) / 2));
    }
    let [min, max, avg, std, q25, q50, q75] = [0, 1, 2, 3, 4, 5, 6].map(|which| {
        let column: StringViewArray = texts[which].iter().map(Option::as_deref).collect();
        Arc::new(column) as ArrayRef
    });
    let columns: [(&str, ArrayRef); 12] = [
        ("column_name", Arc::new(StringViewArray::from_iter_values(&names))),
        ("column_type", Arc::new(StringViewArray::from_iter_values(&types))),
        ("min", min),
        ("max", max),
        ("approx_unique", Arc::new(Int64Array::from(uniques))),
        ("avg", avg),
        ("std", std),
        ("q25", q25),
        ("q50", q50),
        ("q75", q75),
        ("count", Arc::new(Int64Array::from(vec![total; names.len()]))),
        ("null_percentage", Arc::new(Decimal128Array::from(nulls).with_precision_and_scale(9, 2)?)),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}
