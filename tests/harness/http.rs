//! The server's API in few words, over a real HTTP client; and raw bytes for what such a client refuses to send.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::blocking::{Body, Client, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::ndjson::QueryReply;
use crate::server::Server;

/// User of the servers that the harness starts.
pub const USER: &str = "tester";
/// Password of that user; the colon is part of it.
pub const PASSWORD: &str = "se:cret";
/// API key of the servers that the harness starts.
pub const KEY: &str = "test-key-0123456789";

const TIMEOUT: Duration = Duration::from_secs(60);

/// A server's API. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    client: Client,
    basic: String,
    bearer: String,
    /// The server to keep alive as long as anybody may call it.
    _server: Option<Arc<Server>>,
}

/// A reply that was read whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Api {
    /// The API at an address, with the harness's credentials.
    pub fn new(address: &str) -> Self {
        let client = Client::builder().timeout(TIMEOUT).build().expect("an HTTP client");
        Self {
            base: format!("http://{address}"),
            client,
            basic: basic(&format!("{USER}:{PASSWORD}")),
            bearer: format!("Bearer {KEY}"),
            _server: None,
        }
    }

    /// The API of a server that lives as long as this value or any clone of it.
    pub fn keeping(server: Arc<Server>) -> Self {
        Self { _server: Some(Arc::clone(&server)), ..server.api() }
    }

    /// The same API with other credentials: a user with password, and a key.
    #[must_use]
    pub fn with_credentials(mut self, user: &str, key: &str) -> Self {
        self.basic = basic(user);
        self.bearer = format!("Bearer {key}");
        self
    }

    /// A request without credentials.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// GET with Basic credentials.
    pub fn get(&self, path: &str) -> Reply {
        send(self.request(Method::GET, path).header(AUTHORIZATION, &self.basic))
    }

    /// `POST /append?…`; a body of the content type that curl sends by default.
    pub fn append(&self, parameters: &str, body: impl Into<Body>) -> Reply {
        send(
            self.request(Method::POST, &format!("/append?{parameters}"))
                .header(AUTHORIZATION, &self.basic)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body),
        )
    }

    /// Appends to `LAKE.main.<table>` and expects success.
    ///
    /// # Panics
    /// If it is refused.
    pub fn append_ok(&self, table: &str, body: impl Into<Body>) -> Reply {
        let reply = self.append(&format!("catalog=LAKE&schema=main&table={table}"), body);
        assert!(reply.status == 200 && reply.json()["ok"] == true, "refused: {} {}", reply.status, reply.text());
        reply
    }

    /// `POST /query` with a whole body.
    pub fn query_with(&self, body: &Value) -> Reply {
        send(self.request(Method::POST, "/query").header(AUTHORIZATION, &self.basic).body(body.to_string()))
    }

    /// Runs a statement; a SQL error is in the reply.
    ///
    /// # Panics
    /// If the status is not 200 or the body is malformed.
    pub fn query(&self, statement: &str) -> QueryReply {
        let reply = self.query_with(&serde_json::json!({ "statement": statement }));
        assert_eq!(reply.status, 200, "{statement}: {}", reply.text());
        QueryReply::parse(reply.text())
    }

    /// Runs a statement and gives its rows.
    ///
    /// # Panics
    /// If it fails.
    pub fn rows(&self, statement: &str) -> Vec<Vec<Value>> {
        self.succeed(statement).rows
    }

    /// Runs a statement that must not fail.
    ///
    /// # Panics
    /// If it fails.
    pub fn succeed(&self, statement: &str) -> QueryReply {
        let reply = self.query(statement);
        assert_eq!(reply.error, None, "{statement}");
        reply
    }

    /// Runs a statement that must fail and gives its error.
    ///
    /// # Panics
    /// If it succeeds.
    pub fn query_error(&self, statement: &str) -> String {
        self.query(statement).error.unwrap_or_else(|| panic!("{statement} succeeded"))
    }

    /// Number of rows that a table has.
    ///
    /// # Panics
    /// If the query fails.
    pub fn count(&self, table: &str) -> u64 {
        self.succeed(&format!("SELECT count(*) FROM {table}")).single().as_u64().expect("a count")
    }

    /// `POST /v2/stream` with JSON.
    pub fn stream(&self, body: &Value) -> Reply {
        self.stream_bytes("/v2/stream", "application/json", body.to_string())
    }

    /// `POST` of any bytes to a path of the stream API.
    pub fn stream_bytes(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Reply {
        send(self.stream_request(path).header(CONTENT_TYPE, content_type).body(body))
    }

    /// A `POST` with the API key, yet without body.
    pub fn stream_request(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path).header(AUTHORIZATION, &self.bearer)
    }

    /// Value of the Basic header.
    pub fn basic(&self) -> &str {
        &self.basic
    }

    /// Value of the Bearer header.
    pub fn bearer(&self) -> &str {
        &self.bearer
    }
}

fn basic(user: &str) -> String {
    format!("Basic {}", STANDARD.encode(user))
}

impl From<RequestBuilder> for Reply {
    fn from(request: RequestBuilder) -> Self {
        send(request)
    }
}

/// Sends a request and reads the whole reply.
///
/// # Panics
/// If the connection fails.
fn send(request: RequestBuilder) -> Reply {
    try_send(request).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Sends a request and reads the whole reply.
///
/// # Errors
/// If the connection fails.
fn try_send(request: RequestBuilder) -> reqwest::Result<Reply> {
    let response = request.send()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Reply { status, headers, body: response.bytes()?.to_vec() })
}

impl Reply {
    /// Sends a request and reads the whole reply.
    ///
    /// # Errors
    /// If the connection fails, as it does when the server is killed.
    pub fn try_from_request(request: RequestBuilder) -> reqwest::Result<Self> {
        try_send(request)
    }
}

/// Writes bytes to a server and reads until it closes. With `half_close`, it sees the end of the request as a vanished client's.
///
/// # Panics
/// If the connection cannot be made or the server keeps it open for ten seconds.
pub fn raw_exchange(address: &str, bytes: &[u8], half_close: bool) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(bytes).expect("writable");
    if half_close {
        stream.shutdown(Shutdown::Write).expect("half-closed");
    }
    let mut reply = Vec::new();
    match stream.read_to_end(&mut reply) {
        Ok(_) => {}
        // A server that closes with unread bytes resets the connection.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}, after {:?}", String::from_utf8_lossy(&reply)),
    }
    String::from_utf8_lossy(&reply).into_owned()
}
