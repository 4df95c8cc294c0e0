//! What is told about requests: log lines, counters, latency histograms, request ids.
//!
//! **Invariants**
//! 1. Counting a request takes a few relaxed atomic additions and no lock.
//! 2. The default log level says nothing per request.
//! 3. Nothing here sees a body or a credential.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::ids;

/// The header that ties a request to its log line.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is echoed.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS_US: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 30_000_000,
];

/// Statuses that are counted one by one; the rest counts as its class.
const STATUSES: [u16; 12] = [200, 400, 401, 403, 404, 405, 408, 413, 422, 429, 500, 503];

/// What a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/append`
    Append,
    /// `/upload`, `/upsert`
    Upload,
    /// `/query`
    Query,
    /// `/tasks`
    Tasks,
    /// `/v2/stream`
    Stream,
    /// `/v1/query`
    SdkQuery,
    /// `/health`, `/ready`, `/metrics`
    Ops,
    /// Paths we do not know.
    Other,
}

impl Endpoint {
    const ALL: [Self; 8] =
        [Self::Append, Self::Upload, Self::Query, Self::Tasks, Self::Stream, Self::SdkQuery, Self::Ops, Self::Other];

    /// By path.
    pub fn of(path: &str) -> Self {
        match path {
            "/append" => Self::Append,
            "/upload" | "/upsert" => Self::Upload,
            "/query" => Self::Query,
            "/v2/stream" | "/v2/stream/" => Self::Stream,
            "/v1/query" => Self::SdkQuery,
            "/health" | "/ready" | "/metrics" => Self::Ops,
            _ if path.starts_with("/tasks/") => Self::Tasks,
            _ if path.starts_with("/query/") => Self::Query,
            _ => Self::Other,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Upload => "upload",
            Self::Query => "query",
            Self::Tasks => "tasks",
            Self::Stream => "stream",
            Self::SdkQuery => "sdk_query",
            Self::Ops => "ops",
            Self::Other => "other",
        }
    }
}

#[derive(Debug, Default)]
struct Series {
    statuses: [AtomicU64; STATUSES.len() + 1],
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    total_us: AtomicU64,
}

/// Counters of all requests since the start.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    series: [Series; Endpoint::ALL.len()],
    in_flight: AtomicU64,
}

impl RequestMetrics {
    /// A request came in.
    pub fn started(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Its answer is ready to be sent, or its client went away.
    pub fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts an answer.
    pub fn answered(&self, endpoint: Endpoint, status: u16, took: Duration) {
        let series = &self.series[endpoint as usize];
        let slot = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        let us = took.as_micros() as u64;
        let bucket = BUCKETS_US.iter().position(|bound| us <= *bound).unwrap_or(BUCKETS_US.len());
        series.statuses[slot].fetch_add(1, Ordering::Relaxed);
        series.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        series.total_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Appends the Prometheus text of all counters.
    pub fn render(&self, out: &mut String) {
        out.push_str(
            "# HELP siltstone_http_requests_total Answers sent.\n# TYPE siltstone_http_requests_total counter\n",
        );
        for (endpoint, series) in Endpoint::ALL.iter().zip(&self.series) {
            for (i, count) in series.statuses.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let status = STATUSES.get(i).map_or_else(|| "other".to_owned(), u16::to_string);
                    let endpoint = endpoint.label();
                    let _ = writeln!(
                        out,
                        "siltstone_http_requests_total{{endpoint=\"{endpoint}\",status=\"{status}\"}} {count}"
                    );
                }
            }
        }
        out.push_str(
            "# HELP siltstone_http_request_seconds Time from the request's head to the answer's head.\n\
             # TYPE siltstone_http_request_seconds histogram\n",
        );
        for (endpoint, series) in Endpoint::ALL.iter().zip(&self.series) {
            render_histogram(out, endpoint.label(), series);
        }
        let _ = writeln!(
            out,
            "# HELP siltstone_http_requests_in_flight Requests not answered yet.\n\
             # TYPE siltstone_http_requests_in_flight gauge\nsiltstone_http_requests_in_flight {}",
            self.in_flight.load(Ordering::Relaxed)
        );
    }
}

fn render_histogram(out: &mut String, endpoint: &str, series: &Series) {
    let counts: Vec<u64> = series.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return;
    }
    let mut seen = 0;
    for (bound, count) in BUCKETS_US.iter().zip(&counts) {
        seen += count;
        let bound = *bound as f64 / 1e6;
        let _ = writeln!(out, "siltstone_http_request_seconds_bucket{{endpoint=\"{endpoint}\",le=\"{bound}\"}} {seen}");
    }
    let sum = series.total_us.load(Ordering::Relaxed) as f64 / 1e6;
    let _ = write!(
        out,
        "siltstone_http_request_seconds_bucket{{endpoint=\"{endpoint}\",le=\"+Inf\"}} {total}\n\
         siltstone_http_request_seconds_sum{{endpoint=\"{endpoint}\"}} {sum}\n\
         siltstone_http_request_seconds_count{{endpoint=\"{endpoint}\"}} {total}\n"
    );
}

/// The id that a request brings, if it can be echoed: visible ASCII, up to 128 characters.
pub fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(X_REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    })
}

/// A fresh request id.
pub fn new_request_id() -> String {
    ids::short_id("req_", ids::random())
}

/// Starts logging to stderr. Only the first call in a process has an effect.
pub fn start_logging(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match config.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
