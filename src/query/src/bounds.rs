//! Functions that make much out of little, within bounds.
//!
//! The memory pool counts what sorting, grouping and joining hold, but not what a function returns:
//! `range(0, 60000000)` is one row of half a GiB.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The most elements that a function may make of one batch of rows.
const MAX_ELEMENTS: i128 = 10_000_000;
/// The most text, in bytes.
const MAX_TEXT: i128 = 64 << 20;

/// What a function's arguments say of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Makes {
    /// From, to, step.
    Series,
    /// A value, how often.
    Repeated,
    /// A list, how long, filled up with what.
    Resized,
    /// A text, how often.
    Text,
    /// A text, how long, filled up with what.
    Padded,
}

const BOUNDED: [(&str, Makes); 7] = [
    ("range", Makes::Series),
    ("generate_series", Makes::Series),
    ("array_repeat", Makes::Repeated),
    ("array_resize", Makes::Resized),
    ("repeat", Makes::Text),
    ("lpad", Makes::Padded),
    ("rpad", Makes::Padded),
];

/// Bounds the functions of a session.
pub(crate) fn bound(state: &mut SessionState) -> Result<()> {
    for (name, makes) in BOUNDED {
        if let Some(inner) = state.scalar_functions().get(name).cloned() {
            state.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, makes })))?;
        }
    }
    Ok(())
}

/// A function that looks at its arguments first.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    makes: Makes,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, context)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }
}

impl Bounded {
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let scalar = (args.args.iter()).all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let arrays = (args.args.iter())
            .map(|arg| arg.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let (elements, text) = match (self.makes, arrays.as_slice()) {
            (Makes::Series, arrays) => (series(arrays)?, 0),
            (Makes::Repeated, [value, times, ..]) => repeated(Some(value), times)?,
            (Makes::Resized, [_, length, rest @ ..]) => repeated(rest.first(), length)?,
            (Makes::Text, [text, times, ..]) => (0, repeated(Some(text), times)?.1),
            (Makes::Padded, [_, length, rest @ ..]) => (0, padded(rest.first(), length)?),
            _ => (0, 0),
        };
        let refuse = |what: String| Err(DataFusionError::ResourcesExhausted(what));
        let name = self.name();
        if elements > MAX_ELEMENTS {
            let instead = match self.makes {
                Makes::Series => format!("; as a table, `from {name}(…)`, it may make any number of rows"),
                _ => String::new(),
            };
            return refuse(format!(
                "{name} would make {elements} elements of one batch of rows, and {MAX_ELEMENTS} are the most{instead}"
            ));
        }
        if text > MAX_TEXT {
            return refuse(format!(
                "{name} would make {text} bytes of one batch of rows, and {MAX_TEXT} are the most"
            ));
        }
        Ok(())
    }
}

