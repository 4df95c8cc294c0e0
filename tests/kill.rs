//! `kill -9` in the middle of concurrent writers on the real binary: nothing acknowledged is missing, nothing is there twice or half.
//!
//! Each round kills the server at a random moment, restarts it on the same data, and looks at everything written so far. A failure
//! names its seed; the moment itself cannot be repeated exactly, the crash simulation is there for that.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use siltstone_tests::{Api, Launch, Reply, Server};

const WRITERS: u64 = 6;
const ROUNDS: u64 = 4;
/// Rows of a large batch; a small one has one row.
const LARGE: u64 = 100;

/// Which API a writer speaks.
#[derive(Clone, Copy, Debug)]
enum Dialect {
    Append,
    Stream,
}

/// A batch that was sent: its first row's id, its rows, and whether the server said yes.
#[derive(Clone, Copy, Debug)]
struct Sent {
    first: u64,
    rows: u64,
    acknowledged: bool,
}

fn send(api: &Api, dialect: Dialect, first: u64, rows: u64) -> Option<bool> {
    let objects: Vec<serde_json::Value> = (first..first + rows)
        .map(|id| json!({"id": id, "batch": first, "rows": rows, "text": format!("row {id}")}))
        .collect();
    let request = match dialect {
        Dialect::Append => api
            .request(Method::POST, "/append?catalog=LAKE&schema=main&table=killed")
            .header("authorization", api.basic())
            .body(json!(objects).to_string()),
        Dialect::Stream => api
            .stream_request("/v2/stream")
            .header("content-type", "application/json")
            .body(json!({"data": objects, "config": {"table": "main.killed"}}).to_string()),
    };
    let reply = Reply::try_from_request(request).ok()?;
    let body = reply.json();
    let said_yes = match dialect {
        Dialect::Append => body["ok"] == true,
        Dialect::Stream => body["successful_rows"] == rows,
    };
    Some(reply.status == 200 && said_yes)
}

/// Writes until the server is gone; returns what was sent.
fn write(api: &Api, stop: &AtomicBool, seed: u64, first_id: u64) -> Vec<Sent> {
    let (mut random, mut next, mut sent) = (fastrand::Rng::with_seed(seed), first_id, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let dialect = if random.bool() { Dialect::Append } else { Dialect::Stream };
        let rows = if random.u8(..4) == 0 { LARGE } else { 1 };
        let answer = send(api, dialect, next, rows);
        assert_ne!(answer, Some(false), "seed {seed}: the server refused a batch");
        sent.push(Sent { first: next, rows, acknowledged: answer.is_some() });
        next += rows;
        if answer.is_none() {
            break;
        }
    }
    sent
}

/// Compares the table with everything that was ever sent.
fn check(api: &Api, sent: &[Sent], seed: u64) {
    let reply = api
        .succeed("SELECT batch, count(*), count(DISTINCT id), min(id), max(id), max(rows) FROM killed GROUP BY batch");
    let mut found = HashMap::new();
    for row in &reply.rows {
        let number = |i: usize| row[i].as_u64().unwrap_or_else(|| panic!("seed {seed}: {row:?}"));
        found.insert(number(0), [number(1), number(2), number(3), number(4), number(5)]);
    }
    let known: HashSet<u64> = sent.iter().map(|batch| batch.first).collect();
    assert!(found.keys().all(|batch| known.contains(batch)), "seed {seed}: rows that nobody sent");
    for batch in sent {
        let whole = [batch.rows, batch.rows, batch.first, batch.first + batch.rows - 1, batch.rows];
        match found.get(&batch.first) {
            Some(rows) => assert_eq!(*rows, whole, "seed {seed}: a batch is half or double: {batch:?}"),
            None => assert!(!batch.acknowledged, "seed {seed}: an acknowledged batch is missing: {batch:?}"),
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill() {
    // Rounds of writing with both dialects, killing, restarting and checking all that was ever acknowledged.
    let seed = 0x51_17;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = Server::start(Launch::new(env!("CARGO_BIN_EXE_siltstone")));
    server.api().succeed("CREATE TABLE killed (id BIGINT, batch BIGINT, rows BIGINT, text VARCHAR)");
    let mut sent: Vec<Sent> = Vec::new();
    for round in 0..ROUNDS {
        let delay = Duration::from_millis(random.u64(100..900));
        println!("seed {seed}, round {round}: kill after {delay:?}");
        let stop = AtomicBool::new(false);
        let written = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    // Clients of their own, so that no connection pool serialises them.
                    let (api, stop) = (server.api(), &stop);
                    let seed = seed ^ (round << 8) ^ writer;
                    scope.spawn(move || write(&api, stop, seed, (round * WRITERS + writer) << 32))
                })
                .collect();
            std::thread::sleep(delay);
            server.kill_now();
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends")).collect::<Vec<Sent>>()
        });
        assert!(written.iter().any(|batch| batch.acknowledged), "seed {seed}, round {round}: nothing was acknowledged");
        sent.extend(written);
        server = server.kill_and_restart();
        check(&server.api(), &sent, seed);
    }
    let acknowledged = sent.iter().filter(|batch| batch.acknowledged).count();
    println!("seed {seed}: {acknowledged} of {} batches acknowledged, all there", sent.len());
    // And once more after a clean stop, which flushes what the log held.
    let data = server.data().clone();
    assert_eq!(server.terminate().code, Some(0));
    let server = Server::start(Launch::new(env!("CARGO_BIN_EXE_siltstone")).data(&data));
    check(&server.api(), &sent, seed);
}

#[test]
fn a_single_acknowledged_row_survives() {
    // The smallest promise: one row, 200, kill -9 at once, restart; for each dialect, and rows waited for.
    let mut server = Server::start(Launch::new(env!("CARGO_BIN_EXE_siltstone")));
    server.api().succeed("CREATE TABLE single (n BIGINT)");
    for n in 0..6_u64 {
        let api = server.api();
        let reply = match n % 3 {
            0 => api.append("catalog=LAKE&schema=main&table=single", format!("{{\"n\":{n}}}")),
            1 => api.append("catalog=LAKE&schema=main&table=single&sync=true", format!("{{\"n\":{n}}}")),
            _ => api.stream(&json!({"data": {"n": n}, "config": {"table": "main.single", "wait": true}})),
        };
        assert_eq!(reply.status, 200, "{}", reply.text());
        server = server.kill_and_restart();
        assert_eq!(server.api().count("single"), n + 1);
    }
}
