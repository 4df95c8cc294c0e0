//! The seeded workload, and the checks of what a disk holds after it.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringViewArray};
use siltstone_storage::io::sim::SimDisk;
use siltstone_storage::{
    Batch, Change, Column, Commit, Engine, Error, LogicalType, NewColumn, Options, SnapshotId, TableName, TableSchema,
    verify,
};

use super::Fault;
use super::model::{Cell, Model, ModelTable, Row};
use super::read;

/// Everything runs on the caller's thread; files and row groups are small, so that a short workload rolls and splits them.
pub fn options() -> Options {
    Options {
        background: false,
        log_file_bytes: 1 << 16,
        log_spare_files_max: 2,
        row_group_rows: 16,
        segment_rows_max: 64,
        disk_reserve_bytes: 0,
        ..Options::default()
    }
}

/// A workload under way: its random numbers, its model, and the commit in doubt, if one failed.
#[derive(Clone, Debug)]
pub struct Workload {
    random: fastrand::Rng,
    /// What must be there.
    pub model: Model,
    /// What may be there instead: the model with the commit whose write failed.
    pub in_doubt: Option<Model>,
    next_commit: usize,
    next_row: i64,
}

/// One step.
enum Step {
    Write(Commit, Box<Model>),
    Flush,
    Reopen,
}

impl Workload {
    /// The workload of a seed, nothing of it done.
    pub fn seeded(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { random, model: Model::default(), in_doubt: None, next_commit: 0, next_row: 0 }
    }

    /// Opens the disk and does so many steps, then closes.
    ///
    /// # Errors
    /// The first failure of the engine; a commit that failed is then in doubt.
    pub fn run(&mut self, disk: &SimDisk, steps: usize) -> Result<(), Error> {
        let mut engine = Engine::open(Arc::new(disk.clone()), options())?;
        for _ in 0..steps {
            match self.step(&engine) {
                Step::Write(commit, after) => self.write(&engine, commit, *after)?,
                Step::Flush => engine.flush()?,
                Step::Reopen => {
                    engine.close()?;
                    drop(engine);
                    engine = Engine::open(Arc::new(disk.clone()), options())?;
                }
            }
        }
        engine.close()
    }

    /// Makes one commit on an open engine: acknowledged, or in doubt.
    ///
    /// # Errors
    /// The engine's.
    pub fn commit(&mut self, engine: &Engine) -> Result<SnapshotId, Error> {
        let (commit, after) = self.next(engine);
        self.write(engine, commit, after)?;
        Ok(self.model.last_acknowledged())
    }

    /// Declares that the commit in doubt is certainly not there, as after a refusal that wrote nothing.
    pub fn discard_doubt(&mut self) {
        self.in_doubt = None;
    }

    fn write(&mut self, engine: &Engine, commit: Commit, mut after: Model) -> Result<(), Error> {
        match engine.write(commit) {
            Ok(committed) => {
                after.acknowledged.push((self.next_commit - 1, committed.snapshot));
                self.model = after;
                Ok(())
            }
            Err(error) => {
                self.in_doubt = Some(after);
                Err(error)
            }
        }
    }

    fn step(&mut self, engine: &Engine) -> Step {
        match self.random.u8(..20) {
            0..3 => Step::Flush,
            3 => Step::Reopen,
            _ => {
                let (commit, after) = self.next(engine);
                Step::Write(commit, Box::new(after))
            }
        }
    }

    /// The next commit and the model with it.
    fn next(&mut self, engine: &Engine) -> (Commit, Model) {
        let (mut changes, mut after) = (Vec::new(), self.model.clone());
        let number = self.next_commit;
        self.next_commit += 1;
        let choice = self.random.u8(..20);
        if engine.snapshot().catalog().database("LAKE").is_none() {
            changes.push(Change::CreateDatabase { name: "LAKE".to_owned() });
            changes.push(Change::CreateSchema { database: "LAKE".to_owned(), name: "main".to_owned() });
        }
        if after.tables.is_empty() || (choice < 2 && after.tables.len() < 4) {
            let name = format!("t{number}");
            changes.push(create(engine, &name, &mut after));
        } else if choice == 2 && after.tables.len() > 1 {
            let name = self.pick(&after);
            let table = after.tables.remove(&name).expect("a table that was picked");
            changes.push(Change::DropTable { id: table.id });
        } else if choice < 6 {
            let name = self.pick(&after);
            changes.push(add_column(after.tables.get_mut(&name).expect("a table that was picked")));
        }
        // Rows for one table or two, in the same commit as the change of names: all of it or nothing.
        for _ in 0..=self.random.usize(..2) {
            let name = self.pick(&after);
            let table = after.tables.get_mut(&name).expect("a table that was picked");
            changes.push(self.append(table, number));
        }
        (Commit::new(changes), after)
    }

