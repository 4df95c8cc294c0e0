//! `/admin`: what only an administrator may ask of a running server.
//!
//! **Invariants**
//! 1. Nothing of a request is looked at before its credential was accepted as an administrator's.
//! 2. Every answer is JSON; a failure has `error`, with its causes, since whoever reads it runs the server.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::routing::post;
use http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use siltstone_storage::{Error, ErrorKind};

use crate::auth::{Denied, Principal, Role};
use crate::error::with_causes;
use crate::limits::BodyLimits;
use crate::{State, backup, body};

/// Requests here are a few names.
const BODY: BodyLimits = BodyLimits { wire_bytes_max: 64 << 10, decoded_bytes_max: 64 << 10 };

/// The administrator's routes.
pub fn router() -> Router<Arc<State>> {
    Router::new().route("/admin/backup", post(make_backup))
}

/// Body of `POST /admin/backup`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupRequest {
    /// Absolute path on this machine: a directory that is missing or empty.
    to: String,
    /// Whether the copy is read back.
    #[serde(default = "yes")]
    verify: bool,
}

fn yes() -> bool {
    true
}

/// `POST /admin/backup`: copies the database to a directory of this machine; answers when the copy is durable.
async fn make_backup(Shared(state): Shared<Arc<State>>, request: Request) -> Response<Body> {
    let (principal, wanted) = match accept::<BackupRequest>(&state, request).await {
        Ok(accepted) => accepted,
        Err(refusal) => return *refusal,
    };
    if !Path::new(&wanted.to).is_absolute() {
        return failed(StatusCode::BAD_REQUEST, "`to` is not an absolute path");
    }
    let Ok(turn) = Arc::clone(&state.backups).try_acquire_owned() else {
        return failed(StatusCode::CONFLICT, "a backup is being made");
    };
    tracing::info!(to = wanted.to, by = principal.id, "backup starts");
    let task = tokio::task::spawn_blocking(move || {
        // Runs to its end even if the client goes away; the turn is over only then.
        let _turn = turn;
        let target = backup::empty_directory(Path::new(&wanted.to), &state.config.data)?;
        backup::make(target, wanted.verify, |target| state.engine.backup(target))
            .inspect(|made| tracing::info!(to = wanted.to, "backup made: {made}"))
    });
    match task.await {
        Ok(Ok(made)) => {
            let report = made.report;
            respond(
                StatusCode::OK,
                &json!({
                    "snapshot": report.snapshot.0,
                    "linked_files": report.linked_files,
                    "copied_files": report.copied_files,
                    "copied_bytes": report.copied_bytes,
                    "log_commits": report.log_commits,
                    "verified": made.verified.is_some(),
                    "summary": made.to_string(),
                }),
            )
        }
        Ok(Err(error)) => failure(&error),
        Err(_) => failed(StatusCode::INTERNAL_SERVER_ERROR, "the backup stopped unexpectedly"),
    }
}

/// An administrator, and the JSON they sent.
async fn accept<T: DeserializeOwned>(
    state: &State,
    request: Request,
) -> Result<(Arc<Principal>, T), Box<Response<Body>>> {
    let (head, body) = request.into_parts();
    let principal = match authorize(state, &head.headers).await {
        Ok(principal) => principal,
        Err(refusal) => {
            body::discard(&head.headers, body);
            return Err(refusal);
        }
    };
    let held = body::read(&state.limits, &head.headers, body, BODY).await;
    let held = held.map_err(|fault| Box::new(failed(StatusCode::BAD_REQUEST, &fault.to_string())))?;
    let parsed = serde_json::from_slice(&held.bytes);
    let parsed = parsed.map_err(|error| Box::new(failed(StatusCode::BAD_REQUEST, &format!("bad request: {error}"))))?;
    Ok((principal, parsed))
}

async fn authorize(state: &State, headers: &HeaderMap) -> Result<Arc<Principal>, Box<Response<Body>>> {
    state.auth.check(headers, Role::Admin).await.map_err(|denied| {
        Box::new(match denied {
            Denied::Forbidden => failed(StatusCode::FORBIDDEN, "the role admin is needed"),
            Denied::Unauthorized => {
                let mut response = failed(StatusCode::UNAUTHORIZED, "credentials needed");
                let scheme = HeaderValue::from_static("Basic realm=\"siltstone\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
                response
            }
        })
    })
}

/// What was asked for cannot be had as things are, or went wrong.
fn failure(error: &Error) -> Response<Body> {
    let status = match error.kind() {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict | ErrorKind::Unavailable => StatusCode::CONFLICT,
        ErrorKind::Exhausted => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Latched | ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::Internal => {
            tracing::error!(error = %with_causes(error), "an administrator's request failed");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    failed(status, &with_causes(error))
}

fn failed(status: StatusCode, message: &str) -> Response<Body> {
    respond(status, &json!({ "error": message }))
}

fn respond(status: StatusCode, answer: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
