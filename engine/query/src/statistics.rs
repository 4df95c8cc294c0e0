//! What a scan knows of its output before it runs.
//!
//! **Invariants**: a figure is `Exact` only if it is the figure of precisely the rows the scan returns. DataFusion answers
//! `count(*)`, `min` and `max` from exact figures without scanning.

use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use siltstone_storage::{LogicalType, ScanUnit, Value, ZoneMap};

use crate::access_plan::AccessPlan;
use crate::pruning::ScanColumn;

/// Rows, bytes, and per output column the bounds and NULLs.
pub(crate) fn statistics(plan: &AccessPlan) -> Statistics {
    let units = plan.units();
    let rows: usize = units.iter().map(ScanUnit::rows).sum();
    let bytes: u64 = units.iter().map(|unit| plan.unit_bytes(unit)).sum();
    let columns = plan.projected_columns().map(|column| column_statistics(column, units));
    let whole = plan.is_whole();
    let num_rows = match (whole, plan.limit_rows()) {
        (true, _) => Precision::Exact(rows),
        (false, limit) => Precision::Inexact(limit.map_or(rows, |limit| rows.min(limit))),
    };
    Statistics {
        num_rows,
        total_byte_size: Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX)),
        column_statistics: columns.map(|column| if whole { column } else { column.to_inexact() }).collect(),
    }
}

fn column_statistics(column: &ScanColumn, units: &[ScanUnit]) -> ColumnStatistics {
    let mut bounds = Bounds::default();
    for unit in units {
        match unit.zone_map(column.id) {
            Some(zone_map) => bounds.add(unit, zone_map),
            None => return ColumnStatistics::new_unknown(),
        }
    }
    bounds.finish(&column.logical_type)
}

/// Bounds of several units together.
#[derive(Default)]
struct Bounds {
    min: Option<Value>,
    max: Option<Value>,
    null_count: u64,
    loose: bool,
    loose_nulls: bool,
    unknown: bool,
}

impl Bounds {
    fn add(&mut self, unit: &ScanUnit, zone_map: ZoneMap) {
        self.null_count += zone_map.null_count;
        self.loose_nulls |= !zone_map.exact && zone_map.null_count > 0;
        let all_null = zone_map.exact && zone_map.null_count == unit.rows() as u64;
        if all_null {
            return;
        }
        self.loose |= !zone_map.exact;
        match (zone_map.min, zone_map.max) {
            (Some(min), Some(max)) => {
                replace_if(&mut self.min, min, std::cmp::Ordering::Less);
                replace_if(&mut self.max, max, std::cmp::Ordering::Greater);
            }
            _ => self.unknown = true,
        }
    }

    fn finish(self, ty: &LogicalType) -> ColumnStatistics {
        // NaN and the two zeros order differently in zone maps and in SQL: floats are never exact.
        let loose = self.loose || matches!(ty, LogicalType::Real | LogicalType::Double);
        let bound = |value: Option<Value>| -> Precision<ScalarValue> {
            match value.as_ref().and_then(|value| crate::value::scalar(ty, Some(value))) {
                Some(scalar) if !self.unknown && !loose => Precision::Exact(scalar),
                Some(scalar) if !self.unknown => Precision::Inexact(scalar),
                _ => Precision::Absent,
            }
        };
        let nulls = usize::try_from(self.null_count).unwrap_or(usize::MAX);
        ColumnStatistics {
            null_count: if self.loose_nulls { Precision::Inexact(nulls) } else { Precision::Exact(nulls) },
            min_value: bound(self.min),
            max_value: bound(self.max),
            ..ColumnStatistics::new_unknown()
        }
    }
}

fn replace_if(slot: &mut Option<Value>, candidate: Value, order: std::cmp::Ordering) {
    let better = slot.as_ref().is_none_or(|current| candidate.compare(current) == Some(order));
    if better {
        *slot = Some(candidate);
    }
}
