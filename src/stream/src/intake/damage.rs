//! A batch that does not match its checksum: what stands at a position, and where damage ends.

use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::Complaints;
use crate::topic::ASK;

const POLL: Duration = Duration::from_millis(5);

/// Whether the client says that the bytes of a batch are not what was sent.
pub(super) fn is_damage(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(RDKafkaErrorCode::BadMessage | RDKafkaErrorCode::BadCompression)
    )
}

/// One partition, looked at with clients that are used once: one that has met damage goes on at a wrong place.
pub(super) struct Look<'a> {
    pub(super) config: &'a ClientConfig,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
}

impl Look<'_> {
    /// What is wrong with the batch at a position at which there is one; `None`: it can be read.
    pub(super) fn at(&self, position: i64) -> Result<Option<String>, KafkaError> {
        let complaints = Complaints::default();
        let consumer: BaseConsumer<Complaints> =
            BaseConsumer::from_config_and_context(self.config, complaints.clone())?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic, self.partition, Offset::Offset(position))?;
        consumer.assign(&list)?;
        let begun = Instant::now();
        let mut last = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        while begun.elapsed() < ASK {
            match consumer.poll(Duration::ZERO) {
                // Not in the client: see `ClockWatch`.
                None => std::thread::sleep(POLL),
                Some(Ok(_)) => return Ok(None),
                Some(Err(error)) if is_damage(&error) => {
                    return Ok(Some(complaints.last().unwrap_or_else(|| error.to_string())));
                }
                // The client goes on by itself.
                Some(Err(error)) => last = error,
            }
        }
        Err(last)
    }

    /// The first position after the damaged batch at `position`, of which `why` was said; `end` is the log's.
    /// A broker gives the whole batch for each position within it, and so the same words.
    pub(super) fn behind(&self, position: i64, why: &str, end: i64) -> Result<i64, KafkaError> {
        let is_within = |at: i64| Ok::<_, KafkaError>(self.at(at)?.is_some_and(|said| said == why));
        let (mut within, mut step) = (position, 1);
        let mut behind = loop {
            let at = within.saturating_add(step).min(end);
            if at >= end || !is_within(at)? {
                break at;
            }
            (within, step) = (at, step * 2);
        };
        while behind - within > 1 {
            let middle = within + (behind - within) / 2;
            match is_within(middle)? {
                true => within = middle,
                false => behind = middle,
            }
        }
        Ok(behind)
    }
}
