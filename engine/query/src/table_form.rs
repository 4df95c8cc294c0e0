//! In which form a table of a plan is read: its newest rows, those of an earlier snapshot, with addresses, or as changes.
//!
//! The form travels from the statement to the catalog as the end of the table's name, behind a NUL. In a statement it stands
//! where a version stands, as an expression that no text is parsed to.
//!
//! **Invariants**: no stored name holds a NUL, and none that a user writes gets as far as the catalog.

use std::fmt;

use datafusion::sql::sqlparser::ast::{Expr, Ident, TableVersion, Value, ValueWithSpan};
use siltstone_storage::SnapshotId;

use crate::QueryError;
use crate::error::Result;

/// Separates a table's name from its form.
const MARK: char = '\0';

/// How a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableForm {
    /// As of an earlier snapshot.
    At(SnapshotId),
    /// With the address of each row as one more column.
    Addressed,
    /// What the commits `from` to `to` did to it.
    Changes { from: SnapshotId, to: SnapshotId, asked: Asked },
}

/// Which changes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `table_changes`.
    Changes,
    /// `table_insertions`.
    Insertions,
    /// `table_deletions`.
    Deletions,
}

impl TableForm {
    /// A table's name in a plan.
    pub(crate) fn name(self, table: &str) -> String {
        format!("{table}{self}")
    }

    /// The parts of [`TableForm::name`]; no form means the newest rows, and `Err` a name that is none of ours.
    pub(crate) fn of_name(name: &str) -> (&str, Option<Result<Self>>) {
        match name.find(MARK) {
            Some(at) => (&name[..at], Some(parse(&name[at..]).ok_or_else(|| crate::names::unknown_table(name)))),
            None => (name, None),
        }
    }

    /// The form as part of a syntax tree.
    pub(crate) fn version(self) -> TableVersion {
        TableVersion::VersionAsOf(Expr::Identifier(Ident::new(self.to_string())))
    }

    /// The form that a syntax tree asks for, after [`crate::time_travel`] has been there.
    ///
    /// # Errors
    /// `Binder Error` for what is no snapshot.
    pub(crate) fn of_version(version: &TableVersion) -> Result<Self> {
        let bad =
            || QueryError::binder(format_args!("expected AT (VERSION => n) or AT (TIMESTAMP => t), found {version}"));
        match version {
            TableVersion::VersionAsOf(Expr::Identifier(ident)) => parse(&ident.value).ok_or_else(bad),
            TableVersion::VersionAsOf(Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. })) => digits
                .parse()
                .map(|id| Self::At(SnapshotId(id)))
                .map_err(|_| QueryError::binder(format_args!("a table version is a whole number, not {digits}"))),
            _ => Err(bad()),
        }
    }
}

/// The end of a name.
impl fmt::Display for TableForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(snapshot) => write!(f, "{MARK}at {snapshot}"),
            Self::Addressed => write!(f, "{MARK}addressed"),
            Self::Changes { from, to, asked } => write!(f, "{MARK}{} {from} {to}", asked.word()),
        }
    }
}

fn parse(end: &str) -> Option<TableForm> {
    let mut words = end.strip_prefix(MARK)?.split(' ');
    let form = words.next()?;
    let mut snapshot = || words.next()?.parse().ok().map(SnapshotId);
    Some(match form {
        "at" => TableForm::At(snapshot()?),
        "addressed" => TableForm::Addressed,
        _ => {
            let all = [Asked::Changes, Asked::Insertions, Asked::Deletions];
            let asked = all.into_iter().find(|asked| asked.word() == form)?;
            TableForm::Changes { from: snapshot()?, to: snapshot()?, asked }
        }
    })
}

impl Asked {
    fn word(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Insertions => "insertions",
            Self::Deletions => "deletions",
        }
    }
}
