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
    /// `application/parquet`.
    Parquet,
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
    /// Whether what the session holds outlives the request: it has an id of theirs and is not ephemeral.
    pub keep_session: bool,
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
    /// On whose behalf.
    pub requested_by: Option<String>,
    /// Whether it is for lists.
    pub visible: bool,
}

/// Rows of the window that `sanitize` asks for.
const SANITIZED_ROWS: u64 = 500;

/// Longest session id, in characters.
const SESSION_ID_CHARS_MAX: usize = 128;

const COMPUTE_SIZES: [&str; 12] = ["XS", "S", "M", "L", "XL", "2XL", "3XL", "4XL", "AUTO", "XXL", "XXXL", "XXXXL"];

impl QueryRequest {
    /// Reads and checks the body. The error is a sentence for the client.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let fields = object(body)?;
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
            keep_session: field(&fields, "session_id").is_some() && flag(&fields, "ephemeral")? != Some(true),
            session_id: session_id(&fields)?,
            query_id: query_id(&fields)?,
            limit,
            offset,
            format: format(&fields)?,
            timezone: timezone(&fields)?,
            requested_by: text(&fields, "requested_by")?.map(str::to_owned),
            visible: flag(&fields, "visible")?.unwrap_or(true),
        })
    }
}

/// Body of `/validate`, `/explain` and `/autocomplete`.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckBody {
    /// As sent; perhaps empty.
    pub statement: String,
    /// Default catalog.
    pub catalog: Option<String>,
    /// Default schema.
    pub schema: Option<String>,
    /// The session it is meant for.
    pub session_id: Option<String>,
    /// Suggestions at most.
    pub suggestions_max: usize,
    /// Whether the plan is wanted.
    pub include_plan: bool,
}

/// Suggestions when nobody says how many.
const SUGGESTIONS_DEFAULT: u64 = 20;
/// Most suggestions of one answer.
const SUGGESTIONS_MAX: u64 = 200;

impl CheckBody {
    /// Reads and checks the body. The error is a sentence for the client.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let fields = object(body)?;
        let suggestions = count(&fields, "max_suggestions")?.filter(|count| *count > 0).unwrap_or(SUGGESTIONS_DEFAULT);
        let session = field(&fields, "session_id").map(|_| session_id(&fields)).transpose()?;
        Ok(Self {
            statement: text(&fields, "statement")?.ok_or("field statement is required")?.to_owned(),
            catalog: text(&fields, "catalog")?.map(str::to_owned),
            schema: text(&fields, "schema")?.map(str::to_owned),
            session_id: session,
            suggestions_max: suggestions.min(SUGGESTIONS_MAX) as usize,
            include_plan: flag(&fields, "include_plan")?.unwrap_or(false),
        })
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("the body must be a JSON object".to_owned()),
        Err(error) => Err(format!("the body is not valid JSON: {error}")),
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
    flag(fields, "cache")?;
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
        Some("parquet") => Ok(ResultFormat::Parquet),
        Some(other) => Err(format!("Unsupported query format: {other}")),
    }
}

fn timezone(fields: &Map<String, Value>) -> Result<Option<String>, String> {
    match text(fields, "timezone")? {
        Some(name) if crate::cells::zone(name).is_none() => Err(format!("Unknown time zone: {name}")),
        zone => Ok(zone.map(str::to_owned)),
    }
}

/// Query string of `DELETE /query/{query_id}`: the session that the query belongs to. The error is a sentence for the client.
pub fn cancel_session(query: &str) -> Result<String, String> {
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    match parameters.find(|(name, _)| name == "session_id") {
        Some((_, id)) if !id.is_empty() => Ok(id.into_owned()),
        _ => Err("parameter session_id is required".to_owned()),
    }
}
