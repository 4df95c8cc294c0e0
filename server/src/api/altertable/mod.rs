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
use http::{HeaderMap, Response};

use crate::auth::{Principal, Role};
use crate::{State, compression, ids};

mod append;
mod check;
mod files;
mod lower;
mod once;
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
        ("/append", post(append::append)),
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
