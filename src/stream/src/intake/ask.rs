//! What a partition's leader says of its log.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::client::Complaints;
use crate::topic::ASK;

/// So often it is seen whether anybody still waits for the answer.
const LOOK: Duration = Duration::from_millis(50);

/// A partition, asked with a client of its own on a thread that is left to itself where no answer comes: the
/// client waits by the wall clock (see `ClockWatch`).
pub(super) struct Ask<'a> {
    pub(super) config: &'a ClientConfig,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
}

impl Ask<'_> {
    /// The oldest position and the one after the newest. It takes twice [`ASK`] at most, by a steady clock, and
    /// ends when `given_up` says so.
    pub(super) fn ends(&self, given_up: impl Fn() -> bool) -> Result<(i64, i64), KafkaError> {
        let (config, topic, partition) = (self.config.clone(), self.topic.to_owned(), self.partition);
        let (tell, told) = mpsc::sync_channel(1);
        let asking = move || {
            let consumer = BaseConsumer::<Complaints>::from_config_and_context(&config, Complaints::default());
            // Nobody may wait for it any more.
            let _ = tell.send(consumer.and_then(|consumer| consumer.fetch_watermarks(&topic, partition, ASK)));
        };
        let late = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        if std::thread::Builder::new()
            .name("weir-ask".to_owned())
            .spawn(asking)
            .is_err()
        {
            return Err(late);
        }
        let begun = Instant::now();
        while begun.elapsed() < 2 * ASK && !given_up() {
            match told.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        Err(late)
    }
}
