//! What all clients of the cluster share: properties, log, and the last thing the client complained of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use journal::clock::Watch;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use crate::settings::PATIENCE;
use crate::{Settings, StreamError};

/// The properties that every client has.
pub(crate) fn base(settings: &Settings) -> Result<ClientConfig, StreamError> {
    if settings.brokers.is_empty() {
        return Err(StreamError::Settings {
            key: "brokers".to_owned(),
            message: "no broker is named: set it to [\"host:9092\"]".to_owned(),
        });
    }
    let security = &settings.security;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", settings.brokers.join(","))
        .set("client.id", "weir")
        .set("security.protocol", security.protocol.librdkafka())
        // A broker that is back is found soon, one that is away is not hammered.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "5000")
        // Only the addresses in use are kept open; what goes wrong with them is told by `error`.
        .set("log.connection.close", "false")
        .set("broker.address.family", "any")
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("socket.keepalive.enable", "true")
        // What `debug` among the properties asks for comes at the level `debug`.
        .set_log_level(match settings.properties.contains_key("debug") {
            true => RDKafkaLogLevel::Debug,
            false => RDKafkaLogLevel::Warning,
        });
    let path = |config: &mut ClientConfig, key: &str, path: &Option<std::path::PathBuf>| {
        if let Some(path) = path {
            config.set(key, path.to_string_lossy());
        }
    };
    // The OpenSSL that comes with the client knows no system's certificates: it has to look for them.
    config.set("ssl.ca.location", "probe");
    path(&mut config, "ssl.ca.location", &security.ca_file);
    path(&mut config, "ssl.certificate.location", &security.certificate_file);
    path(&mut config, "ssl.key.location", &security.key_file);
    if let Some(variable) = &security.key_password_env {
        config.set("ssl.key.password", secret("security.key_password_env", variable)?);
    }
    if security.protocol.has_sasl() {
        let user = security.username.as_deref().ok_or_else(|| StreamError::Settings {
            key: "security.username".to_owned(),
            message: "SASL needs a user name".to_owned(),
        })?;
        let variable = security.password_env.as_deref().ok_or_else(|| StreamError::Settings {
            key: "security.password_env".to_owned(),
            message: "SASL needs the name of the environment variable that holds the password".to_owned(),
        })?;
        config
            .set("sasl.mechanism", security.mechanism.librdkafka())
            .set("sasl.username", user)
            .set("sasl.password", secret("security.password_env", variable)?);
    }
    Ok(config)
}

/// The user's own properties, which come last.
pub(crate) fn own(config: &mut ClientConfig, settings: &Settings) {
    for (key, value) in &settings.properties {
        // The shipper keeps that limit itself.
        if !PATIENCE.contains(&key.as_str()) {
            config.set(key, value);
        }
    }
}

/// A client that cannot even be made: librdkafka names the property.
pub(crate) fn unusable(error: KafkaError) -> StreamError {
    StreamError::Settings {
        key: "properties".to_owned(),
        message: format!("Kafka's client does not take this configuration: {error}"),
    }
}

fn secret(key: &str, variable: &str) -> Result<String, StreamError> {
    std::env::var(variable).map_err(|_| StreamError::Settings {
        key: key.to_owned(),
        message: format!("the environment variable {variable} is not set"),
    })
}

/// Kafka's client waits by the wall clock. If that is set back while it waits, it waits as much longer,
/// unless something else wakes it: then it has to be made anew. (We ourselves wait by a steady clock, and
/// ask the client only for what is there.)
pub(crate) struct ClockWatch {
    watch: Watch,
    looked: Instant,
}

impl Default for ClockWatch {
    fn default() -> ClockWatch {
        ClockWatch {
            watch: Watch::default(),
            looked: Instant::now(),
        }
    }
}

impl ClockWatch {
    /// Looks once a second at most.
    pub(crate) fn check(&mut self) -> Result<(), StreamError> {
        if self.looked.elapsed() < Duration::from_secs(1) {
            return Ok(());
        }
        self.looked = Instant::now();
        match self.watch.jumped() {
            Some(jumped) if jumped < 0 => Err(StreamError::ClockWentBack {
                seconds: jumped.saturating_abs() / 1_000_000_000,
            }),
            _ => Ok(()),
        }
    }
}

/// Passes on what the client logs, and keeps the last error for messages of our own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Complaints(Arc<Mutex<Option<String>>>);

impl Complaints {
    pub(crate) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note(&self, reason: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all are down is told last, and says less than why.
        if last.is_none() || !reason.contains("brokers are down") {
            *last = Some(reason.to_owned());
        }
    }
}

impl ClientContext for Complaints {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Why a broker hangs up is said here first, and to some clients only here.
        if facility == "FAIL" {
            self.note(message);
        }
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        self.note(reason);
    }
}

fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    // Told once by whoever it stops; a choice of ours; a broker that has just started.
    const QUIET: [&str; 3] = ["FAIL", "CONFWARN", "GETPID"];
    match level {
        _ if QUIET.contains(&facility) => tracing::debug!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
    }
}
