//! The leaf plan node of a table scan: partitions, properties, statistics, one-line EXPLAIN text, metrics.
//!
//! **Invariants**
//! 1. The partitions together return every row of the access plan once; which partition returns a row is not fixed.
//! 2. A plan that is to run again (`reset_state`) starts from its first unit.

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, conjunction};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use siltstone_storage::ScanUnit;

use crate::access_plan::AccessPlan;
use crate::checking::ScanEstimate;
use crate::scan_stream::{DynamicFilter, PartitionScan, Progress, ScanMetrics};

/// Reads one table of one snapshot.
#[derive(Debug)]
pub(crate) struct ScanExec {
    plan: Arc<AccessPlan>,
    properties: Arc<PlanProperties>,
    dynamic: Option<Arc<dyn PhysicalExpr>>,
    progress: Arc<Progress>,
    metrics: ExecutionPlanMetricsSet,
    statistics: Arc<OnceLock<Arc<Statistics>>>,
}

impl ScanExec {
    /// A scan in at most `parallelism` partitions: fewer if there are fewer units.
    pub(crate) fn new(plan: AccessPlan, parallelism: usize) -> Self {
        let partitions = plan.units().len().clamp(1, parallelism.max(1));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(plan.schema())),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        MetricBuilder::new(&metrics).global_counter("units_pruned").add(plan.units_pruned());
        Self {
            plan: Arc::new(plan),
            properties: Arc::new(properties),
            dynamic: None,
            progress: Arc::default(),
            metrics,
            statistics: Arc::default(),
        }
    }

    /// Rows in the units to read.
    pub(crate) fn rows_to_read(&self) -> usize {
        self.plan.units().iter().map(ScanUnit::rows).sum()
    }

    /// What it would read of its table.
    pub(crate) fn estimate(&self) -> ScanEstimate {
        self.plan.estimate()
    }

    /// Rows in the units read so far.
    pub(crate) fn rows_read(&self) -> usize {
        self.metrics.clone_inner().sum_by_name("rows_read").map_or(0, |rows| rows.as_usize())
    }

    /// The same scan from its first unit, with fresh metrics.
    fn restarted(&self, dynamic: Option<Arc<dyn PhysicalExpr>>) -> Self {
        let metrics = ExecutionPlanMetricsSet::new();
        MetricBuilder::new(&metrics).global_counter("units_pruned").add(self.plan.units_pruned());
        Self {
            plan: Arc::clone(&self.plan),
            properties: Arc::clone(&self.properties),
            dynamic,
            progress: Arc::default(),
            metrics,
            statistics: Arc::clone(&self.statistics),
        }
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScanExec: {}", self.plan)?;
        if let Some(dynamic) = &self.dynamic {
            write!(f, ", dynamic={dynamic}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut recursion = TreeNodeRecursion::Continue;
        for expr in self.plan.predicate().into_iter().chain(&self.dynamic) {
            recursion = f(expr)?;
            if recursion == TreeNodeRecursion::Stop {
                break;
            }
        }
        Ok(recursion)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        Err(DataFusionError::Internal("a scan has no children".to_owned()))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        Err(DataFusionError::Internal("a scan has no children".to_owned()))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.restarted(self.dynamic.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let scan = PartitionScan {
            plan: Arc::clone(&self.plan),
            progress: Arc::clone(&self.progress),
            dynamic: self.dynamic.clone().map(DynamicFilter::new),
            metrics: ScanMetrics::new(&self.metrics, partition),
            batch_rows: context.session_config().batch_size(),
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(self.plan.schema()), scan.stream())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        // Units are shared out at run time: nothing is known of a single partition.
        if args.partition().is_some() && self.properties.partitioning.partition_count() > 1 {
            return Ok(Arc::new(Statistics::new_unknown(self.plan.schema())));
        }
        let statistics = self.statistics.get_or_init(|| Arc::new(crate::statistics::statistics(&self.plan)));
        if self.dynamic.is_some() {
            return Ok(Arc::new(statistics.as_ref().clone().to_inexact()));
        }
        Ok(Arc::clone(statistics))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        // Dynamic filters skip units here; the operators that made them stay correct without, so none is claimed as applied.
        let unclaimed =
            FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; result.parent_filters.len()]);
        if phase != FilterPushdownPhase::Post || result.parent_filters.is_empty() {
            return Ok(unclaimed);
        }
        let filters = result.parent_filters.into_iter().map(|parent| parent.filter).chain(self.dynamic.clone());
        Ok(unclaimed.with_updated_node(Arc::new(self.restarted(Some(conjunction(filters))))))
    }
}
