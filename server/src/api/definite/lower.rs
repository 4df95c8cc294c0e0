//! From Definite's body forms to the neutral request: finds the rows and the configuration, wherever they are.
//!
//! **Invariants**: rows are never parsed here, only cut out; their bytes are shared, not copied.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::Value;
use siltstone_ingest::{BodyError, CaseTwins, Fractions, Framing, Policy};
use siltstone_storage::{CommitInfo, TableName, same_name};

use super::reply::Fault;
use super::wire::{Given, StreamConfig};
use crate::config::Config;
use crate::ingest::{BadRows, IngestRequest, Missing, Part};

/// Largest field of a row, in bytes.
const FIELD_BYTES_MAX: usize = 1 << 20;
/// Deepest row; the row itself is level 1.
const ROW_DEPTH_MAX: usize = 10;
/// Columns that one request may add.
const NEW_COLUMNS_MAX: usize = 100;

/// Media types of newline-delimited rows.
const NDJSON_TYPES: [&str; 5] =
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "text/x-ndjson"];

/// A request in neutral form, with what the answer needs.
#[derive(Debug)]
pub struct Lowered {
    /// One part.
    pub request: IngestRequest,
    /// What the answer depends on.
    pub asked: Asked,
    /// Where the rows start in the body, so that messages can say where in the body a fault is.
    pub rows_start: usize,
}

/// What the configuration says about the answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whether it carries the snapshot id.
    pub wait: bool,
    /// About the configuration.
    pub warnings: Vec<String>,
}

/// Rows as found in a body, and the configuration found with them.
struct Found {
    rows: Bytes,
    framing: Framing,
    config: Given,
}

/// Lowers a request.
///
/// # Errors
/// What the contract answers when a body or a configuration is not what it should be.
pub fn lower(settings: &Config, head: &Parts, body: Bytes) -> Result<Lowered, Fault> {
    let outside = Given::from_query(head.uri.query().unwrap_or_default()).over(Given::from_headers(&head.headers));
    let text = match body.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) => body.slice_ref(text),
        None => body.clone(),
    };
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::bad("empty_body", "the request body is empty"));
    }
    let Found { rows, framing, config } = match content_type(head)? {
        Framing::Sequence => sequence(text, outside)?,
        Framing::Document => document(text, outside, settings)?,
    };
    let default = settings.stream_default_table.clone().map(Value::from);
    let config = config.over(Given { table: default, ..Given::default() });
    let config = StreamConfig::check(config)?;
    let rows_start = rows.as_ptr() as usize - body.as_ptr() as usize;
    let catalog = match config.table.catalog {
        None => &settings.default_catalog,
        Some(catalog) if same_name(&catalog, &settings.default_catalog) => &settings.default_catalog,
        Some(catalog) => {
            return Err(Fault::not_found("table_not_found", format!("catalog '{catalog}' does not exist")));
        }
    };
    let part = Part {
        table: TableName::new(catalog, config.table.namespace, config.table.table),
        body: rows,
        framing,
        policy: policy(settings),
        entry: config.entry,
        missing: Missing::Refuse,
        bad_rows: BadRows::LeaveOut,
    };
    let info = CommitInfo { extra: config.tags, ..CommitInfo::default() };
    let request = IngestRequest { info, ..IngestRequest::single(part) };
    Ok(Lowered { request, asked: Asked { wait: config.wait, warnings: config.warnings }, rows_start })
}

fn policy(settings: &Config) -> Arc<Policy> {
    Arc::new(Policy {
        fractions: Fractions::Round,
        unknown_fields: settings.stream_unknown_columns,
        case_twins: CaseTwins::Reject,
        nan_tokens: true,
        rows_max: settings.stream_rows_max,
        field_bytes_max: FIELD_BYTES_MAX,
        row_depth_max: ROW_DEPTH_MAX,
        new_columns_max: NEW_COLUMNS_MAX,
    })
}

