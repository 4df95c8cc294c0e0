//! The named arguments of `read_csv` and its siblings.
//!
//! **Invariants**
//! 1. A name that DuckDB does not have is a `Binder Error`; a value that asks for what is not there is a `Not implemented Error`.
//! 2. Options that tell DuckDB how to guess are taken: here all rows are looked at.

use std::path::Path;

use datafusion::arrow::array::Array;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr};
use siltstone_storage::{LogicalType, NewColumn, folded_name};

use super::{FileFormat, FileReading};
use crate::QueryError;
use crate::error::Result;

/// What a call asks for besides its path.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) reading: FileReading,
    /// The name of a column for the names of the files, if there is to be one.
    pub(super) filename: Option<String>,
    /// Whether what is not said is found out.
    detect: bool,
}

/// The format that a path's extension says.
pub(crate) fn format_of_path(path: &str) -> Option<FileFormat> {
    let extension = Path::new(path).extension()?.to_str()?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "csv" | "tsv" => FileFormat::Csv,
        "json" | "jsonl" | "ndjson" => FileFormat::Json,
        "parquet" => FileFormat::Parquet,
        _ => return None,
    })
}

/// Expressions by the folded names of their arguments.
pub(super) type NamedExpressions = Vec<(String, Expr)>;

/// Positional arguments, and the others by their folded names.
pub(super) fn named_arguments(args: &[FunctionArg]) -> Result<(Vec<Expr>, NamedExpressions)> {
    let (mut positional, mut named) = (Vec::new(), Vec::new());
    for argument in args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => positional.push(expr.clone()),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                named.push((folded_name(&name.value), expr.clone()));
            }
            other => return Err(QueryError::binder(format_args!("expected a value, found {other}"))),
        }
    }
    Ok((positional, named))
}

impl Arguments {
    /// The arguments of a call, given their values.
    ///
    /// # Errors
    /// `Binder Error`, `Not implemented Error`.
    pub(super) fn of(function: &str, format: FileFormat, named: Vec<(String, ScalarValue)>) -> Result<Self> {
        let reading = FileReading {
            format,
            delimiter: None,
            quote: b'"',
            header: None,
            all_text: false,
            columns: None,
            union_by_name: false,
        };
        let mut arguments = Self { reading, filename: None, detect: true };
        for (name, value) in named {
            let argument = Argument { function, name: &name, value: &value };
            let known = arguments.common(&argument)?
                || match format {
                    FileFormat::Csv => arguments.csv(&argument)?,
                    FileFormat::Json => arguments.json(&argument)?,
                    FileFormat::Parquet => argument.only(&["binary_as_string", "file_row_number"], "false")?,
                };
            if !known {
                return Err(QueryError::binder(format_args!(
                    "Invalid named parameter \"{name}\" for function {function}"
                )));
            }
        }
        if !arguments.detect {
            arguments.reading.all_text |= arguments.reading.columns.is_none();
            arguments.reading.header.get_or_insert(false);
            arguments.reading.delimiter.get_or_insert(b',');
        }
        Ok(arguments)
    }

    /// What all formats have; `false` for a name that is none of these.
    fn common(&mut self, argument: &Argument<'_>) -> Result<bool> {
        match argument.name {
            "union_by_name" => self.reading.union_by_name = argument.boolean()?,
            "filename" => {
                self.filename = match argument.value.try_as_str() {
                    Some(Some(name)) if !matches!(folded_name(name).as_str(), "true" | "false") => {
                        Some(name.to_owned())
                    }
                    _ => argument.boolean()?.then(|| "filename".to_owned()),
                };
            }
            _ => {
                let off = argument.only(&["hive_partitioning", "ignore_errors"], "false")?;
                return Ok(off || argument.only_one_of("compression", &["auto", "none", "uncompressed"])?);
            }
        }
        Ok(true)
    }

