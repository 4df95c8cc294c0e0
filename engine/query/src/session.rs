//! The session of a request: its names and settings, the shared limits, and how a query is planned and run under them.
//!
//! **Invariants**
//! 1. All queries of an engine share one memory budget and one spill folder; past its share of the budget a query spills, and
//!    where it cannot, it fails as `Exhausted`.
//! 2. A query sees exactly one snapshot, pinned until its stream is dropped.
//! 3. No plan that changes anything gets as far as being executed here.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{
    FunctionRegistry, SendableRecordBatchStream, SessionState, SessionStateDefaults, TaskContext,
};
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig};
use datafusion::sql::parser::Statement as PlannerStatement;
use datafusion::sql::sqlparser::ast::Statement;
use futures::StreamExt;
use siltstone_storage::{
    Change, Commit, CommitInfo, Committed, Engine, RowCounts, Snapshot, SnapshotId, TableId, TableName, folded_name,
};

use crate::catalog::{Databases, Scope};
use crate::conversions::{Conversions, Stage};
use crate::dml::ATTEMPTS_MAX;
use crate::error::Result;
use crate::files::FileTables;
use crate::functions::aggregates::Combinations;
use crate::functions::arithmetic::Division;
use crate::functions::measure::Measured;
use crate::functions::rewrites::Rewrites;
use crate::functions::session::{SessionFacts, functions};
use crate::functions::{aggregate, higher_order, scalar};
use crate::names::{Defaults, Spelling, resolve};
use crate::output_names::OutputNames;
use crate::query_memory::{QueryMemory, SharedMemory};
use crate::rules::{CheckedArithmetic, ComparedIntervals, HugeIntegers, PlanSubqueries, TimesOfOneUnit, WholeDivision};
use crate::transaction::OpenTransaction;
use crate::types::LakeTypes;
use crate::views::{self, ViewPlans};
use crate::volatile::{self, TempDatabase, visible};
use crate::watch::Watch;
use crate::yielding::YieldingJoins;
use crate::{Output, OutputKind, QueryError, QueryOptions, SessionSettings};

/// Rows of a batch between operators: small enough for caches, large enough to amortise the calls.
const BATCH_ROWS: usize = 8192;
/// Most bytes a sort sets aside for merging what it spilled; small budgets set aside less.
const SORT_MERGE_BYTES_MAX: usize = 10 << 20;
/// The time zone of sessions that name none.
pub(crate) const TIMEZONE_DEFAULT: &str = "UTC";

/// What all sessions of an engine share.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) options: QueryOptions,
    /// Held while DDL is decided and committed, so that statements do not make each other start over.
    pub(crate) ddl: tokio::sync::Mutex<()>,
    /// Held by statements that change rows and were overtaken once, so that they do not overtake each other for ever.
    pub(crate) rewrites: tokio::sync::Mutex<()>,
    /// [`QueryOptions::hidden_tables`], shared with every statement's scope.
    pub(crate) hidden: Arc<[TableName]>,
    /// [`QueryOptions::read_only_databases`], likewise.
    pub(crate) read_only: Arc<[String]>,
    template: SessionState,
    /// The budget of all queries.
    memory: Arc<SharedMemory>,
    /// What queries share but for their memory.
    runtime: Arc<RuntimeEnv>,
}

impl Core {
    /// A share of the memory for one request, and the surroundings its plans run in.
    fn share(&self) -> (Arc<QueryMemory>, Arc<RuntimeEnv>) {
        let memory = Arc::new(QueryMemory::new(self.options.query_memory_bytes, Arc::clone(&self.memory)));
        let pool: Arc<dyn MemoryPool> = Arc::clone(&memory) as _;
        let runtime = RuntimeEnv { memory_pool: pool, ..self.runtime.as_ref().clone() };
        (memory, Arc::new(runtime))
    }

    /// Where unqualified names live unless a session says otherwise.
    pub(crate) fn defaults(&self) -> Defaults {
        Defaults { database: self.options.default_database.clone(), schema: self.options.default_schema.clone() }
    }

    /// Names of functions that give a value.
    pub(crate) fn function_names(&self) -> Vec<String> {
        let state = &self.template;
        let scalar = state.scalar_functions().keys();
        let all = scalar.chain(state.aggregate_functions().keys()).chain(state.window_functions().keys());
        let all = all.chain(state.higher_order_functions().keys());
        // Names that begin with `_` or hold signs are of our own making.
        let plain = |name: &&String| name.starts_with(|c: char| c.is_ascii_alphabetic());
        all.filter(plain).cloned().collect()
    }