    fn pick(&mut self, model: &Model) -> String {
        let names: Vec<&String> = model.tables.keys().collect();
        names[self.random.usize(..names.len())].clone()
    }

    /// Rows for a table; now and then a column is left out, and one batch in eight is large.
    fn append(&mut self, table: &mut ModelTable, commit: usize) -> Change {
        let rows = if self.random.u8(..8) == 0 { self.random.usize(50..150) } else { self.random.usize(1..6) };
        let columns = table.schema.columns().to_vec();
        let mut cells = vec![Vec::with_capacity(columns.len()); rows];
        let mut arrays = Vec::new();
        for (position, column) in columns.iter().enumerate() {
            let absent = position > 0 && self.random.u8(..6) == 0;
            let values: Vec<Cell> =
                (0..rows).map(|_| if absent { Cell::Null } else { self.value(position, column) }).collect();
            if !absent {
                arrays.push((column.id, array(&column.logical_type, &values)));
            }
            for (row, value) in cells.iter_mut().zip(values) {
                row.push(value);
            }
        }
        table.rows.extend(cells.into_iter().map(|cells| Row { commit, cells }));
        Change::Append(Batch::new(table.id, rows, arrays).expect("arrays of equal length"))
    }

    fn value(&mut self, position: usize, column: &Column) -> Cell {
        if position == 0 {
            self.next_row += 1;
            return Cell::Int(self.next_row);
        }
        if self.random.u8(..10) == 0 {
            return Cell::Null;
        }
        match column.logical_type {
            LogicalType::Boolean => Cell::Bool(self.random.bool()),
            LogicalType::BigInt => Cell::Int(self.random.i64(..)),
            LogicalType::Double => Cell::Double(self.random.f64().to_bits()),
            _ => Cell::Text("x".repeat(self.random.usize(..40))),
        }
    }

    /// Opens a disk and compares what it holds with the model: every acknowledged commit, the one in doubt whole or not at all, the
    /// past as it was, snapshots that only grow. Then commits, flushes and reopens, to see that life goes on.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&mut self, disk: &SimDisk) -> Result<(), Fault> {
        self.check_opened(disk)?;
        self.run(disk, 3).map_err(|error| format!("life does not go on: {error}"))?;
        self.check_opened(disk)
    }

    fn check_opened(&mut self, disk: &SimDisk) -> Result<(), Fault> {
        let engine = Engine::open(Arc::new(disk.clone()), options())
            .map_err(|error| format!("cannot open: {}", chain(&error)))?;
        self.check_engine(&engine)?;
        engine.close().map_err(|error| format!("cannot close: {error}"))?;
        drop(engine);
        verify(disk).map(|_| ()).map_err(|error| format!("damaged files: {}", chain(&error)))
    }

    /// The comparison itself, on an open engine. Settles what was in doubt.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_engine(&mut self, engine: &Engine) -> Result<(), Fault> {
        let snapshot = engine.snapshot();
        let found = read::contents(&snapshot)?;
        if found != self.model.contents() {
            match self.in_doubt.take() {
                Some(model) if found == model.contents() => {
                    if snapshot.id() <= self.model.last_acknowledged() {
                        return Err(format!("a commit without a snapshot of its own: {}", snapshot.id()));
                    }
                    // It is there, so the next snapshot must be past it.
                    self.model = model;
                    self.model.acknowledged.push((self.next_commit - 1, snapshot.id()));
                }
                in_doubt => return Err(difference(&found, &self.model, in_doubt.as_ref())),
            }
        }
        self.in_doubt = None;
        if snapshot.id() < self.model.last_acknowledged() {
            let last = self.model.last_acknowledged();
            return Err(format!("snapshots went back: acknowledged={last}, found={}", snapshot.id()));
        }
        let ascending = self.model.acknowledged.windows(2).all(|pair| pair[0].1 < pair[1].1);
        if !ascending {
            return Err(format!("a snapshot was given twice: {:?}", self.model.acknowledged));
        }
        self.check_past(engine)
    }

    /// The last few acknowledged snapshots show what they showed.
    fn check_past(&self, engine: &Engine) -> Result<(), Fault> {
        let snapshot = engine.snapshot();
        for (commit, at) in self.model.acknowledged.iter().rev().take(3) {
            for (name, table) in &self.model.tables {
                let expected = table.rows_until(*commit);
                if expected.is_empty() {
                    // The table may not have existed yet.
                    continue;
                }
                let view = snapshot.table_at(table.id, *at).map_err(|error| format!("{name} at {at}: {error}"))?;
                let width = view.schema().columns().len();
                let expected: Vec<Vec<Cell>> = expected.into_iter().map(|row| row[..width].to_vec()).collect();
                if read::rows(&view)? != expected {
                    return Err(format!("{name} at snapshot {at} is not what it was"));
                }
            }
        }
        Ok(())
    }
}

