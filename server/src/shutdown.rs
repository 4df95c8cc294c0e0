//! From "stop" to stopped: signals, and the loop that accepts and drains connections.
//!
//! **Invariants**
//! 1. After the first signal no connection is accepted; requests in flight have a bounded time to finish.
//! 2. A second signal ends the process at once. What was acknowledged is on disk before that, so nothing is lost either way.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};

use crate::App;

/// A connection on which no whole request head arrives for this long is closed. The time counts idle connections too, so it is
/// longer than the pools of common clients keep them: closing first would make their next request fail.
const HEAD_TIMEOUT: Duration = Duration::from_secs(300);

/// HTTP/2 streams of one connection that are served at once.
const STREAMS_MAX: u32 = 256;

/// The process's stop signals.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over SIGTERM and SIGINT. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves connections until `stop` fires, then lets those in flight finish for at most `drain`.
pub async fn serve(
    listener: TcpListener,
    app: App,
    connections_max: usize,
    stop: oneshot::Receiver<()>,
    drain: Duration,
) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            _ = &mut stop => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, &app, &graceful);
                tokio::spawn(async move {
                    let _slot = slot;
                    connection.await;
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: let some close.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(drain_ms = drain.as_millis() as u64, "requests were still running when the time to stop was up");
    }
}

fn connection(stream: TcpStream, app: &App, graceful: &GracefulShutdown) -> impl Future<Output = ()> + Send + 'static {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let app = app.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let app = app.clone();
        async move { Ok::<_, std::convert::Infallible>(app.handle(request.map(axum::body::Body::new)).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection ended");
        }
    }
}
