//! The Definite dialect: `POST /v2/stream`, and `POST /v1/query` for its SDK.
//!
//! Contracts: `docs/api/definite-stream.md`, `docs/api/definite-sdk.md`. **Invariants**
//! 1. Every answer is JSON with the keys its contract lists, errors included.
//! 2. Bad rows are left out and reported; the others go in, in one commit.
//! 3. Checks come in the contract's order: credentials, size, decoding, parsing, config, table, rows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State as Shared};
use axum::routing::{MethodRouter, post};
use http::{HeaderMap, HeaderValue, Request, Response};

use crate::auth::{Principal, Role};
use crate::telemetry::{self, X_REQUEST_ID};
use crate::{State, body};

mod lower;
mod once;
mod query;
mod reply;
mod table_name;
#[cfg(test)]
mod tests;
mod wire;

use once::Job;
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
    let principal = match admit(state, &head.headers).await {
        Ok(principal) => principal,
        Err(fault) => {
            body::discard(&head.headers, body);
            return Err(fault);
        }
    };
    let held = body::read(&state.limits, &head.headers, body, state.config.stream).await.map_err(Fault::from_body)?;
    let text = held.bytes.clone();
    let (shared, key) = (Arc::clone(state), once::key(&head.headers, &principal.id));
    let mut lowered = state
        .limits
        .compute(text.len(), move || lower::lower(&shared.config, &head, text))
        .await
        .ok_or_else(Fault::internal)??;
    lowered.request.info.author = Some(principal.id.clone());
    Job { state: Arc::clone(state), principal, lowered, request_id: request_id.to_owned(), _held: held }.run(key?).await
}

/// Lets a request in: by its credentials, and if its sender may go on now.
async fn admit(state: &State, headers: &HeaderMap) -> Result<Arc<Principal>, Fault> {
    let principal = state.auth.check(headers, Role::Write).await.map_err(Fault::denied)?;
    if state.stopping.load(Ordering::Relaxed) {
        return Err(Fault::shutting_down());
    }
    state.rates.enter(&principal.id).map_err(Fault::rate_limited)?;
    Ok(principal)
}