    /// Whether a function makes one value of many rows.
    pub(crate) fn is_aggregate(&self, name: &str) -> bool {
        self.template.aggregate_functions().contains_key(&folded_name(name))
    }

    /// Names of functions that stand where tables do.
    pub(crate) fn table_function_names(&self) -> Vec<String> {
        self.template.table_functions().keys().cloned().collect()
    }

    pub(crate) fn new(engine: Engine, options: QueryOptions) -> Result<Self> {
        if let Err(error) = volatile::sweep(&engine) {
            tracing::warn!(%error, "what an earlier run left of temporary tables and attached databases stays");
        }
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![options.spill_folder.clone()]))
            .with_max_temp_directory_size(options.spill_bytes_max);
        // Without a pool of its own: every request gets a share of the budget.
        let runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(disk).build_arc()?;
        let budget_bytes = options.memory_bytes.min(options.query_memory_bytes);
        let mut config = SessionConfig::new()
            .with_target_partitions(options.parallelism.max(1))
            .with_batch_size(BATCH_ROWS)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false);
        let execution = &mut config.options_mut().execution;
        execution.sort_spill_reservation_bytes = (budget_bytes / 32).min(SORT_MERGE_BYTES_MAX);
        // DataFusion 55.2 builds the filter from the plain columns alone: min(a) then hides rows that min(-b) needs.
        config.options_mut().optimizer.enable_aggregate_dynamic_filter_pushdown = false;
        let parser = &mut config.options_mut().sql_parser;
        parser.enable_ident_normalization = false;
        parser.parse_float_as_decimal = true;
        parser.default_null_ordering = "nulls_last".to_owned();
        let rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![
            Arc::new(ResolveGroupingFunction::new()),
            Arc::new(Conversions { stage: Stage::Written }),
            Arc::new(ComparedIntervals),
            Arc::new(TimesOfOneUnit),
            Arc::new(WholeDivision),
            Arc::new(HugeIntegers),
            Arc::new(TypeCoercion::new()),
            Arc::new(Conversions { stage: Stage::Coerced }),
            Arc::new(PlanSubqueries),
        ];
        config.options_mut().execution.time_zone = Some(TIMEZONE_DEFAULT.to_owned());
        // Functions that keep a zone take it when they are registered.
        let zoned = |function: Arc<ScalarUDF>| {
            function.inner().with_updated_config(config.options()).map_or(function, Arc::new)
        };
        let scalar_functions: Vec<Arc<ScalarUDF>> = scalar().into_iter().map(zoned).collect();
        let mut template = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&runtime))
            .with_analyzer_rules(rules)
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_physical_optimizer_rule(Arc::new(CheckedArithmetic))
            .with_physical_optimizer_rule(Arc::new(YieldingJoins))
            .with_type_planner(Arc::new(LakeTypes))
            .with_scalar_functions(scalar_functions)
            .with_higher_order_functions(higher_order())
            .with_aggregate_functions(aggregate())
            .with_window_functions(SessionStateDefaults::default_window_functions())
            .with_table_function_list(crate::functions::series::table_functions())
            .build();
        template.register_function_rewrite(Arc::new(Measured))?;
        Ok(Self {
            hidden: options.hidden_tables.clone().into(),
            memory: Arc::new(SharedMemory::new(options.memory_bytes)),
            runtime,
            read_only: options.read_only_databases.clone().into(),
            engine,
            options,
            ddl: tokio::sync::Mutex::default(),
            rewrites: tokio::sync::Mutex::default(),
            template,
        })
    }
}

/// The names and settings that statements run with, and the open transaction.
pub(crate) struct Session {
    pub(crate) core: Arc<Core>,
    pub(crate) defaults: Defaults,
    pub(crate) timezone: String,
    /// What statements have set since [`Session::begin_request`].
    pub(crate) assigned: Assigned,
    pub(crate) read_only: bool,
    /// Whether `/` divides whole numbers as `//` does.
    pub(crate) integer_division: bool,
    /// Whether statements are only to be checked: plans are not run, changes are not made.
    pub(crate) checking: bool,
    /// Who is said to have made what this session commits.
    author: Option<String>,
    /// Where its temporary tables are.
    pub(crate) temp: TempDatabase,
    /// What `BEGIN` opened.
    pub(crate) transaction: Option<OpenTransaction>,
    /// The request's share of the memory.
    memory: Arc<QueryMemory>,
    runtime: Arc<RuntimeEnv>,
}

