//! What cannot work is said: what is wrong, where, and what to do. Nothing is lost by it.

use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use crate::broker::{Broker, all_landed, all_shipped, analytics, call, metric, ready, sidecar, sidecar_env};
use crate::harness::{PATIENCE, Place, Upstream, eventually, weir};
use crate::scene::Scene;
use crate::trouble::noise;

/// Waits until `/readyz` has all these words.
#[track_caller]
pub fn says(app: &crate::harness::Weir<'_>, words: &[&str]) {
    let mut last = String::new();
    eventually(&format!("{words:?} in /readyz"), PATIENCE, || {
        last = ready(app).1;
        words.iter().all(|word| last.contains(word)).then_some(())
    });
}

#[test]
fn topics_that_cannot_serve_are_explained() {
    let (broker, upstream) = (Broker::start(), Upstream::start());
    let near = Place::new();
    for (topic, setting, words) in [
        (
            "small",
            "max.message.bytes=1000",
            &["max.message.bytes=1000 is too small", "1048588"],
        ),
        (
            "compact",
            "cleanup.policy=compact",
            &["cleanup.policy has `compact`", "cleanup.policy=delete"],
        ),
    ] {
        broker.run(
            "topic",
            &["--create", "--topic", topic, "--partitions", "1", "--config", setting],
        );
        let app = sidecar(&near, &upstream, &broker.section(&format!("topic = \"{topic}\"")));
        call(&app, "shop", "hi");
        says(&app, words);
        app.stop();
    }
    let app = sidecar(
        &near,
        &upstream,
        &broker.section("topic = \"nowhere\"\ncreate_topic = false"),
    );
    says(&app, &["topic nowhere does not exist", "create_topic = false"]);
    // Made by somebody at last: everything arrives, from the beginning.
    broker.run("topic", &["--create", "--topic", "nowhere", "--partitions", "2"]);
    all_shipped(&app);
    app.stop();
    let far = Place::new();
    let lander = analytics(&far, &broker.section("topic = \"nowhere\""), &[]);
    all_landed(&far, &[&near]);
    lander.stop();
}

/// A topic with a limit below ours: records are cut to fit.
#[test]
fn a_topics_own_limit_counts() {
    let scene = Scene::new("");
    let config = ["--config", "max.message.bytes=20000"];
    let create = ["--create", "--topic", "weir.events.v1", "--partitions", "3"];
    scene.broker.run("topic", &[&create[..], &config[..]].concat());
    // So that the limit counts.
    let noise = noise(200_000);
    let app = scene.sidecar();
    for _ in 0..3 {
        call(&app, "shop", &noise);
    }
    all_shipped(&app);
    app.stop();
    scene.land();
}

/// Records that were removed before they landed: that partition stops, says so, and goes on only when
/// somebody accepts the loss, which stays visible.
#[test]
fn a_cut_log_is_an_alarm() {
    let scene = Scene::new("partitions = 1");
    let app = scene.sidecar();
    for _ in 0..10 {
        call(&app, "shop", "hi");
    }
    all_shipped(&app);
    cut_log(&scene, 12);
    let lander = scene.analytics();
    let (status, said) = eventually("the alarm", PATIENCE, || {
        Some(ready(&lander)).filter(|(status, _)| *status == 503)
    });
    assert!(said.contains("position 0 is gone, the oldest is 12"), "{status} {said}");
    assert_eq!(scene.far.sql_number("select count(*) from events"), 0);
    lander.stop();
    let lander = analytics(&scene.far, &scene.kafka, &["--accept-loss"]);
    let id = call(&app, "shop", "after");
    scene.far.call(&id);
    assert_eq!(metric(&lander, "weir_lander_lost_records_total"), 12);
    app.stop();
    lander.stop();
    let said = scene.far.tool(&["lake", "verify"]);
    assert!(!said.status.success());
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("MISSING: 0–11"), "{said}");
}

/// Kafka's own tool takes away all records before this position.
fn cut_log(scene: &Scene, before: i64) {
    let path = scene.near.data().join("delete.json");
    let what = serde_json::json!({
        "version": 1, "partitions": [{"topic": "weir.events.v1", "partition": 0, "offset": before}]
    });
    std::fs::write(&path, what.to_string()).unwrap();
    let tool = "org.apache.kafka.tools.DeleteRecordsCommand";
    let args = [tool, "--offset-json-file", path.to_str().unwrap()];
    scene.broker.run("tool", &args);
}