    fn csv(&mut self, argument: &Argument<'_>) -> Result<bool> {
        match argument.name {
            "header" => self.reading.header = Some(argument.boolean()?),
            "delim" | "sep" | "delimiter" => self.reading.delimiter = Some(argument.byte()?),
            "quote" => self.reading.quote = argument.byte()?,
            "escape" if argument.byte()? == self.reading.quote => {}
            "columns" => self.reading.columns = Some(argument.columns()?),
            "all_varchar" => self.reading.all_text = argument.boolean()?,
            "auto_detect" => self.detect = argument.boolean()?,
            "sample_size" | "buffer_size" | "parallel" | "max_line_size" => {}
            _ => {
                let empty = argument.only(&["nullstr"], "")?;
                return Ok(empty
                    || argument.only(&["skip"], "0")?
                    || argument.only(&["normalize_names", "null_padding"], "false")?
                    || argument.only(&["strict_mode"], "true")?
                    || argument.only_one_of("encoding", &["utf-8", "utf8"])?);
            }
        }
        Ok(true)
    }

    fn json(&mut self, argument: &Argument<'_>) -> Result<bool> {
        match argument.name {
            "columns" => self.reading.columns = Some(argument.columns()?),
            "sample_size" | "auto_detect" | "maximum_object_size" | "maximum_sample_files" => {}
            _ => {
                let formats = ["auto", "array", "newline_delimited", "nd", "unstructured"];
                return Ok(argument.only_one_of("format", &formats)?
                    || argument.only_one_of("records", &["auto", "true"])?
                    || argument.only(&["convert_strings_to_integers"], "false")?);
            }
        }
        Ok(true)
    }
}

/// One named argument.
struct Argument<'a> {
    function: &'a str,
    name: &'a str,
    value: &'a ScalarValue,
}

impl Argument<'_> {
    fn bad(&self, expected: &str) -> QueryError {
        QueryError::binder(format_args!("{} of {} is {expected}, not {}", self.name, self.function, self.value))
    }

    /// Its value as text.
    fn text(&self) -> Result<String> {
        match self.value {
            ScalarValue::Boolean(Some(flag)) => Ok(flag.to_string()),
            value if value.data_type().is_integer() && !value.is_null() => Ok(value.to_string()),
            value => match value.try_as_str() {
                Some(Some(text)) => Ok(folded_name(text)),
                _ => Err(self.bad("a text, a number or a truth value")),
            },
        }
    }

    fn boolean(&self) -> Result<bool> {
        match self.text()?.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.bad("true or false")),
        }
    }

    /// One ASCII character.
    fn byte(&self) -> Result<u8> {
        match self.value.try_as_str() {
            Some(Some("\\t")) => Ok(b'\t'),
            Some(Some(text)) => match text.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
                _ => Err(self.bad("one ASCII character")),
            },
            _ => Err(self.bad("one ASCII character")),
        }
    }

    /// Whether it is called like one of these; then it must have this value, which is what it is without it.
    fn only(&self, names: &[&str], value: &str) -> Result<bool> {
        match names.contains(&self.name) {
            true => self.only_one_of(self.name, &[value]),
            false => Ok(false),
        }
    }

    /// Whether it is called this; then it must have one of these values.
    fn only_one_of(&self, name: &str, values: &[&str]) -> Result<bool> {
        if self.name != name {
            return Ok(false);
        }
        if values.contains(&self.text()?.as_str()) {
            return Ok(true);
        }
        Err(QueryError::not_implemented(format_args!(
            "{} = {} is not supported by {}",
            self.name, self.value, self.function
        )))
    }

    /// `{'name': 'TYPE', …}`.
    fn columns(&self) -> Result<Vec<NewColumn>> {
        let expected = "names and types as {'a': 'INTEGER', 'b': 'VARCHAR'}";
        let ScalarValue::Struct(columns) = self.value else {
            return Err(self.bad(expected));
        };
        if columns.is_null(0) || columns.num_columns() == 0 {
            return Err(self.bad(expected));
        }
        let column = |(name, value): (&str, &std::sync::Arc<dyn Array>)| {
            let value = ScalarValue::try_from_array(value, 0)?;
            match value.try_as_str() {
                Some(Some(text)) => Ok(NewColumn::new(name, column_type(text)?)),
                _ => Err(self.bad(expected)),
            }
        };
        columns.column_names().into_iter().zip(columns.columns()).map(column).collect()
    }
}

fn column_type(text: &str) -> Result<LogicalType> {
    crate::types::logical_type(&crate::dialect::parse_type(text)?)
}
