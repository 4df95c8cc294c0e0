//! Neutral outcomes as Altertable's statuses and bodies.
//!
//! **Invariants**
//! 1. `/append` always answers its four keys, whatever happened; `error_code` is one of two words or null.
//! 2. Every other error is one plain sentence.
//! 3. 409 and 422 are never used: clients would post the rows again.

use axum::body::Body;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use siltstone_ingest::{BodyError, ErrorCode, FileError};
use siltstone_query::QueryErrorKind;
use siltstone_storage::SnapshotId;
use uuid::Uuid;

use crate::auth::Denied;
use crate::body::BodyFault;
use crate::error::Failure;
use crate::ingest::{IngestError, IngestReply};
use crate::json;
use crate::sql::{Refused, SqlError, SqlErrorKind};
use crate::upload::{SpoolError, UploadError};

/// The data cannot be rows of any table.
pub const INVALID_DATA: &str = "invalid-data";
/// The data cannot be rows of this table.
pub const INCOMPATIBLE_SCHEMA: &str = "incompatible-schema";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const X_SNAPSHOT_ID: HeaderName = HeaderName::from_static("x-snapshot-id");

/// Seconds after which a refused query may come again.
const RETRY_QUERY_S: u32 = 1;

/// Bad rows that a message names.
const BAD_ROWS_SHOWN: usize = 3;

