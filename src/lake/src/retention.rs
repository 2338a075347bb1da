//! Retention: whole days go, and what is left of each is the account of what was there.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use datafusion::prelude::{Expr, col, lit};
use datafusion::scalar::ScalarValue;
use event::{Chain, JournalId};
use futures::TryStreamExt as _;

use crate::arena::Arena;
use crate::commit::{Commit, now_millis};
use crate::compact::{COMPACTION, day_number};
use crate::decode::{EventRows, RECORD_COLUMNS};
use crate::encode::{EventsBuilder, NANOS_PER_DAY, day_of};
use crate::failpoint;
use crate::files::{make_durable, write_days};
use crate::scan::{extents_where, range, read};
use crate::schema::DAY;
use crate::source::Item;
use crate::store::{Lake, Snapshot};
use crate::tombstone::{EXPIRED, Run};
use crate::{LakeError, TableKind};

/// Offsets that are looked at at once.
const STRETCH: i64 = 262_144;

/// What [`expire`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExpireReport {
    /// Days that went.
    pub days: BTreeSet<String>,
    /// Rows of `events` that went.
    pub events: u64,
    /// Rows of `calls` that went.
    pub calls: u64,
}

/// Takes away every day before `before` (`2026-01-31`, UTC): rows of `calls` by the day on which the
/// call began, rows of `events` by their own. Files go from the disk a day later, so that no reader
/// loses them. Another writer that is faster makes it fail with [`LakeError::Conflict`]; what is done
/// by then is done.
pub async fn expire(lake: &Lake, before: &str) -> Result<ExpireReport, LakeError> {
    expire_due(lake, &Due::before(day_number(before)?)).await
}

/// Which days go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// Days before this one, in days since 1970.
    before: i32,
    /// Only days to which nothing was added since, ms since 1970.
    landed_before: i64,
}

impl Due {
    fn before(day: i32) -> Due {
        Due {
            before: day,
            landed_before: i64::MAX,
        }
    }

    /// What is older than so many days at `now`, and landed before that too: a record that a wrong clock
    /// dated years back stays as long as any other.
    pub(crate) fn after(keep_days: u32, now_unix_nano: i64) -> Due {
        let before = day_of(now_unix_nano).saturating_sub_unsigned(keep_days);
        Due {
            before,
            landed_before: i64::from(before).saturating_mul(NANOS_PER_DAY / 1_000_000),
        }
    }
}

/// Whether nothing landed for so long, at some time or until now, that the clock is the likelier fault: all
/// that landed before seems older than it is, by as much as the clock leapt.
pub(crate) async fn is_doubtful(lake: &Lake, keep_days: u32, now_millis: i64) -> Result<bool, LakeError> {
    let snapshot = lake.table(TableKind::Events).load().await?;
    let mut landings: Vec<i64> = landings(&snapshot).map(|(_, at)| at.min(now_millis)).collect();
    if landings.is_empty() {
        return Ok(false);
    }
    landings.push(now_millis);
    landings.sort_unstable();
    let longest = landings.windows(2).map(|pair| pair[1] - pair[0]).max();
    let most = i64::from(keep_days.max(LONG_PAUSE_DAYS)) * (NANOS_PER_DAY / 1_000_000);
    Ok(longest.is_some_and(|longest| longest > most))
}

/// A pause of so many days is believed in any case.
const LONG_PAUSE_DAYS: u32 = 30;

/// Whether there is anything to take away.
pub(crate) async fn is_due(lake: &Lake, due: &Due) -> Result<bool, LakeError> {
    Ok(!due_days(lake, due).await?.is_empty())
}

/// The days that go, the same for both tables: a row of `calls` without its events would be a fault.
async fn due_days(lake: &Lake, due: &Due) -> Result<BTreeSet<String>, LakeError> {
    // When something landed last on each day, in either table.
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for table in lake.tables() {
        for (day, landed) in landings(&table.load().await?) {
            let at = last.entry(day).or_insert(landed);
            *at = landed.max(*at);
        }
    }
    last.retain(|day, landed| *landed < due.landed_before && day_number(day).is_ok_and(|number| number < due.before));
    Ok(last.into_keys().collect())
}

pub(crate) async fn expire_due(lake: &Lake, due: &Due) -> Result<ExpireReport, LakeError> {
    let due = due_days(lake, due).await?;
    let mut report = ExpireReport::default();
    // Events first: they leave an account, so that rows of `calls` that are still there are told to go next. Of
    // calls nothing is left, so that their events would stand there like calls whose row is missing.
    expire_events(lake, &due, &mut report).await?;
    failpoint::hit("expire");
    expire_calls(lake, &due, &mut report).await?;
    Ok(report)
}

async fn expire_events(lake: &Lake, due: &BTreeSet<String>, report: &mut ExpireReport) -> Result<(), LakeError> {
    let table = lake.table(TableKind::Events);
    let mut snapshot = table.load().await?;
    for day in days(&snapshot, due) {
        let (rows, expired) = account(&snapshot, &day).await?;
        if expired == 0 {
            continue;
        }
        let files = write_days(&table.place, vec![rows]).await?;
        make_durable(&table.place, &files).await?;
        let commit = Commit {
            removes: removes(&snapshot, &BTreeSet::from([day.clone()])),
            files,
            txns: vec![(COMPACTION.to_owned(), now_millis())],
            ..Commit::default()
        };
        snapshot = commit.run(table, &snapshot).await?;
        report.events += expired;
        report.days.insert(day);
    }
    Ok(())
}

