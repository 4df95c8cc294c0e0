//! Every path and method on one screen.
//!
//! **Invariants**: a dialect is one line here; removing that line and its folder removes the dialect.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::{StatusCode, header};

use crate::{State, admin, api, ops};

/// All routes over this state.
pub fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/health", get(ops::health))
        .route("/ready", get(ops::ready))
        .route("/metrics", get(ops::metrics))
        .merge(admin::router())
        .merge(api::altertable::router())
        .merge(api::definite::router())
        .method_not_allowed_fallback(async || plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"))
        .fallback(async || plain(StatusCode::NOT_FOUND, "no such path\n"))
        .with_state(state)
}

fn plain(status: StatusCode, text: &'static str) -> impl axum::response::IntoResponse {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}
