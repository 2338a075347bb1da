//! A table for people: aligned, numbers to the right, long texts cut to the terminal's width.

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
/// No column is made narrower than this.
const NARROWEST: usize = 6;
const GAP: &str = "  ";

pub(super) struct Table<W> {
    out: W,
    names: Vec<String>,
    right: Vec<bool>,
    width: Option<usize>,
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    rows: u64,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, schema: &Schema, width: Option<usize>) -> Table<W> {
        Table {
            out,
            names: schema.fields().iter().map(|field| clean(field.name())).collect(),
            right: schema
                .fields()
                .iter()
                .map(|field| field.data_type().is_numeric())
                .collect(),
            width,
            waiting: Vec::new(),
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
                .map(|format| clean(&format.value(row).to_string()))
                .collect();
            self.rows += 1;
            match self.widths.take() {
                Some(widths) => {
                    self.line(&cells, &widths)?;
                    self.widths = Some(widths);
                }
                None => {
                    self.waiting.push(cells);
                    if self.waiting.len() >= SAMPLE {
                        self.begin()?;
                    }
                }
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
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('⏎'),
            '\r' => {}
            '\t' => out.push(' '),
            c if c.is_control() => out.push('\u{fffd}'),
            // Marks that turn the direction of what follows.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
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
}
