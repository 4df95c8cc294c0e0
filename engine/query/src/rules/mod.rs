//! Rules of our own for plans: what DataFusion cannot run as it stands, in terms of what it can.

mod checked;
mod domain;
mod huge_integers;
mod intervals;
mod subqueries;
mod times;
mod whole_division;

pub(crate) use checked::CheckedArithmetic;
pub(crate) use huge_integers::HugeIntegers;
pub(crate) use intervals::ComparedIntervals;
pub(crate) use subqueries::PlanSubqueries;
pub(crate) use times::TimesOfOneUnit;
pub(crate) use whole_division::WholeDivision;
