//! What clients ask for, chosen by their random numbers from what they last saw.
//!
//! **Invariants**: a client's choice depends on its random numbers and the world it saw, never on the engine.

mod changes;
mod extras;
pub mod values;

use fastrand::Rng;
use siltstone_storage::LogicalType;

use super::Model;
use super::cell::Cell;
use super::world::{Alteration, Column, Info, Op, Rows, Table, World};

const DATABASES: [&str; 2] = ["LAKE", "Archive"];
const SCHEMAS: [&str; 2] = ["main", "Staging"];
const TABLES: [&str; 6] = ["events", "Users", "orders", "täglich", "t5", "t6"];
/// Past it no table is created.
const TABLES_MAX: usize = 6;
/// Past it no column is added.
const COLUMNS_MAX: usize = 12;
/// Past it batches are small.
const ROWS_MAX: usize = 1500;

/// What a client wants to commit.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// In order.
    pub ops: Vec<Op>,
    /// What it says of it.
    pub info: Info,
}

/// A source of wishes: the random numbers of one client.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Every choice comes from here.
    pub random: Rng,
    /// The first column of every table is a number that is never given twice, so that rows can be told apart.
    next_tag: i64,
}

impl Generator {
    /// The `number`-th client of a simulation.
    pub fn new(random: Rng, number: i64) -> Self {
        Self { random, next_tag: number << 40 }
    }

    /// A commit of one to four changes that make sense in the world this client sees. `new_id` gives table ids.
    pub fn wish(&mut self, seen: &World, past: &Model, new_id: &mut dyn FnMut() -> u64) -> Wish {
        let mut wish = Wish { ops: Vec::new(), info: self.info() };
        // Most tables live in one schema: without it hardly anything would come about.
        let home = seen.databases.get("lake");
        if home.is_none() {
            wish.ops.push(Op::CreateDatabase { name: "LAKE".to_owned() });
        }
        if home.is_none_or(|database| !database.schemas.contains_key("main")) {
            wish.ops.push(Op::CreateSchema { database: "lake".to_owned(), name: "main".to_owned() });
        }
        // Later changes of a commit build on its earlier ones: they are chosen in the world that those make.
        let mut world = seen.clone();
        for op in &wish.ops {
            world = after(&world, op).unwrap_or(world);
        }
        let changes = [1, 1, 1, 2, 2, 3, 4][self.random.usize(..7)];
        for _ in 0..changes {
            let op = self.op(&world, seen, Some(past), new_id);
            // Rows are changed under the columns that the whole commit leaves: no column changes once rows did.
            let altered = matches!(op, Op::Alter { id, .. } if wish.ops.iter().any(|op| op.rows_of() == Some(id)));
            if altered {
                continue;
            }
            let next = after(&world, &op);
            let refused = matches!(op, Op::Alter { .. }) && next.is_none();
            wish.ops.push(op);
            if refused {
                // The whole commit will be; another change of those columns could not even be put into words.
                break;
            }
            world = next.unwrap_or(world);
        }
        wish
    }

    /// One change that makes sense to someone who sees this; rows are picked from what he sees.
    pub fn change(&mut self, world: &World, new_id: &mut dyn FnMut() -> u64) -> Op {
        self.op(world, world, None, new_id)
    }

    /// What is said of a commit.
    pub fn info(&mut self) -> Info {
        let mut said = |text: &str| (self.random.u8(..5) == 0).then(|| format!("{text} {}", self.random.u8(..)));
        [said("author"), said("message"), said("{\"tag\":1}").map(|_| "{\"tag\":1}".to_owned())]
    }

    /// Rows to add to a table.
    pub fn some_rows(&mut self, table: &Table) -> Rows {
        self.rows(table)
    }

    /// `past` is where rows can be picked from, if not in `seen` alone.
    fn op(&mut self, world: &World, seen: &World, past: Option<&Model>, new_id: &mut dyn FnMut() -> u64) -> Op {
        let Some(table) = self.table(world) else { return self.create_table(new_id()) };
        let id = table.id;
        match self.random.u8(..100) {
            0..5 if world.tables.len() < TABLES_MAX => self.create_table(new_id()),
            5..7 => Op::DropTable { id },
            7..10 => Op::RenameTable { id, name: values::name(&mut self.random, &TABLES) },
            10..20 => self.alter(table),
            20 => Op::CreateDatabase { name: values::name(&mut self.random, &DATABASES) },
            21 if world.databases.len() > 1 => Op::DropDatabase { name: "archive".to_owned() },
            22..24 => self.create_schema(),
            24 => self.drop_schema(),
            25..27 => self.view(world),
            27..30 => self.describe(table),
            30..50 => self.merge(table),
            50..62 => match self.delete(table, seen, past) {
                Some(op) => op,
                None => self.create_schema(),
            },
            _ => Op::Append { id, rows: self.rows(table) },
        }
    }

