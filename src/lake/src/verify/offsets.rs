//! Events: every offset once, every link of the chain recomputed from the rows.

use event::{Chain, Digest};
use futures::TryStreamExt as _;

use super::report::{JournalReport, Problem, Range, TailReport, push, push_all};
use crate::batch::txn;
use crate::decode::{EventRows, RECORD_COLUMNS, int, text};
use crate::encode::seal;
use crate::journal_source::JournalDir;
use crate::scan::{Extent, range, read};
use crate::source::Item;
use crate::store::Snapshot;
use crate::tombstone::{ERASED, EXPIRED, Run, digest, erased_digest};
use crate::{LakeError, TableKind};

/// Offsets that are checked at once: some 20 MB of hashes.
const STRETCH: i64 = 262_144;
/// Altered rows that are spelt out.
const MAX_PROBLEMS: usize = 1000;

/// What one record contributes to the chain.
#[derive(Clone, Copy)]
struct Link {
    digest: Option<Digest>,
    chain: Option<Chain>,
}

/// Where the chain stands; `None`: unknown, after a record that has no digest.
#[derive(Clone, Copy)]
pub(super) struct End {
    chain: Option<Chain>,
}

impl Default for End {
    fn default() -> End {
        End {
            chain: Some(Chain::START),
        }
    }
}

/// What a slot of a stretch holds.
#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Once(Link),
    /// As `Once`, of a record that was erased.
    Erased(Link),
    Damaged,
    Twice,
}

/// Checks one journal's rows. `runs`: what has expired of it, in order.
pub(super) async fn check(
    events: &Snapshot,
    mut extent: Extent,
    runs: &[Run],
) -> Result<(JournalReport, End), LakeError> {
    extent.max = runs.iter().map(|run| run.last).fold(extent.max, i64::max);
    let mut report = JournalReport::empty(extent.journal);
    let first = events.txn(&txn::first(extent.journal)).await?.unwrap_or(0);
    report.begins = first;
    report.rows = extent.rows;
    report.landed = Some(Range {
        first: extent.min,
        last: extent.max,
    });
    let mut end = End::default();
    if extent.min > first {
        report.missing.push(Range {
            first,
            last: extent.min - 1,
        });
    }
    if extent.min > 0 {
        end.chain = None;
    }
    let (mut at, mut counted) = (extent.min, 0);
    let mut ahead = runs.iter().peekable();
    while at <= extent.max {
        match ahead.peek() {
            Some(run) if run.first == at => {
                push_all(&mut report.expired, run.first, run.last);
                counted += leftovers(events, run, runs, &mut report).await?;
                end.chain = run.chain;
                at = run.last + 1;
                ahead.next();
            }
            // It overlaps what was before it: rows that should not be there.
            Some(run) if run.first < at => {
                push_all(&mut report.doubled, run.first, run.last.min(at - 1));
                ahead.next();
            }
            next => {
                let limit = next.map_or(extent.max + 1, |run| run.first);
                let to = (at + STRETCH).min(limit);
                counted += stretch(events, extent, at, to, &mut report, &mut end).await?;
                at = to;
            }
        }
    }
    // A file whose statistics are wrong hides its rows from whoever asks for their offsets.
    if counted != extent.rows {
        let what = format!(
            "{} rows are there, but {counted} are found by their offsets",
            extent.rows
        );
        problem(&mut report.altered, extent.min, what);
    }
    Ok((report, end))
}

/// Looks for rows in an expired run: whatever is there beside the account is there twice. Returns how many
/// rows there are.
async fn leftovers(events: &Snapshot, run: &Run, runs: &[Run], report: &mut JournalReport) -> Result<u64, LakeError> {
    let mut count = 0;
    let mut found: Vec<Range> = Vec::new();
    let filter = range(run.journal, run.first, run.last + 1);
    let mut rows = read(events, TableKind::Events, &["offset", "type"], Some(filter)).await?;
    while let Some(batch) = rows.try_next().await? {
        let (offsets, types) = (int(&batch, "offset")?, text(&batch, "type")?);
        count += batch.num_rows() as u64;
        for row in 0..batch.num_rows() {
            let offset = offsets.value(row);
            // Accounts that overlap are looked at by themselves.
            let is_account = || runs.binary_search_by_key(&offset, |run| run.first).is_ok();
            if types.value(row) != EXPIRED || !is_account() {
                push(&mut found, offset);
            }
        }
    }
    found.sort_unstable_by_key(|range| range.first);
    for range in found {
        push_all(&mut report.doubled, range.first, range.last);
    }
    Ok(count)
}

/// Checks rows that have landed since, `from` to `to` (exclusive), and adds them to the report.
pub(super) async fn check_more(
    events: &Snapshot,
    from: i64,
    to: i64,
    report: &mut JournalReport,
    end: &mut End,
) -> Result<(), LakeError> {
    let extent = Extent {
        journal: report.journal_id,
        min: from,
        max: to - 1,
        rows: 0,
    };
    let mut at = from;
    while at < to {
        let next = (at + STRETCH).min(to);
        report.rows += stretch(events, extent, at, next, report, end).await?;
        at = next;
    }
    let first = report.landed.map_or(from, |landed| landed.first);
    report.landed = Some(Range { first, last: to - 1 });
    Ok(())
}

