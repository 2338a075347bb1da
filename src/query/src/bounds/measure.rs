//! How much a function would make of its arguments.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;

/// An argument: a value for each row, or one for all of them, which is not copied to look at it.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its values.
    pub(super) array: ArrayRef,
    one: bool,
}

impl Column {
    pub(super) fn new(value: &ColumnarValue) -> Result<Column> {
        Ok(match value {
            ColumnarValue::Array(array) => Column {
                array: ArrayRef::clone(array),
                one: false,
            },
            ColumnarValue::Scalar(scalar) => Column {
                array: scalar.to_array_of_size(1)?,
                one: true,
            },
        })
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.array.len()
    }

    /// Where the value of `row` stands.
    pub(super) fn at(&self, row: usize) -> usize {
        if self.one { 0 } else { row }
    }

    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(self.at(row))
    }

    /// The same rows of another type.
    fn cast(&self, to: &DataType) -> Result<Column> {
        Ok(Column {
            array: cast(&self.array, to)?,
            one: self.one,
        })
    }

    fn integers(&self) -> Result<Integers> {
        let values = cast(&self.array, &DataType::Int64)?;
        Ok(Integers {
            values: values.as_primitive::<Int64Type>().clone(),
            one: self.one,
        })
    }

    /// Elements of the list in `row`, those of lists within it included.
    pub(super) fn elements(&self, row: usize) -> Result<i128> {
        elements(&self.array, self.at(row))
    }
}

/// An argument that is a whole number.
struct Integers {
    values: Int64Array,
    one: bool,
}

impl Integers {
    fn get(&self, row: usize) -> Option<i128> {
        let at = if self.one { 0 } else { row };
        self.values.is_valid(at).then(|| self.values.value(at).into())
    }
}

/// Elements of series.
pub(super) fn series(columns: &[Column], rows: usize) -> Result<i128> {
    let (start, stop, step) = match columns {
        [stop] => (None, stop, None),
        [start, stop] => (Some(start), stop, None),
        [start, stop, step] => (Some(start), stop, Some(step)),
        _ => return Ok(0),
    };
    let count = |start: i128, stop: i128, step: i128| match step {
        0 => 0,
        _ => ((stop - start) / step + 1).max(0),
    };
    if stop.array.data_type().is_integer() {
        let start = start.map(Column::integers).transpose()?;
        let step = step.map(Column::integers).transpose()?;
        let at = |of: &Option<Integers>, row: usize, absent: i128| match of {
            Some(of) => of.get(row),
            None => Some(absent),
        };
        let stop = stop.integers()?;
        return Ok((0..rows)
            .filter_map(|row| Some(count(at(&start, row, 0)?, stop.get(row)?, at(&step, row, 1)?)))
            .sum());
    }
    let (Some(start), Some(step)) = (start, step) else {
        return Ok(0);
    };
    let step = step.cast(&DataType::Interval(IntervalUnit::MonthDayNano))?;
    let steps = step.array.as_primitive::<IntervalMonthDayNanoType>();
    let instants = |of: &Column| of.cast(&DataType::Timestamp(TimeUnit::Microsecond, None))?.integers();
    let (from, to) = (instants(start)?, instants(stop)?);
    let mut elements = 0;
    for row in 0..rows {
        if start.is_null(row) || stop.is_null(row) || step.is_null(row) {
            continue;
        }
        let (Some(from), Some(to)) = (from.get(row), to.get(row)) else {
            // Too far away to be told in microseconds.
            return Ok(i128::from(i64::MAX));
        };
        let (months, days, nanos) = IntervalMonthDayNanoType::to_parts(steps.value(step.at(row)));
        const DAY: i128 = 86_400_000_000_000;
        // No month is shorter.
        let step = (i128::from(months) * 28 + i128::from(days)) * DAY + i128::from(nanos);
        elements += count(from * 1000, to * 1000, step);
    }
    Ok(elements)
}

/// Elements, and bytes where their values have lengths of their own.
pub(super) fn repeated(value: Option<&Column>, times: &Column, rows: usize) -> Result<(i128, i128)> {
    let times = times.integers()?;
    let (mut elements, mut bytes) = (0, 0);
    for row in 0..rows {
        let times = times.get(row).unwrap_or(0).max(0);
        elements += times;
        if let Some(value) = value.filter(|value| times > 1 && !value.array.data_type().is_primitive()) {
            bytes += times * size(&value.array, value.at(row))?;
        }
    }
    Ok((elements, bytes))
}

/// Bytes of padded texts; lengths are in characters.
pub(super) fn padded(fill: Option<&Column>, length: &Column, rows: usize) -> Result<i128> {
    let length = length.integers()?;
    let fill = fill.map(|fill| fill.cast(&DataType::Utf8View)).transpose()?;
    let mut bytes = 0;
    for row in 0..rows {
        let wide = (fill.as_ref()).is_some_and(|fill| !fill.array.as_string_view().value(fill.at(row)).is_ascii());
        bytes += length.get(row).unwrap_or(0).max(0) * if wide { 4 } else { 1 };
    }
    Ok(bytes)
}

/// Bytes of a value.
pub(super) fn size(of: &ArrayRef, row: usize) -> Result<i128> {
    if of.is_null(row) {
        return Ok(0);
    }
    let bytes = match of.data_type() {
        DataType::Null => 0,
        DataType::Utf8 => of.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => of.as_string::<i64>().value(row).len(),
        DataType::Utf8View => of.as_string_view().value(row).len(),
        DataType::Binary => of.as_binary::<i32>().value(row).len(),
        DataType::LargeBinary => of.as_binary::<i64>().value(row).len(),
        DataType::BinaryView => of.as_binary_view().value(row).len(),
        DataType::Struct(_) => {
            let columns = of.as_struct().columns().iter();
            return columns.map(|column| size(column, row)).sum();
        }
        _ => match within(of, row) {
            // A slice of a list holds on to the values of all rows.
            Some(values) => match values.data_type().primitive_width() {
                Some(width) => values.len() * width,
                None => return (0..values.len()).map(|at| size(&values, at)).sum(),
            },
            None => of.slice(row, 1).to_data().get_slice_memory_size()?,
        },
    };
    Ok(bytes as i128)
}

/// What the list or the map in `row` has in it; `None` if it is neither.
fn within(of: &ArrayRef, row: usize) -> Option<ArrayRef> {
    Some(match of.data_type() {
        DataType::List(_) => of.as_list::<i32>().value(row),
        DataType::LargeList(_) => of.as_list::<i64>().value(row),
        DataType::ListView(_) => of.as_list_view::<i32>().value(row),
        DataType::LargeListView(_) => of.as_list_view::<i64>().value(row),
        DataType::FixedSizeList(..) => of.as_fixed_size_list().value(row),
        DataType::Map(..) => std::sync::Arc::new(of.as_map().value(row)),
        _ => return None,
    })
}

fn elements(of: &ArrayRef, row: usize) -> Result<i128> {
    if of.is_null(row) {
        return Ok(1);
    }
    let Some(values) = within(of, row) else {
        return Ok(1);
    };
    if !values.data_type().is_nested() {
        return Ok(values.len() as i128);
    }
    (0..values.len()).map(|at| elements(&values, at)).sum()
}
