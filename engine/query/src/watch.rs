//! How far a running query is: rows read of rows to read, memory.
//!
//! **Invariants**: looking costs a walk over the plan and never holds up the query.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use crate::query_memory::QueryMemory;
use crate::scan_exec::ScanExec;

/// A view of a running query. Holds its plan; drop it when the query ends.
#[derive(Clone)]
pub struct Watch {
    plan: Arc<dyn ExecutionPlan>,
    memory: Arc<QueryMemory>,
}

/// What a [`Watch`] shows at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rows that scans have read.
    pub rows_read: u64,
    /// Rows in the row groups that scans are to read. Fewer are read if the query learns that it needs fewer.
    pub rows_to_read: u64,
    /// Rows that the optimizer expects in the result.
    pub rows_expected: Option<u64>,
    /// Most bytes that operators reserved at once.
    pub memory_bytes_peak: u64,
}

impl Watch {
    pub(crate) fn new(plan: Arc<dyn ExecutionPlan>, memory: Arc<QueryMemory>) -> Self {
        Self { plan, memory }
    }

    /// Looks.
    pub fn figures(&self) -> Figures {
        let mut figures = Figures { memory_bytes_peak: self.memory.bytes_peak() as u64, ..Figures::default() };
        add_scans(self.plan.as_ref(), &mut figures);
        figures.rows_expected = rows_expected(self.plan.as_ref());
        figures
    }
}

fn rows_expected(plan: &dyn ExecutionPlan) -> Option<u64> {
    let statistics = StatisticsContext::new().compute(plan, &StatisticsArgs::new()).ok()?;
    statistics.num_rows.get_value().map(|rows| *rows as u64)
}

fn add_scans(plan: &dyn ExecutionPlan, figures: &mut Figures) {
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        figures.rows_to_read += scan.rows_to_read() as u64;
        figures.rows_read += scan.rows_read() as u64;
    }
    for child in plan.children() {
        add_scans(child.as_ref(), figures);
    }
}
