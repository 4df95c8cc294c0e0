//! `POST /v1/query`: SQL in, rows as JSON objects out, in one document.
//!
//! Contract: `docs/api/definite-sdk.md`. **Invariants**
//! 1. Every answer is a whole JSON document whose status says how it went: nothing is sent before the last row is known.
//! 2. What a result takes in memory is bounded, per answer and for all of them together.
//! 3. A request that its sender numbered runs once, however often it is sent again while it runs and for ten minutes after ([`retries`]).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State as Shared};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde_json::Value;
use siltstone_query::{QueryErrorKind, SessionSettings};
use siltstone_storage::same_name;

mod document;
pub mod retries;
#[cfg(test)]
mod tests;

use document::{Document, Stopped};
use retries::{Retries, Returned};

use crate::auth::{Denied, Principal, Role};
use crate::body::{self, BodyFault};
use crate::limits::BodyLimits;
use crate::query_log::Origin;
use crate::sql::{Layout, SqlError, SqlErrorKind, SqlRequest};
use crate::telemetry::{self, X_REQUEST_ID};
use crate::{State, json};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Seconds after which a client may try again when memory or another budget was used up.
const RETRY_AFTER_S: u32 = 1;

/// Bytes of a request's body, on the wire and after decompression.
const BODY: BodyLimits = BodyLimits { wire_bytes_max: 10 << 20, decoded_bytes_max: 10 << 20 };

/// A request as understood.
#[derive(Debug, PartialEq, Eq)]
struct QueryRequest {
    sql: String,
}

/// An answer, as it can be given again.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    retry_after_s: Option<u32>,
    body: Bytes,
    /// Whether running the request again does no harm: it is one statement, and that reads or failed.
    repeatable: bool,
}

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_s: Option<u32>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", message)
    }

    fn overloaded(status: StatusCode, message: impl Into<String>) -> Self {
        Self { retry_after_s: Some(RETRY_AFTER_S), ..Self::new(status, "overloaded", message) }
    }

    fn internal(message: &str) -> Self {
        let message = format!("Something went wrong: {message}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    fn from_body(fault: &BodyFault) -> Self {
        let message = fault.to_string();
        match fault {
            BodyFault::TooLarge { .. } | BodyFault::DecodedTooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
            }
            BodyFault::UnsupportedEncoding(_) => Self::new(StatusCode::BAD_REQUEST, "unsupported_encoding", message),
            BodyFault::InvalidEncoding(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_encoding", message),
            BodyFault::Incomplete => Self::new(StatusCode::BAD_REQUEST, "invalid_json", message),
            BodyFault::NoRoom => Self::overloaded(StatusCode::TOO_MANY_REQUESTS, message),
        }
    }

    fn from_query(error: &SqlError) -> Self {
        let message = format!("Query error: {}", error.message);
        match error.kind {
            SqlErrorKind::Query(QueryErrorKind::User) => Self::new(StatusCode::BAD_REQUEST, "query_error", message),
            SqlErrorKind::Query(QueryErrorKind::Exhausted) | SqlErrorKind::Busy => {
                Self::overloaded(StatusCode::TOO_MANY_REQUESTS, message)
            }
            SqlErrorKind::Query(QueryErrorKind::Unavailable) => {
                Self::overloaded(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            SqlErrorKind::Query(QueryErrorKind::Internal) => Self::internal(&error.message),
            SqlErrorKind::Stopped => Self::new(StatusCode::REQUEST_TIMEOUT, "query_timeout", message),
        }
    }

    fn from_stopped(stopped: Stopped, bytes_max: usize) -> Self {
        match stopped {
            Stopped::Failed(error) => Self::from_query(&error),
            Stopped::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "result_too_large",
                format!("the result is larger than {bytes_max} bytes; ask for fewer rows or columns"),
            ),
            Stopped::NoRoom => {
                Self::overloaded(StatusCode::TOO_MANY_REQUESTS, "too many large results are on their way at once")
            }
            Stopped::Lost => Self::internal("the query stopped unexpectedly"),
        }
    }

    fn answer(&self, request_id: &str) -> Answer {
        let mut text = String::with_capacity(128 + 2 * self.message.len());
        text.push_str("{\"success\":false,\"code\":");
        json::push_string(&mut text, self.code);
        for name in ["message", "detail"] {
            text.push_str(&format!(",\"{name}\":"));
            json::push_string(&mut text, &self.message);
        }
        text.push_str(",\"request_id\":");
        json::push_string(&mut text, request_id);
        text.push('}');
        Answer { status: self.status, retry_after_s: self.retry_after_s, body: Bytes::from(text), repeatable: true }
    }
}

impl Answer {
    fn respond(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.status {
            StatusCode::UNAUTHORIZED => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            StatusCode::METHOD_NOT_ALLOWED => headers.insert(ALLOW, HeaderValue::from_static("POST")),
            _ => None,
        };
        response
    }
}

/// `POST /v1/query`
pub async fn query(
    Shared(state): Shared<Arc<State>>,
    Extension(retries): Extension<Retries>,
    request: Request<Body>,
) -> Response<Body> {
    let numbered = telemetry::request_id(request.headers()).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let request_id = numbered.clone().unwrap_or_else(telemetry::new_request_id);
    let answer = match read(&state, request).await {
        Ok((principal, body)) => {
            let run = run(Arc::clone(&state), Arc::clone(&principal), body.clone(), request_id.clone());
            match numbered {
                None => run.await,
                Some(id) => match retries.join(&principal.id, &id, &body, run).await {
                    Returned::Answer(answer) => answer,
                    Returned::NotKept => not_kept().answer(&request_id),
                    Returned::Lost => Refusal::internal("the query stopped unexpectedly").answer(&request_id),
                },
            }
        }
        Err(refusal) => refusal.answer(&request_id),
    };
    let mut response = answer.respond();
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// 405.
pub async fn method_not_allowed() -> Response<Body> {
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "use POST");
    refusal.answer(&telemetry::new_request_id()).respond()
}

fn not_kept() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "result_too_large",
        "this request ran already, and is not run twice; its result was too large to be kept",
    )
}

