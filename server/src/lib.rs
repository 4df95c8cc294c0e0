//! Siltstone's server: HTTP in front of the storage engine, one folder per API dialect.
//!
//! A request goes from [`App::handle`] through `routes` to its dialect, which lowers it to an [`ingest::IngestRequest`] or a
//! [`sql::SqlRequest`] and renders the neutral outcome in its own words. What is common (credentials, limits, decompression,
//! request ids, metrics) is written once, in the modules beside `api`.
//!
//! **Invariants**
//! 1. No dialect's words outside its folder; no dialect imports another.
//! 2. Nothing here touches files but [`upload`], which keeps bodies in ones without name: the rest is the storage engine's.

pub mod admin;
pub mod admission;
pub mod api;
pub mod auth;
pub mod backup;
pub mod body;
pub mod cells;
pub mod checks;
pub mod cli;
pub mod command;
pub mod compression;
pub mod config;
pub mod error;
pub mod ids;
pub mod ingest;
pub mod json;
pub mod limits;
pub mod lines;
pub mod machine;
pub mod ops;
pub mod parquet_file;
pub mod pieces;
pub mod places;
pub mod query_log;
pub mod rates;
pub mod receipts;
mod routes;
pub mod secret;
pub mod sessions;
pub mod shutdown;
pub mod sql;
pub mod system;
pub mod telemetry;
pub mod upload;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use siltstone_storage::Engine;
use tokio::sync::Semaphore;
use tower::Service;

use auth::Auth;
use config::Config;
use ingest::Ingest;
use limits::Limits;
use rates::Rates;
use receipts::Receipts;
use secret::Secret;
use sql::Sql;
use telemetry::{Endpoint, RequestMetrics, X_REQUEST_ID};
use upload::Uploads;

/// What handlers share.
#[derive(Debug)]
pub struct State {
    /// The settings.
    pub config: Config,
    /// The database.
    pub engine: Engine,
    /// Who may do what.
    pub auth: Auth,
    /// Bounds shared by all requests.
    pub limits: Limits,
    /// The way to disk.
    pub ingest: Ingest,
    /// The way of files to disk.
    pub uploads: Uploads,
    /// The way to SQL.
    pub sql: Sql,
    /// What was answered to requests that take effect once.
    pub receipts: Arc<Receipts>,
    /// How fast each sender may go.
    pub rates: Rates,
    /// Signs ids.
    pub secret: Secret,
    /// Counters.
    pub requests: RequestMetrics,
    /// Taken by whoever makes a backup: one at a time.
    pub backups: Arc<Semaphore>,
    /// Whether a signal to stop came.
    pub stopping: AtomicBool,
}

/// The whole server but its sockets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    state: Arc<State>,
    router: Router,
}

/// The server over this state.
pub fn app(state: Arc<State>) -> App {
    App { router: routes::router(Arc::clone(&state)), state }
}

/// Counts a request as in flight until it is answered or its client is gone.
struct InFlight<'a>(&'a RequestMetrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.ended();
    }
}

impl App {
    /// Answers one request.
    pub async fn handle(&self, mut request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        if request.uri().path().starts_with("//") {
            *request.uri_mut() = without_doubled_slashes(request.uri());
        }
        let endpoint = Endpoint::of(request.uri().path());
        let echoed = telemetry::request_id(request.headers()).cloned();
        self.state.requests.started();
        let in_flight = InFlight(&self.state.requests);
        let head = tracing::enabled!(tracing::Level::DEBUG)
            .then(|| (request.method().clone(), request.uri().path().to_owned()));
        let mut router = self.router.clone();
        // The router's error type has no values.
        let mut response = match router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        drop(in_flight);
        if let Some(id) = echoed {
            response.headers_mut().insert(X_REQUEST_ID, id);
        } else if !response.headers().contains_key(X_REQUEST_ID)
            && let Ok(id) = HeaderValue::from_maybe_shared(bytes::Bytes::from(telemetry::new_request_id()))
        {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        let took = started.elapsed();
        self.state.requests.answered(endpoint, response.status().as_u16(), took);
        if let Some((method, path)) = head {
            let request_id = response.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
            tracing::debug!(%method, path, status = response.status().as_u16(), took_us = took.as_micros() as u64, request_id, "request");
        }
        response
    }
}

/// `//v2/stream`, from a base URL that ends in a slash, means `/v2/stream`.
fn without_doubled_slashes(uri: &Uri) -> Uri {
    let path = uri.path().trim_start_matches('/');
    let text = match uri.query() {
        Some(query) => format!("/{path}?{query}"),
        None => format!("/{path}"),
    };
    let mut parts = uri.clone().into_parts();
    if let Ok(path_and_query) = text.parse::<PathAndQuery>() {
        parts.path_and_query = Some(path_and_query);
    }
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
