//! Rules of our own for plans: what DataFusion cannot run as it stands, in terms of what it can.

mod domain;
mod subqueries;

pub(crate) use subqueries::PlanSubqueries;
