//! Aggregates over the items of a list: `list_sum(l)` and its siblings, `list_aggregate(l, 'sum')`.
//!
//! **Invariants**
//! 1. A list's result is that of the aggregate over its items as rows; of a NULL list it is NULL.
//! 2. Which aggregate it is must be known while planning.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::{Column, Literal};

/// Names of the functions behind `list_`, and of the aggregates they stand for.
const NAMED: [(&str, &str); 21] = [
    ("sum", "sum"),
    ("avg", "avg"),
    ("min", "min"),
    ("max", "max"),
    ("count", "count"),
    ("bool_and", "bool_and"),
    ("bool_or", "bool_or"),
    ("bit_and", "bit_and"),
    ("bit_or", "bit_or"),
    ("bit_xor", "bit_xor"),
    ("mode", "mode"),
    ("median", "median"),
    ("first", "first_value"),
    ("last", "last_value"),
    ("stddev_samp", "stddev"),
    ("stddev_pop", "stddev_pop"),
    ("var_samp", "var"),
    ("var_pop", "var_pop"),
    ("string_agg", "string_agg"),
    ("approx_count_distinct", "approx_distinct"),
    ("unique", "count"),
];

/// A list's aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ListAggregate {
    name: String,
    aliases: Vec<String>,
    /// `None`: the second argument says which.
    aggregate: Option<Arc<AggregateUDF>>,
    /// Whether items that are equal count once.
    distinct: bool,
    /// All that the second argument may name.
    known: Vec<Arc<AggregateUDF>>,
    signature: Signature,
}

/// All functions of this family, over these aggregates.
pub(super) fn functions(known: &[Arc<AggregateUDF>]) -> Vec<Arc<ScalarUDF>> {
    let find = |name: &str| known.iter().find(|aggregate| aggregate.name() == name).cloned();
    let named = NAMED.iter().filter_map(|(name, aggregate)| {
        Some(ListAggregate {
            name: format!("list_{name}"),
            aliases: Vec::new(),
            aggregate: Some(find(aggregate)?),
            distinct: *name == "unique",
            known: Vec::new(),
            signature: Signature::any(1, Volatility::Immutable),
        })
    });
    let any = ListAggregate {
        name: "list_aggregate".to_owned(),
        aliases: ["list_aggr", "array_aggregate", "array_aggr", "aggregate"].map(str::to_owned).to_vec(),
        aggregate: None,
        distinct: false,
        known: known.to_vec(),
        signature: Signature::variadic_any(Volatility::Immutable),
    };
    named.chain([any]).map(|function| Arc::new(ScalarUDF::new_from_impl(function))).collect()
}

/// An aggregate of a list's items, ready to be computed.
struct Prepared {
    aggregate: Arc<AggregateUDF>,
    /// What the items are cast to.
    item: FieldRef,
    /// The aggregate's other arguments.
    others: Vec<ScalarValue>,
    result: FieldRef,
}

impl ListAggregate {
    fn prepare(&self, fields: &[FieldRef], constants: &[Option<&ScalarValue>]) -> Result<Prepared> {
        let item = match fields.first().map(|field| field.data_type()) {
            Some(
                DataType::List(item)
                | DataType::LargeList(item)
                | DataType::FixedSizeList(item, _)
                | DataType::ListView(item)
                | DataType::LargeListView(item),
            ) => Arc::clone(item),
            Some(DataType::Null) => Arc::new(Field::new_list_field(DataType::Null, true)),
            Some(other) => return plan_err!("{} takes a list, not {other}", self.name),
            None => return plan_err!("{} takes a list", self.name),
        };
        let mut others: Vec<ScalarValue> = constants.iter().skip(1).flatten().copied().cloned().collect();
        if others.len() + 1 != fields.len() {
            return plan_err!("{} takes a list and constants", self.name);
        }
        let aggregate = match &self.aggregate {
            Some(aggregate) => Arc::clone(aggregate),
            None => self.named(&mut others)?,
        };
        if aggregate.name() == "string_agg" && others.is_empty() {
            others.push(ScalarValue::from(","));
        }
        let ty = match item.data_type() {
            DataType::Null => DataType::Int32,
            ty => super::rewrites::argument_type(aggregate.name(), ty).unwrap_or_else(|| ty.clone()),
        };
        let mut arguments = vec![Arc::new(item.as_ref().clone().with_data_type(ty).with_nullable(true))];
        arguments.extend(others.iter().map(|other| Arc::new(Field::new("other", other.data_type(), true))));
        // DataFusion takes arguments that do not fit for a fault of its own.
        let no_match = |_| {
            let text = "No function matches the given name and argument types";
            plan_datafusion_err!("{text} '{}({})'", self.name, item.data_type())
        };
        let arguments = fields_with_udf(&arguments, aggregate.as_ref()).map_err(no_match)?;
        for (other, field) in others.iter_mut().zip(arguments.iter().skip(1)) {
            *other = other.cast_to(field.data_type())?;
        }
        let result = aggregate.return_field(&arguments)?;
        let Some(item) = arguments.into_iter().next() else {
            return plan_err!("{} takes a list", self.name);
        };
        Ok(Prepared { aggregate, item, others, result })
    }