fn respond(status: StatusCode, content_type: HeaderValue, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// One plain sentence.
pub fn plain(status: StatusCode, text: &str) -> Response<Body> {
    respond(status, TEXT, text.to_owned())
}

/// A JSON value.
pub fn json(value: serde_json::Value) -> Response<Body> {
    respond(StatusCode::OK, JSON, value.to_string())
}

/// A JSON document as it is.
pub fn json_text(text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A query that was not begun.
pub fn refused(refused: &Refused) -> Response<Body> {
    match refused {
        Refused::InUse(_) => plain(StatusCode::BAD_REQUEST, &refused.to_string()),
        Refused::Busy => with_retry(plain(StatusCode::TOO_MANY_REQUESTS, &refused.to_string()), Some(RETRY_QUERY_S)),
    }
}

/// A query that failed, in the formats without an envelope.
pub fn query_failed(error: &SqlError) -> Response<Body> {
    match error.kind {
        // Nothing ran, or nothing was written: worth another try.
        SqlErrorKind::Busy | SqlErrorKind::Query(QueryErrorKind::Unavailable) => {
            with_retry(plain(StatusCode::SERVICE_UNAVAILABLE, &error.message), Some(RETRY_QUERY_S))
        }
        SqlErrorKind::Query(_) | SqlErrorKind::Stopped => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.message),
    }
}

/// Whether a failure is about the statement, and so part of the answer; else it is the server's.
pub fn is_about_the_statement(error: &SqlError) -> bool {
    matches!(error.kind, SqlErrorKind::Query(QueryErrorKind::User | QueryErrorKind::Exhausted))
}

/// 401 or 403.
pub fn denied(denied: Denied) -> Response<Body> {
    match denied {
        Denied::Forbidden => plain(StatusCode::FORBIDDEN, "not allowed"),
        Denied::Unauthorized => {
            let mut response = plain(StatusCode::UNAUTHORIZED, "unauthorized");
            let scheme = HeaderValue::from_static("Basic realm=\"altertable\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            response
        }
    }
}

fn fault_status(fault: &BodyFault) -> StatusCode {
    match fault {
        BodyFault::TooLarge { .. } | BodyFault::DecodedTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyFault::NoRoom => StatusCode::TOO_MANY_REQUESTS,
        BodyFault::UnsupportedEncoding(_) | BodyFault::InvalidEncoding(_) | BodyFault::Incomplete => {
            StatusCode::BAD_REQUEST
        }
    }
}

pub fn with_retry(mut response: Response<Body>, seconds: Option<u32>) -> Response<Body> {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A body that cannot be had, outside `/append`.
pub fn body_fault(fault: &BodyFault) -> Response<Body> {
    let retry = (*fault == BodyFault::NoRoom).then_some(1);
    with_retry(plain(fault_status(fault), &fault.to_string()), retry)
}

/// The same for `/append`.
pub fn append_body_fault(fault: &BodyFault) -> Response<Body> {
    let retry = (*fault == BodyFault::NoRoom).then_some(1);
    with_retry(append_refused(fault_status(fault), INVALID_DATA, &fault.to_string()), retry)
}

/// `ok: false` with a code and a message.
pub fn append_refused(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    append_error(status, Some(code), message)
}

fn append_error(status: StatusCode, code: Option<&str>, message: &str) -> Response<Body> {
    let mut text = String::with_capacity(96 + message.len());
    text.push_str("{\"ok\":false,\"task_id\":null,\"error_message\":");
    json::push_string(&mut text, message);
    text.push_str(",\"error_code\":");
    json::push_optional(&mut text, code);
    text.push('}');
    respond(status, JSON, text)
}

/// What became of an append that was decoded.
pub fn appended(reply: &IngestReply, task: impl FnOnce(SnapshotId) -> Uuid) -> Response<Body> {
    let Some(snapshot) = reply.snapshot else {
        return match reply.parts.iter().find(|part| !part.errors.is_empty()) {
            Some(part) => bad_rows(part),
            None => accepted(None, task),
        };
    };
    accepted(Some(snapshot), task)
}

/// An append that landed, in this commit if it had rows.
pub fn accepted(snapshot: Option<SnapshotId>, task: impl FnOnce(SnapshotId) -> Uuid) -> Response<Body> {
    let mut response = respond(StatusCode::OK, JSON, accepted_text(snapshot.map(task)));
    if let Some(snapshot) = snapshot {
        response.headers_mut().insert(X_SNAPSHOT_ID, HeaderValue::from(snapshot.0));
    }
    response
}

fn accepted_text(task: Option<Uuid>) -> String {
    const START: &str = "{\"ok\":true,\"task_id\":";
    const END: &str = ",\"error_message\":null,\"error_code\":null}";
    let mut text = String::with_capacity(START.len() + 38 + END.len());
    text.push_str(START);
    match task {
        Some(id) => {
            let mut buffer = Uuid::encode_buffer();
            text.push('"');
            text.push_str(id.hyphenated().encode_lower(&mut buffer));
            text.push('"');
        }
        None => text.push_str("null"),
    }
    text.push_str(END);
    text
}

fn bad_rows(part: &crate::ingest::PartReply) -> Response<Body> {
    let (first, total) = part.errors.first(BAD_ROWS_SHOWN);
    let mut message = String::new();
    for error in &first {
        if !message.is_empty() {
            message.push_str("; ");
        }
        message.push_str(&format!("row {}", error.row));
        if let Some(field) = &error.field {
            message.push_str(&format!(", column \"{field}\""));
        }
        message.push_str(&format!(": {}", error.message));
    }
    if total > first.len() {
        message.push_str(&format!("; and {} more", total - first.len()));
    }
    let misfits = first.iter().any(|error| is_misfit(error.code));
    let code = if misfits { INCOMPATIBLE_SCHEMA } else { INVALID_DATA };
    // A body whose elements are not objects is not a body for this endpoint.
    let shape = first.iter().any(|error| error.code == ErrorCode::NotAnObject);
    append_refused(if shape { StatusCode::BAD_REQUEST } else { StatusCode::OK }, code, &message)
}

/// Whether a fault is about the table's columns, not about the data alone.
fn is_misfit(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::InvalidCast | ErrorCode::OutOfRange | ErrorCode::NotNullViolation | ErrorCode::TooManyColumns
    )
}

/// An append that failed as a whole.
pub fn append_failed(error: &IngestError) -> Response<Body> {
    match error {
        IngestError::Body(fault @ BodyError::Rows { .. }) => {
            append_refused(StatusCode::PAYLOAD_TOO_LARGE, INVALID_DATA, &fault.to_string())
        }
        IngestError::Body(fault) => append_refused(StatusCode::BAD_REQUEST, INVALID_DATA, &fault.to_string()),
        IngestError::CatalogMissing(_)
        | IngestError::SchemaMissing(_)
        | IngestError::TableMissing(_)
        | IngestError::ReadOnly(_)
        | IngestError::NoColumns(_)
        | IngestError::Name(_)
        | IngestError::View(_)
        | IngestError::Key(_) => append_refused(StatusCode::OK, INVALID_DATA, &error.to_string()),
        IngestError::Storage(cause) => {
            let failure = Failure::from(cause);
            let code = (failure.status == StatusCode::BAD_REQUEST).then_some(INVALID_DATA);
            with_retry(append_error(failure.status, code, &failure.message), failure.retry_after_s)
        }
        IngestError::Panicked => append_error(StatusCode::INTERNAL_SERVER_ERROR, None, &Failure::internal().message),
    }
}

/// A file of so many rows that landed, with its task; `snapshot` is the commit if there was something to write.
pub fn uploaded(rows: u64, task: Option<Uuid>, snapshot: Option<SnapshotId>) -> Response<Body> {
    let task = task.map_or("null".to_owned(), |task| format!("\"{task}\""));
    let text = format!(
        "{{\"ok\":true,\"task_id\":{task},\"status\":\"completed\",\"error_message\":null,\"error_code\":null,\"rows\":{rows}}}"
    );
    let mut response = respond(StatusCode::OK, JSON, text);
    if let Some(snapshot) = snapshot {
        response.headers_mut().insert(X_SNAPSHOT_ID, HeaderValue::from(snapshot.0));
    }
    response
}

/// A file that did not land.
pub fn upload_failed(error: &UploadError) -> Response<Body> {
    match error {
        UploadError::File(FileError::Invalid(_)) | UploadError::Refused(_) => {
            plain(StatusCode::BAD_REQUEST, &error.to_string())
        }
        UploadError::Storage(cause) => failed(&Failure::from(cause)),
        UploadError::File(FileError::Read(cause)) => {
            tracing::error!(error = %cause, "a spooled file cannot be read");
            failed(&Failure::internal())
        }
        UploadError::Panicked => failed(&Failure::internal()),
    }
}

/// A file that could not be received.
pub fn spool_failed(error: &SpoolError) -> Response<Body> {
    match error {
        SpoolError::Body(fault) => body_fault(fault),
        SpoolError::TooLarge(_) => plain(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()),
        SpoolError::DiskFull => failed(&Failure::disk_full()),
        SpoolError::Disk(cause) => {
            tracing::error!(error = %cause, "a file cannot be spooled");
            failed(&Failure::internal())
        }
    }
}

fn failed(failure: &Failure) -> Response<Body> {
    with_retry(plain(failure.status, &failure.message), failure.retry_after_s)
}

/// State of a task.
pub fn task(id: Uuid, visible: bool) -> Response<Body> {
    let status = if visible { "completed" } else { "pending" };
    respond(StatusCode::OK, JSON, format!("{{\"task_id\":\"{id}\",\"status\":\"{status}\"}}"))
}
