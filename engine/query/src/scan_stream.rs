//! One partition of a scan: takes units from the queue all partitions share, reads each off the async threads.
//!
//! **Invariants**
//! 1. Every unit is read by exactly one partition; whichever is idle takes the next one, so that no core waits while units are left.
//! 2. Storage is read and filters are evaluated on blocking threads only, one unit at a time per partition: what a
//!    stalled consumer holds in memory is at most one unit per partition.
//! 3. A dropped stream reads nothing more; at most the unit under way is finished.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::{snapshot_generation, snapshot_physical_expr};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, Time};
use futures::Stream;
use siltstone_storage::{Predicate, ScanUnit};

use crate::access_plan::AccessPlan;
use crate::pruning::{ZoneMaps, may_match, pruner};
use crate::pushdown::split;

/// Bytes of text that the slices of a unit may share; past it each gets a copy of its own.
const SHARED_BYTES_MAX: usize = 256 << 10;

/// Progress that the partitions of one execution share.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    next_unit: AtomicUsize,
    rows_sent: AtomicUsize,
}

/// What EXPLAIN ANALYZE shows of a partition.
pub(crate) struct ScanMetrics {
    baseline: BaselineMetrics,
    units_read: Count,
    units_pruned_dynamic: Count,
    rows_read: Count,
    rows_filtered: Count,
    rows_late: Count,
    bytes_read: Count,
    read_time: Time,
}

impl ScanMetrics {
    pub(crate) fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            baseline: BaselineMetrics::new(set, partition),
            units_read: MetricBuilder::new(set).counter("units_read", partition),
            units_pruned_dynamic: MetricBuilder::new(set).counter("units_pruned_dynamic", partition),
            rows_read: MetricBuilder::new(set).counter("rows_read", partition),
            rows_filtered: MetricBuilder::new(set).counter("rows_filtered", partition),
            rows_late: MetricBuilder::new(set).counter("rows_late", partition),
            bytes_read: MetricBuilder::new(set).counter("bytes_read", partition),
            read_time: MetricBuilder::new(set).subset_time("read_time", partition),
        }
    }
}

/// Everything one partition needs.
pub(crate) struct PartitionScan {
    pub(crate) plan: Arc<AccessPlan>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) dynamic: Option<DynamicFilter>,
    pub(crate) metrics: ScanMetrics,
    pub(crate) batch_rows: usize,
}

impl PartitionScan {
    /// The partition's batches, each of at most `batch_rows` rows.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<RecordBatch>> + Send {
        let state = (self, VecDeque::new());
        futures::stream::try_unfold(state, |(mut scan, mut ready)| async move {
            let batch = scan.next(&mut ready).await?;
            Ok(batch.map(|batch| (batch, (scan, ready))))
        })
    }

    async fn next(&mut self, ready: &mut VecDeque<RecordBatch>) -> Result<Option<RecordBatch>> {
        loop {
            if self.limit_reached() {
                return Ok(None);
            }
            if let Some(batch) = ready.pop_front() {
                self.progress.rows_sent.fetch_add(batch.num_rows(), Ordering::Relaxed);
                self.metrics.baseline.output_rows().add(batch.num_rows());
                return Ok(Some(batch));
            }
            let Some(unit) = self.take_unit() else {
                self.metrics.baseline.done();
                return Ok(None);
            };
            if self.is_pruned(&unit)? {
                self.metrics.units_pruned_dynamic.add(1);
                continue;
            }
            *ready = self.read(unit).await?;
        }
    }

    fn limit_reached(&self) -> bool {
        self.plan.limit_rows().is_some_and(|limit| self.progress.rows_sent.load(Ordering::Relaxed) >= limit)
    }

    fn take_unit(&self) -> Option<ScanUnit> {
        let i = self.progress.next_unit.fetch_add(1, Ordering::Relaxed);
        self.plan.units().get(i).cloned()
    }

    fn is_pruned(&mut self, unit: &ScanUnit) -> Result<bool> {
        match &mut self.dynamic {
            Some(filter) => filter.excludes(&self.plan, unit),
            None => Ok(false),
        }
    }

    async fn read(&self, unit: ScanUnit) -> Result<VecDeque<RecordBatch>> {
        self.metrics.units_read.add(1);
        self.metrics.rows_read.add(unit.rows());
        self.metrics.bytes_read.add(usize::try_from(self.plan.unit_bytes(&unit)).unwrap_or(usize::MAX));
        let timer = self.metrics.read_time.clone();
        let plan = Arc::clone(&self.plan);
        let batch_rows = self.batch_rows;
        let also = self.dynamic.as_ref().map(|filter| filter.predicates.clone()).unwrap_or_default();
        let (rows_filtered, rows_late) = (self.metrics.rows_filtered.clone(), self.metrics.rows_late.clone());
        let job = tokio::task::spawn_blocking(move || {
            let _timed = timer.timer();
            let rows = plan.read(&unit, &also)?;
            rows_filtered.add(rows.rows_filtered);
            rows_late.add(rows.rows_late);
            Ok(rows.batch.map(|batch| slices(&batch, batch_rows)).unwrap_or_default())
        });
        job.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
    }
}

