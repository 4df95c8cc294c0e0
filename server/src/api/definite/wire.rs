//! Definite's configuration: where it may be, what its fields may hold.
//!
//! **Invariants**: `null` means absent; unknown keys of a `config` object are warnings; the first faulty field in the contract's
//! order answers.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::reply::Fault;
use super::table_name::{self, StreamTable};
use crate::ingest::Entry;

/// Longest tags, in bytes of compact JSON.
const TAGS_BYTES_MAX: usize = 16 * 1024;

/// The fields as given, before they are checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// `table`
    pub table: Option<Value>,
    /// `mode`
    pub mode: Option<Value>,
    /// `primary_key`
    pub primary_key: Option<Value>,
    /// `wait`
    pub wait: Option<Value>,
    /// `tags`
    pub tags: Option<Value>,
    /// Other keys.
    pub unknown: Vec<String>,
}

impl Given {
    /// Fields of the query string.
    pub fn from_query(query: &str) -> Self {
        let mut given = Self::default();
        let mut keys = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "table" => given.table = Some(Value::from(value.into_owned())),
                "mode" => given.mode = Some(Value::from(value.into_owned())),
                "primary_key" => keys.push(Value::from(value.into_owned())),
                "wait" => given.wait = Some(wait_of_text(&value)),
                "tags" => given.tags = Some(tags_of_text(&value)),
                _ => {}
            }
        }
        given.primary_key = (!keys.is_empty()).then_some(Value::Array(keys));
        given
    }

    /// Fields of the `X-Definite-…` headers.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let keys = headers.get_all("x-definite-primary-key").iter();
        let keys: Vec<Value> =
            keys.map(|key| Value::from(String::from_utf8_lossy(key.as_bytes()).into_owned())).collect();
        Self {
            table: text("x-definite-table").map(Value::from),
            mode: text("x-definite-mode").map(Value::from),
            primary_key: (!keys.is_empty()).then_some(Value::Array(keys)),
            wait: text("x-definite-wait").map(|text| wait_of_text(&text)),
            tags: text("x-definite-tags").map(|text| tags_of_text(&text)),
            unknown: Vec::new(),
        }
    }

    /// Fields of a `config` object.
    pub fn from_object(object: Map<String, Value>) -> Self {
        let mut given = Self::default();
        for (name, value) in object {
            let slot = match name.as_str() {
                "table" => &mut given.table,
                "mode" => &mut given.mode,
                "primary_key" => &mut given.primary_key,
                "wait" => &mut given.wait,
                "tags" => &mut given.tags,
                _ => {
                    given.unknown.push(name);
                    continue;
                }
            };
            *slot = Some(value).filter(|value| !value.is_null());
        }
        given
    }

    /// These fields where given, the others' where not.
    pub fn over(self, other: Self) -> Self {
        Self {
            table: self.table.or(other.table),
            mode: self.mode.or(other.mode),
            primary_key: self.primary_key.or(other.primary_key),
            wait: self.wait.or(other.wait),
            tags: self.tags.or(other.tags),
            unknown: self.unknown.into_iter().chain(other.unknown).collect(),
        }
    }
}

fn wait_of_text(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Value::Bool(true),
        "false" | "0" => Value::Bool(false),
        _ => Value::from(text),
    }
}

fn tags_of_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// Where rows go.
    pub table: StreamTable,
    /// `mode`, with its key.
    pub entry: Entry,
    /// Whether the answer carries the snapshot id.
    pub wait: bool,
    /// The tags, as compact JSON text.
    pub tags: Option<String>,
    /// Things the sender may want to know.
    pub warnings: Vec<String>,
}

impl StreamConfig {
    /// Checks the fields, in the contract's order.
    pub fn check(given: Given) -> Result<Self, Fault> {
        let table = match given.table {
            None => return Err(missing_table()),
            Some(Value::String(text)) if text.is_empty() => return Err(missing_table()),
            Some(Value::String(text)) => {
                table_name::parse(&text).map_err(|message| Fault::invalid("invalid_table", message))?
            }
            Some(_) => return Err(Fault::invalid("invalid_table", "config.table must be a string")),
        };
        let entry = match given.mode.as_ref().map(Value::as_str) {
            None | Some(Some("append")) => Entry::Append,
            Some(Some("merge")) => Entry::Merge { key: vec![key_name(given.primary_key.as_ref())?] },
            Some(_) => return Err(Fault::invalid("invalid_mode", "config.mode must be 'append' or 'merge'")),
        };
        let mut warnings: Vec<String> = given.unknown.iter().map(|key| format!("config key '{key}' ignored")).collect();
        if entry == Entry::Append && given.primary_key.is_some() {
            warnings.push("config key 'primary_key' ignored: mode is 'append'".to_owned());
        }
        let wait = match given.wait {
            None => false,
            Some(Value::Bool(wait)) => wait,
            Some(_) => return Err(Fault::invalid("invalid_wait", "config.wait must be true or false")),
        };
        let tags = tags_text(given.tags.as_ref())?;
        Ok(Self { table, entry, wait, tags, warnings })
    }
}

fn missing_table() -> Fault {
    Fault::invalid(
        "missing_table",
        "no table named: give it as config.table in the body, as ?table= in the URL, as the header X-Definite-Table, \
         or as a first NDJSON line {\"config\":{\"table\":\"namespace.table\"}}",
    )
}

/// The one column of the key.
fn key_name(key: Option<&Value>) -> Result<String, Fault> {
    const ONE: &str = "mode 'merge' requires primary_key with exactly one column name";
    match key {
        None => Err(Fault::invalid("missing_primary_key", ONE)),
        Some(Value::Array(names)) => match names.as_slice() {
            [Value::String(name)] if !name.is_empty() => Ok(name.clone()),
            [_, _, ..] if names.iter().all(Value::is_string) => {
                Err(Fault::invalid("composite_key_not_supported", "primary_key must name exactly one column"))
            }
            _ => Err(Fault::invalid("invalid_primary_key", "primary_key must be an array of one column name")),
        },
        Some(_) => Err(Fault::invalid("invalid_primary_key", "primary_key must be an array of one column name")),
    }
}

/// The tags as compact JSON text; empty ones are none.
fn tags_text(tags: Option<&Value>) -> Result<Option<String>, Fault> {
    match tags {
        None => Ok(None),
        Some(Value::Object(members)) if members.is_empty() => Ok(None),
        Some(tags @ Value::Object(_)) => match tags.to_string() {
            text if text.len() <= TAGS_BYTES_MAX => Ok(Some(text)),
            _ => Err(Fault::invalid("invalid_tags", format!("config.tags is larger than {TAGS_BYTES_MAX} bytes"))),
        },
        Some(_) => Err(Fault::invalid("invalid_tags", "config.tags must be an object")),
    }
}
