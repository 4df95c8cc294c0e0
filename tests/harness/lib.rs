//! What the tests of the whole share: the real server as a child process, its HTTP API in few words, an isolated Python, and the
//! crash simulation's model of the engine.
//!
//! **Invariants**
//! 1. A helper that cannot do its work panics with what it saw: the server's own words, a reply's status and body.
//! 2. No process and no folder outlives the value that started it.
//! 3. Everything random has a seed, and a failure names it.

#[cfg(feature = "server")]
mod data;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
mod launch;
#[cfg(feature = "server")]
mod ndjson;
#[cfg(feature = "server")]
mod python;
#[cfg(feature = "server")]
mod server;
pub mod simulation;

#[cfg(feature = "server")]
pub use data::DataDir;
#[cfg(feature = "server")]
pub use http::{Api, KEY, PASSWORD, Reply, USER, raw_exchange};
#[cfg(feature = "server")]
pub use launch::Launch;
#[cfg(feature = "server")]
pub use ndjson::QueryReply;
#[cfg(feature = "server")]
pub use python::{node_packages, python_environment};
#[cfg(feature = "server")]
pub use server::{Exit, Server};
