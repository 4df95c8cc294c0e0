//! Rules of our own for plans: what DataFusion cannot run as it stands, in terms of what it can.

mod checked;
mod domain;
mod subqueries;
mod whole_division;

pub(crate) use checked::CheckedArithmetic;
pub(crate) use subqueries::PlanSubqueries;
pub(crate) use whole_division::WholeDivision;
