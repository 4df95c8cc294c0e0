use std::sync::Arc;

use arrow_array::Array;
use arrow_cast::display::array_value_to_string;
use siltstone_storage::{LogicalType, NewColumn, TableSchema};

use super::*;

mod parquet_files;
mod text_files;

fn file(bytes: impl Into<Vec<u8>>) -> DataFile {
    let bytes: Vec<u8> = bytes.into();
    DataFile::new(Arc::new(bytes), None).expect("a file of some format")
}

fn schema(columns: &[(&str, LogicalType)]) -> TableSchema {
    let columns = columns.iter().map(|(name, ty)| NewColumn::new(*name, ty.clone())).collect();
    TableSchema::new(columns, &[]).expect("a schema")
}

/// Names and types of the columns that a table made of the file would have.
fn types(file: &DataFile) -> Vec<(String, String)> {
    let survey = file.survey(Wanted::Types).expect("a survey");
    survey.columns.iter().map(|column| (column.name.clone(), column.logical_type.to_string())).collect()
}

/// All rows as text, column by column in the order of the table; `-` is NULL or absent.
fn texts(rows: Rows, table: &TableSchema) -> Result<Vec<Vec<String>>> {
    let mut texts = Vec::new();
    for batch in rows {
        let batch = batch?;
        assert_eq!(batch.first_row, texts.len() as u64, "rows are numbered through the file");
        for row in 0..batch.rows {
            let cell = |column: &Column| {
                let found = batch.columns.iter().find(|(id, _)| *id == column.id).map(|(_, array)| array);
                if let Some(array) = found {
                    assert_eq!(*array.data_type(), column.logical_type.arrow());
                    assert_eq!(array.len(), batch.rows);
                }
                match found.filter(|array| array.is_valid(row)) {
                    Some(array) => array_value_to_string(array, row).expect("a printable value"),
                    None => "-".to_owned(),
                }
            };
            texts.push(table.columns().iter().map(cell).collect());
        }
    }
    Ok(texts)
}

/// The rows of a file as those of a table made of it.
fn as_new(file: &DataFile) -> Vec<Vec<String>> {
    let survey = file.survey(Wanted::Types).expect("a survey");
    let table = TableSchema::new(survey.columns, &[]).expect("a table");
    texts(file.rows_of_new_table(&table).expect("rows"), &table).expect("good rows")
}

fn into(file: &DataFile, table: &TableSchema) -> Result<Vec<Vec<String>>, String> {
    file.rows(table).and_then(|rows| texts(rows, table)).map_err(|error| error.to_string())
}
