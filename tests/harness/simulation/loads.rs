//! Bulk loads: rows that go straight into segments and become visible by one commit, while others commit, flush and compact.

use std::sync::Arc;

use siltstone_storage::{Error, TableId};

use super::driver::Simulation;
use super::generate::Wish;
use super::lower::{batch, commit_info};
use super::read::chain;
use super::world::{Op, Rows, Table};
use super::{Fault, cell::Cell};

impl Simulation {
    /// Loads rows into a table in several batches, and commits them; or gives up on the way.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn load(&mut self) -> Result<(), Fault> {
        let world = Arc::clone(self.model.newest());
        let keyless: Vec<&Arc<Table>> = world.tables().filter(|table| table.key.is_empty()).collect();
        if keyless.is_empty() {
            return Ok(());
        }
        let table = keyless[self.random.usize(..keyless.len())];
        let id = TableId(table.id);
        let snapshot = self.engine().snapshot();
        let schema = snapshot.catalog().table_by_id(id).map(|table| Arc::clone(table.schema()));
        let schema = schema.ok_or_else(|| format!("no table {id} to load into"))?;
        let mut load = match self.engine().load(id, &schema) {
            Ok(load) => load,
            Err(error) => return self.failed_load(&error),
        };
        let mut cells = Vec::new();
        for _ in 0..self.random.usize(1..5) {
            let rows = self.generator().some_rows(table);
            if let Err(error) = load.append(&batch(table.id, &rows).map_err(|error| chain(&error))?) {
                return self.failed_load(&error);
            }
            cells.extend(completed(table, &rows));
            // Life goes on meanwhile: the table may be altered or dropped, files are swept.
            match self.random.u8(..6) {
                0 => self.commit_group(2)?,
                1 => self.flush()?,
                2 => self.compact()?,
                _ => {}
            }
        }
        let info = self.generator().info();
        if cells.is_empty() || self.random.u8(..10) == 0 {
            self.trace.say(|| format!("a load into {id} is given up"));
            self.trace.count("load given up");
            return Ok(());
        }
        let latched = self.is_latched();
        let outcome = load.commit(Vec::new(), commit_info(&info));
        self.trace.say(|| format!("load of {} rows into {id}", cells.len()));
        self.trace.count(if outcome.is_ok() { "load" } else { "load refused" });
        let columns = table.columns.iter().map(|column| (column.id, column.ty.clone())).collect();
        let wish = Wish { ops: vec![Op::Append { id: table.id, rows: Rows { columns, cells } }], info };
        self.conclude(vec![wish], vec![outcome], latched)
    }

    fn failed_load(&mut self, error: &Error) -> Result<(), Fault> {
        self.trace.say(|| format!("load: {}", chain(error)));
        self.trace.count("load failed");
        self.excuse(error).map_err(|fault| format!("load: {fault}"))
    }
}

/// Rows with a value in every column of the table: what they do not say is the default when they are loaded.
fn completed(table: &Table, rows: &Rows) -> Vec<Vec<Cell>> {
    let value =
        |row: &Vec<Cell>, id: u32| rows.columns.iter().position(|(column, _)| *column == id).map(|at| row[at].clone());
    let whole = |row: &Vec<Cell>| {
        let columns = table.columns.iter();
        columns.map(|column| value(row, column.id).unwrap_or_else(|| column.default.clone())).collect()
    };
    rows.cells.iter().map(whole).collect()
}