/// Which settings statements have changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Assigned {
    pub(crate) defaults: bool,
    pub(crate) timezone: bool,
}

/// A query ready to run.
pub(crate) struct PlannedQuery {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// Its columns under the names the user sees.
    pub(crate) schema: SchemaRef,
    /// The session's time zone.
    pub(crate) zone: Tz,
    pub(crate) task: Arc<TaskContext>,
    memory: Arc<QueryMemory>,
}

/// A query as DataFusion plans it.
pub(crate) struct LogicalQuery {
    pub(crate) plan: LogicalPlan,
    pub(crate) names: OutputNames,
    pub(crate) scope: Arc<Scope>,
    state: SessionState,
}

impl PlannedQuery {
    /// Starts it.
    pub(crate) fn execute(self) -> Result<SendableRecordBatchStream> {
        Ok(execute_stream(self.plan, self.task)?)
    }
}

impl Session {
    /// # Errors
    /// `Catalog Error` if the request's database or schema does not exist.
    #[cfg(test)]
    pub(crate) fn new(core: Arc<Core>, settings: SessionSettings) -> Result<Self> {
        let defaults = core.defaults();
        let mut session = Self::on(core);
        session.begin_request(&defaults, TIMEZONE_DEFAULT, settings)?;
        Ok(session)
    }

    /// A session that no request has come to yet.
    pub(crate) fn on(core: Arc<Core>) -> Self {
        let (memory, runtime) = core.share();
        Self {
            defaults: core.defaults(),
            timezone: TIMEZONE_DEFAULT.to_owned(),
            temp: TempDatabase::new(core.engine.clone()),
            core,
            assigned: Assigned::default(),
            read_only: true,
            integer_division: false,
            checking: false,
            author: None,
            transaction: None,
            memory,
            runtime,
        }
    }

    /// Takes on a request's settings; what it leaves open is as given.
    ///
    /// # Errors
    /// `Catalog Error` if the database or schema does not exist.
    pub(crate) fn begin_request(
        &mut self,
        defaults: &Defaults,
        timezone: &str,
        settings: SessionSettings,
    ) -> Result<()> {
        self.read_only = settings.read_only;
        self.checking = false;
        self.author = settings.author;
        (self.memory, self.runtime) = self.core.share();
        self.set_timezone(settings.timezone.as_deref().unwrap_or(timezone))?;
        self.set_defaults(match (settings.database, settings.schema) {
            (None, None) => defaults.clone(),
            (None, Some(schema)) => Defaults { database: defaults.database.clone(), schema },
            (Some(database), schema) => {
                let schema = schema.unwrap_or_else(|| self.core.options.default_schema.clone());
                Defaults { database, schema }
            }
        })?;
        self.assigned = Assigned::default();
        Ok(())
    }

    /// What statements see: the newest snapshot, or that of the open transaction with its own changes.
    pub(crate) fn snapshot(&self) -> Snapshot {
        visible(self.stored(), Some(self.temp.name()))
    }

    /// The same with what other sessions keep for themselves.
    pub(crate) fn stored(&self) -> Snapshot {
        match &self.transaction {
            Some(open) => open.snapshot(),
            None => self.core.engine.snapshot(),
        }
    }

    /// How often a statement may be decided anew: within a transaction nothing changes underneath.
    pub(crate) fn attempts(&self) -> usize {
        if self.transaction.is_some() { 1 } else { ATTEMPTS_MAX }
    }

    /// What is said of this session's commits unless they say more.
    pub(crate) fn commit_info(&self) -> CommitInfo {
        CommitInfo { author: self.author.clone(), ..CommitInfo::default() }
    }

    /// Makes changes: within the open transaction, else as a commit of their own.
    ///
    /// # Errors
    /// Storage's; an open transaction is then rolled back.
    pub(crate) async fn apply(&mut self, changes: Vec<Change>) -> siltstone_storage::Result<RowCounts> {
        if self.checking {
            return Ok(RowCounts::default());
        }
        match self.transaction.take() {
            Some(open) => {
                let (open, rows) = open.apply(changes).await?;
                self.transaction = Some(open);
                Ok(rows)
            }
            None => {
                let commit = Commit { info: self.commit_info(), ..Commit::new(changes) };
                Ok(self.commit(commit).await?.rows)
            }
        }
    }

