//! The process: announcement, configuration, exit codes, the lock, stopping, first-start credentials, operation endpoints.

use reqwest::Method;
use siltstone_tests::{DataDir, Exit, KEY, Reply, Server};

use crate::{launch, server};

/// How a server that must not start ends.
fn failed(launch: siltstone_tests::Launch) -> Exit {
    match Server::try_start(launch) {
        Ok(server) => panic!("it started: {}", server.stderr()),
        Err(exit) => exit,
    }
}

#[test]
fn stdout_is_one_line() {
    // Scripts read the port from it; all else goes to stderr, also at the end.
    let server = Server::start(launch());
    let url = server.url();
    server.api().append_ok("t", "{\"a\":1}");
    let exit = server.terminate();
    assert_eq!(exit.stdout, format!("siltstone listening on {url}\n"));
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
}

#[test]
fn termination_finishes_what_is_in_flight() {
    // SIGTERM while clients write: exit 0, and every acknowledged row is there afterwards.
    let server = Server::start(launch());
    let (api, data) = (server.api(), server.data().clone());
    api.append_ok("flight", "{\"n\":-1}");
    let acknowledged = std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut acknowledged = 0_u64;
            for n in 0.. {
                let request = api
                    .request(Method::POST, "/append?catalog=LAKE&schema=main&table=flight")
                    .header("authorization", api.basic())
                    .body(format!("{{\"n\":{n}}}"));
                match Reply::try_from_request(request) {
                    Ok(reply) if reply.status == 200 => acknowledged += 1,
                    // Refused while stopping, or the connection is gone: the end of the run.
                    Ok(reply) => {
                        assert_eq!(reply.status, 503, "{}", reply.text());
                        break;
                    }
                    Err(_) => break,
                }
            }
            acknowledged
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        let exit = server.terminate();
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        writer.join().expect("the writer ends")
    });
    assert!(acknowledged > 0);
    let count = Server::start(launch().data(&data)).api().count("flight");
    assert!(count > acknowledged && count <= acknowledged + 2, "acknowledged {acknowledged}, found {count}");
}

