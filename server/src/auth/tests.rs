use http::HeaderValue;

use super::*;
use crate::config::Hidden;

fn headers(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(value).expect("header"));
    headers
}

fn auth(stored: Vec<Stored>) -> Auth {
    let config = Config {
        users: vec![("alice".to_owned(), Hidden("se:cret".to_owned()))],
        api_keys: vec![Hidden("key-123".to_owned())],
        ..Config::default()
    };
    Auth::new(&config, stored)
}

fn encoded(text: &str) -> String {
    general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn every_form_of_a_good_credential_is_accepted() {
    // Proves schemes in any case, optional padding, passwords with colons, the Bearer alias and the bare key.
    let auth = auth(Vec::new());
    let pair = encoded("alice:se:cret");
    for value in [
        format!("Basic {pair}"),
        format!("bAsIc {}", pair.trim_end_matches('=')),
        format!("Bearer {pair}"),
        "Bearer key-123".to_owned(),
        "bearer  key-123".to_owned(),
        "key-123".to_owned(),
    ] {
        let principal = auth.check(&headers(&value), Role::Admin).await.unwrap_or_else(|_| panic!("refused: {value}"));
        assert_eq!(principal.role, Role::Admin);
    }
}

#[tokio::test]
async fn everything_else_is_unauthorized_twice_over() {
    // Proves refusal of wrong, malformed and missing credentials, also when the outcome is remembered.
    let auth = auth(Vec::new());
    for value in [
        format!("Basic {}", encoded("alice:wrong")),
        format!("Basic {}", encoded("bob:se:cret")),
        format!("Basic {}", encoded("alice")),
        "Basic !!!".to_owned(),
        "Basic".to_owned(),
        "Bearer nope".to_owned(),
        "Digest key-123".to_owned(),
        "x".repeat(HEADER_BYTES_MAX + 1),
    ] {
        for _ in 0..2 {
            assert_eq!(auth.check(&headers(&value), Role::Read).await, Err(Denied::Unauthorized), "{value}");
        }
    }
    assert_eq!(auth.check(&HeaderMap::new(), Role::Read).await, Err(Denied::Unauthorized));
}

#[tokio::test]
async fn open_means_anybody() {
    // Proves that without credentials at all whatever is sent is let in.
    let auth = Auth::new(&Config { insecure_no_auth: true, ..Config::default() }, Vec::new());
    assert!(auth.check(&headers("Basic nonsense"), Role::Admin).await.is_ok());
    assert!(auth.check(&HeaderMap::new(), Role::Admin).await.is_ok());
}

#[test]
fn roles_include_those_before_them() {
    // Proves the order of roles and that their names are read back.
    assert!(Role::Admin > Role::Write && Role::Write > Role::Read);
    for role in [Role::Read, Role::Write, Role::Admin] {
        assert_eq!(Role::parse(role.name()), Some(role));
    }
}

#[test]
fn debug_output_shows_no_credential() {
    // Proves that the debug form shows no credential.
    let shown = format!("{:?}", auth(Vec::new()));
    assert!(!shown.contains("se:cret") && !shown.contains("key-123"), "{shown}");
}
