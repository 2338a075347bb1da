//! Functions that make much out of little, within bounds.
//!
//! The memory pool counts what sorting, grouping and joining hold, but not what a function returns:
//! `range(0, 60000000)` is one row of half a GiB.

mod joined;
mod measure;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

pub(crate) use joined::JoinedTexts;
use measure::{Column, padded, repeated, series, size};

/// The most elements that a function may make of one batch of rows.
const MAX_ELEMENTS: i128 = 10_000_000;
/// The most text, in bytes, unless it was given as much.
const MAX_TEXT: i128 = 64 << 20;
/// The most text that a function which was given much may make of one batch of rows, in bytes.
const MAX_MADE: i128 = 1 << 30;
/// The most text of constants alone, in bytes: it may stand in every row of a batch, of which there are 8192.
const MAX_CONSTANT: i128 = MAX_MADE / 8192;

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
    /// Texts, one after the other.
    Joined,
    /// What stands between, and texts.
    Separated,
    /// A list, what stands between its elements, what stands for null.
    Listed,
    /// A text, what is replaced in it, by what.
    Replaced,
    /// A text, what expression is replaced in it, by what, how.
    Matched,
}

const BOUNDED: [(&str, Makes); 12] = [
    ("range", Makes::Series),
    ("generate_series", Makes::Series),
    ("array_repeat", Makes::Repeated),
    ("array_resize", Makes::Resized),
    ("repeat", Makes::Text),
    ("lpad", Makes::Padded),
    ("rpad", Makes::Padded),
    ("concat", Makes::Joined),
    ("concat_ws", Makes::Separated),
    ("array_to_string", Makes::Listed),
    ("replace", Makes::Replaced),
    ("regexp_replace", Makes::Matched),
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
        let simplified = self.inner.simplify(args, context)?;
        let ExprSimplifyResult::Simplified(Expr::ScalarFunction(mut call)) = simplified else {
            return Ok(simplified);
        };
        // It knows nothing of bounds.
        let bounded = BOUNDED.iter().find(|(name, _)| *name == call.func.name());
        if let Some((_, makes)) = bounded {
            let (inner, makes) = (call.func, *makes);
            call.func = Arc::new(ScalarUDF::new_from_impl(Bounded { inner, makes }));
        }
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(call)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bounds = Bounds {
            name: self.name(),
            makes: self.makes,
        };
        match self.makes {
            Makes::Series | Makes::Repeated | Makes::Resized | Makes::Text | Makes::Padded => {
                bounds.check(&args)?;
                self.inner.invoke_with_args(args)
            }
            _ => bounds.invoke(args, |args| self.inner.invoke_with_args(args)),
        }
    }
}

/// The arguments of a function, and of how many rows they are.
fn columns(args: &ScalarFunctionArgs) -> Result<(Vec<Column>, usize, bool)> {
    let constant = (args.args.iter()).all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { args.number_rows };
    let columns = args.args.iter().map(Column::new).collect::<Result<_>>()?;
    Ok((columns, rows, constant))
}

/// The bounds of one function.
struct Bounds<'f> {
    name: &'f str,
    makes: Makes,
}

