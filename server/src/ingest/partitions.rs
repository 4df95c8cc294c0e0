//! The partitions that rows belong to, as text: what a table's layout makes of them.
//!
//! **Invariants**
//! 1. Every row of the batch has one label among those given; no label stands twice; they are in order.
//! 2. A part of a time is cut from the text that a query would show, so a label reads like the values it stands for.
//!
//! It knows neither where rows lie (a layout does not move them) nor how many labels a dialect shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use siltstone_storage::{Batch, Layout, Result, TableSchema, Transform};

use crate::cells::{self, JsonColumns};

/// What NULL is called.
const NULL: &str = "null";

/// The labels of these rows: `2024-01-15` for one key, `day=2024-01-15/region=eu` by the columns' names for several.
/// `None` if the layout has no key that can be told from a value: buckets are numbers that nobody has seen.
///
/// # Errors
/// `Invalid` if a column's default is not a value of its type.
pub(super) fn labels(layout: &Layout, schema: &TableSchema, batch: &Batch) -> Result<Option<Vec<String>>> {
    let mut arrays = Vec::new();
    for key in layout.partitioned_by.iter().filter(|key| !matches!(key.transform, Transform::Bucket(_))) {
        let Some(column) = schema.column_by_id(key.column) else { continue };
        let array = match batch.columns().iter().find(|(id, _)| *id == key.column) {
            Some((_, array)) => Arc::clone(array),
            None => column.default_array(batch.rows())?,
        };
        arrays.push((column, array, key.transform));
    }
    let columns = arrays.iter().map(|(column, array, transform)| {
        let field = column.logical_type.field(&column.name, true);
        (column.name.as_str(), cells::Column::new(&field, array, None, JsonColumns::Text), *transform)
    });
    let keys: Vec<(&str, cells::Column<'_>, Transform)> = columns.collect();
    if keys.is_empty() {
        return Ok(None);
    }
    let mut labels = BTreeSet::new();
    let mut label = Vec::new();
    for row in 0..batch.rows() {
        label.clear();
        for (position, (name, cells, transform)) in keys.iter().enumerate() {
            if position > 0 {
                label.push(b'/');
            }
            if keys.len() > 1 {
                label.extend_from_slice(name.as_bytes());
                label.push(b'=');
            }
            push_value(cells, row, *transform, &mut label);
        }
        if !labels.contains(&label) {
            labels.insert(label.clone());
        }
    }
    Ok(Some(labels.into_iter().map(|label| String::from_utf8_lossy(&label).into_owned()).collect()))
}

fn push_value(cells: &cells::Column<'_>, row: usize, transform: Transform, label: &mut Vec<u8>) {
    let start = label.len();
    if !cells.text(row, label) {
        label.extend_from_slice(NULL.as_bytes());
        return;
    }
    let text = &label[start..];
    // `YYYY-MM-DD`, for a time `THH:MM:SS` after it; a year may have a sign and more digits.
    let day = text.iter().position(|byte| *byte == b'T').unwrap_or(text.len());
    let kept = match transform {
        Transform::Identity | Transform::Bucket(_) => text.len(),
        Transform::Year => day.saturating_sub("-MM-DD".len()),
        Transform::Month => day.saturating_sub("-DD".len()),
        Transform::Day => day,
        Transform::Hour => text.len().min(day + "THH".len()),
    };
    label.truncate(start + kept);
}
