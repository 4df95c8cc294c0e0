//! Settings of what comes in: `/append`, `/upload` and `/v2/stream`.

use std::path::PathBuf;

use super::{Setting, bytes, last, number, one, positive};
use crate::config::UnknownFields;

/// In the order of the help text.
pub(super) const SETTINGS: &[Setting] = &[
    one(
        "append.body_bytes_max",
        "append-body-bytes-max",
        "BYTES",
        "Largest /append body, before and after decompression (default 128MiB)",
        |config, values| {
            config.append.wire_bytes_max = bytes(values)?;
            config.append.decoded_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "upload.file_bytes_max",
        "upload-file-bytes-max",
        "BYTES",
        "Largest file of /upload, before and after decompression (default 100000000000)",
        |config, values| {
            config.upload_file_bytes_max = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "upload.piece_bytes",
        "upload-piece-bytes",
        "BYTES",
        "Rows of one file, in memory, that are looked up by key at a time (default 256MiB)",
        |config, values| {
            config.upload_piece_bytes = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "upload.files_at_once",
        "upload-files-at-once",
        "N",
        "Files of /upload that are read at once; more wait (default 2)",
        |config, values| {
            config.upload_files_at_once = positive(values)?;
            Ok(())
        },
    ),
    one(
        "upload.spool_folder",
        "upload-spool-folder",
        "DIR",
        "Where files are kept while they are read (default: spool in the data directory)",
        |config, values| {
            config.upload_spool_folder = Some(PathBuf::from(last(values, "a folder")?));
            Ok(())
        },
    ),
    one(
        "stream.max_body_bytes",
        "stream-max-body-bytes",
        "BYTES",
        "Largest /v2/stream body on the wire (default 10MiB)",
        |config, values| {
            config.stream.wire_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "stream.max_decoded_bytes",
        "stream-max-decoded-bytes",
        "BYTES",
        "Largest /v2/stream body after decompression (default 64MiB)",
        |config, values| {
            config.stream.decoded_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "stream.max_rows",
        "stream-max-rows",
        "N",
        "Most rows of one /v2/stream request (default 50000)",
        |config, values| {
            config.stream_rows_max = positive(values)?;
            Ok(())
        },
    ),
    one(
        "stream.default_table",
        "stream-default-table",
        "TABLE",
        "Table of /v2/stream requests that name none (default: none)",
        |config, values| {
            config.stream_default_table = Some(last(values, "namespace.table")?.to_owned());
            Ok(())
        },
    ),
    one(
        "stream.unknown_columns",
        "stream-unknown-columns",
        "add|ignore|reject",
        "Fields without a column in /v2/stream (default add)",
        |config, values| {
            config.stream_unknown_columns = match last(values, "add, ignore or reject")? {
                "add" => UnknownFields::Add,
                "ignore" => UnknownFields::Ignore,
                "reject" => UnknownFields::Reject,
                _ => return Err("add, ignore or reject".to_owned()),
            };
            Ok(())
        },
    ),
    one(
        "stream.requests_per_second",
        "stream-requests-per-second",
        "N",
        "Requests of one key per second to /v2/stream; 0 for no limit (default 0)",
        |config, values| {
            config.stream_requests_per_second = number(values)?;
            Ok(())
        },
    ),
    one(
        "stream.rows_per_second",
        "stream-rows-per-second",
        "N",
        "Rows of one key per second to /v2/stream; 0 for no limit (default 0)",
        |config, values| {
            config.stream_rows_per_second = number(values)?;
            Ok(())
        },
    ),
    one(
        "stream.idempotency_keys_max",
        "stream-idempotency-keys-max",
        "N",
        "Idempotency keys held at once, each for a day; further ones are refused (default 1000000)",
        |config, values| {
            config.stream_idempotency_keys_max = positive(values)?;
            Ok(())
        },
    ),
];
