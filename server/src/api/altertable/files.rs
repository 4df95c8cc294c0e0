//! `POST /upload` and `POST /upsert`: files into tables. One handler, two doors, which differ in the mode of a request that names none.
//!
//! **Invariants**: parameters are checked before the body is read; unknown ones are ignored.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode};
use siltstone_ingest::{FileError, FileFormat};
use siltstone_storage::{CommitInfo, TableName};

use super::once::{self, Told};
use super::{authorize, reply};
use crate::auth::{Principal, Role};
use crate::receipts::ReceiptKey;
use crate::upload::{FileAddition, Mode, Spooled, Upload, UploadError};
use crate::{State, body, ids};

const MODES: [(&str, Mode); 5] = [
    ("create", Mode::Create),
    ("append", Mode::Append),
    ("create_append", Mode::CreateAppend),
    ("upsert", Mode::Upsert),
    ("overwrite", Mode::Overwrite),
];

/// `POST /upload`
pub(super) async fn upload(state: Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    receive(state, request, Mode::Append).await
}

/// `POST /upsert`
pub(super) async fn upsert(state: Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    receive(state, request, Mode::Upsert).await
}

async fn receive(Shared(state): Shared<Arc<State>>, request: Request<Body>, default: Mode) -> Response<Body> {
    let (head, body) = request.into_parts();
    let principal = match authorize(&state, &head.headers, Role::Write).await {
        Ok(principal) => principal,
        Err(denied) => {
            body::discard(&head.headers, body);
            return *denied;
        }
    };
    let parameters = Parameters::parse(head.uri.query().unwrap_or_default(), default);
    let upload = match parameters.map(|parameters| parameters.lower(&head.headers, &principal)) {
        Ok(upload) => upload,
        Err(message) => {
            body::discard(&head.headers, body);
            return reply::plain(StatusCode::BAD_REQUEST, &message);
        }
    };
    let key = match ReceiptKey::sent(&head.headers, &principal.id) {
        Ok(key) => key,
        Err(invalid) => {
            body::discard(&head.headers, body);
            return reply::plain(StatusCode::BAD_REQUEST, &invalid.to_string());
        }
    };
    let file = match state.uploads.receive(&head.headers, body).await {
        Ok(file) => file,
        Err(error) => return reply::spool_failed(&error),
    };
    let Some(key) = key else { return write_file(state, principal, upload, file, None).await };
    let (read, described) = (file.clone(), upload.clone());
    let fingerprint = match tokio::task::spawn_blocking(move || once::of_file(&described, &read)).await {
        Ok(Ok(fingerprint)) => fingerprint,
        Ok(Err(cause)) => return reply::upload_failed(&UploadError::File(FileError::Read(cause))),
        Err(_) => return reply::upload_failed(&UploadError::Panicked),
    };
    let (server, sender) = (Arc::clone(&state), Arc::clone(&principal));
    let write = move |pending| write_file(server, sender, upload, file, Some(pending));
    once::once(state, principal, &FILES, (key, fingerprint), write).await
}

async fn write_file(
    state: Arc<State>,
    principal: Arc<Principal>,
    mut upload: Upload,
    file: Spooled,
    pending: Option<once::Pending>,
) -> Response<Body> {
    let unix_ms = ids::now_ms();
    upload.addition =
        pending.clone().map(|pending| FileAddition::new(move |rows| pending.change(Told { unix_ms, rows })));
    match state.uploads.load(upload, file).await {
        Ok(done) => {
            if let Some(pending) = pending {
                pending.written(done.snapshot);
            }
            let task = once::task(&state, &principal, unix_ms, done.snapshot);
            reply::uploaded(done.rows, Some(task), Some(done.snapshot).filter(|_| done.changed))
        }
        Err(error) => reply::upload_failed(&error),
    }
}

/// How `/upload` and `/upsert` answer.
static FILES: once::Door = once::Door {
    refused: reply::plain,
    done: |state, principal, told, snapshot| {
        let task = snapshot.map(|snapshot| once::task(state, principal, told.unix_ms, snapshot));
        reply::uploaded(told.rows, task, snapshot)
    },
};

/// The query string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) table: TableName,
    pub(super) mode: Mode,
    pub(super) key: Vec<String>,
    pub(super) newer_by: Vec<String>,
    pub(super) format: Option<FileFormat>,
}

impl Parameters {
    /// Reads the query string. The error is a sentence for the client.
    pub(super) fn parse(query: &str, default: Mode) -> Result<Self, String> {
        let [mut catalog, mut schema, mut table] = [Cow::Borrowed(""), Cow::Borrowed(""), Cow::Borrowed("")];
        let (mut mode, mut format) = (default, None);
        let [mut primary_key, mut cursor_field] = [None, None];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "catalog" => catalog = value,
                "schema" => schema = value,
                "table" => table = value,
                "mode" => mode = parse_mode(&value)?,
                "format" => format = Some(parse_format(&value)?),
                "primary_key" => primary_key = Some(names(&value)),
                "cursor_field" => cursor_field = Some(names(&value)),
                _ => {}
            }
        }
        for (name, value) in [("catalog", &catalog), ("schema", &schema), ("table", &table)] {
            if value.is_empty() {
                return Err(format!("parameter {name} is required"));
            }
        }
        let key = primary_key.unwrap_or_default();
        let mut newer_by = Vec::new();
        if mode == Mode::Upsert {
            if key.is_empty() {
                return Err("parameter primary_key is required to upsert, and names at least one column".to_owned());
            }
            if cursor_field.as_ref().is_some_and(Vec::is_empty) {
                return Err("parameter cursor_field names no column".to_owned());
            }
            newer_by = cursor_field.unwrap_or_default();
        }
        Ok(Self { table: TableName::new(catalog, schema, table), mode, key, newer_by, format })
    }

    fn lower(self, headers: &HeaderMap, sender: &Principal) -> Upload {
        let mode = MODES.iter().find(|(_, mode)| *mode == self.mode).map_or("", |(name, _)| name);
        let extra = serde_json::json!({ "mode": mode, "primary_key": self.key });
        Upload {
            table: self.table,
            mode: self.mode,
            key: self.key,
            newer_by: self.newer_by,
            format: self.format.or_else(|| declared_format(headers)),
            info: CommitInfo {
                author: Some(sender.id.clone()),
                message: Some("file".to_owned()),
                extra: Some(extra.to_string()),
            },
            addition: None,
        }
    }
}

fn parse_mode(text: &str) -> Result<Mode, String> {
    let found = MODES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, mode)| *mode).ok_or_else(|| {
        let names: Vec<&str> = MODES.iter().map(|(name, _)| *name).collect();
        format!("parameter mode must be one of {}", names.join(", "))
    })
}

fn parse_format(text: &str) -> Result<FileFormat, String> {
    match text.to_ascii_lowercase().as_str() {
        "csv" => Ok(FileFormat::Csv),
        "json" => Ok(FileFormat::Json),
        "parquet" => Ok(FileFormat::Parquet),
        _ => Err("parameter format must be csv, json or parquet".to_owned()),
    }
}

/// A comma list of names.
fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What the content type says of the format; `None`: nothing.
pub(super) fn declared_format(headers: &HeaderMap) -> Option<FileFormat> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "application/x-ndjson" | "application/jsonl" | "application/ndjson" => {
            Some(FileFormat::Json)
        }
        "text/csv" | "application/csv" => Some(FileFormat::Csv),
        "application/parquet" | "application/vnd.apache.parquet" | "application/x-parquet" => Some(FileFormat::Parquet),
        other => other.ends_with("+json").then_some(FileFormat::Json),
    }
}
