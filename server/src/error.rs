//! The one table from a storage failure to what HTTP says about it.
//!
//! **Invariants**
//! 1. A status of 429 or 503 means that nothing was written, and carries `Retry-After`.
//! 2. What is ours (`Corrupt`, `Internal`) is logged with its causes and told to the client without them.
//!
//! It knows no dialect: each puts its own shape around the status.

use std::error::Error as StdError;

use http::StatusCode;
use siltstone_storage::{Error, ErrorKind};

/// Seconds after which a client may try again when the engine is busy: a flush takes about a second.
const RETRY_BUSY_S: u32 = 1;
/// The same when an operator has to act first.
const RETRY_OPERATOR_S: u32 = 10;

/// Why a request could not be carried out though nothing is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status.
    pub status: StatusCode,
    /// Whole seconds for `Retry-After`; `None` leaves the header out.
    pub retry_after_s: Option<u32>,
    /// For people; no paths, no causes when the fault is ours.
    pub message: String,
}

impl Failure {
    /// Too much is waiting already.
    pub fn busy(message: impl Into<String>) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, retry_after_s: Some(RETRY_BUSY_S), message: message.into() }
    }

    /// Our own fault.
    pub fn internal() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            retry_after_s: None,
            message: "internal error; the server's log has the details".to_owned(),
        }
    }

    /// No space on the disk.
    pub fn disk_full() -> Self {
        Self::unavailable("the disk is full; nothing was written".to_owned())
    }

    fn unavailable(message: String) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, retry_after_s: Some(RETRY_OPERATOR_S), message }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Exhausted if is_disk_full(error) => Self::disk_full(),
            ErrorKind::Exhausted => Self::busy(format!("too much is waiting to be written: {}", error.message())),
            ErrorKind::Unavailable => Self::unavailable(format!("the server is not available: {}", error.message())),
            ErrorKind::Latched => Self::unavailable(
                "writes are refused until the server is restarted: an earlier write failed".to_owned(),
            ),
            ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Unsupported => {
                Self { status: StatusCode::BAD_REQUEST, retry_after_s: None, message: error.message().to_owned() }
            }
            // Whoever commits retries conflicts; one that is left is contention without end.
            ErrorKind::Conflict => Self::busy("the table is being changed by too many others".to_owned()),
            ErrorKind::Corrupt | ErrorKind::Internal => {
                tracing::error!(error = %with_causes(error), "storage failure");
                Self::internal()
            }
        }
    }
}

/// Whether the disk, rather than a budget in memory, is what ran out.
fn is_disk_full(error: &Error) -> bool {
    error.message().contains("disk")
        || error.source().and_then(|source| source.downcast_ref::<std::io::Error>()).is_some_and(|source| {
            matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
        })
}

/// An error with everything that caused it, for logs.
pub fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
