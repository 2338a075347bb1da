use std::io::{Read as _, Write as _};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::*;
use crate::Settings;
use crate::client::base;

fn pump(config: &ClientConfig, accept_loss: bool) -> Pump {
    Pump {
        consumer: BaseConsumer::from_config_and_context(config, Complaints::default()).unwrap(),
        config: config.clone(),
        accept_loss,
        shared: Arc::new(Shared::default()),
        topic: "t".to_owned(),
        room: Room::within(&std::env::temp_dir()),
        assemblers: BTreeMap::new(),
        positions: BTreeMap::new(),
        expired: Instant::now(),
        clock: ClockWatch::default(),
    }
}

/// A batch of three messages that does not match its checksum, as a client would send it.
fn send_damaged(address: &str, partition: i32) {
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes()); // base offset
    batch.extend((49 + 64_i32).to_be_bytes()); // length of what follows
    batch.extend(0_i32.to_be_bytes()); // leader epoch
    batch.push(2); // magic
    batch.extend(0x0bad_0bad_u32.to_be_bytes()); // checksum
    batch.extend(0_i16.to_be_bytes()); // attributes
    batch.extend(2_i32.to_be_bytes()); // last offset
    batch.extend([0; 16]); // times
    batch.extend([0xff; 14]); // no producer
    batch.extend(3_i32.to_be_bytes()); // messages
    batch.extend([0; 64]);
    let mut request = Vec::new();
    request.extend(0_i16.to_be_bytes()); // Produce
    request.extend(3_i16.to_be_bytes()); // its version
    request.extend(7_i32.to_be_bytes()); // correlation
    request.extend([0, 1, b'x']); // client
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // acks
    request.extend(5_000_i32.to_be_bytes());
    request.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1]);
    request.extend(partition.to_be_bytes());
    request.extend(u32::try_from(batch.len()).unwrap().to_be_bytes());
    request.extend(batch);
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket
        .write_all(&u32::try_from(request.len()).unwrap().to_be_bytes())
        .unwrap();
    socket.write_all(&request).unwrap();
    let mut answer = [0; 25];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer[23..], [0, 0], "the broker did not take it");
}

