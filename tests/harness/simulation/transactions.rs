//! Transactions: what each sees of its own, and what it comes to when it commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use siltstone_storage::{Batch, Change, Error, ErrorKind, RowCounts, TableId, Transaction};

use super::commits::add_counts;
use super::driver::Simulation;
use super::lower::{Lowering, commit_info};
use super::read::chain;
use super::world::{Counts, Info, Op, Refusal, Row, World};
use super::{Fault, check};

/// Most transactions open at once.
const OPEN_MAX: usize = 2;

/// A transaction under way.
pub(super) struct Open {
    transaction: Transaction,
    base: Arc<World>,
    /// What it sees.
    world: World,
    /// Changes of names, in order.
    names: Vec<Op>,
    /// Tables merged by other columns than the primary key, and those merged by its columns in another order.
    merged: BTreeSet<u64>,
    merged_in_disorder: BTreeSet<u64>,
    /// Tables whose rows it wrote to segments.
    spilled: BTreeSet<u64>,
    counts: Counts,
}

impl Simulation {
    /// Begins a transaction, changes something in one, looks into it, or ends it.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn transact(&mut self) -> Result<(), Fault> {
        if self.open.is_empty() || (self.open.len() < OPEN_MAX && self.random.u8(..8) == 0) {
            let base = Arc::clone(self.model.newest());
            self.trace.say(|| format!("transaction on {}", base.id));
            let transaction = self.engine().begin();
            self.open.push(Open {
                transaction,
                world: base.as_ref().clone(),
                base,
                names: Vec::new(),
                merged: BTreeSet::new(),
                merged_in_disorder: BTreeSet::new(),
                spilled: BTreeSet::new(),
                counts: Counts::default(),
            });
        }
        let place = self.random.usize(..self.open.len());
        let mut open = self.open.swap_remove(place);
        match self.random.u8(..10) {
            0 => self.trace.count("rolled back"),
            1..4 => self.commit_transaction(open)?,
            choice => {
                self.change_within(&mut open)?;
                if self.random.u8(..4) == 0 {
                    self.spill(&mut open)?;
                }
                if choice < 7 {
                    look(&open).map_err(|fault| format!("in a transaction: {fault}"))?;
                }
                self.open.push(open);
            }
        }
        Ok(())
    }

    /// Writes what it has in memory to segments: nothing changes.
    fn spill(&mut self, open: &mut Open) -> Result<(), Fault> {
        open.spilled.extend(open.world.tables().map(|table| table.id));
        let bytes = if self.random.bool() { 0 } else { self.random.usize(..2_000) };
        let outcome = open.transaction.spill(bytes);
        self.trace.say(|| format!("the transaction on {} spills: {outcome:?}", open.base.id));
        self.trace.count(if outcome.is_ok() { "spill" } else { "spill failed" });
        outcome.or_else(|error| self.excuse(&error).map_err(|fault| format!("spill: {fault}")))
    }

    /// Rows for a table without a key, by way of segments.
    fn loaded(&mut self, open: &Open, batch: &Batch) -> Result<Option<Change>, Error> {
        let seen = open.transaction.snapshot();
        let keyless = seen.catalog().table_by_id(batch.table()).filter(|table| table.schema().primary_key().is_empty());
        let Some(table) = keyless else { return Ok(None) };
        let mut load = self.engine().load(table.id, table.schema())?;
        load.append(batch)?;
        Ok(load.finish()?.map(Change::Load))
    }

    fn change_within(&mut self, open: &mut Open) -> Result<(), Fault> {
        let engine = self.engine().clone();
        let op = self.generator().change(&open.world, &mut || engine.new_table_id().0);
        let seen = open.transaction.snapshot();
        let mut change = Lowering::within(&seen, &self.model, &open.world).change(&op)?;
        if let Change::Append(batch) = &change
            && self.random.u8(..3) == 0
            // One that fails is tried the other way.
            && let Ok(Some(load)) = self.loaded(open, batch)
        {
            open.spilled.insert(batch.table().0);
            change = load;
        }
        let expected = open.world.commit(std::slice::from_ref(&op), Info::default(), open.base.time_us);
        let found = open.transaction.apply(change);
        self.trace.say(|| format!("in the transaction on {}: {op} -> {}", open.base.id, told(&found)));
        match (expected, found) {
            (Ok((next, counts)), Ok(rows)) => {
                if add_counts(&Counts::default(), &rows) != counts {
                    return Err(format!("in a transaction: {op}: expected {counts:?}, found {rows:?}"));
                }
                self.trace.count("change in a transaction");
                open.note(op);
                open.counts = add_counts(&open.counts, &rows);
                open.world = World { id: open.base.id, ..next };
            }
            (Err(refusal), Err(error)) if error.kind() == refusal.kind => {}
            (expected, Err(error)) => self.excuse(&error).map_err(|fault| {
                let expected = expected.map(|(_, counts)| counts);
                format!("in a transaction: {op}: expected {expected:?}, {fault}")
            })?,
            (Err(refusal), Ok(_)) => return Err(format!("in a transaction: {op}: expected {refusal:?}")),
        }
        Ok(())
    }

    fn commit_transaction(&mut self, open: Open) -> Result<(), Fault> {
        let latched = self.is_latched();
        let info = self.generator().info();
        let ops = open.comes_to();
        let newest = Arc::clone(self.model.newest());
        let (must_conflict, may_conflict) = self.conflicts(&open, &newest);
        let expected = newest.commit(&ops, info.clone(), self.now_us);
        let found = open.transaction.commit(commit_info(&info));
        let text = || ops.iter().map(|op| op.to_string()).collect::<Vec<String>>().join("; ");
        self.trace.say(|| format!("transaction on {} commits: {}: {found:?}", open.base.id, text()));
        let result = match (expected, found) {
            (_, Ok(committed)) if ops.is_empty() => {
                let unchanged = committed.snapshot.0 == open.base.id;
                if unchanged { Ok(()) } else { Err(format!("an empty commit is {committed:?}")) }
            }
            (Ok((next, _)), Ok(committed)) if !must_conflict => {
                let rows = add_counts(&Counts::default(), &committed.rows);
                if (committed.snapshot.0, rows) != (next.id, open.counts) {
                    return Err(format!("{}: expected {} {:?}, found {committed:?}", text(), next.id, open.counts));
                }
                self.trace.count("transaction");
                self.model.acknowledge(Arc::new(next));
                Ok(())
            }
            // It may be a conflict, and reached the log all the same: then it is in doubt as any other.
            (Ok((next, _)), Err(error)) if error.kind() == ErrorKind::Latched && !must_conflict => {
                self.excuse(&error).map_err(|fault| format!("{}: expected {}, {fault}", text(), next.id))?;
                if !latched {
                    self.trace.count("doubt");
                    self.model.doubt.push(Arc::new(next));
                }
                Ok(())
            }
            (expected, Err(error)) if must_conflict || may_conflict || expected.is_err() => {
                let kinds = [ErrorKind::Conflict, ErrorKind::NotFound, ErrorKind::Invalid];
                self.trace.count("transaction refused");
                if kinds.contains(&error.kind()) { Ok(()) } else { self.excuse(&error) }
            }
            (Ok((next, _)), Err(error)) => {
                self.excuse(&error).map_err(|fault| format!("{}: expected {}, {fault}", text(), next.id))
            }
            (Err(refusal), Ok(committed)) => Err(format!("{}: expected {refusal:?}, found {committed:?}", text())),
            (Ok(_), Ok(committed)) => Err(format!("{}: a conflict is overlooked, found {committed:?}", text())),
            (Err(Refusal { .. }), Err(_)) => Ok(()),
        };
        result.map_err(|fault| format!("transaction on {}: {fault}", open.base.id))
    }

    /// Whether another commit has changed a table that was merged by other columns than its key, and whether one may have.
    fn conflicts(&self, open: &Open, newest: &World) -> (bool, bool) {
        let rows = |id: u64, table: &u64| {
            self.model.at(id).tables.get(table).map(|table| table.rows.keys().copied().collect::<Vec<u64>>())
        };
        let there = |table: &&u64| newest.tables.contains_key(table);
        let changed = |table: &u64| (open.base.id..newest.id).any(|id| rows(id, table) != rows(id + 1, table));
        let touched = |table: &u64| newest.touched.get(table).is_some_and(|commit| *commit > open.base.id);
        let must = open.merged.iter().filter(there).any(changed);
        // Rows in segments have every column that the table had: one that is dropped meanwhile is a conflict.
        let altered = |table: &u64| {
            let columns = |world: &World| world.tables.get(table).map(|table| table.columns.clone());
            columns(&open.base) != columns(newest)
        };
        let may = open.merged.iter().chain(&open.merged_in_disorder).chain(&open.spilled).any(touched);
        (must, may || open.spilled.iter().any(altered))
    }
}

