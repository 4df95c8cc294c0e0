//! What the crate promises, tested from outside: the documented coercion table, a plain model, and bad bytes.

mod check;
mod coercion;
mod corpus;
mod file_check;
mod files;
mod model;
