//! What the tests of the whole share: the real server as a child process, its HTTP API in few words, an isolated Python, and the
//! crash simulation's model of the engine.
//!
//! **Invariants**
//! 1. A helper that cannot do its work panics with what it saw: the server's own words, a reply's status and body.
//! 2. No process and no folder outlives the value that started it.
//! 3. Everything random has a seed, and a failure names it.

mod data;
mod http;
mod launch;
mod ndjson;
mod python;
mod server;
pub mod simulation;

pub use data::DataDir;
pub use http::{Api, KEY, PASSWORD, Reply, USER, raw_exchange};
pub use launch::Launch;
pub use ndjson::QueryReply;
pub use python::python_environment;
pub use server::{Exit, Server};
