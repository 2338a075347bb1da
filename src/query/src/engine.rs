//! The engine: one way to make a session, one way to run a query.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::catalog::{CatalogProviderList, SchemaProvider};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use lake::{TableKind, Tail};

use crate::QueryError;
use crate::bounds::{JoinedTexts, bound};
use crate::json::{self, JsonOperators};
use crate::length;
use crate::named::resolve;
use crate::pauses::JoinsPause;
use crate::recent::RecentCalls;
use crate::table::LakeTable;
use crate::threads::Threads;

/// Limits of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Memory that all queries together may use for sorting, grouping and joining, bytes; more than
    /// that goes to temporary files where it can, else the query fails.
    pub memory_bytes: usize,
    /// The longest that one statement may run.
    pub timeout: Duration,
    /// How many partitions a query is split into; `None`: one for each core.
    pub partitions: Option<usize>,
    /// The stack of each thread that plans and runs queries. Chains of operators are nested as deep as they
    /// are long, and most of what plans them recurses. It is address space: memory only as far as it is used.
    pub stack_bytes: usize,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            memory_bytes: 1 << 30,
            timeout: Duration::from_secs(60),
            partitions: None,
            stack_bytes: STACK_BYTES,
        }
    }
}

/// What the worst query within [`length`]'s limits needs is less than a quarter of it, where nothing is
/// optimised and frames are largest; see the tests in `worst`.
pub(crate) const STACK_BYTES: usize = 256 << 20;

/// Answers SQL over the lake and its tail, on threads of its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    planner: Planner,
    timeout: Duration,
    threads: Arc<Threads>,
}

/// What a query's thread needs.
#[derive(Clone, Debug)]
struct Planner {
    tail: Tail,
    base: SessionState,
}

/// Catalog and schema of the tables.
const CATALOG: &str = "weir";
const SCHEMA: &str = "public";

impl Engine {
    /// An engine over what `tail` shows: a running lander's, or [`Tail::offline`].
    pub fn open(tail: Tail, options: EngineOptions) -> Result<Engine, QueryError> {
        let mut config = SessionConfig::new()
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_parquet_bloom_filter_pruning(true)
            .with_parquet_page_index_pruning(true);
        if let Some(partitions) = options.partitions {
            config = config.with_target_partitions(partitions);
        }
        let parquet = &mut config.options_mut().execution.parquet;
        // Without it a filter reads every column of every row: 30 times slower on real questions.
        parquet.pushdown_filters = true;
        parquet.reorder_filters = true;
        let consumers = std::num::NonZeroUsize::MIN.saturating_add(4);
        let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory_bytes), consumers);
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
        let mut base = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_expr_planners(vec![Arc::new(JoinedTexts::default()), Arc::new(JsonOperators)])
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(JoinsPause))
            .build();
        json::register(&mut base)?;
        bound(&mut base)?;
        Ok(Engine {
            planner: Planner { tail, base },
            timeout: options.timeout,
            threads: Arc::new(Threads::start(&options)?),
        })
    }

    /// Runs one query, or the named query `@name`. Rows come as they are found; the time limit counts
    /// from now to the last row. Dropping them, or this future, ends the query.
    pub async fn sql(&self, sql: &str) -> Result<SendableRecordBatchStream, QueryError> {
        let sql = resolve(sql)?.into_owned();
        length::check(&sql)?;
        let planner = self.planner.clone();
        let begin = async move {
            let context = planner.session()?;
            let plan = planner.plan(&context, &sql).await?;
            let frame = context.execute_logical_plan(plan).await?;
            Ok(frame.execute_stream().await?)
        };
        Ok(Box::pin(self.threads.run(self.timeout, begin).await?))
    }

    /// Runs one query and gathers its rows.
    pub async fn collect(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        use futures::TryStreamExt as _;
        Ok(self.sql(sql).await?.try_collect().await?)
    }

    /// Ends every query with [`QueryError::Stopping`], and begins no other one.
    pub fn stop(&self) {
        self.threads.stop();
    }

    /// The same, and blocks until the threads have ended, so long at most.
    pub fn close(&self, patience: Duration) {
        self.threads.close(patience);
    }
}

impl Planner {
    /// A session over what is visible at this moment, for one statement: both tables show the same
    /// moment however long it runs. Every way to ask (command line, HTTP, wire protocols) uses it.
    fn session(&self) -> Result<SessionContext, QueryError> {
        let view = self.tail.view();
        let schema = MemorySchemaProvider::new();
        let events = Arc::new(LakeTable::new(TableKind::Events, view.clone())?);
        let calls = Arc::new(LakeTable::new(TableKind::Calls, view)?);
        schema.register_table(TableKind::Events.name().to_owned(), events)?;
        schema.register_table(TableKind::Calls.name().to_owned(), calls.clone())?;
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(schema))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        let state = SessionStateBuilder::new_from_existing(self.base.clone())
            .with_catalog_list(Arc::new(catalogs))
            .build();
        let context = SessionContext::new_with_state(state);
        context.register_udtf("recent_calls", Arc::new(RecentCalls(calls)));
        Ok(context)
    }

    /// The plan of a query, if it is one statement that only reads.
    async fn plan(&self, context: &SessionContext, sql: &str) -> Result<LogicalPlan, QueryError> {
        let state = context.state();
        let dialect = state.config().options().sql_parser.dialect;
        let statement = state.sql_to_statement(sql, &dialect)?;
        if let Some(what) = writes(&statement) {
            return Err(QueryError::ReadOnly(what));
        }
        let plan = state.statement_to_plan(statement).await?;
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        options
            .verify_plan(&plan)
            .map_err(|error| QueryError::ReadOnly(refused(&error.strip_backtrace())))?;
        Ok(plan)
    }
}

/// The statement's first word, if it would write or change the session.
fn writes(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Statement(sql) => match sql.as_ref() {
            SqlStatement::Query(_)
            | SqlStatement::Explain { .. }
            | SqlStatement::ExplainTable { .. }
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. }
            | SqlStatement::ShowVariable { .. }
            | SqlStatement::ShowVariables { .. }
            | SqlStatement::ShowFunctions { .. } => None,
            other => Some(first_words(&other.to_string())),
        },
        Statement::Explain(_) => None,
        other => Some(first_words(&other.to_string())),
    }
}

fn first_words(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().take(2).collect();
    words.join(" ")
}

fn refused(error: &str) -> String {
    let what = error.split_once(": ").map_or(error, |(_, what)| what);
    what.trim_start_matches("DML not supported: ")
        .trim_start_matches("DDL not supported: ")
        .to_owned()
}
