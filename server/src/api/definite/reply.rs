//! Neutral outcomes as Definite's answers: eleven keys on success, one shape for every error.
//!
//! **Invariants**: a fault's status, code and text are declared together; lists are capped and say how much was cut.

use std::time::Duration;

use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use siltstone_ingest::{ErrorCode, RowError, Warning};
use siltstone_storage::{SnapshotId, TableId};

use super::lower::{Asked, Lowered};
use super::table_name;
use crate::auth::Denied;
use crate::body::BodyFault;
use crate::error::Failure;
use crate::ingest::{IngestError, KeyError, PartReply};
use crate::{State, ids, json};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Row errors listed in an answer.
const ERRORS_SHOWN: usize = 100;
/// Partitions listed in an answer (contract 14).
const PARTITIONS_SHOWN: usize = 100;
/// Warnings listed in an answer.
const WARNINGS_SHOWN: usize = 100;

/// Seconds after which a server that is being stopped may be there again.
const RETRY_RESTART_S: u32 = 10;

/// A request that is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_s: Option<u32>,
    rejected_rows: usize,
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None, rejected_rows: 0 }
    }

    /// 400: the body is not what it should be.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404: nothing of that name.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 413: over a limit.
    pub fn too_large(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message)
    }

    /// 422: the configuration is not what it should be.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 500: ours.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", Failure::internal().message)
    }

    /// 429: the sender is too fast.
    pub fn rate_limited(wait: Duration) -> Self {
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        let message = format!("this API key sends faster than it may; try again in {seconds} s");
        let busy = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message);
        Self { retry_after_s: Some(seconds), ..busy }
    }

    /// 503: no new requests are taken.
    pub fn shutting_down() -> Self {
        let fault = Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "the server is being stopped");
        Self { retry_after_s: Some(RETRY_RESTART_S), ..fault }
    }

    /// 422: the key was used for another request.
    pub fn idempotency_mismatch() -> Self {
        Self::invalid(
            "idempotency_mismatch",
            "this Idempotency-Key was used for a request with another body or configuration",
        )
    }

    /// 401 or 403.
    pub fn denied(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorized => Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "invalid or missing API key"),
            Denied::Forbidden => Self::new(StatusCode::FORBIDDEN, "forbidden", "this API key may not write"),
        }
    }

    /// A body that cannot be had.
    pub fn from_body(fault: BodyFault) -> Self {
        let message = fault.to_string();
        match fault {
            BodyFault::TooLarge { .. } => Self::too_large("payload_too_large", message),
            BodyFault::DecodedTooLarge { .. } => Self::too_large("decoded_payload_too_large", message),
            BodyFault::UnsupportedEncoding(_) => Self::bad("unsupported_encoding", message),
            BodyFault::InvalidEncoding(_) => Self::bad("invalid_encoding", message),
            BodyFault::Incomplete => Self::bad("invalid_json", message),
            BodyFault::NoRoom => {
                let busy = Self::new(StatusCode::TOO_MANY_REQUESTS, "backpressure", message);
                Self { retry_after_s: Some(1), ..busy }
            }
        }
    }

    /// An ingest that failed as a whole.
    pub fn from_ingest(error: &IngestError, lowered: &Lowered) -> Self {
        let name = lowered.request.parts.first().map(|part| &part.table);
        match error {
            IngestError::Body(error) => Self::from_parse(error, lowered.rows_start),
            IngestError::SchemaMissing(_) => {
                let namespace = name.map_or("", |name| name.schema.as_str());
                Self::not_found("namespace_not_found", format!("namespace '{namespace}' does not exist"))
            }
            IngestError::CatalogMissing(_) | IngestError::TableMissing(_) => {
                let table = name.map_or_else(String::new, |name| table_name::shown(&name.schema, &name.table));
                Self::not_found("table_not_found", format!("table '{table}' does not exist"))
            }
            IngestError::ReadOnly(_) | IngestError::NoColumns(_) | IngestError::Name(_) => {
                Self::invalid("invalid_table", error.to_string())
            }
            IngestError::View(_) => {
                let view = name.map_or_else(String::new, |name| table_name::shown(&name.schema, &name.table));
                Self::invalid("not_a_table", format!("'{view}' is a view, not a table"))
            }
            IngestError::Key(fault) => Self::from_key(fault),
            IngestError::Storage(cause) => Self::from_failure(Failure::from(cause)),
            IngestError::Panicked => Self::internal(),
        }
    }

    fn from_key(fault: &KeyError) -> Self {
        match fault {
            KeyError::Missing(column) => Self::invalid(
                "primary_key_not_found",
                format!("primary_key names column '{column}', which the table does not have"),
            ),
            KeyError::Type { .. } => Self::invalid("invalid_primary_key", fault.to_string()),
            KeyError::Repeated { rows, .. } => {
                Self { rejected_rows: *rows, ..Self::invalid("duplicate_primary_key", fault.to_string()) }
            }
        }
    }

    /// What storage says of anything but the rows.
    pub fn from_storage(error: &siltstone_storage::Error) -> Self {
        Self::from_failure(Failure::from(error))
    }

    fn from_failure(failure: Failure) -> Self {
        let code = match failure.status {
            StatusCode::TOO_MANY_REQUESTS => "backpressure",
            StatusCode::SERVICE_UNAVAILABLE => "storage_unavailable",
            StatusCode::BAD_REQUEST => "invalid_schema",
            _ => "internal",
        };
        Self { retry_after_s: failure.retry_after_s, ..Self::new(failure.status, code, failure.message) }
    }

    /// The answer. The text stands under every name a client may look for.
    pub fn respond(&self, request_id: &str) -> Response<Body> {
        let mut text = String::with_capacity(256 + 3 * self.message.len());
        text.push_str("{\"success\":false,\"code\":");
        json::push_string(&mut text, self.code);
        text.push_str(",\"message\":");
        json::push_string(&mut text, &self.message);
        text.push_str(",\"detail\":");
        json::push_string(&mut text, &self.message);
        text.push_str(",\"errors\":[");
        json::push_string(&mut text, &self.message);
        text.push_str("],\"warnings\":[],\"request_id\":");
        json::push_string(&mut text, request_id);
        text.push_str(",\"accepted\":0,\"successful_rows\":0,\"rejected_rows\":");
        json::push_integer(&mut text, self.rejected_rows);
        text.push_str(",\"snapshot_id\":null}");
        let mut response = respond(self.status, text);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// 405.
pub async fn method_not_allowed() -> Response<Body> {
    let fault = Fault::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "use POST");
    fault.respond(&crate::telemetry::new_request_id())
}

