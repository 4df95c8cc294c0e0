//! What an INSERT does where a key is there already: `ON CONFLICT …`, `INSERT OR REPLACE`, `INSERT OR IGNORE`.
//!
//! **Invariants**: the columns that may be in conflict are those of the primary key, named or not.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::compute::filter;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, DoUpdate, Expr, Ident, Insert, OnConflictAction, OnInsert,
    SqliteOnConflict, TableAliasColumnDef, TableObject,
};
use siltstone_storage::{Batch, Change, Column, ColumnId, Merge, OnMatch, Table, same_name};

use super::{Count, RowChanges, assignments};
use crate::QueryError;
use crate::error::Result;
use crate::merge_syntax::{self, Action, Clause, On, Values, When};
use crate::names::parts;
use crate::syntax;

/// The name under which DO UPDATE sees the row that was to be inserted.
const EXCLUDED: &str = "excluded";

/// What happens to rows whose key is there already.
pub(super) enum OnConflict {
    /// The statement fails.
    Refuse,
    /// They are left out.
    Keep(Vec<ColumnId>),
    /// The stored row takes the columns that were given.
    Update { key: Vec<ColumnId>, repeats: Repeats },
    /// Anything else, as the MERGE that means the same.
    General(Box<merge_syntax::Merge>),
}

/// What becomes of several rows with one key in the same statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    LastWins,
    Refused,
}

impl OnConflict {
    /// What an INSERT into these columns says.
    ///
    /// # Errors
    /// `Binder Error` if it needs a primary key and the table has none, or has another.
    pub(super) fn of(table: &Table, columns: &[Column], insert: &Insert) -> Result<Self> {
        let key = table.schema().primary_key();
        match (&insert.or, &insert.on) {
            (None, None) => Ok(Self::Refuse),
            (Some(SqliteOnConflict::Ignore), None) => Ok(Self::Keep(declared(key)?)),
            (Some(SqliteOnConflict::Replace), None) => {
                Ok(Self::Update { key: declared(key)?, repeats: Repeats::LastWins })
            }
            (None, Some(OnInsert::OnConflict(on))) => {
                check_target(table, on.conflict_target.as_ref())?;
                let key = declared(key)?;
                match &on.action {
                    OnConflictAction::DoNothing => Ok(Self::Keep(key)),
                    OnConflictAction::DoUpdate(update) if is_plain(table, columns, update) => {
                        Ok(Self::Update { key, repeats: Repeats::Refused })
                    }
                    OnConflictAction::DoUpdate(update) => {
                        Ok(Self::General(Box::new(as_merge(table, columns, insert, update)?)))
                    }
                }
            }
            _ => Err(QueryError::not_implemented("this form of INSERT is not supported yet")),
        }
    }

    /// The changes that bring these rows.
    pub(super) fn changes(self, table: Arc<Table>, batches: Vec<Batch>) -> Result<RowChanges> {
        let (key, on_match, repeats) = match self {
            Self::Refuse | Self::General(_) => return Ok(RowChanges::appends(table, batches)),
            Self::Keep(key) => (key, OnMatch::Keep, None),
            Self::Update { key, repeats } => (key, OnMatch::Update, Some(repeats)),
        };
        let mut changes = Vec::with_capacity(batches.len());
        for batch in batches {
            let batch = match repeats {
                // The first of several counts; a merge would take the last.
                None => without_repeats(batch, &key)?,
                Some(Repeats::Refused) if first_of_their_key(&batch, &key)?.false_count() > 0 => {
                    return Err(QueryError::invalid_input(
                        "ON CONFLICT DO UPDATE can not update the same row twice in the same command. Ensure that no rows \
                         proposed for insertion within the same command have duplicate constrained values",
                    ));
                }
                Some(_) => batch,
            };
            changes.push(Change::Merge(Merge { batch, key: key.clone(), on_match, newer_by: Vec::new() }));
        }
        Ok(RowChanges { table, changes, count: Count::Merged })
    }
}

fn declared(key: &[ColumnId]) -> Result<Vec<ColumnId>> {
    if key.is_empty() {
        return Err(QueryError::binder(
            "There are no UNIQUE/PRIMARY KEY constraints that refer to this table, specify ON CONFLICT columns manually",
        ));
    }
    Ok(key.to_vec())
}

