//! Parts of `siltstone-load`, which drives a running server over HTTP and says what it costs.
//!
//! The generator shares the machine with the server it measures, so it does next to nothing per request: bodies are made before the
//! clock starts, a request is one write of bytes that exist already, a reply is looked at where it was read.
//!
//! **Invariants**
//! 1. A request counts only once its reply was read whole and says that every row was accepted; anything else ends the run.
//! 2. The same seed makes the same bodies.
//!
//! It knows the wire forms of the two append dialects and nothing of the engine.

pub mod args;
pub mod client;
pub mod events;
pub mod load;
pub mod process;
pub mod report;
pub mod request;

/// Why a run ended early, for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The connection failed.
    #[error("connection to {address}: {source}")]
    Connection {
        /// Host and port.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Bytes that are no HTTP/1.1 reply we can read.
    #[error("malformed reply: {0}")]
    Malformed(String),
    /// The server said no, or accepted only some rows.
    #[error("refused with status {status}: {body}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The reply's body.
        body: String,
    },
    /// The server's process or its files cannot be read.
    #[error("cannot read {path}: {source}")]
    Observation {
        /// Under `/proc` or in the data directory.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
}
