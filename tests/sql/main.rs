//! SQL as text: corpora in the sqllogictest format, replayed over `POST /query` against the real binary.
//!
//! Without settings, the corpora beside this file, all of whose records must hold. `SILTSTONE_SLT` names another file or folder; see
//! docs/testing.md.
//!
//! **Invariants**
//! 1. Each file has a database of its own.
//! 2. A record that the server does not answer as written counts as failed, whatever the reason; skipped are only those that are
//!    meant for other databases.

mod driver;
mod report;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use siltstone_tests::{Launch, Server};
use sqllogictest::{
    Control, DefaultColumnType, QueryExpect, Record, RecordOutput, ResultMode, Runner, StatementExpect, parse_with_name,
};

use crate::driver::Database;
use crate::report::Report;

/// How a corpus is replayed.
#[derive(Debug)]
struct Plan {
    /// File or folder.
    corpus: PathBuf,
    /// Only every n-th query of a file runs. Statements always do.
    every: usize,
    /// Percentage of the records that must hold.
    percent_min: f64,
}

impl Plan {
    fn from_environment() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/sql");
        Self {
            corpus: std::env::var_os("SILTSTONE_SLT").map_or(here, PathBuf::from),
            every: setting("SILTSTONE_SLT_EVERY").unwrap_or(1),
            percent_min: setting("SILTSTONE_SLT_PERCENT").unwrap_or(100.0),
        }
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?}")))
}

/// Corpora at or below a path: ours (`.slt`) and those in the original's form (`.test`), sorted.
fn corpora(path: &Path) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![path.to_owned()]);
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            pending.extend(entries.map(|entry| entry.expect("a readable entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "slt" || extension == "test") {
            found.push(path);
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no corpus below {}", path.display());
    found
}

/// The records of a file. The original's form has one value per line, remarks behind conditions, and conditions on `halt`, which
/// the parser does not know.
fn records(file: &Path) -> Vec<Record<DefaultColumnType>> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut script, mut lines) = (String::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            [condition @ ("onlyif" | "skipif"), database] if lines.peek().is_some_and(|line| line.trim() == "halt") => {
                if (*condition == "onlyif") == (*database == driver::ENGINE) {
                    break;
                }
                let _halt = lines.next();
            }
            [condition @ ("onlyif" | "skipif"), database] => script.push_str(&format!("{condition} {database}\n")),
            _ => script.extend([line, "\n"]),
        }
    }
    parse_with_name(&script, file.display().to_string()).unwrap_or_else(|error| panic!("{error}"))
}

fn replay(server: &Server, file: &Path, number: usize, plan: &Plan, report: &mut Report) {
    let is_original = file.extension().is_some_and(|extension| extension == "test");
    let wanted = Arc::new(Mutex::new(Vec::new()));
    let database = Database::create(&server.api(), &format!("slt_{number}"), is_original, Arc::clone(&wanted));
    let mut runner = Runner::new(|| async { Ok(database.clone()) });
    if is_original {
        // What the original runner does unless a file says otherwise.
        runner.with_hash_threshold(8);
        let mode = Record::Control(Control::ResultMode(ResultMode::ValueWise));
        assert!(runner.run(mode).is_ok(), "a control record does nothing else");
    }
    let mut queries = 0;
    for record in records(file) {
        let counts = match &record {
            Record::Halt { .. } => break,
            Record::Query { expected, .. } => {
                queries += 1;
                if !usize::is_multiple_of(queries - 1, plan.every) {
                    continue;
                }
                if let QueryExpect::Results { types, .. } = expected {
                    wanted.lock().expect("no panic holds it").clone_from(types);
                }
                true
            }
            Record::Statement { expected, .. } => !matches!(expected, StatementExpect::Count(_)) || !is_original,
            _ => false,
        };
        match runner.run(record) {
            Ok(RecordOutput::Nothing) if counts => report.skipped += 1,
            Ok(_) if counts => report.held += 1,
            Ok(_) => {}
            Err(error) => report.fail(&error),
        }
    }
    database.drop();
}

#[test]
fn every_record_of_the_corpus_holds() {
    // Statements succeed or fail as the corpus says, queries have exactly its rows.
    let plan = Plan::from_environment();
    let server = Server::start(Launch::new(env!("CARGO_BIN_EXE_siltstone")));
    let mut whole = Report::default();
    for (number, file) in corpora(&plan.corpus).iter().enumerate() {
        let mut report = Report::default();
        replay(&server, file, number, &plan, &mut report);
        println!("{}: {}", file.display(), report.summary());
        whole.add(report);
    }
    println!("{whole}");
    assert!(whole.held > 0, "nothing ran");
    assert!(whole.percent() >= plan.percent_min, "{:.3} % of the records hold", whole.percent());
}