/// The columns said to be in conflict must be the key.
fn check_target(table: &Table, target: Option<&ConflictTarget>) -> Result<()> {
    let columns = match target {
        None => return Ok(()),
        Some(ConflictTarget::Columns(columns)) => columns,
        Some(ConflictTarget::OnConstraint(_)) => {
            return Err(QueryError::not_implemented("ON CONFLICT ON CONSTRAINT is not supported yet"));
        }
    };
    let key = table.schema().primary_key();
    let named = columns.iter().map(|ident| assignments::of_name(table, &ident.value));
    let named = named.collect::<Result<Vec<_>>>()?;
    let same = named.len() == key.len() && key.iter().all(|id| named.iter().any(|column| column.id == *id));
    if same {
        return Ok(());
    }
    Err(QueryError::binder(
        "The specified columns as conflict target are not referenced by a UNIQUE/PRIMARY KEY CONSTRAINT or INDEX",
    ))
}

/// Whether DO UPDATE sets exactly the columns that are given, each to what was to be inserted.
fn is_plain(table: &Table, columns: &[Column], update: &DoUpdate) -> bool {
    let key = table.schema().primary_key();
    let given = columns.iter().filter(|column| !key.contains(&column.id));
    let set: Vec<Option<&str>> = update.assignments.iter().map(set_to_excluded).collect();
    update.selection.is_none()
        && given.clone().count() == set.len()
        && given.clone().all(|column| set.iter().any(|set| set.is_some_and(|set| same_name(set, &column.name))))
}

/// The column of `c = excluded.c`.
fn set_to_excluded(assignment: &Assignment) -> Option<&str> {
    let (AssignmentTarget::ColumnName(target), Expr::CompoundIdentifier(value)) =
        (&assignment.target, &assignment.value)
    else {
        return None;
    };
    match (parts(target).ok()?.as_slice(), value.as_slice()) {
        ([column], [table, of]) if same_name(&table.value, EXCLUDED) && same_name(column, &of.value) => Some(*column),
        _ => None,
    }
}

/// `MERGE INTO t USING (source) AS excluded (…) ON keys WHEN MATCHED … THEN UPDATE … WHEN NOT MATCHED THEN INSERT …`.
fn as_merge(table: &Table, columns: &[Column], insert: &Insert, update: &DoUpdate) -> Result<merge_syntax::Merge> {
    let (TableObject::TableName(name), Some(source)) = (&insert.table, &insert.source) else {
        return Err(QueryError::not_implemented("INSERT … DEFAULT VALUES ON CONFLICT is not supported"));
    };
    let excluded = Ident::new(EXCLUDED);
    let alias =
        insert.table_alias.as_ref().map_or_else(|| Ident::with_quote('"', &table.name.table), |a| a.alias.clone());
    let quoted = |column: &Column| Ident::with_quote('"', &column.name);
    let mut source_alias = syntax::table_alias(excluded.clone());
    source_alias.columns =
        columns.iter().map(|column| TableAliasColumnDef { name: quoted(column), data_type: None }).collect();
    let schema = table.schema();
    let keys = schema.primary_key().iter().filter_map(|id| schema.column_by_id(*id));
    let equalities =
        keys.map(|key| syntax::equal(syntax::column(&alias, &key.name), syntax::column(&excluded, &key.name)));
    let on = equalities.reduce(syntax::and).ok_or_else(|| QueryError::internal("a key without columns"))?;
    let set = Values::Assigned(update.assignments.clone());
    let new = Values::Listed {
        columns: columns.iter().map(quoted).collect(),
        values: columns.iter().map(|column| syntax::column(&excluded, &column.name)).collect(),
    };
    let clause = |when, condition, action| Clause { when, condition, action };
    Ok(merge_syntax::Merge {
        target: syntax::table(name.clone(), Some(syntax::table_alias(alias)), None),
        source: syntax::derived(source.as_ref().clone(), source_alias),
        on: On::Condition(Box::new(on)),
        clauses: vec![
            clause(When::Matched, update.selection.clone(), Action::Update(set)),
            clause(When::NotMatchedByTarget, None, Action::Insert(new)),
        ],
    })
}

/// Whether each row is the first of its key.
fn first_of_their_key(batch: &Batch, key: &[ColumnId]) -> Result<BooleanArray> {
    let columns: Vec<ArrayRef> = key.iter().filter_map(|id| batch.column(*id)).map(Arc::clone).collect();
    if columns.is_empty() {
        return Ok(BooleanArray::from(vec![true; batch.rows()]));
    }
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
    let mut seen = HashSet::with_capacity(batch.rows());
    Ok(BooleanArray::from(rows.iter().map(|row| seen.insert(row)).collect::<Vec<bool>>()))
}

/// The first row of each key.
fn without_repeats(batch: Batch, key: &[ColumnId]) -> Result<Batch> {
    let kept = first_of_their_key(&batch, key)?;
    let rows = kept.true_count();
    if rows == batch.rows() {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(|(id, array)| Ok((*id, filter(array, &kept)?)));
    Ok(Batch::new(batch.table(), rows, columns.collect::<Result<_>>()?)?)
}
