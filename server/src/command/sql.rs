//! `siltstone sql`: runs SQL on a data directory, or asks a running server over HTTP.
//!
//! **Invariants**: both ways give the same bytes for the same rows.

use std::io::Write;
use std::path::Path;

use clap::ArgMatches;
use http::Method;
use http_body_util::BodyExt;
use serde_json::value::RawValue;
use siltstone_query::{QueryEngine, QueryOptions, SessionSettings};

use super::remote::{self, Remote};
use super::{Failed, open};
use crate::config::Config;
use crate::query_log::Origin;
use crate::sql::{ColumnInfo, Event, Layout, Sql, SqlLimits, SqlRequest};
use crate::system;

/// Runs one request and prints its result.
pub fn run(flags: &ArgMatches) -> Result<(), Failed> {
    let text = |name: &str| flags.get_one::<String>(name).map(String::as_str);
    let statement = text("statement").unwrap_or_default();
    let format = text("format").unwrap_or("table");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::operation(format!("cannot start threads: {error}")))?;
    if let Some(remote) = Remote::of(flags)? {
        return runtime.block_on(ask(&remote, statement, format));
    }
    let data = Path::new(text("data").unwrap_or_default());
    let config = Config { data: data.to_owned(), ..Config::default() };
    let engine = open(data, config.storage.clone(), false)?;
    system::bootstrap(&engine, &config)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = QueryOptions {
        default_database: config.default_catalog.clone(),
        default_schema: config.default_schema.clone(),
        read_only_databases: vec![system::DATABASE.to_owned()],
        hidden_tables: system::hidden_tables(),
        memory_bytes: config.query_memory_bytes,
        query_memory_bytes: config.bytes_per_query(),
        spill_folder: config.spill_folder(),
        spill_bytes_max: config.query_spill_bytes_max,
        parallelism: cores,
        files: None,
    };
    let query = QueryEngine::new(engine.clone(), options).map_err(|error| Failed::operation(error.to_string()))?;
    // Whoever waits at the terminal decides how long it may take.
    let limits = SqlLimits { timeout: None, ..config.sql_limits(cores) };
    let sql = Sql::new(query, runtime.handle().clone(), limits);
    let done = runtime.block_on(print_events(&sql, statement, format));
    engine.close()?;
    done
}

async fn print_events(sql: &Sql, statement: &str, format: &str) -> Result<(), Failed> {
    let request = SqlRequest {
        origin: Origin::new("console"),
        keep_session: false,
        statement: statement.to_owned(),
        settings: SessionSettings::default(),
        offset: 0,
        limit: None,
        layout: match format {
            "csv" => Layout::Csv,
            "table" => Layout::Arrays,
            _ => Layout::Objects,
        },
    };
    let mut events = sql.start(request).map_err(|refused| Failed::operation(refused.to_string()))?;
    let mut printer = Printer::new(format);
    loop {
        match events.next().await {
            Some(Event::Columns(columns, _)) => printer.columns(columns),
            Some(Event::Rows(rows)) => printer.rows(&rows)?,
            Some(Event::Done) => return printer.finish(),
            Some(Event::Failed(error)) => return Err(Failed::operation(error.message)),
            None => return Err(Failed::operation("the query stopped unexpectedly")),
        }
    }
}

async fn ask(remote: &Remote, statement: &str, format: &str) -> Result<(), Failed> {
    let wanted = match format {
        "csv" => "csv",
        "table" => "default",
        _ => "jsonl",
    };
    let body = serde_json::json!({ "statement": statement, "format": wanted });
    let response = remote.send(Method::POST, "/query", Some(&body)).await?;
    let status = response.status();
    if !status.is_success() {
        let text = remote::text(response).await?;
        return Err(Failed::operation(format!("{status}: {text}")));
    }
    let mut body = response.into_body();
    let mut printer = Printer::new(format);
    let mut lines = Lines { envelope: format == "table", seen: 0, rest: Vec::new() };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failed::operation("the server broke off: the result is not complete"))?;
        if let Ok(data) = frame.into_data() {
            lines.take(&data, &mut printer)?;
        }
    }
    printer.finish()
}

