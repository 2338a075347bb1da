//! Texts joined by `||`, within bounds.
//!
//! The operator is planned as a function of all that it joins: it can look at its arguments first, and a chain
//! of thousands is flat.

use std::sync::Arc;

use arrow::array::{Array as _, BooleanArray};
use arrow::compute::{is_null, nullif, or};
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::string::concat;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{Bounds, Makes};

/// Plans `||` of texts.
#[derive(Debug)]
pub(crate) struct JoinedTexts {
    function: Arc<ScalarUDF>,
}

impl Default for JoinedTexts {
    fn default() -> JoinedTexts {
        JoinedTexts {
            function: Arc::new(ScalarUDF::new_from_impl(Joined {
                inner: concat(),
                signature: Signature::user_defined(Volatility::Immutable),
            })),
        }
    }
}

impl ExprPlanner for JoinedTexts {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        if op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let kind = right.get_type(schema)?;
        let args = match left {
            // A chain: what was joined so far, and one more.
            Expr::ScalarFunction(mut joined) if joined.func == self.function && !kind.is_nested() => {
                joined.args.push(right);
                joined.args
            }
            left if join_as_texts(&left.get_type(schema)?, &kind) => vec![left, right],
            left => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        };
        let function = Arc::clone(&self.function);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(
            function, args,
        ))))
    }
}

/// Whether the operator joins them as texts: lists it joins as lists.
fn join_as_texts(left: &DataType, right: &DataType) -> bool {
    let is_text = |kind: &DataType| kind.is_string() || kind.is_binary() || kind.is_null();
    (is_text(left) || is_text(right)) && !left.is_nested() && !right.is_nested()
}

/// The function. Other than `concat` it gives null where one argument is null.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        "||"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(ToString::to_string).collect::<Vec<_>>().join(" || "))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names = args.iter().map(|arg| arg.schema_name().to_string());
        Ok(names.collect::<Vec<_>>().join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bounds = Bounds {
            name: self.name(),
            makes: Makes::Joined,
        };
        bounds.invoke(args, |args| self.join(args))
    }
}

impl Joined {
    fn join(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let null = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(scalar) if scalar.is_null());
        if args.args.iter().any(null) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(args.return_type())?));
        }
        let mut nulls: Option<BooleanArray> = None;
        for arg in &args.args {
            if let ColumnarValue::Array(array) = arg
                && array.null_count() > 0
            {
                let more = is_null(array)?;
                nulls = Some(match nulls {
                    Some(nulls) => or(&nulls, &more)?,
                    None => more,
                });
            }
        }
        let joined = self.inner.invoke_with_args(args)?;
        match (joined, nulls) {
            (ColumnarValue::Array(array), Some(nulls)) => Ok(ColumnarValue::Array(nullif(&array, &nulls)?)),
            (joined, _) => Ok(joined),
        }
    }
}
