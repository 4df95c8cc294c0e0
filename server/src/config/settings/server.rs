//! Settings of the process: where its data is, who may come in, how it listens, logs and stops.

use std::path::PathBuf;
use std::time::Duration;

use super::{NAME, Setting, boolean, bytes, last, many, name, number, one, positive, switch, user};
use crate::config::{Hidden, LogFormat};

/// In the order of the help text.
pub(super) const SETTINGS: &[Setting] = &[
    one("data", "data", "DIR", "Data directory (default ./siltstone-data)", |config, values| {
        config.data = PathBuf::from(last(values, "a folder")?);
        Ok(())
    }),
    one(
        "listen",
        "listen",
        "ADDR",
        "Address and port; port 0 takes a free one (default 127.0.0.1:7878)",
        |config, values| {
            let text = last(values, "ADDRESS:PORT")?;
            let port = text.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            port.and_then(|port| port.parse::<u16>().ok()).ok_or("ADDRESS:PORT")?;
            config.listen = text.to_owned();
            Ok(())
        },
    ),
    Setting {
        in_file: false,
        ..one("config", "config", "FILE", "TOML file with settings; flags and environment beat it", |_, _| Ok(()))
    },
    Setting {
        secret: true,
        ..many("users", "user", "NAME:PASSWORD", "A user with full access in this run; repeatable", |config, values| {
            config.users = values.iter().map(|text| user(text)).collect::<Result<_, _>>()?;
            Ok(())
        })
    },
    Setting {
        secret: true,
        ..many("api_keys", "api-key", "KEY", "An API key with full access in this run; repeatable", |config, values| {
            if values.iter().any(|key| key.is_empty() || key.contains(char::is_whitespace)) {
                return Err("a key without blanks".to_owned());
            }
            config.api_keys = values.iter().cloned().map(Hidden).collect();
            Ok(())
        })
    },
    switch(
        "insecure_no_auth",
        "insecure-no-auth",
        "No credentials at all; only on a loopback address",
        |config, values| {
            config.insecure_no_auth = boolean(values)?;
            Ok(())
        },
    ),
    one(
        "default_catalog",
        "default-catalog",
        "NAME",
        "Catalog of unqualified names (default LAKE)",
        |config, values| {
            config.default_catalog = name(last(values, NAME)?)?;
            Ok(())
        },
    ),
    one("default_schema", "default-schema", "NAME", "Schema of unqualified names (default main)", |config, values| {
        config.default_schema = name(last(values, NAME)?)?;
        Ok(())
    }),
    many(
        "catalogs",
        "catalog",
        "NAME",
        "A further catalog that exists from the start; repeatable",
        |config, values| {
            config.catalogs = values.iter().map(|text| name(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
    ),
    one("log_format", "log-format", "text|json", "How log lines on stderr look (default text)", |config, values| {
        config.log_format = match last(values, "text or json")? {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return Err("text or json".to_owned()),
        };
        Ok(())
    }),
    one(
        "log_level",
        "log-level",
        "FILTER",
        "What is logged: error, warn, info, debug or a filter (default info)",
        |config, values| {
            let text = last(values, "a filter")?;
            tracing_subscriber::EnvFilter::try_new(text)
                .map_err(|_| "error, warn, info, debug, trace or a filter such as siltstone=debug".to_owned())?;
            config.log_level = text.to_owned();
            Ok(())
        },
    ),
    one(
        "shutdown_timeout_ms",
        "shutdown-timeout-ms",
        "MS",
        "How long requests may finish after a signal (default 10000)",
        |config, values| {
            config.shutdown_timeout = Duration::from_millis(number(values)?);
            Ok(())
        },
    ),
    one(
        "worker_threads",
        "worker-threads",
        "N",
        "Threads that serve requests; 0 is one per core (default 0)",
        |config, values| {
            config.worker_threads = number(values)?;
            Ok(())
        },
    ),
    one(
        "connections_max",
        "connections-max",
        "N",
        "Connections open at once; more wait (default 10000)",
        |config, values| {
            config.connections_max = positive(values)?;
            Ok(())
        },
    ),
    one(
        "body_bytes_in_flight_max",
        "body-bytes-in-flight-max",
        "BYTES",
        "Bytes of large request bodies held at once (default 512MiB)",
        |config, values| {
            config.body_bytes_in_flight_max = bytes(values)?;
            Ok(())
        },
    ),
    switch("metrics_auth", "metrics-auth", "Whether /metrics wants credentials (default false)", |config, values| {
        config.metrics_auth = boolean(values)?;
        Ok(())
    }),
];
