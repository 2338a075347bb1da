//! Several analytics on one lake: they share the partitions, and one that was thought dead does no harm.

use std::time::{Duration, Instant};

use crate::broker::{Broker, all_landed, analytics, call, metric, sidecar};
use crate::harness::{PATIENCE, Place, Upstream, Weir, eventually};

/// Another process on the same lake.
fn second<'a>(place: &'a Place, lake: &Place, kafka: &str) -> Weir<'a> {
    std::fs::create_dir_all(place.data()).unwrap();
    std::os::unix::fs::symlink(lake.data().join("lake"), place.data().join("lake")).unwrap();
    analytics(place, kafka, &[])
}

fn partitions(weir: &Weir<'_>) -> i64 {
    metric(weir, "weir_lander_partitions")
}

#[test]
fn analytics_share_the_partitions() {
    let (broker, upstream) = (Broker::start(), Upstream::start());
    let kafka = broker.section("partitions = 4");
    let (far, other) = (Place::new(), Place::new());
    let one = analytics(&far, &kafka, &[]);
    eventually("the first has all", PATIENCE, || (partitions(&one) == 4).then_some(()));
    let near: Vec<Place> = (0..6).map(|_| Place::new()).collect();
    let apps: Vec<Weir<'_>> = near.iter().map(|place| sidecar(place, &upstream, &kafka)).collect();
    let load = || {
        for app in &apps {
            for _ in 0..5 {
                call(app, "shop", "hi");
            }
        }
    };
    load();
    let two = second(&other, &far, &kafka);
    load();
    eventually("both have two", PATIENCE, || {
        (partitions(&one) == 2 && partitions(&two) == 2).then_some(())
    });
    load();
    // Whoever lands a call, soon both show it.
    let ids: Vec<String> = apps.iter().map(|app| call(app, "shop", "where")).collect();
    let begun = Instant::now();
    for id in &ids {
        far.call(id);
        other.call(id);
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "visible at both after {took:?}");
    // Frozen for longer than the group waits: the other one takes all over, then it wakes up.
    two.signal("STOP");
    load();
    eventually("the first has all again", PATIENCE, || {
        (partitions(&one) == 4).then_some(())
    });
    load();
    two.signal("CONT");
    load();
    std::thread::sleep(Duration::from_secs(2));
    two.kill();
    load();
    apps.into_iter().for_each(Weir::stop);
    let near: Vec<&Place> = near.iter().collect();
    all_landed(&far, &near);
    one.stop();
    far.verify();
    let calls = far.sql_number("select count(*) from calls");
    assert_eq!(calls, 6 * 5 * 7 + 6);
}
