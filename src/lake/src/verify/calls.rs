//! Calls: each began once, ended once, and has one row once it ended.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Date32Type;
use datafusion::prelude::{Expr, col, lit};
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

const CALL_ID: &str = "call_id";
/// Calls that are compared at once: some 100 MB.
const SHARE: usize = 1_000_000;
/// Of so many rows of `calls` one is looked at to tell where the shares begin.
const STEP: usize = 4096;

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
    check_in(events, calls, emitted, expired, (SHARE, STEP)).await
}

async fn check_in(
    events: &Snapshot,
    calls: &Snapshot,
    emitted: &BTreeMap<JournalId, i64>,
    expired: &Expired,
    (share, step): (usize, usize),
) -> Result<CallsReport, LakeError> {
    let mut report = CallsReport::default();
    let erased = erased_calls(events).await?;
    let (sample, rows) = sample(calls, step).await?;
    for share in shares(sample, share / step) {
        let mut marks = event_marks(events, emitted, expired, &share).await?;
        marks.extend(row_marks(calls, expired, &share).await?);
        marks.sort_unstable();
        for group in marks.chunk_by(|(a, _), (b, _)| a == b) {
            judge(group, &erased, &mut report);
        }
    }
    // A file whose statistics are wrong hides its rows from whoever asks for a share.
    if report.rows != rows {
        let found = report.rows;
        report.problem(format!("calls has {rows} rows, but {found} are found by their ids"));
    }
    Ok(report)
}

/// Every `step`th id in `calls`, and how many rows it has.
async fn sample(calls: &Snapshot, step: usize) -> Result<(Vec<String>, u64), LakeError> {
    let (mut sample, mut count) = (Vec::new(), 0);
    let mut rows = read(calls, TableKind::Calls, &[CALL_ID], None).await?;
    while let Some(batch) = rows.try_next().await? {
        for id in text(&batch, CALL_ID)? {
            count += 1;
            if count % step == 0 {
                sample.extend(id.map(str::to_owned));
            }
        }
    }
    Ok((sample, count as u64))
}

/// Ids from the one, where there is one, up to the other: as texts, in which a UUIDv7 is in the order of time. So
/// of most files of both tables no row is in a share, and what a file says of its row groups tells.
#[derive(Debug, PartialEq, Eq)]
struct Share {
    from: Option<String>,
    to: Option<String>,
}

impl Share {
    fn filter(&self) -> Option<Expr> {
        let from = self.from.as_ref().map(|from| col(CALL_ID).gt_eq(lit(from)));
        let to = self.to.as_ref().map(|to| col(CALL_ID).lt(lit(to)));
        from.into_iter().chain(to).reduce(Expr::and)
    }
}

