//! `POST /validate`, `/explain` and `/autocomplete`: SQL that is looked at and not run.
//!
//! **Invariants**: a fault of the statement is part of a 200 answer; 400 is for a fault of the request.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use siltstone_query::{Explained, PlanNode, ScanEstimate, Suggestion, SuggestionKind};

use super::wire::CheckBody;
use super::{authorize, lower, reply};
use crate::auth::{Principal, Role};
use crate::checks::{Check, CheckFailed, Checked};
use crate::sql::SqlError;
use crate::{State, body};

/// `POST /validate`
pub async fn validate(Shared(state): Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    let (principal, body) = match read(&state, request).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let statement = body.statement.clone();
    let error = match ask(&state, Check::Validate, body, &principal).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.message),
        Err(response) => return *response,
    };
    let mut answer = json!({ "valid": error.is_none(), "statement": statement, "connections_errors": {} });
    if let Some(error) = error {
        answer["error"] = error.into();
    }
    reply::json(answer)
}

/// `POST /explain`
pub async fn explain(Shared(state): Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    let (principal, body) = match read(&state, request).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let (statement, include_plan) = (body.statement.clone(), body.include_plan);
    let mut answer = match ask(&state, Check::Explain, body, &principal).await {
        Ok(Ok(Checked::Explained(explained))) => explanation(explained, include_plan),
        Ok(Ok(_)) => Map::from_iter([("tables".to_owned(), json!([]))]),
        Ok(Err(error)) => {
            Map::from_iter([("tables".to_owned(), json!([])), ("error".to_owned(), error.message.into())])
        }
        Err(response) => return *response,
    };
    answer.insert("statement".to_owned(), statement.into());
    answer.insert("connections_errors".to_owned(), json!({}));
    reply::json(Value::Object(answer))
}

/// `POST /autocomplete`
pub async fn autocomplete(Shared(state): Shared<Arc<State>>, request: Request<Body>) -> Response<Body> {
    let (principal, body) = match read(&state, request).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let statement = body.statement.trim().to_owned();
    let catalog = body.catalog.clone();
    let check = Check::Complete { max: body.suggestions_max };
    let (suggestions, errors) = match ask(&state, check, body, &principal).await {
        Ok(Ok(Checked::Completed(suggestions))) => (suggestions.iter().map(suggestion).collect(), json!({})),
        Ok(Ok(_)) => (Vec::new(), json!({})),
        Ok(Err(error)) => (Vec::new(), json!({ (catalog.unwrap_or_default()): error.message })),
        Err(response) => return *response,
    };
    reply::json(json!({ "suggestions": suggestions, "statement": statement, "connections_errors": errors }))
}

/// Who asks, and what.
async fn read(state: &State, request: Request<Body>) -> Result<(Arc<Principal>, CheckBody), Box<Response<Body>>> {
    let (head, body) = request.into_parts();
    let principal = match authorize(state, &head.headers, Role::Read).await {
        Ok(principal) => principal,
        Err(denied) => {
            body::discard(&head.headers, body);
            return Err(denied);
        }
    };
    let held = body::read(&state.limits, &head.headers, body, state.config.query_body).await;
    let held = held.map_err(|fault| Box::new(reply::body_fault(&fault)))?;
    let parsed = CheckBody::parse(&held.bytes);
    let body = parsed.map_err(|message| Box::new(reply::plain(StatusCode::BAD_REQUEST, &message)))?;
    Ok((principal, body))
}

/// The answer, the statement's fault, or a response that says why there is neither.
async fn ask(
    state: &State,
    check: Check,
    body: CheckBody,
    principal: &Principal,
) -> Result<Result<Checked, SqlError>, Box<Response<Body>>> {
    match state.sql.check(check, lower::check(body, principal)).await {
        Ok(checked) => Ok(Ok(checked)),
        Err(CheckFailed::Sql(error)) if reply::is_about_the_statement(&error) => Ok(Err(error)),
        Err(CheckFailed::Sql(error)) => Err(Box::new(reply::query_failed(&error))),
        Err(CheckFailed::Refused(refused)) => Err(Box::new(reply::refused(&refused))),
    }
}

fn explanation(explained: Explained, include_plan: bool) -> Map<String, Value> {
    let sum = |of: fn(&ScanEstimate) -> u64| explained.scans.iter().map(of).sum::<u64>();
    let mut answer = Map::new();
    answer.insert("tables".to_owned(), explained.scans.iter().map(table).collect());
    for (name, total) in [
        ("total_files", sum(|scan| scan.row_groups)),
        ("total_bytes", sum(|scan| scan.bytes)),
        ("scanned_files_estimate", sum(|scan| scan.row_groups_read)),
        ("scanned_bytes_estimate", sum(|scan| scan.bytes_read)),
    ] {
        answer.insert(name.to_owned(), total.into());
    }
    if let Some(plan) = explained.plan.filter(|_| include_plan) {
        answer.insert("plan".to_owned(), json!([node(&plan)]));
    }
    answer
}

/// Their files are our row groups: what is read or skipped as a whole.
fn table(scan: &ScanEstimate) -> Value {
    let mut table = json!({
        "table_name": scan.table,
        "estimated_rows": scan.rows,
        "total_files": scan.row_groups,
        "total_bytes": scan.bytes,
        "scanned_files_estimate": scan.row_groups_read,
        "scanned_bytes_estimate": scan.bytes_read,
    });
    if !scan.filters.is_empty() {
        table["filters"] = scan.filters.join(" AND ").into();
    }
    table
}

fn node(plan: &PlanNode) -> Value {
    let children: Vec<Value> = plan.children.iter().map(node).collect();
    json!({ "name": plan.name, "children": children, "extra_info": { "detail": plan.detail } })
}

fn suggestion(suggestion: &Suggestion) -> Value {
    let kind = match suggestion.kind {
        SuggestionKind::Keyword => "keyword",
        SuggestionKind::Catalog => "catalog",
        SuggestionKind::Schema => "schema",
        SuggestionKind::Table => "table",
        SuggestionKind::Column => "column",
        SuggestionKind::Type => "type",
        SuggestionKind::ScalarFunction => "scalar_function",
        SuggestionKind::TableFunction => "table_function",
        SuggestionKind::Setting => "setting",
    };
    let mut json = json!({
        "suggestion": suggestion.text,
        "suggestion_start": suggestion.start,
        "suggestion_type": kind,
        "suggestion_score": suggestion.score,
    });
    if let Some(next) = suggestion.next {
        json["extra_char"] = next.to_string().into();
    }
    json
}
