//! The crate against a real engine in a temporary folder: SQL in, rows and errors out.

mod altering;
mod catalog_functions;
mod changes;
mod dml;
mod dml_model;
mod errors;
mod files;
mod forms;
mod keys;
mod literals;
mod measure;
mod names;
mod page;
mod queries;
mod scans;
mod sessions;
mod settings;
mod shelf;
mod system_tables;
mod time_travel;
mod transactions;
mod views;
mod volatile;

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, SchemaRef};
use arrow::util::display::array_value_to_string;
use futures::StreamExt;
use siltstone_storage::io::OsDisk;
use siltstone_storage::{Change, Commit, Engine, LogicalType, Options};
use tempfile::TempDir;

use crate::{FileAccess, OutputKind, QueryEngine, QueryError, QueryOptions, SessionSettings};

/// An engine with the databases LAKE and system, and SQL on it.
struct Lake {
    engine: Engine,
    query: QueryEngine,
    options: QueryOptions,
    _folder: TempDir,
}

/// A statement's whole result.
#[derive(Debug)]
struct Answer {
    schema: SchemaRef,
    kind: OutputKind,
    batches: Vec<RecordBatch>,
}

impl Lake {
    fn new() -> Self {
        Self::with_memory(256 << 20)
    }

    fn with_memory(memory_bytes: usize) -> Self {
        Self::with_options(memory_bytes, Options::default())
    }

    fn with_options(memory_bytes: usize, options: Options) -> Self {
        Self::with_files(memory_bytes, options, Some(Arc::new(shelf::Shelf::default())))
    }

    fn without_files() -> Self {
        Self::with_files(256 << 20, Options::default(), None)
    }

    fn with_files(memory_bytes: usize, options: Options, files: Option<Arc<dyn FileAccess>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(OsDisk::open(&folder.path().join("data")).unwrap());
        let engine = Engine::open(disk, Options { log_file_bytes: 1 << 20, disk_reserve_bytes: 0, ..options }).unwrap();
        let changes = ["LAKE", "system"].into_iter().flat_map(|name| {
            [
                Change::CreateDatabase { name: name.to_owned() },
                Change::CreateSchema { database: name.to_owned(), name: "main".to_owned() },
            ]
        });
        engine.write(Commit::new(changes.collect())).unwrap();
        let options = QueryOptions {
            default_database: "lake".to_owned(),
            default_schema: "main".to_owned(),
            read_only_databases: vec!["system".to_owned()],
            hidden_tables: Vec::new(),
            memory_bytes,
            query_memory_bytes: memory_bytes,
            spill_folder: folder.path().join("spill"),
            spill_bytes_max: 1 << 30,
            parallelism: 2,
            files,
        };
        let query = QueryEngine::new(engine.clone(), options.clone()).unwrap();
        Self { engine, query, options, _folder: folder }
    }

    /// SQL on the same engine as a new start would have it.
    fn restarted(&self) -> QueryEngine {
        QueryEngine::new(self.engine.clone(), self.options.clone()).unwrap()
    }

    async fn run_with(&self, sql: &str, settings: SessionSettings) -> Result<Answer, QueryError> {
        let mut output = self.query.run(sql, settings).await?;
        let mut batches = Vec::new();
        while let Some(batch) = output.batches.next().await {
            batches.push(batch?);
        }
        Ok(Answer { schema: output.schema, kind: output.kind, batches })
    }

    async fn run(&self, sql: &str) -> Answer {
        match self.run_with(sql, SessionSettings::default()).await {
            Ok(answer) => answer,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// Rows as text, columns separated by `|`, NULL as `NULL`.
    async fn rows(&self, sql: &str) -> Vec<String> {
        self.run(sql).await.rows()
    }

    async fn error(&self, sql: &str) -> QueryError {
        match self.run_with(sql, SessionSettings::default()).await {
            Ok(answer) => panic!("{sql} succeeded: {answer:?}"),
            Err(error) => error,
        }
    }
}

impl Answer {
    fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let cells = batch.columns().iter().map(|column| cell(column, row));
                rows.push(cells.collect::<Vec<_>>().join("|"));
            }
        }
        rows
    }

    fn names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    fn types(&self) -> Vec<String> {
        self.schema
            .fields()
            .iter()
            .map(|field: &Arc<Field>| LogicalType::from_field(field).unwrap().to_string())
            .collect()
    }
}

fn cell(column: &Arc<dyn Array>, row: usize) -> String {
    if column.is_null(row) { "NULL".to_owned() } else { array_value_to_string(column, row).unwrap() }
}
