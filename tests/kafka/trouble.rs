//! Trouble that kills nobody: a lake that cannot be written or is too new, limits that change, full disks,
//! clocks that jump. Each is told with what to do about it, and nothing is lost by it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::broker::{Broker, all_landed, all_shipped, analytics, analytics_env, call, metric, ready, sidecar};
use crate::broker::{sidecar_env, try_call};
use crate::disk::Disk;
use crate::harness::{PATIENCE, Place, Upstream, Weir, eventually, weir};
use crate::refuse::says;
use crate::scene::Scene;

/// `weir analytics` that is not expected to start.
fn refused(place: &Place, kafka: &str) -> String {
    place.write_config(kafka);
    let mut command = weir();
    command.args(["analytics", "--listen", "127.0.0.1:0", "--data"]);
    command
        .arg(place.data())
        .arg("--config")
        .arg(place.config())
        .arg("--log=off");
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8_lossy(&stderr).into_owned()
}

#[test]
fn a_lake_that_cannot_be_written_is_told_and_waited_for() {
    let (near, far) = (Place::new(), Place::new());
    let lake = far.data().join("lake");
    let Some(disk) = Disk::over(&lake, "512m") else { return };
    let (broker, upstream) = (Broker::start(), Upstream::start());
    let kafka = broker.section("partitions = 2");
    disk.set_read_only(true);
    let said = refused(&far, &kafka);
    let place = lake.to_str().unwrap();
    assert!(
        said.contains(place) && said.contains("Read-only file system") && said.contains("must be able to write"),
        "{said}"
    );
    disk.set_read_only(false);
    let app = sidecar(&near, &upstream, &kafka);
    let lander = analytics(&far, &kafka, &[]);
    far.call(&call(&app, "shop", "before"));
    eventually("it has landed", PATIENCE, || {
        (metric(&lander, "weir_lander_landings_total") > 0).then_some(())
    });
    disk.set_read_only(true);
    let id = call(&app, "shop", "meanwhile");
    says(
        &lander,
        &["landing: ", place, "Read-only file system", "must be able to write"],
    );
    assert_eq!(ready(&lander).0, 200, "it may pass");
    far.call(&id);
    disk.set_read_only(false);
    app.stop();
    all_landed(&far, &[&near]);
    eventually("it is told no more", PATIENCE, || {
        (ready(&lander) == (200, "ready\n".to_owned())).then_some(())
    });
    lander.stop();
    far.verify();
}

/// The next version of a table's log, as a newer writer might begin it.
fn next_version(lake: &Place, table: &str) -> PathBuf {
    let log = lake.data().join("lake").join(table).join("_delta_log");
    let versions = std::fs::read_dir(&log).unwrap().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".json")?.parse::<u64>().ok()
    });
    log.join(format!("{:020}.json", versions.max().unwrap() + 1))
}

const NEWER: &str = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timeTravelBothWays"],"writerFeatures":["timeTravelBothWays"]}}"#;

#[test]
fn a_table_of_a_newer_version_is_left_alone() {
    let scene = Scene::new("partitions = 2");
    let app = scene.sidecar();
    let lander = scene.analytics();
    call(&app, "shop", "before");
    scene.landed();
    // Somebody upgrades it under a running lander.
    let version = next_version(&scene.far, "events");
    std::fs::write(&version, NEWER).unwrap();
    call(&app, "shop", "meanwhile");
    let words = ["timeTravelBothWays", "newer version", "upgrade"];
    says(&lander, &words);
    eventually("somebody must look", PATIENCE, || {
        (ready(&lander).0 == 503).then_some(())
    });
    lander.stop();
    let said = refused(&scene.far, &scene.kafka);
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    let sql = scene.far.tool(&["sql", "select count(*) from events"]);
    let said = String::from_utf8_lossy(&sql.stderr).into_owned();
    assert!(
        !sql.status.success() && words.iter().all(|word| said.contains(word)),
        "{said}"
    );
    std::fs::remove_file(version).unwrap();
    let lander = scene.analytics();
    app.stop();
    scene.landed();
    lander.stop();
    scene.far.verify();
}

#[test]
fn a_limit_that_is_lowered_under_way_counts() {
    let scene = Scene::new("partitions = 2");
    let app = scene.sidecar();
    call(&app, "shop", "before");
    all_shipped(&app);
    let alter = |limit: &str| {
        let config = format!("max.message.bytes={limit}");
        let what = ["--alter", "--entity-type", "topics", "--entity-name", "weir.events.v1"];
        scene
            .broker
            .run("configs", &[&what[..], &["--add-config", &config]].concat());
    };
    alter("20000");
    for _ in 0..3 {
        call(&app, "shop", &noise(100_000));
    }
    all_shipped(&app);
    assert!(metric(&app, "weir_shipper_split_records_total") > 0);
    alter("1000");
    call(&app, "shop", &noise(100_000));
    says(&app, &["max.message.bytes=1000 is too small", "1048588"]);
    alter("300000");
    all_shipped(&app);
    app.stop();
    scene.land();
}

/// Text that does not compress.
pub fn noise(length: usize) -> String {
    let mut state = 1u64;
    let letter = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    };
    (0..length).map(letter).collect()
}

