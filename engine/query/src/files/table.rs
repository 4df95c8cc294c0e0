//! Files as a table: its schema and the scan of it. No I/O until the scan runs.
//!
//! **Invariants**
//! 1. Every file is read once, by one partition; only the columns that are asked for are.
//! 2. A thread is held for one batch at a time, and memory for one batch of each partition.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray, new_null_array};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::Stream;
use siltstone_storage::{Column, NewColumn, TableSchema};

use super::{FileAccess, FileBatches, FileReading, FileRows, FoundFile};
use crate::blocking::off_thread;
use crate::names::Spelling;

/// One call: files, how they are read, and the columns they have.
#[derive(Debug)]
pub(crate) struct FileCall {
    pub(super) access: Arc<dyn FileAccess>,
    pub(super) files: Arc<[FoundFile]>,
    pub(super) reading: FileReading,
    pub(super) schema: Arc<TableSchema>,
    /// Whether the last column holds the file's name.
    pub(super) has_filename: bool,
}

impl FileCall {
    pub(super) fn column_names(&self) -> impl Iterator<Item = &str> {
        self.schema.columns().iter().map(|column| column.name.as_str())
    }
}

/// The table of a call, its columns under the names the statement uses for them.
#[derive(Debug)]
pub(crate) struct FileTable {
    call: Arc<FileCall>,
    schema: SchemaRef,
}

impl FileTable {
    pub(super) fn new(call: Arc<FileCall>, spelling: &Spelling) -> Self {
        let field = |column: &Column| column.logical_type.field(&spelling.of(&column.name), true);
        let schema = Arc::new(Schema::new(call.schema.columns().iter().map(field).collect::<Vec<_>>()));
        Self { call, schema }
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let projection = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(self.schema.project(&projection)?);
        let scan = FileScan::new(Arc::clone(&self.call), &projection, schema)?;
        Ok(Arc::new(FileExec::new(Arc::new(scan), state.config().target_partitions())))
    }
}

/// What is read of the files.
#[derive(Debug)]
struct FileScan {
    call: Arc<FileCall>,
    /// The columns to read; at least one, so that rows can be counted.
    wanted: TableSchema,
    /// Where each column of the result comes from.
    places: Vec<Place>,
    schema: SchemaRef,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// This one of the columns that are read.
    Column(usize),
    Filename,
}

impl FileScan {
    fn new(call: Arc<FileCall>, projection: &[usize], schema: SchemaRef) -> Result<Self> {
        let columns = call.schema.columns();
        let of_files = columns.len() - usize::from(call.has_filename);
        let mut wanted: Vec<NewColumn> = Vec::with_capacity(projection.len());
        let mut places = Vec::with_capacity(projection.len());
        let new_column = |column: &Column| NewColumn::new(&column.name, column.logical_type.clone());
        for place in projection {
            if *place < of_files {
                places.push(Place::Column(wanted.len()));
                wanted.push(new_column(&columns[*place]));
            } else {
                places.push(Place::Filename);
            }
        }
        if wanted.is_empty() {
            wanted.extend(columns.first().map(new_column));
        }
        let wanted = TableSchema::new(wanted, &[]).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Self { call, wanted, places, schema })
    }

    fn open(&self, file: &FoundFile) -> crate::error::Result<FileBatches> {
        self.call.access.read(file, &self.call.reading, &self.wanted)
    }

    fn batch(&self, file: &FoundFile, rows: FileRows) -> Result<RecordBatch> {
        let FileRows { rows, columns } = rows;
        let column = |(place, field): (&Place, &FieldRef)| match place {
            Place::Filename => {
                let names = std::iter::repeat_n(file.name.as_str(), rows);
                Arc::new(StringViewArray::from_iter_values(names)) as ArrayRef
            }
            Place::Column(at) => match columns.get(*at) {
                Some(Some(array)) => Arc::clone(array),
                _ => new_null_array(field.data_type(), rows),
            },
        };
        let columns = self.places.iter().zip(self.schema.fields()).map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// The leaf plan node of a call.
#[derive(Debug)]
struct FileExec {
    scan: Arc<FileScan>,
    properties: Arc<PlanProperties>,
    /// The next file that no partition has taken.
    next_file: Arc<AtomicUsize>,
    metrics: ExecutionPlanMetricsSet,
}

impl FileExec {
    fn new(scan: Arc<FileScan>, parallelism: usize) -> Self {
        let partitions = scan.call.files.len().clamp(1, parallelism.max(1));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&scan.schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            scan,
            properties: Arc::new(properties),
            next_file: Arc::default(),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for FileExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileScan { call, wanted, .. } = self.scan.as_ref();
        let columns: Vec<&str> = wanted.columns().iter().map(|column| column.name.as_str()).collect();
        let first = call.files.first().map_or("", |file| &file.name);
        write!(
            f,
            "FileExec: format={:?}, files={}, first={first}, columns=[{}]",
            call.reading.format,
            call.files.len(),
            columns.join(", ")
        )
    }
}

impl ExecutionPlan for FileExec {
    fn name(&self) -> &str {
        "FileExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        Err(DataFusionError::Internal("a scan of files has no children".to_owned()))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        Err(DataFusionError::Internal("a scan of files has no children".to_owned()))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = self.properties.partitioning.partition_count();
        Ok(Arc::new(Self::new(Arc::clone(&self.scan), partitions)))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reader = Reader {
            scan: Arc::clone(&self.scan),
            next_file: Arc::clone(&self.next_file),
            metrics: BaselineMetrics::new(&self.metrics, partition),
            open: None,
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.scan.schema), reader.stream())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One partition at work.
struct Reader {
    scan: Arc<FileScan>,
    next_file: Arc<AtomicUsize>,
    metrics: BaselineMetrics,
    /// The file at hand: its number, and the rest of it.
    open: Option<(usize, FileBatches)>,
}

impl Reader {
    fn stream(self) -> impl Stream<Item = Result<RecordBatch>> + Send {
        futures::stream::try_unfold(self, |mut reader| async move {
            let batch = reader.next().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(batch.map(|batch| (batch, reader)))
        })
    }

    async fn next(&mut self) -> crate::error::Result<Option<RecordBatch>> {
        loop {
            let taken = self.open.take();
            let number = match &taken {
                Some((number, _)) => *number,
                None => self.next_file.fetch_add(1, Ordering::Relaxed),
            };
            if number >= self.scan.call.files.len() {
                self.metrics.done();
                return Ok(None);
            }
            let scan = Arc::clone(&self.scan);
            let read = off_thread(move || step(&scan, number, taken.map(|(_, batches)| batches))).await?;
            if let Some((batch, rest)) = read {
                self.open = Some((number, rest));
                self.metrics.output_rows().add(batch.num_rows());
                return Ok(Some(batch));
            }
        }
    }
}

/// Reads the next batch of a file, which is opened if it is not yet.
fn step(
    scan: &FileScan,
    number: usize,
    batches: Option<FileBatches>,
) -> crate::error::Result<Option<(RecordBatch, FileBatches)>> {
    let file = &scan.call.files[number];
    let mut batches = match batches {
        Some(batches) => batches,
        None => scan.open(file)?,
    };
    match batches.next().transpose()? {
        None => Ok(None),
        Some(rows) => Ok(Some((scan.batch(file, rows)?, batches))),
    }
}