impl Bounds<'_> {
    /// Refuses arguments that say that much would be made of them.
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let (columns, rows, constant) = columns(args)?;
        let (elements, text) = match (self.makes, columns.as_slice()) {
            (Makes::Series, columns) => (series(columns, rows)?, 0),
            (Makes::Repeated, [value, times, ..]) => repeated(Some(value), times, rows)?,
            (Makes::Resized, [_, length, rest @ ..]) => repeated(rest.first(), length, rows)?,
            (Makes::Text, [text, times, ..]) => (0, repeated(Some(text), times, rows)?.1),
            (Makes::Padded, [_, length, rest @ ..]) => (0, padded(rest.first(), length, rows)?),
            _ => (0, 0),
        };
        if elements > MAX_ELEMENTS {
            let instead = match self.makes {
                Makes::Series => format!("; as a table, `from {}(…)`, it may make any number of rows", self.name),
                _ => String::new(),
            };
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} would make {elements} elements of one batch of rows, and {MAX_ELEMENTS} are the most{instead}",
                self.name
            )));
        }
        let texts = constant && !matches!(self.makes, Makes::Repeated | Makes::Resized);
        self.allow(text, if texts { MAX_CONSTANT } else { MAX_TEXT }, constant)
    }

    fn allow(&self, text: i128, most: i128, constant: bool) -> Result<()> {
        if text <= most {
            return Ok(());
        }
        let of = if constant { "constants" } else { "one batch of rows" };
        Err(DataFusionError::ResourcesExhausted(format!(
            "{} would make {text} bytes of {of}, and {most} are the most",
            self.name
        )))
    }

    /// Has `function` make its texts. What it makes depends on more than can be told beforehand, so where it
    /// may be much it is made in parts, and counted.
    fn invoke(
        &self,
        args: ScalarFunctionArgs,
        function: impl Fn(ScalarFunctionArgs) -> Result<ColumnarValue>,
    ) -> Result<ColumnarValue> {
        let (columns, rows, constant) = columns(&args)?;
        let (mut given, mut worst) = (0, 0);
        for column in &columns {
            given += (0..column.len())
                .map(|row| size(&column.array, row))
                .sum::<Result<i128>>()?;
        }
        // Where each part ends.
        let mut ends = Vec::new();
        for row in 0..rows {
            let more = self.worst(&columns, row)?;
            self.allow(more, MAX_MADE, constant)?;
            if worst + more > MAX_TEXT && worst > 0 {
                ends.push(row);
                worst = 0;
            }
            worst += more;
        }
        ends.push(rows);
        let most = match constant {
            true => MAX_CONSTANT,
            false => MAX_TEXT.max((2 * given).min(MAX_MADE)),
        };
        if ends.len() == 1 && worst <= most {
            return function(args);
        }
        if constant {
            let made = function(args)?;
            self.allow(size(&made.to_array(1)?, 0)?, most, constant)?;
            return Ok(made);
        }
        let (mut begin, mut made) = (0, 0);
        let mut parts: Vec<ArrayRef> = Vec::with_capacity(ends.len());
        for end in ends {
            let part = function(part(&args, begin, end - begin))?.into_array(end - begin)?;
            made += (0..part.len()).map(|row| size(&part, row)).sum::<Result<i128>>()?;
            self.allow(made, most, constant)?;
            parts.push(part);
            begin = end;
        }
        let parts: Vec<&dyn arrow::array::Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&parts)?))
    }

    /// The most bytes that may be made of a row.
    fn worst(&self, columns: &[Column], row: usize) -> Result<i128> {
        let size = |column: &Column| size(&column.array, column.at(row));
        let sum = |columns: &[Column]| columns.iter().map(size).sum::<Result<i128>>();
        Ok(match (self.makes, columns) {
            (Makes::Joined, texts) => sum(texts)?,
            (Makes::Separated, [between, texts @ ..]) => sum(texts)? + size(between)? * texts.len() as i128,
            (Makes::Listed, [list, rest @ ..]) => {
                // Numbers are longer as texts: the longest is a float of 330 digits, most have a few.
                const LONGEST: i128 = 32;
                let (bytes, elements) = (size(list)?, list.elements(row)?);
                bytes + elements * (sum(rest)? + LONGEST)
            }
            (Makes::Replaced, [text, from, to, ..]) => {
                let (text, from, to) = (size(text)?, size(from)?, size(to)?);
                // Nothing stands between any two characters, before the first and behind the last.
                let places = if from == 0 { text + 1 } else { text / from };
                text + places * to
            }
            (Makes::Matched, [text, _, to, ..]) => {
                let (text, by) = (size(text)?, size(to)?);
                // Each may stand for all that matched, and matches do not overlap.
                let groups = by / 2;
                text + (text + 1) * by + groups * text
            }
            _ => 0,
        })
    }
}

