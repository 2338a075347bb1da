//! What a verification found, for people and for machines.

use std::fmt;

use event::JournalId;
use serde::Serialize;

/// Offsets `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}–{}", self.first, self.last)
        }
    }
}

/// Adds offsets to ranges that are built in order.
pub(crate) fn push_all(ranges: &mut Vec<Range>, first: i64, last: i64) {
    match ranges.last_mut() {
        Some(range) if range.last + 1 == first => range.last = last,
        _ => ranges.push(Range { first, last }),
    }
}

/// Adds an offset to ranges that are built in order.
pub(crate) fn push(ranges: &mut Vec<Range>, offset: i64) {
    push_all(ranges, offset, offset);
}

/// One thing wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The offset.
    pub offset: i64,
    /// What is wrong there.
    pub what: String,
}

/// One journal's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JournalReport {
    /// The journal.
    pub journal_id: JournalId,
    /// Its first offset that was to land here: what came before was landed elsewhere.
    pub begins: i64,
    /// Rows in `events`.
    pub rows: u64,
    /// The first and the last landed offset.
    pub landed: Option<Range>,
    /// Offsets that should be there and are not.
    pub missing: Vec<Range>,
    /// Offsets that are there more than once.
    pub doubled: Vec<Range>,
    /// Offsets that retention took away.
    pub expired: Vec<Range>,
    /// Offsets whose record was erased: its digest is there.
    pub erased: Vec<Range>,
    /// Offsets whose record could not be read when it landed: there, but damaged before they came.
    pub unreadable: Vec<Range>,
    /// Rows that were altered, or do not rebuild their record.
    pub altered: Vec<Problem>,
    /// Links of the hash chain that were checked and hold.
    pub links: u64,
    /// The records that have not landed, if the journal was looked at.
    pub tail: Option<TailReport>,
}

/// The records of a journal that have not landed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TailReport {
    /// The offset that lands next.
    pub from: i64,
    /// Records that wait.
    pub records: u64,
    /// What is wrong with them.
    pub problems: Vec<Problem>,
}

/// Calls, and whether each is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallsReport {
    /// Calls that began.
    pub started: u64,
    /// Calls that ended once.
    pub ended: u64,
    /// Calls that are open as far as the landed events tell.
    pub open: u64,
    /// Calls whose end landed and whose row comes with the next landing.
    pub pending: u64,
    /// Rows in `calls`.
    pub rows: u64,
    /// Of these, rows of calls whose events are erased: that erasure is under way, or was cut short.
    pub erased: u64,
    /// What is wrong, at most [`CallsReport::MAX_PROBLEMS`] of them spelt out.
    pub problems: Vec<String>,
    /// How many things are wrong.
    pub problem_count: u64,
}

impl CallsReport {
    /// Problems that are spelt out.
    pub const MAX_PROBLEMS: usize = 100;

    pub(crate) fn problem(&mut self, what: String) {
        self.problem_count += 1;
        if self.problems.len() < Self::MAX_PROBLEMS {
            self.problems.push(what);
        }
    }
}

/// What [`crate::verify()`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Each journal's events.
    pub journals: Vec<JournalReport>,
    /// The calls.
    pub calls: CallsReport,
    /// Version of `events` that was checked.
    pub events_version: u64,
    /// Version of `calls` that was checked.
    pub calls_version: u64,
}

impl JournalReport {
    pub(crate) fn empty(journal_id: JournalId) -> JournalReport {
        JournalReport {
            journal_id,
            begins: 0,
            rows: 0,
            landed: None,
            missing: Vec::new(),
            doubled: Vec::new(),
            expired: Vec::new(),
            erased: Vec::new(),
            unreadable: Vec::new(),
            altered: Vec::new(),
            links: 0,
            tail: None,
        }
    }

    /// Compares the last row with what the table's transaction says has landed: a history that was
    /// cut at its end shows here.
    pub(crate) fn check_end(&mut self, next: i64) {
        let found = self.landed.map_or(self.begins, |landed| landed.last + 1);
        if found < next {
            self.missing.push(Range {
                first: found,
                last: next - 1,
            });
        } else if found > next {
            self.altered.push(Problem {
                offset: next,
                what: format!("rows up to {} are there, but only {next} have landed", found - 1),
            });
        }
    }

    /// Whether it is no journal, but stands for what others wrote into a partition of the topic.
    #[must_use]
    pub fn is_strays(&self) -> bool {
        self.journal_id.0.get_version_num() == 8
    }

    /// Whether every event is there once, unaltered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
            && self.doubled.is_empty()
            && self.altered.is_empty()
            && (self.unreadable.is_empty() || self.is_strays())
            && self.tail.as_ref().is_none_or(|tail| tail.problems.is_empty())
    }
}

impl Report {
    /// Whether nothing is missing or doubled, and no event altered. What a row of `calls` says is not compared
    /// with its events: [`crate::rebuild()`] makes the rows anew from them.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.calls.problem_count == 0 && self.journals.iter().all(JournalReport::is_complete)
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, what: &str, items: &[T]) -> fmt::Result {
    const SHOWN: usize = 20;
    if items.is_empty() {
        return Ok(());
    }
    write!(f, "    {what}: ")?;
    for (i, item) in items.iter().take(SHOWN).enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    if items.len() > SHOWN {
        write!(f, " and {} more", items.len() - SHOWN)?;
    }
    writeln!(f)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.offset, self.what)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for journal in &self.journals {
            if journal.is_strays() {
                write!(
                    f,
                    "strays {}: {} messages that no journal sent",
                    journal.journal_id, journal.rows
                )?;
            } else {
                write!(f, "journal {}: {} events", journal.journal_id, journal.rows)?;
            }
            match journal.landed {
                Some(landed) => writeln!(f, ", offsets {landed}, {} links of the chain hold", journal.links)?,
                None => writeln!(f)?,
            }
            list(f, "expired", &journal.expired)?;
            list(f, "erased", &journal.erased)?;
            list(f, "MISSING", &journal.missing)?;
            list(f, "MORE THAN ONCE", &journal.doubled)?;
            list(f, "ALTERED", &journal.altered)?;
            if !journal.is_strays() {
                list(f, "UNREADABLE", &journal.unreadable)?;
            }
            if journal.begins > 0 {
                writeln!(f, "    its first {} events landed elsewhere", journal.begins)?;
            }
            if let Some(tail) = &journal.tail {
                writeln!(
                    f,
                    "    {} records wait in the journal from offset {}",
                    tail.records, tail.from
                )?;
                list(f, "WAITING AND DAMAGED", &tail.problems)?;
            }
        }
        let calls = &self.calls;
        write!(
            f,
            "calls: {} began, {} ended, {} open, {} rows",
            calls.started, calls.ended, calls.open, calls.rows
        )?;
        if calls.pending > 0 {
            write!(f, ", {} rows come with the next landing", calls.pending)?;
        }
        if calls.erased > 0 {
            write!(
                f,
                ", {} of them of calls whose events are erased: unless that is under way, erase them again",
                calls.erased
            )?;
        }
        writeln!(f)?;
        list(f, "WRONG", &calls.problems)?;
        if self.is_complete() {
            writeln!(
                f,
                "complete: every event is there exactly once, unaltered, and every ended call has its one row"
            )
        } else {
            writeln!(f, "NOT complete")
        }
    }
}
