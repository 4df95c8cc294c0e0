//! `POST /query`, and what is asked of a query that was sent: `GET` and `DELETE /query/{query_id}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State as Shared};
use http::header::USER_AGENT;
use http::{HeaderMap, Request, Response, StatusCode};
use uuid::Uuid;

use super::{authorize, lower, query_entry, reply, results, wire};
use crate::auth::Role;
use crate::query_log::Cancelled;
use crate::{State, body};

/// Longest `User-Agent` that is kept, in bytes.
const USER_AGENT_BYTES_MAX: usize = 512;

/// `POST /query`
pub async fn run(Shared(state): Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let principal = match authorize(&state, &head.headers, Role::Read).await {
        Ok(principal) => principal,
        Err(denied) => {
            body::discard(&head.headers, body);
            return *denied;
        }
    };
    let held = match body::read(&state.limits, &head.headers, body, state.config.query_body).await {
        Ok(held) => held,
        Err(fault) => return reply::body_fault(&fault),
    };
    let query = match wire::QueryRequest::parse(&held.bytes) {
        Ok(query) => query,
        Err(message) => return reply::plain(StatusCode::BAD_REQUEST, &message),
    };
    match state.sql.start(lower::query(&query, &principal, user_agent(&head.headers))) {
        Ok(running) => results::respond(&query, running).await,
        Err(refused) => reply::refused(&refused),
    }
}

/// `GET /query/{query_id}`
pub async fn show(Shared(state): Shared<Arc<State>>, Path(text): Path<String>, headers: HeaderMap) -> Response<Body> {
    let principal = match authorize(&state, &headers, Role::Read).await {
        Ok(principal) => principal,
        Err(denied) => return *denied,
    };
    let Ok(id) = Uuid::try_parse(&text) else {
        return reply::plain(StatusCode::BAD_REQUEST, "the query id is not a UUID");
    };
    match state.sql.log().find(&principal.id, id) {
        Some(entry) => reply::json(query_entry::describe(&entry)),
        None => reply::plain(StatusCode::NOT_FOUND, "no such query"),
    }
}

/// `DELETE /query/{query_id}?session_id=`
pub async fn cancel(
    Shared(state): Shared<Arc<State>>,
    Path(text): Path<String>,
    RawQuery(parameters): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let principal = match authorize(&state, &headers, Role::Read).await {
        Ok(principal) => principal,
        Err(denied) => return *denied,
    };
    let Ok(id) = Uuid::try_parse(&text) else {
        return reply::plain(StatusCode::BAD_REQUEST, "the query id is not a UUID");
    };
    let session_id = match wire::cancel_session(parameters.as_deref().unwrap_or_default()) {
        Ok(session_id) => session_id,
        Err(message) => return reply::plain(StatusCode::BAD_REQUEST, &message),
    };
    let (cancelled, message) = match state.sql.log().cancel(&principal.id, id, &session_id) {
        Cancelled::Now => (true, "Query cancelled"),
        Cancelled::Before => (true, "Query already finished"),
        Cancelled::OtherSession => (false, "Session ID does not match"),
        Cancelled::Unknown => return reply::plain(StatusCode::NOT_FOUND, "no such query"),
    };
    reply::json(serde_json::json!({ "cancelled": cancelled, "message": message }))
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(USER_AGENT)?.to_str().ok()?;
    // ASCII, so that every byte is a character.
    Some(text[..text.len().min(USER_AGENT_BYTES_MAX)].to_owned())
}
