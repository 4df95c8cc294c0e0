//! Backup and restore on the real binary: of a running server, of a directory, and back.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::Method;
use serde_json::json;
use siltstone_tests::{DataDir, KEY, PASSWORD, Reply, Server, USER};

use crate::launch;

/// Runs a command of the binary with nothing of our environment's settings.
fn siltstone(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siltstone"));
    for name in ["SILTSTONE_USER", "SILTSTONE_API_KEY"] {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the binary can be executed")
}

/// Standard output of a command that must succeed.
fn succeeded(arguments: &[&str]) -> String {
    let output = siltstone(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Exit code and standard error of a command that must fail.
fn failed(arguments: &[&str]) -> (Option<i32>, String) {
    let output = siltstone(arguments);
    assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}: {output:?}");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn a_backup_has_all_that_was_acknowledged_before_it_began() {
    // Four writers, a server with small limits that flushes and recycles all the time, three backups in between: each is restored to a
    // fresh directory, and a server on it has every acknowledged batch, wholly, and no half one.
    const WRITERS: u64 = 4;
    const ROWS: u64 = 7;
    let server = Server::start(launch().arg("--storage-flush-bytes").arg("64KiB"));
    server.api().succeed("CREATE TABLE kept (writer BIGINT, n BIGINT, text VARCHAR)");
    let stop = AtomicBool::new(false);
    let acknowledged: [AtomicU64; WRITERS as usize] = Default::default();
    let data = DataDir::fresh();
    let mut backups = Vec::new();
    std::thread::scope(|scope| {
        for (writer, acknowledged) in (0..WRITERS).zip(&acknowledged) {
            let (api, stop) = (server.api(), &stop);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let row = json!({"writer": writer, "n": n, "text": format!("batch {n} of {writer}")});
                    let rows: Vec<_> = (0..ROWS).map(|_| &row).collect();
                    api.append_ok("kept", json!(rows).to_string());
                    acknowledged.store(n + 1, Ordering::SeqCst);
                }
            });
        }
        for round in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(300));
            let before: Vec<u64> = acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect();
            let target = data.beside(&format!("backup-{round}"));
            let user = format!("{USER}:{PASSWORD}");
            let said = succeeded(&["backup", "--url", &server.url(), "--user", &user, text(&target)]);
            assert!(said.contains("every byte checked"), "{said}");
            backups.push((before, target));
        }
        stop.store(true, Ordering::Relaxed);
    });
    for (round, (before, backup)) in backups.iter().enumerate() {
        assert!(before.iter().sum::<u64>() > 0, "nothing was acknowledged");
        let fresh = DataDir::fresh();
        let said = succeeded(&["restore", text(backup), "--data", text(&fresh.path())]);
        assert!(said.starts_with("restored to"), "{said}");
        let restored = Server::start(launch().data(&fresh));
        let reply = restored.api().succeed(
            "SELECT writer, count(*), count(DISTINCT n), max(n), min(c), max(c) FROM \
             (SELECT writer, n, count(*) OVER (PARTITION BY writer, n) AS c FROM kept) GROUP BY writer ORDER BY writer",
        );
        for (writer, before) in before.iter().enumerate() {
            let Some(row) = reply.rows.iter().find(|row| row[0] == writer) else {
                assert_eq!(*before, 0, "round {round}: writer {writer} lacks everything");
                continue;
            };
            let number = |i: usize| row[i].as_u64().unwrap_or_else(|| panic!("{row:?}"));
            let batches = number(2);
            assert!(batches >= *before, "round {round}: writer {writer} has {batches} of {before} batches");
            assert_eq!(number(3), batches - 1, "round {round}: writer {writer} has gaps");
            assert_eq!((number(1), number(4), number(5)), (batches * ROWS, ROWS, ROWS), "round {round}: half a batch");
        }
        // It is a database like any other.
        restored.api().append_ok("kept", "{\"writer\":99,\"n\":0}");
    }
}

