//! Kafka away, killed or frozen; sidecar and analytics killed: everything arrives once.

use std::time::Duration;

use crate::broker::{all_shipped, call, metric, ready, sidecar};
use crate::harness::{PATIENCE, eventually};
use crate::scene::Scene;

/// Calls never notice; everything arrives when the broker is back.
#[test]
fn calls_never_notice_that_kafka_is_away() {
    let scene = Scene::new("");
    scene.broker.run("kill", &[]);
    // Both start without it.
    let app = sidecar(&scene.near, &scene.upstream, &scene.broker.section("buffer_mib = 1"));
    let lander = scene.analytics();
    for _ in 0..20 {
        call(&app, "shop", "hi");
    }
    let (status, said) = eventually("the trouble is told", PATIENCE, || {
        Some(ready(&app)).filter(|(_, said)| said.contains("kafka: "))
    });
    assert_eq!(status, 200, "the sidecar serves");
    assert!(
        said.contains("no Kafka broker answers") && said.contains("wait in the journal"),
        "{said}"
    );
    assert_eq!(metric(&app, "weir_shipper_up"), 0);
    let (status, said) = eventually("the analytics tell it too", PATIENCE, || {
        Some(ready(&lander)).filter(|(_, said)| said.contains("no Kafka broker answers"))
    });
    assert_eq!(status, 200, "SQL is there: {said}");
    scene.broker.up();
    all_shipped(&app);
    // Away again, in the midst, with more than the client may hold.
    scene.broker.run("kill", &[]);
    let filler = "word ".repeat(20_000);
    for _ in 0..30 {
        call(&app, "shop", &filler);
    }
    scene.broker.up();
    all_shipped(&app);
    assert_eq!(ready(&app), (200, "ready\n".to_owned()));
    app.stop();
    scene.landed();
    lander.stop();
}

/// What the client gives up it takes all that follows with it, and everything is sent again from the
/// journal: nothing comes before what precedes it.
#[test]
fn what_times_out_is_sent_again() {
    let scene = Scene::new("[kafka.properties]\n\"message.timeout.ms\" = \"2000\"\n");
    let app = scene.sidecar();
    for round in 0..3 {
        for _ in 0..5 {
            call(&app, "shop", "hi");
        }
        scene.broker.run("stop", &[]);
        for _ in 0..20 {
            call(&app, "shop", "hi");
        }
        let restarts = metric(&app, "weir_shipper_restarts_total");
        eventually("the client gives up", PATIENCE, || {
            (metric(&app, "weir_shipper_restarts_total") > restarts).then_some(())
        });
        assert_eq!(metric(&app, "weir_shipper_up"), 0, "round {round}");
        scene.broker.run("cont", &[]);
        all_shipped(&app);
    }
    app.stop();
    scene.land();
}

/// kill -9 of each process in turn, under load.
#[test]
fn everything_arrives_once_whoever_is_killed() {
    let scene = Scene::new("");
    let mut app = scene.sidecar();
    let mut lander = scene.analytics();
    for round in 0..3 {
        for _ in 0..20 {
            call(&app, "shop", "hi");
        }
        match round {
            0 => {
                app.kill();
                app = scene.sidecar();
            }
            1 => {
                scene.broker.run("kill", &[]);
                call(&app, "shop", "hi");
                scene.broker.up();
            }
            _ => {
                // A batch is open or landing.
                std::thread::sleep(Duration::from_millis(700));
                lander.kill();
                lander = scene.analytics();
            }
        }
    }
    call(&app, "shop", "the last");
    app.stop();
    scene.landed();
    lander.stop();
    scene.far.verify();
}

/// What a sidecar sent and does not know to have arrived it sends again: the lander drops it.
#[test]
fn what_comes_twice_is_dropped() {
    let scene = Scene::new("");
    let app = scene.sidecar();
    for _ in 0..10 {
        call(&app, "shop", "hi");
    }
    all_shipped(&app);
    app.kill();
    // As if the position had never been stored.
    std::fs::remove_file(scene.near.data().join("journal/positions/kafka")).unwrap();
    let app = scene.sidecar();
    call(&app, "shop", "more");
    app.stop();
    let lander = scene.analytics();
    scene.landed();
    assert!(metric(&lander, "weir_lander_duplicate_records_total") > 30);
    lander.stop();
}
