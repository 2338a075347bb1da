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

use super::ask::Ask;
use super::damage::{Look, is_damage};
use super::{Arrival, Broken, Shared, What};
use crate::client::{ClockWatch, Complaints};
use crate::parts::{Assembler, Room, Time};
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

    /// Another client, which knows of nothing that this one has still to tell.
    fn renew(&mut self) -> Result<(), KafkaError> {
        let context = (**self.consumer.context()).clone();
        self.consumer = BaseConsumer::from_config_and_context(&self.config, context)?;
        Ok(())
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
                // Where two partitions were refused this client would tell of the second one later, when only
                // others are read.
                let broken = match self.renew() {
                    Ok(()) => self.out_of_range(error),
                    Err(error) => Broken::Other(error.to_string()),
                };
                self.fail(broken);
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
        self.renew().map_err(other)?;
        for (&partition, &position) in &self.positions {
            let (_, end) = self.ends(partition).map_err(other)?;
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
        let (mut doubtful, mut answered) = (BTreeMap::new(), false);
        for (&partition, &wanted) in &self.positions {
            let Ok((oldest, end)) = self.ends(partition) else {
                // It may be the very one.
                doubtful.insert(partition, wanted);
                continue;
            };
            answered = true;
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
        match answered {
            // It is refused again.
            false => Broken::Other(error.to_string()),
            true => Broken::Doubtful(doubtful),
        }
    }

    /// Where a partition begins and ends.
    fn ends(&self, partition: i32) -> Result<(i64, i64), KafkaError> {
        let ask = Ask {
            config: &self.config,
            topic: &self.topic,
            partition,
        };
        ask.ends(|| self.shared.lock().stop)
    }

    fn fail(&self, broken: Broken) {
        let mut state = self.shared.lock();
        // An order that came meanwhile is about other partitions, or begins anew with these.
        if state.order.is_none() {
            state.failed = Some(broken);
        }
        drop(state);
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
mod tests;
