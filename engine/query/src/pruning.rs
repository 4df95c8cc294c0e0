//! Zone maps as pruning statistics: which units a predicate proves irrelevant.
//!
//! **Invariants**
//! 1. Unknown means keep. A unit is dropped only if no visible row of it can satisfy the predicate.
//! 2. Zone maps may cover more rows than are visible, so a NULL count is used only where it cannot mislead: when it is
//!    zero, or when the zone map is exact.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use siltstone_storage::{ColumnId, LogicalType, ScanUnit, Value, ZoneMap};

/// A column of a scanned table under the name the statement uses for it.
#[derive(Clone, Debug)]
pub(crate) struct ScanColumn {
    pub(crate) id: ColumnId,
    pub(crate) name: String,
    pub(crate) logical_type: LogicalType,
}

/// Units and the columns their zone maps speak of.
pub(crate) struct ZoneMaps<'a> {
    pub(crate) columns: &'a [ScanColumn],
    pub(crate) units: &'a [ScanUnit],
}

impl ZoneMaps<'_> {
    fn column(&self, column: &Column) -> Option<&ScanColumn> {
        self.columns.iter().find(|candidate| candidate.name == column.name)
    }

    fn bounds(&self, column: &Column, bound: impl Fn(&ZoneMap) -> Option<&Value>) -> Option<ArrayRef> {
        let column = self.column(column)?;
        let null = crate::value::scalar(&column.logical_type, None)?;
        let scalars = self.units.iter().map(|unit| {
            let zone_map = unit.zone_map(column.id);
            zone_map
                .as_ref()
                .and_then(&bound)
                .and_then(|value| crate::value::scalar(&column.logical_type, Some(value)))
                .unwrap_or_else(|| null.clone())
        });
        ScalarValue::iter_to_array(scalars).ok()
    }
}

impl PruningStatistics for ZoneMaps<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |zone_map| zone_map.min.as_ref())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |zone_map| zone_map.max.as_ref())
    }

    fn num_containers(&self) -> usize {
        self.units.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let id = self.column(column)?.id;
        let counts: UInt64Array = self
            .units
            .iter()
            .map(|unit| unit.zone_map(id).filter(|map| map.exact || map.null_count == 0).map(|map| map.null_count))
            .collect();
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts: UInt64Array = self.units.iter().map(|unit| Some(unit.rows() as u64)).collect();
        Some(Arc::new(counts))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The pruning form of a predicate; `None` if it can prove nothing from zone maps.
pub(crate) fn pruner(predicate: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Option<Arc<PruningPredicate>> {
    PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(Arc::clone(predicate))
}

/// Whether each unit may hold rows that satisfy the predicate.
pub(crate) fn may_match(pruner: &PruningPredicate, zone_maps: &ZoneMaps<'_>) -> Vec<bool> {
    match pruner.prune(zone_maps) {
        Ok(keep) => keep,
        // A predicate that fails on bounds may be fine on the rows, or fail there with the text the user should see.
        Err(error) => {
            tracing::debug!(%error, "zone maps not usable for this predicate");
            vec![true; zone_maps.units.len()]
        }
    }
}
