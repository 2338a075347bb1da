//! The topic: made with sensible settings, or checked and explained.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
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
    /// A topic of which no more is known.
    #[cfg(test)]
    pub(crate) fn of(partitions: i32) -> TopicFacts {
        TopicFacts {
            partitions,
            max_message_bytes: 1_000_000,
            advice: Vec::new(),
        }
    }

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
    // Whether it was not there, and whether it was we who made it.
    let (mut made, mut ours) = (false, false);
    let mut found = partitions(&probe, settings).map_err(failed)?;
    if found == Err(RDKafkaErrorCode::UnknownTopicOrPartition) {
        if !settings.create_topic {
            return Err(StreamError::NoTopic {
                topic: settings.topic.clone(),
            });
        }
        ours = create(&admin, settings, &options).await.map_err(failed)??;
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
    let (partitions, copies) = match found {
        Ok(found) => found,
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
    let mut known = describe(&admin, settings, &options).await.map_err(failed)?;
    // Where the cluster chose how many copies there are, it is known only now.
    if ours && copies >= ENOUGH_COPIES && known.as_ref().is_ok_and(|config| waited_for(config) == Some(1)) {
        wait_for_two(&admin, settings, &options).await;
        known = describe(&admin, settings, &options).await.map_err(failed)?;
    }
    let mut facts = TopicFacts {
        partitions,
        max_message_bytes: 1_000_000,
        advice: Vec::new(),
    };
    match known {
        Ok(config) => check(&config, settings, made, copies, &mut facts)?,
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

/// What a topic of ours is set to.
fn wanted(settings: &Settings) -> [(&'static str, String); 5] {
    let retention = u64::from(settings.retention_hours) * 3_600_000;
    [
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", retention.to_string()),
        ("compression.type", "producer".to_owned()),
        // Retention counts from when a record came, whatever clock a sidecar has.
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        // A broker that lost what others have must not lead: better no answer than a shorter history.
        ("unclean.leader.election.enable", "false".to_owned()),
    ]
}

/// With so many copies one broker may be away while two are waited for.
const ENOUGH_COPIES: usize = 3;
/// So many copies must have a record before the journal may let go of it: with one, `acks=all` means the
/// leader alone, whenever the others are behind.
const WAITED_FOR: (&str, &str) = ("min.insync.replicas", "2");

fn waited_for(config: &ConfigResource) -> Option<u32> {
    config.get(WAITED_FOR.0)?.value.as_deref()?.parse().ok()
}

/// Sets it on a topic that we have just made. If that fails the advice says it.
async fn wait_for_two(admin: &Admin, settings: &Settings, options: &AdminOptions) {
    let wanted = wanted(settings);
    let mut config = AlterConfig::new(ResourceSpecifier::Topic(&settings.topic)).set(WAITED_FOR.0, WAITED_FOR.1);
    // All of it: what is not named goes back to the cluster's default.
    for (key, value) in &wanted {
        config = config.set(key, value);
    }
    match admin.alter_configs([&config], options).await.map(|mut done| done.pop()) {
        Ok(Some(Ok(_))) => {}
        Ok(Some(Err((_, error)))) => tracing::debug!(%error, "setting min.insync.replicas"),
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "setting min.insync.replicas"),
    }
}

/// Makes the topic; `false` if somebody else just did.
async fn create(
    admin: &Admin,
    settings: &Settings,
    options: &AdminOptions,
) -> Result<Result<bool, StreamError>, KafkaError> {
    let wanted = wanted(settings);
    let copies = match settings.replication_factor {
        0 => -1,
        copies => i32::from(copies),
    };
    let mut topic = NewTopic::new(
        &settings.topic,
        i32::from(settings.partitions.max(1)),
        TopicReplication::Fixed(copies),
    );
    for (key, value) in &wanted {
        topic = topic.set(key, value);
    }
    if usize::from(settings.replication_factor) >= ENOUGH_COPIES {
        topic = topic.set(WAITED_FOR.0, WAITED_FOR.1);
    }
    let created = admin.create_topics([&topic], options).await?;
    Ok(match created.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | None => Ok(false),
        Some(Ok(_)) => {
            tracing::info!(
                topic = settings.topic,
                partitions = settings.partitions,
                "made the Kafka topic"
            );
            Ok(true)
        }
        Some(Err((_, code))) => Err(StreamError::Topic {
            topic: settings.topic.clone(),
            what: format!(
                "it does not exist and cannot be made ({code}): make it yourself, with cleanup.policy=delete, or give the user the right to"
            ),
        }),
    })
}

/// How many partitions the topic has, and how many copies of each at least; the inner error is the cluster's.
fn partitions(probe: &Probe, settings: &Settings) -> Result<Result<(i32, usize), RDKafkaErrorCode>, KafkaError> {
    let metadata = probe.client().fetch_metadata(Some(&settings.topic), ASK)?;
    let topic = (metadata.topics().iter()).find(|topic| topic.name() == settings.topic);
    Ok(match topic.map(|topic| (topic.error(), topic.partitions())) {
        Some((Some(error), _)) => Err(RDKafkaErrorCode::from(error)),
        Some((None, all)) if !all.is_empty() => {
            let copies = all.iter().map(|partition| partition.replicas().len()).min();
            Ok((i32::try_from(all.len()).unwrap_or(i32::MAX), copies.unwrap_or(0)))
        }
        _ => Err(RDKafkaErrorCode::UnknownTopicOrPartition),
    })
}

fn check(
    config: &ConfigResource,
    settings: &Settings,
    made: bool,
    copies: usize,
    facts: &mut TopicFacts,
) -> Result<(), StreamError> {
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
    match (copies, waited_for(config)) {
        (1, _) => facts.advice.push(format!(
            "topic {topic} has one copy of each record: with its broker's disk goes what the journals have let go of; three copies and min.insync.replicas=2 are better"
        )),
        (2, Some(1)) => facts.advice.push(format!(
            "topic {topic} has two copies of each record and min.insync.replicas=1: while one broker is behind, a record is in one place only, and its journal lets go of it; three copies and min.insync.replicas=2 are better"
        )),
        (ENOUGH_COPIES.., Some(1)) => facts.advice.push(format!(
            "topic {topic} has min.insync.replicas=1: while brokers are behind, a record is in one place only, and its journal lets go of it; set min.insync.replicas=2"
        )),
        _ => {}
    }
    if !made && facts.partitions == 1 {
        facts.advice.push(format!(
            "topic {topic} has one partition: only one analytics process can land at a time"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    use super::*;

    /// `acks=all` is worth what the copies are that it waits for.
    #[test]
    fn one_copy_that_is_waited_for_is_told() {
        for (copies, least, words) in [
            (1, "1", "one copy"),
            (1, "2", "one copy"),
            (2, "1", "two copies"),
            (2, "2", ""),
            (3, "1", "set min.insync.replicas=2"),
            (5, "1", "set min.insync.replicas=2"),
            (3, "2", ""),
        ] {
            let config = ConfigResource {
                specifier: OwnedResourceSpecifier::Topic("t".to_owned()),
                entries: vec![ConfigEntry {
                    name: "min.insync.replicas".to_owned(),
                    value: Some(least.to_owned()),
                    source: ConfigSource::Default,
                    is_read_only: false,
                    is_default: true,
                    is_sensitive: false,
                }],
            };
            let mut facts = TopicFacts::of(12);
            check(&config, &Settings::default(), false, copies, &mut facts).unwrap();
            match words {
                "" => assert!(facts.advice.is_empty(), "{:?}", facts.advice),
                words => assert!(facts.advice[0].contains(words), "{:?}", facts.advice),
            }
        }
    }
}
