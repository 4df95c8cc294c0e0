//! Makes key indexes that a commit will need before it reaches the committer.
//!
//! The committer would make them itself, but the first merge by a new key reads a column of the whole table, and commits of other tables
//! would wait for that.

use std::sync::Arc;
use std::thread;

use crate::commit::{Change, Commit};
use crate::engine::Shared;
use crate::error::{Error, ErrorKind};
use crate::ids::ColumnId;
use crate::key_tables::Key;
use crate::schema::TableSchema;
use crate::state::LiveSegment;
use crate::write::Pending;

impl Shared {
    /// Whether a segment lacks an index in memory that the commit needs.
    pub(crate) fn keys_missing(&self, commit: &Commit) -> bool {
        let mut missing = false;
        self.each_key(commit, |segment, _, key| missing |= !segment.has_key_index(key));
        missing
    }

    /// Makes them on a thread of its own, so that nobody who submits waits, and then enters the commit. Without threads, on this one.
    pub(crate) fn make_keys_and(self: &Arc<Self>, pending: Pending, enter: fn(&Self, Pending)) {
        if !self.options.background {
            self.make_keys(&pending.commit);
            return enter(self, pending);
        }
        let (sender, receiver) = std::sync::mpsc::sync_channel::<Pending>(1);
        let shared = Arc::clone(self);
        let spawned = thread::Builder::new().name("siltstone-keys".to_owned()).spawn(move || {
            if let Ok(pending) = receiver.recv() {
                shared.make_keys(&pending.commit);
                enter(&shared, pending);
            }
        });
        match spawned {
            // The thread waits for exactly this.
            Ok(_) => drop(sender.send(pending)),
            Err(error) => {
                (pending.done)(Err(Error::with_source(
                    ErrorKind::Internal,
                    "cannot start a thread for key indexes",
                    error,
                )));
            }
        }
    }

    /// A failure is left to the committer, who meets it again and answers it.
    fn make_keys(&self, commit: &Commit) {
        let disk = self.disk();
        self.each_key(commit, |segment, schema, key| drop(segment.key_index(disk.as_ref(), schema, key)));
    }

    fn each_key(&self, commit: &Commit, mut each: impl FnMut(&LiveSegment, &TableSchema, &Key)) {
        let state = Arc::clone(&self.current.read());
        for change in &commit.changes {
            let Some(table) = change.rows_of().and_then(|table| state.catalog.table_by_id(table)) else { continue };
            for columns in keys_of(change, table.schema()) {
                let Ok(key) = Key::new(table.schema(), columns, self.key_secret) else { continue };
                for segment in state.rows.get(&table.id).map_or(&[][..], |rows| &rows.segments) {
                    each(segment, table.schema(), &key);
                }
            }
        }
    }
}

/// Keys that a change looks up: its own, and the primary one of what it inserts.
fn keys_of<'a>(change: &'a Change, schema: &'a TableSchema) -> impl Iterator<Item = &'a [ColumnId]> {
    let own = match change {
        Change::Merge(merge) => Some(merge.key.as_slice()),
        _ => None,
    };
    let inserts = matches!(change, Change::Append(_) | Change::Merge(_));
    let primary = Some(schema.primary_key()).filter(|key| inserts && !key.is_empty());
    own.into_iter().chain(primary)
}
