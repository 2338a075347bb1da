//! Known answers.

use query::named;
use query::output::Format;

use crate::history::History;
use crate::world::{golden, small_world, world};

#[tokio::test(flavor = "multi_thread")]
async fn landed_and_tail_are_one_table() {
    let w = small_world().await;
    assert!(!w.lander.tail().view().events.tail.is_empty());
    assert!(!w.lander.tail().view().calls.tail.is_empty());
    let events = w.history.next();
    assert_eq!(w.number("select count(*) from events").await, events);
    assert_eq!(w.number("select count(distinct \"offset\") from events").await, events);
    assert_eq!(
        w.number("select count(offset) from events where offset >= 10").await,
        events - 10
    );
    assert_eq!(w.number("select count(*) from calls").await, 60);
    assert_eq!(w.number("select count(*) from calls where status = 'failed'").await, 6);
    assert_eq!(
        w.number("select count(*) from calls where request_text like '%deep%' and status <> 'failed'")
            .await,
        54
    );
    assert_eq!(
        w.number("select count(*) from calls where 'blue' = any(tags)").await,
        60
    );
    assert_eq!(
        w.number("select arrow_cast(sum(cardinality(tags)), 'Int64') from calls")
            .await,
        120
    );
    assert_eq!(
        w.number("select count(*) from calls where started_at >= '2026-02-01T00:00:00Z'")
            .await,
        0
    );
    assert_eq!(
        w.number("select count(*) from calls c join events e on e.call_id = c.call_id and e.type = 'call.started'")
            .await,
        60
    );
    // The same again, all landed.
    w.lander.flush().await.unwrap();
    assert!(w.lander.tail().view().events.tail.is_empty());
    assert_eq!(w.number("select count(*) from events").await, events);
    assert_eq!(w.number("select count(*) from calls where status = 'failed'").await, 6);
}

/// Bodies are JSON: what is in them can be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_answer_by_their_keys() {
    let w = small_world().await;
    let calls = "select count(*) from calls where request_body->'messages'->0->>'role' = 'user' \
        and request_body->>'model' is null and status in ('completed', 'failed', 'blocked', 'interrupted')";
    assert_eq!(w.number(calls).await, 60);
    let events = "select count(distinct call_id) from events where type = 'call.started' \
        and body->'gen_ai.input.messages' is null and json_contains(body, 'gen_ai.request.model')";
    assert_eq!(w.number(events).await, 60);
    let text = r#"'{"a":{"b":[1,{"c":"x"}],"n":null,"f":1.5}}'"#;
    for (asked, said) in [
        ("->'a'->'b'->1->>'c'", "x"),
        ("->'a'->'b'->1->'c'", "\"x\""),
        ("->'a'->'b'", "[1,{\"c\":\"x\"}]"),
        ("->'a'->>'f'", "1.5"),
        ("->'a'->>'n'", "null"),
        ("->'a'->>'none'", "null"),
        ("->>'a' is null", "false"),
    ] {
        let found = w.text(&format!("select {text}{asked} as v"), Format::Csv, None).await;
        let found = found
            .lines()
            .nth(1)
            .unwrap_or_default()
            .trim_matches('"')
            .replace("\"\"", "\"");
        let said = if said == "null" { "" } else { said.trim_matches('"') };
        assert_eq!(found.trim_matches('"'), said, "{asked}");
    }
    let path = format!("select json_get_int({text}, 'a', 'b', 0) + json_length({text}, 'a', 'b')");
    assert_eq!(w.number(&format!("select arrow_cast(({path}), 'Int64')")).await, 3);
    let each = "select count(*) from (select unnest(json_get_array(request_body, 'messages'))->>'role' as role from calls) where role = 'user'";
    assert!(w.number(each).await >= 60);
    // What no file could hold is not made.
    let file = w
        .bytes("select request_body->'messages' as m from calls", Format::Parquet, None)
        .await;
    assert!(file.starts_with(b"PAR1"));
}