impl Open {
    fn note(&mut self, op: Op) {
        match &op {
            Op::Merge { id, how, .. } => {
                let primary = &self.world.tables[id].key;
                let columns = |key: &[u32]| key.iter().copied().collect::<BTreeSet<u32>>();
                if columns(primary) != columns(&how.key) {
                    self.merged.insert(*id);
                } else if *primary != how.key {
                    self.merged_in_disorder.insert(*id);
                }
            }
            op if op.rows_of().is_some() => {}
            _ => self.names.push(op),
        }
    }

    /// The changes of names, then for each table the rows that went and those that came.
    fn comes_to(&self) -> Vec<Op> {
        let mut ops = self.names.clone();
        for table in self.world.tables() {
            let before = self.base.tables.get(&table.id).map(|table| table.rows.clone()).unwrap_or_default();
            let deleted: Vec<u64> = before.keys().filter(|id| !table.rows.contains_key(id)).copied().collect();
            let new = table.rows.iter().filter(|(id, _)| !before.contains_key(id));
            let there = |column: &u32| table.columns.iter().any(|known| known.id == *column);
            let kept = |row: &Row| Row(row.0.iter().filter(|(column, _)| there(column)).map(clone_both).collect());
            let added: Vec<Row> = new.map(|(_, row)| kept(row)).collect();
            if !deleted.is_empty() || !added.is_empty() {
                ops.push(Op::Net { id: table.id, deleted, added });
            }
        }
        ops
    }
}

fn clone_both<A: Clone, B: Clone>((a, b): (&A, &B)) -> (A, B) {
    (a.clone(), b.clone())
}

fn told(found: &Result<RowCounts, Error>) -> String {
    found.as_ref().map_or_else(chain, |counts| format!("{counts:?}"))
}

/// A transaction sees its own changes.
fn look(open: &Open) -> Result<(), Fault> {
    let seen = open.transaction.snapshot();
    check::names(&seen, &open.world)?;
    for table in open.world.tables() {
        let found = seen.table(TableId(table.id)).ok_or_else(|| format!("no table {}", table.id))?;
        check::rows(&found, table).map_err(|unread| unread.fault())?;
    }
    Ok(())
}
