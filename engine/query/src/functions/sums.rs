//! Sums of whole numbers, which may need more than 64 bits: HUGEINT.
//!
//! **Invariants**
//! 1. A sum of whole numbers never wraps around: 2^64 of them fit in 127 bits.
//! 2. Sums of any other type are DataFusion's.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Operator, ReversedUDAF,
    SetMonotonicity, Signature, cast, lit,
};
use siltstone_storage::LogicalType;

/// What holds a HUGEINT.
const HUGEINT: DataType = DataType::Decimal128(LogicalType::HUGEINT_DIGITS, 0);

/// `sum` on top of DataFusion's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sum {
    /// DataFusion's.
    pub(super) inner: Arc<AggregateUDF>,
}

fn is_whole(ty: &DataType) -> bool {
    matches!(ty, DataType::Int64 | DataType::UInt64)
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [ty] if is_whole(ty) => Ok(HUGEINT),
            _ => self.inner.return_type(types),
        }
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        let of_huge = |field: &FieldRef| LogicalType::from_field(field).is_ok_and(|ty| ty == LogicalType::HugeInt);
        Ok(Arc::new(match fields {
            [field] if is_whole(field.data_type()) || of_huge(field) => LogicalType::HugeInt.field(self.name(), true),
            _ => Field::new(self.name(), self.return_type(&types)?, true),
        }))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let whole = is_whole(args.expr_fields[0].data_type());
        // Which of DataFusion's accumulators it is follows from the type of the result.
        let inner = self.inner.accumulator(args)?;
        Ok(if whole { Box::new(Widened { inner }) } else { inner })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let whole = is_whole(args.expr_fields[0].data_type());
        let inner = self.inner.create_groups_accumulator(args)?;
        Ok(if whole { Box::new(WidenedGroups { inner }) } else { inner })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let whole = is_whole(args.expr_fields[0].data_type());
        let inner = self.inner.create_sliding_accumulator(args)?;
        Ok(if whole { Box::new(Widened { inner }) } else { inner })
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(ty)
    }

    /// `sum(x + 3)` is `sum(x) + 3 * count(x)`: one pass over `x` for any number of such sums.
    fn simplify_expr_op_literal(
        &self,
        call: &AggregateFunction,
        value: &Expr,
        op: Operator,
        literal: &Expr,
        value_is_left: bool,
    ) -> Result<Option<Expr>> {
        let added = match literal {
            Expr::Literal(ScalarValue::Int64(Some(added)), _) => i128::from(*added),
            Expr::Literal(ScalarValue::UInt64(Some(added)), _) => i128::from(*added),
            _ => return self.inner.simplify_expr_op_literal(call, value, op, literal, value_is_left),
        };
        if op != Operator::Plus {
            return Ok(None);
        }
        let mut sum = call.clone();
        sum.params.args = vec![value.clone()];
        let added = lit(ScalarValue::Decimal128(Some(added), 38, 0)) * cast(count(value.clone()), HUGEINT);
        Ok(Some(crate::conversions::named(Expr::AggregateFunction(sum) + added, &LogicalType::HugeInt)))
    }
}

/// Whole numbers of 64 bits as those of a sum.
fn widened(values: &ArrayRef) -> ArrayRef {
    let wide: PrimitiveArray<Decimal128Type> = match values.data_type() {
        DataType::Int64 => values.as_primitive::<Int64Type>().unary(i128::from),
        DataType::UInt64 => values.as_primitive::<UInt64Type>().unary(i128::from),
        _ => return Arc::clone(values),
    };
    Arc::new(wide.with_data_type(HUGEINT))
}

/// An accumulator of decimals, given whole numbers.
#[derive(Debug)]
struct Widened {
    inner: Box<dyn Accumulator>,
}

impl Accumulator for Widened {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&values.iter().map(widened).collect::<Vec<_>>())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&values.iter().map(widened).collect::<Vec<_>>())
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}

/// The same of groups.
struct WidenedGroups {
    inner: Box<dyn GroupsAccumulator>,
}

impl GroupsAccumulator for WidenedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.inner.update_batch(&values.iter().map(widened).collect::<Vec<_>>(), groups, filter, groups_total)
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        self.inner.evaluate(emitted)
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emitted)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.inner.merge_batch(states, groups, groups_total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&values.iter().map(widened).collect::<Vec<_>>(), filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