/// Each query in `queries/`, against what is known of the history.
#[tokio::test(flavor = "multi_thread")]
async fn every_named_query_answers() {
    let w = small_world().await;
    for query in named() {
        let found = w.text(&format!("@{}", query.name), Format::Table, None).await;
        if query.name == "overview" {
            // It looks at the last day, and this history is older.
            assert!(found.contains("\n    0  "), "{found}");
            continue;
        }
        golden(&format!("{}.txt", query.name), &found);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_shows_the_last_day() {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let mut history = History::at(now.as_nanos() as i64 - 3_600_000_000_000);
    history.calls(20);
    let w = world(history, 50).await;
    let found = w.text("@overview", Format::Ndjson, None).await;
    let expected = "{\"calls\":20,\"completed\":14,\"failed\":2,\"blocked\":2,\"cancelled\":0,\"interrupted\":2,\
         \"prompt_tokens\":252,\"answer_tokens\":126,\"cost_usd\":0.000225,\"p50_ms\":1.5,\"p99_ms\":1.5}\n";
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn recent_calls_are_the_last_ones() {
    let w = small_world().await;
    let columns = "call_id, started_at, request_text, response_body, tags";
    let wanted = format!("select {columns} from calls order by started_at desc, call_id desc limit 7");
    let found = format!("select {columns} from recent_calls(7)");
    assert_eq!(
        w.text(&found, Format::Json, None).await,
        w.text(&wanted, Format::Json, None).await
    );
    assert_eq!(w.number("select count(*) from recent_calls(1000)").await, 60);
    assert_eq!(
        w.number("select count(*) from recent_calls(7) where status = 'failed'")
            .await,
        1
    );
    let error = w.error("select * from recent_calls('x')").await.to_string();
    assert!(error.contains("recent_calls(20)"), "{error}");
}

/// Files that a filter on time or day excludes are not opened, and a filter on a small column keeps
/// the texts of other rows unread.
#[tokio::test(flavor = "multi_thread")]
async fn filters_skip_files_and_texts() {
    let mut history = History::new();
    history.calls(200);
    let w = world(history, 1000).await;
    let plan = w
        .text(
            "explain analyze select count(*) from calls where started_at < '2026-01-31T23:59:55Z'",
            Format::Ndjson,
            None,
        )
        .await;
    assert!(plan.contains("count_files_scanned=1"), "{plan}");
    // A call that is there is found, one that is not costs no text.
    let found = "select count(*) from calls where call_id = '019c0000-0000-7000-8000-0000000000b0'";
    assert_eq!(w.number(found).await, 1);
    let plan = w
        .text(
            "explain analyze select request_text from calls where call_id = '019c0000-0000-7000-8000-0000000000b0 no such call'",
            Format::Ndjson,
            None,
        )
        .await;
    assert!(
        plan.contains("row_groups_pruned_bloom_filter=1 total → 0 matched"),
        "{plan}"
    );
    let plan = w
        .text(
            "explain analyze select request_text from calls where status = 'failed'",
            Format::Ndjson,
            None,
        )
        .await;
    assert!(plan.contains("pushdown_rows_matched=20"), "{plan}");
}

/// At every moment of landing, a query sees every row once.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_once_while_landing() {
    let mut history = History::new();
    history.calls(300);
    let (items, end) = (history.items.clone(), history.next());
    let mut w = world(History::new(), 0).await;
    w.history = history;
    let (source, lander) = (w.source.clone(), w.lander.clone());
    let feeder = tokio::spawn(async move {
        for items in items.chunks(30) {
            source.push(items.iter().cloned());
            lander.flush().await.unwrap();
        }
    });
    let mut seen = 0;
    while seen < end {
        let sql = "select count(*) - count(distinct \"offset\") from events union all \
             select count(*) - coalesce(max(\"offset\") + 1, 0) from events union all \
             select count(*) - count(distinct call_id) from calls union all \
             select count(*) - (select count(*) from events where type in \
               ('call.completed', 'call.failed', 'call.blocked', 'call.interrupted')) from calls";
        let rows = w.text(sql, Format::Csv, None).await;
        assert!(rows.ends_with("\n0\n0\n0\n0\n"), "{rows}");
        seen = w.number("select count(*) from events").await;
    }
    feeder.await.unwrap();
}