    /// [`Self::apply`], provided that the table's rows are those of `since` until then.
    ///
    /// # Errors
    /// As there; `Conflict` if they are not.
    pub(crate) async fn apply_unless_changed(
        &mut self,
        changes: Vec<Change>,
        (table, since): (TableId, SnapshotId),
    ) -> siltstone_storage::Result<RowCounts> {
        if self.checking {
            return Ok(RowCounts::default());
        }
        match &mut self.transaction {
            Some(open) => {
                open.require_unchanged(table);
                self.apply(changes).await
            }
            None => {
                let unchanged = vec![(table, since)];
                let commit = Commit { info: self.commit_info(), unchanged, ..Commit::new(changes) };
                Ok(self.commit(commit).await?.rows)
            }
        }
    }

    /// The session's time zone.
    ///
    /// # Errors
    /// None for a name that [`Self::set_timezone`] let pass.
    pub(crate) fn zone(&self) -> Result<Tz> {
        Ok(self.timezone.parse()?)
    }

    pub(crate) fn set_timezone(&mut self, name: &str) -> Result<()> {
        if name.parse::<Tz>().is_err() {
            return Err(QueryError::not_implemented(format_args!("Unknown TimeZone '{name}'")));
        }
        self.timezone = name.to_owned();
        self.assigned.timezone = true;
        Ok(())
    }

    /// Makes an existing schema the home of unqualified names, under its stored spelling.
    pub(crate) fn set_defaults(&mut self, defaults: Defaults) -> Result<()> {
        let snapshot = self.snapshot();
        let database = snapshot
            .catalog()
            .database(&defaults.database)
            .ok_or_else(|| crate::names::unknown_database(&defaults.database))?;
        let schema = database.schema(&defaults.schema).ok_or_else(|| crate::names::unknown_schema(&defaults.schema))?;
        self.defaults = Defaults { database: database.name().to_owned(), schema: schema.name().to_owned() };
        self.assigned.defaults = true;
        Ok(())
    }

    /// # Errors
    /// If the session or the database may only be read.
    pub(crate) fn check_writable(&self, database: &str) -> Result<()> {
        if self.read_only {
            return Err(QueryError::invalid_input("Cannot execute this statement: the session is read-only"));
        }
        let folded = folded_name(database);
        if self.core.options.read_only_databases.iter().any(|name| folded_name(name) == folded) {
            return Err(QueryError::invalid_input(format_args!(
                "Cannot execute this statement on database \"{database}\" which is attached in read-only mode!"
            )));
        }
        Ok(())
    }

    /// Plans a SELECT or EXPLAIN on a snapshot; while a statement is only checked, as one without rows.
    pub(crate) async fn plan(&self, snapshot: Snapshot, statement: Statement) -> Result<PlannedQuery> {
        let mut planned = self.plan_in(snapshot, statement, &self.defaults, &[]).await?;
        if self.checking {
            planned.plan = Arc::new(EmptyExec::new(planned.plan.schema()));
        }
        Ok(planned)
    }

    /// Plans a query whose rows are needed to plan another, for unqualified names that live in `defaults`, and `within` these views.
    pub(crate) async fn plan_in(
        &self,
        snapshot: Snapshot,
        statement: Statement,
        defaults: &Defaults,
        within: &[TableName],
    ) -> Result<PlannedQuery> {
        let LogicalQuery { plan, names, scope, state } = self.logical(snapshot, statement, defaults, within).await?;
        let plan = state.create_physical_plan(&plan).await?;
        let schema = names.apply(&plan.schema(), &scope.spelling);
        let task = TaskContext::from(&state).with_runtime(Arc::clone(&self.runtime));
        Ok(PlannedQuery { plan, schema, zone: self.zone()?, task: Arc::new(task), memory: Arc::clone(&self.memory) })
    }

