//! For operators and orchestrators: is it up, can it work, what is it doing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::State as Shared;
use http::{HeaderMap, Response, StatusCode, header};

use crate::State;
use crate::auth::{Denied, Role};

/// `GET /health`: the process is up.
pub async fn health() -> Response<Body> {
    json(StatusCode::OK, "{\"status\":\"ok\"}".to_owned())
}

/// `GET /ready`: reads and writes are possible; 503 with the reason when not.
pub async fn ready(Shared(state): Shared<Arc<State>>) -> Response<Body> {
    let reason = if state.stopping.load(Ordering::Relaxed) {
        Some("the server is stopping".to_owned())
    } else {
        state.engine.health().err().map(|error| error.message().to_owned())
    };
    match reason {
        None => json(StatusCode::OK, "{\"status\":\"ready\"}".to_owned()),
        Some(reason) => {
            let mut text = "{\"status\":\"unavailable\",\"reason\":".to_owned();
            crate::json::push_string(&mut text, &reason);
            text.push('}');
            json(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

/// `GET /metrics`: Prometheus text; credentials only if the setting asks for them.
pub async fn metrics(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response<Body> {
    if state.config.metrics_auth {
        match state.auth.check(&headers, Role::Read).await {
            Ok(_) => {}
            Err(Denied::Unauthorized) => {
                let mut response = plain(StatusCode::UNAUTHORIZED, "credentials needed\n".to_owned());
                let scheme = header::HeaderValue::from_static("Basic realm=\"siltstone\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                return response;
            }
            Err(Denied::Forbidden) => return plain(StatusCode::FORBIDDEN, "not allowed\n".to_owned()),
        }
    }
    let mut text = String::with_capacity(8192);
    render_engine(&mut text, &state.engine.metrics(), state.engine.health().is_ok());
    render_queries(&mut text, &state);
    state.requests.render(&mut text);
    let mut response = plain(StatusCode::OK, text);
    let version = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, version);
    response
}

fn render_queries(out: &mut String, state: &State) {
    let (running, waiting) = state.sql.counts();
    let rows = [
        ("queries_running", "Queries that run now.", running),
        ("queries_waiting", "Queries that wait for their turn.", waiting),
        ("sql_sessions", "Sessions kept between requests.", state.sql.sessions()),
    ];
    for (name, help, value) in rows {
        let _ =
            writeln!(out, "# HELP siltstone_{name} {help}\n# TYPE siltstone_{name} gauge\nsiltstone_{name} {value}");
    }
}

fn render_engine(out: &mut String, metrics: &siltstone_storage::Metrics, writable: bool) {
    let rows = [
        ("commits_total", "counter", "Commits acknowledged.", metrics.commits),
        ("rows_total", "counter", "Rows acknowledged.", metrics.rows),
        ("log_syncs_total", "counter", "Syncs of the log; commits by syncs is the size of a group.", metrics.log_syncs),
        ("log_written_bytes_total", "counter", "Bytes written to the log.", metrics.log_bytes_written),
        ("flushes_total", "counter", "Flushes finished.", metrics.flushes),
        ("log_bytes", "gauge", "Bytes of log files on disk.", metrics.log_bytes),
        ("memtable_bytes", "gauge", "Bytes of rows in memory.", metrics.memtable_bytes),
        ("chunk_cache_bytes", "gauge", "Bytes of decoded column chunks kept in memory.", metrics.chunk_cache_bytes),
        ("memtable_rows", "gauge", "Rows in memory.", metrics.memtable_rows),
        ("segments", "gauge", "Live segments.", metrics.segments),
        ("segment_bytes", "gauge", "Bytes of live segments.", metrics.segment_bytes),
        ("segment_rows", "gauge", "Rows in live segments.", metrics.segment_rows),
        ("deleted_rows", "gauge", "Rows in live segments that were deleted.", metrics.deleted_rows),
        ("table_segments_max", "gauge", "Most live segments of one table.", metrics.table_segments_max),
        ("key_index_bytes", "gauge", "Bytes of key indexes of rows in memory.", metrics.key_index_bytes),
        ("pinned_bytes", "gauge", "Bytes of files kept for readers of older snapshots.", metrics.pinned_bytes),
        ("flush_written_bytes_total", "counter", "Bytes written by flushes.", metrics.flush_bytes_written),
        ("compactions_total", "counter", "Compactions finished.", metrics.compactions),
        ("compaction_failures_total", "counter", "Compactions that failed.", metrics.compaction_failures),
        ("compaction_read_bytes_total", "counter", "Bytes of segments compacted.", metrics.compaction_bytes_read),
        (
            "compaction_written_bytes_total",
            "counter",
            "Bytes written by compactions.",
            metrics.compaction_bytes_written,
        ),
        ("horizon", "gauge", "Oldest snapshot that can be asked for.", metrics.horizon),
        ("snapshot", "gauge", "Newest snapshot.", metrics.snapshot),
        ("queued_commits", "gauge", "Commits waiting.", metrics.queued_commits),
        ("queued_bytes", "gauge", "Bytes waiting to be committed.", metrics.queued_bytes),
        ("writable", "gauge", "1 while writes are possible.", u64::from(writable)),
        ("up", "gauge", "Always 1.", 1),
    ];
    for (name, kind, help, value) in rows {
        let _ =
            writeln!(out, "# HELP siltstone_{name} {help}\n# TYPE siltstone_{name} {kind}\nsiltstone_{name} {value}");
    }
}

fn json(status: StatusCode, text: String) -> Response<Body> {
    respond(status, "application/json", text)
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