/// All ids, in shares that have about so many of the sample.
fn shares(mut sample: Vec<String>, each: usize) -> Vec<Share> {
    sample.sort_unstable();
    let mut from = None;
    let mut shares = Vec::new();
    for to in sample.into_iter().skip(each).step_by(each.max(1)) {
        let to = Some(to);
        shares.push(Share {
            from: std::mem::replace(&mut from, to.clone()),
            to,
        });
    }
    shares.push(Share { from, to: None });
    shares
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
    share: &Share,
) -> Result<Vec<(u128, Mark)>, LakeError> {
    let mut marks = Vec::new();
    let columns = ["journal_id", "offset", CALL_ID, "type", "seq"];
    let mut rows = read(events, TableKind::Events, &columns, share.filter()).await?;
    let emitted: BTreeMap<String, i64> = emitted.iter().map(|(id, next)| (id.to_string(), *next)).collect();
    while let Some(batch) = rows.try_next().await? {
        let (journals, offsets) = (text(&batch, "journal_id")?, int(&batch, "offset")?);
        let (ids, types, seqs) = (text(&batch, CALL_ID)?, text(&batch, "type")?, int(&batch, "seq")?);
        for row in 0..batch.num_rows() {
            if ids.is_null(row) {
                continue;
            }
            let id = number(ids.value(row));
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

async fn row_marks(calls: &Snapshot, expired: &Expired, share: &Share) -> Result<Vec<(u128, Mark)>, LakeError> {
    let mut marks = Vec::new();
    let columns: &[&str] = match expired.days.is_empty() {
        true => &[CALL_ID],
        false => &[CALL_ID, "journal_id", DAY],
    };
    let mut rows = read(calls, TableKind::Calls, columns, share.filter()).await?;
    while let Some(batch) = rows.try_next().await? {
        let ids = text(&batch, CALL_ID)?;
        let days = batch
            .column_by_name(DAY)
            .and_then(|days| days.as_primitive_opt::<Date32Type>());
        for row in 0..batch.num_rows() {
            let id = number(ids.value(row));
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

/// The id as a number. One that is no UUID is its own hash.
fn number(id: &str) -> u128 {
    match id.parse::<Uuid>() {
        Ok(id) => id.as_u128(),
        Err(_) => u128::from_le_bytes(
            blake3::hash(id.as_bytes()).as_bytes()[..16]
                .try_into()
                .unwrap_or_default(),
        ),
    }
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
    use arrow::array::RecordBatch;
    use event::{Call, CallId, Chain, Envelope, EventId, Json, Record};

    use crate::arena::Arena;
    use crate::commit::Commit;
    use crate::encode::{CallRows, EventsBuilder};
    use crate::files::write_days;
    use crate::source::Item;
    use crate::store::{Lake, Table};

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

    fn event(call: u128, seq: u32, event_type: &str, offset: i64) -> Item {
        Item::Record(Record {
            envelope: Envelope {
                v: 1,
                event_id: EventId::new(),
                event_type: event_type.to_owned(),
                call_id: Some(CallId(Uuid::from_u128(call))),
                seq,
                time_unix_nano: offset,
                tenant: None,
                app: None,
                trace_id: None,
                span_id: None,
                journal_id: JournalId(Uuid::from_u128(1)),
                offset,
                chain: Chain::START,
            },
            body: Json::parse("{}".to_owned()).unwrap(),
        })
    }

    async fn land(table: &Table, rows: RecordBatch) -> Snapshot {
        let commit = Commit {
            files: write_days(&table.place, vec![rows]).await.unwrap(),
            ..Commit::default()
        };
        let snapshot = table.load().await.unwrap();
        commit.run(table, &snapshot).await.unwrap()
    }

    /// Calls that begin in one file and end in another, one without a row, and a row of no call.
    #[tokio::test(flavor = "multi_thread")]
    async fn in_shares_the_same_is_found() {
        const CALLS: u128 = 100;
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        let (events, calls) = (lake.table(TableKind::Events), lake.table(TableKind::Calls));
        let mut offset = 0;
        for part in 0..4 {
            let (mut rows, mut arena) = (EventsBuilder::new(0), Arena::new());
            for call in (0..CALLS).filter(|call| call % 4 == part || (call + 1) % 4 == part) {
                let (seq, what) = match call % 4 == part {
                    true => (0, "call.started"),
                    false => (1, "call.completed"),
                };
                rows.append(&mut arena, &event(call << 100, seq, what, offset));
                offset += 1;
            }
            land(events, rows.finish(&arena.finish()).unwrap()).await;
        }
        for part in 0..4 {
            let mut rows = CallRows::new();
            for call in (0..=CALLS).filter(|call| call % 4 == part && *call != 50) {
                rows.append(&Call {
                    call_id: Some(CallId(Uuid::from_u128(call << 100))),
                    journal_id: Some(JournalId(Uuid::from_u128(1))),
                    ..Call::default()
                });
            }
            land(calls, rows.finish().unwrap()).await;
        }
        let (events, calls) = (events.load().await.unwrap(), calls.load().await.unwrap());
        let emitted = BTreeMap::from([(JournalId(Uuid::from_u128(1)), offset)]);
        let found = async |how| {
            let expired = Expired::default();
            let mut found = check_in(&events, &calls, &emitted, &expired, how).await.unwrap();
            found.problems.sort();
            found
        };
        let whole = found((SHARE, STEP)).await;
        assert_eq!((whole.started, whole.ended, whole.rows), (100, 100, 100), "{whole:?}");
        let (lacking, nobody) = (Uuid::from_u128(50 << 100), Uuid::from_u128(CALLS << 100));
        assert_eq!(
            whole.problems,
            [
                format!("call {lacking} ended and has no row in calls"),
                format!("call {nobody} has a row in calls and did not end"),
            ]
        );
        for how in [(30, 1), (40, 10)] {
            assert_eq!(found(how).await, whole, "{how:?}");
        }
    }

    #[test]
    fn shares_have_all_ids_once() {
        let sample = || ["b", "d", "a", "c", "e"].map(str::to_owned).to_vec();
        let ends = |each| -> Vec<(Option<String>, Option<String>)> {
            (shares(sample(), each).into_iter())
                .map(|share| (share.from, share.to))
                .collect()
        };
        let some = |id: &str| Some(id.to_owned());
        assert_eq!(ends(5), [(None, None)]);
        assert_eq!(ends(2), [(None, some("c")), (some("c"), some("e")), (some("e"), None)]);
        assert_eq!(ends(0).len(), 6);
        assert_eq!(shares(Vec::new(), 2).len(), 1);
    }
}
