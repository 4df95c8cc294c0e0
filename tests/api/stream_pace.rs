//! `POST /v2/stream` when too much comes at once: a sender's own pace, and what the server as a whole can take.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use siltstone_tests::{Api, Reply, Server};

use super::stream::table;
use crate::launch;

fn send(api: &Api, table: &str, rows: usize) -> Reply {
    let rows: Vec<Value> = (0..rows).map(|n| json!({ "a": n })).collect();
    api.stream(&json!({"data": rows, "config": {"table": format!("bronze.{table}"), "wait": true}}))
}

/// Whole seconds of `Retry-After`, of a refusal with this code.
fn wait(reply: &Reply, code: &str) -> u64 {
    assert_eq!((reply.status, &reply.json()["code"]), (429, &json!(code)), "{}", reply.text());
    let seconds = reply.header("retry-after").parse().expect("whole seconds");
    assert!(seconds >= 1, "{seconds}");
    seconds
}

#[test]
fn a_key_may_send_so_many_requests_per_second() {
    // A burst of one second's worth, then 429 with the time to wait, after which it goes on; another key has a pace of its own.
    let server = Server::start(launch().arg("--stream-requests-per-second=3").arg("--api-key=other-key"));
    let api = server.api();
    table(&api, "paced", "a BIGINT");
    let started = Instant::now();
    let replies: Vec<Reply> = (0..12).map(|_| send(&api, "paced", 1)).collect();
    let accepted = replies.iter().filter(|reply| reply.status == 200).count();
    let most = 3 + started.elapsed().as_secs() as usize * 3 + 3;
    assert!((3..=most.min(11)).contains(&accepted), "{accepted} of 12 in {:?}", started.elapsed());
    let refused = replies.iter().find(|reply| reply.status != 200).expect("a refusal");
    let seconds = wait(refused, "rate_limited");
    assert_eq!(api.count("bronze.paced"), accepted as u64, "a refused request wrote nothing");
    let other = api.clone().with_credentials("alice:x", "other-key");
    assert_eq!(send(&other, "paced", 1).status, 200);
    std::thread::sleep(Duration::from_secs(seconds));
    assert_eq!(send(&api, "paced", 1).status, 200, "after the time it was told");
    let wrong = api.clone().with_credentials("alice:x", "wrong");
    assert!((0..9).all(|_| send(&wrong, "paced", 1).status == 401), "credentials come first");
}

#[test]
fn a_key_may_send_so_many_rows_per_second() {
    // One large request passes and is paid for afterwards.
    let server = Server::start(launch().arg("--stream-rows-per-second=1000"));
    let api = server.api();
    table(&api, "rows", "a BIGINT");
    assert_eq!(send(&api, "rows", 3_000).status, 200);
    let seconds = wait(&send(&api, "rows", 1), "rate_limited");
    assert!((1..=3).contains(&seconds), "{seconds}");
    std::thread::sleep(Duration::from_secs(seconds));
    assert_eq!(send(&api, "rows", 1).status, 200);
    assert_eq!(api.count("bronze.rows"), 3_001);
}

#[test]
fn a_full_commit_queue_pushes_back() {
    // With room for one waiting commit, many at once are partly refused, with nothing written of those; then all goes on.
    let server = Server::start(launch().arg("--storage-commit-queue-bytes-max=1"));
    let api = server.api();
    table(&api, "queued", "a BIGINT");
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let api = api.clone();
            std::thread::spawn(move || (0..50).map(|_| send(&api, "queued", 3)).collect::<Vec<Reply>>())
        })
        .collect();
    let replies: Vec<Reply> = threads.into_iter().flat_map(|thread| thread.join().expect("answers")).collect();
    let (written, refused): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(!refused.is_empty() && !written.is_empty(), "{} written, {} refused", written.len(), refused.len());
    for reply in refused {
        wait(reply, "backpressure");
        assert_eq!((&reply.json()["accepted"], &reply.json()["snapshot_id"]), (&json!(0), &Value::Null));
    }
    assert_eq!(api.count("bronze.queued"), 3 * written.len() as u64);
    assert_eq!(send(&api, "queued", 1).status, 200);
}

#[test]
fn keys_that_cannot_be_kept_are_refused() {
    // Past the bound a request with a new Idempotency-Key is refused; known keys are still replayed, requests without one go on.
    let server = Server::start(launch().arg("--stream-idempotency-keys-max=2"));
    let api = server.api();
    table(&api, "kept", "a BIGINT");
    let keyed = |key: &str| {
        let request = api.stream_request("/v2/stream?table=bronze.kept").header("Idempotency-Key", key);
        Reply::from(request.body("{\"a\":1}"))
    };
    assert_eq!((keyed("1").status, keyed("2").status), (200, 200));
    wait(&keyed("3"), "backpressure");
    assert_eq!(keyed("1").header("idempotent-replayed"), "true");
    assert_eq!(send(&api, "kept", 1).status, 200);
    assert_eq!(api.count("bronze.kept"), 3);
}
