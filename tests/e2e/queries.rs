//! Queries that mean no good, or mean well and never end: the gateway outlives them.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Place, Upstream, Weir, eventually, weir as weir_command};

/// Computes for hours.
const ENDLESS: &str =
    "select count(*) from generate_series(1,30000) a(x), generate_series(1,3000000000) b(y) where (x*y)%7=3";

fn ask(place: &Place, query: &str) -> Child {
    let mut command: Command = weir_command();
    command.args(["sql", "--data"]).arg(place.data()).arg(query);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// CPU time that the threads of queries have had, in ticks of 10 ms.
fn ticks_of_queries(weir: &Weir<'_>) -> u64 {
    let mut ticks = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", weir.pid()))
        .unwrap()
        .flatten()
    {
        // Threads come and go.
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        let Some((name, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        if name.contains("weir-sql") {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    ticks
}

#[test]
fn no_query_overflows_a_stack_of_the_gateway() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let chain = |first: &str, link: &str, links: usize| format!("{first}{}", link.repeat(links));
    for query in [
        chain("select count(*) from calls where app='a'", " or app='b'", 600),
        chain("select count(*) from calls where app in ('a'", ",'b'", 5000) + ")",
        chain("select 1", " union all select 1", 300),
        chain("select 1", "+1", 600),
    ] {
        let output = place.tool(&["sql", &query]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", &query[..50]);
    }
    // Longer ones are refused in words.
    for query in [
        chain("select 1", "+1", 20_000),
        chain("select 1", " union all select 1", 3000),
    ] {
        let output = place.tool(&["sql", &query]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("too long"), "{said}");
    }
    assert_eq!(place.sql_number("select 1"), 1);
    weir.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn a_query_ends_with_its_client() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let mut asking = ask(&place, ENDLESS);
    eventually("the query runs", PATIENCE, || {
        (ticks_of_queries(&weir) > 50).then_some(())
    });
    asking.kill().unwrap();
    asking.wait().unwrap();
    eventually("the query has ended", PATIENCE, || {
        let before = ticks_of_queries(&weir);
        std::thread::sleep(Duration::from_secs(1));
        (ticks_of_queries(&weir) <= before + 2).then_some(())
    });
    weir.stop();
}

#[test]
fn queries_hold_up_neither_others_nor_the_end() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let mut weir = Weir::start(&place, &upstream);
    let asking: Vec<Child> = (0..4).map(|_| ask(&place, ENDLESS)).collect();
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    assert_eq!(place.sql_number("select 1"), 1);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let begun = Instant::now();
    weir.signal("TERM");
    assert!(weir.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for client in asking {
        let output = client.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("stopping"), "{said}");
    }
}

#[test]
fn exit_statuses_are_the_same_whoever_answers() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let statuses = || {
        [
            "select cast('x' as int)",
            "selec 1",
            "select * from call",
            "drop table calls",
        ]
        .map(|query| {
            let output = place.tool(&["sql", query]);
            (
                output.status.code(),
                String::from_utf8_lossy(&output.stderr).into_owned(),
            )
        })
    };
    let running = statuses();
    weir.stop();
    assert_eq!(running, statuses());
    assert_eq!(running.map(|(status, _)| status), [Some(1), Some(2), Some(2), Some(2)]);
}