/// Cuts a unit's rows into batches of at most `rows_max`.
fn slices(batch: &RecordBatch, rows_max: usize) -> VecDeque<RecordBatch> {
    let rows = batch.num_rows();
    let starts = (0..rows).step_by(rows_max.max(1));
    starts.map(|start| compacted(batch.slice(start, rows_max.min(rows - start)), rows)).collect()
}

/// A slice of views that keeps only its own bytes, if the unit's are many: operators that hold batches (sorts, joins) count
/// and keep the memory of a whole unit for each slice otherwise.
fn compacted(slice: RecordBatch, unit_rows: usize) -> RecordBatch {
    if slice.num_rows() == unit_rows {
        return slice;
    }
    let columns: Vec<ArrayRef> = slice
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8View if is_large(column.as_string_view().data_buffers()) => {
                Arc::new(column.as_string_view().gc()) as ArrayRef
            }
            DataType::BinaryView if is_large(column.as_binary_view().data_buffers()) => {
                Arc::new(column.as_binary_view().gc())
            }
            _ => Arc::clone(column),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(slice.num_rows()));
    RecordBatch::try_new_with_options(slice.schema(), columns, &options).unwrap_or(slice)
}

fn is_large(buffers: &[Buffer]) -> bool {
    buffers.iter().map(Buffer::len).sum::<usize>() > SHARED_BYTES_MAX
}

/// A filter that the operators above tighten while the query runs (a top-k's bound, a join's keys).
#[derive(Clone, Debug)]
pub(crate) struct DynamicFilter {
    expr: Arc<dyn PhysicalExpr>,
    generation: u64,
    pruner: Option<Arc<PruningPredicate>>,
    /// What storage can apply of it row by row, as of the last look.
    predicates: Vec<Predicate>,
}

impl DynamicFilter {
    /// A filter on the columns the scan returns.
    pub(crate) fn new(expr: Arc<dyn PhysicalExpr>) -> Self {
        Self { expr, generation: 0, pruner: None, predicates: Vec::new() }
    }

    /// Whether the filter, as it is now, proves that the unit has no row it lets through.
    fn excludes(&mut self, plan: &AccessPlan, unit: &ScanUnit) -> Result<bool> {
        let generation = snapshot_generation(&self.expr);
        if generation != self.generation {
            let now = snapshot_physical_expr(Arc::clone(&self.expr))?;
            self.pruner = pruner(&now, plan.schema());
            self.predicates = split(&now, &plan.projected_columns().collect::<Vec<_>>()).predicates;
            self.generation = generation;
        }
        let Some(pruner) = &self.pruner else {
            return Ok(false);
        };
        let zone_maps = ZoneMaps { columns: plan.table_columns(), units: std::slice::from_ref(unit) };
        Ok(may_match(pruner, &zone_maps) == [false])
    }
}