#[test]
fn a_directory_is_backed_up_and_damage_is_found() {
    // Offline: the copy is whole, shares nothing with what is restored from it, and a flipped byte in it stops verify and restore, by name.
    let server = Server::start(launch());
    let data = server.data().clone();
    server.api().append_ok("t", "[{\"a\":1},{\"a\":2}]");
    let path = data.path();
    let (code, said) = failed(&["backup", "--data", text(&path), text(&data.beside("early"))]);
    assert!(code == Some(2) && said.contains("in use"), "{said}");
    assert_eq!(server.terminate().code, Some(0));

    let backup = data.beside("backup");
    succeeded(&["backup", "--data", text(&path), text(&backup)]);
    let (code, said) = failed(&["backup", "--data", text(&path), text(&backup)]);
    assert!(code == Some(2) && said.contains("not empty"), "{said}");
    let inside = path.join("backup");
    let (code, said) = failed(&["backup", "--data", text(&path), text(&inside)]);
    assert!(code == Some(2) && said.contains("inside the data directory"), "{said}");
    assert!(!inside.exists());
    assert!(succeeded(&["verify", "--data", text(&backup)]).starts_with("whole: "));

    let restored = DataDir::fresh();
    succeeded(&["restore", text(&backup), "--data", text(&restored.path())]);
    let (code, said) = failed(&["restore", text(&backup), "--data", text(&restored.path())]);
    assert!(code == Some(2) && said.contains("not empty"), "{said}");
    assert_eq!(Server::start(launch().data(&restored)).api().count("t"), 2);

    let log = backup.join("log/0000000001.log");
    let mut bytes = std::fs::read(&log).expect("a log");
    // A byte of the first record, which the closing mark proves to have been synced.
    bytes[4096 + 60] ^= 1;
    std::fs::write(&log, bytes).expect("written");
    for arguments in
        [vec!["verify", "--data", text(&backup)], vec!["restore", text(&backup), "--data", text(&data.beside("never"))]]
    {
        let (code, said) = failed(&arguments);
        assert!(code == Some(1) && said.contains("log/0000000001.log"), "{arguments:?}: {said}");
    }
    let (code, said) = failed(&["restore", text(&data.beside("early")), "--data", text(&data.beside("x"))]);
    assert!(code == Some(1) && said.contains("holds no database"), "{said}");
}

#[test]
fn the_administrator_alone_makes_backups() {
    // Wrong credentials, wrong paths, wrong bodies: refused with a reason, and nothing appears on the disk.
    let server = Server::start(launch());
    let api = server.api();
    let target = server.data().beside("target");
    let post = |authorization: &str, body: &str| {
        let request = api.request(Method::POST, "/admin/backup").header("authorization", authorization);
        Reply::from(request.body(body.to_owned()))
    };
    let key = format!("Bearer {KEY}");
    let wanted = json!({"to": text(&target)}).to_string();
    assert_eq!(post("Bearer wrong", &wanted).status, 401);
    for body in ["", "{}", "{\"to\":\"relative\"}", "{\"to\":\"/a/../b\"}", "{\"to\":\"/x\",\"more\":1}"] {
        let reply = post(&key, body);
        assert!(reply.status == 400 && reply.json()["error"].is_string(), "{body}: {reply:?}");
    }
    let inside = json!({"to": text(&server.data().path().join("log/deep"))}).to_string();
    assert_eq!(post(&key, &inside).status, 400);
    assert!(!target.exists());
    let reply = post(&key, &wanted);
    assert_eq!((reply.status, &reply.json()["verified"]), (200, &json!(true)), "{reply:?}");
    assert!(reply.json()["snapshot"].as_u64() > Some(0));
    assert_eq!(post(&key, &wanted).status, 400, "the directory is not empty any more");
    assert_eq!(api.get("/admin/backup").status, 405);
}

#[test]
fn every_file_can_be_inspected() {
    // Each file of a stopped server's directory and the directory itself print something and exit 0; a flipped byte exits 1 with file and offset, and
    // what comes before it is still printed; a missing file is wrong usage.
    let server = Server::start(launch());
    let data = server.data().clone();
    server.api().append_ok("looked_at", "[{\"a\":1,\"b\":\"x\"},{\"a\":2}]");
    let path = data.path();
    assert!(succeeded(&["inspect", text(&path)]).contains("checkpoint"), "while it runs");
    assert_eq!(server.terminate().code, Some(0));
    assert!(succeeded(&["inspect", text(&path)]).contains("commits after snapshot"));
    let files: Vec<_> = data.files().into_iter().filter(|file| !file.ends_with("LOCK")).collect();
    assert!(files.len() >= 2, "{files:?}");
    let all: String = files.iter().map(|file| succeeded(&["inspect", text(&path.join(file))])).collect();
    assert!(all.contains("append 2 rows") && all.contains("create table"), "{all}");

    let log = files.iter().rfind(|file| file.extension().is_some_and(|found| found == "log")).expect("a log");
    let mut bytes = std::fs::read(path.join(log)).expect("readable");
    bytes[4096 + 60] ^= 1;
    std::fs::write(path.join(log), bytes).expect("written");
    let output = siltstone(&["inspect", text(&path.join(log))]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(out.contains("log file") && out.contains("DAMAGED") && err.contains("offset=4096"), "{out}\n{err}");
    assert_eq!(failed(&["inspect", text(&data.beside("missing"))]).0, Some(2));
}
