//! Carries a stream request out; with an `Idempotency-Key`, once.
//!
//! **Invariants**
//! 1. A request with a key goes on when its client has gone, so that what it wrote is always known.
//! 2. The first 200 of a key is what every later request like it gets; errors are not remembered.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Response};
use siltstone_ingest::Framing;
use siltstone_storage::{Error, ErrorKind, folded_name};

use super::lower::Lowered;
use super::reply::{self, Fault, SuccessText};
use crate::State;
use crate::auth::Principal;
use crate::body::Held;
use crate::ingest::{Addition, Entry, Part};
use crate::receipts::{Fingerprint, ReceiptKey};

/// A request ready to be carried out, and all that this takes.
pub struct Job {
    pub state: Arc<State>,
    pub principal: Arc<Principal>,
    pub lowered: Lowered,
    pub request_id: String,
    /// The room that the body takes.
    pub _held: Held,
}

/// The sender's `Idempotency-Key`.
///
/// # Errors
/// If it is not 1 to 255 printable characters.
pub fn key(headers: &HeaderMap, sender: &str) -> Result<Option<ReceiptKey>, Fault> {
    ReceiptKey::sent(headers, sender).map_err(|error| Fault::invalid("invalid_idempotency_key", error.to_string()))
}

impl Job {
    /// Carries it out.
    ///
    /// # Errors
    /// What the contract answers then.
    pub async fn run(self, key: Option<ReceiptKey>) -> Result<Response<Body>, Fault> {
        match key {
            None => self.write(None).await,
            Some(key) => tokio::spawn(self.once(key)).await.unwrap_or_else(|_| Err(Fault::internal())),
        }
    }

    async fn once(self, key: ReceiptKey) -> Result<Response<Body>, Fault> {
        let receipts = Arc::clone(&self.state.receipts);
        let fingerprint = fingerprint(&self.lowered);
        let _turn = receipts.turn(key).await;
        match receipts.find(key).await.map_err(|error| Fault::from_storage(&error))? {
            Some(receipt) if receipt.fingerprint == fingerprint => {
                Ok(reply::success(&SuccessText(receipt.answer), receipt.snapshot, true))
            }
            Some(_) => Err(Fault::idempotency_mismatch()),
            None => self.write(Some((key, fingerprint))).await,
        }
    }

    async fn write(mut self, receipt: Option<(ReceiptKey, Fingerprint)>) -> Result<Response<Body>, Fault> {
        let key = receipt.as_ref().map(|(key, _)| *key);
        self.lowered.request.addition = receipt.map(|(key, fingerprint)| self.keeping(key, fingerprint));
        let written = self.state.ingest.ingest(&self.lowered.request).await;
        let written = written.map_err(|error| Fault::from_ingest(&error, &self.lowered))?;
        if let (Some(key), Some(snapshot)) = (key, written.added) {
            self.state.receipts.written(key, snapshot);
        }
        self.state.rates.count_rows(&self.principal.id, written.parts.iter().map(|part| part.rows).sum());
        let text = SuccessText::new(&self.state, &self.lowered.asked, &self.request_id, &written.parts);
        text.map(|text| reply::success(&text, written.snapshot, false)).ok_or_else(Fault::internal)
    }

    /// What keeps the answer, in the commit that it is about.
    fn keeping(&self, key: ReceiptKey, fingerprint: Fingerprint) -> Addition {
        let (state, asked, request_id) = (Arc::clone(&self.state), self.lowered.asked.clone(), self.request_id.clone());
        Addition::new(move |parts| {
            let text = SuccessText::new(&state, &asked, &request_id, parts);
            let text = text.ok_or_else(|| Error::new(ErrorKind::Internal, "a request without an answer"))?;
            state.receipts.change(key, &fingerprint, &text.0).map(Some)
        })
    }
}

/// A hash of all that decides what a request does: the decoded rows and the effective configuration.
fn fingerprint(lowered: &Lowered) -> Fingerprint {
    let tags = lowered.request.info.extra.as_deref().unwrap_or_default();
    let wait: &[u8] = if lowered.asked.wait { b"wait" } else { b"" };
    let name = |part: &Part| folded_name(&part.table.to_string());
    let names: Vec<String> = lowered.request.parts.iter().map(name).collect();
    let mut parts: Vec<&[u8]> = vec![wait, tags.as_bytes()];
    for (part, name) in lowered.request.parts.iter().zip(&names) {
        parts.push(if part.framing == Framing::Document { b"document" } else { b"sequence" });
        parts.push(name.as_bytes());
        match &part.entry {
            Entry::Append => parts.push(b"append"),
            Entry::Merge { key } => {
                parts.push(b"merge");
                parts.extend(key.iter().map(String::as_bytes));
            }
        }
        parts.push(&part.body);
    }
    Fingerprint::new(&parts)
}
