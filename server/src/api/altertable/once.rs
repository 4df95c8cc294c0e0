//! Carries a write out; with an `Idempotency-Key`, once (contract 1.5).
//!
//! **Invariants**
//! 1. A request with a key goes on when its client has gone, so that what it wrote is always known.
//! 2. The first success of a key is what every later request like it is told; errors are not remembered.

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use siltstone_storage::{Change, Result, SnapshotId, TableName, folded_name};

use super::{reply, task_id};
use crate::State;
use crate::auth::Principal;
use crate::error::Failure;
use crate::receipts::{Fingerprint, IDEMPOTENT_REPLAYED, Receipt, ReceiptKey};
use crate::upload::{Spooled, Upload};

/// What a success says besides its commit: all that is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// When it was made.
    pub(super) unix_ms: u64,
    /// Rows of a file, or of an append.
    pub(super) rows: u64,
}

impl Told {
    fn as_answer(self) -> [String; 2] {
        [self.unix_ms.to_string(), self.rows.to_string()]
    }

    fn of(receipt: &Receipt) -> Option<Self> {
        let [unix_ms, rows] = &receipt.answer;
        Some(Self { unix_ms: unix_ms.parse().ok()?, rows: rows.parse().ok()? })
    }
}

/// The id of a commit's task.
pub(super) fn task(state: &State, principal: &Principal, unix_ms: u64, snapshot: SnapshotId) -> uuid::Uuid {
    task_id::TaskId { unix_ms, snapshot }.sign(&state.secret, &principal.id)
}

/// A receipt that is to be written with the rows it is about.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    state: Arc<State>,
    key: ReceiptKey,
    fingerprint: Fingerprint,
}

impl Pending {
    /// Its row, for the commit.
    pub(super) fn change(&self, told: Told) -> Result<Change> {
        self.state.receipts.change(self.key, &self.fingerprint, &told.as_answer())
    }

    /// The commit was made.
    pub(super) fn written(&self, snapshot: SnapshotId) {
        self.state.receipts.written(self.key, snapshot);
    }
}

/// How a door answers.
pub(super) struct Door {
    /// A request that is refused.
    pub(super) refused: fn(StatusCode, &str) -> Response<Body>,
    /// One that was carried out.
    pub(super) done: fn(&State, &Principal, Told, Option<SnapshotId>) -> Response<Body>,
}

/// Runs `write`, or tells what the first request with the key was told.
pub(super) async fn once<W, F>(
    state: Arc<State>,
    principal: Arc<Principal>,
    door: &'static Door,
    (key, fingerprint): (ReceiptKey, Fingerprint),
    write: W,
) -> Response<Body>
where
    W: FnOnce(Pending) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send,
{
    let turn = async move {
        let receipts = Arc::clone(&state.receipts);
        let _turn = receipts.turn(key).await;
        match receipts.find(key).await {
            Err(error) => failed(door, &Failure::from(&error)),
            Ok(None) => write(Pending { state, key, fingerprint }).await,
            Ok(Some(receipt)) if receipt.fingerprint != fingerprint => {
                (door.refused)(StatusCode::BAD_REQUEST, "this Idempotency-Key was sent with another request")
            }
            Ok(Some(receipt)) => match Told::of(&receipt) {
                Some(told) => {
                    let mut response = (door.done)(&state, &principal, told, receipt.snapshot);
                    response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
                    response
                }
                None => failed(door, &Failure::internal()),
            },
        }
    };
    tokio::spawn(turn).await.unwrap_or_else(|_| failed(door, &Failure::internal()))
}

fn failed(door: &Door, failure: &Failure) -> Response<Body> {
    reply::with_retry((door.refused)(failure.status, &failure.message), failure.retry_after_s)
}

/// All that decides what an append does.
pub(super) fn of_append(table: &TableName, body: &Bytes) -> Fingerprint {
    Fingerprint::new(&[b"append", folded_name(&table.to_string()).as_bytes(), body])
}

/// All that decides what a file does. Reads the file; blocks.
///
/// # Errors
/// Those of reading.
pub(super) fn of_file(upload: &Upload, file: &Spooled) -> std::io::Result<Fingerprint> {
    let table = folded_name(&upload.table.to_string());
    let how = format!("{:?} {:?} {:?} {:?}", upload.mode, upload.key, upload.newer_by, upload.format);
    Ok(Fingerprint::new(&[b"file", table.as_bytes(), how.as_bytes(), &file.digest()?]))
}
