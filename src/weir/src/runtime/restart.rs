//! What a reload cannot take over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use sidecar::Companion;
use sidecar::metrics::extra::written;

use crate::config::Config;

/// What is opened or bound at the start: keys, and tables with all of theirs.
const AT_START: &[&str] = &[
    "data",
    "journal.",
    "kafka.",
    "server.listen",
    "server.shutdown_seconds",
    "server.threads",
];
const AT_START_OF_LANDING: &str = "lake.";

/// The keys that say something else in `now` than in `started`, and have no effect before a restart.
/// `lands`: whether the lake is open.
pub fn keys(started: &Config, now: &Config, lands: bool) -> Vec<String> {
    let (Ok(started), Ok(now)) = (serde_json::to_value(started), serde_json::to_value(now)) else {
        // A configuration is read from text: it can be written.
        return Vec::new();
    };
    let mut keys = Vec::new();
    differences("", &started, &now, &mut keys);
    let at_start = |key: &String| {
        let begins = |start: &str| match start.ends_with('.') {
            true => key.starts_with(start),
            false => key == start,
        };
        AT_START.iter().any(|start| begins(start)) || (lands && begins(AT_START_OF_LANDING))
    };
    keys.retain(at_start);
    keys.sort();
    keys
}

fn differences(key: &str, one: &Value, other: &Value, keys: &mut Vec<String>) {
    let (Value::Object(one), Value::Object(other)) = (one, other) else {
        if one != other {
            keys.push(key.to_owned());
        }
        return;
    };
    let both = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    for name in both {
        let key = match key {
            "" => name.clone(),
            table => format!("{table}.{name}"),
        };
        let of = |table: &serde_json::Map<String, Value>| table.get(name).cloned().unwrap_or(Value::Null);
        differences(&key, &of(one), &of(other), keys);
    }
}

/// What became of the configuration file since the start.
#[derive(Default)]
pub struct Reloads {
    accepted: AtomicU64,
    refused: AtomicU64,
    /// Keys that wait for a restart.
    waiting: AtomicU64,
    /// Why the file as it is now is not in force.
    error: Mutex<Option<String>>,
}

impl Reloads {
    /// The file was read again: these keys wait for a restart, or it was refused.
    pub fn note(&self, waiting: &[String], error: Option<&str>) {
        match error {
            None => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                self.waiting.store(waiting.len() as u64, Ordering::Relaxed);
            }
            Some(_) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error.map(str::to_owned);
    }

    fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Companion for Reloads {
    fn metrics(&self) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed).into();
        written(&[
            (
                "weir_config_reloads",
                "counter",
                "How often a changed configuration file was taken over",
                of(&self.accepted),
            ),
            (
                "weir_config_refused_reloads",
                "counter",
                "How often a changed configuration file was refused",
                of(&self.refused),
            ),
            (
                "weir_config_refused",
                "gauge",
                "1 while the configuration file is refused and the last good one is in force",
                i128::from(self.error().is_some()),
            ),
            (
                "weir_config_waiting_keys",
                "gauge",
                "Keys that the configuration file has changed and that need a restart",
                of(&self.waiting),
            ),
        ])
    }

    fn trouble(&self) -> Option<String> {
        let error = self.error()?;
        Some(format!(
            "configuration: the file is refused, the last good one is in force: {error}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, lands: bool) -> Vec<String> {
        keys(&Config::default(), &toml::from_str(text).unwrap(), lands)
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let text = "data = \"elsewhere\"\n[server]\nlisten = \"127.0.0.1:1\"\nthreads = 2\nmax_request_bytes = 5\n\
            [timeouts]\nidle = 3.0\n[journal]\ndurability = \"strict\"\n[kafka]\nbrokers = [\"k:1\"]\n\
            properties = { linger = \"1\" }\n[kafka.security]\nca_file = \"ca.pem\"\n\
            [lake]\nquery_timeout_seconds = 1\n[guard]\noff = true\n[[upstream]]\nname = \"openai\"\n";
        let expected = [
            "data",
            "journal.durability",
            "kafka.brokers",
            "kafka.properties.linger",
            "kafka.security.ca_file",
            "server.listen",
            "server.threads",
        ];
        assert_eq!(after(text, false), expected);
        let mut expected = expected.map(str::to_owned).to_vec();
        expected.insert(5, "lake.query_timeout_seconds".to_owned());
        assert_eq!(after(text, true), expected);
        assert!(after("", true).is_empty());
    }
}