/// What the `Content-Type` says of the layout; anything unknown is a JSON document.
fn content_type(head: &Parts) -> Result<Framing, Fault> {
    let Some(text) = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return Ok(Framing::Document);
    };
    let mut pieces = text.split(';').map(str::trim);
    let media = pieces.next().unwrap_or_default();
    for parameter in pieces {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("charset")
        {
            let charset = value.trim().trim_matches('"');
            if !["utf-8", "utf8", "us-ascii"].iter().any(|known| known.eq_ignore_ascii_case(charset)) {
                return Err(Fault::bad(
                    "invalid_encoding",
                    format!("charset {charset:?} is not supported, only UTF-8"),
                ));
            }
        }
    }
    let ndjson = NDJSON_TYPES.iter().any(|known| known.eq_ignore_ascii_case(media));
    Ok(if ndjson { Framing::Sequence } else { Framing::Document })
}

/// A JSON document: an envelope, a bare array or a bare row.
fn document(text: Bytes, outside: Given, settings: &Config) -> Result<Found, Fault> {
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {}
        Some(b'[') => return Ok(Found { rows: text, framing: Framing::Document, config: outside }),
        // No rows whatever the configuration: parsing comes first and says what it is instead.
        _ => {
            let refused = siltstone_ingest::decode(&text, Framing::Document, None, &policy(settings)).err();
            return Err(refused.map_or_else(Fault::internal, |error| Fault::from_parse(&error, 0)));
        }
    }
    let members = siltstone_ingest::members(&text).map_err(|error| Fault::from_parse(&error, 0))?;
    // A key given twice: the last wins.
    let find = |key: &str| members.iter().rev().find(|member| member.key == key).map(|member| member.value);
    let config = match find("config").filter(|value| *value != b"null") {
        Some(value) => Some(config_object(value)?),
        None if outside.table.is_some() => {
            return Ok(Found { rows: text, framing: Framing::Document, config: outside });
        }
        None => None,
    };
    let named = config.as_ref().is_some_and(|config| config.table.is_some()) || settings.stream_default_table.is_some();
    let config = config.unwrap_or_default().over(outside);
    let Some(data) = find("data") else {
        if !named && config.table.is_none() {
            // Neither rows nor a table: the missing table is what its sender has to learn about first.
            return Err(StreamConfig::check(config).err().unwrap_or_else(Fault::internal));
        }
        return Err(Fault::bad("invalid_schema", "the body has no 'data': expected an object or an array of objects"));
    };
    Ok(Found { rows: text.slice_ref(data), framing: Framing::Document, config })
}

fn config_object(value: &[u8]) -> Result<Given, Fault> {
    match serde_json::from_slice(value) {
        Ok(Value::Object(object)) => Ok(Given::from_object(object)),
        Ok(_) => Err(Fault::invalid("invalid_config", "config must be an object")),
        Err(error) => Err(Fault::bad("invalid_json", format!("invalid JSON in config: {error}"))),
    }
}

/// Rows one after the other; the first value may be the configuration.
fn sequence(text: Bytes, outside: Given) -> Result<Found, Fault> {
    if let Some(end) = leading_config_end(&text)
        && let Ok(members) = siltstone_ingest::members(&text[..end])
        && let [member] = members.as_slice()
        && member.key == "config"
        && let Ok(Value::Object(object)) = serde_json::from_slice(member.value)
    {
        let config = outside.over(Given::from_object(object));
        return Ok(Found { rows: text.slice(end..), framing: Framing::Sequence, config });
    }
    Ok(Found { rows: text, framing: Framing::Sequence, config: outside })
}

/// End of the first value, if it is an object whose first key is `config`.
fn leading_config_end(text: &[u8]) -> Option<usize> {
    let start = text.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let inside = text[start..].strip_prefix(b"{")?.trim_ascii_start();
    inside.strip_prefix(b"\"config\"")?;
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, byte) in text.iter().enumerate().skip(start) {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

impl Fault {
    /// A body that is not rows; `rows_start` is where in the body parsing began.
    pub fn from_parse(error: &BodyError, rows_start: usize) -> Self {
        match error {
            BodyError::Syntax { offset, record, reason } => {
                let offset = rows_start + offset;
                Self::bad("invalid_json", format!("invalid JSON at byte {offset} of record {record}: {reason}"))
            }
            BodyError::Shape { .. } => Self::bad("invalid_schema", error.to_string()),
            BodyError::Empty => Self::bad("empty_body", error.to_string()),
            BodyError::Depth { .. } => Self::bad("nesting_too_deep", error.to_string()),
            BodyError::Rows { .. } => Self::too_large("too_many_rows", error.to_string()),
        }
    }
}
