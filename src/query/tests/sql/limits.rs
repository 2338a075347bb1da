//! What is refused, and how it is said.

use std::time::Duration;

use query::{Engine, EngineOptions, QueryError};

use crate::world::small_world;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written() {
    let w = small_world().await;
    for sql in [
        "insert into calls (call_id) values ('x')",
        "delete from events",
        "update calls set app = 'x'",
        "drop table calls",
        "create table t (a int)",
        "create table t as select 1",
        "create view v as select 1",
        "create external table t stored as csv location '/etc/passwd'",
        "create function f(double) returns double return $1",
        "copy calls to '/tmp/out.parquet'",
        "copy (select 1) to '/tmp/out.csv'",
        "truncate table calls",
        "alter table calls add column x int",
        "set datafusion.execution.batch_size = 1",
        "reset datafusion.execution.batch_size",
        "explain insert into calls (call_id) values ('x')",
        "explain analyze delete from events",
        "begin",
        "prepare p as select 1",
        "deallocate p",
        "kill 1",
    ] {
        let error = w.error(sql).await;
        assert!(matches!(error, QueryError::ReadOnly(_)), "{sql}: {error:?}");
        assert!(error.to_string().contains("only reads"), "{sql}: {error}");
    }
    let error = w.error("select 1; drop table calls").await;
    assert_eq!(
        error.to_string(),
        "one statement at a time: there is more after the first `;`"
    );
    assert!(w.engine.collect("select 1;").await.is_ok());
    // No file of the machine is a table.
    for sql in ["select * from '/etc/passwd'", "select * from '/tmp/x.parquet'"] {
        assert!(matches!(w.error(sql).await, QueryError::Sql(_)), "{sql}");
    }
    assert_eq!(w.number("select count(*) from calls").await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_around_is_allowed() {
    let w = small_world().await;
    for sql in [
        "show tables",
        "describe calls",
        "show columns from events",
        "explain select * from calls",
        "explain analyze select count(*) from calls",
        "values (1, 'a')",
        "with t as (select 1 as n) select n from t",
        "select table_name from information_schema.tables",
        "(select 1) union all (select 2)",
    ] {
        assert!(w.engine.collect(sql).await.is_ok(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_explained() {
    let w = small_world().await;
    for (sql, hint) in [
        ("select call_idd from calls", "call_id"),
        ("select * from call", "call"),
        ("selec 1", "selec"),
        ("select nosuch(1)", "nosuch"),
    ] {
        let error = w.error(sql).await;
        assert_eq!(error.code(), "bad_query", "{sql}: {error:?}");
        assert!(error.to_string().contains(hint), "{sql}: {error}");
        assert!(!error.to_string().contains("backtrace"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_and_memory_end() {
    let w = small_world().await;
    let options = EngineOptions {
        timeout: Duration::from_millis(200),
        ..EngineOptions::default()
    };
    let engine = Engine::open(w.lander.tail(), options).unwrap();
    let begun = std::time::Instant::now();
    let slow = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b where a.value % 7 = b.value % 5";
    let error = engine.collect(slow).await.unwrap_err();
    assert!(matches!(error, QueryError::Timeout(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let options = EngineOptions {
        memory_bytes: 1 << 20,
        ..EngineOptions::default()
    };
    let engine = Engine::open(w.lander.tail(), options).unwrap();
    let large =
        "select count(*) from generate_series(1, 1000000) a join generate_series(1, 1000000) b on a.value = b.value";
    let error = engine.collect(large).await.unwrap_err();
    assert_eq!(error.code(), "out_of_memory", "{error:?}");
}
