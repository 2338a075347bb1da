//! `[kafka]`: which cluster, which topic, and how to be let in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[kafka]`: where events are shipped to, and where the analytics land them from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The cluster's first addresses, `host:port`. Without any, nothing is shipped.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Whether the topic is made if it is not there.
    pub create_topic: bool,
    /// Partitions of a topic that is made. As many analytics processes can share the landing.
    pub partitions: u16,
    /// Copies of a topic that is made; 0: as the cluster's own default says.
    pub replication_factor: u16,
    /// How long a topic that is made keeps its records, in hours: the longest that the analytics may
    /// be away.
    pub retention_hours: u32,
    /// How records travel.
    pub compression: Compression,
    /// Longest message, in KiB; a longer record travels in parts. The topic's own limit counts if it
    /// is lower.
    pub max_message_kib: u32,
    /// Memory for records on their way, in MiB. What does not fit waits in the journal.
    pub buffer_mib: u32,
    /// The consumer group by which several analytics processes share the partitions.
    pub group: String,
    /// How to be let in.
    pub security: Security,
    /// Further properties of librdkafka, by its own names. They come last; what would lose records, and what it does not
    /// know, is refused. `message.timeout.ms`: without an arrival for so long all that is on its way is sent again.
    pub properties: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            brokers: Vec::new(),
            topic: "weir.events.v1".to_owned(),
            create_topic: true,
            partitions: 12,
            replication_factor: 0,
            retention_hours: 7 * 24,
            compression: Compression::Lz4,
            max_message_kib: 900,
            buffer_mib: 32,
            group: "weir-analytics".to_owned(),
            security: Security::default(),
            properties: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Whether a cluster is named at all.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.brokers.is_empty()
    }

    /// Whether they can work at all, and keep what is promised: what is missing or wrong is named.
    pub fn check(&self) -> Result<(), crate::StreamError> {
        self.check_values()?;
        crate::client::base(self).map(|_| ())
    }

    /// Without an arrival for so long, the shipper gives up what is on its way and sends it again.
    pub(crate) fn patience(&self) -> Duration {
        let set = (self.properties.iter()).find(|(key, _)| PATIENCE.contains(&key.as_str()));
        set.and_then(|(_, millis)| millis.parse().ok())
            .map_or(GIVEN_UP, Duration::from_millis)
    }

    /// Whether no value takes a promise away, and Kafka's client knows the properties. Nobody is asked for it.
    pub fn check_values(&self) -> Result<(), crate::StreamError> {
        let refuse = |key: &str, message: String| {
            let key = key.to_owned();
            Err(crate::StreamError::Settings { key, message })
        };
        if self.max_message_kib < LEAST_MESSAGE_KIB {
            let message = format!(
                "{LEAST_MESSAGE_KIB} is the least: a long record would travel in more parts than can be joined again"
            );
            return refuse("max_message_kib", message);
        }
        if self.retention_hours == 0 {
            let message =
                "the topic would let go of records before they have landed: 24 is the least that leaves time to look"
                    .to_owned();
            return refuse("retention_hours", message);
        }
        for (key, value) in &self.properties {
            if PATIENCE.contains(&key.as_str()) {
                if !value.parse().is_ok_and(|millis| PATIENCE_MILLIS.contains(&millis)) {
                    let message = format!(
                        "it is {value}, and may be from {} to {} (ms): whoever joins the parts of a long record waits no longer for the rest",
                        PATIENCE_MILLIS.start(),
                        PATIENCE_MILLIS.end()
                    );
                    return refuse(&format!("properties.\"{key}\""), message);
                }
                continue;
            }
            let Some((_, ours, why)) = KEPT.iter().find(|(kept, _, _)| kept == key) else {
                continue;
            };
            if !ours.contains(&value.to_ascii_lowercase().as_str()) {
                return Err(crate::StreamError::Settings {
                    key: format!("properties.\"{key}\""),
                    message: format!("it must not be {value}, or {why}: remove it"),
                });
            }
        }
        // Unknown names and values; a client of its own, which is not made.
        let mut config = rdkafka::ClientConfig::new();
        crate::client::own(&mut config, self);
        config.create_native_config().map_err(crate::client::unusable)?;
        Ok(())
    }
}

/// The properties that say how long a message may be on its way: the shipper keeps to them by its own clock.
pub(crate) const PATIENCE: [&str; 2] = ["message.timeout.ms", "delivery.timeout.ms"];
const PATIENCE_MILLIS: std::ops::RangeInclusive<u64> = 1_000..=600_000;
const GIVEN_UP: Duration = Duration::from_secs(60);
const LEAST_MESSAGE_KIB: u32 = 16;

