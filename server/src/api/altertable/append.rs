//! `POST /append`: JSON rows into a table that is made and widened as they ask.
//!
//! **Invariants**: parameters are checked before the body is read; one bad row refuses all.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use http::{Request, Response, StatusCode};

use super::once::{self, Told};
use super::{authorize, lower, reply, wire};
use crate::auth::{Principal, Role};
use crate::body::Held;
use crate::ingest::Addition;
use crate::receipts::ReceiptKey;
use crate::{State, body, ids};

/// `POST /append?catalog=&schema=&table=&sync=`
pub(super) async fn append(Shared(state): Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let principal = match authorize(&state, &head.headers, Role::Write).await {
        Ok(principal) => principal,
        Err(denied) => {
            body::discard(&head.headers, body);
            return *denied;
        }
    };
    let target = match wire::AppendTarget::parse(head.uri.query().unwrap_or_default()) {
        Ok(target) => target,
        Err(message) => {
            body::discard(&head.headers, body);
            return reply::append_refused(StatusCode::BAD_REQUEST, reply::INVALID_DATA, &message);
        }
    };
    let key = match ReceiptKey::sent(&head.headers, &principal.id) {
        Ok(key) => key,
        Err(invalid) => {
            body::discard(&head.headers, body);
            return (APPEND.refused)(StatusCode::BAD_REQUEST, &invalid.to_string());
        }
    };
    let held = match body::read(&state.limits, &head.headers, body, state.config.append).await {
        Ok(held) => held,
        Err(fault) => return reply::append_body_fault(&fault),
    };
    let Some(key) = key else { return write_rows(state, principal, target, held, None).await };
    let known = (key, once::of_append(&target.table, &held.bytes));
    let (engine, sender) = (Arc::clone(&state), Arc::clone(&principal));
    let write = move |pending| write_rows(engine, sender, target, held, Some(pending));
    once::once(state, principal, &APPEND, known, write).await
}

/// `sync` changes nothing: the commit is visible as soon as it is durable, and the answer waits for that anyway.
async fn write_rows(
    state: Arc<State>,
    principal: Arc<Principal>,
    target: wire::AppendTarget,
    held: Held,
    pending: Option<once::Pending>,
) -> Response<Body> {
    let unix_ms = ids::now_ms();
    let mut request = lower::append(target, held.bytes.clone(), &principal);
    request.addition = pending.clone().map(|pending| {
        Addition::new(move |parts| {
            // Rows that are refused are no success, which is all that is kept.
            let refused = parts.iter().any(|part| !part.errors.is_empty());
            let rows = parts.iter().map(|part| part.rows as u64).sum();
            if refused { Ok(None) } else { pending.change(Told { unix_ms, rows }).map(Some) }
        })
    });
    match state.ingest.ingest(&request).await {
        Ok(done) => {
            if let (Some(pending), Some(snapshot)) = (pending, done.added) {
                pending.written(snapshot);
            }
            reply::appended(&done, |snapshot| once::task(&state, &principal, unix_ms, snapshot))
        }
        Err(error) => reply::append_failed(&error),
    }
}

/// How `/append` answers.
static APPEND: once::Door = once::Door {
    refused: |status, message| reply::append_refused(status, reply::INVALID_DATA, message),
    done: |state, principal, told, snapshot| {
        // Without rows there was no commit of any.
        let snapshot = snapshot.filter(|_| told.rows > 0);
        reply::accepted(snapshot, |snapshot| once::task(state, principal, told.unix_ms, snapshot))
    },
};