fn create(engine: &Engine, name: &str, after: &mut Model) -> Change {
    let columns = vec![
        NewColumn::new("id", LogicalType::BigInt),
        NewColumn::new("text", LogicalType::Varchar),
        NewColumn::new("number", LogicalType::Double),
    ];
    let schema = Arc::new(TableSchema::new(columns, &[]).expect("a valid schema"));
    let id = engine.new_table_id();
    after.tables.insert(name.to_owned(), ModelTable { id, schema: Arc::clone(&schema), rows: Vec::new() });
    Change::CreateTable { id, name: TableName::new("LAKE", "main", name), schema }
}

fn add_column(table: &mut ModelTable) -> Change {
    let count = table.schema.columns().len();
    let types = [LogicalType::Boolean, LogicalType::BigInt, LogicalType::Varchar, LogicalType::Double];
    let column = NewColumn::new(format!("added_{count}"), types[count % types.len()].clone());
    table.schema = Arc::new(table.schema.with_columns(vec![column]).expect("a new name"));
    Change::SetSchema { id: table.id, schema: Arc::clone(&table.schema) }
}

fn array(logical_type: &LogicalType, values: &[Cell]) -> ArrayRef {
    match logical_type {
        LogicalType::Boolean => Arc::new(BooleanArray::from_iter(values.iter().map(|value| match value {
            Cell::Bool(flag) => Some(*flag),
            _ => None,
        }))),
        LogicalType::BigInt => Arc::new(Int64Array::from_iter(values.iter().map(|value| match value {
            Cell::Int(number) => Some(*number),
            _ => None,
        }))),
        LogicalType::Double => Arc::new(Float64Array::from_iter(values.iter().map(|value| match value {
            Cell::Double(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }))),
        _ => Arc::new(StringViewArray::from_iter(values.iter().map(|value| match value {
            Cell::Text(text) => Some(text.as_str()),
            _ => None,
        }))),
    }
}

type Contents = std::collections::BTreeMap<String, Vec<Vec<Cell>>>;

/// Says which tables differ, and by how many rows.
fn difference(found: &Contents, model: &Model, in_doubt: Option<&Model>) -> Fault {
    let sizes = |contents: &Contents| -> Vec<String> {
        contents.iter().map(|(name, rows)| format!("{name}: {} rows", rows.len())).collect()
    };
    let expected = model.contents();
    let first = expected.iter().find_map(|(name, rows)| {
        let found = found.get(name)?;
        let position = rows.iter().zip(found).position(|(a, b)| a != b)?;
        Some(format!(
            "; first difference in {name}, row {position}: {:?} instead of {:?}",
            found[position], rows[position]
        ))
    });
    format!(
        "found {:?}, expected {:?} or {:?}{}",
        sizes(found),
        sizes(&expected),
        in_doubt.map(|model| sizes(&model.contents())),
        first.unwrap_or_default()
    )
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
