//! Calls: each began once, ended once, and has one row once it ended.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Date32Type;
use datafusion::prelude::{col, lit};
use event::{EventType, JournalId};
use futures::TryStreamExt as _;
use uuid::Uuid;

use super::report::CallsReport;
use crate::decode::{int, text};
use crate::scan::read;
use crate::schema::DAY;
use crate::store::Snapshot;
use crate::tombstone::{ERASED, Mark as Erased, Run, erased_call, mark};
use crate::{LakeError, TableKind};

/// Calls that are compared at once: some 100 MB.
const SHARE: u64 = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Start {
        /// Something after it has expired: perhaps the call's end.
        cut: bool,
    },
    End {
        /// Its row must be there by now.
        due: bool,
        /// Something before it has expired: perhaps the call's beginning, and its row with it.
        old: bool,
    },
    Row {
        /// The events of its day have expired: it goes next.
        expired: bool,
    },
}

/// What has expired, by what can be told of it.
#[derive(Default)]
pub(super) struct Expired {
    /// The first and the last offset of each journal that are gone.
    offsets: BTreeMap<String, (i64, i64)>,
    /// Journals, and the days of theirs that have an account.
    days: BTreeSet<(String, i32)>,
}

impl Expired {
    /// Of all runs of each journal.
    pub(super) fn of(runs: &BTreeMap<JournalId, Vec<Run>>) -> Expired {
        let mut expired = Expired::default();
        for (journal, run) in runs.iter().flat_map(|(id, runs)| runs.iter().map(move |run| (id, run))) {
            let (first, last) = (expired.offsets.entry(journal.to_string())).or_insert((run.first, run.last));
            (*first, *last) = (run.first.min(*first), run.last.max(*last));
            expired.days.insert((journal.to_string(), run.day));
        }
        expired
    }

    fn before(&self, journal: &str, offset: i64) -> bool {
        self.offsets.get(journal).is_some_and(|(first, _)| *first < offset)
    }

    fn after(&self, journal: &str, offset: i64) -> bool {
        self.offsets.get(journal).is_some_and(|(_, last)| offset < *last)
    }
}

/// Compares `events` with `calls`. `emitted` says up to which offset of each journal every end must
/// have its row, `expired` from which offset on something of it is gone.
pub(super) async fn check(
    events: &Snapshot,
    calls: &Snapshot,
    emitted: &BTreeMap<JournalId, i64>,
    expired: &Expired,
) -> Result<CallsReport, LakeError> {
    let mut report = CallsReport::default();
    let erased = erased_calls(events).await?;
    let (_, _, rows) = calls.size();
    let shares = u64::max(1, (rows + 1) / SHARE + 1);
    for share in 0..shares {
        let mut marks = event_marks(events, emitted, expired, share, shares).await?;
        marks.extend(row_marks(calls, expired, share, shares).await?);
        marks.sort_unstable();
        for group in marks.chunk_by(|(a, _), (b, _)| a == b) {
            judge(group, &erased, &mut report);
        }
    }
    Ok(report)
}

/// Marks of the calls whose events were erased.
async fn erased_calls(events: &Snapshot) -> Result<HashSet<Erased>, LakeError> {
    let filter = col("\"type\"").eq(lit(ERASED));
    let mut found = HashSet::new();
    let mut rows = read(events, TableKind::Events, &["body"], Some(filter)).await?;
    while let Some(batch) = rows.try_next().await? {
        found.extend(text(&batch, "body")?.iter().flatten().filter_map(erased_call));
    }
    Ok(found)
}

async fn event_marks(
    events: &Snapshot,
    emitted: &BTreeMap<JournalId, i64>,
    expired: &Expired,
    share: u64,
    shares: u64,
) -> Result<Vec<(u128, Mark)>, LakeError> {
    let mut marks = Vec::new();
    let columns = ["journal_id", "offset", "call_id", "type", "seq"];
    let mut rows = read(events, TableKind::Events, &columns, None).await?;
    let emitted: BTreeMap<String, i64> = emitted.iter().map(|(id, next)| (id.to_string(), *next)).collect();
    while let Some(batch) = rows.try_next().await? {
        let (journals, offsets) = (text(&batch, "journal_id")?, int(&batch, "offset")?);
        let (ids, types, seqs) = (text(&batch, "call_id")?, text(&batch, "type")?, int(&batch, "seq")?);
        for row in 0..batch.num_rows() {
            if ids.is_null(row) {
                continue;
            }
            let Some(id) = in_share(ids.value(row), share, shares) else {
                continue;
            };
            let (journal, offset) = (journals.value(row), offsets.value(row));
            if seqs.value(row) == 0 {
                let cut = expired.after(journal, offset);
                marks.push((id, Mark::Start { cut }));
            }
            if EventType::from(types.value(row)).is_terminal() {
                let due = emitted.get(journal).is_some_and(|next| offset < *next);
                let old = expired.before(journal, offset);
                marks.push((id, Mark::End { due, old }));
            }
        }
    }
    Ok(marks)
}

async fn row_marks(
    calls: &Snapshot,
    expired: &Expired,
    share: u64,
    shares: u64,
) -> Result<Vec<(u128, Mark)>, LakeError> {
    let mut marks = Vec::new();
    let columns: &[&str] = match expired.days.is_empty() {
        true => &["call_id"],
        false => &["call_id", "journal_id", DAY],
    };
    let mut rows = read(calls, TableKind::Calls, columns, None).await?;
    while let Some(batch) = rows.try_next().await? {
        let ids = text(&batch, "call_id")?;
        let days = batch
            .column_by_name(DAY)
            .and_then(|days| days.as_primitive_opt::<Date32Type>());
        for row in 0..batch.num_rows() {
            let Some(id) = in_share(ids.value(row), share, shares) else {
                continue;
            };
            let mut expires = false;
            if let Some(days) = days {
                let of = (text(&batch, "journal_id")?.value(row).to_owned(), days.value(row));
                expires = expired.days.contains(&of);
            }
            marks.push((id, Mark::Row { expired: expires }));
        }
    }
    Ok(marks)
}

