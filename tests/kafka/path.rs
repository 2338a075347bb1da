//! The whole way: a call at a sidecar is in SQL at the analytics, once and unaltered.

use std::time::{Duration, Instant};

use crate::broker::{Broker, all_shipped, analytics, call, journal_end, metric, ready, sidecar};
use crate::harness::{PATIENCE, Place, Upstream, eventually};
use crate::scene::Scene;

#[test]
fn a_call_is_in_sql_on_the_other_side() {
    let scene = Scene::new("");
    let lander = scene.analytics();
    let app = scene.sidecar();
    let first = call(&app, "shop", "Why is the sky blue?");
    scene.far.call(&first);
    let begun = Instant::now();
    let id = call(&app, "shop", "And at night?");
    let row = scene.far.call(&id);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "visible after {:?}",
        begun.elapsed()
    );
    assert_eq!(
        (row["app"].as_str(), row["status"].as_str()),
        (Some("shop"), Some("completed"))
    );
    assert!(row["request_text"].as_str().unwrap().contains("And at night?"));
    assert_eq!(ready(&app), (200, "ready\n".to_owned()));
    // The journal lets go of what is in Kafka, and the position moves on.
    eventually("the position is stored", PATIENCE, || {
        (metric(&app, "weir_shipper_stored_offset") > 0).then_some(())
    });
    app.stop();
    scene.landed();
    assert_eq!(metric(&lander, "weir_lander_duplicate_records_total"), 0);
    lander.stop();
    scene.far.verify();
    // What was asked of Kafka's own tools: the topic is as it should be.
    let topic = scene.broker.run("topic", &["--describe", "--topic", "weir.events.v1"]);
    assert!(
        topic.contains("PartitionCount: 12") && topic.contains("cleanup.policy=delete"),
        "{topic}"
    );
}

/// A record that no message can carry travels in parts; so does the next after a kill in the midst.
#[test]
fn long_records_travel_in_parts() {
    let scene = Scene::new("max_message_kib = 20");
    let app = scene.sidecar();
    let words = "The quick brown fox jumps over the lazy dog. ".repeat(60_000);
    for round in 0..3 {
        call(&app, "long", &format!("{round} {words}"));
        call(&app, "short", "hi");
    }
    eventually("some has arrived", PATIENCE, || {
        (metric(&app, "weir_shipper_arrived_offset") > 2).then_some(())
    });
    app.kill();
    // The next run cuts elsewhere.
    let app = sidecar(
        &scene.near,
        &scene.upstream,
        &scene.broker.section("max_message_kib = 33"),
    );
    call(&app, "long", &words);
    all_shipped(&app);
    assert!(metric(&app, "weir_shipper_split_records_total") > 0);
    app.stop();
    let lander = scene.analytics();
    scene.landed();
    let length = scene
        .far
        .sql_number("select max(length(request_text)) from calls where app = 'long'");
    assert!(length > 2_600_000, "{length}");
    lander.stop();
}

/// A journal that ran without Kafka before: what was landed elsewhere is no loss here.
#[test]
fn a_journal_that_began_elsewhere_goes_on_over_kafka() {
    let (broker, upstream) = (Broker::start(), Upstream::start());
    let (near, far) = (Place::new(), Place::new());
    let settings = crate::harness::config(
        &upstream,
        "[journal]\nsegment_mib = 1\n[lake]\ncommit_seconds = 1\nmaintenance_seconds = 1\n",
    );
    let alone = crate::harness::Weir::start_config(&near, &settings);
    let filler = "word ".repeat(30_000);
    for _ in 0..10 {
        call(&alone, "before", &filler);
    }
    eventually("segments were let go", PATIENCE, || {
        let report = near.tool(&["journal", "inspect", "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        (report["first"].as_i64() > Some(0)).then_some(())
    });
    alone.stop();
    // The journal no longer waits for the lander that was here.
    let forgotten = near.tool(&["journal", "forget", "lake"]);
    assert!(
        forgotten.status.success(),
        "{}",
        String::from_utf8_lossy(&forgotten.stderr)
    );
    let app = sidecar(&near, &upstream, &broker.section(""));
    let id = call(&app, "after", "hi");
    let lander = analytics(&far, &broker.section(""), &[]);
    far.call(&id);
    app.stop();
    eventually("all has landed", PATIENCE, || {
        let last = far.sql_number("select max(\"offset\") from events");
        (last + 1 == journal_end(&near)).then_some(())
    });
    lander.stop();
    far.verify();
    let said = far.tool(&["lake", "verify"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("events landed elsewhere"), "{said}");
}
