//! Altertable's request shapes, as its owner documents them.
//!
//! **Invariants**: `null` means absent; unknown fields are ignored; a known field of the wrong kind is refused by name.

use std::borrow::Cow;

use serde_json::{Map, Value};
use siltstone_storage::TableName;
use uuid::Uuid;

/// Query string of `/append`.
#[derive(Debug, PartialEq, Eq)]
pub struct AppendTarget {
    /// Where rows go.
    pub table: TableName,
}

impl AppendTarget {
    /// Reads the query string. The error is a sentence for the client.
    pub fn parse(query: &str) -> Result<Self, String> {
        let [mut catalog, mut schema, mut table] = [Cow::Borrowed(""), Cow::Borrowed(""), Cow::Borrowed("")];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "catalog" => catalog = value,
                "schema" => schema = value,
                "table" => table = value,
                "sync" => {
                    let known = ["", "true", "false", "1", "0"].iter().any(|known| known.eq_ignore_ascii_case(&value));
                    if !known {
                        return Err("parameter sync must be true, false, 1 or 0".to_owned());
                    }
                }
                _ => {}
            }
        }
        for (name, value) in [("catalog", &catalog), ("schema", &schema), ("table", &table)] {
            if value.is_empty() {
                return Err(format!("parameter {name} is required"));
            }
        }
        Ok(Self { table: TableName::new(catalog, schema, table) })
    }
}

/// How a result is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFormat {
    /// The envelope: metadata, columns, rows.
    Default,
    /// `text/csv`.
    Csv,
    /// Objects, one per line.
    Jsonl,
}

/// Body of `/query`.
#[derive(Debug, PartialEq, Eq)]
pub struct QueryRequest {
    /// Trimmed, not empty.
    pub statement: String,
    /// Default catalog.
    pub catalog: Option<String>,
    /// Default schema.
    pub schema: Option<String>,
    /// Theirs or ours.
    pub session_id: String,
    /// Theirs or ours.
    pub query_id: Uuid,
    /// Rows at most, as applied.
    pub limit: Option<u64>,
    /// Rows left out, as applied.
    pub offset: Option<u64>,
    /// How the result is wanted.
    pub format: ResultFormat,
    /// A known zone.
    pub timezone: Option<String>,
}

/// Rows of the window that `sanitize` asks for.
const SANITIZED_ROWS: u64 = 500;

/// Longest session id, in characters.
const SESSION_ID_CHARS_MAX: usize = 128;

const COMPUTE_SIZES: [&str; 12] = ["XS", "S", "M", "L", "XL", "2XL", "3XL", "4XL", "AUTO", "XXL", "XXXL", "XXXXL"];

impl QueryRequest {
    /// Reads and checks the body. The error is a sentence for the client.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let value: Value =
            serde_json::from_slice(body).map_err(|error| format!("the body is not valid JSON: {error}"))?;
        let Value::Object(fields) = value else {
            return Err("the body must be a JSON object".to_owned());
        };
        let statement = text(&fields, "statement")?.ok_or("field statement is required")?.trim().to_owned();
        if statement.is_empty() {
            return Err("field statement must not be empty".to_owned());
        }
        check_ignored(&fields)?;
        let (limit, offset) = match flag(&fields, "sanitize")? {
            Some(true) => {
                count(&fields, "limit")?;
                count(&fields, "offset")?;
                (Some(SANITIZED_ROWS), Some(0))
            }
            _ => (count(&fields, "limit")?, count(&fields, "offset")?),
        };
        Ok(Self {
            statement,
            catalog: text(&fields, "catalog")?.map(str::to_owned),
            schema: text(&fields, "schema")?.map(str::to_owned),
            session_id: session_id(&fields)?,
            query_id: query_id(&fields)?,
            limit,
            offset,
            format: format(&fields)?,
            timezone: timezone(&fields)?,
        })
    }
}

fn wrong(name: &str, expected: &str) -> String {
    format!("field {name} must be {expected}")
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    field(fields, name).map(|value| value.as_str().ok_or_else(|| wrong(name, "a string"))).transpose()
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    field(fields, name).map(|value| value.as_bool().ok_or_else(|| wrong(name, "true or false"))).transpose()
}

fn count(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    let value = field(fields, name);
    value.map(|value| value.as_u64().ok_or_else(|| wrong(name, "an integer of 0 or more"))).transpose()
}

/// Fields that are checked and have no effect here.
fn check_ignored(fields: &Map<String, Value>) -> Result<(), String> {
    for name in ["visible", "ephemeral", "cache"] {
        flag(fields, name)?;
    }
    text(fields, "requested_by")?;
    if let Some(size) = text(fields, "compute_size")?
        && !COMPUTE_SIZES.iter().any(|known| known.eq_ignore_ascii_case(size))
    {
        return Err(format!("Unsupported compute size: {size}"));
    }
    match text(fields, "dialect")? {
        Some(dialect) if !dialect.eq_ignore_ascii_case("duckdb") => Err(format!("Unsupported dialect: {dialect}")),
        _ => Ok(()),
    }
}

fn session_id(fields: &Map<String, Value>) -> Result<String, String> {
    match text(fields, "session_id")? {
        None => Ok(crate::ids::new_uuid().to_string()),
        Some(id) if id.is_empty() || id.chars().count() > SESSION_ID_CHARS_MAX => {
            Err(wrong("session_id", "a string of 1 to 128 characters"))
        }
        Some(id) => Ok(id.to_owned()),
    }
}

fn query_id(fields: &Map<String, Value>) -> Result<Uuid, String> {
    match text(fields, "query_id")? {
        None => Ok(crate::ids::new_uuid()),
        Some(id) => Uuid::try_parse(id).map_err(|_| wrong("query_id", "a UUID")),
    }
}

fn format(fields: &Map<String, Value>) -> Result<ResultFormat, String> {
    match text(fields, "format")? {
        None | Some("" | "default") => Ok(ResultFormat::Default),
        Some("csv") => Ok(ResultFormat::Csv),
        Some("jsonl") => Ok(ResultFormat::Jsonl),
        Some("parquet") => Err("query format parquet is not supported yet".to_owned()),
        Some(other) => Err(format!("Unsupported query format: {other}")),
    }
}

fn timezone(fields: &Map<String, Value>) -> Result<Option<String>, String> {
    match text(fields, "timezone")? {
        Some(name) if crate::cells::zone(name).is_none() => Err(format!("Unknown time zone: {name}")),
        zone => Ok(zone.map(str::to_owned)),
    }
}
