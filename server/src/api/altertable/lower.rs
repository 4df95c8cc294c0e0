//! Altertable's requests in neutral form; the only place its rules about rows live.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use siltstone_ingest::{CaseTwins, Fractions, Framing, Policy, UnknownFields};
use siltstone_query::SessionSettings;
use siltstone_storage::{CommitInfo, TableSchema};

use super::wire::{AppendTarget, CheckBody, QueryRequest, ResultFormat};
use crate::auth::{Principal, Role};
use crate::checks::CheckRequest;
use crate::ingest::{BadRows, Entry, IngestRequest, Missing, Part};
use crate::query_log::Origin;
use crate::sessions::SessionKey;
use crate::sql::{Layout, SqlRequest};

/// Rows, fields and nesting are bounded by the body's size alone.
static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    Arc::new(Policy {
        fractions: Fractions::Reject,
        unknown_fields: UnknownFields::Add,
        case_twins: CaseTwins::LastWins,
        nan_tokens: false,
        rows_max: usize::MAX,
        field_bytes_max: usize::MAX,
        row_depth_max: siltstone_ingest::BODY_DEPTH_MAX,
        new_columns_max: TableSchema::COLUMNS_MAX,
    })
});

/// `/append`: everything is created as needed, one bad row refuses all.
pub fn append(target: AppendTarget, body: Bytes, sender: &Principal) -> IngestRequest {
    let info = CommitInfo { author: Some(sender.id.clone()), ..CommitInfo::default() };
    let part = Part {
        table: target.table,
        body,
        framing: Framing::Document,
        policy: Arc::clone(&POLICY),
        entry: Entry::Append,
        missing: Missing::Create,
        bad_rows: BadRows::RefuseAll,
    };
    IngestRequest { info, ..IngestRequest::single(part) }
}

/// `/query`: who may only read runs read-only.
pub fn query(query: &QueryRequest, sender: &Principal, user_agent: Option<String>) -> SqlRequest {
    SqlRequest {
        origin: Origin {
            query_id: query.query_id,
            user: sender.id.clone(),
            session_id: query.session_id.clone(),
            user_agent,
            requested_by: query.requested_by.clone(),
            visible: query.visible,
        },
        keep_session: query.keep_session,
        statement: query.statement.clone(),
        settings: SessionSettings {
            database: query.catalog.clone(),
            schema: query.schema.clone(),
            timezone: query.timezone.clone(),
            read_only: sender.role < Role::Write,
            author: Some(sender.id.clone()),
        },
        offset: query.offset.unwrap_or(0),
        limit: query.limit,
        layout: match query.format {
            ResultFormat::Default => Layout::Arrays,
            ResultFormat::Csv => Layout::Csv,
            ResultFormat::Jsonl => Layout::Objects,
            ResultFormat::Parquet => Layout::Parquet,
        },
    }
}

/// SQL that is looked at, by somebody who would run it with the same rights.
pub fn check(body: CheckBody, sender: &Principal) -> CheckRequest {
    CheckRequest {
        statement: body.statement,
        settings: SessionSettings {
            database: body.catalog,
            schema: body.schema,
            timezone: None,
            read_only: sender.role < Role::Write,
            author: None,
        },
        session: body.session_id.map(|id| SessionKey { user: sender.id.clone(), id }),
    }
}