/// A damaged batch stops its own partition, and where it stands: what is before it is given, and where the
/// loss is accepted what is after it, too.
#[test]
fn a_damaged_batch_stops_its_partition_or_is_passed_over() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let settings = Settings {
        brokers: vec![cluster.bootstrap_servers()],
        ..Settings::default()
    };
    let mut config = base(&settings).unwrap();
    let producer: BaseProducer = config.create().unwrap();
    let send = |partition, count| {
        for _ in 0..count {
            let record = BaseRecord::<str, str>::to("t").partition(partition).payload("whole");
            producer.send(record).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    };
    send(0, 5);
    send(1, 3);
    send_damaged(&settings.brokers[0], 1);
    send(1, 2);
    config
        .set("group.id", "g")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true");
    for accept_loss in [false, true] {
        let pump = pump(&config, accept_loss);
        let shared = Arc::clone(&pump.shared);
        let order = |positions: &[(i32, i64)]| {
            let mut state = shared.lock();
            state.queue.clear();
            state.failed = None;
            state.order = Some(positions.iter().copied().collect());
            drop(state);
            shared.room.notify_all();
        };
        // How it fails, if it does before so much has come, and what has come of a partition.
        let outcome = |count: usize, partition: i32| {
            let begun = Instant::now();
            loop {
                let state = shared.lock();
                if state.failed.is_some() || state.queue.len() >= count {
                    let ours = state.queue.iter().filter(|arrival| arrival.partition == partition);
                    break (
                        state.failed.clone(),
                        ours.map(|arrival| arrival.next).collect::<Vec<_>>(),
                    );
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "{state:?}");
                drop(state);
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        order(&[(0, 0), (1, 0)]);
        let thread = std::thread::spawn(move || pump.run());
        match outcome(10, 1) {
            (
                Some(Broken::Damaged {
                    partition: 1,
                    position: 3,
                    why,
                }),
                given,
            ) if !accept_loss => {
                assert!(why.contains("CRC"), "{why}");
                assert_eq!(given, [1, 2, 3]);
                // The other partition goes on, and nothing of this one is heard again.
                order(&[(0, 0)]);
                assert_eq!(outcome(5, 0), (None, vec![1, 2, 3, 4, 5]));
                std::thread::sleep(Duration::from_secs(1));
                assert_eq!(shared.lock().failed, None);
            }
            (None, given) if accept_loss => assert_eq!(given, [1, 2, 3, 7, 8]),
            other => unreachable!("{other:?}"),
        }
        shared.lock().stop = true;
        shared.room.notify_all();
        thread.join().unwrap();
    }
}

/// A log that was cut below what has landed, and has grown past it before anybody looks.
#[test]
fn a_position_that_was_refused_and_is_there_is_not_read_from() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let settings = Settings {
        brokers: vec![cluster.bootstrap_servers()],
        ..Settings::default()
    };
    let mut config = base(&settings).unwrap();
    let producer: BaseProducer = config.create().unwrap();
    config.set("group.id", "g").set("auto.offset.reset", "error");
    let mut pump = pump(&config, false);
    pump.assign(BTreeMap::from([(0, 5)])).unwrap();
    let begun = Instant::now();
    let refused = loop {
        if let Some(Err(error)) = pump.consumer.poll(Duration::from_millis(50)) {
            break error;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was said");
    };
    assert_eq!(refused.rdkafka_error_code(), Some(RDKafkaErrorCode::AutoOffsetReset));
    assert!(matches!(
        pump.out_of_range(&refused),
        Broken::Short {
            partition: 0,
            wanted: 5,
            end: 0
        }
    ));
    for _ in 0..10 {
        producer
            .send(BaseRecord::<str, str>::to("t").partition(0).payload("another"))
            .unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    pump.complain(&refused);
    let failed = pump.shared.lock().failed.clone();
    assert_eq!(failed, Some(Broken::Doubtful(BTreeMap::from([(0, 5)]))));
}

/// Of two positions that were refused one is told while both are read, and the other one nowhere any more: whoever
/// goes on without them hears of neither.
#[test]
fn what_was_refused_is_not_told_of_those_that_go_on() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 3, 1).unwrap();
    let settings = Settings {
        brokers: vec![cluster.bootstrap_servers()],
        ..Settings::default()
    };
    let mut config = base(&settings).unwrap();
    config.set("group.id", "g").set("auto.offset.reset", "error");
    let mut pump = pump(&config, false);
    pump.assign(BTreeMap::from([(0, 5), (1, 5), (2, 0)])).unwrap();
    // Both errors are there before anybody looks.
    std::thread::sleep(Duration::from_secs(2));
    let Some(Err(refused)) = pump.consumer.poll(Duration::from_secs(30)) else {
        unreachable!("nothing was said");
    };
    pump.complain(&refused);
    let failed = pump.shared.lock().failed.take();
    assert!(matches!(failed, Some(Broken::Short { end: 0, .. })), "{failed:?}");
    pump.assign(BTreeMap::from([(2, 0)])).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let polled = pump.consumer.poll(Duration::from_millis(50));
        assert!(polled.is_none(), "{polled:?}");
    }
}

/// What is found out about positions after others were ordered says nothing about those.
#[test]
fn a_fault_of_what_is_no_longer_read_is_none() {
    let cluster = MockCluster::new(1).unwrap();
    let mut config = base(&Settings {
        brokers: vec![cluster.bootstrap_servers()],
        ..Settings::default()
    })
    .unwrap();
    config.set("group.id", "g");
    let pump = pump(&config, false);
    pump.shared.lock().order = Some(BTreeMap::new());
    pump.fail(Broken::Other("of before".to_owned()));
    assert_eq!(pump.shared.lock().failed, None);
    pump.shared.lock().order = None;
    pump.fail(Broken::Other("of now".to_owned()));
    assert!(pump.shared.lock().failed.is_some());
}
