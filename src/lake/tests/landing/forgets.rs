//! What retention and erasure took away keeps its place in the account.

use lake::source::{Item, MemorySource};
use lake::{Lake, Report, Whose, compact_now, erase, expire, rebuild, verify};

use crate::history::{History, history};
use crate::lands::{lander, number};
use crate::proves::table;

async fn landed(h: &History) -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = MemorySource::new("one");
    let handle = lander(&lake, &source).await;
    for items in h.items.chunks(150) {
        source.push(items.iter().cloned());
        handle.flush().await.unwrap();
    }
    handle.stop().await;
    (dir, lake)
}

async fn proof(lake: &Lake) -> Report {
    verify(lake, None).await.unwrap()
}

async fn ask(lake: &Lake, sql: &str) -> i64 {
    number(&lake::Tail::offline(lake, None).await.unwrap().view(), sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_days_are_expired_and_not_missing() {
    // It crosses midnight: the last day is the one that stays.
    let h = history(200);
    let (_dir, lake) = landed(&h).await;
    let before = proof(&lake).await;
    let last = ask(&lake, "select cast(max(cast(day as int)) as bigint) from events").await;
    let stays = ask(
        &lake,
        &format!("select count(*) from events where cast(day as int) = {last}"),
    )
    .await;
    assert!(stays > 0 && stays < h.next());
    let day = arrow::datatypes::Date32Type::to_naive_date_opt(i32::try_from(last).unwrap()).unwrap();
    let done = expire(&lake, &day.to_string()).await.unwrap();
    assert_eq!(done.days.len(), 1);
    assert_eq!(done.events as i64, h.next() - stays);
    let after = proof(&lake).await;
    assert!(after.is_complete(), "{after}");
    let journal = &after.journals[0];
    let gone: i64 = journal.expired.iter().map(|run| run.last - run.first + 1).sum();
    assert_eq!(gone, h.next() - stays, "{after}");
    assert!(
        journal.missing.is_empty() && after.to_string().contains("expired: "),
        "{after}"
    );
    assert_eq!(journal.links as i64, stays, "the chain goes on over the gap");
    assert!(after.calls.rows < before.calls.rows);
    // Nothing is left of it but the account; doing it again does nothing.
    let rows = ask(
        &lake,
        &format!("select count(*) from events where cast(day as int) < {last}"),
    )
    .await;
    let account = ask(&lake, "select count(*) from events where type = 'lake.expired'").await;
    assert_eq!(rows, account);
    assert_eq!(
        expire(&lake, &day.to_string()).await.unwrap(),
        lake::ExpireReport::default()
    );
    // Upkeep keeps the account, and so does what lands later.
    compact_now(&lake).await.unwrap();
    assert!(proof(&lake).await.is_complete());
    // What is altered or missing shows all the same.
    let victim = h.next() - 3;
    table(&lake, "events")
        .await
        .delete()
        .with_predicate(format!("\"offset\" = {victim}"))
        .await
        .unwrap();
    let found = proof(&lake).await;
    assert!(
        !found.is_complete() && found.to_string().contains(&format!("MISSING: {victim}")),
        "{found}"
    );
}

/// What has expired and is there again is there twice; and so is a row of a call whose beginning has expired.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_after_it_expired_shows() {
    const DAY: &str = "2026-02-01";
    let h = history(200);
    let (_dir, lake) = landed(&h).await;
    let rows = async |name: &str, sql: &str| {
        let context = datafusion::prelude::SessionContext::new();
        let provider = table(&lake, name).await.table_provider().await.unwrap();
        context.register_table(name, provider).unwrap();
        context.sql(sql).await.unwrap().collect().await.unwrap()
    };
    let old = format!("select * from events where day < date '{DAY}' and \"offset\" in (3, 4, 5, 9)");
    let events = rows("events", &old).await;
    // It ends on the day that stays.
    let over =
        format!("select * from calls where day < date '{DAY}' and cast(ended_at as date) = date '{DAY}' limit 1");
    let calls = rows("calls", &over).await;
    assert_eq!(calls.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
    expire(&lake, DAY).await.unwrap();
    let found = proof(&lake).await;
    assert!(found.is_complete(), "{found}");
    table(&lake, "events").await.write(events).await.unwrap();
    let found = proof(&lake).await;
    let twice: Vec<(i64, i64)> = (found.journals[0].doubled.iter())
        .map(|range| (range.first, range.last))
        .collect();
    assert_eq!(twice, [(3, 5), (9, 9)], "{found}");
    assert!(!found.is_complete(), "{found}");
    let before = found.calls.problem_count;
    for _ in 0..2 {
        table(&lake, "calls").await.write(calls.clone()).await.unwrap();
    }
    let found = proof(&lake).await;
    assert_eq!(found.calls.problem_count, before + 1, "{found}");
    assert!(found.to_string().contains("has 2 rows in calls"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_records_leave_their_digest() {
    let h = history(120);
    let (dir, lake) = landed(&h).await;
    let id = h
        .items
        .iter()
        .filter_map(Item::record)
        .find_map(|record| record.envelope.call_id);
    let id = id.unwrap().to_string();
    let events = ask(&lake, &format!("select count(*) from events where call_id = '{id}'")).await;
    assert!(events >= 3);
    let done = erase(&lake, None, &Whose::Call(id.clone())).await.unwrap();
    assert_eq!((done.calls, done.call_rows, done.event_rows as i64), (1, 1, events));
    let found = proof(&lake).await;
    assert!(found.is_complete(), "{found}");
    let erased: i64 = found.journals[0]
        .erased
        .iter()
        .map(|run| run.last - run.first + 1)
        .sum();
    assert_eq!(erased, events);
    assert_eq!(
        found.journals[0].links as i64,
        h.next(),
        "each link is checked, by its digest"
    );
    assert_eq!(
        ask(&lake, &format!("select count(*) from calls where call_id = '{id}'")).await,
        0
    );
    assert_eq!(
        ask(&lake, &format!("select count(*) from events where call_id = '{id}'")).await,
        0
    );
    assert_eq!(ask(&lake, "select count(*) from calls").await, 119);
    // A session's calls, and a rebuild that does not bring them back.
    let session = "select count(*) from calls where session_id = 'session-3'";
    let theirs = ask(&lake, session).await;
    assert!(theirs > 0);
    let done = erase(&lake, None, &Whose::Session("session-3".to_owned()))
        .await
        .unwrap();
    assert_eq!((done.calls as i64, done.call_rows as i64), (theirs, theirs));
    rebuild(&lake).await.unwrap();
    assert_eq!(ask(&lake, session).await, 0);
    assert_eq!(ask(&lake, "select count(*) from calls").await, 119 - theirs);
    let found = proof(&lake).await;
    assert!(found.is_complete(), "{found}");
    // A digest that is not the record's breaks the chain.
    let first = ask(&lake, "select min(\"offset\") from events where type = 'lake.erased'").await;
    let forged = format!("'{{\"digest\":\"{}\"}}'", "ab".repeat(32));
    table(&lake, "events")
        .await
        .update()
        .with_predicate(format!("\"offset\" = {first}"))
        .with_update("body", forged)
        .await
        .unwrap();
    let found = proof(&lake).await;
    assert!(
        !found.is_complete() && found.to_string().contains(&format!("ALTERED: {first}")),
        "{found}"
    );
    drop(dir);
}

/// Whoever erases a call that is still open would leave its end alone in the table, nobody's and without a
/// beginning: it waits, and goes when it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_still_open_is_erased_once_it_has_ended() {
    let mut h = history(20);
    let call = h.begin("large");
    h.middle(call);
    let (session, open_from) = (format!("session-{}", (h.next() - 4) % 7), h.next());
    h.end(call, 4, event::Body::CallCompleted);
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = MemorySource::new("one");
    let handle = lander(&lake, &source).await;
    source.push(h.items[..open_from as usize].iter().cloned());
    handle.flush().await.unwrap();
    let theirs = "select count(*) from events where call_id = ";
    for whose in [Whose::Call(call.to_string()), Whose::Session(session.clone())] {
        let done = erase(&lake, None, &whose).await.unwrap();
        assert_eq!(done.open, 1, "{done:?}");
        assert_eq!(ask(&lake, &format!("{theirs}'{call}'")).await, 4, "{done:?}");
    }
    assert!(proof(&lake).await.is_complete());
    // It ends, and comes to the table.
    source.push(h.items[open_from as usize..].iter().cloned());
    let _refused = handle.flush().await;
    assert_eq!(handle.flush().await.unwrap(), h.next());
    let found = proof(&lake).await;
    assert!(found.is_complete(), "{found}");
    let done = erase(&lake, None, &Whose::Session(session)).await.unwrap();
    assert_eq!((done.calls, done.open), (1, 0));
    assert_eq!(ask(&lake, &format!("{theirs}'{call}'")).await, 0);
    let found = proof(&lake).await;
    assert!(found.is_complete(), "{found}");
    // Nobody's.
    let nobody = erase(&lake, None, &Whose::Call(event::CallId::new().to_string()))
        .await
        .unwrap();
    assert_eq!(nobody, lake::EraseReport::default());
}

/// Calls that wait in the journal cannot be erased yet: they are still to come, and said to be.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_landed_is_still_to_come() {
    let mut h = History::new();
    let open = h.begin("large");
    let ended = h.begin("large");
    h.middle(ended);
    h.end(ended, 4, event::Body::CallCompleted);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    let (journal, _) = journal::Journal::open(&folder, journal::Options::default()).unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    // Of no journal, and of an empty one, nothing waits.
    let nothing = lake::EraseReport::default();
    let theirs = |n: i64| Whose::Session(format!("session-{}", n % 7));
    for folder in [&folder, &dir.path().join("none")] {
        assert_eq!(erase(&lake, Some(folder), &theirs(0)).await.unwrap(), nothing);
    }
    journal.append(&h.drafts).unwrap();
    journal.flush().unwrap();
    let still = |open| lake::EraseReport { open, ..nothing };
    for whose in [
        theirs(0),
        theirs(1),
        Whose::Call(open.to_string()),
        Whose::Call(ended.to_string()),
    ] {
        let done = erase(&lake, Some(&folder), &whose).await.unwrap();
        assert_eq!(done, still(1), "{whose:?}");
    }
    assert_eq!(erase(&lake, Some(&folder), &theirs(2)).await.unwrap(), nothing);
    // It lands: what has ended goes, and the other is open.
    let source = lake::JournalSource::new(journal.clone());
    let (lander, handle) = lake::Lander::open(lake.clone(), source, crate::lands::options())
        .await
        .unwrap();
    let landing = tokio::spawn(lander.run());
    handle.flush().await.unwrap();
    handle.stop().await;
    landing.await.unwrap().unwrap();
    let done = erase(&lake, Some(&folder), &theirs(1)).await.unwrap();
    assert_eq!((done.calls, done.call_rows, done.open), (1, 1, 0));
    assert_eq!(erase(&lake, Some(&folder), &theirs(0)).await.unwrap(), still(1));
    let found = verify(&lake, Some(&folder)).await.unwrap();
    assert!(found.is_complete(), "{found}");
}

/// Rows keep their order in a file that is written anew, and files of other calls are left as they are.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_for_an_erased_record_stands_in_its_place() {
    let h = history(120);
    let (_dir, lake) = landed(&h).await;
    let id = h.ended[10].to_string();
    let done = erase(&lake, None, &Whose::Call(id)).await.unwrap();
    assert!(done.files >= 2 && done.event_rows >= 4, "{done:?}");
    let events = lake.table(lake::TableKind::Events).load().await.unwrap();
    assert!(done.files < events.size().0, "{done:?}");
    let dir = std::path::Path::new(lake.location()).join("events");
    let mut files = 0;
    for day in std::fs::read_dir(dir).unwrap().map(|day| day.unwrap().path()) {
        let named = |path: &std::path::Path| path.to_string_lossy().ends_with(".parquet");
        let in_day = std::fs::read_dir(&day)
            .into_iter()
            .flatten()
            .map(|file| file.unwrap().path());
        for path in in_day.filter(|path| named(path)) {
            let file = std::fs::File::open(&path).unwrap();
            let mut offsets: Vec<i64> = Vec::new();
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            for batch in reader.build().unwrap() {
                use arrow::array::AsArray as _;
                let batch = batch.unwrap();
                let column = batch.column_by_name("offset").unwrap();
                offsets.extend(column.as_primitive::<arrow::datatypes::Int64Type>().values());
            }
            assert!(offsets.is_sorted(), "{}: {offsets:?}", path.display());
            files += 1;
        }
    }
    assert!(files > 2);
}