async fn expire_calls(lake: &Lake, due: &BTreeSet<String>, report: &mut ExpireReport) -> Result<(), LakeError> {
    let table = lake.table(TableKind::Calls);
    let snapshot = table.load().await?;
    let old = days(&snapshot, due);
    if old.is_empty() {
        return Ok(());
    }
    let commit = Commit {
        removes: removes(&snapshot, &old),
        txns: vec![(COMPACTION.to_owned(), now_millis())],
        ..Commit::default()
    };
    let (_, _, rows) = snapshot.size();
    let after = commit.run(table, &snapshot).await?;
    report.calls += rows.saturating_sub(after.size().2);
    report.days.extend(old);
    Ok(())
}

/// Of these days, those that have more than their account here.
fn days(snapshot: &Snapshot, due: &BTreeSet<String>) -> BTreeSet<String> {
    let here = landings(snapshot).map(|(day, _)| day);
    here.filter(|day| due.contains(day)).collect()
}

/// Day and time of landing (ms since 1970) of each file that holds more than the account of what has gone.
fn landings(snapshot: &Snapshot) -> impl Iterator<Item = (String, i64)> {
    let log = snapshot.state.log_data();
    let mut found = Vec::with_capacity(log.num_files());
    for file in log.iter() {
        let Some(day) = file.partition_values_map().remove(DAY).flatten() else {
            continue;
        };
        let stats = file
            .stats()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        let only_account = stats.is_some_and(|stats| {
            let end = |end: &str| {
                stats
                    .get(end)
                    .and_then(|values| values.get("type")?.as_str().map(str::to_owned))
            };
            [end("minValues"), end("maxValues")]
                .iter()
                .all(|value| value.as_deref() == Some(EXPIRED))
        });
        if !only_account {
            found.push((day, file.modification_time()));
        }
    }
    found.into_iter()
}

fn removes(snapshot: &Snapshot, days: &BTreeSet<String>) -> Vec<deltalake::kernel::Remove> {
    let in_days = |day: Option<String>| day.is_some_and(|day| days.contains(&day));
    (snapshot.state.log_data().iter())
        .filter(|file| in_days(file.partition_values_map().remove(DAY).flatten()))
        .map(|file| file.remove_action(true))
        .collect()
}

/// The rows that stand for a day, and how many rows they stand for anew.
async fn account(events: &Snapshot, day: &str) -> Result<(RecordBatch, u64), LakeError> {
    let number = day_number(day)?;
    let on_day = || col(DAY).eq(lit(ScalarValue::Date32(Some(number))));
    let mut runs = Vec::new();
    let mut expired = 0;
    for extent in extents_where(events, Some(on_day())).await? {
        let mut at = extent.min;
        while at <= extent.max {
            let to = (at + STRETCH).min(extent.max + 1);
            expired += stretch(events, (number, on_day()), extent.journal, (at, to), &mut runs).await?;
            at = to;
        }
    }
    let time = i64::from(number) * NANOS_PER_DAY;
    let mut arena = Arena::new();
    let mut rows = EventsBuilder::new(time);
    for run in joined(runs) {
        rows.append(&mut arena, &run.row()?);
    }
    Ok((rows.finish(&arena.finish())?, expired))
}

/// One journal's offsets of the day, as runs in order.
async fn stretch(
    events: &Snapshot,
    (day, on_day): (i32, Expr),
    journal: JournalId,
    (from, to): (i64, i64),
    runs: &mut Vec<Run>,
) -> Result<u64, LakeError> {
    let filter = on_day.and(range(journal, from, to));
    let mut found: Vec<Run> = Vec::new();
    let mut expired = 0;
    let mut rows = read(events, TableKind::Events, RECORD_COLUMNS, Some(filter)).await?;
    while let Some(batch) = rows.try_next().await? {
        let decoded = EventRows::of(&batch)?;
        for row in 0..batch.num_rows() {
            if decoded.event_type(row) == EXPIRED {
                let run = decoded.item(row).ok().as_ref().and_then(Run::of);
                found.push(run.ok_or_else(|| LakeError::Row {
                    journal: journal.to_string(),
                    offset: decoded.offset(row),
                    what: "it does not say which offsets have expired".to_owned(),
                })?);
                continue;
            }
            expired += 1;
            let offset = decoded.offset(row);
            found.push(Run {
                journal,
                first: offset,
                last: offset,
                chain: decoded.chain(row).and_then(|text| text.parse::<Chain>().ok()),
                day,
            });
        }
    }
    found.sort_unstable_by_key(|run| run.first);
    runs.extend(found);
    Ok(expired)
}

