//! The topic: made with sensible settings, or checked and explained.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

use crate::client::{Complaints, base, own, unusable};
use crate::wire::OVERHEAD;
use crate::{Settings, StreamError};

/// How long one question to the cluster may take.
pub(crate) const ASK: Duration = Duration::from_secs(10);
/// What a client may have said in the time that a question takes.
const MAX_COMPLAINTS: usize = 100;
/// A message limit below this would cut records into crumbs.
const LEAST_MESSAGE: usize = 16 << 10;

/// What we must know of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicFacts {
    /// Its partitions.
    pub(crate) partitions: i32,
    /// The longest batch that it takes, in bytes.
    pub(crate) max_message_bytes: usize,
    /// What somebody may want to change; nothing of it stops us.
    advice: Vec<String>,
}

impl TopicFacts {
    /// Bytes of a record that one message may carry.
    pub(crate) fn room(&self, settings: &Settings) -> usize {
        let ours = (settings.max_message_kib as usize) << 10;
        ours.min(self.max_message_bytes).saturating_sub(OVERHEAD)
    }

    /// Logs the advice, unless it is what was said last.
    pub(crate) fn tell(&self, advised: &mut Vec<String>) {
        if *advised != self.advice {
            for advice in &self.advice {
                tracing::warn!("{advice}");
            }
            advised.clone_from(&self.advice);
        }
    }
}

/// As long as all questions together may take.
const ASK_ALL: Duration = Duration::from_secs(60);
/// So many askers may be stuck before nobody asks any more.
const MOST_STUCK: usize = 8;
static ASKING: AtomicUsize = AtomicUsize::new(0);

/// Looks at the topic, and makes it if it is not there and may be made. Blocking; its limit is by a clock
/// that nobody sets. (The client's own are not, see `ClockWatch`: a thread that they keep is left to itself.)
pub(crate) fn ensure(settings: &Settings) -> Result<TopicFacts, StreamError> {
    let unanswered = || StreamError::Unreachable {
        brokers: settings.brokers.join(","),
        why: "Kafka's client does not answer in time: was the system's clock set back?".to_owned(),
    };
    if ASKING.load(Ordering::Relaxed) >= MOST_STUCK {
        return Err(unanswered());
    }
    let (tell, told) = sync_channel(1);
    let asked = settings.clone();
    let ask = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let facts = match runtime {
            Ok(runtime) => runtime.block_on(look(&asked)),
            Err(source) => Err(thread_failed(source)),
        };
        ASKING.fetch_sub(1, Ordering::Relaxed);
        // Whoever asked may have given up.
        let _ = tell.send(facts);
    };
    ASKING.fetch_add(1, Ordering::Relaxed);
    if let Err(source) = std::thread::Builder::new().name("weir-topic".to_owned()).spawn(ask) {
        ASKING.fetch_sub(1, Ordering::Relaxed);
        return Err(thread_failed(source));
    }
    told.recv_timeout(ASK_ALL).unwrap_or_else(|_| Err(unanswered()))
}

fn thread_failed(source: std::io::Error) -> StreamError {
    StreamError::Io {
        path: "a thread that asks for the topic".to_owned(),
        source,
    }
}

async fn look(settings: &Settings) -> Result<TopicFacts, StreamError> {
    let mut config = base(settings)?;
    own(&mut config, settings);
    let complaints = Complaints::default();
    let admin = AdminClient::from_config_and_context(&config, complaints.clone()).map_err(unusable)?;
    let probe = Probe::from_config_and_context(&config, complaints.clone()).map_err(unusable)?;
    let failed = |error| {
        // Why a broker hung up waits for whoever polls.
        for _ in 0..MAX_COMPLAINTS {
            probe.poll(Duration::ZERO);
        }
        StreamError::of(&settings.brokers.join(","), error, complaints.last())
    };
    let options = AdminOptions::new()
        .request_timeout(Some(ASK))
        .operation_timeout(Some(ASK));
    let mut made = false;
    let mut found = partitions(&probe, settings).map_err(failed)?;
    if found == Err(RDKafkaErrorCode::UnknownTopicOrPartition) {
        if !settings.create_topic {
            return Err(StreamError::NoTopic {
                topic: settings.topic.clone(),
            });
        }
        create(&admin, settings, &options).await.map_err(failed)??;
        made = true;
    }
    // A topic that was just made is not known to every broker at once.
    for _ in 0..50 {
        if found.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        found = partitions(&probe, settings).map_err(failed)?;
    }
    let partitions = match found {
        Ok(partitions) => partitions,
        Err(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            return Err(StreamError::Refused {
                brokers: settings.brokers.join(","),
                why: RDKafkaErrorCode::TopicAuthorizationFailed.to_string(),
            });
        }
        Err(code) => {
            return Err(StreamError::Topic {
                topic: settings.topic.clone(),
                what: code.to_string(),
            });
        }
    };
    let known = describe(&admin, settings, &options).await.map_err(failed)?;
    let mut facts = TopicFacts {
        partitions,
        max_message_bytes: 1_000_000,
        advice: Vec::new(),
    };
    match known {
        Ok(config) => check(&config, settings, made, &mut facts)?,
        // Some clusters let clients write and not look; then the broker's refusals must do.
        Err(code) => facts.advice.push(format!(
            "the settings of topic {} cannot be read: {code}",
            settings.topic
        )),
    }
    Ok(facts)
}

