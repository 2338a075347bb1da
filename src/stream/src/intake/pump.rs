//! The thread that reads: it takes messages from Kafka's client and joins their parts.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Timestamp;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::damage::{Look, is_damage};
use super::{Arrival, Broken, Shared, What};
use crate::client::{ClockWatch, Complaints};
use crate::parts::{Assembler, Room, Time};
use crate::topic::ASK;
use crate::wire::Label;

/// Bytes of records that wait for the lander at most; one record may come on top.
const HELD: usize = 8 << 20;
/// How long to wait when nothing has come.
const POLL: Duration = Duration::from_millis(5);
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Pump {
    pub(super) consumer: BaseConsumer<Complaints>,
    /// What the consumer was made of.
    pub(super) config: ClientConfig,
    /// Go on behind what is damaged.
    pub(super) accept_loss: bool,
    pub(super) shared: Arc<Shared>,
    pub(super) topic: String,
    /// Where the parts of records wait for the rest.
    pub(super) room: Room,
    pub(super) assemblers: BTreeMap<i32, Assembler>,
    /// The position that each partition must give next.
    pub(super) positions: BTreeMap<i32, i64>,
    pub(super) expired: Instant,
    pub(super) clock: ClockWatch,
}

impl Pump {
    pub(super) fn run(mut self) {
        loop {
            {
                let mut state = self.shared.lock();
                while !state.stop && state.order.is_none() && (state.bytes >= HELD || state.failed.is_some()) {
                    // The client's own poll interval does not count here: there is no group.
                    state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.stop {
                    return;
                }
                let order = state.order.take();
                drop(state);
                if let Some(positions) = order
                    && let Err(error) = self.assign(positions)
                {
                    self.fail(Broken::Other(error.to_string()));
                    continue;
                }
            }
            if let Err(error) = self.clock.check() {
                self.fail(Broken::Stale(error.to_string()));
                continue;
            }
            let polled = match self.consumer.poll(Duration::ZERO) {
                None => None,
                Some(Ok(message)) => Some(Ok(Self::arrived(&mut self.assemblers, &mut self.positions, &message))),
                Some(Err(error)) => Some(Err(error)),
            };
            match polled {
                // Not in the client: see `ClockWatch`.
                None => self.rest(),
                Some(Ok(Ok(arrival))) => self.push(arrival),
                // What has landed says where reading begins again.
                Some(Ok(Err(error))) => self.fail(Broken::Other(format!(
                    "the parts of a long record cannot be read back: {error}"
                ))),
                Some(Err(error)) => self.complain(&error),
            }
            self.expire();
        }
    }

    fn rest(&self) {
        let state = self.shared.lock();
        if !state.stop && state.order.is_none() {
            // Whether somebody came or time is up: the loop looks.
            let _ = self.shared.room.wait_timeout(state, POLL);
        }
    }

    fn assign(&mut self, positions: BTreeMap<i32, i64>) -> Result<(), KafkaError> {
        self.assemblers = positions
            .keys()
            .map(|partition| (*partition, Assembler::within(&self.room)))
            .collect();
        self.positions = positions;
        self.go_on()
    }

    /// Reads from the positions on that come next.
    fn go_on(&self) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, position) in &self.positions {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*position))?;
        }
        self.consumer.unassign()?;
        self.consumer.assign(&list)
    }

    fn arrived(
        assemblers: &mut BTreeMap<i32, Assembler>,
        positions: &mut BTreeMap<i32, i64>,
        message: &BorrowedMessage<'_>,
    ) -> std::io::Result<Option<Arrival>> {
        let (partition, position) = (message.partition(), message.offset());
        let (Some(assembler), Some(due)) = (assemblers.get_mut(&partition), positions.get_mut(&partition)) else {
            return Ok(None);
        };
        // What an earlier assignment had still on its way.
        if position < *due {
            return Ok(None);
        }
        *due = position + 1;
        let payload = message.payload().unwrap_or_default();
        let read = Label::read(message.key(), message.headers());
        let what = match read.and_then(|label| label.fitting(payload)) {
            Err(why) => What::Stray {
                position,
                raw: payload.to_vec(),
                why,
            },
            Ok(label) => match assembler.take(label, position, payload, time(message))? {
                None => What::Nothing,
                Some((label, bytes)) => match label.unreadable {
                    Some(why) => What::Unreadable {
                        journal_id: label.journal_id,
                        offset: label.offset,
                        raw: bytes,
                        why,
                        begins: label.begins,
                    },
                    None => What::Record {
                        journal_id: label.journal_id,
                        offset: label.offset,
                        payload: bytes,
                        begins: label.begins,
                    },
                },
            },
        };
        Ok(Some(Arrival {
            partition,
            next: assembler.low(position + 1),
            what,
        }))
    }

    fn push(&self, arrival: Option<Arrival>) {
        let Some(arrival) = arrival else { return };
        let mut state = self.shared.lock();
        // An order that came meanwhile makes it stale.
        if state.order.is_none() {
            state.bytes += arrival.size();
            state.queue.push_back(arrival);
        }
        drop(state);
        self.shared.ready.notify_one();
    }

    fn complain(&mut self, error: &KafkaError) {
        if is_damage(error) {
            if let Err(broken) = self.damaged(error) {
                self.fail(broken);
            }
            return;
        }
        self.consumer.context().note(&error.to_string());
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                self.fail(self.out_of_range(error));
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::UnknownTopicOrPartition) => {
                self.fail(Broken::Other(error.to_string()));
            }
            // The client goes on by itself.
            _ => tracing::debug!(%error, "reading from Kafka"),
        }
    }

    /// Which partition stands before a damaged batch, as the client does not say; where the loss is accepted,
    /// reading goes on behind it. What was damaged on its way only can be read now.
    fn damaged(&mut self, error: &KafkaError) -> Result<(), Broken> {
        let other = |error: KafkaError| Broken::Other(format!("looking for a damaged batch: {error}"));
        let said = self.consumer.context().last().unwrap_or_else(|| error.to_string());
        // Not a message more of this one: it goes on at a wrong place, and complains of it later.
        self.consumer =
            BaseConsumer::from_config_and_context(&self.config, (**self.consumer.context()).clone()).map_err(other)?;
        for (&partition, &position) in &self.positions {
            let (_, end) = (self.consumer)
                .fetch_watermarks(&self.topic, partition, ASK)
                .map_err(other)?;
            let look = Look {
                config: &self.config,
                topic: &self.topic,
                partition,
            };
            if position >= end {
                continue;
            }
            let Some(why) = look.at(position).map_err(other)? else {
                continue;
            };
            if !self.accept_loss {
                return Err(Broken::Damaged {
                    partition,
                    position,
                    why,
                });
            }
            let behind = look.behind(position, &why, end).map_err(other)?;
            tracing::error!(
                partition,
                from = position,
                to = behind - 1,
                why,
                "positions of the topic are damaged: their loss was accepted"
            );
            self.positions.insert(partition, behind);
            return self.go_on().map_err(other);
        }
        Err(Broken::Other(format!("{said}: it can be read now")))
    }

    /// Which partition it is, and on which side of its log we are. A position that was refused and is there
    /// now is the place of another record: the log was cut, or made anew, and has grown past it since. The
    /// client does not say which partition that is, so it may be each of them.
    fn out_of_range(&self, error: &KafkaError) -> Broken {
        let mut doubtful = BTreeMap::new();
        for (partition, wanted) in &self.positions {
            let Ok((oldest, end)) = self.consumer.fetch_watermarks(&self.topic, *partition, ASK) else {
                continue;
            };
            let (partition, wanted) = (*partition, *wanted);
            if wanted < oldest {
                return Broken::Cut {
                    partition,
                    wanted,
                    oldest,
                };
            }
            if wanted > end {
                return Broken::Short { partition, wanted, end };
            }
            doubtful.insert(partition, wanted);
        }
        match doubtful.is_empty() {
            true => Broken::Other(error.to_string()),
            false => Broken::Doubtful(doubtful),
        }
    }

    fn fail(&self, broken: Broken) {
        self.shared.lock().failed = Some(broken);
        self.shared.ready.notify_one();
    }

    fn expire(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.expired) < EXPIRE_EVERY {
            return;
        }
        self.expired = now;
        for (partition, assembler) in &mut self.assemblers {
            for (journal, offset) in assembler.expire(now) {
                tracing::error!(%journal, offset, partition, "the rest of a record that was sent in parts never came: its sidecar died and did not come back");
            }
        }
    }
}

/// When a message came into the log, and to us.
fn time(message: &BorrowedMessage<'_>) -> Time {
    let (log, by_broker) = match message.timestamp() {
        Timestamp::LogAppendTime(millis) => (millis, true),
        Timestamp::CreateTime(millis) => (millis, false),
        Timestamp::NotAvailable => (0, false),
    };
    Time {
        log,
        by_broker,
        read: Instant::now(),
    }
}

#[cfg(test)]
mod tests {
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
}
