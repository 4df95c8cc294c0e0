//! The same queries on plain DataFusion, with every table as Arrow batches in memory: what the query engine takes without our storage.
//!
//! ```sh
//! cargo run --release -p siltstone-benches --example memtable -- QUERIES.sql FOLDER_OF_PARQUET [RUNS]
//! ```
//!
//! Each `NAME.parquet` of the folder becomes the table NAME, its columns in lower case. Prints one line per query: the seconds of each run
//! as a JSON array. `benches/analytics/run.py` calls it.

use std::env;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RUNS: usize = 3;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: memtable QUERIES.sql FOLDER_OF_PARQUET [RUNS]";
    let queries = std::fs::read_to_string(arguments.next().ok_or(usage)?)?;
    let folder = arguments.next().ok_or(usage)?;
    let runs = arguments.next().map_or(Ok(RUNS), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&queries, Path::new(&folder), runs))
}

async fn run(queries: &str, folder: &Path, runs: usize) -> Result<()> {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let context = SessionContext::new_with_config(config);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            load(&context, &path).await?;
        }
    }
    for query in statements(queries) {
        let mut seconds = Vec::with_capacity(runs);
        for _ in 0..runs {
            let started = Instant::now();
            context.sql(&query).await?.collect().await?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        println!("{}", serde_json::to_string(&seconds)?);
    }
    Ok(())
}

/// Reads a file into memory, as many partitions as there are cores.
async fn load(context: &SessionContext, path: &Path) -> Result<()> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a file without a name")?;
    let file = path.to_str().ok_or("a path that is not text")?;
    let partitions = context.read_parquet(file, ParquetReadOptions::default()).await?.collect_partitioned().await?;
    let first = partitions.iter().flatten().next().ok_or("a table without rows")?;
    let fields: Vec<Field> = first
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_name(field.name().to_lowercase()))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let renamed = |batch: RecordBatch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec());
    let partitions = partitions
        .into_iter()
        .map(|batches| batches.into_iter().map(renamed).collect())
        .collect::<std::result::Result<Vec<Vec<_>>, _>>()?;
    context.register_table(name, Arc::new(MemTable::try_new(schema, partitions)?))?;
    Ok(())
}

/// The statements of a file, each ended by a semicolon at the end of a line; lines that start with `--` are comments.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    code.join("\n")
        .split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|s| !s.is_empty())
        .collect()
}