#[test]
fn rows_survive_a_clean_restart() {
    // What was written before a stop is there after a start, columns and all.
    let server = Server::start(launch());
    let data = server.data().clone();
    server.api().append_ok("kept", r#"[{"a":1,"b":"x","c":[1,2]},{"a":2,"d":1.5}]"#);
    assert_eq!(server.terminate().code, Some(0));
    let reply = Server::start(launch().data(&data)).api().succeed("SELECT * FROM kept ORDER BY a");
    assert_eq!(reply.lines, ["[1,\"x\",[1,2],null]", "[2,null,null,1.5]"]);
}

#[test]
fn a_data_directory_has_one_owner() {
    // A second process gets a clear message and exit 2, and the first is unharmed.
    let first = Server::start(launch());
    let exit = failed(launch().data(first.data()));
    assert_eq!(exit.code, Some(2), "{exit:?}");
    assert!(exit.stderr.contains("lock") || exit.stderr.contains("in use"), "{}", exit.stderr);
    assert_eq!(exit.stdout, "");
    first.api().append_ok("t", "{\"a\":1}");
}

#[test]
fn wrong_configuration_stops_the_start() {
    // Exit 2 and a message that names the setting, wherever it came from; a secret's value is not shown.
    let data = DataDir::fresh();
    let file = data.beside("siltstone.toml");
    let with_file = |text: &str| {
        std::fs::write(&file, text).expect("written");
        failed(launch().arg("--config").arg(&file))
    };
    for (exit, named) in [
        (with_file("no_such_setting = 1\n"), "no_such_setting"),
        (with_file("listen = 17\n[stream]\nno_such = 1\n"), "no_such"),
        (with_file("this is not TOML"), "siltstone.toml"),
        (failed(launch().arg("--config").arg(data.beside("missing.toml"))), "missing.toml"),
        (failed(launch().arg("--no-such-flag")), "no-such-flag"),
        (failed(launch().arg("--user").arg("nocolon-hunter2")), "user"),
        (failed(launch().env("SILTSTONE_LOG_FORMAT", "yaml")), "log"),
    ] {
        assert_eq!(exit.code, Some(2), "{named}: {exit:?}");
        assert!(exit.stderr.contains(named), "{named}: {}", exit.stderr);
        assert_eq!(exit.stdout, "", "{named}");
        assert!(!exit.stderr.contains("hunter2"), "a secret is shown: {}", exit.stderr);
    }
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    // One setting in three places: the nearest wins. The default catalog shows which.
    let data = DataDir::fresh();
    let file = data.beside("siltstone.toml");
    std::fs::write(&file, "default_catalog = \"from_file\"\n").expect("written");
    let catalog = |launch: siltstone_tests::Launch| {
        let reply = Server::start(launch).api().succeed("SELECT current_catalog()");
        reply.single().as_str().expect("a name").to_owned()
    };
    let with_file = || launch().arg("--config").arg(&file);
    assert_eq!(catalog(with_file()), "from_file");
    let with_environment = || with_file().env("SILTSTONE_DEFAULT_CATALOG", "from_environment");
    assert_eq!(catalog(with_environment()), "from_environment");
    assert_eq!(catalog(with_environment().arg("--default-catalog").arg("memory")), "memory");
}

#[test]
fn the_first_start_makes_credentials_once() {
    // Without any credential an empty directory gets a user and a key, shown once; they work, also after a restart, and no others do.
    let server = Server::start(launch().without_credentials());
    let data = server.data().clone();
    let printed = server.stderr();
    let after = |label: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label} in {printed:?}")).trim().to_owned()
    };
    let (user, password, key) = (after("user "), after("password "), after("API key "));
    let check = |server: &Server| {
        let api = server.api().with_credentials(&format!("{user}:{password}"), &key);
        assert_eq!(api.get("/tasks/x").status, 400, "the user works");
        assert_eq!(api.stream(&serde_json::json!({"data": {}})).status, 422, "the key works");
        assert_eq!(server.api().get("/tasks/x").status, 401, "the harness's own credentials are unknown here");
    };
    check(&server);
    server.kill();
    let again = Server::start(launch().without_credentials().data(&data));
    check(&again);
    // Stopped first: a running server makes and removes files while they are looked at.
    let printed = again.terminate().stderr;
    for secret in [&password, &key] {
        assert!(!printed.contains(secret), "shown once only");
        for file in data.files() {
            let bytes = std::fs::read(data.path().join(&file)).expect("readable");
            assert!(!contains(&bytes, secret.as_bytes()), "a secret stands in {}", file.display());
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn no_authentication_is_for_loopback_only() {
    // The one way to switch credentials off refuses to listen to the world.
    let exit = failed(launch().without_credentials().arg("--insecure-no-auth").listen("0.0.0.0:0"));
    assert_eq!(exit.code, Some(2), "{exit:?}");
    assert!(exit.stderr.contains("loopback"), "{}", exit.stderr);
    let open = Server::start(launch().without_credentials().arg("--insecure-no-auth"));
    assert_eq!(Reply::from(open.api().request(Method::GET, "/tasks/x")).status, 400);
}

#[test]
fn keys_and_users_come_from_the_environment_too() {
    // Comma lists in two variables; a principal is one whichever door it came through.
    let server = Server::start(
        launch().without_credentials().env("SILTSTONE_USERS", "ann:one,bob:two").env("SILTSTONE_API_KEYS", "k1,k2"),
    );
    for (user, key) in [("ann:one", "k1"), ("bob:two", "k2")] {
        let api = server.api().with_credentials(user, key);
        assert_eq!(api.get("/tasks/x").status, 400, "{user}");
        assert_eq!(api.stream(&serde_json::json!({})).status, 422, "{key}");
    }
    assert_eq!(server.api().with_credentials("ann:two", KEY).get("/tasks/x").status, 401);
}

#[test]
fn operation_endpoints_speak() {
    // Health, readiness and metrics; the counters move with the rows.
    let server = server();
    let api = server.api();
    assert_eq!(api.get("/health").status, 200);
    assert_eq!(api.get("/ready").status, 200);
    let rows = || -> f64 {
        let reply = api.get("/metrics");
        assert!(reply.status == 200 && reply.header("content-type").starts_with("text/plain"), "{reply:?}");
        let sample = reply.text().lines().find_map(|line| Some(line.strip_prefix("siltstone_rows_total ")?.to_owned()));
        sample.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{}", reply.text()))
    };
    let before = rows();
    api.append_ok("metered", "[{\"a\":1},{\"a\":2}]");
    assert!(rows() >= before + 2.0);
}

#[test]
fn help_and_version_are_there() {
    // Both end with 0 and write to stdout.
    for argument in ["--version", "--help"] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_siltstone")).arg(argument).output().expect("it runs");
        assert!(output.status.success(), "{argument}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("siltstone"), "{argument}: {output:?}");
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_siltstone")).arg("nonsense").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn logs_can_be_json() {
    // With --log-format json every line on stderr is one JSON object.
    let server = Server::start(launch().arg("--log-format").arg("json"));
    server.api().get("/nowhere");
    let exit = server.terminate();
    assert!(!exit.stderr.trim().is_empty(), "it logs something");
    for line in exit.stderr.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value.is_object(), "{line}");
    }
}