    /// The first half of it, for unqualified names that live in `defaults`, and `within` these views.
    pub(crate) async fn logical(
        &self,
        snapshot: Snapshot,
        mut statement: Statement,
        defaults: &Defaults,
        within: &[TableName],
    ) -> Result<LogicalQuery> {
        crate::expansion::lower(self, &snapshot, &mut statement, defaults, within).await?;
        crate::time_travel::lower(self, &snapshot, &mut statement).await?;
        let files = crate::files::lower(self, &snapshot, &mut statement).await?;
        let views = views::plan_named(self, &snapshot, &statement, defaults, within).await?;
        crate::plan_size::check_statement(&statement, |name| views.steps(snapshot.catalog(), defaults, name))?;
        let names = match &mut statement {
            Statement::Query(query) => OutputNames::prepare(query),
            Statement::Explain { statement: explained, .. } => {
                if let Statement::Query(query) = explained.as_mut() {
                    // EXPLAIN has columns of its own.
                    let _names = OutputNames::prepare(query);
                }
                OutputNames::default()
            }
            _ => OutputNames::default(),
        };
        crate::joins::lower(&mut statement)?;
        crate::literals::make_explicit(&mut statement)?;
        let more_columns = views.column_names().chain(files.column_names());
        let spelling = resolve(&mut statement, snapshot.catalog(), defaults, more_columns)?;
        let scope = Arc::new(self.scope(snapshot, spelling, views, files));
        let state = self.state(&scope);
        let logical = state.statement_to_plan(PlannerStatement::Statement(Box::new(statement))).await?;
        crate::plan_size::check(&logical)?;
        let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_queries.verify_plan(&logical)?;
        Ok(LogicalQuery { plan: logical, names, scope, state })
    }

    /// A planner state without any table, for constant expressions.
    pub(crate) fn constant_state(&self) -> SessionState {
        let snapshot = self.snapshot();
        let scope = self.scope(snapshot, Spelling::default(), ViewPlans::default(), FileTables::default());
        self.state(&Arc::new(scope))
    }

    fn scope(&self, snapshot: Snapshot, spelling: Spelling, views: ViewPlans, files: FileTables) -> Scope {
        let (hidden, read_only) = (Arc::clone(&self.core.hidden), Arc::clone(&self.core.read_only));
        Scope { snapshot, spelling, views, files, hidden, read_only }
    }

    fn state(&self, scope: &Arc<Scope>) -> SessionState {
        let mut state = self.core.template.clone();
        state.register_catalog_list(Arc::new(Databases(Arc::clone(scope))));
        let options = state.config_mut().options_mut();
        options.catalog.default_catalog.clone_from(&self.defaults.database);
        options.catalog.default_schema.clone_from(&self.defaults.schema);
        options.execution.time_zone = Some(self.timezone.clone());
        let facts = SessionFacts {
            database: &self.defaults.database,
            schema: &self.defaults.schema,
            timezone: &self.timezone,
            snapshot: scope.snapshot.id(),
        };
        let mut overrides: Vec<_> = functions(&facts);
        if self.timezone != TIMEZONE_DEFAULT {
            // Functions that keep the session's zone take it when they are registered.
            let config = Arc::clone(state.config_options());
            overrides.extend(
                state.scalar_functions().values().filter_map(|function| function.inner().with_updated_config(&config)),
            );
        }
        // Neither registry ever refuses.
        let _registered = state.register_expr_planner(Arc::new(Division { whole: self.integer_division }));
        let _registered = state.register_expr_planner(Arc::new(Combinations));
        let _registered = state.register_function_rewrite(Arc::new(Rewrites));
        for function in overrides {
            // Replacing a function of the same name is the point; a state's registry never refuses.
            let _replaced = state.register_udf(Arc::new(function));
        }
        state.mark_start_execution();
        state
    }

    /// Commits, without blocking the async threads.
    async fn commit(&self, commit: Commit) -> siltstone_storage::Result<Committed> {
        if commit.loads().next().is_some() {
            let engine = self.core.engine.clone();
            return crate::transaction::off_thread(move || engine.write(commit)).await;
        }
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.core.engine.submit(commit, move |outcome| {
            // The statement may have been cancelled; the commit stands all the same.
            let _unheard = sender.send(outcome);
        });
        receiver.await.unwrap_or_else(|_| {
            Err(siltstone_storage::Error::new(
                siltstone_storage::ErrorKind::Unavailable,
                "the engine stopped before it answered; the commit may have been made",
            ))
        })
    }
}

/// A running query as what leaves the crate: batches under the names of `schema`.
pub(crate) fn output(planned: PlannedQuery) -> Result<Output> {
    let schema = Arc::clone(&planned.schema);
    let renamed = Arc::clone(&schema);
    let watch = Some(Watch::new(Arc::clone(&planned.plan), Arc::clone(&planned.memory)));
    let batches = planned.execute()?.map(move |batch| {
        let batch = batch?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&renamed), batch.columns().to_vec(), &options)?)
    });
    Ok(Output { schema, kind: OutputKind::Rows, batches: Box::pin(batches), watch })
}
