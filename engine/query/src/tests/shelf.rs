//! Files that are batches in memory: what SQL makes of files, without any format.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::timezone::Tz;
use siltstone_storage::{NewColumn, TableSchema, same_name};

use super::*;
use crate::{FileAccess, FileBatches, FileFormat, FileReading, FileRows, FileWriter, FileWriting, FoundFile};

#[derive(Clone, Debug)]
struct Stored {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// Files by name. Patterns are prefixes before a `*`.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(Arc<Mutex<BTreeMap<String, Stored>>>);

fn user(message: String) -> QueryError {
    QueryError { kind: crate::QueryErrorKind::User, message }
}

impl Shelf {
    fn get(&self, file: &FoundFile) -> Stored {
        self.0.lock().unwrap()[&file.name].clone()
    }
}

impl FileAccess for Shelf {
    fn find(&self, pattern: &str) -> Result<Vec<FoundFile>, QueryError> {
        let files = self.0.lock().unwrap();
        let matches = |name: &String| match pattern.split_once('*') {
            Some((prefix, _)) => name.starts_with(prefix),
            None => name == pattern,
        };
        let found: Vec<FoundFile> = files
            .keys()
            .filter(|name| matches(name))
            .map(|name| FoundFile { name: name.clone(), path: name.into(), bytes: 1, modified: None })
            .collect();
        if found.is_empty() {
            return Err(user(format!("IO Error: No files found that match the pattern \"{pattern}\"")));
        }
        Ok(found)
    }

    fn columns(&self, files: &[FoundFile], _: &FileReading) -> Result<Vec<NewColumn>, QueryError> {
        let mut columns: Vec<NewColumn> = Vec::new();
        for file in files {
            for field in self.get(file).schema.fields() {
                if !columns.iter().any(|known| same_name(&known.name, field.name())) {
                    columns.push(NewColumn::new(field.name(), LogicalType::from_field(field).unwrap()));
                }
            }
        }
        Ok(columns)
    }

    fn read(&self, file: &FoundFile, _: &FileReading, columns: &TableSchema) -> Result<FileBatches, QueryError> {
        let Stored { schema, batches } = self.get(file);
        let places: Vec<Option<usize>> = columns
            .columns()
            .iter()
            .map(|column| schema.fields().iter().position(|field| same_name(field.name(), &column.name)))
            .collect();
        let types: Vec<LogicalType> = columns.columns().iter().map(|column| column.logical_type.clone()).collect();
        Ok(Box::new(batches.into_iter().map(move |batch| {
            let cast = |(place, ty): (&Option<usize>, &LogicalType)| {
                place.map(|place| arrow::compute::cast(batch.column(place), &ty.arrow()).unwrap())
            };
            let columns = places.iter().zip(&types).map(cast).collect();
            Ok(FileRows { rows: batch.num_rows(), columns })
        })))
    }

    fn create(
        &self,
        path: &str,
        writing: &FileWriting,
        schema: &SchemaRef,
        _: Tz,
    ) -> Result<Box<dyn FileWriter>, QueryError> {
        if writing.format == FileFormat::Json {
            return Err(user("Not implemented Error: this shelf has no JSON".to_owned()));
        }
        let stored = Stored { schema: Arc::clone(schema), batches: Vec::new() };
        Ok(Box::new(Written { shelf: self.clone(), name: path.to_owned(), stored }))
    }
}

struct Written {
    shelf: Shelf,
    name: String,
    stored: Stored,
}

impl FileWriter for Written {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        self.stored.batches.push(batch.clone());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), QueryError> {
        self.shelf.0.lock().unwrap().insert(self.name, self.stored);
        Ok(())
    }
}
