//! Wishes about views, comments and layouts.

use super::super::world::{Commented, Layout, Op, Table, View, World, folded};
use super::{DATABASES, Generator, SCHEMAS, TABLES, values};

const VIEWS: [&str; 4] = ["daily", "Totals", "v3", "über"];

impl Generator {
    /// A view is made, replaced or dropped; now and then under the name of a table.
    pub(super) fn view(&mut self, world: &World) -> Op {
        let random = &mut self.random;
        let (database, schema) = match random.u8(..8) {
            0 => (values::name(random, &DATABASES), values::name(random, &SCHEMAS)),
            _ => ("lake".to_owned(), "Main".to_owned()),
        };
        let name = if random.u8(..8) == 0 { values::name(random, &TABLES) } else { values::name(random, &VIEWS) };
        let views = world.databases.get(&folded(&database)).and_then(|known| known.schemas.get(&folded(&schema)));
        let there = views.is_some_and(|schema| schema.views.contains_key(&folded(&name)));
        if there && random.bool() {
            return Op::DropView { name: [database, schema, name] };
        }
        let number = random.u16(..);
        let columns = (0..random.u8(..4)).map(|column| [format!("c{column}"), "BIGINT".to_owned()]);
        let comment = random.bool().then(|| format!("says {number}"));
        let query = format!("SELECT {number} AS c0");
        let view = View { name: [database, schema, name], query, columns: columns.collect(), comment };
        Op::CreateView { view, replace: there && random.u8(..4) > 0 }
    }

    /// Something is said of a schema, a table or a column, or taken back; or a table gets another layout.
    pub(super) fn describe(&mut self, table: &Table) -> Op {
        let random = &mut self.random;
        let id = table.id;
        let some_column = table.columns[random.usize(..table.columns.len())].id;
        let text = (random.u8(..4) > 0).then(|| format!("note {}", random.u16(..)));
        match random.u8(..8) {
            0 => {
                let [database, name] = [0, 1].map(|part| table.name[part].clone());
                Op::Comment { on: Commented::Schema { database, name }, text }
            }
            1..3 => Op::Comment { on: Commented::Table(id), text },
            3..6 => Op::Comment { on: Commented::Column(id, some_column), text },
            6 => Op::SetLayout { id, layout: Layout::default() },
            _ => {
                let layout = Layout { partitioned_by: vec![some_column], sorted_by: vec![(1, random.bool())] };
                Op::SetLayout { id, layout }
            }
        }
    }
}
