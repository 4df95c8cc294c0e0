//! An entry of the query log as Altertable shows it.
//!
//! **Invariants**: clients check the shape strictly: `stats` is an object whatever is known, durations and counts are whole numbers,
//! and `client_interface` is one of their words.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::query_log::Entry;

/// Their word for `POST /query`, the only way in so far that makes entries.
const INTERFACE: &str = "HttpQuery";

/// The entry as JSON.
pub fn describe(entry: &Entry) -> Value {
    let (end, figures) = (entry.end(), entry.figures());
    let succeeded = end.as_ref().is_some_and(|end| end.error.is_none());
    let progress = figures.map(|figures| {
        let (read, total) = (figures.rows_read, figures.rows_to_read);
        let percentage = match total {
            _ if succeeded => 100.0,
            0 => 0.0,
            total => (read as f64 / total as f64 * 1000.0).round() / 10.0,
        };
        json!({ "percentage": percentage.min(100.0), "rows_processed": read, "total_rows": total })
    });
    let scan = figures.map(|figures| {
        let expected = figures.rows_expected.unwrap_or(figures.rows_to_read);
        json!({ "estimated_result_rows": expected, "estimated_scanned_rows": figures.rows_to_read })
    });
    let memory = figures.map(|figures| json!({ "total_usage_bytes": figures.memory_bytes_peak }));
    json!({
        "uuid": entry.origin.query_id.to_string(),
        "start_time": time(entry.started),
        "end_time": end.as_ref().map(|end| time(end.at)),
        "duration_ms": end.as_ref().map(|end| end.took.as_millis() as u64),
        "query": entry.statement,
        "session_id": entry.origin.session_id,
        "client_interface": INTERFACE,
        "error": end.and_then(|end| end.error),
        "stats": { "caching": null, "memory": memory, "scan": scan },
        "progress": progress,
        "visible": entry.origin.visible,
        "requested_by": entry.origin.requested_by,
        "user_agent": entry.origin.user_agent,
    })
}

/// RFC 3339, UTC, microseconds.
fn time(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Micros, true)
}