type Admin = AdminClient<Complaints>;

/// Sends nothing: of all clients it is the one that can be asked, and tells what it complains of.
type Probe = BaseProducer<Complaints>;

impl ProducerContext for Complaints {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, _opaque: ()) {}
}

async fn describe(
    admin: &Admin,
    settings: &Settings,
    options: &AdminOptions,
) -> Result<Result<ConfigResource, RDKafkaErrorCode>, KafkaError> {
    let asked = admin
        .describe_configs([&ResourceSpecifier::Topic(&settings.topic)], options)
        .await?;
    Ok(asked.into_iter().next().unwrap_or(Err(RDKafkaErrorCode::Unknown)))
}

async fn create(
    admin: &Admin,
    settings: &Settings,
    options: &AdminOptions,
) -> Result<Result<(), StreamError>, KafkaError> {
    let retention = (u64::from(settings.retention_hours) * 3_600_000).to_string();
    let copies = match settings.replication_factor {
        0 => -1,
        copies => i32::from(copies),
    };
    let topic = NewTopic::new(
        &settings.topic,
        i32::from(settings.partitions.max(1)),
        TopicReplication::Fixed(copies),
    )
    .set("cleanup.policy", "delete")
    .set("retention.ms", &retention)
    .set("compression.type", "producer")
    // Retention counts from when a record came, whatever clock a sidecar has.
    .set("message.timestamp.type", "LogAppendTime")
    // A broker that lost what others have must not lead: better no answer than a shorter history.
    .set("unclean.leader.election.enable", "false");
    let created = admin.create_topics([&topic], options).await?;
    Ok(match created.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | Some(Ok(_)) | None => {
            tracing::info!(
                topic = settings.topic,
                partitions = settings.partitions,
                "made the Kafka topic"
            );
            Ok(())
        }
        Some(Err((_, code))) => Err(StreamError::Topic {
            topic: settings.topic.clone(),
            what: format!(
                "it does not exist and cannot be made ({code}): make it yourself, with cleanup.policy=delete, or give the user the right to"
            ),
        }),
    })
}

/// How many partitions the topic has; the inner error is the cluster's.
fn partitions(probe: &Probe, settings: &Settings) -> Result<Result<i32, RDKafkaErrorCode>, KafkaError> {
    let metadata = probe.client().fetch_metadata(Some(&settings.topic), ASK)?;
    let topic = (metadata.topics().iter()).find(|topic| topic.name() == settings.topic);
    Ok(match topic.map(|topic| (topic.error(), topic.partitions().len())) {
        Some((Some(error), _)) => Err(RDKafkaErrorCode::from(error)),
        Some((None, count)) if count > 0 => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        _ => Err(RDKafkaErrorCode::UnknownTopicOrPartition),
    })
}

fn check(config: &ConfigResource, settings: &Settings, made: bool, facts: &mut TopicFacts) -> Result<(), StreamError> {
    let value = |name: &str| config.get(name).and_then(|entry| entry.value.as_deref());
    let topic = &settings.topic;
    let refuse = |what: String| {
        Err(StreamError::Topic {
            topic: topic.clone(),
            what,
        })
    };
    if value("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        return refuse(
            "cleanup.policy has `compact`, which keeps only the last record of each journal: set cleanup.policy=delete"
                .to_owned(),
        );
    }
    if let Some(limit) = value("max.message.bytes").and_then(|limit| limit.parse::<usize>().ok()) {
        if limit < LEAST_MESSAGE {
            return refuse(format!(
                "max.message.bytes={limit} is too small to carry records, even in parts: set it to at least {LEAST_MESSAGE}, better to the usual 1048588"
            ));
        }
        facts.max_message_bytes = limit;
    }
    let hours = |ms: i64| ms / 3_600_000;
    if let Some(kept) = value("retention.ms").and_then(|ms| ms.parse::<i64>().ok())
        && kept >= 0
        && hours(kept) < 24
    {
        facts.advice.push(format!(
            "topic {topic} keeps records for {} hours only (retention.ms={kept}): analytics that are away for longer lose events",
            hours(kept)
        ));
    }
    if let Some(bytes) = value("retention.bytes").and_then(|bytes| bytes.parse::<i64>().ok())
        && bytes >= 0
    {
        facts.advice.push(format!(
            "topic {topic} has retention.bytes={bytes}: a burst can push out events that have not landed"
        ));
    }
    if value("message.timestamp.type") == Some("CreateTime") {
        facts.advice.push(format!(
            "topic {topic} has message.timestamp.type=CreateTime: a sidecar whose clock is ahead is refused, and what one sends whose clock is behind can be deleted before it lands; LogAppendTime is better"
        ));
    }
    if value("unclean.leader.election.enable") == Some("true") {
        facts.advice.push(format!(
            "topic {topic} has unclean.leader.election.enable=true: a failing broker can lose acknowledged events"
        ));
    }
    if !made && facts.partitions == 1 {
        facts.advice.push(format!(
            "topic {topic} has one partition: only one analytics process can land at a time"
        ));
    }
    Ok(())
}
