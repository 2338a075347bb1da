//! `[kafka]`: which cluster, which topic, and how to be let in.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Further properties of librdkafka, by its own names. They come last.
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

    /// Whether they can work at all: what is missing is named.
    pub fn check(&self) -> Result<(), crate::StreamError> {
        crate::client::base(self).map(|_| ())
    }
}

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
