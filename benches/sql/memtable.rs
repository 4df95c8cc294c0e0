//! Times of a workload's queries on plain DataFusion over Arrow batches in memory: what the same planner and operators need
//! without any storage.
//!
//! `siltstone-memtable FOLDER QUERIES.sql` loads `FOLDER/*.parquet`, runs each query three times and prints `name milliseconds` of
//! the fastest run per line.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

/// Runs of each query; the fastest counts, for the server as well.
const RUNS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, queries] = arguments.as_slice() else {
        return Err(DataFusionError::Configuration("usage: siltstone-memtable FOLDER QUERIES.sql".to_owned()));
    };
    // Literals as the server reads them: 0.06 + 0.01 is 0.07.
    let config = SessionConfig::new().set_bool("datafusion.sql_parser.parse_float_as_decimal", true);
    let context = SessionContext::new_with_config(config);
    let length = context.udf("octet_length")?;
    let strlen: ScalarUDF = length.as_ref().clone().with_aliases(["strlen"]);
    context.register_udf(strlen);
    for entry in std::fs::read_dir(folder)? {
        load(&context, &entry?.path()).await?;
    }
    let text = std::fs::read_to_string(queries)?;
    for part in text.split("\n-- ").skip(1) {
        let (name, sql) = part.split_once('\n').unwrap_or((part, ""));
        let mut fastest = f64::INFINITY;
        for _ in 0..RUNS {
            let started = Instant::now();
            let batches = context.sql(sql).await?.collect().await?;
            fastest = fastest.min(started.elapsed().as_secs_f64() * 1000.0);
            drop(batches);
        }
        println!("{name} {fastest:.1}");
    }
    Ok(())
}

/// A file as a table in memory, in as many partitions as there are cores; column names in lower case, as unquoted names are read.
async fn load(context: &SessionContext, path: &Path) -> Result<()> {
    let Some(name) =
        path.file_stem().and_then(|name| name.to_str()).filter(|_| path.extension().is_some_and(|e| e == "parquet"))
    else {
        return Ok(());
    };
    let mut frame = context.read_parquet(path.display().to_string(), ParquetReadOptions::default()).await?;
    let fields: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
    for field in fields.iter().filter(|field| field.to_ascii_lowercase() != **field) {
        frame = frame.with_column_renamed(format!("\"{field}\""), &field.to_ascii_lowercase())?;
    }
    let schema = Arc::clone(frame.schema().inner());
    let table = MemTable::try_new(schema, frame.collect_partitioned().await?)?;
    context.register_table(name, Arc::new(table))?;
    Ok(())
}
