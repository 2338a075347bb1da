//! What is landed is what was recorded, once.

use std::time::Duration;

use datafusion::prelude::SessionContext;
use lake::source::MemorySource;
use lake::{Lake, LandOptions, Lander, LanderHandle, TableKind, View};

use crate::history::history;

pub fn options() -> LandOptions {
    LandOptions {
        max_age: Duration::from_secs(3600),
        pause: Duration::from_millis(1),
        ..LandOptions::default()
    }
}

pub async fn lander(lake: &Lake, source: &MemorySource) -> LanderHandle {
    let (lander, handle) = Lander::open(lake.clone(), source.clone(), options()).await.unwrap();
    tokio::spawn(lander.run());
    handle
}

/// One number from SQL over what a view shows.
pub async fn number(view: &View, sql: &str) -> i64 {
    use arrow::array::AsArray;
    let context = SessionContext::new();
    for kind in TableKind::ALL {
        let table = view.table(kind);
        table.snapshot.register_store(&context.state()).unwrap();
        let landed = context.read_table(table.snapshot.provider(kind).unwrap()).unwrap();
        let tail = context.read_batches(table.tail.clone()).unwrap();
        let all = if table.tail.is_empty() {
            landed
        } else {
            landed.union(tail).unwrap()
        };
        context.register_table(kind.name(), all.into_view()).unwrap();
    }
    let rows = context.sql(sql).await.unwrap().collect().await.unwrap();
    rows[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_lands_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let h = history(200);
    let source = MemorySource::new("one");
    source.push(h.items.clone());
    let handle = lander(&lake, &source).await;
    assert_eq!(handle.flush().await.unwrap(), h.next());
    let view = handle.tail().view();
    assert!(view.events.tail.is_empty() && view.calls.tail.is_empty());
    assert_eq!(number(&view, "select count(*) from events").await, h.next());
    assert_eq!(number(&view, "select count(distinct call_id) from calls").await, 200);
    assert_eq!(number(&view, "select count(*) from calls").await, 200);
    assert_eq!(
        number(
            &view,
            "select count(*) from calls where status = 'interrupted' and duration_ms is null"
        )
        .await,
        20
    );
    assert_eq!(number(&view, "select sum(input_tokens) from calls").await, 180 * 10);
    assert_eq!(
        number(
            &view,
            "select count(*) from calls where array_has(guardrail_rules, 'pii.email')"
        )
        .await,
        200
    );
    assert_eq!(
        number(
            &view,
            "select count(*) from calls where request_text = 'user: how deep is the weir?'"
        )
        .await,
        200
    );
    assert_eq!(
        number(&view, "select count(distinct day) from events").await,
        2,
        "the history crosses midnight"
    );
    handle.stop().await;
}