/// The id as a number, if it belongs to this share. An id that is none at all is its own hash.
fn in_share(id: &str, share: u64, shares: u64) -> Option<u128> {
    let id = match id.parse::<Uuid>() {
        Ok(id) => id.as_u128(),
        Err(_) => u128::from_le_bytes(
            blake3::hash(id.as_bytes()).as_bytes()[..16]
                .try_into()
                .unwrap_or_default(),
        ),
    };
    // The low bits of a UUIDv7 are random.
    (id % u128::from(shares) == u128::from(share)).then_some(id)
}

fn judge(marks: &[(u128, Mark)], erased: &HashSet<Erased>, report: &mut CallsReport) {
    let Some((id, _)) = marks.first() else { return };
    let id = Uuid::from_u128(*id);
    let count = |wanted: fn(&Mark) -> bool| marks.iter().filter(|(_, mark)| wanted(mark)).count() as u64;
    let starts = count(|mark| matches!(mark, Mark::Start { .. }));
    let ends = count(|mark| matches!(mark, Mark::End { .. }));
    let due = count(|mark| matches!(mark, Mark::End { due: true, .. }));
    let old = count(|mark| matches!(mark, Mark::End { old: true, .. }));
    let rows = count(|mark| matches!(mark, Mark::Row { .. }));
    let any = |wanted: Mark| marks.iter().any(|(_, mark)| *mark == wanted);
    report.rows += rows;
    match (starts, ends, rows) {
        // Its beginning has expired, its row too or soon.
        (0, 1, 0 | 1) if old == 1 => return,
        // All of it has expired, its row soon.
        (0, 0, 1) if any(Mark::Row { expired: true }) => return,
        // Its events are erased, its row soon.
        (0, 0, 1) if erased.contains(&mark(id)) => {
            report.erased += 1;
            return;
        }
        // Its end was dated back, and has expired before it.
        (1, 0, 1) if any(Mark::Start { cut: true }) => {
            report.started += 1;
            report.ended += 1;
            return;
        }
        _ => {}
    }
    report.started += starts.min(1);
    if starts > 1 {
        report.problem(format!("call {id} began {starts} times"));
    }
    match ends {
        0 if starts > 0 => report.open += 1,
        0 => {}
        1 => report.ended += 1,
        _ => report.problem(format!("call {id} ended {ends} times")),
    }
    if ends > 0 && starts == 0 && old == 0 {
        report.problem(format!("call {id} ended and never began"));
    }
    match (rows, ends) {
        (0, 1) if due == 0 => report.pending += 1,
        (0, n) if n > 0 && due > 0 => report.problem(format!("call {id} ended and has no row in calls")),
        (1, 0) => report.problem(format!("call {id} has a row in calls and did not end")),
        (n, _) if n > 1 => report.problem(format!("call {id} has {n} rows in calls")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(marks: &[Mark]) -> CallsReport {
        let marks: Vec<(u128, Mark)> = marks.iter().map(|mark| (1, *mark)).collect();
        let mut report = CallsReport::default();
        judge(&marks, &HashSet::new(), &mut report);
        report
    }

    #[test]
    fn a_row_of_an_erased_call_goes_next() {
        let end = Mark::End { due: true, old: false };
        let row = Mark::Row { expired: false };
        let judged = |marks: &[Mark], erased: u128| {
            let marks: Vec<(u128, Mark)> = marks.iter().map(|mark| (1, *mark)).collect();
            let mut report = CallsReport::default();
            judge(&marks, &HashSet::from([mark(Uuid::from_u128(erased))]), &mut report);
            (report.erased, report.problem_count)
        };
        assert_eq!(judged(&[row], 1), (1, 0));
        // Not another call's, nor one that is there twice, nor what is left of its events.
        assert_eq!(judged(&[row], 2), (0, 1));
        assert_eq!(judged(&[row, row], 1), (0, 1));
        assert_eq!(judged(&[end, row], 1), (0, 1));
        assert_eq!(judged(&[Mark::Start { cut: false }, row], 1), (0, 1));
    }

    #[test]
    fn what_has_expired_excuses_no_more_than_it_explains() {
        let start = |cut| Mark::Start { cut };
        let end = |due, old| Mark::End { due, old };
        let row = |expired| Mark::Row { expired };
        let fine: [&[Mark]; 9] = [
            &[start(false), end(true, false), row(false)],
            &[start(false)],
            // Its row comes with the next landing, whatever has expired.
            &[start(false), end(false, false)],
            &[start(false), end(false, true)],
            &[start(true)],
            // Its beginning has expired, its row or not yet.
            &[end(true, true)],
            &[end(true, true), row(true)],
            &[row(true)],
            // Its end was dated back by a clock.
            &[start(true), row(false)],
        ];
        for marks in fine {
            assert_eq!(judged(marks).problems, Vec::<String>::new());
        }
        let wrong: [&[Mark]; 8] = [
            &[start(false), end(true, false)],
            &[start(false), end(true, true)],
            &[end(true, false), row(false)],
            &[end(true, true), row(true), row(true)],
            &[end(true, true), end(true, true), row(true)],
            &[row(false)],
            &[row(true), row(true)],
            &[start(false), row(false)],
        ];
        for marks in wrong {
            assert!(judged(marks).problem_count > 0);
        }
        assert_eq!(judged(&[start(false), end(false, true)]).pending, 1);
    }
}
