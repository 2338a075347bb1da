//! `events` and `calls` as SQL sees them: what has landed, and the tail.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use lake::{TableKind, View};

/// One table of one [`View`]. Both tables of a query come from the same view.
#[derive(Debug)]
pub(crate) struct LakeTable {
    kind: TableKind,
    view: Arc<View>,
    landed: Arc<dyn TableProvider>,
}

impl LakeTable {
    pub(crate) fn new(kind: TableKind, view: Arc<View>) -> Result<LakeTable, lake::LakeError> {
        let landed = view.table(kind).snapshot.provider(kind)?;
        Ok(LakeTable { kind, view, landed })
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.kind.arrow()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = self.view.table(self.kind);
        let external = |e| DataFusionError::External(Box::new(e));
        table.snapshot.register_store(session).map_err(external)?;
        let landed = self.landed.scan(session, projection, filters, limit).await?;
        if table.tail.is_empty() {
            return Ok(landed);
        }
        let tail =
            MemorySourceConfig::try_new_exec(std::slice::from_ref(&table.tail), self.schema(), projection.cloned())?;
        UnionExec::try_new(vec![landed, tail])
    }

    /// Files, row groups, pages and rows are skipped by the filters, and what is left is filtered once
    /// more: the tail knows no filters.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
