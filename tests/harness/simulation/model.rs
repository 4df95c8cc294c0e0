//! The whole history of the database, one world per snapshot, and what is in doubt after a failure.

use std::sync::Arc;

use super::world::World;

/// All worlds that were acknowledged, and those that may follow after a restart.
#[derive(Clone, Debug)]
pub struct Model {
    /// Indexed by snapshot id.
    worlds: Vec<Arc<World>>,
    /// The worlds after each commit in doubt, in their order.
    pub doubt: Vec<Arc<World>>,
    /// The oldest snapshot that can be asked for, as the engine said last; it never goes back.
    pub horizon: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self { worlds: vec![Arc::default()], doubt: Vec::new(), horizon: 0 }
    }
}

impl Model {
    /// What readers see.
    pub fn newest(&self) -> &Arc<World> {
        &self.worlds[self.worlds.len() - 1]
    }

    /// The world of a snapshot up to the newest.
    pub fn at(&self, id: u64) -> &Arc<World> {
        &self.worlds[id as usize]
    }

    /// The newest snapshot at a time; the empty one if there was none yet.
    pub fn newest_at(&self, time_us: i64) -> u64 {
        self.worlds.iter().rev().find(|world| world.time_us <= time_us).map_or(0, |world| world.id)
    }

    /// A commit was acknowledged.
    pub fn acknowledge(&mut self, world: Arc<World>) {
        assert_eq!(world.id, self.newest().id + 1, "snapshots have no gap");
        self.worlds.push(world);
    }

    /// After a restart: so many of the commits in doubt are there, the others are not.
    pub fn settle(&mut self, survived: usize) {
        let doubt = std::mem::take(&mut self.doubt);
        doubt.into_iter().take(survived).for_each(|world| self.acknowledge(world));
    }

    /// Whether a table of this id was ever acknowledged.
    pub fn knows_table(&self, id: u64) -> bool {
        self.worlds.iter().any(|world| world.tables.contains_key(&id))
    }

    /// Replaces a world, so that a canary can see whether the checkers notice.
    pub fn falsify(&mut self, id: u64, change: impl FnOnce(&mut World)) {
        change(Arc::make_mut(&mut self.worlds[id as usize]));
    }
}