/// The same where some had landed before: what has landed stays, what comes after the gap lands.
#[test]
fn a_log_cut_behind_what_has_landed_is_an_alarm() {
    let scene = Scene::new("partitions = 1");
    let app = scene.sidecar();
    call(&app, "shop", "before");
    all_shipped(&app);
    scene.land();
    let landed = scene.far.sql_number("select count(*) from events");
    for _ in 0..10 {
        call(&app, "shop", "hi");
    }
    all_shipped(&app);
    cut_log(&scene, landed + 7);
    let lander = scene.analytics();
    says(
        &lander,
        &[&format!("position {landed} is gone, the oldest is {}", landed + 7)],
    );
    lander.stop();
    let lander = analytics(&scene.far, &scene.kafka, &["--accept-loss"]);
    let id = call(&app, "shop", "after");
    scene.far.call(&id);
    assert_eq!(metric(&lander, "weir_lander_lost_records_total"), 7);
    eventually("it lands", PATIENCE, || {
        (metric(&lander, "weir_lander_landings_total") > 0).then_some(())
    });
    assert_eq!(ready(&lander), (200, "ready\n".to_owned()));
    app.stop();
    lander.stop();
    let said = scene.far.tool(&["lake", "verify"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains(&format!("MISSING: {landed}–{}", landed + 6)), "{said}");
}

/// Where each batch of a partition's log begins and ends, and its first position and the one after its last.
fn batches(log: &[u8]) -> Vec<(Range<usize>, Range<i64>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 61 <= log.len() {
        let number = |from: usize| i32::from_be_bytes(log[from..from + 4].try_into().unwrap());
        let first = i64::from_be_bytes(log[at..at + 8].try_into().unwrap());
        let end = at + 12 + usize::try_from(number(at + 8)).unwrap();
        // A file may have room for more behind what is written.
        if end == at + 12 {
            break;
        }
        found.push((at..end, first..first + i64::from(number(at + 23)) + 1));
        at = end;
    }
    found
}

/// A broker's disk flips a bit: what stands before it lands, the alarm names the place, and reading goes on
/// behind it when somebody accepts the loss.
#[test]
fn a_damaged_batch_is_an_alarm() {
    let scene = Scene::new("partitions = 1");
    let app = scene.sidecar();
    call(&app, "shop", "before");
    all_shipped(&app);
    let path = scene.broker.log(0);
    let good = batches(&std::fs::read(&path).unwrap()).last().unwrap().1.end;
    call(&app, "shop", "damaged");
    all_shipped(&app);
    let after = call(&app, "shop", "after");
    all_shipped(&app);
    let mut log = std::fs::read(&path).unwrap();
    let (bytes, lost) = (batches(&log).into_iter())
        .find(|(_, positions)| positions.start == good)
        .unwrap();
    log[bytes.end - 1] ^= 1;
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all_at(&log[bytes.clone()], bytes.start as u64)
        .unwrap();
    let lander = scene.analytics();
    says(
        &lander,
        &[&format!("damaged at position {good}"), "does not match its checksum"],
    );
    // What stands before it lands first.
    eventually("landing stops", PATIENCE, || (ready(&lander).0 == 503).then_some(()));
    assert_eq!(scene.far.sql_number("select count(*) from events"), good);
    lander.stop();
    let lander = analytics(&scene.far, &scene.kafka, &["--accept-loss"]);
    scene.far.call(&after);
    assert_eq!(metric(&lander, "weir_lander_lost_records_total"), lost.end - lost.start);
    app.stop();
    lander.stop();
    let said = scene.far.tool(&["lake", "verify"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let missing = match lost.end - lost.start {
        1 => format!("MISSING: {}", lost.start),
        _ => format!("MISSING: {}–{}", lost.start, lost.end - 1),
    };
    assert!(said.contains(&missing), "{said}");
}

/// What somebody else writes into the topic is kept, and stops nothing.
#[test]
fn strays_are_kept() {
    let scene = Scene::new("partitions = 1");
    let app = scene.sidecar();
    call(&app, "shop", "hi");
    all_shipped(&app);
    let sent = scene
        .broker
        .try_run("produce", &["--topic", "weir.events.v1"], b"not ours\nnor this\n");
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    call(&app, "shop", "after");
    app.stop();
    let lander = scene.analytics();
    scene.landed();
    let strays = scene
        .far
        .sql_number("select count(*) from events where type = 'unreadable'");
    assert_eq!(strays, 2);
    assert_eq!(metric(&lander, "weir_lander_unreadable_records_total"), 2);
    lander.stop();
}

#[test]
fn what_is_missing_in_the_configuration_is_named() {
    let (near, upstream) = (Place::new(), Upstream::start());
    near.write_config("[kafka]\ntopic = \"t\"\n");
    let said = weir()
        .args(["analytics", "--config"])
        .arg(near.config())
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(2));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("set kafka.brokers") && said.contains("weir up"), "{said}");
    let secure = "[kafka]\nbrokers = [\"127.0.0.1:1\"]\n[kafka.security]\nprotocol = \"sasl_tls\"\nusername = \"u\"\npassword_env = \"NO_SUCH_PASSWORD\"\n";
    near.write_config(&crate::harness::config(&upstream, secure));
    let said = weir()
        .args(["sidecar", "--listen", "127.0.0.1:0", "--data"])
        .arg(near.data())
        .arg("--config")
        .arg(near.config())
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(2));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("environment variable NO_SUCH_PASSWORD is not set"),
        "{said}"
    );
    // Nobody there: the sidecar serves all the same.
    let app = sidecar_env(&near, &upstream, "[kafka]\nbrokers = [\"127.0.0.1:1\"]\n", &[]);
    call(&app, "shop", "hi");
    says(&app, &["no Kafka broker answers at 127.0.0.1:1"]);
    app.stop();
}