/// So many rows of the arguments.
fn part(args: &ScalarFunctionArgs, begin: usize, rows: usize) -> ScalarFunctionArgs {
    let slice = |arg: &ColumnarValue| match arg {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(begin, rows)),
        scalar @ ColumnarValue::Scalar(_) => scalar.clone(),
    };
    ScalarFunctionArgs {
        args: args.args.iter().map(slice).collect(),
        arg_fields: args.arg_fields.clone(),
        number_rows: rows,
        return_field: Arc::clone(&args.return_field),
        config_options: Arc::clone(&args.config_options),
    }
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
            "select length(repeat(repeat('x', 60000), value)) from generate_series(1, 8192)",
            "select length(repeat('x', 60000000))",
            "select length(replace(repeat('a', 60000), 'a', repeat('b', 60000)))",
            "select length(replace(repeat('a', value), 'a', repeat('b', 60000))) from generate_series(60000, 60100)",
            "select length(replace(repeat('a', value), '', repeat('b', 60000))) from generate_series(60000, 60100)",
            "select length(regexp_replace(repeat('a', value), '.', repeat('b', 60000), 'g')) from generate_series(60000, 60100)",
            "select length(regexp_replace(repeat('a', value), '(.*)', repeat('\\1', 30000))) from generate_series(60000, 60100)",
            "select length(array_to_string(range(0, value), repeat('b', 60000))) from generate_series(60000, 60100)",
            "select length(concat(repeat('x', 60000), value)) from generate_series(1, 8192)",
            "select length(concat_ws(repeat('x', 60000), value, value)) from generate_series(1, 8192)",
            "select length(repeat('x', 60000) || value) from generate_series(1, 8192)",
            "select length(value || repeat('x', 60000) || repeat('y', 60000)) from generate_series(1, 8192)",
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
            "select replace(app, 'a', 'bb'), regexp_replace(app, '(a)', '\\1\\1', 'g'), array_to_string(tags, ', '), \
             concat(app, '-', user_id), concat_ws(', ', app, user_id), app || ' of ' || user_id from calls",
            "select sum(length(replace(repeat('ab', 2000), 'a', 'aaaa'))) from generate_series(1, 8192)",
        ] {
            engine.collect(sql).await.unwrap();
        }
    }

    async fn one(engine: &Engine, sql: &str) -> String {
        let batches = engine.collect(sql).await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&batches)
            .unwrap()
            .to_string();
        let row = shown.lines().nth(3).unwrap();
        row.trim_matches(['|', ' ']).to_owned()
    }

    #[tokio::test]
    async fn what_is_made_in_parts_is_what_is_made_at_once() {
        let lake = Lake::in_memory().await.unwrap();
        let tail = Tail::offline(&lake, None).await.unwrap();
        let engine = Engine::open(tail, EngineOptions::default()).unwrap();
        for (sql, said) in [
            // 16 MiB of which more than a GiB might be made.
            (
                "select sum(length(t)) = 8192 * 2000 + 900 and bool_and((value < 10) = (length(t) = 2100)) from \
                 (select value, replace(repeat('ab', 1000) || case when value < 10 then '0' else '' end, '0', \
                 repeat('-', 100)) t from generate_series(1, 8192))",
                "true",
            ),
            (
                "select sum(length(t)) = 8192 * 2000 + 900 and bool_and((value < 10) = (length(t) = 2100)) from \
                 (select value, regexp_replace(repeat('ab', 1000) || case when value < 10 then '0' else '' end, '0', \
                 repeat('-', 100), 'g') t from generate_series(1, 8192))",
                "true",
            ),
            (
                "select 'a' || null || 'b' is null and 'a' || 'b' = 'ab' and 1 || 'b' = '1b'",
                "true",
            ),
            ("select date '2026-01-02' || 'T' || true = '2026-01-02Ttrue'", "true"),
            ("select count(*) from calls where app || 'x' = 'a'", "0"),
            ("select array_to_string([1, 2] || [3] || 4, ',')", "1,2,3,4"),
            (
                "select sum(cardinality(list_repeat([repeat('x', 900)], 2))) from generate_series(1, 8192)",
                "16384",
            ),
            (
                "select sum(cardinality(list_repeat(l, 2))) from (select [repeat('x', 2000), value::text] l from generate_series(1, 8192))",
                "32768",
            ),
        ] {
            assert_eq!(one(&engine, sql).await, said, "{sql}");
        }
    }
}
