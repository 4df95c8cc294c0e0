//! The crash simulation: a seeded workload on the engine over a simulated disk, beside a model that cannot lose anything.
//!
//! [`Workload`] commits, flushes and reopens until it is done or the disk fails; [`Workload::check`] opens what is left and compares it
//! with the [`Model`]. Checkers return what is wrong instead of panicking, so that a test can also demand that they find something.
//!
//! **Invariants**
//! 1. One seed makes one sequence of commits, whatever the disk does, up to the first failure.
//! 2. A commit whose write failed is in doubt: afterwards it is there whole, or not at all. All others are certain.
//! 3. The model shares no code with the engine but the schema type.

mod model;
mod read;
mod workload;

pub use model::{Cell, Model};
pub use read::contents;
pub use workload::{Workload, options};

/// Something is not as it must be.
pub type Fault = String;
