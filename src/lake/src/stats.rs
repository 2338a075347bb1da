//! What the Delta log says of a file's columns.

use std::collections::HashMap;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::kernels::aggregate;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use serde_json::{Map, Value, json};

use crate::schema::{Kind, TableKind};

/// A longer smallest or largest text is not worth its place in the log.
const MAX_STAT_TEXT: usize = 64;

/// What the Delta log says of a file, so that readers can skip it.
pub(crate) struct Stats {
    kind: TableKind,
    rows: usize,
    columns: HashMap<&'static str, Range>,
}

#[derive(Default)]
struct Range {
    nulls: usize,
    int: Option<(i64, i64)>,
    text: Option<(String, String)>,
    too_long: bool,
}

impl Stats {
    /// Of no rows yet.
    pub(crate) fn new(kind: TableKind) -> Stats {
        Stats {
            kind,
            rows: 0,
            columns: HashMap::new(),
        }
    }

    /// Takes in rows of the file.
    pub(crate) fn add(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows();
        for column in self.kind.columns().iter().filter(|column| column.stats) {
            let Some(array) = rows.column_by_name(column.name) else {
                continue;
            };
            let range = self.columns.entry(column.name).or_default();
            range.nulls += array.null_count();
            let int = match column.kind {
                Kind::Int => {
                    let array = array.as_primitive::<Int64Type>();
                    aggregate::min(array).zip(aggregate::max(array))
                }
                Kind::Time => {
                    let array = array.as_primitive::<TimestampMicrosecondType>();
                    aggregate::min(array).zip(aggregate::max(array))
                }
                _ => {
                    range.text(array.as_string_view());
                    None
                }
            };
            if let Some((min, max)) = int {
                range.int = Some(match range.int {
                    Some((low, high)) => (low.min(min), high.max(max)),
                    None => (min, max),
                });
            }
        }
    }

    /// As Delta writes it.
    pub(crate) fn finish(&self) -> Value {
        let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
        for column in self.kind.columns().iter().filter(|column| column.stats) {
            let Some(range) = self.columns.get(column.name) else {
                continue;
            };
            nulls.insert(column.name.to_owned(), json!(range.nulls));
            let ends = match (column.kind, range.int, &range.text) {
                (Kind::Time, Some((low, high)), _) => {
                    time_text(low).zip(time_text(high)).map(|(a, b)| (json!(a), json!(b)))
                }
                (_, Some((low, high)), _) => Some((json!(low), json!(high))),
                (_, None, Some((low, high))) if !range.too_long => Some((json!(low), json!(high))),
                _ => None,
            };
            if let Some((low, high)) = ends {
                min.insert(column.name.to_owned(), low);
                max.insert(column.name.to_owned(), high);
            }
        }
        json!({ "numRecords": self.rows, "minValues": min, "maxValues": max, "nullCount": nulls })
    }
}

impl Range {
    fn text(&mut self, array: &arrow::array::StringViewArray) {
        let (Some(low), Some(high)) = (aggregate::min_string_view(array), aggregate::max_string_view(array)) else {
            return;
        };
        if low.len() > MAX_STAT_TEXT || high.len() > MAX_STAT_TEXT {
            self.too_long = true;
        }
        if self.too_long {
            return;
        }
        self.text = Some(match self.text.take() {
            Some((a, b)) => (
                if low < a.as_str() { low.to_owned() } else { a },
                if high > b.as_str() { high.to_owned() } else { b },
            ),
            None => (low.to_owned(), high.to_owned()),
        });
    }
}

fn time_text(micros: i64) -> Option<String> {
    arrow::temporal_conversions::timestamp_us_to_datetime(micros)
        .map(|time| format!("{}Z", time.format("%Y-%m-%dT%H:%M:%S%.6f")))
}
