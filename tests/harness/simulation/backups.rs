//! Backups of a running database: whole, or refused.

use std::sync::Arc;

use siltstone_storage::io::Disk;
use siltstone_storage::io::sim::SimDisk;
use siltstone_storage::{Engine, Snapshot, verify};

use super::driver::Simulation;
use super::read::chain;
use super::{Fault, check};

impl Simulation {
    /// Copies the database to another disk, whose power may go off meanwhile, and opens the copy.
    ///
    /// # Errors
    /// If the copy is anything but the newest snapshot with its past, or an empty or refused directory.
    pub(super) fn back_up(&mut self) -> Result<(), Fault> {
        let target = SimDisk::new(self.random.u64(..));
        let cut = self.random.u8(..3) == 0;
        if cut {
            target.crash_at_call(self.random.u64(1..80));
        }
        let disk: Arc<dyn Disk> = Arc::new(target.clone());
        let outcome = self.engine().backup(&disk);
        self.trace.say(|| format!("backup: {outcome:?}"));
        match outcome {
            Ok(report) if report.snapshot.0 != self.model.newest().id => {
                Err(format!("a backup of {}: {report:?}", self.model.newest().id))
            }
            Ok(_) => {
                self.trace.count("backup");
                let copy = target.crash();
                verify(&copy).map_err(|error| format!("backup: {}", chain(&error)))?;
                let engine = self.open_copy(&copy).map_err(|fault| format!("backup: {fault}"))?;
                self.compare_copy(&engine.snapshot()).map_err(|fault| format!("backup: {fault}"))
            }
            Err(error) => {
                self.trace.count("backup failed");
                if !target.is_off() {
                    self.excuse(&error).map_err(|fault| format!("backup: {fault}"))?;
                }
                // Half a copy is refused, or empty; the last call may have made it whole.
                let Ok(engine) = self.open_copy(&target.crash()) else { return Ok(()) };
                let snapshot = engine.snapshot();
                if snapshot.id().0 == 0 { Ok(()) } else { self.compare_copy(&snapshot) }
            }
        }
    }

    fn open_copy(&self, copy: &SimDisk) -> Result<Engine, Fault> {
        Engine::open(Arc::new(copy.clone()), self.options().clone()).map_err(|error| chain(&error))
    }

    fn compare_copy(&mut self, copy: &Snapshot) -> Result<(), Fault> {
        check::snapshot(copy, self.model.newest()).map_err(|unread| unread.fault())?;
        check::history(copy, &self.model).map_err(|unread| unread.fault())?;
        let then = Arc::clone(self.model.at(self.random.u64(..=self.model.newest().id)));
        for table in self.model.newest().tables() {
            check::past(copy, &then, table.id).map_err(|unread| unread.fault())?;
        }
        Ok(())
    }
}
