//! The simulation: several clients and the whole engine on a simulated disk, beside a model that cannot lose anything.
//!
//! [`Simulation`] opens the engine, lets clients commit, flushes, reads the past, holds snapshots, closes and reopens, while its
//! disk fails as the seed says; after every restart it compares everything with the [`World`](world::World)s that must be there.
//! Checkers return what is wrong instead of panicking, so that a test can also demand that they find something.
//!
//! **Invariants**
//! 1. One seed makes one trace: the same calls of the engine, of the disk, and the same outcomes.
//! 2. A commit that was acknowledged is certain. One whose failure latched the engine, or that the power cut struck, is in doubt:
//!    it is there whole or not at all after the next restart. Any other failure means that it is not there.
//! 3. The model shares no code with the engine but the names of types and of error kinds.

mod backups;
mod cell;
pub mod check;
mod commits;
mod damage;
mod driver;
mod generate;
mod loads;
mod lower;
mod model;
mod read;
mod run;
mod trace;
mod transactions;
pub mod world;

pub use cell::Cell;
pub use damage::{Reported, probe};
pub use driver::{Flow, Simulation};
pub use model::Model;
pub use run::{Outcome, run};
pub use trace::Coverage;

/// Something is not as it must be.
pub type Fault = String;