    /// One of the tables, the first ones more often.
    fn table<'a>(&mut self, world: &'a World) -> Option<&'a Table> {
        let count = world.tables.len();
        let place = self.random.usize(..count.max(1)).min(self.random.usize(..count.max(1)));
        world.tables().nth(place).map(AsRef::as_ref)
    }

    fn create_schema(&mut self) -> Op {
        let database = values::name(&mut self.random, &DATABASES);
        Op::CreateSchema { database, name: values::name(&mut self.random, &SCHEMAS) }
    }

    fn drop_schema(&mut self) -> Op {
        let database = values::name(&mut self.random, &DATABASES);
        // The one that most tables are in goes only if it is empty, or nothing would be left to do.
        let staging = self.random.bool();
        let name = if staging { "staging" } else { "main" }.to_owned();
        Op::DropSchema { database, name, cascade: staging && self.random.bool() }
    }

    fn create_table(&mut self, id: u64) -> Op {
        let home = self.random.u8(..10) > 0;
        let random = &mut self.random;
        let (database, schema) = match home {
            true => ("LAKE".to_owned(), "main".to_owned()),
            false => (values::name(random, &DATABASES), values::name(random, &SCHEMAS)),
        };
        let mut columns = vec![Column { id: 1, name: "tag".to_owned(), ty: LogicalType::BigInt, default: Cell::Null }];
        for id in 2..2 + random.u32(..7) {
            let (ty, default) = column_type(random);
            columns.push(Column { id, name: format!("c{id}"), ty, default });
        }
        let key = primary_key(random, &columns);
        Op::CreateTable { id, name: [database, schema, values::name(random, &TABLES)], columns, key }
    }

    fn alter(&mut self, table: &Table) -> Op {
        let random = &mut self.random;
        let free: Vec<&Column> =
            table.columns.iter().filter(|column| column.id != 1 && !table.key.contains(&column.id)).collect();
        let alteration = match random.u8(..7) {
            0..2 if !free.is_empty() => Alteration::Drop { name: free[random.usize(..free.len())].name.clone() },
            2 if !free.is_empty() => {
                let name = free[random.usize(..free.len())].name.clone();
                let (ty, default) = column_type(random);
                Alteration::Replace { name, ty, default }
            }
            3..5 if !free.is_empty() => {
                let column = free[random.usize(..free.len())];
                Alteration::Rename { from: column.name.clone(), to: format!("r{}_{}", table.version, column.id) }
            }
            _ if table.columns.len() < COLUMNS_MAX => {
                let (ty, default) = column_type(random);
                Alteration::Add { name: format!("c{}_{}", table.next_column, table.version), ty, default }
            }
            _ => Alteration::Rename { from: "tag".to_owned(), to: "Tag".to_owned() },
        };
        Op::Alter { id: table.id, base: table.version, alteration }
    }

    /// Rows to append: none, one, some, many; now and then without one of the columns.
    fn rows(&mut self, table: &Table) -> Rows {
        let count = self.count(table);
        let mut given = Vec::new();
        for column in &table.columns {
            let cells = match column.id {
                1 => self.tags(count),
                id if table.key.contains(&id) => self.new_keys(column, count),
                _ if self.random.u8(..8) == 0 => continue,
                _ => values::column(&mut self.random, &column.ty, count),
            };
            given.push((column.id, column.ty.clone(), cells));
        }
        rows_of(given, count)
    }

    fn count(&mut self, table: &Table) -> usize {
        match self.random.u8(..20) {
            0 => 0,
            1..8 => 1,
            8..16 => self.random.usize(2..9),
            16..19 => self.random.usize(9..80),
            _ if table.rows.len() < ROWS_MAX => self.random.usize(80..400),
            _ => 2,
        }
    }

    fn tags(&mut self, count: usize) -> Vec<Cell> {
        let first = self.next_tag;
        self.next_tag += count as i64;
        (first..self.next_tag).map(Cell::Int).collect()
    }
}

fn column_type(random: &mut Rng) -> (LogicalType, Cell) {
    let ty = values::any_type(random);
    let default = if random.u8(..4) == 0 { values::numbered(&ty, random.u64(..50)) } else { Cell::Null };
    // A nested value cannot be a default.
    let default = if default.value().is_some() { default } else { Cell::Null };
    (ty, default)
}

/// Up to three columns; most tables have none.
fn primary_key(random: &mut Rng, columns: &[Column]) -> Vec<u32> {
    if random.u8(..5) < 3 {
        return Vec::new();
    }
    let mut able: Vec<u32> =
        columns.iter().filter(|column| changes::is_keyable(&column.ty)).map(|column| column.id).collect();
    random.shuffle(&mut able);
    able.truncate(random.usize(1..4));
    able
}

fn rows_of(given: Vec<(u32, LogicalType, Vec<Cell>)>, count: usize) -> Rows {
    let cells = (0..count).map(|row| given.iter().map(|(_, _, cells)| cells[row].clone()).collect()).collect();
    Rows { columns: given.into_iter().map(|(id, ty, _)| (id, ty)).collect(), cells }
}

/// The world after one change; `None` if it does not fit: then the whole commit will be refused.
fn after(world: &World, op: &Op) -> Option<World> {
    world.commit(std::slice::from_ref(op), Info::default(), 0).map(|(next, _)| next).ok()
}
