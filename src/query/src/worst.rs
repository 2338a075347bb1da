//! The worst queries that [`length`](crate::length) lets pass, on small stacks.

use std::time::Duration;

use lake::{Lake, Tail};

use crate::engine::STACK_BYTES;
use crate::length::{MAX_LINKS, check};
use crate::{Engine, EngineOptions};

/// What nests for each link: what comes first, the link, what comes last, links of each.
const CHAINS: [(&str, &str, &str, usize); 14] = [
    ("select 1", "+1", "", 1),
    ("select sum(input_tokens", "+input_tokens", ") from calls", 1),
    ("select app", "||app", " from calls", 1),
    ("select 1", "::int", "", 2),
    ("select count(*) from calls where app='a'", " or app='#'", "", 2),
    (
        "select count(*) from calls where app='a'",
        " or app='#' and user_id='#'",
        "",
        4,
    ),
    ("select count(*) from calls where app in (''", ",'#'", ")", 1),
    ("select case ", "when app='#' then 1 ", "end from calls", 3),
    ("select 1", "+(select 1)", "", 2),
    ("select 1", " union all select #", "", 3),
    ("select app from calls", " union all select app from calls", "", 4),
    ("select 1", " except select 1", "", 2),
    ("select 1 from calls", ", (select #) t#", "", 33),
    ("select now()", " at time zone 'UTC'", "", 3),
];

/// `links` links of a chain.
fn chain((head, link, tail, each): (&str, &str, &str, usize), links: usize) -> String {
    let mut sql = head.to_owned();
    for i in 0..links.saturating_sub(8) / each {
        sql.push_str(&link.replace('#', &i.to_string()));
    }
    sql + tail
}

/// Tables each of which is made from the one before it: `body` is made of `x`.
fn tables(body: &str, links: usize) -> String {
    let last = links.saturating_sub(8) / 9;
    let mut sql = "with c0 as (select 1 x)".to_owned();
    for i in 0..last {
        sql.push_str(&format!(", c{} as (select {body} x from c{i})", i + 1));
    }
    format!("{sql} select count(*) from c{last}")
}

fn nested(open: &str, inner: &str, close: &str) -> String {
    format!("select {}{inner}{}", open.repeat(4000), close.repeat(4000))
}

/// The worst queries of so many links.
fn queries(links: usize) -> Vec<String> {
    let mut queries: Vec<String> = CHAINS.iter().map(|shape| chain(*shape, links)).collect();
    queries.push(tables("x + 1", links));
    queries.push(tables("[x]", links));
    // What the parser's own limit is for.
    queries.push(nested("(", "1", ")"));
    queries.push(nested("abs(", "1", ")"));
    queries.push(nested("[", "1", "]"));
    queries.push(nested("not ", "true", ""));
    queries.push(nested("- ", "1", ""));
    queries.push(nested("(select ", "1", ")"));
    queries.push(format!(
        "select * from {}calls{}",
        "(select * from ".repeat(2000),
        ")".repeat(2000)
    ));
    queries
}

async fn survive(links: usize, stack_bytes: usize) {
    let lake = Lake::in_memory().await.unwrap();
    let tail = Tail::offline(&lake, None).await.unwrap();
    let options = EngineOptions {
        stack_bytes,
        timeout: Duration::from_secs(3600),
        ..EngineOptions::default()
    };
    let engine = Engine::open(tail, options).unwrap();
    for sql in queries(links) {
        let begun = std::time::Instant::now();
        // An answer or an error: what overflows a stack ends the test's process.
        let answer = engine.collect(&sql).await;
        let shown = sql.get(..60).unwrap_or(&sql);
        println!("{:?} {} {shown}", begun.elapsed(), answer.is_ok());
    }
    assert_eq!(engine.collect("select 1").await.unwrap().len(), 1);
    tokio::task::spawn_blocking(move || engine.close(Duration::from_secs(60)))
        .await
        .unwrap();
}

/// A sixteenth of the length on a thirty-second of the stack: planning takes time in the square of it.
#[tokio::test]
async fn nothing_overflows_a_stack() {
    survive(MAX_LINKS / 16, STACK_BYTES / 32).await;
}

#[tokio::test]
#[ignore = "takes minutes: cargo test --release --workspace --lib -- --ignored half_the_stack"]
async fn nothing_overflows_half_the_stack_at_the_limit() {
    for sql in queries(MAX_LINKS).iter().take(CHAINS.len() + 2) {
        check(sql).unwrap();
    }
    survive(MAX_LINKS, STACK_BYTES / 2).await;
}