fn integers(array: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// Elements of series.
fn series(arrays: &[ArrayRef]) -> Result<i128> {
    let (start, stop, step) = match arrays {
        [stop] => (None, stop, None),
        [start, stop] => (Some(start), stop, None),
        [start, stop, step] => (Some(start), stop, Some(step)),
        _ => return Ok(0),
    };
    let count = |start: i128, stop: i128, step: i128| match step {
        0 => 0,
        _ => ((stop - start) / step + 1).max(0),
    };
    if stop.data_type().is_integer() {
        let start = start.map(integers).transpose()?;
        let step = step.map(integers).transpose()?;
        let at = |of: &Option<Int64Array>, row: usize, absent: i128| match of {
            Some(of) => of.is_valid(row).then(|| of.value(row).into()),
            None => Some(absent),
        };
        let stop = integers(stop)?;
        return Ok((0..stop.len())
            .filter_map(|row| {
                let stop = stop.is_valid(row).then(|| stop.value(row).into())?;
                Some(count(at(&start, row, 0)?, stop, at(&step, row, 1)?))
            })
            .sum());
    }
    let (Some(start), Some(step)) = (start, step) else {
        return Ok(0);
    };
    let step = cast(step, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let step = step.as_primitive::<IntervalMonthDayNanoType>();
    let instants = |of: &ArrayRef| integers(&cast(of, &DataType::Timestamp(TimeUnit::Microsecond, None))?);
    let (from, to) = (instants(start)?, instants(stop)?);
    let mut elements = 0;
    for row in 0..to.len() {
        if start.is_null(row) || stop.is_null(row) || step.is_null(row) {
            continue;
        }
        if from.is_null(row) || to.is_null(row) {
            // Too far away to be told in microseconds.
            return Ok(i128::from(i64::MAX));
        }
        let (months, days, nanos) = IntervalMonthDayNanoType::to_parts(step.value(row));
        const DAY: i128 = 86_400_000_000_000;
        // No month is shorter.
        let step = (i128::from(months) * 28 + i128::from(days)) * DAY + i128::from(nanos);
        elements += count(
            i128::from(from.value(row)) * 1000,
            i128::from(to.value(row)) * 1000,
            step,
        );
    }
    Ok(elements)
}

/// Elements, and bytes where their values have lengths of their own.
fn repeated(value: Option<&ArrayRef>, times: &ArrayRef) -> Result<(i128, i128)> {
    let times = integers(times)?;
    let (mut elements, mut bytes) = (0, 0);
    for row in (0..times.len()).filter(|row| times.is_valid(*row)) {
        let times = i128::from(times.value(row)).max(0);
        elements += times;
        if let Some(value) = value.filter(|value| times > 1 && !value.data_type().is_primitive()) {
            bytes += times * size(value, row)?;
        }
    }
    Ok((elements, bytes))
}

/// Bytes of a value.
fn size(of: &ArrayRef, row: usize) -> Result<i128> {
    let bytes = match of.data_type() {
        DataType::Null => 0,
        DataType::Utf8 => of.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => of.as_string::<i64>().value(row).len(),
        DataType::Utf8View => of.as_string_view().value(row).len(),
        DataType::BinaryView => of.as_binary_view().value(row).len(),
        _ => of.slice(row, 1).to_data().get_slice_memory_size()?,
    };
    Ok(bytes as i128)
}

/// Bytes of padded texts; lengths are in characters.
fn padded(fill: Option<&ArrayRef>, length: &ArrayRef) -> Result<i128> {
    let length = integers(length)?;
    let fill = fill.map(|fill| cast(fill, &DataType::Utf8View)).transpose()?;
    let mut bytes = 0;
    for row in (0..length.len()).filter(|row| length.is_valid(*row)) {
        let wide = (fill.as_ref()).is_some_and(|fill| !fill.as_string_view().value(row).is_ascii());
        bytes += i128::from(length.value(row)).max(0) * if wide { 4 } else { 1 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use lake::{Lake, Tail};

    use crate::{Engine, EngineOptions};

    #[tokio::test]
    async fn much_out_of_little_is_refused() {
        let lake = Lake::in_memory().await.unwrap();
        let tail = Tail::offline(&lake, None).await.unwrap();
        let engine = Engine::open(tail, EngineOptions::default()).unwrap();
        for sql in [
            "select length(array_to_string(range(0, 60000000), ''))",
            "select cardinality(range(60000000))",
            "select cardinality(generate_series(1, 60000000))",
            "select cardinality(generate_series(60000000, 1, -1))",
            "select sum(cardinality(range(0, value))) from generate_series(1, 8000) where value > 0",
            "select cardinality(range(timestamp '2000-01-01', timestamp '2030-01-01', interval '1 second'))",
            "select cardinality(array_repeat(1, 60000000))",
            "select cardinality(list_repeat(repeat('x', 1000000), 1000))",
            "select cardinality(array_resize([1], 60000000, 2))",
            "select length(repeat('x', 100000000))",
            "select sum(length(repeat('x', value * 10))) from generate_series(1, 8000)",
            "select length(lpad('x', 100000000))",
            "select length(rpad('x', 100000000, 'é'))",
        ] {
            let error = engine.collect(sql).await.unwrap_err();
            assert_eq!(error.code(), "out_of_memory", "{sql}: {error:?}");
            assert!(error.to_string().contains(" are the most"), "{sql}: {error}");
        }
        for sql in [
            "select range(0, 5), range(5, 0, -1), range(5, 0), generate_series(date '2026-01-01', date '2026-03-01', interval '1 month')",
            "select range(null, 5), repeat(null, 3), lpad(null, 3), array_repeat(null, 3), array_resize([1], 3), repeat('ab', -1)",
            "select sum(cardinality(range(0, value))) from generate_series(1, 1000)",
            "select lpad(app, 10, '.'), rpad(app, 10), repeat(app, 2), array_repeat(app, 3), list_repeat(tags, 2) from calls",
            "select count(*) from generate_series(1, 20000000)",
        ] {
            engine.collect(sql).await.unwrap();
        }
    }
}
