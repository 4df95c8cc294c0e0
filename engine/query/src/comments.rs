//! `COMMENT ON TABLE / VIEW / COLUMN / SCHEMA … IS …`.
//!
//! **Invariants**: a comment changes nothing that a query of rows could see.

use std::sync::Arc;

use siltstone_storage::{Catalog, Change, Commented, View, ViewColumn, same_name};

use crate::QueryError;
use crate::ddl::schema_parts;
use crate::error::Result;
use crate::lake_syntax::CommentKind;
use crate::names::{Target, find_table, unknown_database, unknown_schema};
use crate::session::Session;
use crate::views::stored_view;

/// The change that a comment is.
///
/// # Errors
/// `Catalog Error` or `Binder Error` for what is not there.
pub(crate) fn decide(
    session: &Session,
    catalog: &Catalog,
    on: CommentKind,
    name: &[&str],
    text: Option<&str>,
) -> Result<Vec<Change>> {
    let text = text.map(str::to_owned);
    match on {
        CommentKind::Schema => {
            let (database, schema) = schema_parts(&session.defaults, name)?;
            session.check_writable(&database)?;
            let found = catalog.database(&database).ok_or_else(|| unknown_database(&database))?;
            found.schema(&schema).ok_or_else(|| unknown_schema(&schema))?;
            Ok(vec![Change::Comment { on: Commented::Schema { database, name: schema }, text }])
        }
        CommentKind::View => {
            let view = stored_view(catalog, &session.defaults, name)?;
            on_view(session, View { comment: text, ..view.as_ref().clone() })
        }
        CommentKind::Table => match find_table(catalog, &session.defaults, name)? {
            Target::Table(table) => {
                session.check_writable(&table.name.database)?;
                Ok(vec![Change::Comment { on: Commented::Table(table.id), text }])
            }
            _ => Err(QueryError::catalog(format_args!("Existing object {} is not of type Table", name.join(".")))),
        },
        CommentKind::Column => on_column(session, catalog, name, text),
    }
}

fn on_view(session: &Session, view: View) -> Result<Vec<Change>> {
    session.check_writable(&view.name.database)?;
    Ok(vec![Change::CreateView { view: Arc::new(view), replace: true }])
}

fn on_column(session: &Session, catalog: &Catalog, name: &[&str], text: Option<String>) -> Result<Vec<Change>> {
    let Some((column, table)) = name.split_last().filter(|(_, table)| !table.is_empty()) else {
        return Err(QueryError::parser(format_args!("expected table.column, found {}", name.join("."))));
    };
    let missing = || QueryError::binder(format_args!("Table does not have a column with name \"{column}\""));
    match find_table(catalog, &session.defaults, table)? {
        Target::Table(table) => {
            session.check_writable(&table.name.database)?;
            let column = table.schema().column(column).ok_or_else(missing)?;
            Ok(vec![Change::Comment { on: Commented::Column(table.id, column.id), text }])
        }
        Target::View(view) => {
            let place = view.columns.iter().position(|found| same_name(&found.name, column)).ok_or_else(missing)?;
            let mut view = view.as_ref().clone();
            view.columns[place] = ViewColumn { comment: text, ..view.columns[place].clone() };
            on_view(session, view)
        }
        Target::Computed { .. } => Err(QueryError::binder(format_args!("{} cannot be changed", table.join(".")))),
    }
}
