//! Clients commit, and every outcome is compared with what the model says of it.

use std::sync::Arc;

use siltstone_storage::{Commit, Committed, Error, ErrorKind, RowCounts};

use super::driver::{Pin, Simulation};
use super::generate::Wish;
use super::lower::Lowering;
use super::read::chain;
use super::world::{Counts, Op, Refusal, World};
use super::{Fault, check};

impl Simulation {
    /// One to four clients commit, in one group.
    pub(super) fn commit(&mut self) -> Result<(), Fault> {
        let size = if self.random.u8(..10) < 7 { 1 } else { self.random.usize(2..5) };
        self.commit_group(size)
    }

    /// So many clients commit, in one group.
    ///
    /// # Errors
    /// If an outcome is not what the model says.
    pub fn commit_group(&mut self, size: usize) -> Result<(), Fault> {
        let latched = self.is_latched();
        let (mut wishes, mut commits) = (Vec::new(), Vec::new());
        for _ in 0..size {
            let (wish, commit) = self.wish()?;
            wishes.push(wish);
            commits.push(commit);
        }
        let outcomes = match commits.len() {
            1 if self.random.bool() => commits.into_iter().map(|commit| self.engine().write(commit)).collect(),
            _ => self.engine().write_group(commits),
        };
        self.conclude(wishes, outcomes, latched)
    }

    /// What a client wants, in both languages.
    fn wish(&mut self) -> Result<(Wish, Commit), Fault> {
        let engine = self.engine.as_ref().expect("the engine is open");
        let place = self.random.usize(..self.clients.len());
        let client = &mut self.clients[place];
        if client.seen.is_none() || self.random.u8(..10) < 7 {
            client.seen = Some(Pin { snapshot: engine.snapshot(), world: Arc::clone(self.model.newest()) });
        }
        let seen = client.seen.as_ref().expect("it just looked");
        let wish = client.generator.wish(&seen.world, &self.model, &mut || engine.new_table_id().0);
        if let Some(id) = wish.ops.iter().find_map(|op| match op {
            Op::CreateTable { id, .. } => Some(*id).filter(|id| self.model.knows_table(*id)),
            _ => None,
        }) {
            return Err(format!("table id {id} is given twice"));
        }
        let commit = Lowering::new(&seen.snapshot, &self.model).commit(&wish)?;
        Ok((wish, commit))
    }

    pub(super) fn write_one(&mut self) -> Result<Result<Committed, Error>, Fault> {
        let (_, commit) = self.wish()?;
        Ok(self.engine().write(commit))
    }

    /// Compares the outcomes of a group with what the model says of it.
    pub(super) fn conclude(
        &mut self,
        wishes: Vec<Wish>,
        outcomes: Vec<Result<Committed, Error>>,
        latched: bool,
    ) -> Result<(), Fault> {
        // Commits of a group are admitted one after the other and become durable together.
        let mut admitted = Arc::clone(self.model.newest());
        let any_succeeded = outcomes.iter().any(Result::is_ok);
        // On a full disk nobody can tell whether a commit failed with the log, or before it for itself.
        let mut uncertain = false;
        for (wish, outcome) in wishes.into_iter().zip(outcomes) {
            let expected = admitted.commit(&wish.ops, wish.info.clone(), self.now_us);
            self.trace.say(|| format!("commit: {}", describe(&wish, &outcome)));
            match (expected, outcome) {
                (Ok((next, counts)), Ok(committed)) => {
                    check_outcome(&next, counts, &committed).map_err(|fault| format!("{}: {fault}", told(&wish)))?;
                    self.trace.mark(next.id);
                    self.trace.count("commit");
                    wish.ops.iter().for_each(|op| self.trace.count(op.verb()));
                    admitted = Arc::new(next);
                    self.model.acknowledge(Arc::clone(&admitted));
                }
                (Err(refusal), Err(error)) if is_refusal(&refusal, &error) => self.trace.count("refused"),
                (Err(refusal), Ok(_)) => return Err(format!("{}: expected {refusal:?}", told(&wish))),
                (expected, Err(error)) => {
                    let unexpected = |fault| format!("{}: expected {}, {fault}", told(&wish), outcome_told(&expected));
                    if !uncertain {
                        self.excuse(&error).map_err(unexpected)?;
                    }
                    let Ok((next, _)) = expected else { continue };
                    let in_doubt = error.kind() == ErrorKind::Latched;
                    // What failed for itself is no part of the group; what failed with the log was, and so was all the group.
                    let full = error.kind() == ErrorKind::Exhausted && !any_succeeded;
                    uncertain |= full;
                    if in_doubt || full {
                        admitted = Arc::new(next);
                    }
                    if in_doubt && !latched {
                        self.trace.count("doubt");
                        self.model.doubt.push(Arc::clone(&admitted));
                    }
                }
            }
        }
        let snapshot = self.engine().snapshot();
        check::position(&snapshot, self.model.newest())
    }
}

/// Whether an error is the one that the model expects, about the same rows.
fn is_refusal(refusal: &Refusal, error: &Error) -> bool {
    error.kind() == refusal.kind && refusal.rows.as_ref().is_none_or(|rows| error.rows() == rows)
}

/// The engine's counts on top of others.
pub(super) fn add_counts(counts: &Counts, rows: &RowCounts) -> Counts {
    Counts {
        inserted: counts.inserted + rows.inserted,
        updated: counts.updated + rows.updated,
        deleted: counts.deleted + rows.deleted,
        unchanged: counts.unchanged + rows.unchanged,
    }
}

fn check_outcome(next: &World, counts: Counts, committed: &Committed) -> Result<(), Fault> {
    let found = add_counts(&Counts::default(), &committed.rows);
    if (committed.snapshot.0, found) == (next.id, counts) {
        return Ok(());
    }
    Err(format!("expected snapshot {} and {counts:?}, found {committed:?}", next.id))
}

fn outcome_told(expected: &Result<(World, Counts), Refusal>) -> String {
    match expected {
        Ok((world, counts)) => format!("snapshot {}, {counts:?}", world.id),
        Err(refusal) => format!("{refusal:?}"),
    }
}

fn told(wish: &Wish) -> String {
    wish.ops.iter().map(|op| op.to_string()).collect::<Vec<String>>().join("; ")
}

fn describe(wish: &Wish, outcome: &Result<Committed, Error>) -> String {
    let outcome = outcome.as_ref().map_or_else(chain, |made| format!("snapshot {}, {:?}", made.snapshot, made.rows));
    format!("{} -> {outcome}", told(wish))
}