fn respond(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Stable for a table's life, new after it was dropped and created again, and no hint at how many tables there are.
fn stream_id(state: &State, table: TableId) -> String {
    ids::short_id("st_", state.secret.code(&[b"stream", &table.0.to_le_bytes()]))
}

/// 200: what became of the rows. `replayed`: it was answered before.
pub fn success(text: &SuccessText, snapshot: Option<SnapshotId>, replayed: bool) -> Response<Body> {
    let [start, end] = &text.0;
    let mut whole = start.clone();
    if !end.is_empty() {
        match snapshot {
            Some(snapshot) => json::push_integer(&mut whole, snapshot.0),
            None => whole.push_str("null"),
        }
        whole.push_str(end);
    }
    let mut response = respond(StatusCode::OK, whole);
    if replayed {
        response.headers_mut().insert(crate::receipts::IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The text of a success, but for the id of the commit: up to where it stands, and from there on. The second part is empty if none is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccessText(pub [String; 2]);

impl SuccessText {
    /// Of what became of a request's one part; `None` if there is none.
    pub fn new(state: &State, asked: &Asked, request_id: &str, parts: &[PartReply]) -> Option<Self> {
        let part = parts.first()?;
        let mut start = before_snapshot(state, part, request_id)?;
        let end = after_snapshot(asked, part);
        if asked.wait && part.accepted > 0 {
            return Some(Self([start, end]));
        }
        start.push_str("null");
        start.push_str(&end);
        Some(Self([start, String::new()]))
    }
}

fn before_snapshot(state: &State, part: &PartReply, request_id: &str) -> Option<String> {
    let (table, name) = part.table.as_ref()?;
    let mut text = String::with_capacity(512);
    text.push_str(if part.accepted > 0 || part.rows == 0 { "{\"success\":true" } else { "{\"success\":false" });
    text.push_str(",\"request_id\":");
    json::push_string(&mut text, request_id);
    text.push_str(",\"stream_id\":");
    json::push_string(&mut text, &stream_id(state, *table));
    text.push_str(",\"table\":");
    json::push_string(&mut text, &table_name::shown(&name.schema, &name.table));
    text.push_str(",\"accepted\":");
    json::push_integer(&mut text, part.accepted);
    text.push_str(",\"successful_rows\":");
    json::push_integer(&mut text, part.accepted);
    text.push_str(",\"rejected_rows\":");
    json::push_integer(&mut text, part.rows - part.accepted);
    text.push_str(",\"partitions\":");
    json::push_strings(&mut text, &partitions(part));
    text.push_str(",\"snapshot_id\":");
    Some(text)
}

/// Contract 14: a table that is not partitioned has one a day.
fn partitions(part: &PartReply) -> Vec<String> {
    match &part.partitions {
        _ if part.accepted == 0 => Vec::new(),
        None => vec![today()],
        Some(labels) => shown(labels.clone(), PARTITIONS_SHOWN),
    }
}

/// The first of them, and how many more there are.
fn shown(mut texts: Vec<String>, most: usize) -> Vec<String> {
    if texts.len() > most {
        let more = texts.len() - most;
        texts.truncate(most);
        texts.push(format!("… (+{more} more)"));
    }
    texts
}

fn after_snapshot(asked: &Asked, part: &PartReply) -> String {
    let mut text = String::from(",\"warnings\":");
    json::push_strings(&mut text, &warnings(asked, part));
    let (first, total) = if part.errors.is_empty() { (Vec::new(), 0) } else { part.errors.first(ERRORS_SHOWN) };
    push_errors(&mut text, &first, total);
    text.push('}');
    text
}

/// The UTC date of ingestion.
fn today() -> String {
    chrono::DateTime::from_timestamp_millis(ids::now_ms() as i64)
        .map_or_else(String::new, |now| now.date_naive().to_string())
}

fn warnings(asked: &Asked, part: &PartReply) -> Vec<String> {
    let mut warnings = asked.warnings.clone();
    if part.rows == 0 {
        warnings.push("no rows in the request".to_owned());
    }
    warnings.extend(part.warnings.iter().map(|warning| match warning {
        Warning::ColumnAdded { column, logical_type } => format!("column '{column}' added as {logical_type}"),
        Warning::Rounded { column, values: 1 } => format!("column '{column}': 1 value rounded"),
        Warning::Rounded { column, values } => format!("column '{column}': {values} values rounded"),
        Warning::FieldIgnored { field } => format!("field '{field}' ignored: the table has no such column"),
    }));
    shown(warnings, WARNINGS_SHOWN)
}

fn push_errors(text: &mut String, first: &[RowError], total: usize) {
    let mut sentences: Vec<String> = first
        .iter()
        .map(|error| match &error.field {
            Some(field) => format!("row {}, field '{field}': {}", error.row, error.message),
            None => format!("row {}: {}", error.row, error.message),
        })
        .collect();
    if total > first.len() {
        sentences.push(format!("… (+{} more)", total - first.len()));
    }
    text.push_str(",\"errors\":");
    json::push_strings(text, &sentences);
    if first.is_empty() {
        return;
    }
    text.push_str(",\"error_details\":[");
    for (i, error) in first.iter().enumerate() {
        text.push_str(if i == 0 { "{\"row\":" } else { ",{\"row\":" });
        json::push_integer(text, error.row);
        text.push_str(",\"field\":");
        json::push_optional(text, error.field.as_deref());
        text.push_str(",\"code\":");
        json::push_string(text, code_name(error.code));
        text.push_str(",\"message\":");
        json::push_string(text, &error.message);
        text.push_str(",\"value\":");
        json::push_optional(text, error.value.as_deref());
        text.push('}');
    }
    text.push(']');
}

fn code_name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidCast => "invalid_cast",
        ErrorCode::OutOfRange => "out_of_range",
        ErrorCode::NotNullViolation => "not_null_violation",
        ErrorCode::NullPrimaryKey => "null_primary_key",
        ErrorCode::DuplicateKey => "duplicate_key",
        ErrorCode::FieldTooLarge => "field_too_large",
        ErrorCode::NestingTooDeep => "nesting_too_deep",
        ErrorCode::NotAnObject => "not_an_object",
        ErrorCode::AmbiguousField => "ambiguous_field",
        ErrorCode::UnknownField => "unknown_field",
        ErrorCode::InvalidFieldName => "invalid_field_name",
        ErrorCode::TooManyColumns => "too_many_columns",
    }
}
