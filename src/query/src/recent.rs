//! `recent_calls(n)`: the last calls with their texts, without reading anybody else's.
//!
//! `SELECT * FROM calls ORDER BY started_at DESC LIMIT 20` must sort whole rows, texts included.
//! Here ids and times are sorted first, and then the texts of those few calls are fetched.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableType, col, lit};
use datafusion::physical_plan::{ExecutionPlan, collect};
use lake::TableKind;

use crate::table::LakeTable;

/// The most calls that are fetched this way.
const MAX_CALLS: usize = 10_000;
const DEFAULT_CALLS: usize = 100;

/// The table function.
#[derive(Debug)]
pub(crate) struct RecentCalls(pub(crate) Arc<LakeTable>);

impl TableFunctionImpl for RecentCalls {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let count = match args.exprs() {
            [] => DEFAULT_CALLS,
            [Expr::Literal(ScalarValue::Int64(Some(n)), _)] => match usize::try_from(*n) {
                Ok(n) if n <= MAX_CALLS => n,
                _ => return plan_err!("recent_calls({n}): from 0 to {MAX_CALLS}"),
            },
            _ => return plan_err!("recent_calls takes one number: recent_calls(20)"),
        };
        Ok(Arc::new(Recent {
            calls: self.0.clone(),
            count,
        }))
    }
}

#[derive(Debug)]
struct Recent {
    calls: Arc<LakeTable>,
    count: usize,
}

#[async_trait]
impl TableProvider for Recent {
    fn schema(&self) -> SchemaRef {
        TableKind::Calls.arrow()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let calls = || LogicalPlanBuilder::scan("calls", provider_as_source(self.calls.clone()), None);
        let newest_first = || vec![col("started_at").sort(false, false), col("call_id").sort(false, false)];
        let ids = calls()?
            .project(vec![col("call_id"), col("started_at")])?
            .sort(newest_first())?
            .limit(0, Some(self.count))?
            .build()?;
        let ids = collect(session.create_physical_plan(&ids).await?, session.task_ctx()).await?;
        let mut wanted = Vec::with_capacity(self.count);
        let mut oldest: Option<i64> = None;
        for batch in &ids {
            let started = batch.column(1).as_primitive::<TimestampMicrosecondType>();
            oldest = oldest.into_iter().chain(started.values().iter().copied()).min();
            let ids = batch.column(0).as_string_view();
            wanted.extend(
                ids.iter()
                    .flatten()
                    .map(|id| lit(ScalarValue::Utf8View(Some(id.to_owned())))),
            );
        }
        let since = lit(ScalarValue::TimestampMicrosecond(
            Some(oldest.unwrap_or(i64::MAX)),
            Some("UTC".into()),
        ));
        let mut plan = calls()?
            .filter(
                col("started_at")
                    .gt_eq(since)
                    .and(col("call_id").in_list(wanted, false)),
            )?
            .sort(newest_first())?;
        if let Some(projection) = projection {
            let schema = self.schema();
            plan = plan.project(projection.iter().map(|i| col(schema.field(*i).name())))?;
        }
        session.create_physical_plan(&plan.build()?).await
    }
}
