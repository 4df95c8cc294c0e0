//! `error('message')`: fails as soon as it is computed for a row.
//!
//! **Invariants**: it is never computed while planning, nor for rows that are not asked for.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{AsArray, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::QueryError;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Fail {
    signature: Signature,
}

impl ScalarUDFImpl for Fail {
    fn name(&self) -> &str {
        "error"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Null)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let messages = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = messages.iter().map(|array| cast(array, &DataType::Utf8View)).collect::<Result<Vec<_>, _>>()?;
        let message = texts.iter().find_map(|texts| texts.as_string_view().iter().flatten().next());
        match message {
            Some(message) if args.number_rows > 0 => {
                Err(DataFusionError::External(Box::new(QueryError::invalid_input(message))))
            }
            _ => Ok(ColumnarValue::Array(new_null_array(&DataType::Null, args.number_rows))),
        }
    }
}

/// The function.
pub(crate) fn error() -> Arc<ScalarUDF> {
    static ERROR: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::string(1, Volatility::Volatile);
        Arc::new(ScalarUDF::new_from_impl(Fail { signature }))
    });
    Arc::clone(&ERROR)
}
