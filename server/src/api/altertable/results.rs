//! Query results as Altertable's envelope, CSV, JSON lines or Parquet.
//!
//! **Invariants**
//! 1. The default format's status, headers and metadata line leave before the query is planned; whatever goes wrong later is a
//!    line in the stream.
//! 2. The other formats have no place for an error: a failure before the first row is status 500, one after it breaks the
//!    connection, so that no file looks complete that is not.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::reply;
use super::wire::{QueryRequest, ResultFormat};
use crate::json;
use crate::sql::{ColumnInfo, Event, Running};

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const CSV: HeaderValue = HeaderValue::from_static("text/csv");
const PARQUET: HeaderValue = HeaderValue::from_static("application/parquet");
const X_QUERY_ID: HeaderName = HeaderName::from_static("x-query-id");
const X_SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");

/// Names the server in the metadata line.
const WORKER: &str = "siltstone";

/// How long the other formats wait for their first rows or error before they commit to 200: clients give headers 5 seconds.
const FIRST_ROWS_WAIT: Duration = Duration::from_secs(3);

/// The answer to a query whose events come from `events`.
pub async fn respond(query: &QueryRequest, events: Running) -> Response<Body> {
    let mut response = match query.format {
        ResultFormat::Default => envelope(query, events),
        ResultFormat::Csv => bare(CSV, events).await,
        ResultFormat::Jsonl => bare(NDJSON, events).await,
        ResultFormat::Parquet => bare(PARQUET, events).await,
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(query.query_id.to_string()) {
        headers.insert(X_QUERY_ID, id);
    }
    if let Ok(id) = HeaderValue::try_from(query.session_id.as_str()) {
        headers.insert(X_SESSION_ID, id);
    }
    response
}

fn envelope(query: &QueryRequest, events: Running) -> Response<Body> {
    let first = Some(Bytes::from(metadata(query)));
    let lines = stream::unfold((first, Some(events)), |(first, events)| async move {
        if let Some(line) = first {
            return Some((Ok::<_, std::convert::Infallible>(line), (None, events)));
        }
        let mut events = events?;
        match events.next().await {
            Some(Event::Columns(columns, _)) => Some((Ok(columns_line(&columns)), (None, Some(events)))),
            Some(Event::Rows(rows)) => Some((Ok(rows), (None, Some(events)))),
            Some(Event::Done) => None,
            Some(Event::Failed(error)) => Some((Ok(error_line(&error.message)), (None, None))),
            None => Some((Ok(error_line("INTERNAL Error: the query stopped unexpectedly")), (None, None))),
        }
    });
    streamed(NDJSON, Body::from_stream(lines))
}

async fn bare(content_type: HeaderValue, mut events: Running) -> Response<Body> {
    let mut waiting = Vec::new();
    let deadline = tokio::time::Instant::now() + FIRST_ROWS_WAIT;
    // Until something real is known: the CSV header alone says nothing about whether the query works.
    while waiting.len() < 2 {
        match tokio::time::timeout_at(deadline, events.next()).await {
            Err(_still_running) => break,
            Ok(Some(Event::Columns(..))) => {}
            Ok(Some(Event::Rows(rows))) => waiting.push(rows),
            Ok(Some(Event::Done)) => return streamed(content_type, Body::from(waiting.concat())),
            Ok(Some(Event::Failed(error))) => return reply::query_failed(&error),
            Ok(None) => return reply::plain(StatusCode::INTERNAL_SERVER_ERROR, "the query stopped unexpectedly"),
        }
    }
    let rest = stream::unfold(Some(events), |events| async move {
        let mut events = events?;
        loop {
            match events.next().await {
                Some(Event::Columns(..)) => {}
                Some(Event::Rows(rows)) => return Some((Ok(rows), Some(events))),
                Some(Event::Done) => return None,
                Some(Event::Failed(error)) => return Some((Err(std::io::Error::other(error.message)), None)),
                None => return Some((Err(std::io::Error::other("the query stopped unexpectedly")), None)),
            }
        }
    });
    let first = stream::iter(waiting.into_iter().map(Ok));
    streamed(content_type, Body::from_stream(futures::StreamExt::chain(first, rest)))
}

fn streamed(content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn metadata(query: &QueryRequest) -> String {
    let mut line = String::with_capacity(256 + query.statement.len());
    line.push_str("{\"statement\":");
    json::push_string(&mut line, &query.statement);
    for (name, value) in [("rows_limit", query.limit), ("rows_offset", query.offset)] {
        line.push_str(&format!(",\"{name}\":"));
        match value {
            Some(count) => json::push_integer(&mut line, count),
            None => line.push_str("null"),
        }
    }
    line.push_str(",\"init_time_ms\":1,\"connections_errors\":{},\"session_id\":");
    json::push_string(&mut line, &query.session_id);
    line.push_str(",\"query_id\":");
    json::push_string(&mut line, &query.query_id.to_string());
    line.push_str(",\"worker_slug\":");
    json::push_string(&mut line, WORKER);
    line.push_str("}\n");
    line
}

fn columns_line(columns: &[ColumnInfo]) -> Bytes {
    let mut line = String::from("[");
    for (i, column) in columns.iter().enumerate() {
        line.push_str(if i == 0 { "{\"name\":" } else { ",{\"name\":" });
        json::push_string(&mut line, &column.name);
        line.push_str(",\"type\":");
        json::push_string(&mut line, &column.type_name);
        line.push('}');
    }
    line.push_str("]\n");
    Bytes::from(line)
}

fn error_line(message: &str) -> Bytes {
    let mut line = String::from("{\"error\":");
    json::push_string(&mut line, message);
    line.push_str("}\n");
    Bytes::from(line)
}
