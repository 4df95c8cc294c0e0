//! `typeof`, and functions of DataFusion with the result types that DuckDB gives them.
//!
//! **Invariants**: only types change; lengths and positions are BIGINT.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use siltstone_storage::LogicalType;

#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        "typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [field] = args.arg_fields.as_slice() else {
            return plan_err!("typeof takes one argument");
        };
        let name = match (field.data_type(), LogicalType::from_field(field)) {
            (DataType::Null, _) => "\"NULL\"".to_owned(),
            (_, Ok(ty)) => ty.to_string(),
            (ty, Err(_)) => ty.to_string(),
        };
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(Some(name))))
    }
}

/// `typeof(value)`: the name of its type.
pub(super) fn type_of() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(TypeOf { signature: Signature::any(1, Volatility::Immutable) }))
}

/// A function whose whole-number result is a BIGINT.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Counting {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Counting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_data_type(DataType::Int64)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalars: Vec<Option<ScalarValue>> = args
            .args
            .iter()
            .map(|arg| if let ColumnarValue::Scalar(value) = arg { Some(value.clone()) } else { None })
            .collect();
        let scalar_arguments: Vec<Option<&ScalarValue>> = scalars.iter().map(Option::as_ref).collect();
        let field_args = ReturnFieldArgs { arg_fields: &args.arg_fields, scalar_arguments: &scalar_arguments };
        args.return_field = self.inner.return_field_from_args(field_args)?;
        Ok(match self.inner.invoke_with_args(args)? {
            ColumnarValue::Array(array) => ColumnarValue::Array(cast(&array, &DataType::Int64)?),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.cast_to(&DataType::Int64)?),
        })
    }
}

/// A function whose bytes are shown as lower-case hexadecimal digits.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Hexadecimal {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Hexadecimal {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let bytes = self.inner.return_type(&types)?;
        args.return_field = Arc::new(args.return_field.as_ref().clone().with_data_type(bytes));
        let rows = args.number_rows;
        let result = self.inner.invoke_with_args(args)?;
        let is_constant = matches!(result, ColumnarValue::Scalar(_));
        let bytes = cast(&result.to_array(if is_constant { 1 } else { rows })?, &DataType::BinaryView)?;
        let digits: StringViewArray = bytes.as_binary_view().iter().map(|bytes| bytes.map(hexadecimal)).collect();
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&digits, 0)?)
        } else {
            ColumnarValue::Array(Arc::new(digits))
        })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        digits.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    digits
}

/// Functions whose results are lengths, positions and the like.
const COUNTING: [&str; 8] = [
    "character_length",
    "octet_length",
    "bit_length",
    "strpos",
    "levenshtein",
    "array_length",
    "cardinality",
    "array_position",
];

/// DataFusion's functions under DuckDB's names as well, and with its types.
pub(super) fn adapted(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let adapt = |function: Arc<ScalarUDF>| {
        let aliases: &[&'static str] = match function.name() {
            "make_array" => &["list_value", "list_pack"],
            "get_field" => &["struct_extract"],
            "signum" => &["sign"],
            "ceil" => &["ceiling"],
            "chr" => &["char"],
            "array_length" => &["len"],
            "lower" => &["lcase"],
            "upper" => &["ucase"],
            "starts_with" => &["startswith"],
            "ends_with" => &["endswith"],
            "ascii" => &["ord", "unicode"],
            "array_min" => &["list_min"],
            "uuid" => &["gen_random_uuid"],
            _ => &[],
        };
        let function = if matches!(function.name(), "sha224" | "sha256" | "sha384" | "sha512") {
            Arc::new(ScalarUDF::new_from_impl(Hexadecimal { inner: function }))
        } else if COUNTING.contains(&function.name()) {
            Arc::new(ScalarUDF::new_from_impl(Counting { inner: function }))
        } else {
            function
        };
        if aliases.is_empty() {
            function
        } else {
            Arc::new(function.as_ref().clone().with_aliases(aliases.iter().copied()))
        }
    };
    functions.into_iter().map(adapt).collect()
}
