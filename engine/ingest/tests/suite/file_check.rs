use std::sync::Arc;

use arrow_array::Array;
use siltstone_ingest::{DataFile, FileError, Wanted};
use siltstone_storage::TableSchema;

/// Reads a file as a new table would be made of it. It is refused as its sender's fault, or every row that it gives fits the types found in it.
pub fn check(file: &[u8]) {
    if let Err(FileError::Read(error)) = read(file) {
        panic!("bytes in memory can be read: {error}");
    }
}

/// Reads all rows; gives their number.
pub fn read(file: &[u8]) -> Result<usize, FileError> {
    let file = DataFile::new(Arc::new(file.to_vec()), None)?;
    let survey = file.survey(Wanted::Types)?;
    let Ok(table) = TableSchema::new(survey.columns, &[]) else { return Ok(0) };
    let mut rows = 0;
    for batch in file.rows_of_new_table(&table)? {
        let batch = batch?;
        assert_eq!(batch.first_row, rows as u64);
        for (id, array) in &batch.columns {
            let column = table.column_by_id(*id).expect("a column of the table");
            assert_eq!((array.len(), array.data_type()), (batch.rows, &column.logical_type.arrow()));
        }
        rows += batch.rows;
    }
    Ok(rows)
}
