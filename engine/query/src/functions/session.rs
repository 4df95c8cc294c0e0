//! Functions about the session: `version()`, `current_database()`, `current_catalog()`, `current_schema()`,
//! `current_snapshot()`, `current_setting(name)`.
//!
//! **Invariants**: their values are fixed when a statement is planned, so they fold to literals.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use siltstone_storage::SnapshotId;

/// The DuckDB version whose dialect we speak; clients parse it.
pub(crate) const VERSION: &str = "v1.4.0";

/// A function without arguments that has one value for the whole statement.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// `current_setting('name')`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentSetting {
    settings: Vec<(&'static str, String)>,
    signature: Signature,
}

impl ScalarUDFImpl for CurrentSetting {
    fn name(&self) -> &str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(name)] = args.args.as_slice() else {
            return plan_err!("current_setting needs a constant name");
        };
        let Some(Some(name)) = name.try_as_str() else {
            return plan_err!("current_setting needs a name");
        };
        match self.settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, value)) => Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(Some(value.clone())))),
            None => exec_err!("unrecognized configuration parameter \"{name}\""),
        }
    }
}

/// What the functions answer.
pub(crate) struct SessionFacts<'a> {
    pub(crate) database: &'a str,
    pub(crate) schema: &'a str,
    pub(crate) timezone: &'a str,
    pub(crate) snapshot: SnapshotId,
}

/// All functions of this family.
pub(crate) fn functions(facts: &SessionFacts<'_>) -> Vec<ScalarUDF> {
    let text = |text: &str| ScalarValue::Utf8View(Some(text.to_owned()));
    let constants = [
        ("version", text(VERSION)),
        ("current_database", text(facts.database)),
        ("current_catalog", text(facts.database)),
        ("current_schema", text(facts.schema)),
        ("current_snapshot", ScalarValue::Int64(i64::try_from(facts.snapshot.0).ok())),
    ];
    let settings = vec![
        ("timezone", facts.timezone.to_owned()),
        ("schema", facts.schema.to_owned()),
        ("search_path", facts.schema.to_owned()),
    ];
    let mut functions: Vec<ScalarUDF> = constants
        .into_iter()
        .map(|(name, value)| {
            let signature = Signature::nullary(Volatility::Stable);
            ScalarUDF::new_from_impl(Constant { name, value, signature })
        })
        .collect();
    let signature = Signature::string(1, Volatility::Stable);
    functions.push(ScalarUDF::new_from_impl(CurrentSetting { settings, signature }));
    functions
}
