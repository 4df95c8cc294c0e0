//! The Definite dialect: `POST /v2/stream`, and `POST /v1/query` for its SDK.
//!
//! Contracts: `docs/api/definite-stream.md`, `docs/api/definite-sdk.md`. **Invariants**
//! 1. Every answer is JSON with the keys its contract lists, errors included.
//! 2. Bad rows are left out and reported; the others go in, in one commit.
//! 3. Checks come in the contract's order: credentials, size, decoding, parsing, config, table, rows.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State as Shared};
use axum::routing::{MethodRouter, post};
use http::{HeaderValue, Request, Response};

use crate::auth::Role;
use crate::telemetry::{self, X_REQUEST_ID};
use crate::{State, body};

mod lower;
mod query;
mod reply;
mod table_name;
#[cfg(test)]
mod tests;
mod wire;

use query::retries::Retries;
use reply::Fault;

/// The dialect's routes.
pub fn router() -> Router<Arc<State>> {
    let stream: MethodRouter<Arc<State>> = post(stream).fallback(reply::method_not_allowed);
    let query: MethodRouter<Arc<State>> = post(query::query).fallback(query::method_not_allowed);
    Router::new()
        .route("/v2/stream", stream.clone())
        .route("/v2/stream/", stream)
        .route("/v1/query", query.layer(Extension(Retries::default())))
}

/// `POST /v2/stream`
async fn stream(Shared(state): Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    let request_id = telemetry::new_request_id();
    let echoed = telemetry::request_id(request.headers()).is_some();
    let mut response = match answer(&state, request, &request_id).await {
        Ok(response) => response,
        Err(fault) => fault.respond(&request_id),
    };
    if !echoed && let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

async fn answer(state: &Arc<State>, request: Request<Body>, request_id: &str) -> Result<Response<Body>, Fault> {
    let (head, body) = request.into_parts();
    let principal = match state.auth.check(&head.headers, Role::Write).await {
        Ok(principal) => principal,
        Err(denied) => {
            body::discard(&head.headers, body);
            return Err(Fault::denied(denied));
        }
    };
    let held = body::read(&state.limits, &head.headers, body, state.config.stream).await.map_err(Fault::from_body)?;
    let text = held.bytes.clone();
    let shared = Arc::clone(state);
    let mut lowered = state
        .limits
        .compute(text.len(), move || lower::lower(&shared.config, &head, text))
        .await
        .ok_or_else(Fault::internal)??;
    lowered.request.info.author = Some(principal.id.clone());
    let reply = state.ingest.ingest(&lowered.request).await.map_err(|error| Fault::from_ingest(&error, &lowered))?;
    Ok(reply::success(state, &lowered, &reply, request_id))
}
