//! The one error type that leaves the crate.
//!
//! Precise causes live beside the code that raises them and are chained as `source`; a caller decides by [`ErrorKind`].

use std::error::Error as StdError;
use std::fmt;

/// What a caller would do differently about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong; repeating it will not help.
    Invalid,
    /// A named thing does not exist.
    NotFound,
    /// Something changed underneath (a newer schema, a name already taken); re-read and try again.
    Conflict,
    /// A budget or the disk is full; nothing was written; try again later.
    Exhausted,
    /// Not possible at this moment (shutting down, locked by another process).
    Unavailable,
    /// Bytes on disk are not what was written; names the file.
    Corrupt,
    /// A format or feature this version does not know.
    Unsupported,
    /// A write or sync failed earlier: reads go on, writes are refused until restart.
    Latched,
    /// An I/O failure or a broken invariant of ours.
    Internal,
}

/// A failure of the storage engine: its kind, a lower-case message with the values last, and the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    rows: Vec<u32>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Result of the storage engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without a deeper cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), rows: Vec::new(), source: None }
    }

    /// An error caused by another one.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), rows: Vec::new(), source: Some(source.into()) }
    }

    /// The same error, about these rows of a batch.
    #[must_use]
    pub(crate) fn about_rows(self, rows: Vec<u32>) -> Self {
        Self { rows, ..self }
    }

    /// Positions in the batch of the rows that are the reason, ascending; empty unless rows are.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Damaged bytes: names the file, the offset, and what was expected and found.
    pub fn corrupt(file: &str, offset: u64, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Corrupt,
            format!("damaged file: file={file}, offset={offset}, expected={expected}, found={found}"),
        )
    }

    /// A failed file operation. A full disk is [`ErrorKind::Exhausted`], a refusal by the latch [`ErrorKind::Latched`],
    /// a missing file [`ErrorKind::NotFound`], all else [`ErrorKind::Internal`].
    pub fn io(action: &str, file: &str, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            _ if crate::io::latch::is_refusal(&source) => ErrorKind::Latched,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Internal,
        };
        Self::with_source(kind, format!("cannot {action}: file={file}"), source)
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text without the chained causes.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
