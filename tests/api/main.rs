//! The real binary over HTTP: what the contracts promise a client, one file per topic.

use std::sync::Arc;

use siltstone_tests::{Api, Launch, Server};

mod altertable_http;
mod altertable_idempotency;
mod append;
mod append_types;
mod auth;
mod backup;
mod bodies;
mod large_statements;
mod process;
mod query;
mod query_cells;
mod query_checks;
mod query_limits;
mod query_log;
mod query_parquet;
mod query_sessions;
mod sdk_query;
mod sql_files;
mod stream;
mod stream_access;
mod stream_config;
mod stream_idempotency;
mod stream_limits;
mod stream_merge;
mod stream_pace;
mod stream_partitions;
mod stream_settings;
mod types_fixed;
mod types_marked;
mod upload;
mod upload_bulk;
mod upload_formats;
mod upload_upsert;

/// A server that tests share; each uses tables of its own.
fn server() -> Arc<Server> {
    Server::shared(env!("CARGO_BIN_EXE_siltstone"))
}

/// The API of the server that tests share.
fn api() -> Api {
    Api::keeping(server())
}

/// A server of a test's own, yet to be configured.
fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_siltstone"))
}