#[test]
fn a_full_disk_below_a_journal_loses_nothing() {
    let (near, far) = (Place::new(), Place::new());
    let Some(disk) = Disk::over(&near.data(), "64m") else {
        return;
    };
    let (broker, upstream) = (Broker::start(), Upstream::start());
    let kafka = broker.section("partitions = 1");
    let app = sidecar(&near, &upstream, &kafka);
    call(&app, "shop", "before");
    all_shipped(&app);
    broker.run("kill", &[]);
    disk.fill(3 << 10);
    let prompt = noise(60_000);
    let mut known = Vec::new();
    let mut refusals = 0;
    for _ in 0..200 {
        let (status, id, body) = try_call(&app, "shop", &prompt);
        if status == 200 {
            known.push(id);
        } else {
            assert!(
                status == 503 && body.contains("journal"),
                "a refusal says why: {status} {body}"
            );
            refusals += 1;
            if refusals == 5 {
                break;
            }
        }
    }
    assert!(
        refusals == 5 && known.len() > 5,
        "{refusals} refused, {} taken",
        known.len()
    );
    says(&app, &["no space is left", "no Kafka broker answers"]);
    disk.free();
    eventually("calls are taken again", PATIENCE, || {
        let (status, id, _) = try_call(&app, "shop", "after");
        (status == 200).then(|| known.push(id))
    });
    broker.up();
    all_shipped(&app);
    app.stop();
    let lander = analytics(&far, &kafka, &[]);
    all_landed(&far, &[&near]);
    for id in &known {
        assert_eq!(far.call(id)["status"], "completed", "{id}");
    }
    lander.stop();
}

/// A clock that a test sets: for one process, by a library that is loaded before libc.
struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    fn new(place: &Place) -> Clock {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kafka/clock.c");
        std::fs::create_dir_all(place.data()).unwrap();
        let library = place.data().join("clock.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let file = place.data().join("clock");
        let clock = Clock { library, file };
        clock.set(0);
        clock
    }

    /// So many days and seconds off.
    fn set(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, seconds.to_string()).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    fn env(&self) -> [(&str, &str); 2] {
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("WEIR_TEST_CLOCK", self.file.to_str().unwrap()),
        ]
    }
}

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn told(app: &Weir<'_>, jumps: i64) {
    eventually("the jump is told", PATIENCE, || {
        (metric(app, "weir_clock_jumps_total") >= jumps).then_some(())
    });
}

fn logged(place: &Place, words: &str) {
    eventually(&format!("{words:?} in the log"), PATIENCE, || {
        let log = std::fs::read_to_string(place.log()).unwrap_or_default();
        log.contains(words).then_some(())
    });
}

#[test]
fn clocks_that_jump_lose_nothing() {
    let scene = Scene::new("partitions = 2");
    let (here, there) = (Clock::new(&scene.near), Clock::new(&scene.far));
    let app = sidecar_env(&scene.near, &scene.upstream, &scene.kafka, &here.env());
    let retention = ("WEIR_LAKE__RETENTION_DAYS", "30");
    let lander = analytics_env(
        &scene.far,
        &scene.kafka,
        &[],
        &[&there.env()[..], &[retention]].concat(),
    );
    let mut known = vec![call(&app, "shop", "in time")];
    // Ahead, years back, and right again: each arrives, whatever its time.
    for (jumps, off) in [(1, 3 * HOUR), (2, -400 * DAY), (3, 0)] {
        here.set(off);
        told(&app, jumps);
        for _ in 0..5 {
            known.push(call(&app, "shop", "when"));
        }
        all_shipped(&app);
        known.iter().for_each(|id| drop(scene.far.call(id)));
    }
    logged(&scene.near, "clock has jumped ahead");
    logged(&scene.near, "clock has jumped back");
    // Days by which all of it is too old.
    there.set(1_000 * DAY);
    told(&lander, 1);
    known.push(call(&app, "shop", "too old?"));
    logged(&scene.far, "old days and files are left alone");
    // Another run of upkeep.
    std::thread::sleep(Duration::from_secs(3));
    lander.stop();
    // The same for one that starts with such a clock: no jump is seen.
    let lander = analytics_env(
        &scene.far,
        &scene.kafka,
        &[],
        &[&there.env()[..], &[retention]].concat(),
    );
    logged(&scene.far, "nothing landed for a very long time");
    app.stop();
    scene.landed();
    assert_eq!(
        scene
            .far
            .sql_number("select count(*) from events where type = 'lake.expired'"),
        0
    );
    let durations = scene
        .far
        .sql_number("select count(*) from calls where duration_ms < 0 or duration_ms > 60000");
    assert_eq!(durations, 0);
    for id in &known {
        assert_eq!(scene.far.call(id)["status"], "completed", "{id}");
    }
    lander.stop();
    scene.far.verify();
}

#[test]
fn a_clock_that_the_topic_does_not_take_is_explained() {
    let scene = Scene::new("");
    let create = ["--create", "--topic", "weir.events.v1", "--partitions", "1", "--config"];
    scene
        .broker
        .run("topic", &[&create[..], &["message.timestamp.type=CreateTime"]].concat());
    let clock = Clock::new(&scene.near);
    clock.set(3 * HOUR);
    let app = sidecar_env(&scene.near, &scene.upstream, &scene.kafka, &clock.env());
    call(&app, "shop", "too early");
    says(
        &app,
        &["clock is further ahead", "message.timestamp.type=LogAppendTime"],
    );
    clock.set(0);
    all_shipped(&app);
    app.stop();
    scene.land();
}
