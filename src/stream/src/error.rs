//! What can go wrong between us and Kafka, whose fault it is, and what to do.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why something about Kafka failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The configuration names something impossible.
    #[error("[kafka] {key}: {message}")]
    Settings {
        /// The key.
        key: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// No broker answers. It is tried again.
    #[error("no Kafka broker answers at {brokers}: {why}")]
    Unreachable {
        /// The addresses that were tried.
        brokers: String,
        /// What was found.
        why: String,
    },
    /// The brokers do not let us in, or not do what we must.
    #[error("Kafka at {brokers} refuses us: {why}. Check [kafka.security], and the user's rights to the topic")]
    Refused {
        /// The addresses.
        brokers: String,
        /// What they said.
        why: String,
    },
    /// The topic is not there.
    #[error(
        "the Kafka topic {topic} does not exist, and create_topic = false: make it, with cleanup.policy=delete and as many partitions as analytics processes shall share it"
    )]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// The topic is there and cannot serve.
    #[error("the Kafka topic {topic} cannot be used: {what}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// Records were not delivered; they are sent again from the journal.
    #[error("records were not delivered, they are sent again from offset {offset}: {why}")]
    Delivery {
        /// The first offset that was not delivered.
        offset: i64,
        /// What the brokers or the client said.
        why: String,
    },
    /// The wall clock went back: some waits of the client's would last as much longer.
    #[error("the system's clock went back by {seconds} s: Kafka's client is made anew")]
    ClockWentBack {
        /// How far.
        seconds: i64,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] journal::ReadError),
    /// A position cannot be stored.
    #[error(transparent)]
    Position(#[from] journal::PositionError),
    /// A file of our own.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anything else that Kafka's client says.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
}

impl StreamError {
    /// Whether waiting alone cannot help: somebody must change something.
    #[must_use]
    pub fn needs_somebody(&self) -> bool {
        matches!(
            self,
            StreamError::Settings { .. }
                | StreamError::Refused { .. }
                | StreamError::NoTopic { .. }
                | StreamError::Topic { .. }
        )
    }

    /// Sorts what the client said by whose fault it is.
    pub(crate) fn of(brokers: &str, error: KafkaError, last: Option<String>) -> StreamError {
        let code = error.rdkafka_error_code();
        let why = last.unwrap_or_else(|| error.to_string());
        let refused = |why: &str| {
            ["uthenticat", "SASL", "uthoriz", "certificate", "SSL handshake"]
                .iter()
                .any(|word| why.contains(word))
        };
        match code {
            Some(
                RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed,
            ) => StreamError::Refused {
                brokers: brokers.to_owned(),
                why,
            },
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::MessageTimedOut,
            ) => {
                let brokers = brokers.to_owned();
                if refused(&why) {
                    StreamError::Refused { brokers, why }
                } else {
                    StreamError::Unreachable { brokers, why }
                }
            }
            _ => StreamError::Kafka(error),
        }
    }
}
