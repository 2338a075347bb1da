//! Pauses in joins, so that a query that nobody waits for any more ends.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// Makes joins pause between batches of what they find. Of themselves plans pause only where they read, and
/// what a join makes of one batch that it reads may take minutes.
#[derive(Debug)]
pub(crate) struct JoinsPause;

impl PhysicalOptimizerRule for JoinsPause {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(if plan.name().contains("Join") {
                Transformed::yes(Arc::new(CooperativeExec::new(plan)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(plan)
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "joins_pause"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
