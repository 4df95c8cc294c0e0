//! Credentials: who gets in, and what everybody else is told.

use reqwest::Method;
use siltstone_tests::{Api, KEY, PASSWORD, Reply, USER};

use crate::{api, server};

/// Every path that wants credentials, with its method.
const GUARDED: [(&str, &str); 4] = [
    ("POST", "/append?catalog=LAKE&schema=main&table=t"),
    ("POST", "/query"),
    ("GET", "/tasks/019d68d4-c4cb-7e40-ad50-fd4b68c2045e"),
    ("POST", "/v2/stream"),
];

fn attempt(api: &Api, method: &str, path: &str, authorization: Option<&str>) -> Reply {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = api.request(method, path).body("{\"statement\":\"SELECT 1\"}");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    Reply::from(request)
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn nobody_gets_in_without_the_right_credentials() {
    // Absent, malformed, unknown and wrong credentials are one and the same 401, on every endpoint.
    let wrong = [
        None,
        Some(String::new()),
        Some("Basic".to_owned()),
        Some("Basic !!!not-base64!!!".to_owned()),
        Some(format!("Basic {}", base64("no-colon"))),
        Some(format!("Basic {}", base64(&format!("{USER}:wrong")))),
        Some(format!("Basic {}", base64(&format!("{USER}:{PASSWORD}x")))),
        Some(format!("Basic {}", base64(&format!("nobody:{PASSWORD}")))),
        Some(format!("Basic {}", base64("\u{fffd}:\u{0}"))),
        Some(format!("Digest {}", base64(&format!("{USER}:{PASSWORD}")))),
        Some("Bearer wrong-key".to_owned()),
        Some("Bearer".to_owned()),
        Some(format!("Bearer {KEY}x")),
        Some(format!("Bearer {}", &KEY[1..])),
    ];
    let api = api();
    for (method, path) in GUARDED {
        for value in &wrong {
            let reply = attempt(&api, method, path, value.as_deref());
            assert_eq!(reply.status, 401, "{method} {path} {value:?}");
            assert!(reply.body.len() < 1000 && !reply.text().contains(PASSWORD) && !reply.text().contains(KEY));
            let scheme = reply.header("www-authenticate");
            if path == "/v2/stream" {
                assert!(scheme.starts_with("Bearer"), "{scheme}");
                let body = reply.json();
                assert_eq!((&body["success"], &body["code"]), (&false.into(), &"unauthorized".into()), "{body}");
            } else {
                assert_eq!(scheme, "Basic realm=\"altertable\"", "{path}");
                assert!(reply.header("content-type").starts_with("text/plain"), "{reply:?}");
            }
        }
    }
}

#[test]
fn the_right_credentials_are_taken_in_every_documented_spelling() {
    // Scheme names in any case, padding optional, a password with a colon, the Bearer alias, and the bare key.
    let api = api();
    let (basic, key) = (base64(&format!("{USER}:{PASSWORD}")), KEY);
    let unpadded = basic.trim_end_matches('=');
    for value in [
        format!("Basic {basic}"),
        format!("basic {basic}"),
        format!("BASIC {unpadded}"),
        format!("Bearer {basic}"),
        format!("bearer {unpadded}"),
    ] {
        assert_eq!(attempt(&api, "POST", "/query", Some(&value)).status, 200, "{value}");
    }
    for value in [format!("Bearer {key}"), format!("bearer {key}"), key.to_owned()] {
        // Past the door: the body is no stream request, and that is what the answer speaks of.
        assert_ne!(attempt(&api, "POST", "/v2/stream", Some(&value)).status, 401, "{value}");
    }
}

#[test]
fn the_body_is_not_read_before_the_credentials() {
    // A stranger's upload costs nothing: the answer comes although the body never does.
    let server = server();
    for path in ["/append?catalog=LAKE&schema=main&table=t", "/v2/stream", "/query"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n");
        let reply = siltstone_tests::raw_exchange(server.address(), head.as_bytes(), false);
        assert!(reply.starts_with("HTTP/1.1 401 "), "{path}: {reply:?}");
    }
}

#[test]
fn health_and_readiness_need_no_credentials() {
    // Load balancers have none.
    let api = api();
    for path in ["/health", "/ready"] {
        assert_eq!(Reply::from(api.request(Method::GET, path)).status, 200, "{path}");
    }
}

#[test]
fn secrets_do_not_show() {
    // Neither the log nor any error repeats what was sent to get in.
    let server = server();
    let api = server.api().with_credentials("tester:attempted-password", "attempted-key-value");
    assert_eq!(api.get("/tasks/x").status, 401);
    assert_eq!(api.stream(&serde_json::json!({})).status, 401);
    let log = server.stderr();
    for secret in [PASSWORD, KEY, "attempted-password", "attempted-key-value"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}