/// Returns how many rows there are.
async fn stretch(
    events: &Snapshot,
    extent: Extent,
    from: i64,
    to: i64,
    report: &mut JournalReport,
    end: &mut End,
) -> Result<u64, LakeError> {
    let mut count = 0;
    let mut slots = vec![Slot::Empty; usize::try_from(to - from).unwrap_or_default()];
    let filter = range(extent.journal, from, to);
    let mut rows = read(events, TableKind::Events, RECORD_COLUMNS, Some(filter)).await?;
    while let Some(batch) = rows.try_next().await? {
        let decoded = EventRows::of(&batch)?;
        count += batch.num_rows() as u64;
        for row in 0..batch.num_rows() {
            let offset = decoded.offset(row);
            let Some(slot) = usize::try_from(offset - from).ok().and_then(|i| slots.get_mut(i)) else {
                continue;
            };
            *slot = match slot {
                Slot::Empty => match decoded.item(row) {
                    Ok(item) => {
                        if matches!(item, Item::Unreadable { .. }) {
                            push(&mut report.unreadable, offset);
                        }
                        match is_erased(&item) {
                            true => Slot::Erased(link(&item)),
                            false => Slot::Once(link(&item)),
                        }
                    }
                    Err(error) => {
                        problem(&mut report.altered, offset, error.to_string());
                        Slot::Damaged
                    }
                },
                _ => Slot::Twice,
            };
        }
    }
    for (offset, slot) in (from..).zip(&slots) {
        match slot {
            Slot::Empty => {
                push(&mut report.missing, offset);
                end.chain = None;
            }
            Slot::Twice => {
                push(&mut report.doubled, offset);
                end.chain = None;
            }
            Slot::Damaged => end.chain = None,
            Slot::Once(link) | Slot::Erased(link) => match follow(end, extent, offset, link) {
                Ok(held) => {
                    report.links += u64::from(held);
                    if let Slot::Erased(_) = slot {
                        push(&mut report.erased, offset);
                    }
                }
                Err(what) => problem(&mut report.altered, offset, what),
            },
        }
    }
    report.unreadable.sort_by_key(|range| range.first);
    Ok(count)
}

fn is_erased(item: &Item) -> bool {
    (item.record()).is_some_and(|record| record.envelope.event_type == ERASED)
}

fn link(item: &Item) -> Link {
    match item {
        Item::Record(record) if is_erased(item) => Link {
            digest: erased_digest(record),
            chain: Some(record.envelope.chain),
        },
        Item::Record(record) | Item::Verbatim { record, .. } => Link {
            digest: digest(item),
            chain: Some(record.envelope.chain),
        },
        Item::Unreadable { raw, .. } => Link {
            digest: digest(item),
            chain: seal(raw).map(|(_, chain)| chain),
        },
    }
}

/// Goes one link on: `true` if it was checked and holds, `false` if there was nothing to check it
/// against.
fn follow(end: &mut End, extent: Extent, offset: i64, link: &Link) -> Result<bool, String> {
    let before = std::mem::replace(&mut end.chain, link.chain);
    let (Some(before), Some(digest), Some(chain)) = (before, link.digest, link.chain) else {
        return Ok(false);
    };
    if before.next(extent.journal, offset, &digest) == chain {
        Ok(true)
    } else {
        Err("the hash chain breaks here: this row or the one before was altered".to_owned())
    }
}

fn problem(problems: &mut Vec<Problem>, offset: i64, what: String) {
    if problems.len() < MAX_PROBLEMS {
        problems.push(Problem { offset, what });
    }
}

/// Checks the records that have not landed: they follow on what has. Blocking.
pub(super) fn check_tail(journal: &JournalDir, next: i64, mut end: End) -> TailReport {
    let mut report = TailReport {
        from: next,
        ..TailReport::default()
    };
    let extent = Extent {
        journal: journal.id,
        min: next,
        max: next,
        rows: 0,
    };
    let mut reading = match journal.read(next) {
        Ok(reading) => reading,
        Err(error) => {
            problem(&mut report.problems, next, error.to_string());
            return report;
        }
    };
    loop {
        let items = match reading.next(4 << 20) {
            Ok(items) => items,
            Err(error) => {
                problem(&mut report.problems, next, error.to_string());
                return report;
            }
        };
        if items.is_empty() {
            return report;
        }
        for item in &items {
            report.records += 1;
            if let Item::Unreadable { why, .. } = item {
                problem(&mut report.problems, item.offset(), why.clone());
            }
            if let Err(what) = follow(&mut end, extent, item.offset(), &link(item)) {
                problem(&mut report.problems, item.offset(), what);
            }
        }
    }
}
