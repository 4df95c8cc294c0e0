//! What the engine's threads do by themselves, as calls for the simulator: one thread, one order, one outcome per seed.

use std::sync::mpsc;

use super::{Engine, encoded};
use crate::commit::{Commit, Committed};
use crate::error::Result;
use crate::write::Pending;

impl Engine {
    /// Commits all of these as one group, as the committer does with what several clients queued. The outcomes are in the same order.
    ///
    /// # Errors
    /// Each commit's as for [`Engine::write`].
    pub fn write_group(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        let (sender, receiver) = mpsc::channel();
        let mut group = Vec::new();
        let mut outcomes: Vec<Option<Result<Committed>>> = Vec::new();
        for (place, commit) in commits.into_iter().enumerate() {
            outcomes.push(None);
            match self.shared().check_writable().and_then(|()| encoded(&commit)) {
                Err(error) => outcomes[place] = Some(Err(error)),
                Ok(body) => {
                    let sender = sender.clone();
                    let done = move |outcome| drop(sender.send((place, outcome)));
                    group.push(Pending { commit, body, done: Box::new(done) });
                }
            }
        }
        drop(sender);
        if !group.is_empty() {
            self.shared().commit_group(group);
        }
        for (place, outcome) in receiver {
            outcomes[place] = Some(outcome);
        }
        outcomes.into_iter().map(|outcome| outcome.expect("the committer answers every commit")).collect()
    }

    /// Makes a spare log file if there is none.
    ///
    /// # Errors
    /// `Exhausted` on a full disk, which changes nothing; `Internal` and `Latched` for failed calls.
    pub fn prepare_spare(&self) -> Result<()> {
        self.shared().spares.prepare()
    }
}
