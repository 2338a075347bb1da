//! Calls: each began once, ended once, and has one row once it ended.

use std::collections::BTreeMap;

use arrow::array::Array as _;
use event::{EventType, JournalId};
use futures::TryStreamExt as _;
use uuid::Uuid;

use super::report::CallsReport;
use crate::decode::{int, text};
use crate::scan::read;
use crate::store::Snapshot;
use crate::{LakeError, TableKind};

/// Calls that are compared at once: some 100 MB.
const SHARE: u64 = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Start,
    End,
    /// An end whose row need not be there yet.
    LateEnd,
    /// An end in a journal of which something before it has expired: perhaps the call's beginning, and
    /// its row with it.
    OldEnd,
    Row,
}

/// Compares `events` with `calls`. `emitted` says up to which offset of each journal every end must
/// have its row, `expired` from which offset on something of it is gone.
pub(super) async fn check(
    events: &Snapshot,
    calls: &Snapshot,
    emitted: &BTreeMap<JournalId, i64>,
    expired: &BTreeMap<JournalId, i64>,
) -> Result<CallsReport, LakeError> {
    let mut report = CallsReport::default();
    let (_, _, rows) = calls.size();
    let shares = u64::max(1, (rows + 1) / SHARE + 1);
    for share in 0..shares {
        let mut marks = event_marks(events, emitted, expired, share, shares).await?;
        marks.extend(row_marks(calls, share, shares).await?);
        marks.sort_unstable();
        for group in marks.chunk_by(|(a, _), (b, _)| a == b) {
            judge(group, &mut report);
        }
    }
    Ok(report)
}

async fn event_marks(
    events: &Snapshot,
    emitted: &BTreeMap<JournalId, i64>,
    expired: &BTreeMap<JournalId, i64>,
    share: u64,
    shares: u64,
) -> Result<Vec<(u128, Mark)>, LakeError> {
    let mut marks = Vec::new();
    let columns = ["journal_id", "offset", "call_id", "type", "seq"];
    let mut rows = read(events, TableKind::Events, &columns, None).await?;
    let named = |offsets: &BTreeMap<JournalId, i64>| -> BTreeMap<String, i64> {
        offsets.iter().map(|(id, offset)| (id.to_string(), *offset)).collect()
    };
    let (emitted, expired) = (named(emitted), named(expired));
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
            if seqs.value(row) == 0 {
                marks.push((id, Mark::Start));
            }
            if EventType::from(types.value(row)).is_terminal() {
                let (journal, offset) = (journals.value(row), offsets.value(row));
                if expired.get(journal).is_some_and(|first| *first < offset) {
                    marks.push((id, Mark::OldEnd));
                    continue;
                }
                let due = emitted.get(journal).is_some_and(|next| offset < *next);
                marks.push((id, if due { Mark::End } else { Mark::LateEnd }));
            }
        }
    }
    Ok(marks)
}

async fn row_marks(calls: &Snapshot, share: u64, shares: u64) -> Result<Vec<(u128, Mark)>, LakeError> {
    let mut marks = Vec::new();
    let mut rows = read(calls, TableKind::Calls, &["call_id"], None).await?;
    while let Some(batch) = rows.try_next().await? {
        let ids = text(&batch, "call_id")?;
        let found = (0..batch.num_rows()).filter_map(|row| in_share(ids.value(row), share, shares));
        marks.extend(found.map(|id| (id, Mark::Row)));
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

fn judge(marks: &[(u128, Mark)], report: &mut CallsReport) {
    let Some((id, _)) = marks.first() else { return };
    let id = Uuid::from_u128(*id);
    let count = |wanted: Mark| marks.iter().filter(|(_, mark)| *mark == wanted).count() as u64;
    let (starts, late, rows) = (count(Mark::Start), count(Mark::LateEnd), count(Mark::Row));
    let (mut due, old) = (count(Mark::End), count(Mark::OldEnd));
    match starts {
        // Its beginning has expired, its row too or soon.
        0 if old == 1 => {
            report.rows += rows;
            return;
        }
        _ => due += old,
    }
    let ends = due + late;
    report.rows += rows;
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
    if ends > 0 && starts == 0 {
        report.problem(format!("call {id} ended and never began"));
    }
    match (rows, ends) {
        (0, 1) if late == 1 => report.pending += 1,
        (0, n) if n > 0 && due > 0 => report.problem(format!("call {id} ended and has no row in calls")),
        (1, 0) => report.problem(format!("call {id} has a row in calls and did not end")),
        (n, _) if n > 1 => report.problem(format!("call {id} has {n} rows in calls")),
        _ => {}
    }
}