/// Properties on which our promises rest: the values that they may have, and what would happen with others.
const KEPT: [(&str, &[&str], &str); 17] = {
    const YES: &[&str] = &["true", "t", "1"];
    const NO: &[&str] = &["false", "f", "0"];
    const ALL: &[&str] = &["all", "-1"];
    const ERROR: &[&str] = &["error"];
    const LOSES: &str = "a broker that fails takes records with it that the journal has let go of";
    const JUMPS: &str = "what the topic has lost is passed over in silence";
    const COMMITS: &str = "positions are kept outside the tables, which alone know what has landed";
    [
        ("acks", ALL, LOSES),
        ("request.required.acks", ALL, LOSES),
        (
            "enable.idempotence",
            YES,
            "records come doubled, or before those that precede them",
        ),
        (
            "enable.gapless.guarantee",
            YES,
            "a record that was not delivered leaves a gap",
        ),
        (
            "delivery.report.only.error",
            NO,
            "nobody learns what has arrived, and the journal keeps everything",
        ),
        (
            "transactional.id",
            &[],
            "the shipper cannot send: it has no transactions",
        ),
        ("auto.offset.reset", ERROR, JUMPS),
        ("enable.auto.commit", NO, COMMITS),
        ("auto.commit.enable", NO, COMMITS),
        ("enable.auto.offset.store", NO, COMMITS),
        ("check.crcs", YES, "what a disk has damaged lands as if it were whole"),
        (
            "isolation.level",
            &["read_committed"],
            "what others have taken back lands",
        ),
        (
            "group.id",
            &[],
            "analytics no longer share the partitions (kafka.group sets it)",
        ),
        (
            "bootstrap.servers",
            &[],
            "records go to another cluster than the one that is named (kafka.brokers sets it)",
        ),
        (
            "metadata.broker.list",
            &[],
            "records go to another cluster than the one that is named (kafka.brokers sets it)",
        ),
        (
            "test.mock.num.brokers",
            &["0"],
            "records go to a cluster that is nowhere but in memory",
        ),
        ("enabled_events", &[], "what the client has to say is not heard"),
    ]
};

/// `[kafka.security]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// What is spoken.
    pub protocol: Protocol,
    /// Certificates that the brokers' own must follow from, as PEM. Absent: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, as PEM, where the brokers ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Its key, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The environment variable that holds the key file's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_password_env: Option<String>,
    /// How SASL logs in.
    pub mechanism: Mechanism,
    /// The user of SASL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The environment variable that holds the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
}

/// What is spoken with the brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Neither encrypted nor logged in.
    #[default]
    Plaintext,
    /// TLS; with a certificate of our own, mutual.
    Tls,
    /// Logged in, not encrypted.
    SaslPlaintext,
    /// Logged in over TLS.
    SaslTls,
}

impl Protocol {
    pub(crate) fn librdkafka(self) -> &'static str {
        match self {
            Protocol::Plaintext => "plaintext",
            Protocol::Tls => "ssl",
            Protocol::SaslPlaintext => "sasl_plaintext",
            Protocol::SaslTls => "sasl_ssl",
        }
    }

    pub(crate) fn has_sasl(self) -> bool {
        matches!(self, Protocol::SaslPlaintext | Protocol::SaslTls)
    }
}

/// How SASL logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// The password itself, for TLS alone.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response over SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response over SHA-512.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    pub(crate) fn librdkafka(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// How records are compressed on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// Quick.
    #[default]
    Lz4,
    /// Small.
    Zstd,
}

impl Compression {
    pub(crate) fn librdkafka(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> Result<(), crate::StreamError> {
        let settings = Settings {
            brokers: vec!["kafka:9092".to_owned()],
            properties: BTreeMap::from([(key.to_owned(), value.to_owned())]),
            ..Settings::default()
        };
        settings.check()
    }

    /// No property switches off what is promised.
    #[test]
    fn properties_that_would_lose_records_are_refused() {
        for (key, value) in [
            ("enable.idempotence", "false"),
            ("acks", "1"),
            ("request.required.acks", "0"),
            ("auto.offset.reset", "latest"),
            ("enable.auto.commit", "true"),
            ("isolation.level", "read_uncommitted"),
            ("transactional.id", "weir"),
            ("test.mock.num.brokers", "1"),
        ] {
            let said = with(key, value).unwrap_err().to_string();
            assert!(
                said.contains(key) && said.contains(value) && said.contains("remove it"),
                "{said}"
            );
        }
        for (key, value) in [
            ("acks", "-1"),
            ("enable.idempotence", "True"),
            ("linger.ms", "5"),
            ("message.timeout.ms", "2000"),
            ("session.timeout.ms", "6000"),
        ] {
            with(key, value).unwrap();
        }
    }

    /// What the client does not know, it would say when it is made: once the sidecar serves, in the log.
    #[test]
    fn values_that_cannot_work_are_refused() {
        for (key, value, said) in [
            ("linger.mss", "5", "linger.mss"),
            ("linger.ms", "soon", "linger.ms"),
            ("message.timeout.ms", "0", "from 1000 to 600000"),
            ("delivery.timeout.ms", "7200000", "from 1000 to 600000"),
        ] {
            let error = with(key, value).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let settings = Settings::default();
        assert_eq!(settings.patience(), GIVEN_UP);
        for (settings, said) in [
            (
                Settings {
                    max_message_kib: 1,
                    ..settings.clone()
                },
                "max_message_kib",
            ),
            (
                Settings {
                    retention_hours: 0,
                    ..settings
                },
                "retention_hours",
            ),
        ] {
            let error = settings.check_values().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
