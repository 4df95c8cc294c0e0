use siltstone_storage::SnapshotId;
use uuid::Uuid;

use super::task_id::{KEPT_MS, TaskId};
use super::wire::{AppendTarget, QueryRequest, ResultFormat};
use crate::secret::Secret;

#[test]
fn task_ids_are_uuid_v7_and_known_only_to_their_user() {
    // Proves form, round trip, the user binding, the expiry and that a flipped bit is noticed.
    let secret = Secret::new(&[7; 32]);
    let task = TaskId { unix_ms: 1_763_726_400_123, snapshot: SnapshotId(123_456_789) };
    let id = task.sign(&secret, "user:alice");
    assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
    let now = task.unix_ms + 1000;
    assert_eq!(TaskId::verify(id, &secret, "user:alice", now), Some(task));
    assert_eq!(TaskId::verify(id, &secret, "user:bob", now), None);
    assert_eq!(TaskId::verify(id, &Secret::new(&[8; 32]), "user:alice", now), None);
    assert_eq!(TaskId::verify(id, &secret, "user:alice", now + KEPT_MS), None);
    let flipped = (0..128).filter(|bit| {
        let id = Uuid::from_u128(id.as_u128() ^ (1 << bit));
        TaskId::verify(id, &secret, "user:alice", now).is_some()
    });
    assert_eq!(flipped.count(), 0);
}

#[test]
fn append_targets_are_complete_or_refused_by_name() {
    // Proves the required parameters, percent decoding, and what `sync` takes.
    let target = AppendTarget::parse("catalog=LAKE&schema=ma+in&table=caf%C3%A9&sync=1&x=y").expect("complete");
    assert_eq!(target.table.to_string(), "LAKE.ma in.café");
    for (query, named) in [
        ("", "catalog"),
        ("catalog=a&schema=&table=c", "schema"),
        ("catalog=a&schema=b", "table"),
        ("catalog=a&schema=b&table=c&sync=perhaps", "sync"),
    ] {
        let message = AppendTarget::parse(query).expect_err(query);
        assert!(message.contains(named), "{query}: {message}");
    }
    for sync in ["true", "FALSE", "1", "0", ""] {
        assert!(AppendTarget::parse(&format!("catalog=a&schema=b&table=c&sync={sync}")).is_ok());
    }
}

#[test]
fn query_fields_of_the_wrong_kind_are_refused_by_name() {
    // Proves that every known field is checked, null is absent, and unknown fields do not matter.
    let good = br#"{"statement":"  SELECT 1 ","catalog":null,"limit":5,"offset":2,"format":"","compute_size":"auto",
        "dialect":"DuckDB","timezone":"Europe/Paris","visible":true,"query_id":null,"max_results":"x"}"#;
    let query = QueryRequest::parse(good).expect("valid");
    assert_eq!((query.statement.as_str(), query.limit, query.offset), ("SELECT 1", Some(5), Some(2)));
    assert_eq!((query.format, query.catalog), (ResultFormat::Default, None));
    assert_eq!(query.query_id.get_version_num(), 7);
    for (body, named) in [
        ("", "JSON"),
        ("[]", "object"),
        ("{}", "statement"),
        (r#"{"statement":7}"#, "statement"),
        (r#"{"statement":"  "}"#, "statement"),
        (r#"{"statement":"x","limit":-1}"#, "limit"),
        (r#"{"statement":"x","offset":1.5}"#, "offset"),
        (r#"{"statement":"x","sanitize":"yes"}"#, "sanitize"),
        (r#"{"statement":"x","visible":1}"#, "visible"),
        (r#"{"statement":"x","session_id":""}"#, "session_id"),
        (r#"{"statement":"x","query_id":"7"}"#, "query_id"),
        (r#"{"statement":"x","format":"xlsx"}"#, "Unsupported query format: xlsx"),
        (r#"{"statement":"x","compute_size":"XXS"}"#, "compute size"),
        (r#"{"statement":"x","dialect":"mysql"}"#, "Unsupported dialect: mysql"),
        (r#"{"statement":"x","timezone":"Mars/Olympus"}"#, "time zone"),
    ] {
        let message = QueryRequest::parse(body.as_bytes()).expect_err(body);
        assert!(message.contains(named), "{body}: {message}");
    }
}

#[test]
fn sanitize_replaces_the_window() {
    // Proves that the legacy pagination discards what was asked for.
    let query = QueryRequest::parse(br#"{"statement":"x","sanitize":true,"limit":7,"offset":9}"#).expect("valid");
    assert_eq!((query.limit, query.offset), (Some(500), Some(0)));
}

#[test]
fn the_openapi_document_lists_what_is_served() {
    // Proves that its paths are the router's, no more and no fewer, and that its references lead somewhere.
    let document: serde_json::Value = serde_json::from_str(super::OPENAPI).expect("JSON");
    let mut described: Vec<&str> = document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    let mut served: Vec<&str> = super::routes().into_iter().map(|(path, _)| path).collect();
    described.sort_unstable();
    served.sort_unstable();
    assert_eq!(described, served);
    for reference in super::OPENAPI.split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().unwrap_or_default();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}
