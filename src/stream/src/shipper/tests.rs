use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use event::{Body, Draft, Json, Scope};
use journal::{Journal, Options};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::Producer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::home::Home;
use super::{Stop, Work};
use crate::Settings;
use crate::client::base;
use crate::progress::Progress;
use crate::topic::TopicFacts;
use crate::wire::Label;

fn draft(text: &str) -> Draft {
    let body = Body::Unknown {
        event_type: "test.noted".to_owned(),
        body: Json::of(&text).unwrap(),
    };
    Draft::new(&Scope::default(), None, 0, 0, &body).unwrap()
}

fn work(journal: &Journal, settings: &Settings, dir: &Path) -> Work {
    let home = dir.join("kafka.json");
    Work {
        settings: settings.clone(),
        journal: journal.clone(),
        home: Home::load(&home, "t", 0).unwrap(),
        path: home,
        progress: Progress::default(),
        stop: Stop::default().into(),
        advised: Vec::new(),
    }
}

/// Reads the topic from its begin until `more` has enough.
fn read(settings: &Settings, mut more: impl FnMut(Label, String) -> bool) {
    let mut config = base(settings).unwrap();
    config.set("group.id", "g");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "not all came");
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            let label = Label::read(message.key(), message.headers()).unwrap();
            let text = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
            if !more(label, text) {
                return;
            }
        }
    }
}

/// Once a record has been shipped its segment goes: what the journal cannot read has to travel as it is.
#[test]
fn the_bytes_of_a_damaged_record_are_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
    for text in ["first", "second, which a disk will damage", "third"] {
        journal.append(&[draft(text)]).unwrap();
    }
    drop(journal);
    let segment = dir.path().join(format!("{:020}.seg", 0));
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = memchr::memmem::find(&bytes, b"a disk").unwrap();
    bytes[at] = b'A';
    std::fs::write(&segment, bytes).unwrap();
    let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();

    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let settings = Settings {
        brokers: vec![cluster.bootstrap_servers()],
        topic: "t".to_owned(),
        ..Settings::default()
    };
    let mut work = work(&journal, &settings, dir.path());
    let mut session = work.open(&TopicFacts::of(1), 0).unwrap();
    let mut reader = journal.durable_reader(0).unwrap();
    while work.read(&mut session, &mut reader).unwrap() {}
    session.producer.flush(Duration::from_secs(30)).unwrap();

    let mut came = Vec::new();
    read(&settings, |label, text| {
        came.push((label.offset, label.unreadable, text));
        came.len() < 3
    });
    assert!(came[0].1.is_none() && came[2].1.is_none(), "{came:?}");
    assert_eq!(came[1].0, 1);
    assert!(came[1].1.as_ref().unwrap().contains("damaged"), "{came:?}");
    assert!(came[1].2.contains("second, which A disk will damage"), "{came:?}");
}

/// A broker is away for about as long as the shipper has patience, again and again, while records keep coming:
/// none comes before one that precedes it.
#[test]
fn what_was_given_up_is_not_overtaken() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let settings = Settings {
        brokers: vec![cluster.bootstrap_servers()],
        topic: "t".to_owned(),
        properties: [("message.timeout.ms", "1000"), ("reconnect.backoff.max.ms", "100")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Settings::default()
    };
    let mut work = work(&journal, &settings, dir.path());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                journal.append(&[draft("one of many")]).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let shipping = scope.spawn(|| {
            let mut given_up = 0;
            while !over.load(Ordering::Relaxed) {
                let from = journal.positions().get(super::POSITION).unwrap_or(0);
                let mut session = work.open(&TopicFacts::of(1), from).unwrap();
                let mut reader = journal.durable_reader(from).unwrap();
                while !over.load(Ordering::Relaxed) {
                    work.read(&mut session, &mut reader).unwrap();
                    session.producer.poll(Duration::ZERO);
                    if work.look(&mut session, &mut 0).is_err() {
                        given_up += 1;
                        break;
                    }
                    std::thread::sleep(super::PAUSE);
                }
            }
            given_up
        });
        for round in 0..8 {
            cluster.broker_down(1).unwrap();
            std::thread::sleep(Duration::from_millis(900 + 50 * round));
            cluster.broker_up(1).unwrap();
            std::thread::sleep(Duration::from_millis(300));
        }
        over.store(true, Ordering::Relaxed);
        assert!(shipping.join().unwrap() > 0, "nothing was ever given up");
    });
    let from = journal.positions().get(super::POSITION).unwrap_or(0);
    let mut session = work.open(&TopicFacts::of(1), from).unwrap();
    let mut reader = journal.durable_reader(from).unwrap();
    while work.read(&mut session, &mut reader).unwrap() {}
    session.producer.flush(Duration::from_secs(30)).unwrap();
    let (mut next, end) = (0, session.sent);
    read(&settings, |label, _| {
        assert!(label.offset <= next, "{} came before {next}", label.offset);
        next = next.max(label.offset + 1);
        next < end
    });
}
