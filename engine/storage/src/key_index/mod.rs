//! Key indexes: from the key of a row to where rows with that key are. `docs/formats/key-index.md` has the bytes of the one on disk.
//!
//! ```text
//! keys     columns of keys in, hashes that stand for them out
//! file     the rows of one segment: an immutable, mapped file
//! memory   the rows not in a segment yet: a hash table
//! ```
//!
//! **Invariants**
//! 1. A key is found by its hash alone: the hashes of two keys are equal if and only if the keys are (see [`keys`]). Nobody ever reads a
//!    key column to make sure.
//! 2. An index names every row that it was given with that key, not one of them: keys need not be unique. Which of them are deleted it
//!    does not know.
//! 3. A row with a NULL in its key has no key, and is in no index.
//!
//! It does not know tables, merges, snapshots or the log.

mod file;
mod keys;
mod memory;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use file::fuzzing;
pub(crate) use file::{MAGIC, SegmentKeyIndex, Subject, describe};
pub(crate) use keys::{KeyHasher, Keys, duplicates};
pub(crate) use memory::MemoryKeyIndex;
