//! The server as a database that the sqllogictest runner can talk to.
//!
//! **Invariants**
//! 1. Cells are compared in the form that the record asks for (`I` whole numbers, `R` three decimals, `T` text), as the original
//!    runner does, so that the same corpus fits databases whose types differ.
//! 2. A reply that ends in an error is an error, however many rows came before.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use siltstone_tests::{Api, QueryReply};
use sqllogictest::{DB, DBOutput, DefaultColumnType};

/// What records may be meant for, or not.
pub const ENGINE: &str = "duckdb";

/// One database of a server.
#[derive(Clone, Debug)]
pub struct Database {
    api: Api,
    name: String,
    /// The original corpus divides whole numbers without a rest, as its first database does.
    is_original: bool,
    /// Types of the columns that the record at hand expects.
    wanted: Arc<Mutex<Vec<DefaultColumnType>>>,
}

/// An error as the server words it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SqlError(String);

impl Database {
    /// Makes it.
    pub fn create(api: &Api, name: &str, is_original: bool, wanted: Arc<Mutex<Vec<DefaultColumnType>>>) -> Self {
        api.succeed(&format!("CREATE DATABASE {name}"));
        Self { api: api.clone(), name: name.to_owned(), is_original, wanted }
    }

    /// Removes it.
    pub fn drop(&self) {
        self.api.succeed(&format!("DROP DATABASE {} CASCADE", self.name));
    }

    fn reply(&self, sql: &str) -> QueryReply {
        let sql = if self.is_original { format!("SET integer_division = true; {sql}") } else { sql.to_owned() };
        let reply = self.api.query_with(&json!({ "statement": sql, "catalog": self.name, "schema": "main" }));
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
        QueryReply::parse(reply.text())
    }
}

impl DB for Database {
    type Error = SqlError;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SqlError> {
        let reply = self.reply(sql);
        if let Some(error) = reply.error {
            return Err(SqlError(error));
        }
        if let ([(name, _)], [row]) = (reply.columns.as_slice(), reply.rows.as_slice())
            && name == "Count"
        {
            return Ok(DBOutput::StatementComplete(row[0].as_u64().expect("a count")));
        }
        let wanted = self.wanted.lock().expect("no panic holds it");
        let types =
            (0..reply.columns.len()).map(|i| wanted.get(i).cloned().unwrap_or(DefaultColumnType::Any)).collect();
        let cells = |row: &Vec<Value>| {
            row.iter().enumerate().map(|(i, value)| cell(value, wanted.get(i), self.is_original)).collect()
        };
        Ok(DBOutput::Rows { types, rows: reply.rows.iter().map(cells).collect() })
    }

    fn engine_name(&self) -> &str {
        ENGINE
    }
}

/// A cell as the corpus writes it.
fn cell(value: &Value, wanted: Option<&DefaultColumnType>, is_original: bool) -> String {
    match (value, wanted) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::String(text), _) if text.is_empty() => "(empty)".to_owned(),
        (Value::String(text), _) => text.clone(),
        (Value::Bool(yes), _) if is_original => u8::from(*yes).to_string(),
        (Value::Number(number), Some(DefaultColumnType::Integer)) if !number.is_i64() => match number.as_f64() {
            Some(number) if is_original => format!("{:.0}", number.trunc()),
            _ => number.to_string(),
        },
        (Value::Number(number), Some(DefaultColumnType::FloatingPoint)) => {
            format!("{:.3}", number.as_f64().expect("a number"))
        }
        (value, _) => value.to_string(),
    }
}
