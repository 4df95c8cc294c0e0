//! The client side of commands that ask a running server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::ArgMatches;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::Failed;

/// A server, and who asks it.
pub(super) struct Remote {
    authority: Authority,
    authorization: Option<String>,
}

impl Remote {
    /// The server of `--url` with `--user` or `--api-key`; `None` without `--url`.
    pub(super) fn of(flags: &ArgMatches) -> Result<Option<Self>, Failed> {
        let text = |name: &str| flags.get_one::<String>(name).map(String::as_str);
        let Some(url) = text("url") else { return Ok(None) };
        let uri: Uri = url.parse().map_err(|_| Failed::usage(format!("not a URL: {url}")))?;
        let authority = match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(authority)) => authority.clone(),
            _ => return Err(Failed::usage(format!("expected http://HOST:PORT, found {url}"))),
        };
        let basic = |user: &str| format!("Basic {}", STANDARD.encode(user));
        let authorization = text("user").map(basic).or_else(|| text("api_key").map(|key| format!("Bearer {key}")));
        Ok(Some(Self { authority, authorization }))
    }

    /// Sends one request on a connection of its own.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, Failed> {
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = self.authority.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((host, port)).await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error))?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.authority.as_str());
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(bytes));
        let request = request.map_err(|error| Failed::usage(format!("bad request: {error}")))?;
        sender.send_request(request).await.map_err(|error| self.unreachable(&error))
    }

    /// Sends a request to the administrator's API and waits for its JSON answer.
    pub(super) fn administer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failed::operation(format!("cannot start threads: {error}")))?;
        runtime.block_on(async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            let text = text(response).await?;
            let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
            if status.is_success() {
                return Ok(answer);
            }
            let message = answer["error"].as_str().unwrap_or(text.trim());
            Err(Failed::operation(format!("{status}: {message}")))
        })
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> Failed {
        Failed::operation(format!("cannot reach {}: {error}", self.authority))
    }
}

/// The whole body as text.
pub(super) async fn text(response: Response<Incoming>) -> Result<String, Failed> {
    let body = response.into_body().collect().await;
    let body = body.map_err(|_| Failed::operation("the server broke off: its answer is not complete"))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}