    /// The aggregate that the first of the constants names.
    fn named(&self, constants: &mut Vec<ScalarValue>) -> Result<Arc<AggregateUDF>> {
        let name = constants.first().and_then(|name| name.try_as_str().flatten()).map(str::to_ascii_lowercase);
        let Some(name) = name else {
            return plan_err!("{} takes the name of an aggregate", self.name);
        };
        constants.remove(0);
        let is_it = |aggregate: &&Arc<AggregateUDF>| aggregate.name() == name || aggregate.aliases().contains(&name);
        match self.known.iter().find(is_it) {
            Some(aggregate) => Ok(Arc::clone(aggregate)),
            None => plan_err!("Aggregate function with name {name} does not exist!"),
        }
    }
}

impl ScalarUDFImpl for ListAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("the type of {} depends on its arguments", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let prepared = self.prepare(args.arg_fields, args.scalar_arguments)?;
        Ok(Arc::new(prepared.result.as_ref().clone().with_name(&self.name).with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constants: Vec<Option<ScalarValue>> = args
            .args
            .iter()
            .map(|arg| if let ColumnarValue::Scalar(value) = arg { Some(value.clone()) } else { None })
            .collect();
        let constants: Vec<Option<&ScalarValue>> = constants.iter().map(Option::as_ref).collect();
        let prepared = self.prepare(&args.arg_fields, &constants)?;
        let Some(lists) = args.args.first() else {
            return plan_err!("{} takes a list", self.name);
        };
        let is_constant = matches!(lists, ColumnarValue::Scalar(_));
        let lists = lists.to_array(if is_constant { 1 } else { args.number_rows })?;
        let results = prepared.compute(&lists, self.distinct)?;
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&results, 0)?)
        } else {
            ColumnarValue::Array(results)
        })
    }
}

impl Prepared {
    fn compute(&self, lists: &ArrayRef, distinct: bool) -> Result<ArrayRef> {
        let null = ScalarValue::try_from(self.result.data_type())?;
        if lists.data_type().is_null() {
            return null.to_array_of_size(lists.len());
        }
        let item = Arc::new(Field::new_list_field(self.item.data_type().clone(), true));
        let lists = cast(lists, &DataType::List(item))?;
        let lists = lists.as_list::<i32>();
        let schema = Arc::new(Schema::new(vec![self.item.as_ref().clone().with_name("item")]));
        let mut arguments: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new("item", 0))];
        arguments
            .extend(self.others.iter().map(|other| Arc::new(Literal::new(other.clone())) as Arc<dyn PhysicalExpr>));
        let mut builder =
            AggregateExprBuilder::new(Arc::clone(&self.aggregate), arguments).schema(schema).alias("list");
        if distinct {
            builder = builder.distinct();
        }
        let aggregate = builder.build()?;
        let mut results = Vec::with_capacity(lists.len());
        for list in lists.iter() {
            let Some(items) = list else {
                results.push(null.clone());
                continue;
            };
            let mut accumulator = aggregate.create_accumulator()?;
            let mut columns = vec![items];
            for other in &self.others {
                columns.push(other.to_array_of_size(columns[0].len())?);
            }
            accumulator.update_batch(&columns)?;
            results.push(accumulator.evaluate()?);
        }
        if results.is_empty() {
            return Ok(new_empty_array(self.result.data_type()));
        }
        Ok(cast(&ScalarValue::iter_to_array(results)?, self.result.data_type())?)
    }
}
