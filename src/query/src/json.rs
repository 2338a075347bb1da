//! JSON within texts: `request_body->>'model'`, `json_get_int(body, 'usage', 'input_tokens')`.
//!
//! The functions are those of `datafusion-functions-json`, save the ones whose values are a union of types:
//! neither Parquet nor CSV can hold one.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::{Between, BinaryExpr, InList, Like, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use datafusion_functions_json::udfs;

/// Adds the functions to a session.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for function in [
        udfs::json_as_text_udf(),
        udfs::json_contains_udf(),
        udfs::json_get_array_udf(),
        udfs::json_get_bool_udf(),
        udfs::json_get_float_udf(),
        udfs::json_get_int_udf(),
        udfs::json_get_json_udf(),
        udfs::json_get_str_udf(),
        udfs::json_length_udf(),
        udfs::json_object_keys_udf(),
    ] {
        state.register_udf(function)?;
    }
    Ok(())
}

/// PostgreSQL's operators: `->` gives JSON text, `->>` what it says.
#[derive(Debug)]
pub(crate) struct JsonOperators;

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let function: Arc<ScalarUDF> = match expr.op {
            BinaryOperator::Arrow | BinaryOperator::HashArrow => udfs::json_get_json_udf(),
            BinaryOperator::LongArrow | BinaryOperator::HashLongArrow => udfs::json_as_text_udf(),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(bind(&function, expr.left, expr.right)))
    }
}

/// `function` of `left` and of what stands first in `right`: the parser lets `=` and the like bind more tightly
/// than these operators, PostgreSQL does not, and a comparison is no key.
fn bind(function: &Arc<ScalarUDF>, left: Expr, right: Expr) -> Expr {
    let inner = |first: Box<Expr>| Box::new(bind(function, left.clone(), *first));
    match right {
        Expr::BinaryExpr(binary) => Expr::BinaryExpr(BinaryExpr {
            left: inner(binary.left),
            ..binary
        }),
        Expr::Like(like) => Expr::Like(Like {
            expr: inner(like.expr),
            ..like
        }),
        Expr::InList(list) => Expr::InList(InList {
            expr: inner(list.expr),
            ..list
        }),
        Expr::Between(between) => Expr::Between(Between {
            expr: inner(between.expr),
            ..between
        }),
        Expr::IsNull(first) => Expr::IsNull(inner(first)),
        Expr::IsNotNull(first) => Expr::IsNotNull(inner(first)),
        key => {
            let args = match left {
                // A way into the document: it is read once.
                Expr::ScalarFunction(call) if call.func == udfs::json_get_json_udf() => [call.args, vec![key]].concat(),
                left => vec![left, key],
            };
            Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args))
        }
    }
}
