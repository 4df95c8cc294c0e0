//! Task ids: which commit an append became, signed, so that nothing has to be stored about it.
//!
//! A UUIDv7 has a millisecond timestamp and 74 bits to fill: 44 hold the commit's snapshot id, 30 a code over timestamp, snapshot
//! and user. Why: `docs/decisions/0003-stateless-task-ids.md`.
//!
//! **Invariants**
//! 1. An id made for one user is unknown to every other.
//! 2. Ids outlive restarts, as long as the secret does, and end after [`KEPT_MS`].

use siltstone_storage::SnapshotId;
use uuid::Uuid;

use crate::ids;
use crate::secret::Secret;

/// How long an id is known: 7 days, in milliseconds.
pub const KEPT_MS: u64 = 7 * 24 * 3600 * 1000;

/// Clocks may step back a little across a restart.
const FUTURE_MS: u64 = 60_000;

const CODE_BITS: u32 = 30;
const SNAPSHOT_BITS: u32 = 44;

/// What a task id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskId {
    /// When it was made.
    pub unix_ms: u64,
    /// The commit; ids of 2^44 commits and more (years of 40,000 a second are 2^40) come out as the largest.
    pub snapshot: SnapshotId,
}

impl TaskId {
    /// The id as the client sees it.
    pub fn sign(self, secret: &Secret, user: &str) -> Uuid {
        let snapshot = self.snapshot.0.min((1 << SNAPSHOT_BITS) - 1);
        let bits = (u128::from(snapshot) << CODE_BITS) | u128::from(code(secret, user, self.unix_ms, snapshot));
        ids::uuid_v7(self.unix_ms, bits)
    }

    /// What an id says, if it was made for this user and is not too old.
    pub fn verify(id: Uuid, secret: &Secret, user: &str, now_ms: u64) -> Option<Self> {
        let number = id.as_u128();
        let unix_ms = (number >> 80) as u64;
        let bits = ((number >> 64) & 0xfff) << 62 | number & ((1 << 62) - 1);
        let snapshot = (bits >> CODE_BITS) as u64;
        let task = Self { unix_ms, snapshot: SnapshotId(snapshot) };
        let genuine = task.sign(secret, user) == id;
        let fresh = unix_ms <= now_ms + FUTURE_MS && now_ms.saturating_sub(unix_ms) <= KEPT_MS;
        (genuine && fresh).then_some(task)
    }
}

fn code(secret: &Secret, user: &str, unix_ms: u64, snapshot: u64) -> u32 {
    let code = secret.code(&[b"task", &unix_ms.to_le_bytes(), &snapshot.to_le_bytes(), user.as_bytes()]);
    (code >> (64 - CODE_BITS)) as u32
}