/// Runs that follow on one another become one.
fn joined(runs: Vec<Run>) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for run in runs {
        match out.last_mut() {
            Some(last) if last.journal == run.journal && last.last + 1 == run.first => {
                last.last = run.last;
                last.chain = run.chain;
            }
            _ => out.push(run),
        }
    }
    out
}

/// The runs of a journal that have expired, in order.
pub(crate) async fn expired_runs(events: &Snapshot) -> Result<Vec<Run>, LakeError> {
    let filter = col("\"type\"").eq(lit(EXPIRED));
    let mut runs = Vec::new();
    let mut rows = read(events, TableKind::Events, RECORD_COLUMNS, Some(filter)).await?;
    while let Some(batch) = rows.try_next().await? {
        let decoded = EventRows::of(&batch)?;
        for row in 0..batch.num_rows() {
            let item: Result<Item, LakeError> = decoded.item(row);
            runs.extend(item.ok().as_ref().and_then(Run::of));
        }
    }
    runs.sort_unstable_by_key(|run| (run.journal, run.first));
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::CallRows;
    use event::{Call, CallId};

    const DAY_MS: i64 = NANOS_PER_DAY / 1_000_000;
    const MINUTE_MS: i64 = 60_000;

    /// Lands a row of that day at that time, in days since 1970 and ms.
    async fn land(lake: &Lake, kind: TableKind, day: i64, landed: i64) {
        let (table, time) = (lake.table(kind), day * NANOS_PER_DAY);
        let rows = match kind {
            TableKind::Events => {
                let (mut rows, mut arena) = (EventsBuilder::new(time), Arena::new());
                let item = Item::Unreadable {
                    journal_id: JournalId::new(),
                    offset: 0,
                    raw: b"?".to_vec(),
                    why: String::new(),
                };
                rows.append(&mut arena, &item);
                rows.finish(&arena.finish()).unwrap()
            }
            TableKind::Calls => {
                let mut rows = CallRows::new();
                rows.append(&Call {
                    call_id: Some(CallId::new()),
                    journal_id: Some(JournalId::new()),
                    started_unix_nano: Some(time),
                    ..Call::default()
                });
                rows.finish().unwrap()
            }
        };
        let mut files = write_days(&table.place, vec![rows]).await.unwrap();
        files.iter_mut().for_each(|file| file.add.modification_time = landed);
        let commit = Commit {
            files,
            txns: vec![("test".to_owned(), landed)],
            ..Commit::default()
        };
        commit.run(table, &table.load().await.unwrap()).await.unwrap();
    }

    async fn lake() -> (tempfile::TempDir, Lake) {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        (dir, lake)
    }

    #[tokio::test]
    async fn both_tables_lose_the_same_days() {
        let (_dir, lake) = lake().await;
        // A call over midnight: its row lands on the day after its beginning.
        land(&lake, TableKind::Events, 20_000, 20_001 * DAY_MS - MINUTE_MS).await;
        land(&lake, TableKind::Calls, 20_000, 20_001 * DAY_MS + MINUTE_MS).await;
        let due = |today: i64| Due::after(1, today * NANOS_PER_DAY);
        assert!(!is_due(&lake, &due(20_002)).await.unwrap(), "of neither yet");
        let gone = expire_due(&lake, &due(20_003)).await.unwrap();
        assert_eq!((gone.events, gone.calls), (1, 1));
    }

    #[tokio::test]
    async fn what_was_dated_back_stays_as_long_as_any_other() {
        let (_dir, lake) = lake().await;
        land(&lake, TableKind::Events, 100, 20_000 * DAY_MS).await;
        assert!(!is_due(&lake, &Due::after(30, 20_029 * NANOS_PER_DAY)).await.unwrap());
        assert!(is_due(&lake, &Due::after(30, 20_031 * NANOS_PER_DAY)).await.unwrap());
    }

    #[tokio::test]
    async fn packing_makes_nothing_younger() {
        let (_dir, lake) = lake().await;
        for landed in [20_001 * DAY_MS, 20_000 * DAY_MS] {
            land(&lake, TableKind::Events, 20_000, landed).await;
        }
        let packed = crate::compact(&lake, 2).await.unwrap();
        assert_eq!((packed.files_removed, packed.files_added), (2, 1));
        let snapshot = lake.table(TableKind::Events).load().await.unwrap();
        let landed: Vec<i64> = landings(&snapshot).map(|(_, at)| at).collect();
        assert_eq!(landed, [20_001 * DAY_MS], "the last of them");
    }

    #[tokio::test]
    async fn a_leap_between_two_landings_is_doubtful() {
        let (_dir, lake) = lake().await;
        for day in [20_000, 20_020, 20_040] {
            land(&lake, TableKind::Events, day, day * DAY_MS).await;
        }
        let doubtful = async |today: i64| is_doubtful(&lake, 7, today * DAY_MS).await.unwrap();
        assert!(!doubtful(20_041).await, "a pause of three weeks is believed");
        assert!(doubtful(21_040).await, "the clock begins ahead");
        land(&lake, TableKind::Events, 20_041, 21_041 * DAY_MS).await;
        assert!(doubtful(21_042).await, "and something lands by it");
        assert!(!doubtful(20_042).await, "it is set right");
    }
}
