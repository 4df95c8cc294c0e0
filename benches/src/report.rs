//! An outcome as a table for people or one JSON object for scripts.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::args::Args;
use crate::load::Outcome;

const MIB: f64 = 1_048_576.0;

/// One JSON object; numbers that were not measured are null.
pub fn json(args: &Args, outcome: &Outcome) -> Value {
    let seconds = outcome.elapsed.as_secs_f64();
    let latency_ms = |quantile| outcome.latency_us.value_at_quantile(quantile) as f64 / 1000.0;
    let per_row = |bytes: u64| bytes as f64 / outcome.rows.max(1) as f64;
    json!({
        "dialect": args.dialect.name(),
        "clients": args.clients,
        "rows_per_request": args.rows_per_request,
        "wait": args.wait,
        "seconds": seconds,
        "requests": outcome.requests,
        "rows": outcome.rows,
        "rows_per_second": outcome.rows as f64 / seconds,
        "requests_per_second": outcome.requests as f64 / seconds,
        "megabytes_per_second": outcome.body_bytes / seconds / 1e6,
        "latency_ms": {
            "p50": latency_ms(0.5), "p99": latency_ms(0.99), "p99.9": latency_ms(0.999),
            "max": outcome.latency_us.max() as f64 / 1000.0,
        },
        "server_cpu_seconds_per_million_rows":
            outcome.server_cpu_seconds.map(|cpu| cpu * 1e6 / outcome.rows.max(1) as f64),
        "server_cpu_cores": outcome.server_cpu_seconds.map(|cpu| cpu / seconds),
        "server_peak_memory_mib": outcome.server_memory_bytes.map(|bytes| bytes as f64 / MIB),
        "disk_bytes_per_row": outcome.disk.map(|disk| per_row(disk.other)),
        "log_mib": outcome.disk.map(|disk| disk.log as f64 / MIB),
        "counted_rows": outcome.counted_rows,
    })
}

/// The same numbers, aligned.
pub fn table(args: &Args, outcome: &Outcome) -> String {
    let values = json(args, outcome);
    let mut text = format!(
        "{} dialect, {} clients x {} rows{}, {:.1} s\n",
        args.dialect.name(),
        args.clients,
        args.rows_per_request,
        if args.wait { ", waiting" } else { "" },
        outcome.elapsed.as_secs_f64()
    );
    let latency = &values["latency_ms"];
    for (label, value, decimals, unit) in [
        ("rows", &values["rows_per_second"], 0, "/s"),
        ("requests", &values["requests_per_second"], 0, "/s"),
        ("JSON", &values["megabytes_per_second"], 1, "MB/s"),
        ("latency p50", &latency["p50"], 2, "ms"),
        ("latency p99", &latency["p99"], 2, "ms"),
        ("latency p99.9", &latency["p99.9"], 2, "ms"),
        ("latency max", &latency["max"], 2, "ms"),
        ("server CPU", &values["server_cpu_seconds_per_million_rows"], 2, "s per million rows"),
        ("server CPU", &values["server_cpu_cores"], 2, "cores"),
        ("server memory", &values["server_peak_memory_mib"], 0, "MiB peak"),
        ("disk", &values["disk_bytes_per_row"], 1, "bytes per row outside the log"),
        ("log", &values["log_mib"], 0, "MiB"),
        ("acknowledged", &values["rows"], 0, "rows"),
        ("counted by SQL", &values["counted_rows"], 0, "rows"),
    ] {
        if let Some(number) = value.as_f64() {
            let _ = writeln!(text, "  {label:<16}{number:>14.decimals$} {unit}");
        }
    }
    text
}