async fn read(state: &State, request: Request<Body>) -> Result<(Arc<Principal>, Bytes), Refusal> {
    let (head, body) = request.into_parts();
    let (principal, body) = authorized(state, &head.headers, body).await?;
    let held = body::read(&state.limits, &head.headers, body, BODY).await;
    held.map(|held| (principal, held.bytes)).map_err(|fault| Refusal::from_body(&fault))
}

async fn authorized(state: &State, headers: &HeaderMap, body: Body) -> Result<(Arc<Principal>, Body), Refusal> {
    match state.auth.check(headers, Role::Read).await {
        Ok(principal) => Ok((principal, body)),
        Err(denied) => {
            body::discard(headers, body);
            Err(match denied {
                Denied::Unauthorized => {
                    Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", "invalid or missing API key")
                }
                Denied::Forbidden => Refusal::new(StatusCode::FORBIDDEN, "forbidden", "this API key may not query"),
            })
        }
    }
}

/// Runs a request to its answer.
async fn run(state: Arc<State>, principal: Arc<Principal>, body: Bytes, request_id: String) -> Answer {
    let bytes_max = state.config.query_response_bytes_max;
    let request = match parse(&body, &state.config.default_catalog) {
        Ok(request) => request,
        Err(refusal) => return refusal.answer(&request_id),
    };
    let is_script = request.sql.trim_end().trim_end_matches(';').contains(';');
    let started = state.sql.start(SqlRequest {
        origin: Origin::new(principal.id.clone()),
        keep_session: false,
        statement: request.sql,
        settings: SessionSettings {
            read_only: principal.role < Role::Write,
            author: Some(principal.id.clone()),
            ..SessionSettings::default()
        },
        offset: 0,
        limit: None,
        layout: Layout::TextObjects,
    });
    let running = match started {
        Ok(running) => running,
        Err(refused) => {
            let message = refused.to_string();
            return Refusal::overloaded(StatusCode::TOO_MANY_REQUESTS, message).answer(&request_id);
        }
    };
    match Document::collect(running, &state.limits, bytes_max).await {
        Ok(document) => {
            let repeatable = document.is_read() && !is_script;
            let snapshot = (!document.is_read()).then(|| state.engine.snapshot().id());
            let body = document.finish(&request_id, snapshot);
            Answer { status: StatusCode::OK, retry_after_s: None, body, repeatable }
        }
        Err(stopped) => {
            let answer = Refusal::from_stopped(stopped, bytes_max).answer(&request_id);
            Answer { repeatable: !is_script, ..answer }
        }
    }
}

/// Reads the request's fields; others are ignored.
fn parse(body: &[u8], lake: &str) -> Result<QueryRequest, Refusal> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "invalid_json", format!("invalid JSON: {error}")))?;
    let Value::Object(mut fields) = value else {
        return Err(Refusal::invalid("the body must be an object with the field 'sql'"));
    };
    let mut given = |name: &str| fields.remove(name).filter(|value| !value.is_null());
    let (sql, cube_query, integration) = (given("sql"), given("cube_query"), given("integration_id"));
    let sql = match (sql, cube_query) {
        (Some(Value::String(sql)), None) if !sql.trim().is_empty() => sql,
        (Some(_), None) => return Err(Refusal::invalid("'sql' must be a text with a statement in it")),
        (Some(_), Some(_)) => return Err(Refusal::invalid("exactly one of 'sql' and 'cube_query' is to be given")),
        (None, Some(_)) => return Err(Refusal::invalid("'cube_query' is not supported by this version; use 'sql'")),
        (None, None) => return Err(Refusal::invalid("the field 'sql' is missing")),
    };
    match integration {
        None => {}
        Some(Value::String(name)) if name.is_empty() || same_name(&name, lake) => {}
        Some(Value::String(name)) => {
            let message = format!("integration '{name}' does not exist");
            return Err(Refusal::new(StatusCode::NOT_FOUND, "integration_not_found", message));
        }
        Some(_) => return Err(Refusal::invalid("'integration_id' must be a text")),
    }
    Ok(QueryRequest { sql })
}
