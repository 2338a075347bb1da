//! Which partitions are ours: a consumer group is the lease, the table's transactions are the truth.
//!
//! The group only says who should land what. That two land the same partition for a while, because
//! one was stopped and does not know that its time is over, costs work and nothing else: only one
//! commit of each position succeeds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::watch;

use crate::client::{Complaints, base, own, unusable};
use crate::{Settings, StreamError};

/// How long a partition that is taken from us waits for what is being landed of it.
const HAND_OVER: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// A member of the group, on a thread of its own. Dropping it leaves the group.
#[derive(Debug)]
pub struct Membership {
    assigned: watch::Receiver<Arc<BTreeSet<i32>>>,
    taken: Arc<watch::Sender<Arc<BTreeSet<i32>>>>,
    complaints: Complaints,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Membership {
    /// Joins the group.
    pub fn join(settings: &Settings) -> Result<Membership, StreamError> {
        let mut config = base(settings)?;
        config
            .set("group.id", &settings.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "2000")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Nothing is read through the group: its partitions are paused.
            .set("auto.offset.reset", "latest")
            .set("queued.max.messages.kbytes", "64")
            .set("fetch.message.max.bytes", "1024");
        own(&mut config, settings);
        let (assigned_tx, assigned) = watch::channel(Arc::new(BTreeSet::new()));
        let taken = Arc::new(watch::Sender::new(Arc::new(BTreeSet::new())));
        let complaints = Complaints::default();
        let context = Member {
            assigned: assigned_tx,
            taken: Arc::clone(&taken),
            complaints: complaints.clone(),
        };
        let consumer = BaseConsumer::from_config_and_context(&config, context).map_err(unusable)?;
        consumer.subscribe(&[&settings.topic])?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("weir-member".to_owned())
            .spawn({
                let stop = Arc::clone(&stop);
                move || {
                    while !stop.load(Ordering::Relaxed) {
                        // Not in the client: see `ClockWatch`.
                        match consumer.poll(Duration::ZERO) {
                            Some(Err(error)) => {
                                consumer.context().complaints.note(&error.to_string());
                                tracing::debug!(%error, "consumer group");
                            }
                            Some(Ok(_)) => {}
                            None => std::thread::sleep(POLL),
                        }
                    }
                    consumer.unsubscribe();
                }
            })
            .map_err(|source| StreamError::Io {
                path: "the consumer group's thread".to_owned(),
                source,
            })?;
        Ok(Membership {
            assigned,
            taken,
            complaints,
            stop,
            thread: Some(thread),
        })
    }

    /// The partitions that are ours now; says that it is known.
    pub fn take(&mut self) -> Arc<BTreeSet<i32>> {
        let ours = self.assigned.borrow_and_update().clone();
        self.taken.send_replace(Arc::clone(&ours));
        ours
    }

    /// Whether the partitions are others than those last taken.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.assigned.has_changed().unwrap_or(true)
    }

    /// Returns when the partitions are others than those last taken.
    pub async fn moved(&mut self) {
        let mut assigned = self.assigned.clone();
        if !self.has_moved() && assigned.changed().await.is_err() {
            // The thread is gone, and with it any news.
            std::future::pending::<()>().await;
        }
    }

    /// What the client complained of last.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.complaints.last()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Nothing is in our hands any more: the group need not wait for it.
        self.taken.send_replace(Arc::new(BTreeSet::new()));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the consumer group's thread panicked");
        }
    }
}

/// What the group tells its member.
struct Member {
    assigned: watch::Sender<Arc<BTreeSet<i32>>>,
    taken: Arc<watch::Sender<Arc<BTreeSet<i32>>>>,
    complaints: Complaints,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.complaints.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(error, reason);
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(gone) = rebalance {
            let gone = partitions(gone);
            self.assigned
                .send_modify(|ours| *ours = Arc::new(ours.difference(&gone).copied().collect()));
            // A partition that was lost is another's already; one that is asked for may wait a little.
            if !consumer.assignment_lost() {
                self.wait_for_hand_over(&gone);
            }
            tracing::info!(?gone, "partitions are another's now");
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(new) = rebalance {
            if let Err(error) = consumer.pause(new) {
                tracing::debug!(%error, "pause");
            }
            let new = partitions(new);
            tracing::info!(?new, "partitions are ours now");
            self.assigned
                .send_modify(|ours| *ours = Arc::new(ours.union(&new).copied().collect()));
        }
    }
}

impl Member {
    fn wait_for_hand_over(&self, gone: &BTreeSet<i32>) {
        let until = std::time::Instant::now() + HAND_OVER;
        while !self.taken.borrow().is_disjoint(gone) && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn partitions(list: &TopicPartitionList) -> BTreeSet<i32> {
    list.elements().iter().map(|element| element.partition()).collect()
}
