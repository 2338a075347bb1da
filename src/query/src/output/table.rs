//! A table for people: aligned, numbers to the right, long texts cut to the terminal's width.

use std::fmt::Write as _;
use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Schema;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Rows;
use super::csv::as_json;
use crate::QueryError;

/// Rows that decide how wide the columns are; those after them fit in, or are cut.
const SAMPLE: usize = 1000;
/// Fewer of them where they are long: they wait in the memory of the process that answers.
const SAMPLE_BYTES: usize = 4 << 20;
/// No column is made narrower than this.
const NARROWEST: usize = 6;
const GAP: &str = "  ";
/// What stands for a line's end in a cell.
const END_OF_LINE: char = '⏎';

pub(super) struct Table<W> {
    out: W,
    names: Vec<String>,
    right: Vec<bool>,
    width: Option<usize>,
    waiting: Vec<Vec<String>>,
    waiting_bytes: usize,
    widths: Option<Vec<usize>>,
    rows: u64,
    /// The answer of EXPLAIN: plans are read in lines, and whole.
    plans: bool,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, schema: &Schema, width: Option<usize>) -> Table<W> {
        let plans = schema
            .fields()
            .iter()
            .map(|field| field.name())
            .eq(["plan_type", "plan"]);
        let width = width.filter(|_| !plans);
        Table {
            out,
            plans,
            names: schema.fields().iter().map(|field| clean(field.name())).collect(),
            right: schema
                .fields()
                .iter()
                .map(|field| field.data_type().is_numeric())
                .collect(),
            width,
            waiting: Vec::new(),
            waiting_bytes: 0,
            widths: None,
            rows: 0,
        }
    }

    /// Fixes the widths and writes the head and what waits.
    fn begin(&mut self) -> Result<(), QueryError> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| name.width()).collect();
        for row in &self.waiting {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        if let Some(room) = self.width {
            let gaps = GAP.len() * widths.len().saturating_sub(1);
            shrink(&mut widths, room.saturating_sub(gaps));
        }
        let names = self.names.clone();
        self.line(&names, &widths)?;
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        self.line(&rule, &widths)?;
        for row in std::mem::take(&mut self.waiting) {
            self.line(&row, &widths)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    /// Writes a row, or keeps it until it is known how wide the columns are.
    fn row(&mut self, cells: Vec<String>) -> Result<(), QueryError> {
        match self.widths.take() {
            Some(widths) => {
                self.line(&cells, &widths)?;
                self.widths = Some(widths);
            }
            None => {
                self.waiting_bytes += cells.iter().map(String::capacity).sum::<usize>();
                self.waiting.push(cells);
                if self.waiting.len() >= SAMPLE || self.waiting_bytes >= SAMPLE_BYTES {
                    self.begin()?;
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, cells: &[String], widths: &[usize]) -> Result<(), QueryError> {
        let mut line = String::new();
        for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let cell = cut(cell, *width);
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            if i > 0 {
                line.push_str(GAP);
            }
            if self.right.get(i).copied().unwrap_or_default() {
                line.push_str(&pad);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&pad);
            }
        }
        Ok(writeln!(self.out, "{}", line.trim_end())?)
    }
}

impl<W: Write> Rows<W> for Table<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError> {
        let options = FormatOptions::new().with_null("null");
        let columns = (rows.columns().iter())
            .map(|column| {
                if column.data_type().is_nested() {
                    as_json(column)
                } else {
                    Ok(column.clone())
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        let formats = (columns.iter())
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            let cells: Vec<String> = formats
                .iter()
                .map(|format| Cell::of(&format.value(row), self.width))
                .collect();
            self.rows += 1;
            match cells.as_slice() {
                [kind, plan] if self.plans => {
                    let mut kind = kind.clone();
                    for line in plan.trim_end_matches(END_OF_LINE).split(END_OF_LINE) {
                        self.row(vec![std::mem::take(&mut kind), line.to_owned()])?;
                    }
                }
                _ => self.row(cells)?,
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<W, QueryError> {
        if self.widths.is_none() {
            self.begin()?;
        }
        let plural = if self.rows == 1 { "" } else { "s" };
        writeln!(self.out, "({} row{plural})", self.rows)?;
        Ok(self.out)
    }
}

/// A cell takes one line, and may not steer the terminal: stored text is somebody else's.
pub(super) fn clean(text: &str) -> String {
    text.chars().filter_map(harmless).collect()
}

fn harmless(c: char) -> Option<char> {
    Some(match c {
        '\n' => END_OF_LINE,
        '\r' => return None,
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        // Marks that turn the direction of what follows.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
        c => c,
    })
}

/// Takes a value in as text, no more of it than may be shown.
struct Cell {
    text: String,
    columns: usize,
    limit: usize,
}

impl Cell {
    /// The value's text: all of it if it fits into `width`, else so much that it shows that it does not.
    fn of(value: &impl std::fmt::Display, width: Option<usize>) -> String {
        let mut cell = Cell {
            text: String::new(),
            columns: 0,
            limit: width.unwrap_or(usize::MAX),
        };
        // It fails where there is enough of it.
        let _ = write!(cell, "{value}");
        cell.text
    }
}

impl std::fmt::Write for Cell {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for c in text.chars().filter_map(harmless) {
            if self.columns > self.limit {
                return Err(std::fmt::Error);
            }
            self.columns += c.width().unwrap_or_default();
            self.text.push(c);
        }
        Ok(())
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or_default();
        if used + wide > width.saturating_sub(1) {
            break;
        }
        out.push(c);
        used += wide;
    }
    out.push('…');
    out
}

/// Takes from the widest columns until all fit into `room`.
fn shrink(widths: &mut [usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        let over = widths.iter().sum::<usize>() - room;
        let Some(widest) = widths.iter().copied().max().filter(|widest| *widest > NARROWEST) else {
            return;
        };
        let second = widths
            .iter()
            .copied()
            .filter(|width| *width < widest)
            .max()
            .unwrap_or(NARROWEST);
        let count = widths.iter().filter(|width| **width == widest).count();
        let step = (over.div_ceil(count)).min(widest - second.max(NARROWEST)).max(1);
        for width in widths.iter_mut().filter(|width| **width == widest) {
            *width -= step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_tables_are_cut_where_it_hurts_least() {
        let mut widths = [10, 80, 20];
        shrink(&mut widths, 60);
        assert_eq!(widths, [10, 30, 20]);
        let mut widths = [50, 50];
        shrink(&mut widths, 40);
        assert_eq!(widths, [20, 20]);
        let mut widths = [6, 6, 6];
        shrink(&mut widths, 5);
        assert_eq!(widths, [6, 6, 6]);
    }

    #[test]
    fn cells_cannot_steer_the_terminal() {
        assert_eq!(clean("a\nb\u{1b}[31mred\u{202e}"), "a⏎b\u{fffd}[31mred\u{fffd}");
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn plans_have_lines() {
        let text = |text: &str| -> arrow::array::ArrayRef {
            std::sync::Arc::new(arrow::array::StringArray::from(vec![text.to_owned()]))
        };
        let rows = RecordBatch::try_from_iter([
            ("plan_type", text("physical_plan")),
            ("plan", text("Filter\n  Scan: a, b, c, d, e, f\n")),
        ])
        .unwrap();
        let mut table = Table::new(Vec::new(), &rows.schema(), Some(20));
        table.write(&rows).unwrap();
        let out = String::from_utf8(Box::new(table).finish().unwrap()).unwrap();
        let lines: Vec<&str> = out.lines().skip(2).collect();
        let expected = [
            "physical_plan  Filter",
            "                 Scan: a, b, c, d, e, f",
            "(1 row)",
        ];
        assert_eq!(lines, expected, "{out}");
    }

    /// Rows of a text of so many bytes, a batch for each.
    fn texts(bytes: usize) -> RecordBatch {
        let column: arrow::array::ArrayRef =
            std::sync::Arc::new(arrow::array::StringArray::from(vec!["x".repeat(bytes)]));
        RecordBatch::try_from_iter([("text", column)]).unwrap()
    }

    #[test]
    fn rows_that_wait_are_bounded_in_bytes() {
        let rows = texts(1 << 20);
        let held = |table: &Table<Vec<u8>>| table.waiting.iter().flatten().map(String::capacity).sum::<usize>();
        // Uncut: it begins to write before many long rows wait.
        let mut table = Table::new(Vec::new(), &rows.schema(), None);
        for _ in 0..10 {
            table.write(&rows).unwrap();
            assert!(held(&table) <= 5 << 20, "{}", held(&table));
        }
        assert!(!table.out.is_empty());
        // On a terminal: nothing waits that will not be shown.
        let mut table = Table::new(Vec::new(), &rows.schema(), Some(80));
        for _ in 0..10 {
            table.write(&rows).unwrap();
        }
        assert!(held(&table) <= 10 * 1024, "{}", held(&table));
        let out = String::from_utf8(Box::new(table).finish().unwrap()).unwrap();
        assert!(out.lines().all(|line| line.width() <= 80), "{out}");
        assert_eq!(out.matches("x…").count(), 10, "{out}");
    }
}