/// Takes apart the server's stream: with the envelope, the first line is metadata and the second the columns.
struct Lines {
    envelope: bool,
    seen: usize,
    rest: Vec<u8>,
}

impl Lines {
    fn take(&mut self, data: &[u8], printer: &mut Printer) -> Result<(), Failed> {
        if !self.envelope {
            return printer.rows(data);
        }
        self.rest.extend_from_slice(data);
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.seen += 1;
            if let Some(message) = (line.first() == Some(&b'{') && self.seen > 1).then(|| error_of(line)).flatten() {
                return Err(Failed::operation(message));
            }
            match self.seen {
                1 => {}
                2 => printer.columns(columns_of(line)),
                _ => printer.rows(line)?,
            }
        }
        Ok(())
    }
}

fn error_of(line: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    value.get("error")?.as_str().map(str::to_owned)
}

fn columns_of(line: &[u8]) -> Vec<ColumnInfo> {
    let columns: Vec<serde_json::Value> = serde_json::from_slice(line).unwrap_or_default();
    let text =
        |column: &serde_json::Value, key: &str| column.get(key).and_then(|v| v.as_str()).unwrap_or("").to_owned();
    columns.iter().map(|column| ColumnInfo { name: text(column, "name"), type_name: text(column, "type") }).collect()
}

/// Prints rows as they come, but for a table, whose widths are known only at the end.
struct Printer {
    format: String,
    names: Vec<String>,
    table: Vec<Vec<String>>,
    printed: bool,
    rest: Vec<u8>,
}

impl Printer {
    fn new(format: &str) -> Self {
        Self { format: format.to_owned(), names: Vec::new(), table: Vec::new(), printed: false, rest: Vec::new() }
    }

    fn columns(&mut self, columns: Vec<ColumnInfo>) {
        self.names = columns.into_iter().map(|column| column.name).collect();
    }

    fn rows(&mut self, lines: &[u8]) -> Result<(), Failed> {
        match self.format.as_str() {
            "table" => {
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let cells: Vec<&RawValue> = serde_json::from_slice(line)
                        .map_err(|error| Failed::operation(format!("unreadable row: {error}")))?;
                    self.table.push(cells.iter().map(|cell| shown(cell.get())).collect());
                }
                Ok(())
            }
            "json" => {
                // Pieces from the network may end within a line.
                self.rest.extend_from_slice(lines);
                let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let lines: Vec<u8> = self.rest.drain(..whole).collect();
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    print(if self.printed { b",\n" } else { b"[" })?;
                    print(line)?;
                    self.printed = true;
                }
                Ok(())
            }
            _ => print(lines),
        }
    }

    fn finish(self) -> Result<(), Failed> {
        match self.format.as_str() {
            "table" => print(render(&self.names, &self.table).as_bytes()),
            "json" => print(if self.printed { b"]\n" } else { b"[]\n" }),
            _ => Ok(()),
        }
    }
}

fn print(bytes: &[u8]) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).map_err(|error| Failed::operation(format!("cannot write to standard output: {error}")))
}

/// A JSON cell for people: strings without quotes, NULL as nothing else could be written.
fn shown(cell: &str) -> String {
    if cell == "null" {
        return "NULL".to_owned();
    }
    match serde_json::from_str::<String>(cell) {
        Ok(text) => text.replace(['\n', '\r', '\t'], " "),
        Err(_) => cell.to_owned(),
    }
}

fn render(names: &[String], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..names.len())
        .map(|i| {
            let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count());
            cells.chain([names[i].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} ")).collect();
        format!("|{}|\n", cells.join("|"))
    };
    let rule: String = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+");
    let mut text = format!("+{rule}+\n{}+{rule}+\n", line(names));
    for row in rows {
        text.push_str(&line(row));
    }
    text.push_str(&format!("+{rule}+\n{} row{}\n", rows.len(), if rows.len() == 1 { "" } else { "s" }));
    text
}
