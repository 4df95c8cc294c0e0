//! The Altertable dialect: appends and their tasks, queries and their log, SQL that is only looked at.
//!
//! Contract: `docs/api/altertable.md`. **Invariants**: an append is all or nothing; `ok: true` means durable; task ids are signed,
//! not stored ([`task_id`]).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get, post};
use http::{HeaderMap, Request, Response};

use crate::auth::{Principal, Role};
use crate::{State, body, compression, ids};

mod check;
mod files;
mod lower;
mod query;
mod query_entry;
mod reply;
mod results;
pub mod task_id;
#[cfg(test)]
mod tests;
mod wire;

/// The OpenAPI document, written by hand; a test compares it with [`routes`].
const OPENAPI: &str = include_str!("openapi.json");

/// Every path of the dialect; `openapi.json` describes the same ones.
fn routes() -> Vec<(&'static str, MethodRouter<Arc<State>>)> {
    vec![
        ("/append", post(append)),
        ("/tasks/{task_id}", get(task)),
        ("/upload", post(files::upload)),
        ("/upsert", post(files::upsert)),
        ("/query", post(query::run)),
        ("/query/{query_id}", get(query::show).delete(query::cancel)),
        ("/validate", post(check::validate)),
        ("/explain", post(check::explain)),
        ("/autocomplete", post(check::autocomplete)),
        ("/openapi/lakehouse.json", get(openapi)),
    ]
}

/// The dialect's routes.
pub fn router() -> Router<Arc<State>> {
    let mut router = Router::new();
    for (path, methods) in routes() {
        // Answers to writes are a line, and not worth a look.
        let writes = ["/append", "/upload", "/upsert"].contains(&path);
        let methods = if writes { methods } else { methods.layer(from_fn(compression::layer)) };
        router = router.route(path, methods);
    }
    router
}

/// `GET /openapi/lakehouse.json`: what this dialect serves, for programs; no credentials needed.
async fn openapi() -> Response<Body> {
    reply::json_text(OPENAPI)
}

/// `POST /append?catalog=&schema=&table=&sync=`
async fn append(Shared(state): Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let principal = match authorize(&state, &head.headers, Role::Write).await {
        Ok(principal) => principal,
        Err(denied) => {
            body::discard(&head.headers, body);
            return *denied;
        }
    };
    let target = match wire::AppendTarget::parse(head.uri.query().unwrap_or_default()) {
        Ok(target) => target,
        Err(message) => {
            body::discard(&head.headers, body);
            return reply::append_refused(http::StatusCode::BAD_REQUEST, reply::INVALID_DATA, &message);
        }
    };
    let held = match body::read(&state.limits, &head.headers, body, state.config.append).await {
        Ok(held) => held,
        Err(fault) => return reply::append_body_fault(&fault),
    };
    // `sync` changes nothing: the commit is visible as soon as it is durable, and the answer waits for that anyway.
    match state.ingest.ingest(&lower::append(target, held.bytes.clone(), &principal)).await {
        Ok(done) => reply::appended(&done, |snapshot| {
            task_id::TaskId { unix_ms: ids::now_ms(), snapshot }.sign(&state.secret, &principal.id)
        }),
        Err(error) => reply::append_failed(&error),
    }
}

/// `GET /tasks/{task_id}`
async fn task(Shared(state): Shared<Arc<State>>, Path(text): Path<String>, headers: HeaderMap) -> Response<Body> {
    let principal = match authorize(&state, &headers, Role::Read).await {
        Ok(principal) => principal,
        Err(denied) => return *denied,
    };
    let Ok(uuid) = uuid::Uuid::try_parse(&text) else {
        return reply::plain(http::StatusCode::BAD_REQUEST, "the task id is not a UUID");
    };
    match task_id::TaskId::verify(uuid, &state.secret, &principal.id, ids::now_ms()) {
        Some(task) => reply::task(uuid, task.snapshot <= state.engine.snapshot().id()),
        None => reply::plain(http::StatusCode::NOT_FOUND, "no such task"),
    }
}

async fn authorize(state: &State, headers: &HeaderMap, role: Role) -> Result<Arc<Principal>, Box<Response<Body>>> {
    state.auth.check(headers, role).await.map_err(|denied| Box::new(reply::denied(denied)))
}
